"""One model out of several trained networks: the average of their weights, or all of them together.

Networks that were trained by the same recipe from the same pretrained weights lie in one basin of the loss, and their
average is as good as most of them together, at the cost of one (Wortsman et al. 2022, "Model soups", sections 3.3 and
4; all of them alike: their uniform soup). The mean of the probabilities of any networks is better still, and costs as
many predictions (Hansen and Salamon 1990; Lakshminarayanan et al. 2017).

Where their features differ, their average has smaller ones, and its logits are smaller: it is right more often than
they are, and less sure. So its logits are enlarged until it is as sure of training images, which all of them learned
from, as they are one by one (docs/decisions/0068). No label changes.
"""

import time
from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np
import torch
from safetensors.torch import load_file
from torch import Tensor, nn

from convlift.data.dataset import Dataset
from convlift.data.normalization import Statistics, of_figures
from convlift.errors import Diverged
from convlift.evidence.temperature import matching_temperature
from convlift.model.build import build_network
from convlift.model.checkpoint import save_network, saved_normalization, saved_padding
from convlift.model.placement import lay_on
from convlift.model.pretrained import Classifier
from convlift.model.together import Together
from convlift.recipe.combination import SURE_OF, Combination
from convlift.recipe.recipe import Recipe
from convlift.recipe.trial_spec import Limits, TrialSpec
from convlift.records.compute_device import CPU, Device
from convlift.records.outcome import NO_PROBABILITIES, Outcome
from convlift.train.device import settle_on
from convlift.train.evaluate import predict_probabilities
from convlift.trial.batches import unchanged
from convlift.trial.from_scratch import predict_squares
from convlift.trial.frozen_stages import Inputs
from convlift.trial.label_preservation import spread
from convlift.trial.shifted_copies import shifted_squares

State = dict[str, Tensor]


def combine_networks(
    spec: TrialSpec, combination: Combination, dataset: Dataset, limits: Limits, device: Device = CPU
) -> Outcome:
    """Make what the combination says of networks of the spec's recipe, save it, and predict validation and test images,
    and corrupted copies of the validation images where the data set has any.

    Its weights are files that `save_network` wrote, at least one. Running statistics of batch norms are averaged like
    weights: estimated anew from clean images they were better on 398 photos and worse on 4,300 (docs/LOG.md).
    Where some of the networks learned from the validation images, no predictions of these are left, and Diverged is
    raised where it classifies fewer of them correctly than the combination asks for.
    """
    began = time.monotonic()
    recipe, place = spec.recipe.at(dataset.store.native_resolution), torch.device(device.place)
    settle_on(place)
    paths = [Path(path) for path in combination.weights]
    normal = of_figures(*saved_normalization(paths[0]))
    made = _made(combination, recipe, dataset, normal, place)
    pixels = dataset.store.pixels(_side(recipe), recipe.data.preparation)
    validation, test = (
        predict_probabilities(made, unchanged(pixels, part, normal, place)())
        for part in (dataset.splits.validation, dataset.splits.test)
    )
    shifted = NO_PROBABILITIES
    if combination.least is None:
        shifted = predict_squares(made, shifted_squares(dataset, _side(recipe), recipe.data.preparation), normal, place)
    if combination.least is not None:
        right = float((validation.argmax(1) == dataset.labels[dataset.splits.validation]).mean())
        if right < combination.least:
            raise Diverged(
                f"together they classify {right:.3f} of the validation images correctly, each alone "
                f"{combination.least:.3f} on average; what is made of networks must not be worse than they are."
            )
        validation = NO_PROBABILITIES
    if limits.save_to:
        save_network(Path(limits.save_to), made, normal, saved_padding(paths[0]))
    return Outcome(
        "finished",
        validation,
        test,
        seconds=time.monotonic() - began,
        weights=limits.save_to,
        shifted_probabilities=shifted,
    )


def _made(
    combination: Combination, recipe: Recipe, dataset: Dataset, normal: Statistics, place: torch.device
) -> nn.Module:
    states = {path: load_file(path) for path in combination.weights}
    in_order: Sequence[State] = [states[path] for path in combination.weights]
    used = [_mean(in_order)] if combination.averaged else in_order
    networks = [_network(state, recipe, dataset) for state in used]
    is_one = len(networks) == 1 and not combination.mirrored
    made = lay_on(networks[0] if is_one else Together(networks, mirrored=combination.mirrored), place)
    if combination.averaged and len(states) > 1:
        members = (_network(state, recipe, dataset) for state in states.values())  # one at a time
        _make_as_sure(networks[0], members, _training_images(recipe, dataset, normal, place), place)
    return made


def _network(state: State, recipe: Recipe, dataset: Dataset) -> nn.Module:
    network = build_network(
        recipe.architecture, classes=len(dataset.classes), channels=dataset.channels, resolution=_side(recipe)
    )
    network.load_state_dict(state)
    return network


def _side(recipe: Recipe) -> int:
    assert recipe.data.resolution is not None, "Recipe.at() wrote the resolution down"
    return recipe.data.resolution


def _training_images(recipe: Recipe, dataset: Dataset, normal: Statistics, place: torch.device) -> Inputs:
    """Some that every network of the recipe learned from, as they are, of each class as many as its share."""
    chosen = np.sort(spread(dataset.splits.train, dataset.labels, SURE_OF, seed=0))
    return unchanged(dataset.store.pixels(_side(recipe), recipe.data.preparation), chosen, normal, place)


def _make_as_sure(average: nn.Module, members: Iterable[nn.Module], images: Inputs, place: torch.device) -> None:
    """Scale what the head of the average gives, which lies on the device, so that it says of these images most nearly
    what its members say on average."""
    assert isinstance(average, Classifier), "no others are averaged"
    wanted = [predict_probabilities(lay_on(member, place), images()) for member in members]
    by = matching_temperature(predict_probabilities(average, images()), np.mean(wanted, axis=0))
    with torch.no_grad():
        for values in average.head[-1].parameters():
            values.div_(by)


def _mean(states: Sequence[State]) -> State:
    return {
        name: torch.stack([state[name] for state in states]).mean(0) if first.is_floating_point() else first
        for name, first in states[0].items()
    }
