"""How long a training would take, from some steps of it on random images: nothing is trained, nothing is kept."""

import math
import statistics
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor, nn

from convlift.augment.streams import Streams
from convlift.features.extraction import device_of
from convlift.model.backbone import split_at
from convlift.model.build import build_network
from convlift.model.freezing import unfreeze
from convlift.model.memory import keep_freed_memory
from convlift.model.placement import lay_on
from convlift.model.pretrained import Classifier, Tail, as_colour
from convlift.recipe.architecture import Pretrained
from convlift.recipe.recipe import VIEWS, Recipe
from convlift.recipe.training import Training, smaller
from convlift.records.compute_device import CPU, Device
from convlift.train.batch import Batch
from convlift.train.device import release_memory, settle_on, synchronize
from convlift.train.fit import fit
from convlift.train.objectives import CrossEntropy
from convlift.train.optimizers import make_optimizer
from convlift.trial.batches import image_draw
from convlift.trial.frozen_stages import FrozenStages

SECONDS = 0.5  # of each measurement; at least LEAST repetitions
LEAST, WARM_UP = 3, 2
LONGEST = 1.0  # seconds, from which on a CPU no further step of a large network is waited for
WARM_UP_OFF_CPU = 10  # steps in which a GPU loads its kernels and raises its clock
BATCH = 64  # images of a forward pass when features are extracted


class Sizes(NamedTuple):
    """images: for training; held_out: validation and test images together, of which validation is taken to be half."""

    images: int
    held_out: int
    classes: int
    channels: int


def calibrate(
    recipe: Recipe, *, images: int, held_out: int, classes: int, channels: int, device: Device = CPU
) -> tuple[float, float]:
    """(seconds of the extraction of features, seconds of the epochs) of one training on one core, or on a device.

    recipe: with its resolution written down; images: for training; held_out: validation and test images together, of
    which validation is taken to be half. A few seconds; torch's threads and random generator are left as they were.
    """
    keep_freed_memory()
    place = torch.device(device.place)
    with measuring(place):
        side = recipe.data.resolution
        assert side is not None, "Recipe.at() wrote the resolution down"
        pixels = np.random.default_rng(0).integers(0, 256, (256, side, side, channels), np.uint8)
        network = recipe.architecture
        if isinstance(network, Pretrained):
            return _transfer(untrained(recipe), pixels, images, held_out, classes, place)
        built = lay_on(build_network(network, classes=classes, channels=channels, resolution=side), place)
        draw = draws(recipe, pixels, recipe.training.batch_size, place, compared=recipe.compares_views)
        step = seconds_a_step(built, draw, classes, recipe.training, _views(recipe))
        return 0.0, _epochs(recipe.training.epochs, recipe.training.batch_size, step, images, held_out)


def time_tuning(recipe: Recipe, sizes: Sizes, device: Device, seconds: float = SECONDS) -> float:
    """Seconds of the fine-tuning of a recipe whose images run through the network anew every time; see `calibrate`.

    seconds: how long is measured, SECONDS at least.
    """
    keep_freed_memory()
    place, side = torch.device(device.place), recipe.data.resolution
    assert side is not None, "Recipe.at() wrote the resolution down"
    network = untrained(recipe).architecture
    with measuring(place):
        built = build_network(network, classes=sizes.classes, channels=sizes.channels, resolution=side)
        assert isinstance(built, Classifier), "only these are fine-tuned"
        try:
            return _tuning_on_images(lay_on(built, place), recipe, sizes, seconds)
        finally:
            release_memory(place)  # which a worker may have to train in


def time_prediction(recipe: Recipe, *, classes: int, channels: int, device: Device) -> float:
    """Milliseconds that a recipe's network takes for an image alone, with one thread; see `calibrate`."""
    place, side = torch.device(device.place), recipe.data.resolution
    assert side is not None, "Recipe.at() wrote the resolution down"
    network = untrained(recipe).architecture
    with measuring(place):
        built = lay_on(build_network(network, classes=classes, channels=channels, resolution=side).eval(), place)
        image = torch.zeros(1, channels, side, side, device=place)
        with torch.inference_mode():
            return 1000.0 * repeated(lambda: built(image), place)


def untrained(recipe: Recipe) -> Recipe:
    """A recipe whose network takes as long, and whose weights need not be there."""
    is_pretrained = isinstance(recipe.architecture, Pretrained)
    return recipe.edit(architecture={"weights": "random"}) if is_pretrained else recipe


def _transfer(
    recipe: Recipe, pixels: np.ndarray, images: int, held_out: int, classes: int, place: torch.device
) -> tuple[float, float]:
    training, tuned = recipe.training, recipe.training.fine_tuning
    network = build_network(recipe.architecture, classes=classes, channels=pixels.shape[3], resolution=pixels.shape[1])
    assert isinstance(network, Classifier)
    lay_on(network.eval(), place)
    inputs = as_colour(draws(recipe, pixels, BATCH, place)())
    with torch.inference_mode():
        forward = repeated(lambda: network.backbone(inputs), place) / len(inputs)
    extraction = forward * (images * (1 + recipe.data.views) + held_out)
    features = torch.randn(training.batch_size, network.width).to(place)
    step = seconds_a_step(network.head, lambda: features, classes, training)
    epochs = _epochs(training.epochs, training.batch_size, step, images, held_out)
    if tuned is None:
        return extraction, epochs
    if recipe.tunes_on_images:
        sizes = Sizes(images, held_out, classes, pixels.shape[3])
        return extraction, epochs + _tuning_on_images(network, recipe, sizes)
    assert tuned.stages is not None, "else it runs on images"
    drawn = as_colour(draws(recipe, pixels, tuned.batch_size, place)())
    with torch.no_grad():
        activations = split_at(network.backbone, tuned.stages)[0](drawn)
    settings = training.model_copy(update={"learning_rate": tuned.learning_rate})
    step = seconds_a_step(Tail(network, tuned.stages), lambda: activations, classes, settings)
    return extraction, epochs + _epochs(tuned.epochs, tuned.batch_size, step, images, held_out)


