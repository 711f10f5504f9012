"""What a campaign goes by when it searches: the score on clean validation images, on corrupted copies, or both."""

from dataclasses import dataclass
from typing import Literal

Goal = Literal["clean", "shifted", "mean"]
"""clean: the score on the validation images; shifted: on corrupted copies of them; mean: the mean of the two."""


@dataclass(frozen=True)
class ShiftedCopies:
    """Corrupted copies of the validation images, which every trial of a campaign predicts beside them: the same ones.

    corruptions: their names, none of which a recipe of the campaign trains on.
    each: copies of every image, each by another corruption.
    seed: of the deal, which corruption and severity an image gets.
    """

    corruptions: tuple[str, ...]
    each: int
    seed: int = 0


@dataclass(frozen=True)
class OptimizedFor:
    """What was chosen by, where that was not the score on clean images.

    corruptions: of the copies; copies: of each of so many validation images.
    metric: its name.
    withheld: changes that were not tried, since they train on such images.
    """

    goal: Goal
    metric: str
    corruptions: tuple[str, ...]
    copies: int
    images: int
    withheld: int
    kind: Literal["optimized for"] = "optimized for"
