"""Exported files of networks for images of bands."""

from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest
import torch
from onnx import helper

from convlift.data.decode import SHORTER_SIDE, from_array
from convlift.data.square import square
from convlift.deploy.model_folder import ModelConfig
from convlift.deploy.onnx_classifier import IMAGES, load_onnx
from convlift.deploy.predict import Model
from convlift.interchange.onnx_file import network_graph, onnx_model, whole_graph
from convlift.interchange.parity import check_parity, made_up_images
from convlift.interchange.preprocessing_graph import INPUTS, OPSET, preprocessing_graph
from convlift.interchange.smaller import in_float16
from convlift.interchange.torch_program import check_program, write_program
from convlift.model.build import build_network
from convlift.recipe.built_in import built_in
from convlift.recipe.data import Preparation, Resize
from convlift.recipe.recipe import Recipe

CLASSES = ("forest", "lake", "town")
SIDE = 16


def model_of(recipe: Recipe, channels: int, *, alone: bool = False) -> Model:
    """alone: whether each image is standardized by itself."""
    torch.manual_seed(0)
    network = build_network(recipe.architecture, classes=len(CLASSES), channels=channels, resolution=SIDE)
    mean, std = np.linspace(0.3, 0.6, channels), np.linspace(0.2, 0.3, channels)
    normal = ((0.0,) * channels, None) if alone else (tuple(mean.tolist()), tuple(std.tolist()))
    return Model(network, recipe, ModelConfig(CLASSES, channels, SIDE, recipe.data.resize, *normal, {}))


MODELS = {
    "six": lambda: model_of(built_in("plain"), 6),
    "letterbox, two, each image by itself": lambda: model_of(
        built_in("plain").edit(data={"resize": "letterbox"}), 2, alone=True
    ),
}


@pytest.mark.parametrize("name", MODELS)
def test_a_file_predicts_what_convlift_predicts(name: str, tmp_path: Path) -> None:
    model = MODELS[name]()
    made = onnx_model(model)
    assert check_parity(model, made, []).network < 1e-5
    (tmp_path / "model.onnx").write_bytes(made.SerializeToString())
    exported = load_onnx(tmp_path / "model.onnx")
    image = next(made_up_images(model.config.channels))
    found, expected = (each.predict(image).probabilities for each in (exported, model))
    assert found == pytest.approx(expected, abs=1e-5)


def test_half_precision_and_a_program_of_torch_agree_too(tmp_path: Path) -> None:
    model = model_of(built_in("plain"), 6)
    made = whole_graph(in_float16(network_graph(model)), model.config, model.recipe)
    check_parity(model, made, [], "float16")
    write_program(model, tmp_path / "model.pt2")
    assert check_program(model, tmp_path / "model.pt2").network < 1e-4


@pytest.mark.parametrize("policy", ["squash", "crop", "letterbox"])
@pytest.mark.parametrize("channels", [2, 13])
def test_images_of_any_shape_become_the_same_pixels(channels: int, policy: Resize) -> None:
    prepared = Preparation(policy)
    graph = preprocessing_graph(channels, 28, prepared, [0.0] * channels, [1 / 255] * channels, SHORTER_SIDE)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", OPSET)], ir_version=10)
    onnx.checker.check_model(model, full_check=True)
    session = onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    odd = np.random.default_rng(1).integers(0, 256, (9, 7, channels), dtype=np.uint8)
    for image in [*made_up_images(channels), odd]:
        (found,) = session.run([INPUTS], {IMAGES: image[None]})
        expected = square(from_array(image).pixels, channels, 28, prepared)
        difference = np.abs(np.rint(found[0].transpose(1, 2, 0)) - expected.astype(np.float64))
        assert difference.max() <= 1
        assert (difference > 0).mean() < 0.005
