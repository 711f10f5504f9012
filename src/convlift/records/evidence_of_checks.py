"""What was looked at to find out what is wrong with a training, in figures: one record for each kind of look.

Accuracies are in [0, 1]; `within` is two standard errors. `kind` tells the records apart once they are plain data;
`report/wording/checks_in_words.py` has the sentences.
"""

from dataclasses import dataclass
from typing import Literal

from convlift.records.evidence_of_symptoms import Evidence


@dataclass(frozen=True)
class PlainAccuracies:
    """Accuracy on training images as they are, neither augmented nor dropped out, and on validation images; within: of
    their difference."""

    training: float
    validation: float
    within: float
    kind: Literal["plain accuracies"] = "plain accuracies"


@dataclass(frozen=True)
class LossCourse:
    """Training loss of the first and of the last epoch, and the loss of guessing."""

    first: float
    last: float
    guess: float
    kind: Literal["loss course"] = "loss course"


@dataclass(frozen=True)
class LossAtEnd:
    """Validation loss `epochs` epochs before the end and at the end."""

    before: float
    last: float
    epochs: int
    kind: Literal["loss at end"] = "loss at end"


@dataclass(frozen=True)
class CutShort:
    """The training was stopped by the time it was given, after so many of its epochs."""

    epochs: int
    of: int
    kind: Literal["cut short"] = "cut short"


@dataclass(frozen=True)
class StepsAnEpoch:
    """Images a batch, and how many batches make an epoch."""

    size: int
    steps: int
    kind: Literal["steps an epoch"] = "steps an epoch"


@dataclass(frozen=True)
class NotSwitchedOn:
    """The recipe has none of it, or none beyond what is usual."""

    kind: Literal["not switched on"] = "not switched on"


@dataclass(frozen=True)
class TriedWithout:
    """Accuracy as the recipe is, and with the suspected lever undone, of one training each."""

    with_it: float
    without_it: float
    kind: Literal["tried without"] = "tried without"


@dataclass(frozen=True)
class Beside:
    """Another fault was found, beside which this cannot be told. cause: its name."""

    cause: str
    kind: Literal["beside"] = "beside"


@dataclass(frozen=True)
class NotLooked:
    """Nobody looked. why: no time or no packaged weights; images in arrays, which have no files; no predictions."""

    why: Literal["no time", "arrays", "no predictions"]
    kind: Literal["not looked"] = "not looked"


@dataclass(frozen=True)
class LabelsContradicted:
    """How many of the images are taken for another class by a classifier that was fitted without them, and how many of
    these as surely as its right answers usually are; accuracy: of that classifier, by the labels as they are."""

    contradicted: int
    errors: int
    images: int
    accuracy: float
    kind: Literal["labels contradicted"] = "labels contradicted"


@dataclass(frozen=True)
class RecallBySize:
    """Training images of the largest class over those of the smallest; recall in validation over the images of classes
    under a third of the largest, and over those of the others."""

    ratio: float
    small: float
    small_images: int
    large: float
    large_images: int
    kind: Literal["recall by size"] = "recall by size"


@dataclass(frozen=True)
class PixelsSeen:
    """Pixels a side that the network sees, and that the images have."""

    seen: int
    native: int
    kind: Literal["pixels seen"] = "pixels seen"


@dataclass(frozen=True)
class DetailLost:
    """Accuracy, out of fold, of one plain classifier on images shrunk to what the network sees, and on images of up to
    96 pixels; within: of their difference."""

    seen: int
    native: int
    shrunk: float
    whole: float
    within: float
    kind: Literal["detail lost"] = "detail lost"


@dataclass(frozen=True)
class ImagesInBoth:
    """Validation images that are among the training images too; accuracy on all, and on those that are not."""

    shared: int
    images: int
    all_of_them: float
    others: float
    kind: Literal["images in both"] = "images in both"


@dataclass(frozen=True)
class AuditSays:
    """A finding of the audit, which carries its sentence."""

    message: str
    kind: Literal["audit says"] = "audit says"


@dataclass(frozen=True)
class Confidences:
    """Expected calibration error with its 95% interval, mean confidence and accuracy in validation, and the temperature
    that fits the logits best (Guo et al. 2017): over 1 where the network is too sure."""

    error: float
    low: float
    high: float
    confidence: float
    accuracy: float
    temperature: float
    kind: Literal["confidences"] = "confidences"


Look = (
    PlainAccuracies | LossCourse | LossAtEnd | CutShort | StepsAnEpoch | NotSwitchedOn | TriedWithout | Beside
    | NotLooked | LabelsContradicted | RecallBySize | PixelsSeen | DetailLost | ImagesInBoth | AuditSays | Confidences
)  # fmt: skip
Shown = Look | Evidence
