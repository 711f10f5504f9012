"""Whatever a caller holds of an image, and the pixels in it: one path for files, bytes, images and arrays."""

import os
import re
import stat
import sys
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple, cast

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from convlift.data.decode import FULL_RANGE, MAX_PIXELS, SHORTER_SIDE, Alpha, Decoded, decode, from_array
from convlift.data.depth import is_unit, to_bytes
from convlift.data.encode import encoded
from convlift.data.readers.class_folders import MAX_BYTES
from convlift.data.readers.source import printable
from convlift.deploy.image_paths import is_many, list_images
from convlift.errors import UnreadableImage

Pixels = NDArray[np.uint8]
OneImage = str | os.PathLike[str] | bytes | bytearray | memoryview | BinaryIO | Image.Image
ACCEPTED = "give a path, the bytes of a file, an open file, a Pillow image or an array, or a list of these"
_TOO_MANY = f"over {MAX_PIXELS // 1_000_000} million pixels"
_SHOWN = 200  # characters of a name in a sentence: a caller may hand over a whole file as text
_ADDRESS = re.compile(r"<[^<>]* object at 0x[0-9a-fA-F]+>")
_WEB = re.compile(r"[a-zA-Z][a-zA-Z0-9+.-]+://|data:")


class Origin(NamedTuple):
    """What training made of its own images: see the fields of `ImageStore`."""

    value_range: float | None = None
    alpha: Alpha = "white"
    side: int = SHORTER_SIDE


class Seen(NamedTuple):
    """An image as the network gets it.

    pixels: uint8 (H, W, 1 or 3), upright.
    notes: what a user should know of how the values were read.
    """

    pixels: Pixels
    notes: tuple[str, ...] = ()


def several(given: object) -> Iterator[object] | None:
    """The images one after another, also those of a folder or a pattern; None where `given` is one image itself.

    Raises UnreadableImage where it is neither.
    """
    if isinstance(given, str | os.PathLike) and is_many(name := os.fsdecode(os.fspath(given))):
        return _listed(name)
    if isinstance(given, str | bytes | bytearray | memoryview | os.PathLike | Image.Image) or _is_readable(given):
        return None
    if isinstance(given, Mapping):
        raise UnreadableImage(f"a {type(given).__name__} is neither an image nor a list of images; give its values.")
    if _is_array(given):
        array = _as_array(given)
        if array.dtype.kind in "OU" and array.ndim == 1:
            return iter(list(array))
        if array.ndim != 4:
            return None
        given = list(array)
    try:
        found = iter(cast(Iterable[object], given))
    except TypeError:
        raise UnreadableImage(f"a {type(given).__name__} is no image; {ACCEPTED}.") from None
    return found


def _listed(name: str) -> Iterator[str]:
    """Raises UnreadableImage where there is none, or a folder cannot be listed."""
    for found in list_images([name], None):
        if found.fault:
            raise UnreadableImage(f"{printable(found.path)}: {found.fault}.")
        if not found.passed_over:
            yield found.path


def name_of(image: object, index: int) -> str:
    """What a prediction calls an image: its path where there is one, else its place among the images."""
    if isinstance(image, str | os.PathLike):
        return os.fsdecode(os.fspath(image))
    for known in ("filename", "name"):  # of Pillow images that were opened from a file, and of open files
        if isinstance(found := getattr(image, known, None), str) and found:
            return found
    return f"array {index}" if _is_array(image) else f"image {index}"


def read_image(image: object, name: str, origin: Origin, most_pixels: int = MAX_PIXELS) -> Seen:
    """Decode one image as training decoded its own. most_pixels: files of more are not decoded, at most MAX_PIXELS.

    Raises UnreadableImage naming the image, the fault and what to do; nothing is replaced.
    """
    shown = printable(name if len(name) <= _SHOWN else f"{name[:_SHOWN]}...")
    if _is_array(image):
        return _from_array(_as_array(image), shown, origin)
    try:
        return _seen(decode(_content(image), origin.value_range, origin.alpha, most_pixels, origin.side), origin)
    except _Fault as fault:
        reason, remedy = fault.args
    except UnreadableImage as error:
        reason, remedy = str(error), "repair it or leave it out"
    raise UnreadableImage(f"{shown} cannot be read ({without_addresses(reason)}); {remedy}.")


def without_addresses(text: str) -> str:
    """The text without "<... object at 0x...>", which tells a reader nothing."""
    return _ADDRESS.sub("the image", text)


class _Fault(Exception):
    """Reason and remedy of an image whose content cannot be had."""


def _is_readable(given: object) -> bool:
    return callable(getattr(given, "read", None)) or callable(getattr(given, "read_bytes", None))


def _is_array(given: object) -> bool:
    return (
        isinstance(given, np.ndarray)
        or _is_tensor(given)
        or (
            callable(getattr(given, "__array__", None))
            and not isinstance(given, str | bytes | Image.Image | np.generic)
        )
    )


def _is_tensor(given: object) -> bool:
    """Whether it is one of PyTorch's; whoever holds one has loaded it."""
    torch = sys.modules.get("torch")
    return torch is not None and isinstance(given, torch.Tensor)


def _as_array(given: Any) -> NDArray[Any]:
    """The array; of a tensor with its channels last, as PyTorch has them first."""
    try:
        if not _is_tensor(given):
            return np.asarray(given)
        plain = given.detach().cpu()
        array: NDArray[Any] = (plain.float() if plain.is_floating_point() else plain).numpy()
        return np.moveaxis(array, -3, -1) if array.ndim in (3, 4) and array.shape[-3] in (1, 3) else array
    except Exception as error:
        raise UnreadableImage(f"a {type(given).__name__} is no array of pixels ({error}); {ACCEPTED}.") from error


