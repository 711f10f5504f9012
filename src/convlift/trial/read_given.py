"""A network that the user trained: its weights read, and its inputs scaled as they must have been in its training."""

from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from convlift.data.dataset import Dataset
from convlift.data.normalization import Statistics, statistics
from convlift.model.checkpoint import save_network
from convlift.model.given_weights import given_network
from convlift.model.placement import lay_on
from convlift.model.source_loader import speaking_aside
from convlift.recipe.architecture import Own
from convlift.recipe.recipe import Recipe
from convlift.records.compute_device import CPU, Device
from convlift.records.given_network import GivenNetwork, Scaling
from convlift.train.device import settle_on
from convlift.train.evaluate import predict_probabilities
from convlift.trial.batches import unchanged

MOST_IMAGES = 2_000  # that tell one scaling from another
LEAST = 1e-7  # probability, so that no single image decides


def read_given(
    recipe: Recipe, weights: Path, dataset: Dataset, save_to: Path, *, chosen: bool, device: Device = CPU
) -> GivenNetwork:
    """Put the user's weights into their network, find how its inputs are scaled, and save it as every trial's is.

    recipe: with the network as it was given (`given_weights.as_given`) and its resolution written down; chosen: whether
    the scaling is found, by what it gets right of training and validation images, rather than taken from the recipe.
    Raises WeightsError or RecipeError where the weights are not the network's, DiskError.
    """
    own, side, place = recipe.architecture, recipe.data.resolution, torch.device(device.place)
    assert isinstance(own, Own), "weights are given with a network of the user's own"
    assert side is not None, "the network was looked into, and the side of its images written down"
    settle_on(place)
    known = np.concatenate([dataset.splits.train, dataset.splits.validation])
    some = known[:: max(1, len(known) // MOST_IMAGES)]
    labels, pixels = dataset.labels[some], dataset.store.pixels(side, recipe.data.preparation)
    ways = _ways(pixels, dataset.splits.train, None if chosen else recipe)
    classes, channels = len(dataset.classes), dataset.channels
    with speaking_aside():
        network = lay_on(given_network(own, weights, classes=classes, channels=channels, resolution=side), place)
        said = {n: predict_probabilities(network, unchanged(pixels, some, way, place)()) for n, way in ways.items()}
        best = max(said, key=lambda name: _fit(said[name], labels))
        save_network(save_to, network, ways[best])
    return GivenNetwork(
        best,
        len(ways),
        float((said[best].argmax(axis=1) == labels).mean()),
        float(np.bincount(labels).max() / len(labels)),
        may_know_test=not (dataset.store.official == "test").any(),
    )


def _fit(probabilities: NDArray[np.float32], labels: NDArray[np.int64]) -> tuple[float, float]:
    """The share of labels that are right, and of equals their mean log-likelihood, which alone would prefer the larger
    contrast for a network that is not sure enough."""
    of_the_label = np.maximum(probabilities[np.arange(len(labels)), labels], LEAST)
    return float((probabilities.argmax(axis=1) == labels).mean()), float(np.log(of_the_label).mean())


def _ways(pixels_NHWC: NDArray[np.uint8], train: NDArray[np.int64], recipe: Recipe | None) -> dict[Scaling, Statistics]:
    """The usual ways to scale pixels, see `GivenNetwork`; the recipe's alone where one is given."""
    if recipe is not None:
        return {"its recipe's": statistics(recipe.data.normalization, pixels_NHWC, rows=train)}
    half, byte = (np.full(pixels_NHWC.shape[-1], value, np.float32) for value in (0.5, 1 / 255))
    return {
        "unit": statistics("unit", pixels_NHWC),
        "standardize": statistics("standardize", pixels_NHWC, rows=train),
        "imagenet": statistics("imagenet", pixels_NHWC, rows=train),
        "symmetric": (half, half),
        "bytes": (np.zeros_like(byte), byte),
    }
