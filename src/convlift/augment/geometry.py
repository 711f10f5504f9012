"""All geometric changes of an image as one affine map, and the one resampling that carries it out.

Pixel (column x, row y) is a point at its centre, and maps turn about the middle of the image,
((W - 1) / 2, (H - 1) / 2). So a quarter turn is np.rot90, a mirror is a reversed slice and a shift by whole
pixels is a shift, each without any interpolation error.

A map is written as cv2 and grid_sample want it: from a pixel of the result to its place in the source.
"""

import math

import cv2
import numpy as np
from numpy.typing import ArrayLike, NDArray

from convlift.augment.streams import Streams
from convlift.recipe.augmentation import Augmentation

Floats = NDArray[np.float64]
Pixels = NDArray[np.uint8]


def affine(
    size_HW: tuple[int, int],
    *,
    horizontal_flip: ArrayLike = False,
    vertical_flip: ArrayLike = False,
    rotation: ArrayLike = 0.0,
    scale: ArrayLike = 1.0,
    shift_xy: ArrayLike = (0.0, 0.0),
) -> Floats:
    """One map for: mirror, then turn, then enlarge, then shift. Returns affine_23, or affine_N23 for arrays.

    rotation: turns, counter-clockwise as seen (0.25 is np.rot90). scale: above 1 enlarges.
    shift_xy: pixels to the right and downwards, (2,) or (N, 2).
    """
    angle = 2 * np.pi * np.asarray(rotation, np.float64)
    cosine, sine = np.cos(angle) / scale, np.sin(angle) / scale
    mirror_x, mirror_y = 1.0 - 2.0 * np.asarray(horizontal_flip), 1.0 - 2.0 * np.asarray(vertical_flip)
    # the inverse of scale * turn * mirror, with y pointing down
    entries = (mirror_x * cosine, -mirror_x * sine, mirror_y * sine, mirror_y * cosine)
    linear = np.stack(np.broadcast_arrays(*entries), axis=-1)
    linear = linear.reshape(*linear.shape[:-1], 2, 2)
    centre = np.array([size_HW[1] - 1, size_HW[0] - 1]) / 2
    moved = centre + np.asarray(shift_xy, np.float64)
    constant = centre - np.einsum("...ij,...j->...i", linear, moved)
    linear = np.broadcast_to(linear, (*constant.shape[:-1], 2, 2))
    return np.concatenate([linear, constant[..., None]], axis=-1)


def draw_flips(augmentation: Augmentation, streams: Streams, count: int) -> NDArray[np.bool_]:
    """Which of `count` images to mirror: flips_N2, left to right and top to bottom."""
    across = streams.chance("horizontal_flip", augmentation.horizontal_flip, count)
    down = streams.chance("vertical_flip", augmentation.vertical_flip, count)
    return np.stack([across, down], axis=1)


def draw_affines(augmentation: Augmentation, streams: Streams, count: int, size_HW: tuple[int, int]) -> Floats:
    """The map of each of `count` images, affine_N23.

    Shifts are whole pixels, all equally likely (He et al. 2016, section 4.2: 4 px of 32 is 9 x 9 crops), so that
    they do not blur; a shift that is switched on reaches at least one pixel, however small the image.
    """
    flips_N2 = draw_flips(augmentation, streams, count)
    return affine(
        size_HW,
        horizontal_flip=flips_N2[:, 0],
        vertical_flip=flips_N2[:, 1],
        rotation=streams.symmetric("rotation", augmentation.rotation, count),
        scale=np.exp(streams.symmetric("zoom", -math.log(1 - augmentation.zoom), count)),
        shift_xy=_whole_shifts(augmentation.translation, streams, count, size_HW),
    )


def _whole_shifts(translation: float, streams: Streams, count: int, size_HW: tuple[int, int]) -> Floats:
    if not translation:
        return np.zeros((count, 2))
    largest_xy = np.maximum(1, np.rint(translation * np.array([size_HW[1], size_HW[0]])))
    shifts_N2: Floats = np.floor(streams["translation"].random((count, 2)) * (2 * largest_xy + 1)) - largest_xy
    return shifts_N2


def warp(images_NHWC: Pixels, affine_N23: Floats) -> Pixels:
    """Every image through its own map: linear interpolation, borders reflected without repeating the edge."""
    images = np.ascontiguousarray(images_NHWC)
    warped = np.empty_like(images)
    for image, affine_23, into in zip(images, affine_N23, warped, strict=True):
        resample(image, affine_23, into)
    return warped


def resample(image_HWC: Pixels, affine_23: Floats, into_HWC: Pixels) -> Pixels:
    """One image through one map, written into a C-contiguous array of the same shape, which is returned."""
    height, width = image_HWC.shape[:2]
    cv2.warpAffine(
        image_HWC,
        affine_23,
        (width, height),
        dst=into_HWC,
        flags=cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP,
        borderMode=cv2.BORDER_REFLECT_101,
    )
    return into_HWC


def flip(image_HWC: Pixels, flips_2: NDArray[np.bool_], into_HWC: Pixels) -> Pixels:
    """One image mirrored (left to right, top to bottom) where flips_2 is true: as by the map, without arithmetic."""
    horizontal, vertical = flips_2
    if not (horizontal or vertical):
        return image_HWC
    code = -1 if horizontal and vertical else int(horizontal)
    cv2.flip(image_HWC, code, dst=into_HWC)
    return into_HWC
