"""From the bytes of an image file to the pixels that are kept of it. Training and prediction share it."""

import io
import re
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from PIL import Image, UnidentifiedImageError

from convlift.audit.traits import Traits, quality_of
from convlift.data.bands import alpha_remedy, bytes_of_bands, open_bands
from convlift.data.depth import Deep, Range, check_finite, deep_values, float_values, highest, is_unit, to_bytes
from convlift.data.dicom import open_dicom
from convlift.data.formats import DICOM, FORMATS, MOST_SAMPLES, Header, jpeg_bits, read_header, sniff, without_text
from convlift.data.orientation import turn_of, turned
from convlift.data.readers.source import printable
from convlift.data.square import as_image, resampled
from convlift.data.stretch import Stretch, stretched
from convlift.errors import UnreadableImage
from convlift.recipe.data import is_bands

MAX_PIXELS = 64_000_000  # read from the header; Pillow alone stops at 179 million
SHORTER_SIDE, WIDE = 256, 512  # pixels of the shorter side that are kept: usually, and for recipes that see more
LONGER = 4  # times the shorter side, of which no more is kept
FULL_RANGE = 65535.0  # of 16 bits, where the data set has no range of its own

# what is done where an image is transparent: laid on white or black, or shown as if it were not
Alpha = Literal["white", "black", "ignore"]
ALPHAS: tuple[Alpha, ...] = ("white", "black", "ignore")
_MASK = 0.5  # of a band's values are 0 or 255 where it marks what is transparent; of a photograph's, few are


@dataclass(frozen=True, eq=False)
class Decoded:
    """An image as it is kept.

    pixels: uint8 (H, W, C), C = 1 where every pixel is grey, 3 of colour, else the number of bands.
    notes: what was done to the file's pixels.
    deep: the values before they were scaled, where the file has more than 8 bits.
    traits: what the file looks like from outside; None for an array.
    """

    pixels: NDArray[np.uint8]
    notes: tuple[str, ...]
    deep: Deep | None = None
    traits: Traits | None = None


def decode(
    content: bytes,
    value_range: Range = None,
    alpha: Alpha = "white",
    most_pixels: int = MAX_PIXELS,
    side: int = SHORTER_SIDE,
) -> Decoded:
    """Decode wholly, turn upright, composite, and limit the size. Raises UnreadableImage with the reason.

    value_range: the value that becomes 255 in files of more than 8 bits, as the data set has it (`data/depth.py`);
    None where it has no such files, then 65535. Floats in 0 to 1 become 0 to 255 whatever it is. Of bands one value
    each, see `bytes_of_bands`. A Stretch holds for all files of more than 8 bits, floats in 0 to 1 and DICOM with a
    window among them.
    most_pixels: an image of more is not decoded; at most MAX_PIXELS. Three bands count as one pixel.
    side: the most pixels that the shorter side has afterwards, and a quarter of what the longer one has (bicubic,
    antialiased).
    """
    if (found := open_bands(content, most_pixels)) is not None:
        return _of_array(found.values, value_range, list(found.notes), found.traits, side)
    image, notes, deep, traits = opened(content, most_pixels, is_stretched=isinstance(value_range, Stretch))
    flat = _to_eight_bits(image, alpha, notes) if deep is None else as_image(_scaled(deep, value_range, alpha, notes))
    return _finished(flat, notes, deep, traits, side)


def from_array(image: Deep, value_range: Range = None, side: int = SHORTER_SIDE, *, has_alpha: bool = False) -> Decoded:
    """The same for an image that is an array already: (H, W) or (H, W, C) of any number.

    has_alpha: whether the last of two or four channels of more than 8 bits is alpha; else all are bands.
    Raises UnreadableImage where values are below 0 or not finite.
    """
    if not has_alpha:
        return _of_array(image, value_range, [], None, side)
    notes: list[str] = []
    return _finished(as_image(_scaled(image, value_range, "ignore", notes)), notes, image, None, side)


def _of_array(image: Deep, value_range: Range, notes: list[str], traits: Traits | None, side: int) -> Decoded:
    if image.ndim == 3 and is_bands(image.shape[2]):
        return _of_bands(image, value_range, notes, traits, side)
    if image.dtype == np.uint8:
        return _finished(as_image(image), notes, None, traits, side)
    values = image[:, :, 0] if image.ndim == 3 and image.shape[2] == 1 else image
    return _finished(as_image(_scaled(values, value_range, "ignore", notes)), notes, values, traits, side)


def _of_bands(values: Deep, value_range: Range, notes: list[str], traits: Traits | None, side: int) -> Decoded:
    is_bytes = values.dtype == np.uint8
    pixels, more = (
        (values.astype(np.uint8, copy=False), ()) if is_bytes else bytes_of_bands(values, value_range, FULL_RANGE)
    )
    notes, deep = [*notes, *more], None if is_bytes else values
    size = (pixels.shape[1], pixels.shape[0])
    if (smaller := _smaller(size, side)) is not None:
        pixels = resampled(pixels, smaller)
    return Decoded(pixels, tuple(_odd(size, notes, pixels)), deep, traits)


