"""How trained networks are made one, without a training."""

from dataclasses import dataclass

MOST_NETWORKS = 64  # more than anybody trains in a campaign


@dataclass(frozen=True)
class Combination:
    """What is made of saved networks of one recipe.

    weights: paths of their files.
    averaged: whether their weights are averaged into one network; else all of them predict, and their probabilities are
        averaged.
    mirrored: whether each image is predicted with its mirror image, left to right.
    """

    weights: tuple[str, ...]
    averaged: bool = False
    mirrored: bool = False

    @property
    def cost(self) -> int:
        """The forward passes that a prediction takes."""
        return passes(len(self.weights), averaged=self.averaged, mirrored=self.mirrored)


def passes(networks: int, *, averaged: bool, mirrored: bool) -> int:
    """The forward passes that a prediction of so many networks takes; see `Combination`."""
    return (1 if averaged else networks) * (2 if mirrored else 1)
