"""Who can check whether an augmentation keeps labels, apart from how, so that who asks need not import torch."""

from collections.abc import Callable
from pathlib import Path
from typing import Protocol

from convlift.recipe.augmentation import Augmentation
from convlift.recipe.recipe import Recipe
from convlift.records.label_check import LabelCheck


class LabelChecker(Protocol):
    """A trained network. seconds_per_image: of one look at one image; a check takes LOOKS."""

    seconds_per_image: float

    def look_at(self, images: int) -> int:
        """Take at most so many validation images as those to check with; how many there are."""

    def check(self, augmentation: Augmentation) -> LabelCheck:
        """Check an augmentation, at its full strength. The same augmentation gets the same result."""


LOOKS = 2
OpenLabelChecker = Callable[[Path, Recipe], LabelChecker]  # (weights, recipe with its resolution written down)