def _finished(flat: Image.Image, notes: list[str], deep: Deep | None, traits: Traits | None, side: int) -> Decoded:
    pixels = _drop_grey(np.asarray(_limited(flat, side)))
    notes = _odd(flat.size, notes, pixels)
    return Decoded(pixels, tuple(notes) + (("grey",) if pixels.shape[2] == 1 else ()), deep, traits)


def _odd(size: tuple[int, int], notes: list[str], pixels: NDArray[np.uint8]) -> list[str]:
    """The notes, with what is odd of an image of this size, width and height, of which these pixels are kept."""
    more = ["odd shape"] if min(size) < 8 or max(size) > 8 * min(size) else []
    is_flat = bool((pixels[-1, -1] == pixels[0, 0]).all() and (pixels == pixels[0, 0]).all())
    return [*notes, *more, *(["flat"] if is_flat else [])]


def opened(
    content: bytes, most_pixels: int = MAX_PIXELS, *, is_stretched: bool = False
) -> tuple[Image.Image, list[str], Deep | None, Traits]:
    """The loaded upright image of any file but those of bands, notes, its values where they are deeper than 8 bits, and
    its traits. is_stretched: whether the user chose a scale, which the window of a DICOM gives way to.

    Raises UnreadableImage with the reason.
    """
    kind = sniff(content)
    if kind == DICOM:
        return open_dicom(content, most_pixels, is_stretched=is_stretched)
    header = _checked_header(content, kind)
    try:
        return _read(content, kind, header, most_pixels)
    except UnreadableImage:
        raise
    except (Image.DecompressionBombError, Image.DecompressionBombWarning, MemoryError) as error:
        raise UnreadableImage(f"over {_millions(most_pixels)} million pixels, the most that is read") from error
    except Exception as error:  # on broken files Pillow raises nearly anything, SyntaxError included
        raise UnreadableImage(_fault(content, kind, header, error)) from error


def _checked_header(content: bytes, kind: str) -> Header:
    """What the header tells. Raises UnreadableImage where it shows that the image is none of those that are read."""
    if kind not in FORMATS:
        raise UnreadableImage(f"{kind}, not one of {', '.join(FORMATS)}")
    header = read_header(content, kind)
    if header.bands > MOST_SAMPLES:
        raise UnreadableImage(f"{kind} with {header.bands} bands; colour, grey and a transparent band are read")
    # Pillow and OpenCV make noise of them, without a warning
    if header.in_planes and header.bits > 8 and header.bands > 1:
        raise UnreadableImage(f"{kind} of {header.bits} bits with its bands in planes; save them pixel by pixel")
    return header


def _read(
    content: bytes, kind: str, header: Header, most_pixels: int
) -> tuple[Image.Image, list[str], Deep | None, Traits]:
    """As Pillow reads it, or by another way where Pillow cannot though nothing is broken."""
    try:
        return _load(content, header, most_pixels)
    except ValueError as error:
        if kind != "PNG" or "MAX_TEXT" not in str(error):
            raise
        return _load(without_text(content), header, most_pixels)  # more text than Pillow takes: it is not needed
    except UnidentifiedImageError:
        if kind != "TIFF" or header.pixels > most_pixels or (values := float_values(content, header)) is None:
            raise
        traits = Traits(kind, "F", values.shape[1], values.shape[0], None)
        return Image.new("L", (1, 1)), [], values, traits


def _load(content: bytes, header: Header, most_pixels: int) -> tuple[Image.Image, list[str], Deep | None, Traits]:
    image: Image.Image
    with Image.open(io.BytesIO(content), formats=FORMATS) as image:
        width, height = image.size
        if width * height > most_pixels:
            raise UnreadableImage(f"{width} x {height}: over {_millions(most_pixels)} million pixels, the most read")
        notes = ["first frame"] if getattr(image, "is_animated", False) else []
        traits = Traits(image.format or "", image.mode, width, height, quality_of(image))
        image.load()
        turn = turn_of(image)
        deep = deep_values(image, content, header)
        if turn is not None:
            notes.append("rotated")
            deep = None if deep is None else turned(deep, turn)
            image = image.transpose(turn) if deep is None else image
        return image, notes, deep, traits


def _millions(pixels: int) -> str:
    return f"{pixels / 1_000_000:g}"


