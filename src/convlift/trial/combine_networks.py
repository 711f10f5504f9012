"""One model out of several trained networks: the average of their weights, or all of them together.

Networks that were trained by the same recipe from the same pretrained weights lie in one basin of the loss, and their
average is as good as most of them together, at the cost of one (Wortsman et al. 2022, "Model soups", sections 3.3 and
4; all of them alike: their uniform soup). The mean of the probabilities of any networks is better still, and costs as
many predictions (Hansen and Salamon 1990; Lakshminarayanan et al. 2017).
"""

import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors.torch import load_file
from torch import Tensor, nn

from convlift.data.dataset import Dataset
from convlift.errors import Diverged
from convlift.model.build import build_network
from convlift.model.checkpoint import save_network, saved_normalization, saved_padding
from convlift.model.together import Together
from convlift.recipe.combination import Combination
from convlift.recipe.recipe import Recipe
from convlift.recipe.trial_spec import Limits, TrialSpec
from convlift.records.compute_device import CPU, Device
from convlift.records.outcome import NO_PROBABILITIES, Outcome
from convlift.train.device import settle_on
from convlift.train.evaluate import predict_probabilities
from convlift.trial.batches import unchanged

State = dict[str, Tensor]


def combine_networks(
    spec: TrialSpec, combination: Combination, dataset: Dataset, limits: Limits, device: Device = CPU
) -> Outcome:
    """Make what the combination says of networks of the spec's recipe, save it, and predict validation and test images.

    Its weights are files that `save_network` wrote, at least one. Running statistics of batch norms are averaged like
    weights: estimated anew from clean images they were better on 398 photos and worse on 4,300 (docs/LOG.md).
    Where some of the networks learned from the validation images, no predictions of these are left, and Diverged is
    raised where it classifies fewer of them correctly than the combination asks for.
    """
    began = time.monotonic()
    recipe, place = spec.recipe.at(dataset.store.native_resolution), torch.device(device.place)
    settle_on(place)
    paths = [Path(path) for path in combination.weights]
    states: Sequence[State] = [load_file(path) for path in paths]
    shown = _Shown(dataset, recipe, saved_normalization(paths[0]), place)
    networks = list(_networks([_mean(states)] if combination.averaged else states, shown))
    is_one = len(networks) == 1 and not combination.mirrored
    made = (networks[0] if is_one else Together(networks, mirrored=combination.mirrored)).to(place)
    validation, test = (shown.predicted(made, part) for part in (dataset.splits.validation, dataset.splits.test))
    if combination.least is not None:
        if shown.right(validation) < combination.least:
            raise Diverged(
                f"together they classify {shown.right(validation):.3f} of the validation images correctly, each alone "
                f"{combination.least:.3f} on average; what is made of networks must not be worse than they are."
            )
        validation = NO_PROBABILITIES
    if limits.save_to:
        mean, std = (np.array(values, np.float32) for values in shown.normal)
        save_network(Path(limits.save_to), made, (mean, std), saved_padding(paths[0]))
    return Outcome("finished", validation, test, seconds=time.monotonic() - began, weights=limits.save_to)


class _Shown(NamedTuple):
    """What the networks see: images of the data set as their recipe has them. normal: mean and standard deviation."""

    dataset: Dataset
    recipe: Recipe
    normal: tuple[tuple[float, ...], tuple[float, ...]]
    place: torch.device

    def predicted(self, network: nn.Module, part: NDArray[np.int64]) -> NDArray[np.float32]:
        """Probabilities (n, K) of the images at `part` (n,)."""
        side = self.recipe.data.resolution
        assert side is not None, "Recipe.at() wrote the resolution down"
        mean, std = (np.array(values, np.float32) for values in self.normal)
        pixels = self.dataset.store.pixels(side, self.recipe.data.resize)
        return predict_probabilities(network.to(self.place), unchanged(pixels, part, (mean, std), self.place)())

    def right(self, probabilities: NDArray[np.float32]) -> float:
        """The share of the validation images that they classify correctly."""
        return float((probabilities.argmax(1) == self.dataset.labels[self.dataset.splits.validation]).mean())


def _networks(states: Sequence[State], shown: _Shown) -> Iterator[nn.Module]:
    side = shown.recipe.data.resolution
    assert side is not None, "Recipe.at() wrote the resolution down"
    for state in states:
        network = build_network(
            shown.recipe.architecture,
            classes=len(shown.dataset.classes),
            channels=shown.dataset.channels,
            resolution=side,
        )
        network.load_state_dict(state)
        yield network


def _mean(states: Sequence[State]) -> State:
    return {
        name: torch.stack([state[name] for state in states]).mean(0) if first.is_floating_point() else first
        for name, first in states[0].items()
    }
