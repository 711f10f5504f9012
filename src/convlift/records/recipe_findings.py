"""What is wrong with somebody's own recipe: the lever at fault, and the evidence for it.

`kind` tells the records apart once they are plain data; `report/wording/recipe_faults.py` has the sentences.
"""

from dataclasses import dataclass
from typing import Literal

from convlift.records.evidence_of_symptoms import Evidence

Strengths = tuple[tuple[str, float], ...]  # a lever's name in a recipe, and its value


@dataclass(frozen=True)
class OverAugmented:
    """strengths: of the augmentations that are on."""

    strengths: Strengths
    kind: Literal["over-augmented"] = "over-augmented"


@dataclass(frozen=True)
class WrongLearningRate:
    """The recipe's learning rate, and the one that is tried instead."""

    rate: float
    other: float
    kind: Literal["wrong learning rate"] = "wrong learning rate"

    @property
    def is_too_high(self) -> bool:
        """Whether it is accused of that; of being too low otherwise."""
        return self.rate > self.other


@dataclass(frozen=True)
class OverRegularized:
    """strengths: of the regularizers that are too strong."""

    strengths: Strengths
    kind: Literal["over-regularized"] = "over-regularized"


@dataclass(frozen=True)
class OversizedBatches:
    """Images a batch, and how many are tried instead."""

    size: int
    other: int
    kind: Literal["oversized batches"] = "oversized batches"


@dataclass(frozen=True)
class FewEpochs:
    """The recipe's epochs, and how many are tried instead."""

    epochs: int
    other: int
    kind: Literal["few epochs"] = "few epochs"


Fault = OverAugmented | WrongLearningRate | OverRegularized | OversizedBatches | FewEpochs


@dataclass(frozen=True)
class Suspected:
    """A fault that nobody has tried to undo, and what the training showed."""

    fault: Fault
    evidence: Evidence
    kind: Literal["suspected"] = "suspected"


@dataclass(frozen=True)
class Confirmed:
    """A fault that was undone once.

    with_it, without_it: validation scores, in [0, 1]; with_it is None where that run failed to learn.
    """

    fault: Fault
    with_it: float | None
    without_it: float
    kind: Literal["confirmed"] = "confirmed"


RecipeFinding = Suspected | Confirmed
