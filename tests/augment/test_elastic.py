"""The elastic distortion against Simard's own recipe: noise on every pixel, convolved with a Gaussian."""

import numpy as np
import pytest
from scipy.ndimage import gaussian_filter, map_coordinates

from convlift.augment import elastic, geometry
from convlift.augment.moves import draw_moves
from convlift.augment.streams import Streams
from convlift.recipe.augmentation import Augmentation

STILL = geometry.affine((29, 29))


def fields(strength: float, count: int, side: int) -> np.ndarray:
    """(count, 2, side, side): shifts in pixels."""
    field = draw_moves(Augmentation(elastic=strength), Streams(0), count, (side, side)).field
    still = np.mgrid[:side, :side][::-1]
    moved = [elastic.places(geometry.affine((side, side)), each, (side, side)) for each in field]
    return np.array(moved) - still


@pytest.mark.parametrize("side", [8, 29, 64])
def test_the_strength_is_the_root_mean_square_of_the_shifts(side: int) -> None:
    shifts = fields(0.05, 400, side)
    assert np.sqrt(np.mean(shifts**2, axis=(0, 2, 3))) / side == pytest.approx([0.05, 0.05], rel=0.05)
    everywhere = np.sqrt(np.mean(shifts**2, axis=(0, 1))) / side
    assert everywhere.min() > 0.8 * 0.05, "as much at the border as in the middle"


def test_neighbours_move_together_as_far_as_in_simards_field() -> None:
    rng, ours = np.random.default_rng(0), fields(0.05, 300, 29)
    noise = rng.uniform(-1, 1, (300, 65, 65))
    theirs = np.array([gaussian_filter(each, 4, truncate=4)[18:47, 18:47] for each in noise])

    def correlation(values: np.ndarray, distance: int) -> float:
        return float(np.corrcoef(values[:, 14, 10].ravel(), values[:, 14, 10 + distance].ravel())[0, 1])

    for distance in (2, 4, 8):
        expected = np.exp(-(distance**2) / (4 * 4**2))  # of a Gaussian's convolution with itself
        assert correlation(ours[:, 0], distance) == pytest.approx(expected, abs=0.1)
        assert correlation(theirs, distance) == pytest.approx(expected, abs=0.1)


def test_simards_alpha_of_34_is_a_strength_of_a_twentieth() -> None:
    noise = np.random.default_rng(0).uniform(-1, 1, (200, 200))
    pixels = 34 * gaussian_filter(noise, 4, mode="wrap")
    assert pixels.std() / 29 == pytest.approx(0.05, abs=0.01)


@pytest.mark.parametrize("with_perspective", [False, True])
def test_a_distorted_image_is_that_of_an_independent_interpolation(with_perspective: bool) -> None:
    image = np.random.default_rng(0).integers(0, 256, (29, 29, 1), dtype=np.uint8)
    field = draw_moves(Augmentation(elastic=0.05), Streams(3), 1, (29, 29)).field[0]
    moved = geometry.affine((29, 29), rotation=[0.07], scale=1.2)
    if with_perspective:
        moved = geometry.then_in_perspective(moved, np.full((1, 4, 2), 0.1) * [[1], [-1], [0], [1]], (29, 29))
    shifts = elastic.places(STILL, field, (29, 29)) - np.mgrid[:29, :29][::-1]
    # first the field, in the result's own pixels, then the map
    columns, rows = np.mgrid[:29, :29][::-1] + shifts
    x, y, *w = np.einsum("ij,jhw->ihw", moved[0], np.stack([columns, rows, np.ones_like(rows)]))
    scale = w[0] if w else 1.0
    expected = map_coordinates(image[:, :, 0].astype(float), [y / scale, x / scale], order=1, mode="mirror")
    found = geometry.resample_at(image, elastic.places(moved[0], field, (29, 29)), np.empty_like(image))
    assert np.abs(found[:, :, 0] - expected).mean() < 2
    assert np.abs(found[:, :, 0] - expected).max() < 255 / 16 + 1  # cv2 may place a point to 1/32 of a pixel


def test_one_field_is_the_same_at_every_resolution() -> None:
    small, large = fields(0.05, 3, 32), fields(0.05, 3, 64)
    coarse = large.reshape(3, 2, 32, 2, 32, 2).mean(axis=(3, 5)) / 2
    np.testing.assert_allclose(coarse, small, atol=0.02)
