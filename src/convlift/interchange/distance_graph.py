"""How like the images of training an image is, as part of an exported graph: `deploy/likeness.py` in torch."""

from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
import torch
from torch import Tensor, nn

from convlift.deploy.likeness import FLAT, TINY, Likeness, map_features
from convlift.deploy.predict import Model
from convlift.model.spatial_layer import listening_at


class Distances(nn.Module):
    """maps_NCHW, contrasts_N -> distances_N float32, as `Likeness.distances` of `map_features`."""

    centre: Tensor
    directions: Tensor
    deviations: Tensor

    def __init__(self, likeness: Likeness) -> None:
        super().__init__()
        for name in ("centre", "directions", "deviations"):
            self.register_buffer(name, torch.from_numpy(getattr(likeness, name).astype(np.float64)))
        self.other, self.most, self.contrast = likeness.other, likeness.most, likeness.contrast

    def forward(self, maps_NCHW: Tensor, contrasts_N: Tensor) -> Tensor:
        rest = map_features(maps_NCHW).double() - self.centre
        along = rest @ self.directions
        across = (rest.square().sum(1) - along.square().sum(1)).clamp_min(0.0)
        squares = (along / self.deviations).square().sum(1) + across / self.other**2
        found = (squares.sqrt() / self.most).float()
        flatness = self.contrast / (2.0 * contrasts_N.clamp_min(TINY * self.contrast + TINY))
        return torch.where(flatness > 1.0, found.clamp_min(FLAT), found)


class Answers(nn.Module):
    """inputs_NCHW, contrasts_N -> probabilities_NK, distances_N. kept: gets the maps of each pass."""

    def __init__(self, answer: nn.Module, distances: Distances, kept: list[Tensor]) -> None:
        super().__init__()
        self.answer, self.distances, self.kept = answer, distances, kept

    def forward(self, inputs: Tensor, contrasts: Tensor) -> tuple[Tensor, Tensor]:
        self.kept.clear()
        probabilities = self.answer(inputs)
        return probabilities, self.distances(self.kept[0], contrasts)


@contextmanager
def with_distances(model: Model, answer: nn.Module) -> Iterator[nn.Module]:
    """What answers with distances too, while it lasts. answer: what gives probabilities by `model.network`."""
    assert model.likeness is not None, "asked of a model that knows its training images"
    with listening_at(model.network, model.likeness.place) as kept:
        yield Answers(answer, Distances(model.likeness), kept).eval()
