"""RandAugment and TrivialAugment: what is drawn how often, and each operation against PIL, OpenCV or a closed form."""

import cv2
import numpy as np
import pytest
from PIL import Image, ImageEnhance, ImageOps

from convlift.augment.pipeline import augment
from convlift.augment.policies import (
    RAND_AUGMENT,
    TRIVIAL_AUGMENT,
    TWO_WAYS,
    Drawn,
    amounts,
    draw_policy,
    draw_rand_augment,
    draw_trivial_augment,
)
from convlift.augment.streams import Streams
from convlift.recipe.augmentation import Augmentation
from convlift.recipe.published_policies import OPERATIONS

ZERO, ONE = np.zeros(3, np.float32), np.ones(3, np.float32)
SIZE = (40, 40)


def photo() -> np.ndarray:
    rows, columns = np.indices(SIZE) / SIZE[0]
    ramps = [40 + 150 * rows, 30 + 120 * columns, 60 + 80 * rows * columns]
    return np.stack(ramps, -1).astype(np.uint8)


def single(name: str, level: float, ranges=RAND_AUGMENT):
    return amounts(Drawn(np.array([[OPERATIONS.index(name)]]), np.array([[level]])), ranges, SIZE)


def seen_of(name: str) -> np.ndarray:
    """An image that got one operation at its full strength, through the whole pipeline: in 255ths, not cut off."""
    changes, count = Augmentation(rand_augment=30.0, rand_augment_operations=1), 120
    drawn = draw_rand_augment(changes, Streams(0), count)
    index = np.flatnonzero((drawn.operations[:, 0] == OPERATIONS.index(name)) & (drawn.levels[:, 0] > 0))[0]
    return 255 * augment(photo()[None].repeat(count, axis=0), changes, ZERO, ONE, Streams(0))[index]


def test_operations_are_equally_likely_and_go_both_ways():
    drawn = draw_rand_augment(Augmentation(rand_augment=9.0, rand_augment_operations=3), Streams(0), 7000)
    assert drawn.operations.shape == (7000, 3)
    counts = np.bincount(drawn.operations.ravel(), minlength=14)
    np.testing.assert_allclose(counts, 1500, rtol=0.12)
    np.testing.assert_allclose(np.abs(drawn.levels), 0.3)
    for place in range(14):
        levels = drawn.levels[drawn.operations == place]
        assert np.mean(levels < 0) == pytest.approx(0.5 if TWO_WAYS[place] else 0.0, abs=0.06)
    assert TWO_WAYS.sum() == 9


def test_trivial_augment_draws_any_of_31_strengths_for_its_share_of_the_images():
    drawn = draw_trivial_augment(Augmentation(trivial_augment=0.6), Streams(0), 20_000)
    rotated = np.abs(drawn.levels[drawn.operations == OPERATIONS.index("rotate")])
    assert len(np.unique(np.rint(30 * rotated))) == 31
    assert np.mean(drawn.operations > 0) == pytest.approx(0.6 * 13 / 14, abs=0.01)


def test_ranges_are_those_published():
    rand, trivial = RAND_AUGMENT, TRIVIAL_AUGMENT
    assert single("rotate", -1, rand).rotation[0] == pytest.approx(-30 / 360)
    assert single("rotate", 1, trivial).rotation[0] == pytest.approx(135 / 360)
    np.testing.assert_allclose(single("shear x", 1, rand).slopes, [[0.3, 0]])
    np.testing.assert_allclose(single("shear y", -1, trivial).slopes, [[0, -0.99]])
    np.testing.assert_allclose(single("shift x", 1, rand).shifts, [[18, 0]])  # 150/331 of 40
    np.testing.assert_allclose(single("shift y", -1, trivial).shifts, [[0, -32]])
    assert single("brightness", -1, rand).brightness[0] == pytest.approx(0.1)
    assert single("colour", 1, trivial).saturation[0] == pytest.approx(1.99)
    assert (single("posterize", 1, rand).posterize[0], single("posterize", 1, trivial).posterize[0]) == (4, 6)
    assert (single("solarize", 1).solarize[0], single("solarize", 0).solarize[0]) == (0, 255)


def test_an_operation_changes_nothing_else():
    neutral = single("identity", 1.0)
    for name in OPERATIONS[1:]:
        found = single(name, 0.7)
        changed = [
            field for field in found._fields if not np.array_equal(getattr(found, field), getattr(neutral, field))
        ]
        assert len(changed) == 1, name


def test_two_of_a_kind_add_up():
    twice = Drawn(np.full((1, 2), OPERATIONS.index("rotate")), np.array([[0.5, 0.25]]))
    assert amounts(twice, RAND_AUGMENT, SIZE).rotation[0] == pytest.approx(0.75 * 30 / 360)
    bright = Drawn(np.full((1, 2), OPERATIONS.index("brightness")), np.array([[0.5, -0.5]]))
    assert amounts(bright, RAND_AUGMENT, SIZE).brightness[0] == pytest.approx(1.45 * 0.55)
    both = draw_policy(Augmentation(rand_augment=30, trivial_augment=1), Streams(0), 500, SIZE)
    alone = draw_policy(Augmentation(rand_augment=30), Streams(0), 500, SIZE)
    assert np.abs(both.rotation).max() > np.abs(alone.rotation).max()


@pytest.mark.parametrize(
    ("name", "of_pil"),
    [
        ("equalize", ImageOps.equalize),
        ("stretch", ImageOps.autocontrast),
        ("solarize", lambda image: ImageOps.solarize(image, 0)),
        ("posterize", lambda image: ImageOps.posterize(image, 4)),
        ("sharpness", lambda image: ImageEnhance.Sharpness(image).enhance(1.9)),
        ("colour", lambda image: ImageEnhance.Color(image).enhance(1.9)),
        ("brightness", lambda image: ImageEnhance.Brightness(image).enhance(1.9)),
    ],
)
def test_an_operation_is_that_of_pil(name, of_pil):
    expected = np.asarray(of_pil(Image.fromarray(photo()))).astype(float)
    assert np.abs(seen_of(name).clip(0, 255) - expected).max() <= 2


def test_contrast_is_about_mid_grey():
    np.testing.assert_allclose(seen_of("contrast"), 127.5 + 1.9 * (photo() - 127.5), atol=0.01)


@pytest.mark.parametrize(
    ("name", "matrix"),
    [
        ("rotate", cv2.getRotationMatrix2D((19.5, 19.5), 30, 1)),
        ("shear x", np.array([[1, 0.3, -0.3 * 19.5], [0, 1, 0]])),
        ("shift y", np.array([[1, 0, 0], [0, 1, 18.0]])),
    ],
)
def test_a_move_is_that_of_opencv(name, matrix):
    expected = cv2.warpAffine(photo(), matrix, SIZE, borderMode=cv2.BORDER_REFLECT_101).astype(float)
    found = seen_of(name)
    mirrored = cv2.warpAffine(photo(), cv2.invertAffineTransform(matrix), SIZE, borderMode=cv2.BORDER_REFLECT_101)
    # which direction is plus, papers leave open
    assert min(np.abs(found - each).max() for each in (expected, mirrored.astype(float))) <= 2