def _fault(content: bytes, kind: str, header: Header, error: Exception) -> str:
    """Why a file cannot be decoded: what it is where that is not read, else what the decoder found broken."""
    if kind == "JPEG" and (bits := jpeg_bits(content)) != 8:
        return f"JPEG of {bits} bits a value; 8 are read"
    text = re.sub(r"\s*<[^<>]* at 0x[0-9a-fA-F]+>", "", printable(str(error))).strip()
    if isinstance(error, UnidentifiedImageError):
        if kind == "TIFF" and header.pixels:
            bands = "1 band" if header.bands == 1 else f"{header.bands} bands"
            return f"TIFF with {bands} of {header.bits} bits, of a kind that is not read{alpha_remedy(content)}"
        text = "its header makes no sense"
    return f"broken {kind}: {text or type(error).__name__}"


def _limited(image: Image.Image, side: int) -> Image.Image:
    smaller = _smaller(image.size, side)
    return image if smaller is None else image.resize(smaller, Image.Resampling.BICUBIC)


def _smaller(size: tuple[int, int], side: int) -> tuple[int, int] | None:
    """The size that is kept of an image; None where that is its own."""
    scale = min(side / min(size), LONGER * side / max(size))
    if scale >= 1:
        return None
    width, height = (max(1, round(length * scale)) for length in size)
    return width, height


def _drop_grey(pixels: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """(H, W) or (H, W, C) -> (H, W, 1) where the three channels agree everywhere, else (H, W, 3)."""
    if pixels.ndim == 2:
        return pixels[:, :, None]
    if (pixels[0] != pixels[0, :, :1]).any():  # most colour shows in the first row
        return pixels
    first = pixels[:, :, :1]
    return first if (pixels == first).all() else pixels


def _to_eight_bits(image: Image.Image, alpha: Alpha, notes: list[str]) -> Image.Image:
    """Any mode of 8 bits or fewer -> L or RGB. Plain convert() shows what alpha hides."""
    if image.has_transparency_data:
        layered = image.convert("RGBA")
        if _is_laid_on(layered.getchannel("A"), alpha, notes):
            layered = Image.alpha_composite(Image.new("RGBA", layered.size, alpha), layered)
        return layered.convert("RGB")
    if image.mode in ("1", "L"):
        return image.convert("L")
    if image.mode == "CMYK":
        notes.append("cmyk")
    return image.convert("RGB")


def _is_laid_on(band: Image.Image, alpha: Alpha, notes: list[str]) -> bool:
    """Whether an image with this transparent band is laid on a background. One that looks like a photograph, such as an
    infrared band that was marked as alpha, hides nothing."""
    low, high = band.getextrema()
    if low == 255:
        return False
    counts = band.histogram()
    if low != high and counts[0] + counts[255] < _MASK * sum(counts):
        notes.append("fourth band")
        return False
    notes.append("alpha ignored" if alpha == "ignore" else "clear" if high == 0 else "alpha")
    return alpha != "ignore"


def _scaled(values: Deep, given: Range, alpha: Alpha, notes: list[str]) -> NDArray[np.uint8]:
    """Values of more than 8 bits -> (H, W) or (H, W, 3) uint8, by the range of the data set, if it is one for all."""
    scale = _scale_of(values, given, notes)
    if values.ndim == 2 or values.shape[2] == 3:
        return _by(values, scale)
    # a transparent band has the file's own range, whatever that of the colours is
    band = Image.fromarray(to_bytes(values[:, :, -1], 1.0 if _is_unit_alpha(values, scale) else FULL_RANGE))
    colour = _by(values[:, :, :-1] if values.shape[2] == 4 else values[:, :, 0], scale)
    if not _is_laid_on(band, alpha, notes):
        return colour
    layered = Image.fromarray(colour).convert("RGBA")
    layered.putalpha(band)
    return np.asarray(Image.alpha_composite(Image.new("RGBA", layered.size, alpha), layered).convert("RGB"))


def _scale_of(values: Deep, given: Range, notes: list[str]) -> float | Stretch:
    """The value that becomes 255 in an image, or the scale that a user chose."""
    if isinstance(given, Stretch) and len(given.low) == 1 and values.dtype.itemsize > 1:
        check_finite(values)
        notes.append("float" if values.dtype.kind in "fb" else "16 bit")
        return given
    high, value_range = highest(values), given if isinstance(given, float | int) else None
    if is_unit(values):
        notes += ["float"] + (["unit float"] if value_range is not None and high else [])
        return 1.0
    if values.dtype.kind == "f" and value_range is None:
        raise UnreadableImage(f"float image with values from {values.min():g} to {high:g}; 0 to 1 is needed")
    notes.append("float" if values.dtype.kind == "f" else "16 bit")
    top = value_range or FULL_RANGE
    if high > top:
        notes.append("outside range")
    return top


def _by(values: Deep, scale: float | Stretch) -> NDArray[np.uint8]:
    return stretched(values, scale) if isinstance(scale, Stretch) else to_bytes(values, scale)


def _is_unit_alpha(values: Deep, scale: float | Stretch) -> bool:
    return is_unit(values[:, :, -1]) if isinstance(scale, Stretch) else scale == 1.0
