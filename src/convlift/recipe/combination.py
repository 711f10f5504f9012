"""How trained networks are made one, without a training."""

import re
from dataclasses import dataclass

from convlift.errors import ConvliftError
from convlift.recipe.architecture import Pretrained
from convlift.recipe.recipe import Recipe

MOST_NETWORKS = 64  # more than anybody trains in a campaign
MOST_MILLISECONDS = 60_000
# training images that an average is made as sure of as its members: with as many, drawn out of 300, the log-loss of
# test images is .0003 more than with all of them, .0041 at most in 240 draws (docs/decisions/0068)
SURE_OF = 64


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


@dataclass(frozen=True)
class MostLatency:
    """What a prediction of what ships may take: so many networks' time, or, where milliseconds is not 0, so many
    milliseconds for an image alone, with one thread."""

    networks: int = 1
    milliseconds: float = 0.0

    def __str__(self) -> str:
        """As a user writes it."""
        return f"{self.milliseconds:g}ms" if self.milliseconds else str(self.networks)

    @property
    def is_usual(self) -> bool:
        """Whether it is that of one network, however long it takes."""
        return self == ONE_NETWORK


ONE_NETWORK = MostLatency()


def most_latency(asked: object) -> MostLatency:
    """Of a number of networks, such as 2 or "2", or a time, such as "20ms". Raises ConvliftError."""
    text = str(asked).strip() if isinstance(asked, int | str) and not isinstance(asked, bool) else ""
    time = re.fullmatch(r"([0-9]+(?:\.[0-9]+)?) ?ms", text)
    if time and 0 < float(time[1]) <= MOST_MILLISECONDS:
        return MostLatency(MOST_NETWORKS, float(time[1]))
    if re.fullmatch("[0-9]{1,2}", text) and 1 <= int(text) <= MOST_NETWORKS:
        return MostLatency(int(text))
    raise ConvliftError(
        f"max_latency {str(asked)[:40]!r} is neither a whole number of networks from 1 to {MOST_NETWORKS} nor a time "
        f"of an image up to {MOST_MILLISECONDS}ms; give one, such as 2 or 20ms."
    )


def can_average(recipe: Recipe) -> bool:
    """Whether networks of this recipe can be averaged: fine-tuned from the same weights, under a head without a hidden
    layer, whose units would lie in another order in each. A linear head has one best place, and is trained to it first
    (Kumar et al. 2022, section 3). They see their images alike, whichever images they learned from."""
    network, alike = recipe.architecture, recipe.data.normalization == "pretrained"
    return isinstance(network, Pretrained) and not network.head_units and bool(recipe.training.fine_tuning) and alike


def passes(networks: int, *, averaged: bool, mirrored: bool) -> int:
    """The forward passes that a prediction of so many networks takes; see `Combination`."""
    return (1 if averaged else networks) * (2 if mirrored else 1)
