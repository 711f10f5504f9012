"""What image files look like from outside, by which a network may tell classes apart without looking at the subject."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image


def mean_of_bands(pixels_HWC: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """(H, W): what stands in for the luma, which bands have none of, wherever an image is looked at as grey."""
    channels = pixels_HWC.shape[2]
    return np.asarray((pixels_HWC.sum(axis=2, dtype=np.uint16) + channels // 2) // channels, np.uint8)


@dataclass(frozen=True)
class Traits:
    """A file as it came: format and mode in Pillow's words, and its size in pixels.

    quality: of a JPEG, 1 to 100, else None.
    frame: the colour of its border in words, "" for none.
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


_EVEN, _MOST = 24, 0.9  # grey levels within which most of a border counts as one colour: what JPEG leaves of one
_TENTHS = (1, 3, 5, 7, 9)  # of a side, where its points lie


def frame_of(pixels: NDArray[np.uint8]) -> str:
    """The colour of an even border on all sides, or on two that face each other, in words; "" where there is none."""
    height, width = pixels.shape[:2]
    if min(height, width) < 8:
        return ""
    down, across = ([length * tenth // 10 for tenth in _TENTHS] for length in (height, width))
    pairs = (((pixels[0], pixels[-1]), across), ((pixels[:, 0], pixels[:, -1]), down))
    found = [_levels(middle) for sides, places in pairs if (middle := _common(sides, places))]
    if not found:
        return ""
    levels, named = found[0], {0: "black", 7: "white"}
    is_even = len({*levels}) == 1 and levels[0] in named
    return named[levels[0]] if is_even else f"of colour {' '.join(map(str, levels))}"


def _levels(colour: list[int]) -> tuple[int, ...]:
    """A colour in eight levels a channel, grey in three channels."""
    levels = tuple(min(7, round(value / 36.43)) for value in colour)
    return levels * 3 if len(levels) == 1 else levels


def _common(sides: tuple[NDArray[np.uint8], NDArray[np.uint8]], places: list[int]) -> list[int]:
    """The colour of two even sides (L, C) of one colour; [] where they are none, as most are."""
    middles = []
    for side in sides:  # five points show it at once, at a tenth of the time
        points = [side[place].tolist() for place in places]
        middle = [sorted(values)[len(places) // 2] for values in zip(*points, strict=True)]
        if sum(any(abs(a - b) > _EVEN for a, b in zip(point, middle, strict=True)) for point in points) > 1:
            return []
        middles.append(middle)
    if any(abs(a - b) > _EVEN for a, b in zip(*middles, strict=True)):
        return []
    both = np.concatenate(sides).astype(np.int16)
    return middles[0] if (np.abs(both - middles[0]) <= _EVEN).all(axis=1).mean() >= _MOST else []
