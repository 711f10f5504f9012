"""Rectangles that are erased: random erasing (Zhong et al. 2020) and cutout (DeVries and Taylor 2017).

What is erased gets the mean colour of its own image as it is by then, which leaves that mean as it was. Zhong et al.,
section 4, find random values about as good as a mean, and both better than black or white; random values would take a
number for every pixel of every image.
"""

import cv2
import numpy as np
from numpy.typing import NDArray

from convlift.augment.streams import Streams
from convlift.recipe.augmentation import Augmentation
from convlift.recipe.data import is_bands

# Zhong et al. 2020, section 4
SMALLEST, NARROWEST = 0.02, 0.3
TRIES = 10  # for a rectangle that fits into the image, as in torchvision's RandomErasing; after them nothing is erased

Rectangles = NDArray[np.int64]


def draw_rectangles(
    augmentation: Augmentation, streams: Streams, count: int, size_HW: tuple[int, int]
) -> Rectangles | None:
    """What is erased of each of `count` images: (N, R, 4), first row, row after the last, first column, column after
    the last; equal ones where nothing is. None where the levers are off."""
    found = []
    if augmentation.erase:
        found.append(_random(augmentation.erase, augmentation.erase_chance, streams, count, size_HW))
    if augmentation.cutout:
        found.append(_square(augmentation.cutout, streams, count, size_HW))
    return np.stack(found, axis=1) if found else None


def erase(inputs_HWC: NDArray[np.float32], rectangles_R4: Rectangles) -> None:
    """Erase rectangles of one image in place."""
    mean = None
    for top, bottom, left, right in rectangles_R4:
        if top < bottom and left < right:
            mean = _mean(inputs_HWC) if mean is None else mean
            inputs_HWC[top:bottom, left:right] = mean


def _mean(inputs_HWC: NDArray[np.float32]) -> NDArray[np.float64]:
    """(C,); OpenCV has it of up to four channels."""
    channels = inputs_HWC.shape[2]
    if is_bands(channels):
        return np.asarray(inputs_HWC.mean(axis=(0, 1), dtype=np.float64))
    return np.array(cv2.mean(inputs_HWC)[:channels])


def _random(largest: float, chance: float, streams: Streams, count: int, size_HW: tuple[int, int]) -> Rectangles:
    """Area uniform from 2% of the image to `largest`, aspect log-uniform from .3 to 1/.3, and the place uniform."""
    drawn = streams["erase"].random((count, 2 * TRIES + 3))
    smallest = min(SMALLEST, largest)
    area_NT = (smallest + (largest - smallest) * drawn[:, :TRIES]) * size_HW[0] * size_HW[1]
    root_NT = NARROWEST ** (drawn[:, TRIES : 2 * TRIES] - 0.5)
    sides_NT2 = np.rint(np.sqrt(area_NT)[..., None] * np.stack([root_NT, 1 / root_NT], axis=-1)).astype(np.int64)
    fits_NT: NDArray[np.bool_] = np.all((sides_NT2 >= 1) & (sides_NT2 <= size_HW), axis=-1)
    chosen = np.arange(count), fits_NT.argmax(axis=1)
    sides_N2 = sides_NT2[chosen] * (fits_NT[chosen] & (drawn[:, -1] < chance))[:, None]
    first_N2 = np.floor(drawn[:, -3:-1] * (np.array(size_HW) - sides_N2 + 1)).astype(np.int64)
    return _bounds(first_N2, first_N2 + sides_N2)


def _square(share: float, streams: Streams, count: int, size_HW: tuple[int, int]) -> Rectangles:
    """A square around a pixel that is anywhere in the image; what lies outside is cut off."""
    side = max(1, round(share * min(size_HW)))
    middle_N2 = np.floor(streams["cutout"].random((count, 2)) * size_HW).astype(np.int64)
    first_N2 = middle_N2 - side // 2
    return _bounds(np.maximum(first_N2, 0), np.minimum(first_N2 + side, size_HW))


def _bounds(first_N2: Rectangles, end_N2: Rectangles) -> Rectangles:
    return np.stack([first_N2[:, 0], end_N2[:, 0], first_N2[:, 1], end_N2[:, 1]], axis=1)
