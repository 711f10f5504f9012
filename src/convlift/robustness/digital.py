"""What processing does: less contrast, bent, coarse, compressed. Images (H, W, C) in [0, 1], float64."""

from collections.abc import Callable
from functools import lru_cache
from io import BytesIO
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image as Pillow
from scipy.ndimage import gaussian_filter1d

from convlift.recipe.data import is_bands

Image = NDArray[np.float64]
Plane = NDArray[np.float64]  # (H, W)


def contrast(image_HWC: Image, factor: float, rng: np.random.Generator) -> Image:
    """Every channel's distance from its mean, times that factor."""
    mean = image_HWC.mean(axis=(0, 1), keepdims=True)
    return np.asarray((image_HWC - mean) * factor + mean, np.float64)


def elastic_transform(image_HWC: Image, bend: tuple[float, float, float], rng: np.random.Generator) -> Image:
    """Three points moved at random, which an affine map follows, then a smooth field of shifts (Simard et al. 2003).

    bend: the field's amplitude, the deviation of the Gaussian that smooths it, and the most that a point moves, all in
    shorter sides: the published figures are written for one size as multiples of it.
    """
    height, width, _ = image_HWC.shape
    side = min(height, width)
    amplitude, deviation, move = (side * part for part in bend)
    third, centre = side // 3, np.array([height // 2, width // 2], np.float32)
    corners = np.array([centre + third, [centre[0] + third, centre[1] - third], centre - third], np.float32)
    shifted = corners + rng.uniform(-move, move, corners.shape).astype(np.float32)
    affine = cv2.getAffineTransform(corners, shifted) if third else np.eye(2, 3)
    moved = by_band(
        lambda image: cv2.warpAffine(image, affine, (width, height), borderMode=cv2.BORDER_REFLECT_101),
        image_HWC.astype(np.float32),
    ).reshape(image_HWC.shape)
    across, down = (amplitude * _smooth_noise(height, width, deviation, rng) for _ in range(2))
    columns, rows = np.meshgrid(np.arange(width), np.arange(height))
    to_columns, to_rows = (np.asarray(each, np.float32) for each in (columns + across, rows + down))
    bent = by_band(
        lambda image: cv2.remap(image, to_columns, to_rows, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REFLECT), moved
    )
    return np.asarray(bent, np.float64).reshape(image_HWC.shape)


def pixelate(image_HWC: Image, factor: float, rng: np.random.Generator) -> Image:
    """Shrunk by that factor and enlarged again, both by means over boxes."""
    height, width, channels = image_HWC.shape
    size = max(int(width * factor), 1), max(int(height * factor), 1)

    def coarse(image: NDArray[Any]) -> NDArray[Any]:
        small = _pillow(image.reshape(height, width, -1)).resize(size, Pillow.Resampling.BOX)
        return _array(small.resize((width, height), Pillow.Resampling.BOX))

    return np.asarray(by_band(coarse, image_HWC), np.float64).reshape(height, width, channels)


def jpeg_compression(image_HWC: Image, quality: int, rng: np.random.Generator) -> Image:
    """Saved as JPEG of that quality, and read again."""
    file = BytesIO()
    _pillow(image_HWC).save(file, "JPEG", quality=quality)
    with Pillow.open(file) as read:
        return _array(read)


def by_band(change: Callable[[NDArray[Any]], NDArray[Any]], image_HWC: NDArray[Any]) -> NDArray[Any]:
    """The changed image; one of bands band by band, (H, W) each: OpenCV and Pillow take four channels at most."""
    channels = image_HWC.shape[2]
    if not is_bands(channels):
        return change(image_HWC)
    bands = [change(np.ascontiguousarray(image_HWC[..., band])) for band in range(channels)]
    return np.stack([band.reshape(band.shape[:2]) for band in bands], axis=2)


def _smooth_noise(height: int, width: int, deviation: float, rng: np.random.Generator) -> Plane:
    noise = rng.uniform(-1.0, 1.0, (height, width))
    return np.asarray(_smoother(height, deviation) @ noise @ _smoother(width, deviation).T, np.float64)


@lru_cache(maxsize=32)
def _smoother(side: int, deviation: float) -> Plane:
    """(side, side): the Gaussian along one axis, cut off at three deviations, with mirrored edges. As a matrix, since a
    deviation of most of the image takes longer otherwise."""
    if deviation <= 0.0:
        return np.eye(side)
    return np.asarray(gaussian_filter1d(np.eye(side), deviation, axis=0, mode="reflect", truncate=3.0), np.float64)


def _pillow(image_HWC: Image) -> Pillow.Image:
    pixels = np.round(255.0 * image_HWC).astype(np.uint8)
    return Pillow.fromarray(pixels[..., 0] if pixels.shape[2] == 1 else pixels)


def _array(image: Pillow.Image) -> Image:
    pixels = np.asarray(image, np.float64) / 255.0
    return pixels.reshape(*pixels.shape[:2], -1)
