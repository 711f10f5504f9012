"""What is asked of files of more than 8 bits before they are decoded: which they are, and their values."""

from convlift.data.bands import Highs, highs_of, open_bands
from convlift.data.decode import MAX_PIXELS, Decoded, opened
from convlift.data.depth import Deep, check_finite, highest, is_unit
from convlift.data.dicom import is_deep_dicom
from convlift.data.formats import DICOM, NPY, read_header, sniff
from convlift.data.npy import has_deep_values
from convlift.errors import UnreadableImage
from convlift.recipe.data import is_bands


def is_deep(content: bytes | Deep, *, is_stretched: bool = False) -> bool:
    """Whether a file has more than 8 bits a value by its header, or an array has; False for what is no image, and of a
    DICOM that has a window, unless the user chose a scale (is_stretched)."""
    if not isinstance(content, bytes):
        return content.dtype.itemsize > 1
    if content[:2] == b"\xff\xd8":
        return False
    kind = sniff(content)
    if kind == NPY:
        return has_deep_values(content)
    if kind == DICOM:
        return is_deep_dicom(content, is_stretched=is_stretched)
    return read_header(content, kind).bits > 8


def deep_maximum(content: bytes) -> float | Highs | None:
    """The largest value in a file for which `is_deep`, and of each band where it has such; None where it has no more
    than 8 bits after all, cannot be read, or holds floats in 0 to 1."""
    try:
        if (found := open_bands(content, MAX_PIXELS)) is not None:
            if is_bands(found.values.shape[2]):
                return highs_of(found.values)
            return None if is_unit(found.values) else highest(found.values)
        deep = opened(content)[2]
        return None if deep is None or is_unit(deep) else highest(deep)
    except UnreadableImage:
        return None


def values_to_stretch(content: bytes | Deep) -> Deep | None:
    """The values (H, W, C) in a file or array of more than 8 bits, without transparency; None where it has no more, or
    cannot be read."""
    try:
        if not isinstance(content, bytes):
            found: Deep | None = content
        elif (bands := open_bands(content, MAX_PIXELS)) is not None:
            found = bands.values
        else:
            found = _without_alpha(opened(content, is_stretched=True)[2])
        if found is None or found.dtype.itemsize == 1:
            return None
        check_finite(found)
        return found[:, :, None] if found.ndim == 2 else found
    except UnreadableImage:
        return None


def stretched_values(decoded: Decoded) -> Deep | None:
    """The same of an image that was decoded."""
    deep = decoded.deep if is_bands(decoded.pixels.shape[2]) else _without_alpha(decoded.deep)
    if deep is None or deep.dtype.itemsize == 1:  # truth values are black and white
        return None
    return deep[:, :, None] if deep.ndim == 2 else deep


def _without_alpha(values: Deep | None) -> Deep | None:
    return values[:, :, :-1] if values is not None and values.ndim == 3 and values.shape[2] in (2, 4) else values
