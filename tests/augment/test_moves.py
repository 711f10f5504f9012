"""What moves an image: how the later levers are drawn, and the order in which they move it."""

import numpy as np
import pytest

from convlift.augment.moves import draw_moves, is_symmetry, maps_of
from convlift.augment.streams import Streams
from convlift.recipe.augmentation import Augmentation

SIZE = (32, 32)


def moves(count: int = 20_000, size: tuple[int, int] = SIZE, **strengths: float):
    return draw_moves(Augmentation(**strengths), Streams(1), count, size)


def test_quarter_turns_come_with_their_probability_and_all_alike():
    counts = np.bincount(moves(quarter_turns=0.6).quarters) / 20_000
    assert counts == pytest.approx([0.4, 0.2, 0.2, 0.2], abs=0.01)
    assert np.bincount(moves(quarter_turns=1.0).quarters)[0] == 0


def test_the_aspect_is_log_uniform_over_its_range():
    logs = np.log(moves(aspect=0.25).aspect)
    assert (logs.min(), logs.max()) == pytest.approx((np.log(0.75), -np.log(0.75)), rel=0.01)
    assert (logs.mean(), logs.std()) == pytest.approx((0.0, -np.log(0.75) / 3**0.5), abs=0.01)


def test_both_slopes_fill_their_range_and_are_independent():
    slopes = moves(shear=0.3).slopes
    assert np.abs(slopes).max() == pytest.approx(0.3, rel=0.01)
    assert np.abs(slopes.mean(axis=0)).max() < 0.01
    assert abs(np.corrcoef(slopes.T)[0, 1]) < 0.03


def test_crops_are_those_of_szegedy():
    """Against tries one after the other, as the definition has them."""
    left, top, width, height = moves(crop=0.92).crops.T
    for corner, side in ((left, width), (top, height)):
        assert corner.min() >= 0
        assert (corner + side).max() <= 1 + 1e-12
        assert np.mean(corner / np.maximum(1 - side, 1e-9)) == pytest.approx(0.5, abs=0.01)
    rng, expected = np.random.default_rng(0), []
    for _ in range(5000):
        for _ in range(10):
            area, aspect = rng.uniform(0.08, 1), np.exp(rng.uniform(np.log(3 / 4), np.log(4 / 3)))
            sides = np.sqrt([area * aspect, area / aspect])
            if sides.max() <= 1:
                break
        expected.append(sides if sides.max() <= 1 else np.ones(2))
    for share in (10, 50, 90):
        assert np.percentile(width * height, share) == pytest.approx(
            np.percentile(np.prod(expected, axis=1), share), abs=0.02
        )
        ratio = np.divide(*np.transpose(expected))
        assert np.percentile(width / height, share) == pytest.approx(np.percentile(ratio, share), abs=0.02)


def test_a_crop_that_hardly_cuts_leaves_some_images_whole():
    crops = moves(crop=0.02).crops
    whole = (crops == [0, 0, 1, 1]).all(axis=1)
    assert 0.3 < whole.mean() < 0.9
    assert (crops[~whole, 2] * crops[~whole, 3]).min() >= 0.98 - 1e-9


def test_corners_fill_their_range():
    corners = moves(2000, perspective=0.1).corners
    assert corners.shape == (2000, 4, 2)
    assert np.abs(corners).max() == pytest.approx(0.1, rel=0.01)


def test_at_the_largest_strength_perspective_keeps_every_place_finite():
    maps = maps_of(moves(500, perspective=0.2, crop=0.5, rotation=0.5), SIZE)
    places = np.array([(x, y, 1) for x in (0, 31) for y in (0, 31)]) @ maps.transpose(0, 2, 1)
    assert places[..., 2].min() > 0.1


def test_what_is_off_is_not_drawn_and_none():
    still = moves(3)
    assert [each is None for each in still] == [True, True, True, False, False, False, False, True, True, True]
    np.testing.assert_array_equal(maps_of(still, SIZE), np.eye(3)[None, :2].repeat(3, axis=0))


def test_the_changes_are_composed_in_the_order_that_the_docs_state():
    levers = {
        "quarter_turns": 1.0, "aspect": 0.3, "shear": 0.2, "horizontal_flip": 0.5, "rotation": 0.2, "zoom": 0.3,
        "translation": 0.1, "crop": 0.6, "perspective": 0.1,
    }  # fmt: skip
    together = maps_of(moves(5, **levers), SIZE)
    product = np.eye(3)[None].repeat(5, axis=0)
    for name, strength in levers.items():  # from the result to the source: what comes last is met first
        alone = maps_of(moves(5, **{name: strength}), SIZE)
        if alone.shape[1] == 2:
            alone = np.concatenate([alone, np.eye(3)[None, 2:].repeat(5, axis=0)], axis=1)
        product = product @ alone
    np.testing.assert_allclose(together, product, atol=1e-9)


@pytest.mark.parametrize(
    ("strengths", "size", "expected"),
    [
        ({"horizontal_flip": 0.5, "quarter_turns": 0.75, "brightness": 0.1}, (8, 8), True),
        ({"horizontal_flip": 0.5, "quarter_turns": 0.75}, (8, 9), False),
        ({"horizontal_flip": 0.5}, (8, 9), True),
        ({"elastic": 0.01}, (8, 8), False),
        ({"crop": 0.1}, (8, 8), False),
    ],
)
def test_mirrors_and_quarter_turns_of_a_square_need_no_arithmetic(strengths, size, expected):
    assert is_symmetry(Augmentation(**strengths), size) == expected
