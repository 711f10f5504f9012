"""The fifteen common corruptions of Hendrycks and Dietterich 2019, each at five severities, of any uint8 image.

The same seed, image, name and severity give the same copy, whatever else is corrupted; the severities of one image
share their draws, so that its fog only grows thicker. Frost is our own (`ice_and_light.frost`). Values are rounded to
the nearest byte, where the published code cuts off, and nothing is saved as JPEG afterwards, as ImageNet-C is.
"""

import hashlib
from collections.abc import Callable, Mapping
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from convlift.errors import ConvliftError
from convlift.robustness import blur, digital, ice_and_light, noise
from convlift.robustness.digital import by_band
from convlift.robustness.names import NAMES, check_names, names_for
from convlift.robustness.strengths import SEVERITIES, strength

Pixels = NDArray[np.uint8]
Corruption = Callable[[NDArray[np.float64], Any, np.random.Generator], NDArray[np.float64]]

CORRUPTIONS: Mapping[str, Corruption] = {
    "gaussian_noise": noise.gaussian_noise,
    "shot_noise": noise.shot_noise,
    "impulse_noise": noise.impulse_noise,
    "defocus_blur": blur.defocus_blur,
    "glass_blur": blur.glass_blur,
    "motion_blur": blur.motion_blur,
    "zoom_blur": blur.zoom_blur,
    "snow": ice_and_light.snow,
    "frost": ice_and_light.frost,
    "fog": ice_and_light.fog,
    "brightness": ice_and_light.brightness,
    "contrast": digital.contrast,
    "elastic_transform": digital.elastic_transform,
    "pixelate": digital.pixelate,
    "jpeg_compression": digital.jpeg_compression,
}
FRAME = 224  # pixels: the size that the constants for large images were chosen at


def corrupt(pixels_HWC: Pixels, name: str, severity: int, seed: int = 0) -> Pixels:
    """The image under a corruption: uint8 (H, W, C) of any size from 1 pixel on.

    name: of `CORRUPTIONS`; severity: 1 to 5. Raises ConvliftError where there is no such name or severity, or the image
    is of bands and the corruption of colours.
    """
    if name not in CORRUPTIONS or severity not in SEVERITIES:
        check_names([name])
        raise ConvliftError(f"severity {severity} is not known; it is one of 1 to {SEVERITIES[-1]}.")
    names_for([name], pixels_HWC.shape[2])
    rng = np.random.default_rng([seed, image_number(pixels_HWC), NAMES.index(name)])
    found = CORRUPTIONS[name](pixels_HWC / 255.0, strength(name, severity, min(pixels_HWC.shape[:2])), rng)
    return np.round(255.0 * np.clip(found, 0.0, 1.0)).astype(np.uint8)


def image_number(pixels_HWC: Pixels) -> int:
    """A number that an image's pixels and size give, the same wherever it lies."""
    digest = hashlib.sha256(str(pixels_HWC.shape).encode() + np.ascontiguousarray(pixels_HWC).tobytes()).digest()
    return int.from_bytes(digest[:8], "big")


def framed(pixels_HWC: Pixels) -> Pixels:
    """The image as it is corrupted: where its shorter side has more than 224 pixels it is shrunk to that, by means over
    areas. Noise of single pixels of a large photo would vanish as soon as a network's preprocessing shrinks it."""
    height, width, channels = pixels_HWC.shape
    if min(height, width) <= FRAME:
        return pixels_HWC
    scale = FRAME / min(height, width)
    size = max(round(width * scale), FRAME), max(round(height * scale), FRAME)
    shrunk = by_band(lambda image: cv2.resize(image, size, interpolation=cv2.INTER_AREA), pixels_HWC)
    return np.asarray(shrunk, np.uint8).reshape(size[1], size[0], channels)