def _content(image: Any) -> bytes:
    """The bytes of an image file. Raises _Fault."""
    if isinstance(image, bytes | bytearray | memoryview):
        return bytes(image)
    if isinstance(image, Image.Image):
        return _encoded(image)
    if isinstance(image, str | os.PathLike):
        return _content_of_file(os.fsdecode(os.fspath(image)))
    if not _is_readable(image):
        raise _Fault(f"a {type(image).__name__} is no image", ACCEPTED)
    try:
        content = image.read(MAX_BYTES + 1) if hasattr(image, "read") else image.read_bytes()
    except Exception as error:  # whatever the caller's object raises
        raise _Fault(printable(str(error)) or type(error).__name__, "open the file again") from error
    if not isinstance(content, bytes):
        raise _Fault("it gives text, not bytes", 'open it with mode "rb"')
    if not content:
        raise _Fault("nothing is left to read in it", "call its seek(0) first, or repair the file")
    if len(content) > MAX_BYTES:
        raise _Fault(f"over {MAX_BYTES // 2**20} MB, the most that is read", "make it smaller")
    return content


def _content_of_file(name: str) -> bytes:
    remedy = "give the path of an image"
    if _WEB.match(name):
        raise _Fault("it is a web address, and nothing is downloaded", "save the image and give its path")
    try:
        path = Path(name)
        if name.startswith("~/") and not path.exists():
            path = Path(os.path.expanduser(name))
        status = path.stat()
        if stat.S_ISDIR(status.st_mode):
            raise _Fault("Is a directory", "give it alone, not in a list, or the paths of the images in it")
        if not stat.S_ISREG(status.st_mode):  # a pipe or device may never end
            raise _Fault("no regular file", remedy)
        if status.st_size > MAX_BYTES:
            raise _Fault(f"over {MAX_BYTES // 2**20} MB, the most that is read", "make it smaller")
        return path.read_bytes()
    except (OSError, ValueError) as error:
        raise _Fault(getattr(error, "strerror", None) or printable(str(error)), remedy) from error


def _encoded(image: Image.Image) -> bytes:
    """The image as a file without loss, so that it goes the way of all files: turned upright, alpha on white."""
    if image.width * image.height > MAX_PIXELS:
        raise _Fault(
            f"{image.width} x {image.height}: over {MAX_PIXELS // 1_000_000} million pixels", "make it smaller"
        )
    return encoded(image)


def _from_array(array: NDArray[Any], name: str, origin: Origin) -> Seen:
    shape = array.shape
    if 0 in shape or len(shape) not in (2, 3) or (len(shape) == 3 and shape[2] not in (1, 2, 3, 4)):
        raise UnreadableImage(
            f"{name} has shape {shape} and type {array.dtype}; an image is (H, W), (H, W, 1) or (H, W, 3)"
            f"{_hint(shape)}."
        )
    if shape[0] * shape[1] > MAX_PIXELS:
        raise UnreadableImage(f"{name} has {_TOO_MANY}; make it smaller.")
    values = np.ascontiguousarray(_narrowed(array, name, origin))
    if values.dtype == np.uint8 and len(shape) == 3 and shape[2] in (2, 4):  # transparency is Pillow's business
        return read_image(Image.fromarray(values), name, origin)
    return _seen(from_array(values, origin.value_range, origin.side), origin)


def _hint(shape: tuple[int, ...]) -> str:
    if len(shape) == 3 and shape[0] in (1, 3):
        return "; here the channels come first: give array.transpose(1, 2, 0)"
    if len(shape) == 3 and 0 not in shape:
        return f"; if these are {shape[0]} grey images, give array[..., None]; of {shape[2]} bands choose one or three"
    return ""


def _narrowed(array: NDArray[Any], name: str, origin: Origin) -> NDArray[Any]:
    """As 8 bits where the numbers are plainly so, as the readers of arrays take them; else as they are."""
    if array.dtype == np.uint8:
        return array
    if array.dtype.kind not in "biuf":
        raise UnreadableImage(f"{name} has type {array.dtype}; pixels are whole numbers or floats.")
    low, high, is_float = float(array.min()), float(array.max()), array.dtype.kind == "f"
    most = origin.value_range or (255.0 if is_float else FULL_RANGE)
    if not (low >= 0 and high <= max(most, FULL_RANGE)) or (is_float and high > most):  # NaN fails it too
        raise UnreadableImage(
            f"{name} has values from {low:g} to {high:g}; floats lie in 0 to 1 or 0 to {max(most, 255):g}, whole "
            f"numbers in 0 to 255 or 0 to {FULL_RANGE:g}. Give the pixels before any normalization."
        )
    if is_unit(array):
        return to_bytes(array, 1.0)
    return to_bytes(array, 255.0) if origin.value_range is None and high <= 255 else array


def _seen(decoded: Decoded, origin: Origin) -> Seen:
    """The pixels, with a note where their range is one that training never saw."""
    if decoded.deep is None or is_unit(decoded.deep):
        return Seen(decoded.pixels)
    high = float(decoded.deep.max())
    if origin.value_range is None:
        return Seen(decoded.pixels, (f"16 bit, read as 0 to {FULL_RANGE:g}, but training saw images of 8 bits only",))
    if high > origin.value_range:
        note = f"values up to {high:g}, but training saw none above {origin.value_range:g}; what is above is white"
        return Seen(decoded.pixels, (note,))
    return Seen(decoded.pixels)
