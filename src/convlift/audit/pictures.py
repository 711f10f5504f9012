"""What single images look like beside the others: dark, bright, blurred, of another size."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from convlift.audit.marks import corners_of
from convlift.audit.traits import Traits, mean_of_bands
from convlift.records.finding import Finding

SIDE = 32  # pixels of the small greys that images are compared by
LEAST = 20  # images, or nothing is usual
FAR = 3.5  # robust standard deviations (Iglewicz and Hoaglin 1993, the modified z-score)
DARK, BRIGHT = 40.0, 215.0  # grey levels, of 255: 95% of a dark image are below the one, 95% of a bright one above
BLURRED = 0.2  # of the usual contrast between neighbours, which is that of an image enlarged some four times
LARGER, LONGER = 3.0, 2.5  # a side, and a ratio of sides, this many times the usual one
_EVEN = 10.0  # grey levels: what differs by less is as dark as the others
MOST = 0.05  # of the images: what more of them are is no exception
_LISTED = 100

Greys = NDArray[np.uint8]


@dataclass(frozen=True, eq=False)
class Picture:
    """An image in small. grey: (32, 32) uint8; sharpness: how much neighbouring pixels differ, beside the whole;
    corners: see `marks.corners_of`."""

    grey: Greys
    sharpness: float
    corners: Greys


def picture_of(pixels: NDArray[np.uint8]) -> Picture:
    """The picture of an image (H, W, C): of colour its luma, of bands that are neither grey nor colour their mean.

    sharpness: standard deviation of the Laplacian over that of the greys (Pech-Pacheco et al. 2000 take the variance of
    the Laplacian, which grows with contrast too); 0 for an image of one colour.
    """
    import cv2

    grey = _grey(pixels)
    small = cv2.resize(np.ascontiguousarray(grey), (SIDE, SIDE), interpolation=cv2.INTER_AREA)
    spread = float(grey.std())
    edges = float(cv2.Laplacian(grey, cv2.CV_16S, ksize=1).std()) if min(grey.shape) > 2 else 0.0
    return Picture(
        np.asarray(small, np.uint8), edges / spread if spread > 0.5 else 0.0, corners_of(np.asarray(grey, np.uint8))
    )


def _grey(pixels: NDArray[np.uint8]) -> Greys:
    """(H, W)."""
    import cv2

    channels = pixels.shape[2]
    if channels == 1:
        return pixels[:, :, 0]
    if channels == 3:
        return np.asarray(cv2.cvtColor(pixels, cv2.COLOR_RGB2GRAY), np.uint8)
    return mean_of_bands(pixels)


def picture_findings(
    pictures: Sequence[Picture], traits: Sequence[Traits | None], keys: Sequence[str]
) -> list[Finding]:
    """A note for each way in which few images are far from what is usual in this data set. traits: None of an array."""
    if len(pictures) < LEAST:
        return []
    greys = np.stack([each.grey for each in pictures]).reshape(len(pictures), -1)
    low, high = np.quantile(greys, [0.05, 0.95], axis=1)
    found = {
        "dark": np.flatnonzero((high < DARK) & (far(high, _EVEN) < -FAR)),
        "bright": np.flatnonzero((low > BRIGHT) & (far(low, _EVEN) > FAR)),
        "blurred": _blurred(np.array([each.sharpness for each in pictures]), high - low),
        "odd size": _odd(traits),
    }
    return [_finding(kind, rows, keys) for kind, rows in found.items() if 0 < len(rows) <= MOST * len(keys)]


_MESSAGES = {
    "dark": ("is much darker than the others", "are much darker than the others"),
    "bright": ("is much brighter than the others", "are much brighter than the others"),
    "blurred": ("looks blurred, or was enlarged", "look blurred, or were enlarged"),
    "odd size": ("has another size or shape than the others", "have another size or shape than the others"),
}


def _finding(kind: str, rows: NDArray[np.int64], keys: Sequence[str]) -> Finding:
    one, more = _MESSAGES[kind]
    message = f"{len(rows)} of {len(keys)} images {one if len(rows) == 1 else more}."
    items = tuple(keys[row] for row in rows[:_LISTED])
    return Finding(kind, "note", message, items, "Look at them; keep what the model will meet in use.")


def far(values: NDArray[np.float64], least: float = 1e-6) -> NDArray[np.float64]:
    """How many standard deviations each value is from the median, by the median deviation (1.4826 for a Gaussian).

    least: of the deviation, or of images that are all alike each would be far.
    """
    middle = np.median(values)
    spread = 1.4826 * np.median(np.abs(values - middle))
    found: NDArray[np.float64] = (values - middle) / max(float(spread), least)
    return found


def _blurred(sharpness: NDArray[np.float64], contrast: NDArray[np.float64]) -> NDArray[np.int64]:
    """Far less sharp than is usual, and not merely without contrast."""
    seen = sharpness > 0
    usual = float(np.median(sharpness[seen])) if seen.any() else 0.0
    distance = far(np.log(np.maximum(sharpness, 1e-6)))
    return np.flatnonzero(seen & (contrast >= DARK) & (sharpness < BLURRED * usual) & (distance < -2.5))


def _odd(traits: Sequence[Traits | None]) -> NDArray[np.int64]:
    known = [(row, each) for row, each in enumerate(traits) if each is not None]
    if len(known) < LEAST:
        return np.zeros(0, np.int64)
    sides = np.array([math.log(each.width * each.height) / 2 for _, each in known])
    ratios = np.array([math.log(each.width / each.height) for _, each in known])
    is_odd = np.abs(sides - np.median(sides)) > math.log(LARGER)
    is_odd |= np.abs(ratios - np.median(ratios)) > math.log(LONGER)
    found: NDArray[np.int64] = np.array([row for row, _ in known], np.int64)[is_odd]
    return found
