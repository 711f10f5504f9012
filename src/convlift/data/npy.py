"""An image that was saved as a NumPy array, one a file."""

import io
import math
from collections.abc import Sequence
from contextlib import suppress
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from convlift.data.formats import NPY, sniff
from convlift.errors import UnreadableImage
from convlift.recipe.data import MOST_BANDS

_BROKEN = (ValueError, EOFError, SyntaxError, TypeError, KeyError, OverflowError, MemoryError, RecursionError)


class _Told(NamedTuple):
    """What the header says. start: where the values begin."""

    shape: tuple[int, ...]
    dtype: np.dtype[np.generic]
    start: int


def is_npy(content: bytes) -> bool:
    """Whether these are the bytes of a .npy file."""
    return content[:6] == b"\x93NUMPY" and sniff(content) == NPY


def shape_of_npy(content: bytes) -> tuple[tuple[int, int, int], np.dtype[np.generic]]:
    """Height, width and channels of the image in a .npy file, and the type of its values, by the header.

    Raises UnreadableImage where it holds no image, or its channels cannot be told from its sides.
    """
    told = _header(content)
    return _shape_of(told), told.dtype


def has_deep_values(content: bytes) -> bool:
    """Whether a .npy file holds other numbers than bytes; False of what cannot be read."""
    with suppress(UnreadableImage):
        dtype = shape_of_npy(content)[1]
        return dtype.itemsize > 1
    return False


def values_of_npy(content: bytes) -> NDArray[np.generic]:
    """The values, (H, W, C). Raises UnreadableImage; whoever calls has looked at the size."""
    told = _header(content)
    if math.prod(_shape_of(told)) * told.dtype.itemsize != len(content) - told.start:
        raise UnreadableImage("broken NumPy array: its header promises another number of bytes")
    try:
        values: NDArray[np.generic] = np.load(io.BytesIO(content), allow_pickle=False)
    except _BROKEN as error:
        raise UnreadableImage("broken NumPy array") from error
    whole = values[:, :, None] if values.ndim == 2 else np.moveaxis(values, _axis_of_channels(values.shape), 2)
    return np.ascontiguousarray(whole.astype(told.dtype.newbyteorder("="), copy=False))


def _shape_of(told: _Told) -> tuple[int, int, int]:
    if told.dtype.hasobject or told.dtype.kind not in "biuf":
        raise UnreadableImage(f"an array of type {told.dtype}; whole numbers or floats are needed")
    if len(told.shape) not in (2, 3) or 0 in told.shape:
        raise UnreadableImage(f"an array of shape {told.shape}; one image a file is read, (H, W) or (H, W, C)")
    if len(told.shape) == 2:
        return told.shape[0], told.shape[1], 1
    axis = _axis_of_channels(told.shape)
    sides = [length for place, length in enumerate(told.shape) if place != axis]
    return sides[0], sides[1], told.shape[axis]


def _axis_of_channels(shape: Sequence[int]) -> int:
    """2 of (H, W, C), 0 of (C, H, W): the axis that is shorter than both others, and no longer than MOST_BANDS."""
    for axis in (2, 0):
        others = [length for place, length in enumerate(shape) if place != axis]
        if shape[axis] <= MOST_BANDS and shape[axis] < min(others):
            return axis
    raise UnreadableImage(
        f"an array of shape {tuple(shape)}, whose bands cannot be told from its sides; save it as (H, W, C) with C at "
        f"most {MOST_BANDS} and less than both sides"
    )


def _header(content: bytes) -> _Told:
    file = io.BytesIO(content)
    try:
        version = np.lib.format.read_magic(file)
        read = np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
        shape, _, dtype = read(file)
    except _BROKEN as error:
        raise UnreadableImage("broken NumPy array: its header makes no sense") from error
    return _Told(tuple(shape), dtype, file.tell())
