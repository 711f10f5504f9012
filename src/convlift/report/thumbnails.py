"""Pictures small enough to be carried inside the page."""

import io

_SIDE = 160  # pixels: sharp at the 120 CSS pixels that the page gives a picture
_LARGEST_BYTES = 96 * 1024


def thumbnail(png: bytes) -> bytes:
    """The picture as a PNG of at most 160 pixels a side; empty where the bytes are no picture, which the page skips."""
    from PIL import Image

    try:
        with Image.open(io.BytesIO(png)) as picture:
            if picture.format == "PNG" and max(picture.size) <= _SIDE and len(png) <= _LARGEST_BYTES:
                picture.load()
                return png
            small = picture.convert("RGB")
    except (OSError, SyntaxError, ValueError, Image.DecompressionBombError):
        return b""
    small.thumbnail((_SIDE, _SIDE))
    content = io.BytesIO()
    small.save(content, "PNG", optimize=True)
    return content.getvalue()
