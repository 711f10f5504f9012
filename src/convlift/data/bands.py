"""Images of bands that are neither grey nor colour: which files hold them, and their values as bytes.

Each band has a range of its own: the bands of one instrument differ in scale, and one range for all would leave a dim
band a few of 255 levels.
"""

import math
import struct
from collections.abc import Sequence
from contextlib import suppress
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from convlift.audit.traits import Traits
from convlift.data.depth import Deep, Range, check_finite, is_unit, range_of, to_bytes
from convlift.data.formats import sniff
from convlift.data.npy import is_npy, shape_of_npy, values_of_npy
from convlift.data.orientation import turn_of_tag, turned
from convlift.data.readers.source import Source, printable
from convlift.data.stretch import MOST, Stretch, stretched
from convlift.data.tiff_pages import (
    BITS,
    COMPRESSION,
    COMPRESSIONS,
    EXTRA,
    FORMAT,
    HEIGHT,
    ORIENTATION,
    PHOTOMETRIC,
    SAMPLES,
    SUBFILE,
    WIDTH,
    Page,
    read_pages,
    values_of,
)
from convlift.errors import UnreadableImage
from convlift.recipe.data import MOST_BANDS, is_bands

_GREY, _COLOURS = 1, 2  # of TIFF's photometric interpretations: 0 is black, and red, green, blue
_ALPHAS = {1, 2}  # of its extra samples; 0 says nothing
_WHOLE = {0, 2}  # kinds of page: an image, and one page of several, as OpenCV writes; 1 is a smaller copy, 4 a mask
LOOKED_AT = 16  # images of a source, whose headers tell of how many bands they are
SMALL_FLOATS = 16.0  # floats up to here have a power of two as their range, for 255 would leave them few levels


class Bands(NamedTuple):
    """What a file of bands holds. values: (H, W, C), upright, as the file has them."""

    values: Deep
    notes: tuple[str, ...]
    traits: Traits


class Highs(NamedTuple):
    """Of one image: the largest value of each band, and the range that it asks for."""

    highs: tuple[float, ...]
    ranges: tuple[float, ...]


def number_of_bands(content: bytes | Deep) -> int:
    """How many bands an image has by its header, or as an array; 0 where it is grey or colour, or none is told."""
    if isinstance(content, bytes) and is_npy(content):
        with suppress(UnreadableImage):
            count = shape_of_npy(content)[0][2]
            return bands_or_none(count)
        return 0
    if isinstance(content, bytes):
        pages = _pages(content)
        count = len(pages) if len(pages) > 1 else pages[0].first(SAMPLES, 1) if pages else 1
    else:
        count = content.shape[2] if content.ndim == 3 else 1
    return bands_or_none(count)


def bands_or_none(channels: int) -> int:
    """As `number_of_bands`: 0 for one channel and three."""
    return channels if is_bands(channels) else 0


def kind_of(bands: int) -> str:
    """Such a number in words."""
    return f"of {bands} bands" if bands else "grey or in colour"


