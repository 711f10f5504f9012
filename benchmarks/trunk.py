"""What a search on branches of one long training is worth: `python benchmarks/trunk.py NAME=DATA [NAME=DATA ...]`.

A training at a learning rate that stays high can be left at any step, judged by the average of its last weights, and
continued (Haegele et al. 2024, sections 3 and 4: the average does what a decay does). Each way below takes as many
steps as the others, on images of the full size, from the same pretrained network under a head that is trained first:

    one       no search: the recipe `fine-tune` for all steps
    trunk     a trunk, which two changes leave at a time as branches, beside one without; the branch that validation
              likes best is the trunk from there on, the other two are lost
    short     a short training of each of six changes and one without, then one long training with those that scored
              better than it

Prints a line a run: the score of validation and test images, which changes it ended with, and its share of the steps.
The test images were predicted without their labels.

Command: python benchmarks/trunk.py NAME=DATA [NAME=DATA ...] [--seeds 0,1] [--epochs 10] [--json FILE]
Last result: docs/LOG.md, "A trunk and its branches".
"""

import argparse
import copy
import json
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor, nn
from torch.optim import Optimizer

from convlift.augment.streams import Streams
from convlift.campaign.open_data import open_data
from convlift.campaign.request import request_of
from convlift.campaign.session import Session
from convlift.data.dataset import Dataset
from convlift.features.cached import extract
from convlift.features.extraction import Images
from convlift.model.build import build_network
from convlift.model.freezing import freeze, unfreeze
from convlift.model.pretrained import Classifier, Tail
from convlift.recipe.architecture import Pretrained
from convlift.recipe.built_in import built_in
from convlift.recipe.recipe import Recipe
from convlift.records.compute_device import CPU
from convlift.train.averaging import alike
from convlift.train.evaluate import predict_probabilities
from convlift.train.micro_batches import MicroBatches
from convlift.train.objectives import CrossEntropy
from convlift.train.optimizers import make_optimizer
from convlift.train.step import take_gradients
from convlift.trial.batches import ON_CPU, Draw, image_draw, to_tensor, training_batches, unchanged
from convlift.trial.frozen_stages import FrozenStages
from convlift.trial.mixed_batches import mixed
from convlift.trial.phase import run_phase
from convlift.trial.transfer import _extraction, _second_phase, _statistics, _stored_data
from convlift.trial.trial_clock import TrialClock

CHANGES: dict[str, dict[str, Any]] = {
    "CutMix": {"data": {"mixing": {"cutmix": 1.0}}},
    "erasing": {"data": {"augmentation": {"erase": 0.33, "erase_chance": 0.25}}},
    "mixup": {"data": {"mixing": {"mixup": 0.4}}},
    "stronger colour": {"data": {"augmentation": {"brightness": 0.2, "contrast": 0.4, "saturation": 0.4}}},
    "larger moves": {"data": {"augmentation": {"rotation": 0.08, "zoom": 0.4}}},
    "no smoothing": {"training": {"label_smoothing": 0.0}},
}
AVERAGED = 0.6  # of the steps, the last: `fine-tune` averages from .4 on
TRUNK_FIRST, BRANCH, SHORT = 0.3, 1 / 15, 1 / 15  # of all steps: before the first branches; a branch; a short training


class World(NamedTuple):
    """What every way begins with: the images, the recipe at their size, and the network with its first head."""

    dataset: Dataset
    recipe: Recipe
    network: Classifier
    normal: tuple[Any, Any]


@dataclass
class State:
    """A training that can be left and continued. tail: what is trained; changes: that it has; epochs: it was given."""

    tail: Tail
    optimizer: Optimizer
    changes: tuple[str, ...] = ()
    epochs: float = 0.0
    averages: list[Tensor] = field(default_factory=list)
    averaged: int = 0


