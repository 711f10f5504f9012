"""How long judging on shifted images will take, from some of them: nothing is judged, nothing is kept.

The steps of `judge_shift`, each timed on validation images, images of the folder, and networks with random weights.
"""

import time
from collections.abc import Callable, Sequence
from typing import NamedTuple, TypeVar

import numpy as np
import torch

from convlift.campaign.request import Request
from convlift.campaign.shift_asked import copies_each, hash_of, open_folder_of
from convlift.console.resources import usable_cpus
from convlift.data.dataset import Dataset
from convlift.data.readers.source import Source
from convlift.deploy.adapt_batch_norm import MOST_IMAGES, USUAL_PSEUDO, adapted_statistics, has_batch_norm
from convlift.deploy.images import Pixels
from convlift.deploy.model_folder import ModelConfig
from convlift.deploy.predict import Model
from convlift.errors import ConvliftError, UnreadableImage
from convlift.model.build import build_network
from convlift.recipe.recipe import Recipe
from convlift.records.compute_device import Device
from convlift.robustness.corruptions import corrupt, framed
from convlift.robustness.dealing import dealt
from convlift.robustness.names import names_for
from convlift.train.device import release_memory
from convlift.trial.calibrate import measuring, threads, untrained

T = TypeVar("T")

SAMPLE = 16  # images that each step is timed on; of more corruptions one copy each
SLACK = 1.25  # times as long: what ships may be larger than what was timed, and the machine slower by then


class StepSeconds(NamedTuple):
    """Of one image. making: its corrupted copy; reading: it from the folder; before, after: what the baseline's
    network, and the one that ships, say of it; adapting: its part of the statistics that the latter's batch norms take,
    0 where it has none."""

    making: float
    reading: float
    before: float
    after: float
    adapting: float


def time_shift(request: Request, dataset: Dataset, before: Recipe, after: Recipe, passes: int) -> float:
    """Seconds that judging will take where the baseline is `before`, and what ships takes so many passes of a network
    of `after`; some are taken here. 0 where that cannot be measured, as on a device without room."""
    names = names_for(request.shift, dataset.channels)
    copies = copies_each(request, len(dataset.splits.test), len(names), dataset.store.native_resolution)
    folder = open_folder_of(request, dataset) if request.shift_data else None
    try:
        each = _steps(dataset, names, folder, (before, after), request.devices[0])
    except (ConvliftError, RuntimeError):
        return 0.0
    return judging_seconds(each, copies * len(dataset.splits.test), len(folder.items) if folder else 0, passes)


def judging_seconds(each: StepSeconds, copies: int, folder: int, passes: int) -> float:
    """Of so many copies and images of the folder. An adapted network sees all images once more, after those that its
    statistics are of."""
    again = each.before + passes * each.after
    seconds = copies * (each.making + again) + folder * (3 * each.reading + again)
    if each.adapting:
        seconds += copies * (each.making + passes * (each.after + each.adapting))
        seconds += folder * (each.reading + passes * each.after)
        seconds += min(folder, MOST_IMAGES) * (each.reading + passes * each.adapting)
    return SLACK * seconds


def _steps(
    dataset: Dataset, names: Sequence[str], folder: Source | None, recipes: tuple[Recipe, Recipe], device: Device
) -> StepSeconds:
    places = np.resize(dataset.splits.validation, max(SAMPLE, len(names)))
    images = [dataset.store.image(int(place)) for place in places]
    deal = [own[0] for own in dealt(names, len(images), 1)] if names else []

    def make() -> list[Pixels]:
        return [corrupt(framed(image), *copy) for image, copy in zip(images, deal, strict=True)]

    making, copies = _again(make) if names else (0.0, images)
    first, second = recipes
    before, adapting = _answering(first, dataset, device, copies)
    after, adapting = (before, adapting) if first == second else _answering(second, dataset, device, copies)
    release_memory(torch.device(device.place))  # which a worker may have to train in
    return StepSeconds(making / len(images), _reading(folder, dataset), before, after, adapting)


def _answering(recipe: Recipe, dataset: Dataset, device: Device, images: Sequence[Pixels]) -> tuple[float, float]:
    """Seconds in which a network of the recipe answers an image, and in which its batch norms adapt to it."""
    number = min(torch.get_num_threads(), usable_cpus())
    with measuring(torch.device(device.place)), threads(number):
        model = _untrained_model(recipe.at(dataset.store.native_resolution), dataset, device)
        seconds, _ = _again(lambda: model.probabilities([model.prepared(image) for image in images]))
        if not has_batch_norm(model):
            return seconds / len(images), 0.0
        squares = [model.prepared(image) for image in images]
        began = time.perf_counter()
        adapted_statistics(model, squares, USUAL_PSEUDO)
        return seconds / len(images), (time.perf_counter() - began) / len(images)


def _untrained_model(recipe: Recipe, dataset: Dataset, device: Device) -> Model:
    data, channels = recipe.data, dataset.channels
    assert data.resolution is not None, "Recipe.at() wrote the resolution down"
    config = ModelConfig(
        dataset.classes, channels, data.resolution, data.resize, (0.0,) * channels, (1.0,) * channels, {},
        grey=data.grey, contrast=data.contrast,
    )  # fmt: skip
    network = build_network(
        untrained(recipe).architecture, classes=len(dataset.classes), channels=channels, resolution=data.resolution
    )
    return Model(network, recipe, config, device)


def _reading(source: Source | None, dataset: Dataset) -> float:
    """Seconds in which an image of the folder is read; 0 where there is none."""
    if source is None:
        return 0.0
    places = np.unique(np.linspace(0, len(source.items) - 1, min(SAMPLE, len(source.items))).astype(np.int64))
    began = time.perf_counter()
    for place in places.tolist():
        try:
            hash_of(source.read(place), dataset)
        except (UnreadableImage, OSError):
            continue
    return (time.perf_counter() - began) / len(places)


def _again(action: Callable[[], T]) -> tuple[float, T]:
    """Seconds of the second call, and what it gave: in the first, libraries are loaded."""
    action()
    began = time.perf_counter()
    found = action()
    return time.perf_counter() - began, found