def bands_of(source: Source) -> set[int]:
    """What `number_of_bands` says of LOOKED_AT images at most, of those that can be opened."""
    found, count = set[int](), len(source.items)
    for index in range(0, count, -(-count // LOOKED_AT)) if count else ():
        with suppress(OSError):
            found.add(number_of_bands(source.read(index)))
    return found


def has_channels_first(shape: Sequence[int]) -> bool:
    """Whether an array (H, W, C) of so many bands has more of them, and more columns, than rows: then it is (C, H, W),
    as PyTorch has images."""
    return len(shape) == 3 and is_bands(shape[2]) and shape[0] < min(shape[1:])


def open_bands(content: bytes, most_pixels: int) -> Bands | None:
    """The bands of a TIFF file: the samples of its one page, or its pages where each is one grey band of the same size
    and type, red, green and blue where they are three; the channels of a NumPy array, whatever their number. None of
    any other file.

    most_pixels: in colour; an image of more bands has fewer pixels. Raises UnreadableImage with the reason.
    """
    if is_npy(content):
        return _open_npy(content, most_pixels)
    if not (pages := _pages(content)):
        return None
    try:
        return _open_tiff(pages, most_pixels)
    except UnreadableImage:
        raise
    except MemoryError as error:
        raise UnreadableImage("TIFF of bands that take more memory than there is") from error
    except Exception as error:  # on broken files Pillow raises nearly anything
        raise UnreadableImage(f"broken TIFF: {printable(str(error)) or type(error).__name__}") from error


def _open_tiff(pages: Sequence[Page], most_pixels: int) -> Bands:
    first, count = pages[0], sum(page.first(SAMPLES, 1) for page in pages)
    width, height = first.first(WIDTH), first.first(HEIGHT)
    if count > MOST_BANDS:
        raise UnreadableImage(f"TIFF with {count} bands; at most {MOST_BANDS} are read")
    _check_size(width, height, count, most_pixels)
    values = np.concatenate([values_of(page) for page in pages], axis=2)
    if (turn := turn_of_tag(first.first(ORIENTATION, 1))) is not None:
        values = turned(values, turn)
    traits = Traits("TIFF", f"{count} bands", width, height, None)
    has_holes = first.missing is not None and bool((values == first.missing).any())
    told = {"pages": len(pages) > 1, "rotated": turn is not None, "missing": has_holes}
    notes = [name for name, is_so in told.items() if is_so]
    return Bands(_plain(values), tuple(notes), traits)


def _open_npy(content: bytes, most_pixels: int) -> Bands:
    (height, width, count), _ = shape_of_npy(content)
    _check_size(width, height, max(count, 3), most_pixels)
    values = values_of_npy(content)
    mode = {1: "L", 3: "RGB"}.get(count, f"{count} bands")
    return Bands(_plain(values), (), Traits("NumPy", mode, width, height, None))


def _check_size(width: int, height: int, count: int, most_pixels: int) -> None:
    if width * height * count > 3 * most_pixels:
        raise UnreadableImage(
            f"{width} x {height} of {count} bands: over {3 * most_pixels / 1e6:g} million values, the most read"
        )


def _plain(values: Deep) -> Deep:
    """The same, but as uint8 where the values have 8 bits with a sign."""
    if values.dtype != np.int8:
        return values
    highest_of_bands(values)
    return values.astype(np.uint8)


def _pages(content: bytes) -> list[Page]:
    """The pages whose samples are bands; [] of any file that is read in another way."""
    if content[:2] not in (b"II", b"MM") or sniff(content) != "TIFF":
        return []
    try:
        pages = read_pages(content, MOST_BANDS + 1)
        if not pages:
            return []
        if pages[0].first(SAMPLES, 1) > 1:
            return pages[:1] if _holds_bands(pages[0]) else []
        are_bands = 1 < len(pages) <= MOST_BANDS and all(map(_is_band, pages))
        return pages if are_bands and len({_form(page) for page in pages}) == 1 else []
    except (struct.error, OverflowError):  # directories that lie beyond the file's end
        return []


def alpha_remedy(content: bytes) -> str:
    """The end of a sentence on a TIFF that is not read, where one of more than four samples is marked as alpha; else
    nothing."""
    with suppress(struct.error, OverflowError):
        page = read_pages(content, 1)[0]
        if page.first(SAMPLES, 1) > 4 and _ALPHAS & {*page.values(EXTRA)}:
            return "; one of them is marked as alpha, leave it out"
    return ""


def _holds_bands(page: Page) -> bool:
    """Whether its samples are bands: more than grey or colour with nothing that says that one of them is alpha."""
    samples, shown = page.first(SAMPLES, 1), page.first(PHOTOMETRIC, _GREY)
    if not is_bands(samples) or _ALPHAS & {*page.values(EXTRA)}:
        return False
    return shown == _GREY or (shown == _COLOURS and samples > 3)


def _is_band(page: Page) -> bool:
    """Whether a page is one grey image of whole bytes, and neither a smaller copy of another page nor its mask; a page
    of a fax or of a scanned document, which are packed otherwise, is none."""
    is_grey = page.first(SAMPLES, 1) == 1 == page.first(PHOTOMETRIC, _GREY) and page.first(SUBFILE) in _WHOLE
    return is_grey and page.first(BITS, 1) % 8 == 0 and page.first(COMPRESSION, 1) in COMPRESSIONS


def _form(page: Page) -> tuple[int, ...]:
    return page.first(WIDTH), page.first(HEIGHT), page.first(BITS, 1), page.first(FORMAT, 1)


def highs_of(values: Deep) -> Highs | None:
    """What an image (H, W, C) of more than 8 bits asks for; None of floats in 0 to 1, whose scale is known.

    Raises UnreadableImage where a value is below 0, not finite, or beyond MOST.
    """
    highs = highest_of_bands(values)
    if is_unit(values):
        return None
    return Highs(highs, tuple(range_of_band(high, values.dtype.kind == "f") for high in highs))


def highest_of_bands(values: Deep) -> tuple[float, ...]:
    """The largest value of each band, of (..., C). Raises UnreadableImage naming the band where one cannot be read."""
    axes = tuple(range(values.ndim - 1))
    found, ends = [], zip(values.min(axis=axes).tolist(), values.max(axis=axes).tolist(), strict=True)
    for band, (low, high) in enumerate((float(least), float(most)) for least, most in ends):
        if not (low >= 0 and high <= MOST):  # written so that NaN fails it too
            raise UnreadableImage(
                f"band {band + 1} has values from {low:g} to {high:g}; they must lie in 0 to {MOST:.0f}, without a "
                "mark for what is missing, unless training has a --value-range"
            )
        found.append(high)
    return tuple(found)


def range_of_band(high: float, is_float: bool) -> float:
    """The value that becomes 255 in a band whose largest is this.

    As `range_of` has it for all other images, but for small floats: reflectances are written in 0 to 1 and somewhat
    beyond, and a range of 255 would make black of them. Those have 1, or the next power of two up to SMALL_FLOATS.
    """
    if is_float and high <= SMALL_FLOATS:
        return 2.0 ** max(0, math.ceil(math.log2(high))) if high > 0 else 1.0
    return range_of([high]) or 255.0


def range_over(found: Sequence[Highs]) -> tuple[float, ...] | None:
    """The range of each band over all images of a data set; None where there are none."""
    if not found:
        return None
    return tuple(max(each) for each in zip(*(one.ranges for one in found), strict=True))


def bytes_of_bands(values: Deep, value_range: Range, full_range: float) -> tuple[NDArray[np.uint8], tuple[str, ...]]:
    """Values (H, W, C) as bytes, each band by its own range, and notes on how.

    value_range: as the data set has it. Without one floats in 0 to 1 become 0 to 255, and whole numbers have
    `full_range`. Floats in 0 to 1 among whole numbers have their own scale too, but for a scale that a user chose.
    Raises UnreadableImage where a value cannot be read.
    """
    if isinstance(value_range, Stretch) and len(value_range.low) in (1, values.shape[2]) and values.dtype.itemsize > 1:
        check_finite(values)
        return stretched(values, value_range), ("float" if values.dtype.kind in "fb" else "16 bit",)
    highs, bands = highest_of_bands(values), values.shape[2]
    ranges = value_range if isinstance(value_range, tuple) and len(value_range) == bands else None
    is_float = values.dtype.kind in "fb"
    notes = ["float" if is_float else "16 bit"]
    if is_unit(values) and (ranges is None or min(ranges) >= 255):
        notes += ["unit float"] if ranges is not None and max(highs) > 0 else []
        ranges = (1.0,) * bands
    elif ranges is None and is_float:
        raise UnreadableImage(f"bands of floats with values up to {max(highs):g}; 0 to 1 is needed")
    tops = ranges or (full_range,) * bands
    if any(high > top for high, top in zip(highs, tops, strict=True)):
        notes.append("outside range")
    return scaled_bands(values, tops), tuple(notes)


def scaled_bands(values: Deep, tops: Sequence[float]) -> NDArray[np.uint8]:
    """Values (..., C) as bytes, of which `tops` become 255."""
    pixels = np.empty(values.shape, np.uint8)
    for band, top in enumerate(tops):  # one at a time, for the step between is eight times as large as bytes
        pixels[..., band] = to_bytes(values[..., band], top)
    return pixels
