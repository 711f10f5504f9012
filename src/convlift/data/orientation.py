"""How a photograph is turned upright: what its EXIF block tells of how the camera was held."""

import struct
from typing import Any

import numpy as np
from PIL import Image

from convlift.data.depth import Deep

_ORIENTATION = 0x0112  # EXIF's tag, and what undoes each of its values
_TURNS = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}


def turn_of(image: Image.Image) -> Image.Transpose | None:
    """What turns an image upright; None where it is, or where nothing is known of it."""
    try:
        return _TURNS.get(image.getexif().get(_ORIENTATION, 1))
    except (SyntaxError, ValueError, TypeError, KeyError, OSError, struct.error):
        return None  # a broken EXIF block does not make the pixels unreadable


def turn_of_tag(value: int) -> Image.Transpose | None:
    """The same of the tag's value."""
    return _TURNS.get(value)


def turned(values: Deep, turn: Image.Transpose) -> Deep:
    """As Image.transpose, for (H, W) or (H, W, C) of any type."""
    turns: dict[Image.Transpose, Any] = {
        Image.Transpose.FLIP_LEFT_RIGHT: lambda: values[:, ::-1],
        Image.Transpose.ROTATE_180: lambda: np.rot90(values, 2),
        Image.Transpose.FLIP_TOP_BOTTOM: lambda: values[::-1],
        Image.Transpose.TRANSPOSE: lambda: values.swapaxes(0, 1),
        Image.Transpose.ROTATE_270: lambda: np.rot90(values, 3),
        Image.Transpose.TRANSVERSE: lambda: np.rot90(values, 2).swapaxes(0, 1),
        Image.Transpose.ROTATE_90: lambda: np.rot90(values),
    }
    result: Deep = turns[turn]()
    return result
