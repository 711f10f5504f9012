"""What a training showed, in figures: one record for each thing that names a symptom or accuses a lever.

Accuracies and recalls are in [0, 1]; losses are cross-entropies, of which guessing has ln K. `kind` tells the records
apart once they are plain data; `report/wording/diagnoses.py` has the sentences.
"""

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True)
class HalfOfTheImages:
    """Validation accuracy with half of the training images and with all of them."""

    half: float
    whole: float
    kind: Literal["half of the images"] = "half of the images"


@dataclass(frozen=True)
class UnevenClasses:
    """ratio: training images of the largest class over those of the smallest."""

    ratio: float
    kind: Literal["uneven classes"] = "uneven classes"


@dataclass(frozen=True)
class FewImages:
    """Training images a class."""

    per_class: float
    kind: Literal["few images"] = "few images"


@dataclass(frozen=True)
class LossNotFinite:
    """message: of what ended the training, "" where it left none."""

    message: str
    kind: Literal["loss not finite"] = "loss not finite"


@dataclass(frozen=True)
class WildStart:
    """Mean training loss of the first epoch, and the loss of guessing."""

    loss: float
    guess: float
    kind: Literal["wild start"] = "wild start"


@dataclass(frozen=True)
class NothingLearned:
    """Training loss at the end, and the loss of guessing."""

    loss: float
    guess: float
    kind: Literal["nothing learned"] = "nothing learned"


@dataclass(frozen=True)
class AccuracyGap:
    """Accuracies in training and in validation that lie apart."""

    training: float
    validation: float
    kind: Literal["accuracy gap"] = "accuracy gap"


@dataclass(frozen=True)
class AugmentationGap:
    """Accuracy on augmented training images, below that on plain validation images."""

    training: float
    validation: float
    kind: Literal["augmentation gap"] = "augmentation gap"


@dataclass(frozen=True)
class LowAccuracy:
    """An accuracy that is low in training, too."""

    training: float
    validation: float
    kind: Literal["low accuracy"] = "low accuracy"


@dataclass(frozen=True)
class LossStillFalls:
    """Validation loss `epochs` epochs before the end and at the end."""

    before: float
    last: float
    epochs: int
    kind: Literal["loss still falls"] = "loss still falls"


@dataclass(frozen=True)
class LossRises:
    """Lowest validation loss, its epoch counted from 1, and the loss at the end."""

    lowest: float
    epoch: int
    last: float
    kind: Literal["loss rises"] = "loss rises"


@dataclass(frozen=True)
class LossJumps:
    """How often the validation loss rose by half or more within an epoch."""

    times: int
    kind: Literal["loss jumps"] = "loss jumps"


@dataclass(frozen=True)
class GradientsAgree:
    """How far the gradients of two batches agree.

    agreement: 1 where there is no noise.
    within: two standard errors of it.
    noise_scale: in images (McCandlish et al. 2018, section 2.2).
    """

    batch_size: int
    agreement: float
    within: float
    noise_scale: float
    kind: Literal["gradients agree"] = "gradients agree"


@dataclass(frozen=True)
class HighConfidence:
    """Mean confidence in validation, above the accuracy there."""

    confidence: float
    accuracy: float
    kind: Literal["high confidence"] = "high confidence"


@dataclass(frozen=True)
class DoubtedLabels:
    """How many of the errors in validation contradict the label with confidence; images: of validation."""

    doubted: int
    errors: int
    images: int
    kind: Literal["doubted labels"] = "doubted labels"


@dataclass(frozen=True)
class LowRecall:
    """The class with the lowest recall in validation, its images there, and the mean recall of all classes."""

    name: str
    recall: float
    images: int
    mean: float
    kind: Literal["low recall"] = "low recall"


@dataclass(frozen=True)
class OneEpoch:
    """A training of one epoch has no curve that could show that it was long enough."""

    kind: Literal["one epoch"] = "one epoch"


@dataclass(frozen=True)
class LossFellLast:
    """Validation loss before and after the last epoch of a training that is too short for a curve."""

    before: float
    last: float
    kind: Literal["loss fell last"] = "loss fell last"


Evidence = (
    HalfOfTheImages | UnevenClasses | FewImages | LossNotFinite | WildStart | NothingLearned | AccuracyGap
    | AugmentationGap | LowAccuracy | LossStillFalls | LossRises | LossJumps | GradientsAgree | HighConfidence
    | DoubtedLabels | LowRecall | OneEpoch | LossFellLast
)  # fmt: skip
