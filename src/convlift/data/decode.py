"""From the bytes of an image file to the square array that a network sees. Training and prediction share it."""

import io
import struct
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from convlift.data.config import LETTERBOX_FILL, Resize
from convlift.data.items import printable
from convlift.errors import UnreadableImage

# an allowlist: Pillow would otherwise hand EPS to Ghostscript and open forty formats nobody has tested here
FORMATS = ("JPEG", "PNG", "GIF", "BMP", "TIFF", "WEBP", "PPM")
MAX_PIXELS = 64_000_000  # read from the header; Pillow alone stops at 179 million
SHORTER_SIDE, LONGER_SIDE = 256, 1024  # nothing larger is kept, in pixels

_MAGIC: tuple[tuple[int, bytes, str], ...] = (
    (0, b"\xff\xd8\xff", "JPEG"),
    (0, b"\x89PNG\r\n\x1a\n", "PNG"),
    (0, b"GIF8", "GIF"),
    (0, b"BM", "BMP"),
    (0, b"II*\0", "TIFF"),
    (0, b"MM\0*", "TIFF"),
    (8, b"WEBP", "WEBP"),
    *((0, b"P%d" % n, "PPM") for n in range(1, 7)),
    (0, b"%PDF", "PDF document"),
    (0, b"%!PS", "EPS drawing"),
    (0, b"SIMPLE  =", "FITS file"),
    (0, b"8BPS", "Photoshop file"),
    (0, b"PK\3\4", "ZIP archive"),
    (0, b"\x1f\x8b", "gzip archive"),
    (4, b"ftyphei", "HEIC image"),
    (4, b"ftypmif", "HEIC image"),
    (4, b"ftypavif", "AVIF image"),
    (0, b"\0\0\0\x0cjP", "JPEG 2000 image"),
    (0, b"version https://git-lfs", "Git LFS pointer"),
)

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


@dataclass(frozen=True, eq=False)
class Decoded:
    """pixels: uint8 (H, W, C), C = 1 where every pixel is grey, else 3. notes: what was done to the file's pixels."""

    pixels: NDArray[np.uint8]
    notes: tuple[str, ...]


def sniff(content: bytes) -> str:
    """What a file is by its first bytes, whatever its name says: a name in FORMATS, or words for a reader."""
    if not content:
        return "empty file"
    for offset, magic, name in _MAGIC:
        if content[offset : offset + len(magic)] == magic:
            return name
    head = content[:512].lstrip().lower()
    if head.startswith((b"<!doctype html", b"<html")):
        return "HTML page"
    if b"<svg" in head:
        return "SVG drawing"
    is_text = not any(byte < 9 or 13 < byte < 32 for byte in content[:512])
    return "text file" if is_text else "unknown kind of file"


def decode(content: bytes) -> Decoded:
    """Decode wholly, turn upright, composite on white, and limit the size. Raises UnreadableImage with the reason.

    Shorter side at most 256 pixels and longer side at most 1024 afterwards (bicubic, antialiased).
    """
    kind = sniff(content)
    if kind not in FORMATS:
        raise UnreadableImage(f"{kind}, not one of {', '.join(FORMATS)}")
    try:
        with Image.open(io.BytesIO(content), formats=FORMATS) as image:
            width, height = image.size
            if width * height > MAX_PIXELS:
                raise UnreadableImage(f"{width} x {height}: over {MAX_PIXELS // 1_000_000} million pixels")
            notes = ["first frame"] if getattr(image, "is_animated", False) else []
            image.load()
            upright = _upright(image, notes)
            flat = _to_eight_bits(upright, notes)
    except UnreadableImage:
        raise
    except (Image.DecompressionBombError, Image.DecompressionBombWarning) as error:
        raise UnreadableImage(f"over {MAX_PIXELS // 1_000_000} million pixels, the most that is read") from error
    except Exception as error:  # on broken files Pillow raises nearly anything, SyntaxError included
        raise UnreadableImage(f"broken {kind}: {printable(str(error)) or type(error).__name__}") from error
    if min(flat.size) < 8 or max(flat.size) > 8 * min(flat.size):
        notes.append("odd shape")
    pixels = _drop_grey(np.asarray(_limited(flat)))
    return Decoded(pixels, tuple(notes) + (("grey",) if pixels.shape[2] == 1 else ()))


def from_array(image: NDArray[np.uint8]) -> Decoded:
    """The same for an image that is an array already: uint8 (H, W), (H, W, 1) or (H, W, 3)."""
    pixels = _drop_grey(np.asarray(_limited(_image(image))))
    return Decoded(pixels, ("grey",) if pixels.shape[2] == 1 else ())


def square(pixels_HWC: NDArray[np.uint8], channels: int, resolution: int, policy: Resize) -> NDArray[np.uint8]:
    """Decoded pixels -> uint8 (R, R, C) as the network sees them; the one path for training and prediction."""
    fitted = fit_channels(pixels_HWC, channels)
    return resize(fitted, resolution, policy, LETTERBOX_FILL[channels])


