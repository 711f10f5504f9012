"""Real digits, few and small: what trials are tried on."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from safetensors.torch import save_file
from sklearn.datasets import load_digits

from convlift.data.dataset import Dataset
from convlift.data.readers.arrays import array_source
from convlift.data.splits import make_splits
from convlift.data.store import ImageStore, open_store
from convlift.model.backbone import create_backbone
from convlift.model.pretrained import as_colour
from convlift.recipe.data import Preparation
from convlift.recipe.recipe import Recipe
from convlift.recipe.trial_spec import Limits, TrialSpec
from convlift.records.outcome import Outcome
from convlift.trial.run_trial import run_trial

Run = Callable[..., Outcome]


@pytest.fixture(scope="session", autouse=True)
def one_thread() -> None:
    torch.set_num_threads(1)


def stored(images: NDArray[np.uint8], labels: NDArray[np.int64], cache: Path) -> ImageStore:
    return open_store(array_source("digits", {None: (images, labels)}, tuple("0123456789")), cache)


@pytest.fixture(scope="session")
def store(tmp_path_factory: pytest.TempPathFactory) -> ImageStore:
    """300 grey digits of 8 pixels, and all their labels."""
    digits = load_digits()
    images = np.rint(digits.images[:300] * (255 / 16)).astype(np.uint8)
    return stored(images, digits.target[:300], tmp_path_factory.mktemp("digits"))


@pytest.fixture(scope="session")
def digits(store: ImageStore) -> Dataset:
    """The same, divided, the test labels sealed."""
    return Dataset(store, make_splits(store, 0))


@pytest.fixture(scope="session")
def strips(tmp_path_factory: pytest.TempPathFactory) -> Dataset:
    """179 colour images, 8 pixels high and 16 wide: two digits side by side in each channel, named after the first."""
    digits = load_digits()
    pixels = np.rint(digits.images[: 179 * 6] * (255 / 16)).astype(np.uint8).reshape(179, 3, 2, 8, 8)
    images = np.ascontiguousarray(pixels.transpose(0, 3, 2, 4, 1).reshape(179, 8, 16, 3))
    made = stored(images, digits.target[: 179 * 6 : 6], tmp_path_factory.mktemp("strips"))
    return Dataset(made, make_splits(made, 0))


@pytest.fixture(scope="session")
def backbone_file(store: ImageStore, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Weights of mobilenetv3_small_050 whose batch norms have seen digits; the file gives .3 and .2 as mean and std.

    Merely random ones would let too little of an image through to tell one from another.
    """
    torch.manual_seed(0)
    backbone = create_backbone("mobilenetv3_small_050", "random").train()
    pixels = torch.from_numpy(store.pixels(32, Preparation("squash"))[:128].astype(np.float32) / 255)
    inputs_NCHW = as_colour(((pixels - 0.3) / 0.2).permute(0, 3, 1, 2))
    with torch.no_grad():
        for _ in range(30):
            backbone(inputs_NCHW)
    path = tmp_path_factory.mktemp("backbone") / "mobilenet.safetensors"
    state = {name: tensor.contiguous() for name, tensor in backbone.network.state_dict().items()}
    save_file(state, path, {"mean": "0.3", "std": "0.2"})
    return path


@pytest.fixture(scope="session")
def features(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The cache of all trials that do not name their own."""
    return tmp_path_factory.mktemp("cache")


@pytest.fixture
def run(digits: Dataset, features: Path) -> Run:
    """run(recipe, seed=0, on=digits, cache=..., fidelity=..., seconds=..., save_to=...) -> Outcome."""

    def run_order(
        recipe: Recipe,
        seed: int = 0,
        on: Dataset | None = None,
        cache: Path | None = None,
        fidelity: float = 1.0,
        **limits: Any,
    ) -> Outcome:
        return run_trial(TrialSpec(recipe, seed, fidelity), on or digits, cache or features, limits=Limits(**limits))

    return run_order
