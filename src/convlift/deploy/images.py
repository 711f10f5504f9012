"""Whatever a caller holds of an image, and the pixels in it: one path for files, bytes, images and arrays."""

import os
import re
import sys
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, BinaryIO, NamedTuple, cast

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from convlift.data.bands import SMALL_FLOATS, has_channels_first
from convlift.data.decode import FULL_RANGE, MAX_PIXELS, SHORTER_SIDE, Alpha, Decoded, decode, from_array
from convlift.data.deep_files import stretched_values
from convlift.data.depth import Deep, Range, is_unit, to_bytes
from convlift.data.readers.source import printable
from convlift.data.stretch import MOST, Stretch, cut_by
from convlift.deploy.image_content import ACCEPTED, Fault, content_of, is_readable
from convlift.deploy.image_paths import is_many, list_images
from convlift.errors import UnreadableImage
from convlift.recipe.data import MOST_BANDS, is_bands

Pixels = NDArray[np.uint8]
OneImage = str | os.PathLike[str] | bytes | bytearray | memoryview | BinaryIO | Image.Image
_TOO_MANY = f"over {MAX_PIXELS // 1_000_000} million pixels"
_MUCH_CUT = 0.5  # of an image's values: less is left of it than is lost
_SHOWN = 200  # characters of a name in a sentence: a caller may hand over a whole file as text
_ADDRESS = re.compile(r"<[^<>]* object at 0x[0-9a-fA-F]+>")


class Origin(NamedTuple):
    """What training made of its own images: see the fields of `ImageStore`.

    channels: that its network sees; None where any number will do.
    """

    value_range: Range = None
    alpha: Alpha = "white"
    side: int = SHORTER_SIDE
    channels: int | None = None


