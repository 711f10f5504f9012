"""Images of more than 8 bits are read at prediction on the scale of training, and what lies outside it is said."""

import json

import numpy as np
import pytest
import torch
from numpy.testing import assert_array_equal
from PIL import Image

from convlift.deploy.model_folder import ModelConfig, read_model_folder, write_model_folder
from convlift.deploy.predict import load
from convlift.errors import UnreadableImage


@pytest.fixture(scope="module")
def model(deep):
    return load(deep.folder)


def rows(predictions):
    return np.array([list(prediction.probabilities.values()) for prediction in predictions], np.float32)


def test_the_model_folder_holds_the_range_of_its_training(deep, grey):
    assert deep.dataset.store.value_range == 4095
    assert load(deep.folder).config.value_range == 4095
    assert json.loads((deep.folder / "model" / "config.json").read_text())["preprocessing"]["value_range"] == 4095
    assert load(grey.folder).config.value_range is None


def test_files_and_arrays_of_16_bits_get_the_trials_own_probabilities(deep, model, tmp_path):
    held_out = deep.held_out()
    names = [tmp_path / f"{number}.{('png', 'tif', 'pgm')[number % 3]}" for number in range(len(held_out))]
    for name, pixels in zip(names, held_out, strict=True):
        Image.fromarray(pixels).save(name)
    for many in (list(held_out), names, [Image.fromarray(pixels) for pixels in held_out], held_out[..., None]):
        found = model.predict(many)
        assert_array_equal(rows(found), deep.outcome.validation_probabilities)
        assert all(each.notes == () for each in found)


@pytest.mark.parametrize(
    "same",
    [
        lambda pixels: pixels.astype(np.int64),
        lambda pixels: pixels.astype(np.float32),
        lambda pixels: pixels.astype(np.float64) / 4095,
        lambda pixels: torch.from_numpy(pixels.astype(np.int32)),
        lambda pixels: np.dstack([pixels] * 3),
        lambda pixels: Image.fromarray(pixels.astype(np.int32)),
        lambda pixels: Image.fromarray(pixels.astype(np.float32) / 4095),
    ],
    ids=["int64", "float to 4095", "float to 1", "int32 tensor", "three channels", "Pillow I", "Pillow F"],
)
def test_other_types_with_the_same_values_are_the_same_image(deep, model, same):
    pixels = deep.images[5]
    assert rows([model.predict(same(pixels))]) == pytest.approx(rows([model.predict(pixels)]), abs=1e-6)


def test_an_image_of_8_bits_has_its_own_range(deep, model):
    narrow = np.rint(deep.images[5] * (255 / 4095)).astype(np.uint8)
    assert rows([model.predict(narrow)]) == pytest.approx(rows([model.predict(deep.images[5])]), abs=1e-6)


def test_what_lies_above_the_range_is_said_and_white(deep, model, tmp_path):
    bright = deep.images[5] * 10
    Image.fromarray(bright).save(tmp_path / "bright.png")
    expected = model.predict(np.minimum(bright, 4095))
    for image in (bright, tmp_path / "bright.png", Image.fromarray(bright)):
        found = model.predict(image)
        assert found.probabilities == expected.probabilities
        assert found.notes == (
            f"values up to {bright.max()}, but training saw none above 4095; what is above is white",
        )
    assert expected.notes == ()


def test_floats_beyond_the_range_are_refused(model):
    with pytest.raises(UnreadableImage, match="values from 5000 to 5000; floats lie in 0 to 1 or 0 to 4095"):
        model.predict(np.full((8, 8), 5000.0))


@pytest.mark.parametrize("alpha", ["white", "black", "ignore"])
def test_what_became_of_transparency_is_kept(colour, tmp_path, alpha):
    weights, recipe, config = read_model_folder(colour.folder)
    kept = ModelConfig(**{**vars(config), "alpha": alpha})
    write_model_folder(tmp_path / "model", weights, recipe, kept)
    model = load(tmp_path)
    assert model.config == kept
    pixels = colour.images[0]
    hidden = np.dstack([pixels, np.full((16, 8, 1), 255, np.uint8)])
    hidden[:, :4, 3] = 0
    seen = pixels.copy()
    if alpha != "ignore":
        seen[:, :4] = 255 if alpha == "white" else 0
    Image.fromarray(hidden).save(tmp_path / "hidden.png")
    expected = model.predict(seen).probabilities
    assert model.predict(hidden).probabilities == model.predict(tmp_path / "hidden.png").probabilities == expected
