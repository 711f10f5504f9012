"""One affine map per image: exact where the pixel grid maps onto itself, and composed in a fixed order."""

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image
from scipy.ndimage import binary_erosion, map_coordinates

from convlift.augment.geometry import (
    affine,
    after_linear,
    flip,
    quarter_turns,
    resample_at,
    sheared,
    stretched,
    then_cropped,
    then_in_perspective,
    transpose,
    transposed_first,
    warp,
)  # fmt: skip
from convlift.augment.moves import draw_flips, draw_moves, maps_of
from convlift.augment.streams import Streams
from convlift.recipe.augmentation import Augmentation

SIDES = st.integers(1, 24)
CHANNELS = st.sampled_from([1, 3])


def random_images(count: int, height: int, width: int, channels: int) -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (count, height, width, channels), dtype=np.uint8)


def drawn(augmentation: Augmentation, seed: int, count: int, side: int) -> np.ndarray:
    size = (side, side)
    return maps_of(draw_moves(augmentation, Streams(seed), count, size), size)


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
    maps = drawn(Augmentation(horizontal_flip=0.5, rotation=0.5, zoom=0.5), 2, 8, side)
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
    maps = drawn(Augmentation(rotation=0.2, zoom=0.3), 1, 20_000, 33)
    turns = np.arctan2(-maps[:, 0, 1], maps[:, 0, 0]) / (2 * np.pi)
    assert np.abs(turns).max() == pytest.approx(0.2, rel=0.01)
    assert np.abs(turns).mean() == pytest.approx(0.1, rel=0.03)
    log_scale = -np.log(np.abs(np.linalg.det(maps[:, :, :2]))) / 2
    assert np.abs(log_scale).max() == pytest.approx(-np.log(0.7), rel=0.01)
    assert log_scale.mean() == pytest.approx(0, abs=0.01)


def test_translation_is_the_random_crop_of_he_et_al() -> None:
    shifts = drawn(Augmentation(translation=0.125), 1, 20_000, 32)[:, :, 2]
    crops, counts = np.unique(shifts, axis=0, return_counts=True)
    assert len(crops) == 81
    np.testing.assert_array_equal(np.unique(crops), np.arange(-4, 5))
    assert counts.min() > 0.7 * counts.mean()


def test_translation_of_a_tiny_image_moves_it_by_a_pixel() -> None:
    shifts = drawn(Augmentation(translation=0.01), 1, 100, 8)[:, :, 2]
    np.testing.assert_array_equal(np.unique(shifts), [-1, 0, 1])


@pytest.mark.parametrize("probability", [0.0, 0.3, 1.0])
def test_mirrors_come_with_their_probability(probability: float) -> None:
    flips = draw_flips(Augmentation(horizontal_flip=probability, vertical_flip=1 - probability), Streams(1), 20_000)
    assert flips.mean(axis=0) == pytest.approx([probability, 1 - probability], abs=0.015)


# Quarter turns, and the symmetries of the square by index


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("side", [1, 6, 7])
@pytest.mark.parametrize("quarters", range(4))
@pytest.mark.parametrize("flips", [(False, False), (True, False), (False, True), (True, True)])
def test_a_symmetry_is_its_map_is_numpy(channels: int, side: int, quarters: int, flips: tuple[bool, bool]) -> None:
    image = random_images(1, side, side, channels)[0]
    expected = np.rot90(image, quarters)[:: -1 if flips[1] else 1, :: -1 if flips[0] else 1]
    swapped, flips_N2 = transposed_first(np.array([quarters]), np.array([flips]))
    first = transpose(image, np.empty_like(image)) if swapped[0] else image
    np.testing.assert_array_equal(flip(first, flips_N2[0], np.empty_like(image)), expected)
    size = (side, side)
    mirrored = affine(size, horizontal_flip=[flips[0]], vertical_flip=[flips[1]])
    mapped = warp(image[None], after_linear(quarter_turns(size, [quarters]), mirrored, size))
    np.testing.assert_array_equal(mapped[0], expected)


def test_a_quarter_turn_of_an_oblong_image_shows_all_of_it_in_its_frame() -> None:
    size = (10, 20)
    corners = np.array([[-0.5, -0.5, 1], [19.5, -0.5, 1], [19.5, 9.5, 1], [-0.5, 9.5, 1]])
    turned = corners @ after_linear(quarter_turns(size, [1]), affine(size)[None], size)[0].T
    np.testing.assert_allclose(turned, corners[[1, 2, 3, 0], :2], atol=1e-12)


# What came later, each against PIL, cv2 or a closed form


SMOOTH = np.rint(127.5 + 127.5 * np.sin(np.arange(48) / 5)[:, None] * np.cos(np.arange(48) / 7)).astype(np.uint8)


def by_pillow(image: np.ndarray, mode: Image.Transform, data: tuple[float, ...]) -> np.ndarray:
    """PIL's own resampling; it counts from the corner of a pixel, not from its middle."""
    return np.asarray(Image.fromarray(image).transform(image.shape[::-1], mode, data, Image.Resampling.BILINEAR))


