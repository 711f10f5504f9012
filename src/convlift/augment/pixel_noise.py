"""Gaussian noise in every pixel: a stretch of one long table of normal numbers, which begins anywhere.

A number drawn for every value took as long as all other changes together. Within an image the numbers are as
independent as drawn ones; two images may read stretches that overlap, shifted against each other, which is nothing that
a network could learn from. The table is the same in every training, where it is read is drawn.
"""

from functools import lru_cache

import cv2
import numpy as np
from numpy.typing import NDArray

Inputs = NDArray[np.float32]
Starts = NDArray[np.int64]

LENGTH = 3 * 2**19  # of the table, 6 MB: twice the values of the largest images that recipes see, 512 px in colour
LEVELS = 2**16  # equally likely steps of the normal distribution; its deviation is 1 to five digits


def length_for(values: int) -> int:
    """Of the table that images of so many values read: at least twice as many, and whole pixels of three channels."""
    return LENGTH if 2 * values <= LENGTH else 6 * values


def draw_starts(rng: np.random.Generator, count: int, values: int, channels: int) -> Starts:
    """(count,): where each image's stretch begins, a multiple of its channels. One number an image, whatever its size.

    values: of an image.
    """
    places = (length_for(values) - values) // channels + 1
    return channels * (rng.random(count) * places).astype(np.int64)


def numbers_for(values: int, std_C: Inputs | None) -> Inputs:
    """The table that images of so many values read."""
    return table(length_for(values), divisors(std_C))


def divisors(std_C: Inputs | None) -> tuple[float, ...]:
    """What the table's numbers are divided by, channel after channel; std_C: see `pipeline.normalize`."""
    return (1.0,) if std_C is None else tuple(std_C.tolist())


@lru_cache(maxsize=4)
def table(length: int, std: tuple[float, ...]) -> Inputs:
    """So many numbers, each divided by its channel's deviation."""
    from scipy.special import ndtri  # which prediction need not wait for

    steps: Inputs = ndtri((np.arange(LEVELS) + 0.5) / LEVELS).astype(np.float32)
    bits = np.random.Generator(np.random.SFC64(0)).integers(2**64, size=length // 4 + 1, dtype=np.uint64)
    by: Inputs = np.resize(np.array(std, np.float32), length)
    return steps[bits.view(np.uint16)[:length]] / by


def add_noise(inputs_HWC: Inputs, deviation: float, numbers: Inputs, start: int) -> None:
    """Add it, of this deviation in pixels of [0, 1], to an image that is normalized already. numbers: the table."""
    stretch = numbers[start : start + inputs_HWC.size].reshape(inputs_HWC.shape)
    cv2.scaleAdd(stretch, deviation, inputs_HWC, dst=inputs_HWC)
