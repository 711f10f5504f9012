"""Arrays of images of any number, as bytes: the range of their values, of each band where they have such."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from convlift.audit.band_findings import band_range_findings, four_bands_finding
from convlift.audit.findings import range_findings
from convlift.data.bands import SMALL_FLOATS, has_channels_first, highest_of_bands, highs_of, range_over, scaled_bands
from convlift.data.depth import Range, is_unit, range_of, to_bytes
from convlift.data.readers.source import Split
from convlift.data.stretch import MOST
from convlift.errors import DataError
from convlift.recipe.data import MOST_BANDS, is_bands
from convlift.records.finding import Finding

OfBits = float | tuple[float, ...] | None  # a `Range` that no user chose
Known = tuple[float, ...] | None  # the range of each band that a model learned
_CHUNK = 1024  # images scaled at a time


def known_of(value_range: Range) -> Known:
    """What arrays of bands are read by, of a model or a data set with this range."""
    return value_range if isinstance(value_range, tuple) else None


def as_uint8(
    parts: Mapping[Split | None, NDArray[Any]], name: str, known: Known = None
) -> tuple[tuple[NDArray[np.uint8], ...], OfBits]:
    """All parts on one scale of 0..255, by the range over all of them together; and the value that became 255.

    That is None where they are bytes or floats in 0 to 1. Bands that are neither grey nor colour have a range each.
    known: that of the images that a model learned from; bands have those, where no value lies beyond.
    Raises DataError where the range cannot be known for sure: a wrong guess would train on pixels that are black,
    clipped, or on another scale in each part.
    """
    arrays = list(parts.values())
    for images in arrays:
        _check(images, name)
    # bytes are pixels already, however dark they are
    if all(images.dtype == np.uint8 for images in arrays):
        return tuple(arrays), None
    # one range for all parts: each on its own would make the test images brighter or darker than those of training
    filled = [images for images in arrays if images.size]
    low = min((float(images.min()) for images in filled), default=0.0)
    high = max((float(images.max()) for images in filled), default=0.0)
    # negative values mean that somebody has normalized already, by figures that are not in the file; written this way
    # round, NaN is refused too
    if not (low >= 0 and high <= MOST):
        raise DataError(
            f"{name} has pixels from {low:g} to {high:g}; floats must lie in 0 to 1 or, as whole numbers, from 0 up. "
            "Save the images before any normalization, or give --value-range."
        )
    # floats (and truth values) in 0 to 1 have that range by convention; whole numbers in 0 to 1 are grey levels
    learned = known if known and _holds(known, filled) else None
    all_unit = all(images.dtype.kind in "fb" for images in arrays) and high <= 1
    if all_unit and (learned is None or min(learned) >= 255):
        return tuple(_scaled(images, 1.0) for images in arrays), None
    _check_scales(parts, name, high)
    if (ranges := learned or _ranges(filled)) is not None:
        return tuple(_scaled(images, ranges) for images in arrays), ranges
    # whole bits, as cameras give them; all black images have no range, and any scale leaves them black
    value_range = range_of([high])
    return tuple(_scaled(images, value_range or 255.0) for images in arrays), value_range


def _check_scales(parts: Mapping[Split | None, NDArray[Any]], name: str, high: float) -> None:
    """Raise DataError where parts are plainly on scales of their own, and some would be black on that of the others,
    which reach `high`."""
    if high > 255 and (narrow := [split for split, images in parts.items() if images.dtype == np.uint8]):
        raise DataError(
            f"the {narrow[0]} images of {name} are bytes, while others reach {high:g}; save all parts in one type."
        )
    # floats to somewhat beyond 1 are on one scale with those in 0 to 1
    if high > SMALL_FLOATS and (unit := [split for split, images in parts.items() if _has_shares(images)]):
        raise DataError(
            f"the {unit[0]} images of {name} are floats in 0 to 1, while others reach {high:g}; save all parts on one "
            "scale."
        )


def _has_shares(images: NDArray[Any]) -> bool:
    """Whether these are floats in 0 to 1, and not all of them whole numbers."""
    if not images.size or not is_unit(images):
        return False
    chunks = (images[start : start + _CHUNK] for start in range(0, len(images), _CHUNK))
    return any(bool((chunk != np.rint(chunk)).any()) for chunk in chunks if chunk.dtype.kind == "f")


def are_deep(parts: Mapping[Split | None, NDArray[Any]], name: str) -> bool:
    """Whether arrays have values of more than 8 bits, as they may be left to whoever scales them.

    Raises DataError where they hold no images or none of numbers, or bytes beside deeper numbers.
    """
    for images in parts.values():
        _check(images, name)
    wide = {split for split, images in parts.items() if images.size and images.dtype.itemsize > 1}
    if wide and (narrow := [split for split, images in parts.items() if images.size and split not in wide]):
        raise DataError(
            f"the {narrow[0]} images of {name} are bytes, while others are not; save all parts in one type."
        )
    return bool(wide)


def _check(images: NDArray[Any], name: str) -> None:
    """Raise DataError where an array holds no images, or none of numbers."""
    if not _is_of_images(images.shape):
        bands = f" ({images.shape[3]} bands)" if images.ndim == 4 else ""
        raise DataError(
            f"{name} has images of shape {images.shape}{bands}; (N, H, W) or (N, H, W, C) is needed, C at most "
            f"{MOST_BANDS}. Transpose channels to the end."
        )
    if images.dtype.kind not in "iubf":
        raise DataError(f"{name} has images of type {images.dtype}; whole numbers or floats are needed.")


def _is_of_images(shape: tuple[int, ...]) -> bool:
    if 0 in shape[1:] or len(shape) not in (3, 4):
        return False
    return len(shape) == 3 or (shape[3] <= MOST_BANDS and not has_channels_first(shape[1:]))


def _ranges(arrays: Sequence[NDArray[Any]]) -> tuple[float, ...] | None:
    """The range of each band over all parts, none of which is empty; None where they are grey or colour, or differ."""
    numbers = {images.shape[3] if images.ndim == 4 else 1 for images in arrays}
    if len(numbers) != 1 or not all(map(is_bands, numbers)):
        return None
    return range_over([found for images in arrays if (found := highs_of(images))])


def _holds(ranges: tuple[float, ...], arrays: Sequence[NDArray[Any]]) -> bool:
    """Whether these are arrays of so many bands, of which none has a value beyond its range."""
    if any(images.ndim != 4 or images.shape[3] != len(ranges) for images in arrays):
        return False
    highs = [highest_of_bands(images) for images in arrays]
    return all(high <= top for each in highs for high, top in zip(each, ranges, strict=True))


def _scaled(images: NDArray[Any], value_range: float | tuple[float, ...]) -> NDArray[np.uint8]:
    """Some images at a time, for the step between is eight times as large as bytes."""
    pixels = np.empty(images.shape, np.uint8)
    for start in range(0, len(images), _CHUNK):
        chunk = images[start : start + _CHUNK]
        pixels[start : start + _CHUNK] = (
            to_bytes(chunk, value_range) if isinstance(value_range, float) else scaled_bands(chunk, value_range)
        )
    return pixels


def array_findings(parts: Mapping[Split | None, NDArray[Any]], value_range: OfBits, name: str) -> list[Finding]:
    """What is to be said of how these arrays are read."""
    named = {f"the {split or 'image'} array": images for split, images in parts.items()}
    findings = [four_bands_finding(name)] if any(images.shape[3:] == (4,) for images in named.values()) else []
    if isinstance(value_range, tuple):
        highs = {each: highest_of_bands(images) for each, images in named.items()}
        return [*findings, *band_range_findings(value_range, highs, "arrays")]
    return findings + range_findings(
        value_range, {each: float(images.max()) for each, images in named.items()}, "arrays"
    )