def assert_alike(ours: np.ndarray, theirs: np.ndarray) -> None:
    """Where PIL finds its pixels well inside the image: it fills with 0 beyond, and SMOOTH is hardly ever so dark."""
    inside = binary_erosion(theirs > 0, iterations=2)
    assert inside.mean() > 0.5
    assert np.abs(ours.astype(int) - theirs)[inside].max() <= 2


def from_corners(map_33: np.ndarray) -> np.ndarray:
    """The same map between places that are counted from the corner of a pixel."""
    half = np.array([[1, 0, 0.5], [0, 1, 0.5], [0, 0, 1]])
    return half @ map_33 @ np.linalg.inv(half)


@pytest.mark.parametrize("linear", [stretched(1.4), sheared([0.2, -0.1])])
def test_stretch_and_shear_are_those_of_pillow(linear: np.ndarray) -> None:
    size = SMOOTH.shape
    whole = after_linear(linear[None], affine(size)[None], size)
    theirs = by_pillow(SMOOTH, Image.Transform.AFFINE, from_corners(np.vstack([whole[0], [0, 0, 1]]))[:2].ravel())
    assert_alike(warp(SMOOTH[None, :, :, None], whole)[0, :, :, 0], theirs)


def test_stretch_and_shear_are_their_formulas() -> None:
    np.testing.assert_allclose(np.linalg.inv(stretched(1.44)), np.diag([1.2, 1 / 1.2]))
    np.testing.assert_array_equal(sheared([[0.3, -0.1]]), [[[1, 0.3], [-0.1, 1]]])
    # the middle of the image stays where it is
    moved = after_linear(sheared([[0.3, -0.1]]), affine((5, 9))[None], (5, 9))
    np.testing.assert_allclose(moved[0] @ [4, 2, 1], [4, 2], atol=1e-12)


@pytest.mark.parametrize("crop", [(0, 0, 1, 1), (0.25, 0.5, 0.5, 0.25), (0.1, 0, 0.3, 0.4)])
def test_a_crop_is_the_resized_box_of_pillow(crop: tuple[float, ...]) -> None:
    left, top, width, height = (48 * share for share in crop)
    theirs = Image.fromarray(SMOOTH).transform(
        (48, 48), Image.Transform.EXTENT, (left, top, left + width, top + height), Image.Resampling.BILINEAR
    )
    maps = then_cropped(affine((48, 48))[None], np.array([crop]), (48, 48))
    ours = warp(SMOOTH[None, :, :, None], maps)[0, :, :, 0].astype(int)
    assert np.abs(ours - np.asarray(theirs))[2:-2, 2:-2].max() <= 1


@pytest.mark.parametrize("size", [(48, 48), (30, 50)])
def test_perspective_is_the_homography_of_opencv(size: tuple[int, int]) -> None:
    shifts = np.random.default_rng(0).uniform(-0.2, 0.2, (1, 4, 2))
    height, width = size
    frame = np.float32([(0, 0), (width, 0), (width, height), (0, height)]) - np.float32(0.5)
    theirs = cv2.getPerspectiveTransform(frame, np.float32(frame + shifts[0] * (width, height)))
    ours = then_in_perspective(affine(size)[None], shifts, size)[0]
    np.testing.assert_allclose(ours / ours[2, 2], theirs, rtol=1e-4, atol=1e-4)


def test_perspective_is_that_of_pillow() -> None:
    shifts = np.random.default_rng(1).uniform(-0.15, 0.15, (1, 4, 2))
    maps = then_in_perspective(affine((48, 48))[None], shifts, (48, 48))
    cornered = from_corners(maps[0])
    theirs = by_pillow(SMOOTH, Image.Transform.PERSPECTIVE, (cornered / cornered[2, 2]).ravel()[:8])
    assert_alike(warp(SMOOTH[None, :, :, None], maps)[0, :, :, 0], theirs)


def test_perspective_of_no_strength_is_the_affine_map() -> None:
    moved = affine((9, 12), rotation=[0.1], scale=1.2)
    whole = then_in_perspective(moved, np.zeros((1, 4, 2)), (9, 12))[0]
    np.testing.assert_allclose(whole, np.vstack([moved[0], [0, 0, 1]]), atol=1e-12)


@pytest.mark.parametrize(("fill", "mode"), [("reflect", "reflect"), ("edge", "edge"), ("constant", "constant")])
@pytest.mark.parametrize("way", ["affine", "homography", "places"])
def test_what_lies_beyond_the_border_is_that_of_numpy(fill: str, mode: str, way: str) -> None:
    image = random_images(1, 8, 8, 3)[0]
    expected = np.pad(image, ((3, 0), (5, 0), (0, 0)), mode=mode)[:8, :8]
    moved = affine((8, 8), shift_xy=[(5, 3)])
    if way == "places":
        places = np.float32(np.mgrid[:8, :8][::-1]) - np.float32([5, 3])[:, None, None]
        found = resample_at(image, places, np.empty_like(image), fill)
    else:
        maps = moved if way == "affine" else np.concatenate([moved, [[[0, 0, 1]]]], axis=1)
        found = warp(image[None], maps, fill)[0]
    np.testing.assert_array_equal(found, expected)
