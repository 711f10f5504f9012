"""All geometric changes of an image as one map, and the one resampling that carries it out.

Pixel (column x, row y) is a point at its centre, and maps turn about the middle of the image,
((W - 1) / 2, (H - 1) / 2). So a quarter turn is np.rot90, a mirror is a reversed slice and a shift by whole
pixels is a shift, each without any interpolation error.

A map is written as cv2 and grid_sample want it: from a pixel of the result to its place in the source. It is affine,
(2, 3), or where there is perspective a homography, (3, 3).
"""

from collections.abc import Callable
from functools import cache
from typing import Any

import cv2
import numpy as np
from numpy.typing import ArrayLike, NDArray

from convlift.recipe.augmentation import FillMode
from convlift.recipe.data import is_bands

Floats = NDArray[np.float64]
Pixels = NDArray[np.uint8]

_BORDERS = {"reflect": cv2.BORDER_REFLECT_101, "edge": cv2.BORDER_REPLICATE, "constant": cv2.BORDER_CONSTANT}
_UNIT_SQUARE = np.array([(0, 0), (1, 0), (1, 1), (0, 1)])
AT_ONCE = (1, 3, 4)  # channels that OpenCV has exact arithmetic for
_LINEAR = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP


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
    centre = _centre(size_HW)
    moved = centre + np.asarray(shift_xy, np.float64)
    constant = centre - np.einsum("...ij,...j->...i", linear, moved)
    linear = np.broadcast_to(linear, (*constant.shape[:-1], 2, 2))
    return np.concatenate([linear, constant[..., None]], axis=-1)


def quarter_turns(size_HW: tuple[int, int], quarters: ArrayLike) -> Floats:
    """The linear map (..., 2, 2) of a turn by so many quarters, counter-clockwise, as np.rot90.

    In an image that is not square it maps the frame onto itself: turned, then stretched to the frame.
    """
    quarter = np.asarray(quarters) % 4
    cosine, sine = np.array([1.0, 0, -1, 0])[quarter], np.array([0.0, 1, 0, -1])[quarter]
    oblong = size_HW[1] / size_HW[0]
    linear = np.stack([cosine, -sine * oblong, sine / oblong, cosine], axis=-1)
    return linear.reshape(*linear.shape[:-1], 2, 2)


def stretched(ratio: ArrayLike) -> Floats:
    """The linear map (..., 2, 2) of a stretch at the same area; ratio: of width over height, above 1 is wider."""
    root = np.sqrt(np.asarray(ratio, np.float64))
    linear = np.stack([1 / root, np.zeros_like(root), np.zeros_like(root), root], axis=-1)
    return linear.reshape(*linear.shape[:-1], 2, 2)


def sheared(slopes_xy: ArrayLike) -> Floats:
    """The linear map (..., 2, 2) of a shear; slopes_xy: (..., 2), columns to the left a row further down, rows up a
    column further to the right."""
    slopes = np.asarray(slopes_xy, np.float64)
    ones = np.ones(slopes.shape[:-1])
    linear = np.stack([ones, slopes[..., 0], slopes[..., 1], ones], axis=-1)
    return linear.reshape(*linear.shape[:-1], 2, 2)


def after_linear(linear_N22: Floats, affine_N23: Floats, size_HW: tuple[int, int]) -> Floats:
    """The map of images that are first changed about their middle by a linear map, then by an affine one."""
    centre = _centre(size_HW)
    moved = linear_N22 @ affine_N23
    moved[..., 2] += centre - np.einsum("...ij,j->...i", linear_N22, centre)
    return moved


def then_cropped(affine_N23: Floats, crops_N4: Floats, size_HW: tuple[int, int]) -> Floats:
    """The map of images of which a part is then enlarged to all of the frame.

    crops_N4: left, top, width and height of the part, as shares of the sides.
    """
    sides = np.array([size_HW[1], size_HW[0]])
    corner_N2, shares_N2 = crops_N4[:, :2], crops_N4[:, 2:]
    # pixel x is from x - 1/2 to x + 1/2: the borders of the part become those of the frame
    offset_N2 = corner_N2 * sides + shares_N2 / 2 - 0.5
    linear_N22, constant_N2 = affine_N23[:, :, :2], affine_N23[:, :, 2]
    constant_N2 = constant_N2 + np.einsum("nij,nj->ni", linear_N22, offset_N2)
    return np.concatenate([linear_N22 * shares_N2[:, None, :], constant_N2[..., None]], axis=-1)


def then_in_perspective(affine_N23: Floats, corners_N42: Floats, size_HW: tuple[int, int]) -> Floats:
    """The map of images that are then seen in perspective: (N, 3, 3).

    corners_N42: how far what the corners of the result show lies from those of the frame, in x and y as fractions of
    the sides; corners from the upper left one, clockwise. Under 1/4 the four stay convex, and the map finite.
    """
    height, width = size_HW
    to_unit = np.array([[1 / width, 0, 0.5 / width], [0, 1 / height, 0.5 / height], [0, 0, 1]])
    to_pixels = np.array([[width, 0, -0.5], [0, height, -0.5], [0, 0, 1]])
    last = np.broadcast_to([[0.0, 0.0, 1.0]], (len(affine_N23), 1, 3))
    whole_N33: Floats = np.concatenate([affine_N23, last], axis=1) @ to_pixels @ _homography(corners_N42) @ to_unit
    return whole_N33