def _tuning_on_images(network: Classifier, recipe: Recipe, sizes: Sizes, seconds: float = SECONDS) -> float:
    """The second phase, by steps on images of the full size, and of the small one where it begins with these."""
    tuned, side = recipe.training.fine_tuning, recipe.data.resolution
    assert tuned is not None, "it is fine-tuned"
    assert side is not None, "Recipe.at() wrote the resolution down"
    sides = [side, smaller(side)] if tuned.small_first else [side]
    unfreeze(network, tuned.stages, tuned.batch_norm)
    steps = [_tuning_step(network, recipe, each, sizes, seconds / len(sides)) for each in sides]
    mean = (1.0 - tuned.small_first) * steps[0] + tuned.small_first * steps[-1]
    return _epochs(tuned.epochs, tuned.batch_size, mean, sizes.images, sizes.held_out)


def _tuning_step(network: Classifier, recipe: Recipe, side: int, sizes: Sizes, seconds: float) -> float:
    tuned = recipe.training.fine_tuning
    assert tuned is not None, "it is fine-tuned"
    settings = recipe.training.model_copy(update={"learning_rate": tuned.learning_rate})
    pixels = np.random.default_rng(0).integers(0, 256, (256, side, side, sizes.channels), np.uint8)
    drawn = draws(recipe, pixels, tuned.batch_size, device_of(network), compared=recipe.compares_views)
    if tuned.stages is None:
        return seconds_a_step(network, drawn, sizes.classes, settings, _views(recipe), seconds)
    below, tail = FrozenStages(network, tuned.stages, drawn()[:2]), Tail(network, tuned.stages)
    return seconds_a_step(tail, lambda: below.to_learn(drawn()), sizes.classes, settings, _views(recipe), seconds)


def _epochs(epochs: int, batch_size: int, step: float, images: int, held_out: int) -> float:
    """A validation image costs a forward pass, a third of a training image's share of a step."""
    return epochs * step * (math.ceil(images / batch_size) + held_out / 2 / 3 / batch_size)


def _views(recipe: Recipe) -> int:
    """How often a step takes an image that changes every time."""
    return VIEWS if recipe.compares_views else 1


def draws(
    recipe: Recipe, pixels: np.ndarray, count: int, place: torch.device, *, compared: bool = False
) -> Callable[[], Tensor]:
    """Gives a batch of `count` images, augmented as the recipe says; compared: see `image_draw`."""
    mean, std = np.full(pixels.shape[3], 0.5, np.float32), np.full(pixels.shape[3], 0.25, np.float32)
    normal = (mean, None if recipe.data.normalization == "image" else std)
    draw, streams = image_draw(pixels, recipe.data.augmentation, normal, place, compared=compared), Streams(0)
    return lambda: draw(streams["order"].integers(0, len(pixels), count), streams)


def seconds_a_step(
    network: nn.Module,
    draw: Callable[[], Tensor],
    classes: int,
    training: Training,
    views: int = 1,
    seconds: float = SECONDS,
) -> float:
    """One step of the loop that trains, as the mean of those that so many seconds have room for, SECONDS at least;
    views: that `draw` gives of each image."""
    for parameter in network.parameters():
        parameter.requires_grad_(True)
    steps, place, wanted = 0, device_of(network), max(SECONDS, seconds)
    least = (WARM_UP if place.type == "cpu" else WARM_UP_OFF_CPU, LEAST)

    def batches(epoch: int) -> Iterator[Batch]:
        nonlocal steps
        began, steps = time.perf_counter(), 0
        while steps < least[epoch] or (epoch and time.perf_counter() - began < wanted):
            if steps and place.type == "cpu" and time.perf_counter() - began > max(LONGEST, wanted):
                return
            inputs = draw()
            steps += 1
            yield Batch(inputs, torch.randint(0, classes, (len(inputs) // views,)).to(place))

    objective = CrossEntropy(training.label_smoothing, consistency=training.consistency)
    optimizer = make_optimizer(network, training)
    *_, last = fit(network, batches, objective, optimizer, lambda step: 1e-3, epochs=2)
    return last.seconds / steps  # `fit` reads the loss before the clock, and so has waited for the device


def repeated(action: Callable[[], object], place: torch.device) -> float:
    """Median seconds of one call."""
    for _ in range(WARM_UP if place.type == "cpu" else WARM_UP_OFF_CPU):
        action()
    taken: list[float] = []
    while len(taken) < LEAST or sum(taken) < SECONDS:
        synchronize(place)
        began = time.perf_counter()
        action()
        synchronize(place)
        taken.append(time.perf_counter() - began)
    return statistics.median(taken)


@contextmanager
def measuring(place: torch.device) -> Iterator[None]:
    """As a worker computes on a device, with one thread; torch's threads and random generator are put back."""
    settle_on(place)
    with threads(1), torch.random.fork_rng([place] if place.type == "cuda" else []):
        torch.manual_seed(0)
        yield


@contextmanager
def threads(number: int) -> Iterator[None]:
    """So many threads of torch's, as a worker process has 1; the caller's number is put back."""
    before = torch.get_num_threads()
    torch.set_num_threads(number)
    try:
        yield
    finally:
        torch.set_num_threads(before)