class Seen(NamedTuple):
    """An image as the network gets it.

    pixels: uint8 (H, W, C), upright; C is 1 or 3, or the model's number of bands.
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
    if isinstance(given, str | bytes | bytearray | memoryview | os.PathLike | Image.Image) or is_readable(given):
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
        decoded = decode(content_of(image), origin.value_range, origin.alpha, most_pixels, origin.side)
    except Fault as fault:
        reason, remedy = fault.args
    except UnreadableImage as error:
        reason, remedy = str(error), "repair it or leave it out"
    else:
        _check_bands(decoded.pixels.shape[2], shown, origin)
        return _seen(decoded, origin)
    raise UnreadableImage(f"{shown} cannot be read ({without_addresses(reason)}); {remedy}.")


def without_addresses(text: str) -> str:
    """The text without "<... object at 0x...>", which tells a reader nothing."""
    return _ADDRESS.sub("the image", text)


def _check_bands(channels: int, name: str, origin: Origin) -> None:
    """Raise UnreadableImage where an image has bands and the model has none, or the other way round, or other ones."""
    wanted = origin.channels
    if wanted is None or channels == wanted or not (is_bands(channels) or is_bands(wanted)):
        return
    raise UnreadableImage(
        f"{name} is {_kind(channels)}, and the model was trained on images that are {_kind(wanted)}; give images of "
        "the same bands, in the same order."
    )


def _kind(channels: int) -> str:
    return f"of {channels} bands" if is_bands(channels) else {1: "grey", 3: "in colour"}[channels]


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
        return np.moveaxis(array, -3, -1) if array.ndim in (3, 4) and _leads(array.shape[-3:]) else array
    except Exception as error:
        raise UnreadableImage(f"a {type(given).__name__} is no array of pixels ({error}); {ACCEPTED}.") from error


def _leads(shape_CHW: tuple[int, ...]) -> bool:
    """Whether the first of these is the number of channels."""
    channels, *sides = shape_CHW
    return channels in (1, 3) or 1 < channels <= MOST_BANDS < min(sides)


def _from_array(array: NDArray[Any], name: str, origin: Origin) -> Seen:
    shape = array.shape
    channels = shape[2] if len(shape) == 3 else 1
    # two or four channels are bands where the model has as many, else grey or colour with alpha
    has_alpha = channels in (2, 4) and channels != origin.channels
    if 0 in shape or len(shape) not in (2, 3) or channels > MOST_BANDS or has_channels_first(shape):
        wanted = origin.channels or 1
        known = f"(H, W, {wanted})" if is_bands(wanted) else "(H, W), (H, W, 1) or (H, W, 3)"
        raise UnreadableImage(
            f"{name} has shape {shape} and type {array.dtype}; an image is {known}{_hint(shape, wanted)}."
        )
    if shape[0] * shape[1] * max(3, channels) > 3 * MAX_PIXELS:
        raise UnreadableImage(f"{name} has {_TOO_MANY}; make it smaller.")
    if not has_alpha:
        _check_bands(channels, name, origin)
    values = np.ascontiguousarray(_narrowed(array, name, origin))
    if values.dtype == np.uint8 and has_alpha:  # transparency is Pillow's business
        return read_image(Image.fromarray(values), name, origin)
    decoded = from_array(values, origin.value_range, origin.side, has_alpha=has_alpha)
    _check_bands(decoded.pixels.shape[2], name, origin)
    return _seen(decoded, origin)


def _hint(shape: tuple[int, ...], wanted: int) -> str:
    if len(shape) == 3 and shape[0] in (1, 3, wanted):
        return "; here the channels come first: give array.transpose(1, 2, 0)"
    if is_bands(wanted):
        return ""
    if len(shape) == 3 and 0 not in shape:
        return f"; if these are {shape[0]} grey images, give array[..., None]; of {shape[2]} bands choose one or three"
    return ""


def _narrowed(array: NDArray[Any], name: str, origin: Origin) -> NDArray[Any]:
    """As 8 bits where the numbers are plainly so, as the readers of arrays take them; else as they are."""
    if array.dtype == np.uint8:
        return array
    if array.dtype.kind not in "biuf":
        raise UnreadableImage(f"{name} has type {array.dtype}; pixels are whole numbers or floats.")
    own = origin.value_range
    low, high, is_float = float(array.min()), float(array.max()), array.dtype.kind == "f"
    if isinstance(own, Stretch):
        if array.dtype.itemsize > 1:
            if not (low >= -MOST and high <= MOST):
                raise UnreadableImage(f"{name} has values from {low:g} to {high:g}; they must be finite numbers.")
            return array
        own = None
    most = (max(own) if isinstance(own, tuple) else own) or (255.0 if is_float else FULL_RANGE)
    is_over = is_float and high > most and not isinstance(own, tuple)  # bands are cut, each at its own range
    if not (low >= 0 and high <= max(most, FULL_RANGE)) or is_over:  # NaN fails it too
        raise UnreadableImage(
            f"{name} has values from {low:g} to {high:g}; floats lie in 0 to 1 or 0 to {max(most, 255):g}, whole "
            f"numbers in 0 to 255 or 0 to {FULL_RANGE:g}. Give the pixels before any normalization."
        )
    if isinstance(own, tuple):
        return array
    if is_unit(array):
        return to_bytes(array, 1.0)
    is_small = is_float and own is None and high <= SMALL_FLOATS and array.ndim == 3 and is_bands(array.shape[2])
    if is_small and bool((array != np.rint(array)).any()):  # reflectance; on a scale of 255 it would be black
        raise UnreadableImage(
            f"{name} has bands of floats with values up to {high:g}; give them in 0 to 1, or whole ones in 0 to 255."
        )
    return to_bytes(array, 255.0) if own is None and high <= 255 else array


def _seen(decoded: Decoded, origin: Origin) -> Seen:
    """The pixels, with a note where their range is one that training never saw."""
    if isinstance(origin.value_range, Stretch):
        return Seen(decoded.pixels, _told_of_cut(decoded, origin.value_range))
    if decoded.deep is None or is_unit(decoded.deep):
        return Seen(decoded.pixels)
    if isinstance(origin.value_range, tuple):
        return _seen_bands(decoded.pixels, decoded.deep, origin.value_range)
    high = float(decoded.deep.max())
    if origin.value_range is None:
        return Seen(decoded.pixels, (f"16 bit, read as 0 to {FULL_RANGE:g}, but training saw images of 8 bits only",))
    if high > origin.value_range:
        note = f"values up to {high:g}, but training saw none above {origin.value_range:g}; what is above is white"
        return Seen(decoded.pixels, (note,))
    return Seen(decoded.pixels)


def _told_of_cut(decoded: Decoded, stretch: Stretch) -> tuple[str, ...]:
    """A note where little is left of an image by the scale that the user chose for training."""
    values = stretched_values(decoded)
    if values is None:
        return ()
    cut = cut_by(stretch, values)
    below, above = (sum(part) / (len(part) * cut.pixels) for part in (cut.below, cut.above))
    if below + above <= _MUCH_CUT:
        return _told_of_flat(decoded.pixels, values)
    return (f"{below:.0%} of the values lie below the scale of training and {above:.0%} above it; they are cut",)


def _told_of_flat(pixels: Pixels, values: Deep) -> tuple[str, ...]:
    """A note where an image that shows something is one colour by that scale, as reflectance in 0 to 1 is by 0 to
    10,000."""
    low, high = float(values.min()), float(values.max())
    if (pixels != pixels[0, 0]).any() or (values == values[0, 0]).all():
        return ()
    return (f"values from {low:g} to {high:g} are one colour on the scale of training",)


def _seen_bands(pixels: Pixels, deep: Deep, ranges: tuple[float, ...]) -> Seen:
    beyond = [
        f"{high:g} in band {band + 1}, but training saw none above {top:g} there"
        for band, (high, top) in enumerate(zip(deep.max(axis=(0, 1)).tolist(), ranges, strict=True))
        if high > top
    ]
    if not beyond:
        return Seen(pixels)
    others = len(beyond) - 1
    more = f", nor such in {others} other band{'s' if others > 1 else ''}" if others else ""
    return Seen(pixels, (f"values up to {beyond[0]}{more}; what is above is cut",))
