"""Model folders of networks that were really trained, on few real digits."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from sklearn.datasets import load_digits

from convlift.campaign.artifacts import write_model
from convlift.data.dataset import Dataset
from convlift.data.readers.arrays import array_source
from convlift.data.splits import make_splits
from convlift.data.store import open_store
from convlift.recipe.recipe import Recipe
from convlift.recipe.trial_spec import Limits, TrialSpec
from convlift.records.outcome import Outcome
from convlift.trial.run_trial import run_trial


@dataclass(frozen=True)
class Trained:
    """A run folder with its model, and what it came from. images: as they were before the store."""

    folder: Path
    outcome: Outcome
    dataset: Dataset
    images: NDArray[Any]

    def __repr__(self) -> str:
        return f"Trained in {self.folder}"  # hypothesis would print every pixel

    def held_out(self) -> NDArray[Any]:
        return self.images[self.dataset.splits.validation]


@pytest.fixture(scope="session")
def train() -> Callable[..., Trained]:
    """train(images, labels, folder, data=..., architecture=..., training=...) -> Trained."""
    torch.set_num_threads(1)

    def train_and_write(images: NDArray[Any], labels: NDArray[np.int64], folder: Path, **changes: Any) -> Trained:
        store = open_store(array_source("digits", {None: (images, labels)}, tuple("0123456789")), folder / "cache")
        dataset = Dataset(store, make_splits(store, 0))
        recipe = Recipe().edit(**changes).at(store.native_resolution)
        weights = folder / "weights.safetensors"
        outcome = run_trial(TrialSpec(recipe, 0), dataset, folder / "cache", limits=Limits(save_to=str(weights)))
        write_model(folder / "run" / "model", weights, recipe, dataset, {"accuracy": "0.9"})
        return Trained(folder / "run", outcome, dataset, images)

    return train_and_write


@pytest.fixture(scope="session")
def digits() -> tuple[NDArray[np.uint8], NDArray[np.int64]]:
    """300 grey images (300, 8, 8) and their labels."""
    found = load_digits()
    return np.rint(found.images[:300] * (255 / 16)).astype(np.uint8), found.target[:300]


@pytest.fixture(scope="session")
def grey(train: Callable[..., Trained], digits: Any, tmp_path_factory: pytest.TempPathFactory) -> Trained:
    """A network for grey images, standardized, with batch norm."""
    return train(
        *digits,
        tmp_path_factory.mktemp("grey"),
        data={"normalization": "standardize"},
        architecture={"width": 8, "normalization": "batch", "dropout": 0.5},
        training={"epochs": 3},
    )


@pytest.fixture(scope="session")
def colour(train: Callable[..., Trained], digits: Any, tmp_path_factory: pytest.TempPathFactory) -> Trained:
    """A network for colour images that are taller than wide: three digits as channels, two below one another."""
    images, labels = digits
    stacked = np.ascontiguousarray(images.reshape(50, 3, 16, 8).transpose(0, 2, 3, 1))
    return train(
        stacked,
        labels[::6] % 3,
        tmp_path_factory.mktemp("colour"),
        data={"resolution": 12, "resize": "letterbox"},
        architecture={"width": 8, "head_units": 16},
        training={"epochs": 1},
    )


@pytest.fixture(scope="session")
def deep(train: Callable[..., Trained], digits: Any, tmp_path_factory: pytest.TempPathFactory) -> Trained:
    """A network for grey images of 12 bits in arrays of 16."""
    images, labels = digits
    return train(
        images.astype(np.uint16) * 16,
        labels,
        tmp_path_factory.mktemp("deep"),
        architecture={"width": 8, "head_units": 16},
        training={"epochs": 2},
    )
