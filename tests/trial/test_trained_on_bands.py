"""Trials on images of six bands: every way to train, what is saved, and what is made of it."""

from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from convlift.augment.pipeline import normalize
from convlift.data.dataset import Dataset
from convlift.data.normalization import of_figures
from convlift.data.readers.arrays import array_source
from convlift.data.splits import make_splits
from convlift.data.store import open_store
from convlift.model.backbone import create_backbone
from convlift.model.build import build_network
from convlift.model.checkpoint import saved_normalization
from convlift.recipe.built_in import built_in
from convlift.recipe.combination import Combination
from convlift.recipe.recipe import Recipe
from convlift.recipe.trial_spec import Limits, TrialSpec
from convlift.records.compute_device import CPU
from convlift.train.evaluate import predict_probabilities
from convlift.trial.batches import to_tensor
from convlift.trial.calibrate import calibrate, time_prediction
from convlift.trial.combine_networks import combine_networks
from convlift.trial.run_trial import run_trial

BANDS, CLASSES = 6, ("bright", "dark")
BACKBONE = {"kind": "pretrained", "backbone": "mobilenetv3_small_050", "head_units": 0, "pooled_stages": 1}
FIRST = "backbone.network.conv_stem.weight"


@pytest.fixture(scope="module")
def tiles(tmp_path_factory: pytest.TempPathFactory) -> Dataset:
    """120 of 16 pixels, whose fifth band tells the class."""
    rng, labels = np.random.default_rng(0), np.arange(120) % 2
    images = rng.normal(120, 30, (120, 16, 16, BANDS))
    images[labels == 0, :, :, 4] += 40
    source = array_source("tiles", {None: (np.clip(images, 0, 255).astype(np.uint8), labels)}, CLASSES)
    store = open_store(source, tmp_path_factory.mktemp("tiles"))
    return Dataset(store, make_splits(store, 0))


@pytest.fixture(scope="module")
def weights(tmp_path_factory: pytest.TempPathFactory) -> str:
    """Those of a network for colour images."""
    from safetensors.torch import save_file

    torch.manual_seed(0)
    state = create_backbone(BACKBONE["backbone"], "random").network.state_dict()
    path = tmp_path_factory.mktemp("weights") / "colour.safetensors"
    save_file({name: tensor.contiguous() for name, tensor in state.items()}, path)
    return str(path)


def pretrained(weights: str, stages: int | None, **augmentation: float) -> Recipe:
    return Recipe().edit(
        data={"resolution": 32, "normalization": "pretrained", "augmentation": augmentation},
        architecture={**BACKBONE, "weights": weights},
        training={"epochs": 1, "fine_tuning": {"epochs": 1, "stages": stages, "learning_rate": 0.01}},
    )


def saved_predictions(path: Path, recipe: Recipe, tiles: Dataset) -> np.ndarray:
    """Of the validation images by the network that was saved."""
    network = build_network(recipe.architecture, classes=2, channels=BANDS, resolution=recipe.data.resolution)
    network.load_state_dict(load_file(path))
    pixels = tiles.store.pixels(recipe.data.resolution, recipe.data.preparation)[tiles.splits.validation]
    inputs = to_tensor(normalize(np.ascontiguousarray(pixels), *of_figures(*saved_normalization(path))))
    return predict_probabilities(network.eval(), [inputs])


@pytest.mark.parametrize("refit", [False, True])
def test_a_network_from_scratch_learns_from_the_band_that_tells(tiles: Dataset, tmp_path: Path, refit: bool) -> None:
    recipe = built_in("residual-quick").at(16).edit(
        architecture={"width": 8, "stages": 2}, training={"epochs": 6, "batch_size": 16},
        data={"augmentation": {"horizontal_flip": 0.5, "channel_gain": 0.1}},
    )  # fmt: skip
    path = tmp_path / "network.safetensors"
    done = run_trial(TrialSpec(recipe, 0, refit=refit), tiles, tmp_path, limits=Limits(save_to=str(path)))
    assert done.status == "finished"
    assert len(saved_normalization(path)[0]) == BANDS
    found = saved_predictions(path, recipe, tiles)
    assert (found.argmax(1) == tiles.labels[tiles.splits.validation]).mean() > 0.9
    if not refit:
        np.testing.assert_allclose(found, done.validation_probabilities, atol=1e-5)


@pytest.mark.parametrize(
    ("stages", "augmentation"), [(1, {}), (1, {"rotation": 0.1}), (None, {"rotation": 0.1, "gamma": 0.2})],
    ids=["stored", "upper stages", "all of it"],
)  # fmt: skip
def test_a_pretrained_network_is_adapted_and_its_first_convolution_trained_with_all_of_it(
    tiles: Dataset, weights: str, tmp_path: Path, stages: int | None, augmentation: dict[str, float]
) -> None:
    recipe, path = pretrained(weights, stages, **augmentation), tmp_path / "network.safetensors"
    done = run_trial(TrialSpec(recipe, 0), tiles, tmp_path, limits=Limits(save_to=str(path)))
    assert done.status == "finished"
    found = saved_predictions(path, recipe, tiles)
    np.testing.assert_allclose(found, done.validation_probabilities, atol=2e-3)  # stored activations have 11 bits
    start = create_backbone(BACKBONE["backbone"], weights, BANDS).network.state_dict()["conv_stem.weight"]
    assert torch.equal(load_file(path)[FIRST], start) == (stages is not None)
    assert torch.equal(start[:, :3], start[:, 3:])


def test_networks_are_averaged(tiles: Dataset, weights: str, tmp_path: Path) -> None:
    recipe, paths = pretrained(weights, 1), [str(tmp_path / f"{seed}.safetensors") for seed in (0, 1)]
    for seed, path in enumerate(paths):
        run_trial(TrialSpec(recipe, seed), tiles, tmp_path, limits=Limits(save_to=path))
    to = tmp_path / "mean.safetensors"
    asked = Combination(tuple(paths), averaged=True, mirrored=False)
    done = combine_networks(TrialSpec(recipe, 0), asked, tiles, Limits(save_to=str(to)))
    np.testing.assert_allclose(saved_predictions(to, recipe, tiles), done.validation_probabilities, atol=1e-5)


def test_trainings_and_predictions_are_timed(weights: str) -> None:
    for recipe in (built_in("residual-quick").at(16), pretrained(weights, None, rotation=0.1)):
        sizes = {"images": 40, "held_out": 20, "classes": 2, "channels": BANDS}
        assert sum(calibrate(recipe, **sizes)) > 0
        assert time_prediction(recipe, classes=2, channels=BANDS, device=CPU) > 0
