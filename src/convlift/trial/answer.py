"""Who can be asked about an augmentation, apart from how it is done, so that who asks need not import torch."""

from collections.abc import Callable
from pathlib import Path
from typing import Protocol

from convlift.recipe.augmentation import Augmentation
from convlift.recipe.recipe import Recipe
from convlift.records.label_check import Answer


class Witness(Protocol):
    """A trained network that can be asked. seconds_per_image: of one look at one image; an answer takes LOOKS."""

    seconds_per_image: float

    def look_at(self, images: int) -> int:
        """Take at most so many validation images as those to be asked about; how many there are."""

    def answer(self, augmentation: Augmentation) -> Answer:
        """Ask about an augmentation, at its full strength. The same question gets the same answer."""


LOOKS = 2
Call = Callable[[Path, Recipe], Witness]  # (weights, recipe with its resolution written down) -> who can be asked
