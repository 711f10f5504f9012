"""Values deeper than 8 bits: one scale for a data set, since 12 bits in a file of 16 would else be nearly black."""

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from convlift.data.formats import Header, ppm_values
from convlift.data.stretch import BITS, MOST, Stretch
from convlift.errors import UnreadableImage

Deep = NDArray[np.generic]
# what becomes 255, with 0 as 0: of all channels, or of each band where there are others; or the scale that a user chose
Range = float | tuple[float, ...] | Stretch | None


def deep_values(image: Image.Image, content: bytes, header: Header) -> Deep | None:
    """Values as the file has them, (H, W) or (H, W, 2, 3 or 4); None where it has no more than 8 bits.

    image: opened and loaded.
    """
    if image.format == "PPM":
        return _of_ppm(content)
    if image.mode.startswith("I") or image.mode == "F":
        return np.asarray(image)
    if header.bits <= 8 or image.mode not in ("RGB", "RGBA", "LA"):
        return None
    return _of_colour(image, content)


def float_values(content: bytes, header: Header) -> Deep | None:
    """Values (H, W) or (H, W, 3) of a TIFF of floats that Pillow does not read: in colour, or of 64 bits."""
    if header.bits not in (32, 64) or header.bands not in (1, 3):
        return None
    values = _by_opencv(content)
    if values is None or values.dtype.kind != "f" or 0 in values.shape:
        return None
    return np.flip(values, axis=2) if values.ndim == 3 else values


def _of_ppm(content: bytes) -> Deep | None:
    # Pillow stretches what it reads to 16 bits, or cuts it to 8
    if (found := ppm_values(content)) is None:
        return None
    width, height, top, start = found
    bands = 3 if content[1:2] == b"6" else 1
    try:
        values = np.frombuffer(content, ">u2", width * height * bands, start).astype(np.uint16)
    except ValueError as error:
        raise UnreadableImage("broken PPM: image file is truncated") from error
    if int(values.max()) > top:
        raise UnreadableImage(f"broken PPM: a value of {values.max()}, but its header allows {top} at most")
    return values.reshape(height, width, bands) if bands == 3 else values.reshape(height, width)


def _of_colour(image: Image.Image, content: bytes) -> Deep | None:
    """Colour of 16 bits, of which Pillow keeps the upper 8; None where the two decoders do not agree on those."""
    wide = _by_opencv(content)
    if wide is None or wide.dtype != np.uint16 or wide.ndim != 3:
        return None
    bands = {"RGB": [2, 1, 0], "RGBA": [2, 1, 0, 3], "LA": [0, 3]}[image.mode]
    if wide.shape[2] <= max(bands):
        return None
    values = wide[:, :, bands]
    return values if np.array_equal(values // 256, np.asarray(image)) else None


def _by_opencv(content: bytes) -> Deep | None:
    """What OpenCV reads, bands in its order of blue, green, red, alpha; None where it reads nothing."""
    try:
        import cv2  # a second to import, and seldom needed
    except ModuleNotFoundError as error:
        raise UnreadableImage(
            "colour or floats of more than 8 bits are read by OpenCV, which is not installed (pip install "
            "opencv-python-headless)"
        ) from error

    cv2.utils.logging.setLogLevel(cv2.utils.logging.LOG_LEVEL_SILENT)  # its warnings would go to the terminal
    read: Deep | None = cv2.imdecode(np.frombuffer(content, np.uint8), cv2.IMREAD_UNCHANGED)
    return read


def asked_of(found: Range) -> str:
    """What `--value-range` said, of a range that was found by it."""
    return found.asked if isinstance(found, Stretch) else BITS


def range_document(found: Range) -> Any:
    """A range as JSON has it; `as_range` reads it."""
    return asdict(found) if isinstance(found, Stretch) else found


def as_range(found: float | Sequence[float] | Mapping[str, Any] | None) -> Range:
    """A range that went through JSON, which knows no tuples."""
    if isinstance(found, Mapping):
        return Stretch.of_document(found)
    return tuple(map(float, found)) if isinstance(found, Sequence) else found


def check_finite(values: Deep) -> None:
    """Raise UnreadableImage where a value is not finite, or beyond MOST: of a scale that a user chose, below 0 too."""
    low, high = float(values.min()), float(values.max())
    if not (low >= -MOST and high <= MOST):  # written so that NaN fails it too
        raise UnreadableImage(f"an image of values from {low:g} to {high:g}; they must be numbers up to {MOST:.0f}")


def highest(values: Deep) -> float:
    """The largest value. Raises UnreadableImage where a value is below 0, not finite, or beyond MOST."""
    low, high = float(values.min()), float(values.max())
    # written so that NaN fails it too
    if not (low >= 0 and high <= MOST):
        needed = "0 to 1 is needed" if values.dtype.kind == "f" else "none may lie below 0"
        raise UnreadableImage(
            f"an image of values from {low:g} to {high:g}; {needed} unless training has a --value-range"
        )
    return high


def is_unit(values: Deep) -> bool:
    """Whether these are floats in [0, 1], whose scale is known without looking at other images."""
    # below 0 they may lie where the user chose a scale
    return values.dtype.kind in "fb" and float(values.max()) <= 1 and float(values.min()) >= 0


def range_of(highs: Iterable[float]) -> float | None:
    """The value that becomes 255: 2^b - 1 for the fewest bits b >= 8 that hold all of these. None for none.

    Whole bits, as cameras and scanners give 10, 12 or 14, so that one brighter image seldom changes the scale.
    """
    top = max(highs, default=0.0)
    return 2.0 ** max(8, math.ceil(math.log2(top + 1))) - 1 if top else None


def to_bytes(values: Deep, value_range: float) -> NDArray[np.uint8]:
    """Values scaled so that `value_range` becomes 255; what lies above it is cut."""
    # int8 cannot be compared with 255
    if values.dtype.kind in "iu" and values.dtype.itemsize > 1 and value_range == 255:
        return np.minimum(values, 255).astype(np.uint8)
    return np.rint(np.minimum(values.astype(np.float64) * (255 / value_range), 255)).astype(np.uint8)
