"""From training to every way of prediction: grey, contrast and each image by itself are the same everywhere."""

import io
import json

import numpy as np
import pytest

from convlift.deploy.images import Origin
from convlift.deploy.predict import load
from convlift.errors import ConvliftError
from convlift.interchange.export import export_onnx, export_program
from convlift.interchange.onnx_file import onnx_model
from convlift.interchange.parity import check_parity
from convlift.recipe.data import Preparation
from convlift.serve.decoder import TOLD, Steps, _answer

TINY = {"architecture": {"width": 8, "head_units": 16}, "training": {"epochs": 1}}


def colours(digits):
    """50 images of 16 x 8 pixels in three colours, in three classes."""
    images, labels = digits
    return np.ascontiguousarray(images.reshape(50, 3, 16, 8).transpose(0, 2, 3, 1)), labels[::6] % 3


@pytest.fixture(scope="module")
def grey_each(train, digits, tmp_path_factory):
    """Grey, letterboxed, each image standardized by itself."""
    data = {"resolution": 16, "resize": "letterbox", "grey": True, "normalization": "image"}
    return train(*colours(digits), tmp_path_factory.mktemp("grey-each"), data=data, **TINY)


@pytest.fixture(scope="module")
def clahe(train, digits, tmp_path_factory):
    data = {"resolution": 32, "contrast": "clahe"}
    return train(*colours(digits), tmp_path_factory.mktemp("clahe"), data=data, **TINY)


@pytest.mark.parametrize("name", ["grey_each", "clahe"])
def test_a_prediction_is_that_of_training(name, request) -> None:
    trained = request.getfixturevalue(name)
    model = load(trained.folder)
    held_out = trained.held_out()
    found = [list(prediction.probabilities.values()) for prediction in model.predict(held_out)]
    assert np.array(found) == pytest.approx(trained.outcome.validation_probabilities, abs=1e-5)
    explained = model.explain(held_out[0])
    assert explained.prediction.probabilities == pytest.approx(model.predict(held_out[0]).probabilities, abs=1e-6)


def test_the_folder_says_what_was_done(grey_each, clahe) -> None:
    steps = json.loads((grey_each.folder / "model" / "config.json").read_text())["preprocessing"]
    assert (steps["grey"], steps["contrast"], steps["std"]) == (True, "none", None)
    assert load(clahe.folder).config.preparation == Preparation(contrast="clahe")


def test_an_exported_file_has_it_inside(grey_each) -> None:
    model = load(grey_each.folder)
    assert check_parity(model, onnx_model(model), list(grey_each.held_out())).network < 1e-5


def test_a_program_standardizes_inside(grey_each, tmp_path) -> None:
    """It raises where the two do not agree."""
    assert export_program(grey_each.folder, tmp_path / "grey.pt2").parity.network < 1e-5


def test_an_onnx_file_refuses_a_contrast_that_it_cannot_hold(clahe, tmp_path) -> None:
    with pytest.raises(ConvliftError, match=r"data.contrast is 'clahe' .* cannot hold; predict and serve it with the"):
        export_onnx(clahe.folder, tmp_path / "clahe.onnx")
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("name", ["grey_each", "clahe"])
def test_a_server_prepares_what_predict_prepares(name, request) -> None:
    from PIL import Image

    trained = request.getfixturevalue(name)
    config = load(trained.folder).config
    steps = Steps(config.channels, config.resolution, config.preparation, None, "white", Origin().side, 10**6)
    assert Steps.of_json(steps.to_json()) == steps
    file, told = io.BytesIO(), io.BytesIO()
    Image.fromarray(trained.images[0]).save(file, "PNG")
    _answer(told, steps, "a.png", file.getvalue())
    assert told.getvalue()[TOLD.size + 2 :] == load(trained.folder).prepared(trained.images[0]).tobytes()
