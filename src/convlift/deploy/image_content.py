"""The bytes of an image file, of whatever a caller holds that is no array."""

import os
import re
import stat
from pathlib import Path
from typing import Any

from PIL import Image

from convlift.data.decode import MAX_PIXELS
from convlift.data.encode import encoded
from convlift.data.readers.class_folders import MAX_BYTES
from convlift.data.readers.source import printable

ACCEPTED = "give a path, the bytes of a file, an open file, a Pillow image or an array, or a list of these"
_WEB = re.compile(r"[a-zA-Z][a-zA-Z0-9+.-]+://|data:")


class Fault(Exception):
    """Reason and remedy of an image whose content cannot be had."""


def is_readable(given: object) -> bool:
    return callable(getattr(given, "read", None)) or callable(getattr(given, "read_bytes", None))


def content_of(image: Any) -> bytes:
    """The bytes of an image file. Raises Fault, or UnreadableImage of a broken image of Pillow."""
    if isinstance(image, bytes | bytearray | memoryview):
        return bytes(image)
    if isinstance(image, Image.Image):
        return _encoded(image)
    if isinstance(image, str | os.PathLike):
        return _content_of_file(os.fsdecode(os.fspath(image)))
    if not is_readable(image):
        raise Fault(f"a {type(image).__name__} is no image", ACCEPTED)
    try:
        content = image.read(MAX_BYTES + 1) if hasattr(image, "read") else image.read_bytes()
    except Exception as error:  # whatever the caller's object raises
        raise Fault(printable(str(error)) or type(error).__name__, "open the file again") from error
    if not isinstance(content, bytes):
        raise Fault("it gives text, not bytes", 'open it with mode "rb"')
    if not content:
        raise Fault("nothing is left to read in it", "call its seek(0) first, or repair the file")
    if len(content) > MAX_BYTES:
        raise Fault(f"over {MAX_BYTES // 2**20} MB, the most that is read", "make it smaller")
    return content


def _content_of_file(name: str) -> bytes:
    remedy = "give the path of an image"
    if _WEB.match(name):
        raise Fault("it is a web address, and nothing is downloaded", "save the image and give its path")
    try:
        path = Path(name)
        if name.startswith("~/") and not path.exists():
            path = Path(os.path.expanduser(name))
        status = path.stat()
        if stat.S_ISDIR(status.st_mode):
            raise Fault("Is a directory", "give it alone, not in a list, or the paths of the images in it")
        if not stat.S_ISREG(status.st_mode):  # a pipe or device may never end
            raise Fault("no regular file", remedy)
        if status.st_size > MAX_BYTES:
            raise Fault(f"over {MAX_BYTES // 2**20} MB, the most that is read", "make it smaller")
        return path.read_bytes()
    except (OSError, ValueError) as error:
        raise Fault(getattr(error, "strerror", None) or printable(str(error)), remedy) from error


def _encoded(image: Image.Image) -> bytes:
    """The image as a file without loss, so that it goes the way of all files: turned upright, alpha on white."""
    if image.width * image.height > MAX_PIXELS:
        raise Fault(f"{image.width} x {image.height}: over {MAX_PIXELS // 1_000_000} million pixels", "make it smaller")
    return encoded(image)
