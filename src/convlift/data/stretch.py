"""A scale that the user chooses for values of more than 8 bits: which value becomes 0, and which becomes 255."""

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from convlift.errors import ConvliftError

BITS, PERCENTILES = "bits", "percentiles"
# QGIS's cumulative count cut (CUMULATIVE_CUT_LOWER and _UPPER of its QgsRasterMinMaxOrigin); decision 0069 has figures
LOWER, UPPER = 2.0, 98.0
MOST = 2.0**32 - 1  # the largest value that is read, below 0 the lowest too

_TWO = re.compile(r"\s*([^:%\s]+)(%?):([^:%\s]+)(%?)\s*")


@dataclass(frozen=True)
class Stretch:
    """What lies at `low` becomes 0 and what lies at `high` 255, in even steps between them; what is outside is cut.

    low, high: one number each for all channels, or one each for every band, low below high.
    asked: the words of `--value-range` that it comes from.
    """

    low: tuple[float, ...]
    high: tuple[float, ...]
    asked: str

    @classmethod
    def of_document(cls, found: Mapping[str, Any]) -> "Stretch":
        """One that went through JSON, which knows no tuples."""
        return cls(tuple(map(float, found["low"])), tuple(map(float, found["high"])), str(found["asked"]))


class Cut(NamedTuple):
    """How many values of each channel of an image lie below a stretch and above it, of how many pixels."""

    below: tuple[int, ...]
    above: tuple[int, ...]
    pixels: int


class _Two(NamedTuple):
    low: float
    high: float
    are_percentiles: bool


def asked_range(text: str) -> str:
    """What `--value-range` says, in one spelling: bits, percentiles, LOW:HIGH or LOW%:HIGH%.

    Raises ConvliftError where it is none of these.
    """
    plain = text.strip() if isinstance(text, str) else ""
    if plain in (BITS, PERCENTILES):
        return plain
    if (two := _two(plain)) is None:
        raise ConvliftError(
            f"--value-range {str(text)[:40]!r} is no scale; give {BITS}, {PERCENTILES}, two values with a colon, the "
            "lower one first, such as 0:10000, or two percentiles such as 0.5%:99.5%."
        )
    if not two.are_percentiles:
        return f"{two.low:.12g}:{two.high:.12g}"
    return PERCENTILES if (two.low, two.high) == (LOWER, UPPER) else f"{two.low:.12g}%:{two.high:.12g}%"


def percentiles_asked(asked: str) -> tuple[float, float]:
    """The two percentiles in 0 to 100, of a scale that is found by them."""
    two = _two(asked)
    return (LOWER, UPPER) if two is None else (two.low, two.high)


def numbers_asked(asked: str) -> Stretch | None:
    """The scale that two values give, the same for all bands; None where the images have to tell it."""
    two = _two(asked)
    return None if two is None or two.are_percentiles else Stretch((two.low,), (two.high,), asked)


def _two(text: str) -> _Two | None:
    if (found := _TWO.fullmatch(text)) is None or found[2] != found[4]:
        return None
    try:
        low, high = (float(f"{float(each):.12g}") for each in (found[1], found[3]))  # as they are spelled afterwards
    except ValueError:
        return None
    least, most = (0.0, 100.0) if found[2] else (-MOST, MOST)
    return _Two(low, high, bool(found[2])) if least <= low < high <= most else None


def stretched(values: NDArray[np.generic], stretch: Stretch) -> NDArray[np.uint8]:
    """Values (H, W) or (H, W, C) as bytes. C is the number of bands of the stretch where it has several."""
    planes = values[:, :, None] if values.ndim == 2 else values
    pixels = np.empty(planes.shape, np.uint8)
    for channel in range(planes.shape[2]):  # one at a time, for the step between is eight times as large as bytes
        band = channel if len(stretch.low) > 1 else 0
        low, high = stretch.low[band], stretch.high[band]
        scaled = (planes[:, :, channel].astype(np.float64) - low) * (255 / (high - low))
        pixels[:, :, channel] = np.rint(np.clip(scaled, 0, 255))
    return pixels.reshape(values.shape)


def cut_by(stretch: Stretch, values_HWC: NDArray[np.generic]) -> Cut:
    """How much of an image a stretch cuts."""
    # values of 16 bits cannot be compared with any number of Python
    outside = values_HWC < np.array(stretch.low), values_HWC > np.array(stretch.high)
    below, above = (tuple(np.count_nonzero(each, axis=(0, 1)).tolist()) for each in outside)
    return Cut(below, above, math.prod(values_HWC.shape[:2]))
