"""Images of bands: what is done to a band is what would be done to it alone, however many others there are."""

from collections.abc import Iterator

import cv2
import numpy as np
import pytest

from convlift.augment.pipeline import augment, normalize, standardize
from convlift.augment.streams import Streams
from convlift.augment.told import drawn_levers
from convlift.recipe.augmentation import OF_COLOURS, Augmentation
from convlift.recipe.data import MOST_BANDS

BANDS = (2, 4, 6, 13)
ROUNDING = 2e-6  # of float32
# levers that change each band by itself, and draw the same whatever their number
APART: dict[str, dict[str, float | str]] = {
    "mirrors": {"horizontal_flip": 0.5, "vertical_flip": 0.5},
    "quarter turns": {"quarter_turns": 0.75, "horizontal_flip": 0.5},
    "shifts": {"translation": 0.2},
    "moved, reflected": {"rotation": 0.2, "zoom": 0.3, "shear": 0.2, "crop": 0.5},
    "moved, black beyond": {"rotation": 0.2, "translation": 0.3, "fill_mode": "constant"},
    "moved, edges repeated": {"rotation": 0.2, "aspect": 0.3, "fill_mode": "edge"},
    "perspective": {"perspective": 0.15},
    "elastic": {"elastic": 0.05, "rotation": 0.1},
    "elastic, black beyond": {"elastic": 0.05, "fill_mode": "constant"},
    "light": {"brightness": 0.3, "contrast": 0.4},
    "erased": {"erase": 0.4, "cutout": 0.4},
    "gamma": {"gamma": 0.5},
    "equalize": {"equalize": 1.0},
    "solarize": {"solarize": 0.6},
    "posterize": {"posterize": 6.0},
    "sharpness": {"sharpness": 0.9},
    "blur": {"blur": 0.1},
    "RandAugment": {"rand_augment": 20.0},
    "TrivialAugment": {"trivial_augment": 1.0},
    "AugMix": {"aug_mix": 8.0},
}


def images(bands: int, count: int = 8, side: int = 20) -> np.ndarray:
    """Smooth, with noise, each band another one."""
    rng = np.random.default_rng(bands)
    places = np.linspace(0, 4, side)
    waves = np.sin(places[:, None, None] + rng.uniform(0, 6, bands)) * np.cos(
        places[:, None] + rng.uniform(0, 6, bands)
    )
    noisy = 127 + 80 * waves + rng.normal(0, 20, (count, side, side, bands))
    return np.clip(noisy, 0, 255).astype(np.uint8)


def changed(pixels: np.ndarray, strengths: dict[str, float | str]) -> np.ndarray:
    """In units of [0, 1]."""
    bands = pixels.shape[3]
    normal = np.zeros(bands, np.float32), np.ones(bands, np.float32)
    changes = Augmentation.model_validate({"effect_chance": 0.8, **strengths})
    return augment(pixels, changes, *normal, Streams(5))


def each_alone(pixels: np.ndarray, strengths: dict[str, float | str]) -> Iterator[np.ndarray]:
    for band in range(pixels.shape[3]):
        yield changed(np.ascontiguousarray(pixels[..., band : band + 1]), strengths)[..., 0]


@pytest.mark.parametrize("strengths", APART.values(), ids=APART)
@pytest.mark.parametrize("bands", BANDS)
def test_a_band_among_others_is_what_it_is_alone(bands: int, strengths: dict[str, float | str]) -> None:
    pixels = images(bands)
    found = changed(pixels, strengths)
    apart = np.abs(found - np.stack(list(each_alone(pixels, strengths)), axis=3))
    # what is smoothed is rounded to a byte, and a few halves go another way where OpenCV adds in another order
    assert apart.max() < (1.01 / 255 if "blur" in strengths else ROUNDING)
    assert np.mean(apart > ROUNDING) < 1e-3
    assert np.abs(found - pixels / 255).max() > 0.01, "something changed"


