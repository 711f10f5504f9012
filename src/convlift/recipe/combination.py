"""How trained networks are made one, without a training."""

from dataclasses import dataclass

from convlift.recipe.architecture import Pretrained
from convlift.recipe.recipe import Recipe

MOST_NETWORKS = 64  # more than anybody trains in a campaign


@dataclass(frozen=True)
class Combination:
    """What is made of saved networks of one recipe.

    weights: paths of their files.
    averaged: whether their weights are averaged into one network; else all of them predict, and their probabilities are
        averaged.
    mirrored: whether each image is predicted with its mirror image, left to right.
    least: the share of the validation images that what is made must classify correctly, where some of the networks
        learned from these images; they measure nothing then, and only say whether it is sound.
    """

    weights: tuple[str, ...]
    averaged: bool = False
    mirrored: bool = False
    least: float | None = None

    @property
    def cost(self) -> int:
        """The forward passes that a prediction takes."""
        return passes(len(self.weights), averaged=self.averaged, mirrored=self.mirrored)


def can_average(recipe: Recipe) -> bool:
    """Whether networks of this recipe can be averaged: fine-tuned from the same weights, under a head without a hidden
    layer, whose units would lie in another order in each. A linear head has one best place, and is trained to it first
    (Kumar et al. 2022, section 3). They see their images alike, whichever images they learned from."""
    network, alike = recipe.architecture, recipe.data.normalization == "pretrained"
    return isinstance(network, Pretrained) and not network.head_units and bool(recipe.training.fine_tuning) and alike


def passes(networks: int, *, averaged: bool, mirrored: bool) -> int:
    """The forward passes that a prediction of so many networks takes; see `Combination`."""
    return (1 if averaged else networks) * (2 if mirrored else 1)
