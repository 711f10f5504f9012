"""Each image by its own mean and deviation: what an independent reference gives, on both ways."""

import numpy as np
import pytest
import torch

from convlift.augment.batched import augment_batch, normalize_batch
from convlift.augment.pipeline import augment, normalize
from convlift.augment.streams import Streams
from convlift.data.normalization import figures_of, of_figures, statistics
from convlift.recipe.augmentation import Augmentation

RNG = np.random.default_rng(0)
CHANGES = Augmentation(rotation=0.2, brightness=0.3, contrast=0.4, noise=0.1, erase=0.4, blur=0.05)


def reference(pixels_NHWC: np.ndarray) -> np.ndarray:
    """tf.image.per_image_standardization, of images in [0, 1], in float64 and in its own words."""
    found = []
    for image in pixels_NHWC.astype(np.float64):
        adjusted = max(float(np.sqrt(np.mean((image - image.mean()) ** 2))), 1.0 / np.sqrt(image.size))
        found.append((image - image.mean()) / adjusted)
    return np.stack(found)


def batched(pixels_NHWC: np.ndarray, *more: object) -> np.ndarray:
    made = (augment_batch if more else normalize_batch)(torch.from_numpy(pixels_NHWC), *more[:1], *each(3), *more[1:])
    return made.permute(0, 2, 3, 1).numpy()


def each(channels: int):
    return statistics("image", np.zeros((1, 2, 2, channels), np.uint8))


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("side", [8, 224])
def test_the_reference(channels: int, side: int) -> None:
    images = RNG.integers(0, 256, (3, side, side, channels), dtype=np.uint8) // np.array([1, 7, 60]).reshape(3, 1, 1, 1)
    images = images.astype(np.uint8)
    found = normalize(images, *each(channels))
    assert found.dtype == np.float32
    assert found == pytest.approx(reference(images / 255), abs=1e-5)
    sent = normalize_batch(torch.from_numpy(images), *each(channels)).permute(0, 2, 3, 1).numpy()
    assert sent == pytest.approx(reference(images / 255), abs=1e-5)


@pytest.mark.parametrize("level", [0, 77, 255])
def test_an_image_of_one_colour_becomes_0(level: int) -> None:
    even = np.full((2, 16, 16, 3), level, np.uint8)
    assert np.abs(normalize(even, *each(3))).max() < 1e-5
    assert np.abs(batched(even)).max() < 1e-5
    # one grey level, once: less than the least deviation that counts
    even[0, 0, 0, 0] ^= 1
    assert np.abs(normalize(even, *each(3))).max() == pytest.approx(np.sqrt(768) / 255, rel=0.01)


def test_images_are_standardized_after_all_that_augmentation_does() -> None:
    images = RNG.integers(0, 256, (6, 20, 20, 3), dtype=np.uint8)
    plain = augment(images, CHANGES, *statistics("unit", images), Streams(1))
    assert augment(images, CHANGES, *each(3), Streams(1)) == pytest.approx(reference(plain), abs=1e-5)
    exact = Augmentation(horizontal_flip=0.5, brightness=0.3, contrast=0.4, noise=0.1, erase=0.4)
    there = batched(images, exact, Streams(1))
    assert there == pytest.approx(augment(images, exact, *each(3), Streams(1)), abs=5e-5)


def test_every_view_that_augmix_compares_is_standardized() -> None:
    images = RNG.integers(0, 256, (3, 20, 20, 3), dtype=np.uint8)
    mixes = Augmentation(aug_mix=0.3)
    views = augment(images, mixes, *each(3), Streams(2), compared=True)
    assert len(views) == 9
    assert views.mean(axis=(1, 2, 3)) == pytest.approx(0, abs=1e-5)
    assert views.std(axis=(1, 2, 3)) == pytest.approx(1, abs=1e-4)


def test_light_and_contrast_are_no_longer_seen() -> None:
    images = RNG.integers(80, 160, (2, 16, 16, 1), dtype=np.uint8)
    other = (images.astype(int) * 3 // 2 - 20).astype(np.uint8)
    assert normalize(images, *each(1)) == pytest.approx(normalize(other, *each(1)), abs=0.05)


@pytest.mark.parametrize("kind", ["image", "standardize"])
def test_figures_are_written_down_and_read_again(kind: str) -> None:
    normal = statistics(kind, RNG.integers(0, 256, (4, 8, 8, 3), dtype=np.uint8))
    mean, std = of_figures(*figures_of(normal))
    assert (mean == normal[0]).all()
    assert std is normal[1] is None or (std == normal[1]).all()
