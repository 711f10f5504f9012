"""The graph prepares an image as `data/square.py` does: to one level of 255, where a sum lies half-way between two."""

import numpy as np
import onnx
import onnxruntime
import pytest
from onnx import helper

from convlift.augment.pipeline import normalize
from convlift.data.decode import SHORTER_SIDE, WIDE, from_array
from convlift.data.square import square
from convlift.interchange.parity import made_up_images
from convlift.interchange.preprocessing_graph import IMAGES, INPUTS, OPSET, preprocessing_graph
from convlift.recipe.data import Preparation, Resize

ODD_SHAPES = ((1, 1), (3, 200), (9, 7), (333, 250), (1200, 400), (40, 1100))  # height, width


def session(
    channels: int,
    side: int,
    preparation: Preparation,
    mean: list[float],
    std: list[float] | None,
    kept: int = SHORTER_SIDE,
):
    graph = preprocessing_graph(channels, side, preparation, mean, std, kept)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", OPSET)], ir_version=10)
    onnx.checker.check_model(model, full_check=True)
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    return onnxruntime.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])


def levels(channels: int, side: int, policy: Resize, images, kept: int = SHORTER_SIDE, grey: bool = False):
    """By how many of 255 levels the graph's pixels differ from convlift's: one array an image."""
    preparation = Preparation(policy, grey)
    plain = session(channels, side, preparation, [0.0] * channels, [1 / 255] * channels, kept)
    for image in images:
        (found,) = plain.run([INPUTS], {IMAGES: image[None]})
        expected = square(from_array(image, side=kept).pixels, channels, side, preparation)
        yield np.abs(np.rint(found[0].transpose(1, 2, 0)) - expected.astype(np.float64))


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("policy", ["squash", "crop", "letterbox"])
@pytest.mark.parametrize("side", [28, 224])
def test_images_of_any_shape_become_the_same_pixels(channels: int, policy: Resize, side: int) -> None:
    rng = np.random.default_rng(1)
    odd = [rng.integers(0, 256, (*shape, 3), dtype=np.uint8) for shape in ODD_SHAPES]
    for difference in levels(channels, side, policy, [*made_up_images(), *odd]):
        assert difference.max() <= 1
        assert (difference > 0).mean() < 0.005


@pytest.mark.parametrize("policy", ["squash", "crop"])
def test_large_squares_of_images_that_are_kept_larger(policy: Resize) -> None:
    image = np.random.default_rng(3).integers(0, 256, (700, 560, 3), dtype=np.uint8)
    for kept in (SHORTER_SIDE, WIDE):
        (difference,) = levels(3, 320, policy, [image], kept)
        assert difference.max() <= 2  # a pixel may lie half-way in each of two resizes
        assert (difference > 0).mean() < 0.005


@pytest.mark.parametrize("policy", ["squash", "letterbox"])
def test_an_image_that_needs_no_resizing_is_left_as_it_is(policy: Resize) -> None:
    image = np.random.default_rng(2).integers(0, 256, (64, 64, 3), dtype=np.uint8)
    (difference,) = levels(3, 64, policy, [image])
    assert difference.max() == 0


def test_three_equal_channels_are_the_grey_that_they_are() -> None:
    grey = np.arange(256, dtype=np.uint8).reshape(16, 16, 1).repeat(3, axis=2)
    (difference,) = levels(1, 16, "squash", [grey])
    assert difference.max() == 0


def test_pixels_are_normalized() -> None:
    image = np.full((8, 8, 3), (0, 51, 255), np.uint8)
    (found,) = session(3, 8, Preparation("squash"), [0.1, 0.2, 0.3], [0.5, 0.25, 2.0]).run(
        [INPUTS], {IMAGES: image[None]}
    )
    assert found[0, :, 4, 4] == pytest.approx([-0.2, 0.0, 0.35], abs=1e-6)


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("policy", ["squash", "crop", "letterbox"])
def test_grey_images_become_the_same_pixels(channels: int, policy: Resize) -> None:
    rng = np.random.default_rng(4)
    odd = [rng.integers(0, 256, (*shape, 3), dtype=np.uint8) for shape in ODD_SHAPES]
    for difference in levels(channels, 28, policy, [*made_up_images(), *odd], grey=True):
        assert difference.max() <= 1
        assert (difference > 0).mean() < 0.005


@pytest.mark.parametrize("channels", [1, 3])
def test_each_image_is_standardized_by_itself(channels: int) -> None:
    """Of a size that needs no resizing, so that both see the same pixels; two at once, one of them of one colour."""
    images = np.random.default_rng(5).integers(0, 256, (2, 64, 64, 3), dtype=np.uint8)
    images[1] = 90
    made = session(channels, 64, Preparation(), [0.0] * channels, None)
    (found,) = made.run([INPUTS], {IMAGES: images})
    squares = np.stack([square(from_array(image).pixels, channels, 64, Preparation()) for image in images])
    expected = normalize(squares, np.zeros(channels, np.float32), None)
    assert found.transpose(0, 2, 3, 1) == pytest.approx(expected, abs=1e-5)
    assert np.abs(found[1]).max() < 1e-5
