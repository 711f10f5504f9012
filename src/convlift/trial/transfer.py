"""Transfer learning: a new head on stored features, then the backbone's last stages at a lower learning rate.

What lies below the trained part gives the same result for the same image every time, so it is computed once and stored
(`features/cached.py`). With stored views, both phases draw among the clean image and its augmented copies. Images run
through all of the backbone only where they change or grow or all of it is trained (`Recipe.tunes_on_images`).
"""

from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Literal, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from convlift.console.mapped import taken
from convlift.data.dataset import Dataset
from convlift.data.normalization import Statistics, figures_of, statistics
from convlift.features.cached import Stored, extract
from convlift.features.extraction import Extraction, Images
from convlift.model.backbone import backbone_statistics
from convlift.model.build import build_network
from convlift.model.freezing import freeze, rate_factors, train_mode, unfreeze
from convlift.model.placement import lay_on
from convlift.model.pretrained import Classifier, Tail
from convlift.recipe.architecture import Pretrained
from convlift.recipe.data import Normalization
from convlift.recipe.mixing import Mixing
from convlift.recipe.recipe import Recipe
from convlift.recipe.training import FineTuning, Training, smaller
from convlift.recipe.trial_spec import TrialSpec
from convlift.records.compute_device import CPU, Device
from convlift.train.evaluate import predict_probabilities
from convlift.trial.batches import Draw, Indices, image_draw, labelled, to_tensor, unchanged
from convlift.trial.from_scratch import Probabilities, Trained, guesses
from convlift.trial.frozen_stages import FrozenStages
from convlift.trial.phase import PhaseData, run_phase, scaled
from convlift.trial.shifted_copies import copies_key, shifted_squares
from convlift.trial.stored_batches import stored_draw, stored_inputs
from convlift.trial.trial_clock import TrialClock

Pixels = NDArray[np.uint8]


def train_transfer(spec: TrialSpec, dataset: Dataset, cache: Path, clock: TrialClock, device: Device = CPU) -> Trained:
    """Train the spec's pretrained network; its resolution is written down."""
    recipe, splits, place = spec.recipe, dataset.splits, torch.device(device.place)
    assert recipe.data.resolution is not None, "Recipe.at() wrote the resolution down"
    assert isinstance(recipe.architecture, Pretrained), "run_trial() sends only these here"
    pixels = dataset.store.pixels(recipe.data.resolution, recipe.data.preparation)
    normal = _statistics(recipe.data.normalization, recipe.architecture, pixels, splits.train)
    network = build_network(
        recipe.architecture,
        classes=len(dataset.classes),
        channels=dataset.channels,
        resolution=recipe.data.resolution,
    )
    assert isinstance(network, Classifier), "build_network() makes one of every Pretrained"
    freeze(lay_on(network, place))
    images = Images(pixels, dataset.store.fingerprint, recipe.data.preparation.name, splits.train)
    extraction = _extraction(recipe, normal, device)
    read = partial(extract, backbone=network.backbone, folder=cache / "features", stop=clock.late)
    cached, copies = read(extraction, images=images), _images_of_copies(recipe, dataset, clock)
    if cached is None:
        return Trained(network, normal, *guesses(dataset))
    shifted = read(replace(extraction, views=0), images=copies) if copies else None
    head = recipe.training.model_copy(update={"epochs": scaled(recipe.training.epochs, spec.fidelity)})
    tuned, mixing = recipe.training.fine_tuning, recipe.data.mixing
    # a head that will be fine-tuned is brought to its one best place first, which mixtures would move
    first = replace(_stored_data("head", cached.features, dataset, place), mixing=Mixing() if tuned else mixing)
    run_phase(network.head, first, head, spec.seed, clock)
    if not clock.curve:
        return Trained(network, normal, *guesses(dataset))
    if tuned is None or clock.late():
        seen = cached.features, shifted.features if shifted else None
        return Trained(network, normal, *_predictions(network.head, *seen, dataset, place))
    unfreeze(network, tuned.stages, tuned.batch_norm)
    training = _second_phase(recipe.training, tuned, spec.fidelity)
    if cached.activations is not None and tuned.stages is not None:
        tail = Tail(network, tuned.stages)
        stored = _stored_data("fine-tune", cached.activations, dataset, place)
        run_phase(tail, _as_tuned(stored, network, recipe), training, spec.seed, clock)
        seen = cached.activations, shifted.activations if shifted else None
        return Trained(network, normal, *_predictions(tail, *seen, dataset, place))
    tuning = _Tuning(training, spec.seed, normal, place, copies)
    return Trained(network, normal, *_tune_on_images(network, recipe, dataset, tuning, clock))


class _Tuning(NamedTuple):
    """What a second phase is made of beside the recipe: its rules, the trial's seed, the images' statistics,
    the place it trains on, corrupted copies of the validation images."""

    training: Training
    seed: int
    normal: Statistics
    place: torch.device
    copies: Images | None