def _homography(corners_N42: Floats) -> Floats:
    """From the unit square to the quadrilateral of its shifted corners (Heckbert 1989, section 2.2.3): (N, 3, 3)."""
    x, y = np.moveaxis(corners_N42 + _UNIT_SQUARE, -1, 0)
    right_x, down_x, bent_x = x[:, 1] - x[:, 2], x[:, 3] - x[:, 2], x[:, 0] - x[:, 1] + x[:, 2] - x[:, 3]
    right_y, down_y, bent_y = y[:, 1] - y[:, 2], y[:, 3] - y[:, 2], y[:, 0] - y[:, 1] + y[:, 2] - y[:, 3]
    area = right_x * down_y - down_x * right_y
    g, h = (bent_x * down_y - down_x * bent_y) / area, (right_x * bent_y - bent_x * right_y) / area
    entries = (
        x[:, 1] - x[:, 0] + g * x[:, 1], x[:, 3] - x[:, 0] + h * x[:, 3], x[:, 0],
        y[:, 1] - y[:, 0] + g * y[:, 1], y[:, 3] - y[:, 0] + h * y[:, 3], y[:, 0],
        g, h, np.ones_like(g),
    )  # fmt: skip
    return np.stack(entries, axis=-1).reshape(-1, 3, 3)


def _centre(size_HW: tuple[int, int]) -> Floats:
    return np.array([size_HW[1] - 1, size_HW[0] - 1]) / 2


def warp(images_NHWC: Pixels, maps: Floats, fill: FillMode = "reflect") -> Pixels:
    """Every image through its own map, (N, 2, 3) or (N, 3, 3): linear interpolation."""
    images = np.ascontiguousarray(images_NHWC)
    warped = np.empty_like(images)
    for image, each, into in zip(images, maps, warped, strict=True):
        resample(image, each, into, fill)
    return warped


def resample(image_HWC: Pixels, map_of_it: Floats, into_HWC: Pixels, fill: FillMode = "reflect") -> Pixels:
    """One image through one map, written into a C-contiguous array of the same shape, which is returned.

    fill: what is seen beyond its border; reflect does not repeat the edge.
    """
    height, width = image_HWC.shape[:2]
    carry_out = cv2.warpAffine if len(map_of_it) == 2 else cv2.warpPerspective

    def moved(image: Pixels, into: Pixels | None = None) -> Any:
        return carry_out(image, map_of_it, (width, height), dst=into, flags=_LINEAR, borderMode=_BORDERS[fill])

    return _carried_out(moved, image_HWC, into_HWC)


def resample_at(
    image_HWC: Pixels, places_2HW: NDArray[np.float32], into_HWC: Pixels, fill: FillMode = "reflect"
) -> Pixels:
    """One image whose every pixel is fetched from a place of its own (x, y), written into an array, which is returned.

    As `resample` otherwise.
    """
    columns, rows = places_2HW

    def moved(image: Pixels, into: Pixels | None = None) -> Any:
        return cv2.remap(image, columns, rows, dst=into, interpolation=cv2.INTER_LINEAR, borderMode=_BORDERS[fill])

    return _carried_out(moved, image_HWC, into_HWC)


def _carried_out(moved: Callable[..., Any], image_HWC: Pixels, into_HWC: Pixels) -> Pixels:
    """Of one, three or four channels at once; of others in parts of so many, all by the same map, so that every band is
    resampled once, as it would be alone: for all other numbers of channels OpenCV 5 rounds places, which is up to six
    levels."""
    height, width, bands = image_HWC.shape
    if bands in AT_ONCE:
        moved(image_HWC, into_HWC)
        return into_HWC
    same = [band for each in range(bands) for band in (each, each)]
    parts = [np.empty((height, width, number), np.uint8) for number in _parts_of(bands)]
    cv2.mixChannels([image_HWC], parts, same)
    cv2.mixChannels([moved(part) for part in parts], [into_HWC], same)
    return into_HWC


@cache
def _parts_of(bands: int) -> tuple[int, ...]:
    """Numbers of AT_ONCE that add up to it, few of them."""
    parts: list[int] = []
    while left := bands - sum(parts):
        parts.append(3 if left in (3, 6) else 4 if left > 3 else 1)
    return tuple(parts)


def flip(image_HWC: Pixels, flips_2: NDArray[np.bool_], into_HWC: Pixels) -> Pixels:
    """One image mirrored (left to right, top to bottom) where flips_2 is true: as by the map, without arithmetic."""
    horizontal, vertical = flips_2
    if not (horizontal or vertical):
        return image_HWC
    code = -1 if horizontal and vertical else int(horizontal)
    cv2.flip(image_HWC, code, dst=into_HWC)
    return into_HWC


def transpose(image_HWC: Pixels, into_HWC: Pixels) -> Pixels:
    """One square image with rows and columns swapped, written into an array, which is returned."""
    if is_bands(image_HWC.shape[2]):  # OpenCV knows pixels of some sizes alone
        np.copyto(into_HWC, image_HWC.transpose(1, 0, 2))
    else:
        cv2.transpose(image_HWC, dst=into_HWC)
    return into_HWC


def transposed_first(quarters_N: NDArray[np.int64], flips_N2: NDArray[np.bool_]) -> tuple[NDArray[np.bool_], ...]:
    """Quarter turns, then mirrors, of square images as what needs no arithmetic: rows and columns swapped or not, then
    mirrored. Returns swapped_N and flips_N2."""
    quarters = quarters_N % 4
    turned_N2 = np.stack([quarters >= 2, (quarters == 1) | (quarters == 2)], axis=1)
    return quarters % 2 == 1, turned_N2 ^ flips_N2
