"""The figures by which pixels are normalized."""

import numpy as np
import pytest

from convlift.data.normalization import IMAGENET_MEAN, IMAGENET_STD, statistics
from convlift.errors import RecipeError

COLOUR = np.random.default_rng(0).integers(0, 256, (1500, 3, 2, 3), np.uint8) // np.array([1, 2, 5], np.uint8)
GREY = COLOUR[..., :1]


def test_unit_leaves_pixels_in_0_to_1() -> None:
    mean, std = statistics("unit", COLOUR, None)
    assert mean.tolist() == [0, 0, 0]
    assert std.tolist() == [1, 1, 1]


@pytest.mark.parametrize("pixels", [COLOUR, GREY])
def test_standardize_gives_mean_0_and_deviation_1(pixels: np.ndarray) -> None:
    mean, std = statistics("standardize", pixels, None)
    assert mean.dtype == std.dtype == np.float32
    normalized = (pixels / 255 - mean) / std
    assert normalized.mean(axis=(0, 1, 2)) == pytest.approx(0, abs=1e-5)
    assert normalized.std(axis=(0, 1, 2)) == pytest.approx(1, abs=1e-5)


def test_rows_are_those_that_are_measured() -> None:
    rows = np.arange(3, 1500, 7)
    assert np.array_equal(statistics("standardize", COLOUR, rows=rows), statistics("standardize", COLOUR[rows]))


def test_a_channel_that_never_varies_stays_finite() -> None:
    mean, std = statistics("standardize", np.full((4, 2, 2, 1), 51, np.uint8), None)
    assert mean[0] == pytest.approx(0.2)
    assert std[0] == pytest.approx(1 / 255)


def test_imagenet_and_pretrained_are_given_figures_averaged_for_grey() -> None:
    assert np.allclose(statistics("imagenet", COLOUR, None), [IMAGENET_MEAN, IMAGENET_STD])
    assert np.allclose(statistics("imagenet", GREY, None), [[np.mean(IMAGENET_MEAN)], [np.mean(IMAGENET_STD)]])
    given = ((0.1, 0.2, 0.6), (0.5, 0.5, 0.2))
    assert np.allclose(statistics("pretrained", COLOUR, given), given)
    assert np.allclose(statistics("pretrained", GREY, given), [[0.3], [0.4]])


def test_pretrained_without_a_backbone_is_refused() -> None:
    with pytest.raises(RecipeError, match="no pretrained backbone; choose"):
        statistics("pretrained", COLOUR, None)
