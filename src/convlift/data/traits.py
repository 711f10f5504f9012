"""What image files look like from outside, by which a network may tell classes apart without looking at the subject."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image


@dataclass(frozen=True)
class Traits:
    """A file as it came: format and mode in Pillow's words, and its size in pixels.

    quality: of a JPEG, 1 to 100, else None; frame: the colour of its border in words, "" for none.
    """

    format: str
    mode: str
    width: int
    height: int
    quality: int | None
    frame: str = ""


def quality_of(image: Image.Image) -> int | None:
    """The quality that a JPEG was saved with, from the scale of its luma table; None for other files.

    The Independent JPEG Group's library scales its standard table, of mean 57.6, by 5000 / q percent below q = 50 and
    by 200 - 2q from there on.
    """
    table: Any = getattr(image, "quantization", {}).get(0)
    if image.format != "JPEG" or not table:
        return None
    scale = 100.0 * (sum(table) / len(table)) / 57.625
    quality = 5000 / scale if scale > 100 else (200 - scale) / 2
    return int(min(100, max(1, round(quality))))


_EVEN = 12  # grey levels within which a border counts as one colour: what JPEG leaves of one


def frame_of(pixels: NDArray[np.uint8]) -> str:
    """The colour of an even border on all sides, or on two that face each other, in words; "" where there is none."""
    if min(pixels.shape[:2]) < 8:
        return ""
    sides = [_even(side) for side in (pixels[0], pixels[-1], pixels[:, 0], pixels[:, -1])]
    for pair in ((0, 1, 2, 3), (0, 1), (2, 3)):
        colours = {sides[side] for side in pair}
        if len(colours) == 1 and (colour := colours.pop()):
            return {"0 0 0": "black", "7 7 7": "white"}.get(colour, f"of colour {colour}")
    return ""


def _even(side: NDArray[np.uint8]) -> str:
    middle = np.median(side, axis=0)
    if (np.abs(side - middle) <= _EVEN).all(axis=1).mean() < 0.95:
        return ""
    levels = np.minimum(np.rint(middle / 36.43), 7).astype(int).tolist()  # eight levels a channel
    return " ".join(str(level) for level in (levels * 3 if len(levels) == 1 else levels))
