"""Training a network of our own from its first weights."""

from dataclasses import dataclass, field

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from convlift.augment.pipeline import normalize
from convlift.console.mapped import taken
from convlift.data.dataset import Dataset
from convlift.data.normalization import Statistics, statistics
from convlift.model.build import build_network
from convlift.model.convnet import WhitenedConvolution
from convlift.model.placement import lay_on
from convlift.recipe.trial_spec import TrialSpec
from convlift.records.compute_device import CPU, Device
from convlift.records.outcome import NO_PROBABILITIES
from convlift.train.evaluate import predict_probabilities
from convlift.trial.batches import image_draw, labelled, to_tensor, unchanged
from convlift.trial.phase import PhaseData, run_phase, scaled
from convlift.trial.shifted_copies import shifted_squares
from convlift.trial.trial_clock import TrialClock

ENOUGH_TO_WHITEN = 2_000  # images, of hundreds of patches each; Jordan 2024 takes 5,000

Probabilities = NDArray[np.float32]


@dataclass(frozen=True)
class Trained:
    """A network, the normalization it needs, and its probabilities for validation (n, K) and test images (nt, K), and
    for corrupted copies of the validation images where there are any."""

    network: nn.Module
    normal: Statistics
    validation: Probabilities
    test: Probabilities
    shifted: Probabilities = field(default_factory=lambda: NO_PROBABILITIES)


def train_from_scratch(spec: TrialSpec, dataset: Dataset, clock: TrialClock, device: Device = CPU) -> Trained:
    """Train the spec's convnet; its resolution is written down. Images are read from the memory map, never a file."""
    recipe, splits, place = spec.recipe, dataset.splits, torch.device(device.place)
    assert recipe.data.resolution is not None, "Recipe.at() wrote the resolution down"
    pixels = dataset.store.pixels(recipe.data.resolution, recipe.data.preparation)
    images = taken(pixels, splits.train)
    normal = statistics(recipe.data.normalization, images)
    network = build_network(
        recipe.architecture,
        classes=len(dataset.classes),
        channels=dataset.channels,
        resolution=recipe.data.resolution,
    )
    _whiten(network, images, normal)
    lay_on(network, place)
    validation, test = (unchanged(pixels, part, normal, place) for part in (splits.validation, splits.test))
    copies = shifted_squares(dataset, recipe.data.resolution, recipe.data.preparation, clock.late)
    labels, validation_labels = (to_tensor(dataset.labels[part], place) for part in (splits.train, splits.validation))
    data = PhaseData(
        "train",
        image_draw(images, recipe.data.augmentation, normal, place, compared=recipe.compares_views),
        labels,
        lambda: labelled(validation(), validation_labels),
        len(validation_labels),
        len(dataset.classes),
        test_images=len(splits.test) + dataset.number_of_copies,
        mixing=recipe.data.mixing,
        refit=dataset.refit,
    )
    training = recipe.training.model_copy(update={"epochs": scaled(recipe.training.epochs, spec.fidelity)})
    run_phase(network, data, training, spec.seed, clock)
    if not clock.curve:  # it has learned nothing, and predictions take their time
        return Trained(network, normal, *guesses(dataset))
    return Trained(
        network,
        normal,
        predict_probabilities(network, validation()),
        predict_probabilities(network, test()),
        predict_squares(network, copies, normal, place),
    )


def predict_squares(
    network: nn.Module, squares_NHWC: NDArray[np.uint8], normal: Statistics, place: torch.device
) -> Probabilities:
    """(N, K): of images at the network's resolution, unaugmented; (0, 0) where there are none."""
    if not len(squares_NHWC):
        return NO_PROBABILITIES
    return predict_probabilities(network, unchanged(squares_NHWC, np.arange(len(squares_NHWC)), normal, place)())


def _whiten(network: nn.Module, images_NHWC: NDArray[np.uint8], normal: Statistics) -> None:
    """Set a whitened first convolution from some of the training images, spread evenly over them."""
    for module in network.modules():
        if isinstance(module, WhitenedConvolution):
            some = images_NHWC[:: max(1, len(images_NHWC) // ENOUGH_TO_WHITEN)]
            module.whiten(to_tensor(normalize(np.ascontiguousarray(some), *normal)))


def guesses(dataset: Dataset) -> tuple[Probabilities, Probabilities]:
    """The probabilities of an untrained network: every class alike."""
    classes = len(dataset.classes)
    validation, test = (
        np.full((len(part), classes), 1 / classes, np.float32)
        for part in (dataset.splits.validation, dataset.splits.test)
    )
    return validation, test
