"""An image that a program holds, as a file: so it goes the way of all files."""

import io

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from convlift.data.readers.source import printable
from convlift.errors import UnreadableImage


def encoded(image: Image.Image) -> bytes:
    """The bytes of a PNG or TIFF without loss, with the image's EXIF block. Raises UnreadableImage with the reason."""
    buffer = io.BytesIO()
    try:
        exif = image.getexif()
        if image.mode[0] in "IF" or image.mode == "CMYK":
            image.save(buffer, "TIFF", exif=exif)
        else:
            kept = image if image.mode in ("1", "L", "LA", "P", "RGB", "RGBA") else image.convert("RGB")
            kept.save(buffer, "PNG", exif=exif, compress_level=0)
    except Exception as error:  # of a lazily opened file that is broken Pillow raises nearly anything
        raise UnreadableImage(f"broken image: {printable(str(error)) or type(error).__name__}") from error
    return buffer.getvalue()


def shown_of(image_HWC: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """What a picture shows of pixels (H, W, C), as they are: grey or colour; of bands the first three as red, green and
    blue, and of two the first as grey. (H, W, 1 or 3)."""
    channels = image_HWC.shape[2]
    return np.ascontiguousarray(image_HWC[:, :, : 3 if channels >= 3 else 1])


def pillow_of(image_HWC: NDArray[np.uint8]) -> Image.Image:
    """Pixels (H, W, C) as Pillow shows them, see `shown_of`."""
    shown = shown_of(image_HWC)
    return Image.fromarray(shown.squeeze(-1) if shown.shape[2] == 1 else shown)


def png_of(image_HWC: NDArray[np.uint8]) -> bytes:
    """The bytes of a PNG file of such pixels, to be looked at."""
    content = io.BytesIO()
    pillow_of(image_HWC).save(content, "PNG")
    return content.getvalue()