def world_of(data: str, seed: int, cache: Path) -> World:
    """Read the images and train the head on stored features, as `train_transfer` does."""
    dataset, _ = open_data(request_of(data, None, cache, seed=seed), Session())
    recipe = built_in("fine-tune").at(dataset.store.native_resolution)
    assert isinstance(recipe.architecture, Pretrained)
    assert recipe.data.resolution is not None
    torch.manual_seed(seed)
    pixels = dataset.store.pixels(recipe.data.resolution, recipe.data.preparation)
    normal = _statistics(recipe.data.normalization, recipe.architecture, pixels, dataset.splits.train)
    network = build_network(
        recipe.architecture,
        classes=len(dataset.classes),
        channels=dataset.channels,
        resolution=recipe.data.resolution,
    )
    assert isinstance(network, Classifier)
    freeze(network)
    images = Images(pixels, dataset.store.fingerprint, recipe.data.preparation.name, dataset.splits.train)
    cached = extract(_extraction(recipe, normal, CPU), network.backbone, images, cache / "features", stop=lambda: False)
    assert cached is not None
    clock = TrialClock(float("inf"), lambda _: None)
    run_phase(network.head, _stored_data("head", cached.features, dataset, ON_CPU), recipe.training, seed, clock)
    assert recipe.training.fine_tuning is not None
    unfreeze(network, recipe.training.fine_tuning.stages, recipe.training.fine_tuning.batch_norm)
    return World(dataset, recipe, network, normal)


def begin(world: World) -> State:
    """Before the first step."""
    tuned = world.recipe.training.fine_tuning
    assert tuned is not None
    assert tuned.stages is not None
    tail = Tail(copy.deepcopy(world.network), tuned.stages)
    return State(tail, _optimizer(world, tail))


def branch_of(world: World, state: State, change: str) -> State:
    """A copy that goes on with one change more."""
    tail = copy.deepcopy(state.tail)
    optimizer = _optimizer(world, tail)
    optimizer.load_state_dict(copy.deepcopy(state.optimizer.state_dict()))
    changes = (*state.changes, change) if change else state.changes
    averages = [each.clone() for each in state.averages]
    return State(tail, optimizer, changes, state.epochs, averages, state.averaged)


def _optimizer(world: World, tail: nn.Module) -> Optimizer:
    tuned = world.recipe.training.fine_tuning
    assert tuned is not None
    return make_optimizer(tail, _second_phase(world.recipe.training, tuned, 1.0), {})


def go_on(world: World, state: State, epochs: float, seed: int, averages: Callable[[int], bool]) -> None:
    """So many more epochs, or the part of one. averages: whether the weights after the n-th step, from 1 on, count."""
    recipe = world.recipe
    for change in state.changes:
        recipe = recipe.edit(**CHANGES[change])
    tuned = recipe.training.fine_tuning
    assert tuned is not None
    draw, labels = _draw(world, state, recipe), to_tensor(world.dataset.labels[world.dataset.splits.train])
    objective, size = CrossEntropy(recipe.training.label_smoothing, None, None), tuned.batch_size or 32
    wanted, taken, epoch = round(epochs * len(labels) / size), 0, round(1000 * state.epochs)
    state.tail.train()
    while taken < wanted:
        streams = Streams(seed, "fine-tune", epoch)
        batches = training_batches(draw, labels, size, streams)
        if recipe.data.mixing.active:
            batches = mixed(batches, recipe.data.mixing, len(world.dataset.classes), streams)
        for batch in batches:
            if taken == wanted:
                break
            state.optimizer.zero_grad(set_to_none=True)
            take_gradients(state.tail, batch, objective, MicroBatches())
            state.optimizer.step()
            taken += 1
            if averages(taken):
                _take_in(state)
        epoch += 1000
    state.epochs += epochs


def _draw(world: World, state: State, recipe: Recipe) -> Draw:
    side, tuned = recipe.data.resolution, recipe.training.fine_tuning
    assert side is not None
    assert tuned is not None
    assert tuned.stages is not None
    pixels = world.dataset.store.pixels(side, recipe.data.preparation)
    own = np.ascontiguousarray(pixels[world.dataset.splits.train])
    sample = next(unchanged(pixels, world.dataset.splits.train[:2], world.normal)())
    below = FrozenStages(world.network, tuned.stages, sample)
    return below.of_drawn(image_draw(own, recipe.data.augmentation, world.normal))


def _weights(tail: nn.Module) -> list[Tensor]:
    return [each.detach() for each in tail.state_dict(keep_vars=True).values() if each.is_floating_point()]


@torch.no_grad()
def _take_in(state: State) -> None:
    own = _weights(state.tail)
    if not state.averaged:
        state.averages = [each.clone() for each in own]
    state.averaged += 1
    torch._foreach_lerp_(state.averages, own, alike(state.averaged))


