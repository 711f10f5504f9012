"""The table that noise is read from."""

import numpy as np
import pytest

from convlift.augment import pixel_noise
from convlift.augment.pipeline import augment
from convlift.augment.streams import Streams
from convlift.recipe.augmentation import Augmentation


def noise_of(shape: tuple[int, ...], std: tuple[float, ...], *key: int) -> np.ndarray:
    mean, deviation = np.full(shape[3], 0.5, np.float32), np.array(std, np.float32)
    found = augment(np.full(shape, 128, np.uint8), Augmentation(noise=0.2), mean, deviation, Streams(*key))
    return found * deviation + mean - np.float32(128 / 255)


def test_numbers_are_normal_and_none_is_like_its_neighbours() -> None:
    numbers = pixel_noise.table(pixel_noise.LENGTH, (1.0,)).astype(np.float64)
    assert numbers.mean() == pytest.approx(0, abs=4 / len(numbers) ** 0.5)
    assert numbers.std() == pytest.approx(1, abs=3e-3)
    assert (numbers**4).mean() == pytest.approx(3, abs=0.03)
    for apart in (1, 2, 3, 24, 96, 3072):  # values of a channel, and of rows and images of usual sizes
        assert abs((numbers[apart:] * numbers[:-apart]).mean()) < 5 / len(numbers) ** 0.5


@pytest.mark.parametrize("channels", [1, 3])
def test_every_channel_has_the_deviation_in_pixels_whatever_it_is_divided_by(channels: int) -> None:
    noise = noise_of((8, 64, 64, channels), (0.1, 0.25, 0.5)[:channels], 0)
    assert noise.std(axis=(0, 1, 2)) == pytest.approx([0.2] * channels, rel=0.02)


def test_no_two_images_read_the_same_stretch() -> None:
    starts = pixel_noise.draw_starts(Streams(0)["noise"], 500, 3072, 3)
    assert len(set(starts.tolist())) == 500
    assert (starts % 3 == 0).all()
    assert starts.min() >= 0
    assert starts.max() + 3072 <= pixel_noise.LENGTH
    assert starts.max() > 0.98 * (pixel_noise.LENGTH - 3072)


def test_an_image_larger_than_the_table_has_noise_all_over() -> None:
    side = 740  # a little more than the table, in colour
    assert 3 * side**2 > pixel_noise.LENGTH
    noise = noise_of((1, side, side, 3), (1.0, 1.0, 1.0), 0)[0]
    assert noise[-50:].std() == pytest.approx(0.2, rel=0.02)
    assert abs(np.corrcoef(noise[:300].ravel(), noise[-300:].ravel())[0, 1]) < 0.01


def test_no_image_is_no_fault() -> None:
    assert noise_of((0, 8, 8, 3), (1.0, 1.0, 1.0), 0).shape == (0, 8, 8, 3)
