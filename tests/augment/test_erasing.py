"""What is erased: where, how much, and by what."""

import numpy as np
import pytest

from convlift.augment.erasing import draw_rectangles, erase
from convlift.augment.pipeline import augment
from convlift.augment.streams import Streams
from convlift.recipe.augmentation import Augmentation

SIZE = (100, 80)


def rectangles(count: int = 20_000, size: tuple[int, int] = SIZE, **strengths: float) -> np.ndarray:
    found = draw_rectangles(Augmentation(**strengths), Streams(1), count, size)
    assert found is not None
    return found


def areas(found: np.ndarray) -> np.ndarray:
    return (found[..., 1] - found[..., 0]) * (found[..., 3] - found[..., 2])


def test_nothing_is_drawn_where_nothing_is_erased() -> None:
    assert draw_rectangles(Augmentation(erase_chance=1.0), Streams(1), 5, SIZE) is None


def test_random_erasing_is_that_of_zhong() -> None:
    found = rectangles(erase=0.4)[:, 0]
    is_erased = areas(found) > 0
    assert is_erased.mean() == pytest.approx(0.5, abs=0.01)
    kept = found[is_erased]
    shares, sides = areas(kept) / (SIZE[0] * SIZE[1]), kept[:, [1, 3]] - kept[:, [0, 2]]
    assert (shares.min(), shares.max()) == pytest.approx((0.02, 0.4), abs=0.01)
    ratios = sides[:, 0] / sides[:, 1]
    assert (ratios.min(), ratios.max()) == pytest.approx((0.3, 1 / 0.3), rel=0.05)
    assert kept.min() >= 0
    assert (kept[:, 1] <= SIZE[0]).all()
    assert (kept[:, 3] <= SIZE[1]).all()
    room = np.array(SIZE) - sides
    assert np.mean(kept[:, [0, 2]] / np.maximum(room, 1), axis=0) == pytest.approx([0.5, 0.5], abs=0.02)


def test_the_chance_is_that_of_an_image() -> None:
    assert np.mean(areas(rectangles(erase=0.2, erase_chance=0.1)) > 0) == pytest.approx(0.1, abs=0.01)
    assert areas(rectangles(erase=0.2, erase_chance=1.0)).min() > 0


def test_cutout_is_a_square_around_any_pixel_cut_at_the_border() -> None:
    found = rectangles(size=(32, 32), cutout=0.5)[:, 0]
    sides = found[:, [1, 3]] - found[:, [0, 2]]
    assert (sides.min(), sides.max()) == (8, 16)  # DeVries and Taylor: 16 pixels, half of them outside at most
    middle = sides.min(axis=1) == 16
    assert middle.mean() == pytest.approx((17 / 32) ** 2, abs=0.02)
    covered = np.zeros((32, 32))
    for top, bottom, left, right in found[:4000]:
        covered[top:bottom, left:right] += 1
    assert covered[16, 16] / 4000 == pytest.approx(0.25, abs=0.03)


@pytest.mark.parametrize("channels", [1, 3])
def test_what_is_erased_gets_the_mean_of_its_image(channels: int) -> None:
    inputs = np.random.default_rng(0).normal(size=(9, 12, channels)).astype(np.float32)
    before = inputs.copy()
    erase(inputs, np.array([[2, 5, 1, 12], [0, 3, 0, 0], [4, 9, 0, 2]]))
    expected = before.copy()
    mean = before.mean(axis=(0, 1))
    expected[2:5, 1:12] = mean
    expected[4:9, 0:2] = mean
    np.testing.assert_allclose(inputs, expected, atol=1e-6)


def test_what_is_erased_holds_no_noise() -> None:
    images = np.random.default_rng(0).integers(0, 256, (4, 16, 16, 3), dtype=np.uint8)
    changes = Augmentation(cutout=1.0, noise=0.1, brightness=0.2)
    seen = augment(images, changes, np.full(3, 0.5, np.float32), np.full(3, 0.2, np.float32), Streams(0))
    for image in seen:
        assert np.unique(image.reshape(-1, 3), axis=0, return_counts=True)[1].max() >= 16 * 16 / 4