def fit_channels(pixels_HWC: NDArray[np.uint8], channels: int) -> NDArray[np.uint8]:
    """Grey repeated to three channels, or colour to its luma (ITU-R 601, as Pillow's mode L)."""
    if pixels_HWC.shape[2] == channels:
        return pixels_HWC
    if channels == 3:
        return np.repeat(pixels_HWC, 3, axis=2)
    return np.asarray(_image(pixels_HWC).convert("L"))[:, :, None]


def resize(
    pixels_HWC: NDArray[np.uint8], resolution: int, policy: Resize, fill_C: tuple[int, ...]
) -> NDArray[np.uint8]:
    """uint8 (H, W, C) -> uint8 (R, R, C), bicubic and antialiased.

    squash: both sides to R. crop: shorter side to round(R / 0.875), then the centre R x R (the usual ImageNet
    evaluation; Krizhevsky et al. 2012). letterbox: longer side to R, centred on fill_C.
    """
    image, side = _image(pixels_HWC), (resolution, resolution)
    if policy == "letterbox":
        scale = resolution / max(image.size)
        width, height = (max(1, round(length * scale)) for length in image.size)
        small = np.asarray(image.resize((width, height), Image.Resampling.BICUBIC))
        out = np.empty((*side, len(fill_C)), np.uint8)
        out[:] = fill_C
        top, left = (resolution - height) // 2, (resolution - width) // 2
        out[top : top + height, left : left + width] = small.reshape(height, width, -1)
        return out
    box = _centre(image.size, resolution) if policy == "crop" else None
    return np.asarray(image.resize(side, Image.Resampling.BICUBIC, box=box)).reshape(*side, -1)


def _centre(size: tuple[int, int], resolution: int) -> tuple[float, float, float, float]:
    # resampling only the part that is kept gives the same pixels, and no huge intermediate for a 1 x 1000 image; the
    # offset is a whole number of the result's pixels, since half a pixel blurs: ImageNet top-1 .873 instead of .867
    scale = min(size) / round(resolution / 0.875)
    left, top = ((round(length / scale) - resolution) // 2 * scale for length in size)
    return left, top, left + resolution * scale, top + resolution * scale


def _image(pixels: NDArray[np.uint8]) -> Image.Image:
    return Image.fromarray(pixels[:, :, 0] if pixels.ndim == 3 and pixels.shape[2] == 1 else pixels)


def _limited(image: Image.Image) -> Image.Image:
    scale = min(SHORTER_SIDE / min(image.size), LONGER_SIDE / max(image.size))
    if scale >= 1:
        return image
    width, height = (max(1, round(length * scale)) for length in image.size)
    return image.resize((width, height), Image.Resampling.BICUBIC)


def _drop_grey(pixels: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """(H, W) or (H, W, C) -> (H, W, 1) where the three channels agree everywhere, else (H, W, 3)."""
    if pixels.ndim == 2:
        return pixels[:, :, None]
    first = pixels[:, :, :1]
    return first if (pixels == first).all() else pixels


def _upright(image: Image.Image, notes: list[str]) -> Image.Image:
    try:
        turn = _TURNS.get(image.getexif().get(_ORIENTATION, 1))
    except (SyntaxError, ValueError, TypeError, KeyError, OSError, struct.error):
        return image  # a broken EXIF block says nothing about the pixels
    if turn is None:
        return image
    notes.append("rotated")
    return image.transpose(turn)


def _to_eight_bits(image: Image.Image, notes: list[str]) -> Image.Image:
    """Any mode -> L or RGB. Plain convert() turns 16-bit images white, floats black, and shows what alpha hides."""
    if image.mode.startswith("I"):
        return _scaled(np.asarray(image), 65535, "16 bit", notes)
    if image.mode == "F":
        return _scaled(np.asarray(image), 1, "float", notes)
    if image.has_transparency_data:
        layered = image.convert("RGBA")
        if layered.getchannel("A").getextrema() != (255, 255):
            notes.append("alpha")
            layered = Image.alpha_composite(Image.new("RGBA", layered.size, "white"), layered)
        return layered.convert("RGB")
    if image.mode in ("1", "L"):
        return image.convert("L")
    if image.mode == "CMYK":
        notes.append("cmyk")
    return image.convert("RGB")


def _scaled(values: NDArray[np.generic], top: int, note: str, notes: list[str]) -> Image.Image:
    wide = values.astype(np.float64)
    # written so that NaN fails it too
    if not (wide.min() >= 0 and wide.max() <= top):
        raise UnreadableImage(f"{note} image with values from {wide.min():g} to {wide.max():g}; 0 to {top} is needed")
    notes.append(note)
    return Image.fromarray(np.rint(wide * (255 / top)).astype(np.uint8))
