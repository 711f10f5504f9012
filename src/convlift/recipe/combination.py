"""How trained networks are made one, without a training."""

from dataclasses import dataclass


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
        return (1 if self.averaged else len(self.weights)) * (2 if self.mirrored else 1)