def _tune_on_images(
    network: Classifier, recipe: Recipe, dataset: Dataset, tuning: _Tuning, clock: TrialClock
) -> tuple[Probabilities, ...]:
    """The second phase on images that change every time; probabilities of validation and test images, and of copies."""
    splits, tuned, side = dataset.splits, recipe.training.fine_tuning, recipe.data.resolution
    assert tuned is not None, "train_transfer() looked"
    assert side is not None, "train_transfer() looked"
    pixels = dataset.store.pixels(side, recipe.data.preparation)
    validation, test, sample = (
        unchanged(pixels, part, tuning.normal, tuning.place)
        for part in (splits.validation, splits.test, splits.train[:2])
    )
    copies = _inputs_of(tuning)
    draw = _draw(recipe, dataset, side, tuning)
    first_draw = _draw(recipe, dataset, smaller(side), tuning) if tuned.small_first else None
    trained: nn.Module = network
    if tuned.stages is not None:
        trained = Tail(network, tuned.stages)
        below = FrozenStages(network, tuned.stages, next(sample()))
        draw, first_draw = below.of_drawn(draw), below.of_drawn(first_draw) if first_draw else None
        validation, test = below.of_unchanged(validation), below.of_unchanged(test, keep=False)
        copies = below.of_unchanged(copies, keep=False) if copies else None
    data = replace(
        _as_tuned(_phase_data("fine-tune", draw, validation, dataset, tuning.place), network, recipe),
        first_draw=first_draw,
        first_share=tuned.small_first,
    )
    run_phase(trained, data, tuning.training, tuning.seed, clock)
    seen = (validation, test, *([copies] if copies else []))
    return tuple(predict_probabilities(trained, inputs()) for inputs in seen)


def _inputs_of(tuning: _Tuning) -> Callable[[], Iterator[Tensor]] | None:
    """Gives the corrupted copies, batch by batch; None where there are none."""
    if tuning.copies is None:
        return None
    squares = tuning.copies.pixels
    return unchanged(squares, np.arange(len(squares)), tuning.normal, tuning.place)


def _images_of_copies(recipe: Recipe, dataset: Dataset, clock: TrialClock) -> Images | None:
    """The corrupted copies of the validation images; None where there are none, or no time for them."""
    assert recipe.data.resolution is not None, "Recipe.at() wrote the resolution down"
    squares = shifted_squares(dataset, recipe.data.resolution, recipe.data.preparation, clock.late)
    if not len(squares):
        return None
    fingerprint = f"{dataset.store.fingerprint} {copies_key(dataset)}"
    return Images(squares, fingerprint, recipe.data.preparation.name, np.zeros(0, np.int64))


def _as_tuned(data: PhaseData, network: Classifier, recipe: Recipe) -> PhaseData:
    """The data of the second phase, with how the recipe learns from them there."""
    tuned = recipe.training.fine_tuning
    assert tuned is not None, "train_transfer() looked"
    factors = rate_factors(network, tuned.layer_decay)
    return replace(data, rate_factors=factors, mixing=recipe.data.mixing, average_from=tuned.average_from)


def _draw(recipe: Recipe, dataset: Dataset, resolution: int, tuning: _Tuning) -> Draw:
    """Draws augmented images of that resolution."""
    pixels = dataset.store.pixels(resolution, recipe.data.preparation)
    own = taken(pixels, dataset.splits.train)
    compared = recipe.compares_views
    return image_draw(own, recipe.data.augmentation, tuning.normal, tuning.place, compared=compared)


def _statistics(kind: Normalization, network: Pretrained, pixels: Pixels, train: Indices) -> Statistics:
    pretrained = backbone_statistics(network.backbone, network.weights) if kind == "pretrained" else None
    return statistics(kind, pixels, pretrained, train)


def _extraction(recipe: Recipe, normal: Statistics, device: Device) -> Extraction:
    """What is stored: pooled features, and the activations below the unfrozen stages unless images change afresh."""
    data, tuned = recipe.data, recipe.training.fine_tuning
    assert isinstance(recipe.architecture, Pretrained), "run_trial() sends only these here"
    mean, std = figures_of(normal)
    stages = None if tuned is None or recipe.tunes_on_images else tuned.stages
    pooled = recipe.architecture.pooled_stages
    return Extraction(mean, std, data.augmentation, data.views, stages, pooled, device.model)


def _second_phase(training: Training, tuned: FineTuning, fidelity: float) -> Training:
    """The rules of the second phase: its own where it has any, else those of the first."""
    own = tuned.model_dump(include={"learning_rate", "schedule", "warmup", "batch_size"})
    return training.model_copy(update={**own, "epochs": scaled(tuned.epochs, fidelity)})


def _stored_data(
    name: Literal["head", "fine-tune"], stored: Stored, dataset: Dataset, place: torch.device
) -> PhaseData:
    draw = stored_draw(stored, place)
    return _phase_data(name, draw, lambda: stored_inputs(stored, dataset.splits.validation, place), dataset, place)


def _phase_data(
    name: Literal["head", "fine-tune"],
    draw: Draw,
    validation: Callable[[], Iterator[Tensor]],
    dataset: Dataset,
    place: torch.device,
) -> PhaseData:
    splits = dataset.splits
    labels, validation_labels = (to_tensor(dataset.labels[part], place) for part in (splits.train, splits.validation))
    return PhaseData(
        name,
        draw,
        labels,
        lambda: labelled(validation(), validation_labels),
        len(validation_labels),
        len(dataset.classes),
        train_mode,
        len(splits.test) + dataset.number_of_copies,
        refit=dataset.refit,
    )


def _predictions(
    network: nn.Module, stored: Stored, copies: Stored | None, dataset: Dataset, place: torch.device
) -> tuple[Probabilities, ...]:
    """Probabilities of validation and test images, and of copies where there are any, from their stored results."""
    seen = [(stored, dataset.splits.validation), (stored, dataset.splits.test)]
    seen += [(copies, np.arange(len(copies.clean)))] if copies else []
    return tuple(predict_probabilities(network, stored_inputs(each, part, place)) for each, part in seen)
