"""What was found of the trained network that a user gave to be compared with."""

from dataclasses import dataclass
from typing import Literal

Scaling = Literal["unit", "standardize", "imagenet", "symmetric", "bytes", "its recipe's"]


@dataclass(frozen=True)
class GivenNetwork:
    """The network that the headline compares with: the user's own, with the weights that they gave.

    scaling: of its inputs: unit: from 0 to 1; standardize: to mean 0 and deviation 1 by the training images; imagenet:
        by ImageNet's mean and deviation; symmetric: from -1 to 1; bytes: from 0 to 255; its recipe's: as the recipe
        says that was given with it.
    tried: of how many ways that is the best, by the training and validation images.
    right: the share of these images that it classifies correctly; chance: what guessing the most frequent class does.
    may_know_test: whether it may have learned from test images, since convlift chose which those are.
    """

    scaling: Scaling
    tried: int
    right: float
    chance: float
    may_know_test: bool
    kind: Literal["given network"] = "given network"
