"""What a lens, a pane, a hand or a zoom smears. Images (H, W, C) in [0, 1], float64."""

from functools import lru_cache

import cv2
import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter

Image = NDArray[np.float64]
Plane = NDArray[np.float64]  # (H, W)
Zoomed = tuple[NDArray[np.intp], NDArray[np.intp], Plane]


def defocus_blur(image_HWC: Image, disk: tuple[float, float], rng: np.random.Generator) -> Image:
    """The mean over a disk of that radius in pixels, whose edge a Gaussian of that deviation smooths."""
    return _filtered(image_HWC, disk_kernel(*disk), cv2.BORDER_REFLECT_101)


@lru_cache(maxsize=32)
def disk_kernel(radius: float, deviation: float) -> Plane:
    """(S, S), sum 1 but for what the smoothing rounds."""
    reach, side = (8, 3) if radius <= 8 else (int(radius), 5)
    across = np.arange(-reach, reach + 1)
    inside = (across[:, None] ** 2 + across**2 <= radius**2).astype(np.float64)
    smooth: Plane = np.asarray(cv2.GaussianBlur(inside / inside.sum(), (side, side), deviation), np.float64)
    return smooth


def glass_blur(image_HWC: Image, glass: tuple[float, int, int], rng: np.random.Generator) -> Image:
    """Pixels change places with near ones between two Gaussian blurs. glass: their deviation, how far, how often.

    As published a pixel moves by -reach to reach - 1 pixels, one pixel after another from the lower right on.
    """
    deviation, reach, rounds = glass
    first = np.floor(255.0 * smoothed(image_HWC, deviation)) / 255.0
    height, width, channels = image_HWC.shape
    places = list(range(height * width))
    rows, columns = range(height - reach, reach, -1), range(width - reach, reach, -1)
    for _ in range(rounds):
        moves = rng.integers(-reach, reach, (max(len(rows), 0), max(len(columns), 0), 2))
        steps = (moves[..., 0] * width + moves[..., 1]).tolist()
        for row, of_row in zip(rows, steps, strict=True):
            for column, step in zip(columns, of_row, strict=True):
                here = row * width + column
                places[here], places[here + step] = places[here + step], places[here]
    return smoothed(first.reshape(-1, channels)[places].reshape(first.shape), deviation)


def motion_blur(image_HWC: Image, motion: tuple[float, float], rng: np.random.Generator) -> Image:
    """Moved along a line, to one side, at up to 45 degrees to the horizontal."""
    return moved(image_HWC, motion, float(rng.uniform(-45.0, 45.0)))


def moved(image_HWC: Image, motion: tuple[float, float], degrees: float) -> Image:
    """ImageMagick's motion blur: half a Gaussian of that deviation along a line of 2 radius + 1 whole pixels, with the
    edge's pixels repeated beyond it (`MotionBlurImage` of MagickCore/effect.c)."""
    return _filtered(image_HWC, motion_kernel(*motion, degrees), cv2.BORDER_REPLICATE)


def motion_kernel(radius: float, deviation: float, degrees: float) -> Plane:
    """(S, S) with its anchor in the middle, sum 1."""
    length = 2 * int(np.ceil(radius)) + 1
    along = np.arange(length)
    weights = np.exp(-(along**2) / (2.0 * deviation**2))
    angle = np.deg2rad(degrees)
    columns, rows = (np.ceil(along * each - 0.5).astype(int) for each in (np.cos(angle), np.sin(angle)))
    kernel = np.zeros((2 * length - 1, 2 * length - 1))
    np.add.at(kernel, (rows + length - 1, columns + length - 1), weights / weights.sum())
    return kernel


def zoom_blur(image_HWC: Image, factors: NDArray[np.float64], rng: np.random.Generator) -> Image:
    """The mean of the image and of itself at these magnifications, while the centre stays."""
    total = image_HWC + sum(magnified(image_HWC, float(factor)) for factor in factors)
    return np.asarray(total / (len(factors) + 1), np.float64)


def magnified(image_HWC: Image, factor: float) -> Image:
    """The centre, enlarged by linear interpolation to the image's own size; factor at least 1."""
    height, width, _ = image_HWC.shape
    (top, bottom, down), (left, right, across) = (_places(side, factor) for side in (height, width))
    rows = image_HWC[top] * (1.0 - down[:, None, None]) + image_HWC[bottom] * down[:, None, None]
    return np.asarray(rows[:, left] * (1.0 - across[:, None]) + rows[:, right] * across[:, None], np.float64)


def _places(side: int, factor: float) -> Zoomed:
    """Of a side's pixels once it is enlarged: the two that each lies between, and how near the second."""
    kept = int(np.ceil(side / factor))
    first, enlarged = (side - kept) // 2, round(kept * factor)
    at = np.arange(side) + max((enlarged - side) // 2, 0)
    place = np.minimum(at * ((kept - 1) / max(enlarged - 1, 1)), kept - 1.0)
    below = np.floor(place).astype(np.intp)
    return first + below, first + np.minimum(below + 1, kept - 1), place - below


def smoothed(image_HWC: Image, deviation: float) -> Image:
    """Each channel under a Gaussian of that deviation in pixels, cut off at four of them; edges are repeated."""
    return np.asarray(gaussian_filter(image_HWC, (deviation, deviation, 0.0), mode="nearest"), np.float64)


def _filtered(image_HWC: Image, kernel: Plane, border: int) -> Image:
    return np.asarray(cv2.filter2D(image_HWC, -1, kernel, borderType=border), np.float64).reshape(image_HWC.shape)
