"""Noise of cameras: thermal, of few photons, and values that are lost. Images (H, W, C) in [0, 1], float64."""

import numpy as np
from numpy.typing import NDArray

Image = NDArray[np.float64]


def gaussian_noise(image_HWC: Image, deviation: float, rng: np.random.Generator) -> Image:
    """Every value plus normal noise of that deviation."""
    return image_HWC + rng.normal(scale=deviation, size=image_HWC.shape)


def shot_noise(image_HWC: Image, photons: float, rng: np.random.Generator) -> Image:
    """Photons are counted: every value is Poisson's, of which white has so many on average."""
    return rng.poisson(image_HWC * photons) / photons


def impulse_noise(image_HWC: Image, share: float, rng: np.random.Generator) -> Image:
    """That share of the values, of each channel for itself, becomes 0 or 1."""
    hit, white = rng.random(image_HWC.shape) < share, rng.random(image_HWC.shape) < 0.5
    return np.where(hit, white.astype(np.float64), image_HWC)