def test_every_lever_is_looked_at() -> None:
    looked_at = {name for strengths in APART.values() for name in strengths} - {"fill_mode"}
    assert looked_at | {"channel_gain", "noise", "shot_noise"} | set(OF_COLOURS) == set(Augmentation().strengths)


@pytest.mark.parametrize("bands", [*BANDS, MOST_BANDS])
def test_without_levers_each_band_is_normalized_by_its_own_figures(bands: int) -> None:
    pixels, rng = images(bands), np.random.default_rng(0)
    mean, std = rng.uniform(0.3, 0.6, bands).astype(np.float32), rng.uniform(0.1, 0.3, bands).astype(np.float32)
    found = normalize(pixels, mean, std)
    np.testing.assert_allclose(found, (pixels / 255 - mean) / std, rtol=0, atol=1e-5)
    np.testing.assert_array_equal(augment(pixels, Augmentation(), mean, std, Streams(0)), found)


@pytest.mark.parametrize("bands", BANDS)
def test_an_image_is_standardized_over_all_its_bands(bands: int) -> None:
    (image,) = images(bands, 1)
    found = image.astype(np.float32) / 255
    standardize(found)
    expected = (image / 255 - (image / 255).mean()) / (image / 255).std()
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-4)


@pytest.mark.parametrize("bands", BANDS)
def test_every_band_has_a_gain_of_its_own(bands: int) -> None:
    pixels = np.full((50, 4, 4, bands), 100, np.uint8)
    found = changed(pixels, {"channel_gain": 0.3})
    gains_NB = found[:, 0, 0] * 255 / 100
    np.testing.assert_allclose(found, np.broadcast_to(found[:, :1, :1], found.shape))
    assert 0.7 <= gains_NB.min() < 0.75
    assert 1.25 < gains_NB.max() <= 1.3
    assert np.abs(np.corrcoef(gains_NB.T) - np.eye(bands)).max() < 0.5
    told = drawn_levers(Augmentation(channel_gain=0.3), Streams(5), 50, (4, 4), bands)
    np.testing.assert_allclose([each["channel_gain"] for each in told], gains_NB, rtol=1e-5)


@pytest.mark.parametrize("bands", BANDS)
def test_noise_is_as_strong_in_every_band_and_apart(bands: int) -> None:
    pixels, std = np.full((4, 64, 64, bands), 128, np.uint8), np.linspace(0.1, 0.4, bands).astype(np.float32)
    noisy = augment(pixels, Augmentation(noise=0.1), np.zeros(bands, np.float32), std, Streams(1)) * std - 128 / 255
    np.testing.assert_allclose(noisy.std(axis=(0, 1, 2)), 0.1, rtol=0.03)
    assert np.abs(np.corrcoef(noisy.reshape(-1, bands).T) - np.eye(bands)).max() < 0.05


@pytest.mark.parametrize("bands", BANDS)
def test_shot_noise_is_that_of_each_band_s_light(bands: int) -> None:
    levels = np.linspace(60, 200, bands).round().astype(np.uint8)
    pixels = np.broadcast_to(levels, (4, 64, 64, bands))
    found = changed(pixels, {"shot_noise": 0.1, "effect_chance": 1.0})
    np.testing.assert_allclose(found.mean(axis=(0, 1, 2)), levels / 255, rtol=0.02)
    np.testing.assert_allclose(found.std(axis=(0, 1, 2)), 0.1 * np.sqrt(levels / 255), rtol=0.05)


def test_what_opencv_is_asked_of_all_bands_at_once() -> None:
    """Filters and mirrors take as many channels as there are; maps do not do so alike, and are not asked."""
    (image,) = images(13, 1)
    first = np.ascontiguousarray(image[..., 0])
    kernel = np.float32([[1, 2, 1], [2, 4, 2], [1, 2, 1]]) / 16
    smooth = cv2.filter2D(image, cv2.CV_32F, kernel)
    np.testing.assert_allclose(smooth[..., 0], cv2.filter2D(first, cv2.CV_32F, kernel))
    np.testing.assert_array_equal(cv2.flip(image, -1), image[::-1, ::-1])