def scores(world: World, state: State, labels: dict[str, Any]) -> dict[str, float]:
    """Accuracy of the average on each part that labels are given of, in percent; the weights stay as they are."""
    tail, recipe = copy.deepcopy(state.tail), world.recipe
    tuned, side = recipe.training.fine_tuning, recipe.data.resolution
    assert tuned is not None
    assert tuned.stages is not None
    assert side is not None
    if state.averaged:
        torch._foreach_copy_(_weights(tail), state.averages)
    pixels, found = world.dataset.store.pixels(side, recipe.data.preparation), {}
    sample = next(unchanged(pixels, world.dataset.splits.train[:2], world.normal)())
    below = FrozenStages(world.network, tuned.stages, sample)
    for part, known in labels.items():
        images = below.of_unchanged(unchanged(pixels, getattr(world.dataset.splits, part), world.normal), keep=False)
        found[part] = 100.0 * float((predict_probabilities(tail, images()).argmax(1) == known).mean())
    return found


def one(world: World, epochs: float, seed: int, labels: dict[str, Any], changes: tuple[str, ...] = ()) -> State:
    """One training of all steps."""
    state = begin(world)
    state.changes = changes
    go_on(world, state, (1 - AVERAGED) * epochs, seed, lambda _: False)
    go_on(world, state, AVERAGED * epochs, seed, lambda _: True)
    return state


def trunk(world: World, epochs: float, seed: int, labels: dict[str, Any]) -> State:
    """Three branches at a time, the best of which goes on; its last AVERAGED of the steps are averaged."""
    names, own = list(CHANGES), {"validation": labels["validation"]}
    rounds = len(names) // 2
    lived = epochs * (1 - 2 * rounds * BRANCH)  # of what was not lost
    state = begin(world)
    go_on(world, state, TRUNK_FIRST * epochs, seed, lambda _: False)
    for number in range(rounds):
        branches = [branch_of(world, state, name) for name in ("", *names[2 * number : 2 * number + 2])]
        for branch in branches:
            branch.averages, branch.averaged = [], 0
            go_on(world, branch, BRANCH * epochs, seed, lambda _: True)
        state = max(branches, key=lambda branch: scores(world, branch, own)["validation"])
    rest = lived - state.epochs
    before = max(0.0, (1 - AVERAGED) * lived - state.epochs)
    if before:
        go_on(world, state, before, seed, lambda _: False)
        state.averages, state.averaged = [], 0
    go_on(world, state, rest - before, seed, lambda _: True)
    return state


def short(world: World, epochs: float, seed: int, labels: dict[str, Any]) -> State:
    """Short trainings of single changes, then a long one with those that helped."""
    own = {"validation": labels["validation"]}

    def score(changes: tuple[str, ...]) -> float:
        return scores(world, one(world, SHORT * epochs, seed, labels, changes), own)["validation"]

    bare = score(())
    helped = tuple(name for name in CHANGES if score((name,)) > bare)
    return one(world, epochs * (1 - SHORT * (1 + len(CHANGES))), seed, labels, helped)


WAYS: dict[str, Callable[[World, float, int, dict[str, Any]], State]] = {"one": one, "trunk": trunk, "short": short}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", nargs="+", metavar="NAME=DATA")
    parser.add_argument("--seeds", default="0,1")
    parser.add_argument("--epochs", type=float, default=10)
    parser.add_argument("--json", type=Path)
    asked = parser.parse_args()
    torch.set_num_threads(1)
    rows: list[dict[str, Any]] = []
    for seed in map(int, asked.seeds.split(",")):
        for name, _, data in (each.partition("=") for each in asked.data):
            with tempfile.TemporaryDirectory() as folder:
                world = world_of(data, seed, Path(folder))
                _, sealed = open_data(request_of(data, None, Path(folder), seed=seed), Session())
                labels = {"validation": world.dataset.labels[world.dataset.splits.validation], "test": sealed.open()}
                for way, train in WAYS.items():
                    began = time.monotonic()
                    state = train(world, asked.epochs, seed, labels)
                    found = scores(world, state, labels)
                    rows.append(
                        {
                            "data": name,
                            "seed": seed,
                            "way": way,
                            "epochs": asked.epochs,
                            "trained": round(state.epochs, 2),
                            "changes": state.changes,
                            **{part: round(value, 2) for part, value in found.items()},
                            "seconds": round(time.monotonic() - began),
                        }
                    )
                    print(json.dumps(rows[-1]), flush=True)
                    if asked.json:
                        asked.json.write_text(json.dumps({"schema_version": 1, "rows": rows}, indent=1))


if __name__ == "__main__":
    main()
