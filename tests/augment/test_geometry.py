"""One affine map per image: exact where the pixel grid maps onto itself, and composed in a fixed order."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.ndimage import map_coordinates

from convlift.augment.geometry import affine, draw_affines, draw_flips, flip, warp
from convlift.augment.streams import Streams
from convlift.recipe.augmentation import Augmentation

SIDES = st.integers(1, 24)
CHANNELS = st.sampled_from([1, 3])


def random_images(count: int, height: int, width: int, channels: int) -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (count, height, width, channels), dtype=np.uint8)


def disc(side: int, radius: float) -> np.ndarray:
    offsets = np.arange(side) - (side - 1) / 2
    inside = offsets[:, None] ** 2 + offsets**2 <= radius**2
    return np.where(inside, 255, 0).astype(np.uint8)[None, :, :, None]


@given(side=SIDES, channels=CHANNELS, turns=st.integers(-4, 4))
def test_a_quarter_turn_is_rot90(side: int, channels: int, turns: int) -> None:
    images = random_images(2, side, side, channels)
    turned = warp(images, affine((side, side), rotation=[turns / 4, 0]))
    np.testing.assert_array_equal(turned[0], np.rot90(images[0], turns))
    np.testing.assert_array_equal(turned[1], images[1])


@given(height=SIDES, width=SIDES, channels=CHANNELS, across=st.booleans(), down=st.booleans())
def test_mirrors_are_reversed_slices(height: int, width: int, channels: int, across: bool, down: bool) -> None:
    images = random_images(1, height, width, channels)
    expected = images[0, :: -1 if down else 1, :: -1 if across else 1]
    mapped = warp(images, affine((height, width), horizontal_flip=[across], vertical_flip=[down]))
    sliced = flip(images[0], np.array([across, down]), np.empty_like(images[0]))
    np.testing.assert_array_equal(mapped[0], expected)
    np.testing.assert_array_equal(sliced, expected)


@given(height=SIDES, width=SIDES, channels=CHANNELS, right=st.integers(-30, 30), down=st.integers(-30, 30))
def test_a_whole_shift_is_a_crop_of_the_reflected_image(
    height: int, width: int, channels: int, right: int, down: int
) -> None:
    images = random_images(1, height, width, channels)
    bordered = np.pad(images[0], ((30, 30), (30, 30), (0, 0)), mode="reflect")
    expected = bordered[30 - down : 30 - down + height, 30 - right : 30 - right + width]
    shifted = warp(images, affine((height, width), shift_xy=[(right, down)]))
    np.testing.assert_array_equal(shifted[0], expected)


@pytest.mark.parametrize("side", [8, 33, 64])
def test_any_map_agrees_with_an_independent_linear_interpolation(side: int) -> None:
    maps = draw_affines(Augmentation(horizontal_flip=0.5, rotation=0.5, zoom=0.5), Streams(2), 8, (side, side))
    images = random_images(8, side, side, 1)
    rows, columns = np.mgrid[:side, :side]
    target = np.stack([columns, rows, np.ones_like(rows)]).reshape(3, -1)
    for image, affine_23, warped in zip(images, maps, warp(images, maps), strict=True):
        source_yx = (affine_23 @ target)[::-1]
        expected = map_coordinates(image[:, :, 0].astype(float), source_yx, order=1, mode="mirror")
        # cv2 may place a point to 1/32 of a pixel, and rounds the result
        np.testing.assert_allclose(warped.ravel(), expected, atol=255 / 16 + 1)
        assert np.abs(warped.ravel() - expected).mean() < 2


@pytest.mark.parametrize("scale", [0.5, 1.5, 2.0])
def test_zoom_scales_areas_by_the_square(scale: float) -> None:
    image = disc(64, 12)
    zoomed = warp(image, affine((64, 64), scale=[scale]))
    # only the middle: zooming out shows reflections further out
    middle = slice(6, 58) if scale > 1 else slice(20, 44)
    area = zoomed[0, middle, middle].sum() / image.sum()
    assert area == pytest.approx(scale**2, rel=0.05)


def test_changes_are_composed_as_mirror_turn_enlarge_shift() -> None:
    size = (32, 32)
    together = affine(size, horizontal_flip=True, vertical_flip=True, rotation=0.1, scale=1.3, shift_xy=(3, -2))
    alone = [
        affine(size, horizontal_flip=True),
        affine(size, vertical_flip=True),
        affine(size, rotation=0.1),
        affine(size, scale=1.3),
        affine(size, shift_xy=(3, -2)),
    ]
    product = np.eye(3)
    for step in alone:  # maps lead back from the result to the source, so the last change is met first
        product = product @ np.vstack([step, [0, 0, 1]])
    np.testing.assert_allclose(together, product[:2], atol=1e-12)


def test_an_array_of_one_parameter_gives_a_map_for_each() -> None:
    maps = affine((9, 9), rotation=[0.1, 0.2], scale=1.5, shift_xy=[(1, 0), (0, 0)])
    assert maps.shape == (2, 2, 3)
    np.testing.assert_array_equal(maps[1], affine((9, 9), rotation=0.2, scale=1.5))


def test_draws_fill_their_ranges() -> None:
    maps = draw_affines(Augmentation(rotation=0.2, zoom=0.3), Streams(1), 20_000, (33, 33))
    turns = np.arctan2(-maps[:, 0, 1], maps[:, 0, 0]) / (2 * np.pi)
    assert np.abs(turns).max() == pytest.approx(0.2, rel=0.01)
    assert np.abs(turns).mean() == pytest.approx(0.1, rel=0.03)
    log_scale = -np.log(np.abs(np.linalg.det(maps[:, :, :2]))) / 2
    assert np.abs(log_scale).max() == pytest.approx(-np.log(0.7), rel=0.01)
    assert log_scale.mean() == pytest.approx(0, abs=0.01)


def test_translation_is_the_random_crop_of_he_et_al() -> None:
    shifts = draw_affines(Augmentation(translation=0.125), Streams(1), 20_000, (32, 32))[:, :, 2]
    crops, counts = np.unique(shifts, axis=0, return_counts=True)
    assert len(crops) == 81
    np.testing.assert_array_equal(np.unique(crops), np.arange(-4, 5))
    assert counts.min() > 0.7 * counts.mean()


def test_translation_of_a_tiny_image_moves_it_by_a_pixel() -> None:
    shifts = draw_affines(Augmentation(translation=0.01), Streams(1), 100, (8, 8))[:, :, 2]
    np.testing.assert_array_equal(np.unique(shifts), [-1, 0, 1])


@pytest.mark.parametrize("probability", [0.0, 0.3, 1.0])
def test_mirrors_come_with_their_probability(probability: float) -> None:
    flips = draw_flips(Augmentation(horizontal_flip=probability, vertical_flip=1 - probability), Streams(1), 20_000)
    assert flips.mean(axis=0) == pytest.approx([probability, 1 - probability], abs=0.015)
