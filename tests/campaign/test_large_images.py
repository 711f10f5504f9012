"""Recipes that see more than 256 pixels get them, in training and in prediction alike."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from convlift import api
from convlift.campaign.open_data import open_data
from convlift.campaign.request import request_of
from convlift.campaign.session import Session
from convlift.data.decode import SHORTER_SIDE, WIDE, from_array
from convlift.data.square import square
from convlift.deploy.model_folder import read_model_folder
from convlift.deploy.predict import load
from convlift.recipe.built_in import built_in
from convlift.recipe.data import Preparation

LARGE = built_in("residual-photos").edit(
    data={"resolution": 320}, architecture={"width": 8, "stages": 2}, training={"epochs": 1, "batch_size": 8}
)


@pytest.fixture(scope="module")
def photos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two classes of 8 images of 420 x 360 pixels, whose difference is in single pixels."""
    folder, rng = tmp_path_factory.mktemp("photos"), np.random.default_rng(0)
    for name in ("even", "odd"):
        (folder / name).mkdir()
        for number in range(8):
            image = rng.integers(90, 110, (360, 420, 3), dtype=np.uint8)
            image[name == "odd" :: 2] += 80
            Image.fromarray(image).save(folder / name / f"{number}.png")
    return folder


@pytest.mark.parametrize(
    ("recipe", "side"),
    [
        (LARGE, WIDE),
        (LARGE.edit(data={"resolution": 240, "resize": "crop"}), WIDE),  # of 274
        (LARGE.edit(data={"resolution": 256}), SHORTER_SIDE),
        (LARGE.edit(data={"resolution": None}), SHORTER_SIDE),
    ],
)
def test_as_much_is_kept_of_an_image_as_the_recipe_sees(photos: Path, tmp_path: Path, recipe, side: int) -> None:
    dataset, _ = open_data(request_of(photos, None, tmp_path, current=recipe), Session())
    store = dataset.store
    assert store.side == side
    assert store.native_resolution == min(side, 360)
    key = store.keys[0]
    original = np.asarray(Image.open(photos / key))
    seen = square(from_array(original, side=side).pixels, 3, 240, Preparation("squash"))
    assert (store.pixels(240, Preparation("squash"))[0] == seen).all()


@pytest.mark.parametrize("side", [320, 128])
def test_an_own_network_of_one_size_sees_large_images_at_that_size(photos: Path, tmp_path: Path, side: int) -> None:
    code = f"""
from torch import nn


def make(classes):
    return nn.Sequential(nn.Conv2d(3, 4, 8, 8), nn.ReLU(), nn.Flatten(), nn.Linear({4 * (side // 8) ** 2}, classes))
"""
    (tmp_path / "net.py").write_text(code)
    request = request_of(photos, None, tmp_path, model=f"{tmp_path / 'net.py'}:make")
    dataset, _ = open_data(request, Session())
    assert dataset.store.side == (WIDE if side > SHORTER_SIDE else SHORTER_SIDE)
    assert dataset.store.pixels(side, Preparation("squash")).shape[1:] == (side, side, 3)
    usual, _ = open_data(request_of(photos, None, tmp_path), Session())
    assert dataset.splits.test.tolist() == usual.splits.test.tolist()


def test_the_sealed_test_is_the_same_whatever_a_recipe_sees(photos: Path, tmp_path: Path) -> None:
    usual, large = (
        open_data(request_of(photos, None, tmp_path, current=recipe), Session())[0] for recipe in ("plain", LARGE)
    )
    assert usual.store.side < large.store.side
    assert (usual.store.hashes == large.store.hashes).all()
    assert (usual.store.scenes == large.store.scenes).all()
    assert usual.splits.test.tolist() == large.splits.test.tolist()
    assert usual.store.fingerprint != large.store.fingerprint


def test_a_model_sees_at_prediction_what_it_saw_in_training(
    photos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out = tmp_path / "run"
    monkeypatch.setenv("CONVLIFT_CACHE", str(tmp_path))
    api.train(photos, LARGE, out=out, quiet=True)
    config = read_model_folder(out)[2]
    assert (config.side, config.resolution) == (WIDE, 320)
    model = load(out)
    dataset, _ = open_data(request_of(photos, None, tmp_path, current=LARGE), Session())
    part = dataset.splits.validation
    files = [photos / dataset.store.keys[row] for row in part]
    said = [list(found.probabilities.values()) for found in model.predict(files)]
    squares = dataset.store.pixels(320, Preparation("squash"))[part]
    assert np.allclose(said, model.probabilities(list(squares)), atol=1e-6)
