"""Snow, frost, fog and light. Images (H, W, C) in [0, 1], float64, C 1 or 3; of light any."""

import numpy as np
from numpy.typing import NDArray

from convlift.robustness.blur import magnified, moved, smoothed

Image = NDArray[np.float64]
Plane = NDArray[np.float64]  # (H, W)
LUMA = np.array([0.299, 0.587, 0.114])  # ITU-R BT.601
ICE = np.array([0.86, 0.94, 1.0])  # of frost: a bluish white
MEAN_ICE = 0.4  # of white: some half of it under most of the frost, and little between
REACHES = (1 / 12, 1 / 30, 1 / 80)  # of the needles of large and small crystals, in shorter sides


def snow(image_HWC: Image, of_snow: tuple[float, ...], rng: np.random.Generator) -> Image:
    """Flakes that fall at 45 to 135 degrees, twice, over an image that is paler."""
    mean, deviation, zoom, threshold, radius, blur, weight = of_snow
    flakes = magnified(rng.normal(mean, deviation, image_HWC.shape[:2])[..., None], zoom)
    flakes = np.floor(255.0 * np.clip(np.where(flakes < threshold, 0.0, flakes), 0.0, 1.0)) / 255.0
    falling = moved(flakes, (radius, blur), float(rng.uniform(-135.0, -45.0)))
    grey = image_HWC @ LUMA[:, None] if image_HWC.shape[2] == 3 else image_HWC
    pale = weight * image_HWC + (1.0 - weight) * np.maximum(image_HWC, 1.5 * grey + 0.5)
    return np.asarray(pale + falling + falling[::-1, ::-1], np.float64)


def frost(image_HWC: Image, weights: tuple[float, float], rng: np.random.Generator) -> Image:
    """The image and a layer of ice crystals, with the published weights.

    The layer is ours: the published one is cut from photos that are not passed on. Its strength is theirs as far as its
    brightness is: two fifths of white on average.
    """
    layer = crystals(image_HWC.shape[0], image_HWC.shape[1], rng)[..., None]
    ice = layer * (ICE if image_HWC.shape[2] == 3 else ICE.mean())
    return np.asarray(weights[0] * image_HWC + weights[1] * ice, np.float64)


def crystals(height: int, width: int, rng: np.random.Generator) -> Plane:
    """(H, W) in [0, 1], about `MEAN_ICE` on average: stars of six needles, large and small ones, at random places and
    turns, more of them where a cloud of frost is thick.

    A star is a point that is smeared along three lines 60 degrees apart, to both sides.
    """
    cloud, layer = plasma(height, width, 2.0, rng), np.zeros((height, width))
    for reach in (part * min(height, width) for part in REACHES):
        seeds = (rng.random((height, width)) < 3.0 * cloud**2 / max(reach, 1.5) ** 2) * rng.random((height, width))
        turn = float(rng.uniform(0.0, 60.0))
        needles = sum(
            moved(seeds[..., None], (2.0 * max(reach, 0.5), max(reach, 0.5)), turn + 60.0 * side) for side in range(6)
        )
        smooth = smoothed(np.asarray(needles, np.float64), 0.5)[..., 0]
        layer += smooth / max(float(np.quantile(smooth, 0.99)), 1e-6)
    ice = 0.6 * cloud + layer * (0.3 + 0.7 * cloud)
    return np.asarray(np.clip(ice * (MEAN_ICE / max(float(ice.mean()), 1e-6)), 0.0, 1.0), np.float64)


def fog(image_HWC: Image, of_fog: tuple[float, float], rng: np.random.Generator) -> Image:
    """A plasma fractal of that weight and decay is added, and the whole darkened to the image's brightest value."""
    weight, decay = of_fog
    brightest = float(image_HWC.max())
    layer = plasma(image_HWC.shape[0], image_HWC.shape[1], decay, rng)[..., None]
    return (image_HWC + weight * layer) * (brightest / (brightest + weight))


def brightness(image_HWC: Image, added: float, rng: np.random.Generator) -> Image:
    """The value of hue, saturation, value goes up, at most to 1; hue and saturation stay, so every channel is
    multiplied alike, and black becomes grey. Of bands the value is the largest, as of colours."""
    value = image_HWC.max(axis=2, keepdims=True)
    higher = np.minimum(value + added, 1.0)
    return np.asarray(
        np.where(value > 0.0, image_HWC * (higher / np.where(value > 0.0, value, 1.0)), higher), np.float64
    )


def plasma(height: int, width: int, decay: float, rng: np.random.Generator) -> Plane:
    """(H, W) in [0, 1]: a fractal by diamonds and squares (Fournier, Fussell and Carpenter 1982), whose edges meet.

    Made on a square of the next power of two and cut from its corner; every halving of the step divides the noise by
    decay, and noise of that size is multiplied by it, as published.
    """
    side = 1 << max(max(height, width) - 1, 1).bit_length()
    made, step, noise = np.zeros((side, side)), side, 100.0

    def wobbled(sums: Plane) -> Plane:
        return np.asarray(sums / 4.0 + noise * rng.uniform(-noise, noise, sums.shape), np.float64)

    while step >= 2:
        half = step // 2
        corners = made[::step, ::step]
        pairs = corners + np.roll(corners, -1, axis=0)
        made[half::step, half::step] = wobbled(pairs + np.roll(pairs, -1, axis=1))
        middles = made[half::step, half::step]
        upright = middles + np.roll(middles, 1, axis=0) + corners + np.roll(corners, -1, axis=1)
        made[::step, half::step] = wobbled(upright)
        level = middles + np.roll(middles, 1, axis=1) + corners + np.roll(corners, -1, axis=0)
        made[half::step, ::step] = wobbled(level)
        step, noise = half, noise / decay
    low, high = float(made.min()), float(made.max())
    return ((made - low) / max(high - low, 1e-12))[:height, :width]
