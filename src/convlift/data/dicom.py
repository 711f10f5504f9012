"""DICOM images, as the standard shows them: rescaled, windowed, and MONOCHROME1 turned over."""

import io
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from convlift.audit.traits import Traits
from convlift.console.extras import is_installed
from convlift.data.depth import Deep
from convlift.data.formats import DICOM
from convlift.data.readers.source import printable
from convlift.errors import UnreadableImage

_DEFLATED = b"1.2.840.10008.1.2.1.99"  # which pydicom unpacks without a limit
_PLUGINS = "pip install pylibjpeg pylibjpeg-libjpeg pylibjpeg-openjpeg"


class _Shown(NamedTuple):
    """pixels: uint8 (H, W) or (H, W, 3), ready to be shown, or, where `is_deep`, numbers (H, W) of which the
    file does not say how they are shown, or shall not."""

    pixels: NDArray[Any]
    is_deep: bool


def is_deep_dicom(content: bytes, *, is_stretched: bool = False) -> bool:
    """Whether a file has more than 8 bits a value and no window; False where its header cannot be read.

    is_stretched: whether the user chose a scale, which its window gives way to.
    """
    try:
        return _is_deep(_read(content), is_stretched)
    except UnreadableImage:
        return False


def open_dicom(
    content: bytes, most_pixels: int, *, is_stretched: bool = False
) -> tuple[Image.Image, list[str], Deep | None, Traits]:
    """The one image in a DICOM file, as `decode` goes on with it: image, notes, values where they are deep, traits.

    Values are rescaled by slope and intercept (PS3.3 C.11.1) and windowed by the first window (C.11.2.1.2, all three
    functions); MONOCHROME1 is inverted, and a palette applied. Where the user chose a scale (is_stretched) grey values
    of more than 8 bits are rescaled and inverted alone, and may lie below 0. Raises UnreadableImage with the reason: no
    pydicom, no image or several, values below 0 without a window, more than `most_pixels`, a compression that is not
    installed.
    """
    pixels, is_deep = _shown(content, most_pixels, is_stretched)
    traits = Traits(DICOM, "RGB" if pixels.ndim == 3 else "L", pixels.shape[1], pixels.shape[0], None)
    if is_deep:
        return Image.new("L", (1, 1)), [], pixels, traits
    return Image.fromarray(pixels), [], None, traits


def _shown(content: bytes, most_pixels: int, is_stretched: bool) -> _Shown:
    dataset = _read(content)
    _check(dataset, most_pixels)
    colours = str(dataset.get("PhotometricInterpretation", "")).upper()
    stored = _stored(dataset)
    if not colours.startswith("MONOCHROME"):
        return _Shown(_colour(dataset, stored, colours), is_deep=False)
    if stored.ndim != 2:
        raise UnreadableImage(f"DICOM of shape {stored.shape}, one grey image is read")
    values = _rescaled(dataset, stored)
    if is_stretched and _is_deep(dataset, is_stretched):
        return _numbers(_turned(values, _ends(dataset), colours))
    if (window := _window(dataset)) is not None:
        shown = np.rint(255 * _windowed(values, *window, str(dataset.get("VOILUTFunction", "LINEAR")).upper()))
        return _Shown(_turned(shown, 255, colours).astype(np.uint8), is_deep=False)
    if (low := float(values.min())) < 0:
        raise UnreadableImage(
            f"DICOM with values from {low:g} and without a window; set WindowCenter and WindowWidth, or train with a "
            "--value-range"
        )
    if not _is_deep(dataset, is_stretched):
        most = 2 ** int(_number(dataset, "BitsStored", 8)) - 1  # 1 of masks
        return _Shown(_turned(np.minimum(stored, most) * (255 / most), 255, colours).astype(np.uint8), is_deep=False)
    top = (2 ** int(dataset.BitsStored) - 1) * _number(dataset, "RescaleSlope", 1.0)
    return _numbers(_turned(values, max(top, float(values.max())), colours))


def _ends(dataset: Any) -> float:
    """The sum of the least and the largest value that the bits hold, rescaled: a value that is taken from it is turned
    over and stays between them, so that two values which the user gave mean the same of all files."""
    bits = 2 ** int(dataset.BitsStored)
    stored = -1 if _number(dataset, "PixelRepresentation", 0) == 1 else bits - 1  # with a sign: -bits/2 and bits/2 - 1
    return stored * _number(dataset, "RescaleSlope", 1.0) + 2 * _number(dataset, "RescaleIntercept", 0.0)


def _numbers(values: NDArray[Any]) -> _Shown:
    """Values that are to be scaled by the data set."""
    is_whole = bool((values == np.rint(values)).all())
    whole = np.int64 if values.min() < 0 else np.uint32
    return _Shown(values.astype(whole if is_whole else np.float64), is_deep=True)


def _read(content: bytes) -> Any:
    if not is_installed("pydicom"):
        raise UnreadableImage("DICOM, which pydicom reads and is not installed (pip install 'convlift[dicom]')")
    if _DEFLATED in content:
        raise UnreadableImage("DICOM that is deflated as a whole; save it without")
    import pydicom
    from pydicom import config

    config.settings.reading_validation_mode = config.IGNORE  # odd metadata is none of our business
    try:
        return pydicom.dcmread(io.BytesIO(content), force=False)
    except Exception as error:  # on broken files pydicom raises nearly anything
        raise UnreadableImage(f"broken DICOM: {_reason(error)}") from error


def _check(dataset: Any, most_pixels: int) -> None:
    if "PixelData" not in dataset:
        raise UnreadableImage("DICOM without an image")
    if (frames := _number(dataset, "NumberOfFrames", 1)) > 1:
        raise UnreadableImage(f"DICOM of {frames:g} frames; save the one that is meant as a file of its own")
    rows, columns = (int(_number(dataset, name, 0)) for name in ("Rows", "Columns"))
    if rows * columns > most_pixels:
        raise UnreadableImage(f"{columns} x {rows}: over {most_pixels / 1e6:g} million pixels, the most read")
    if (samples := _number(dataset, "SamplesPerPixel", 1)) not in (1, 3):
        raise UnreadableImage(f"DICOM of {samples:g} values a pixel; 1 and 3 are read")
    if rows * columns == 0:
        raise UnreadableImage("DICOM whose image has no size")


def _stored(dataset: Any) -> NDArray[Any]:
    """The values as they lie in the file; colours as RGB."""
    try:
        pixels: NDArray[Any] = dataset.pixel_array
        return pixels
    except Exception as error:
        syntax: Any = getattr(getattr(dataset, "file_meta", None), "TransferSyntaxUID", None)
        is_missing = isinstance(error, NotImplementedError | RuntimeError | ImportError)
        if is_missing and getattr(syntax, "is_compressed", False):
            raise UnreadableImage(f"DICOM compressed as {syntax.name}, not read here ({_PLUGINS})") from error
        raise UnreadableImage(f"broken DICOM: {_reason(error)}") from error


def _colour(dataset: Any, stored: NDArray[Any], colours: str) -> NDArray[np.uint8]:
    """pydicom has made RGB of other colours already, but for palettes."""
    from pydicom.pixels.processing import apply_color_lut

    if colours == "PALETTE COLOR":
        try:
            stored = apply_color_lut(stored, dataset)
        except Exception as error:
            raise UnreadableImage(f"broken DICOM: {_reason(error)}") from error
        stored = (stored // 257).astype(np.uint8) if stored.dtype == np.uint16 else stored
    if stored.ndim != 3 or stored.shape[2] != 3 or stored.dtype != np.uint8:
        what = f"colours {colours or 'unknown'}, type {stored.dtype} and shape {stored.shape}"
        raise UnreadableImage(f"DICOM of {what}; 8 bits a colour are read")
    return stored


def _rescaled(dataset: Any, stored: NDArray[Any]) -> NDArray[Any]:
    from pydicom.pixels.processing import apply_modality_lut

    try:
        values: NDArray[Any] = apply_modality_lut(stored, dataset)
    except Exception as error:
        raise UnreadableImage(f"broken DICOM: {_reason(error)}") from error
    if not np.isfinite(values).all():
        raise UnreadableImage("DICOM whose rescaled values are not finite")
    return values


def _window(dataset: Any) -> tuple[float, float] | None:
    centre, width = _number(dataset, "WindowCenter", np.nan), _number(dataset, "WindowWidth", np.nan)
    return (centre, width) if np.isfinite(centre) and np.isfinite(width) and width > 0 else None


def _windowed(values: NDArray[Any], centre: float, width: float, function: str) -> NDArray[np.float64]:
    """In 0 to 1."""
    if function == "SIGMOID":
        return np.asarray(1 / (1 + np.exp(np.clip(-4 * (values - centre) / width, -700, 700))))
    if function == "LINEAR_EXACT":
        return np.clip((values - centre) / width + 0.5, 0, 1)
    if width <= 1:  # a threshold
        return (values > centre - 0.5).astype(np.float64)
    return np.clip((values - (centre - 0.5)) / (width - 1) + 0.5, 0, 1)


def _turned(values: NDArray[Any], top: float, colours: str) -> NDArray[Any]:
    return top - values if colours == "MONOCHROME1" else values


def _is_deep(dataset: Any, is_stretched: bool) -> bool:
    is_grey = str(dataset.get("PhotometricInterpretation", "")).upper().startswith("MONOCHROME")
    return is_grey and _number(dataset, "BitsStored", 8) > 8 and (is_stretched or _window(dataset) is None)


def _number(dataset: Any, name: str, usual: float) -> float:
    """The first value of an element, or `usual` where there is none that is a number."""
    value = dataset.get(name)
    try:
        return float(value[0] if isinstance(value, Sequence) and not isinstance(value, str) else value)
    except (TypeError, ValueError, IndexError):
        return usual


def _reason(error: Exception) -> str:
    return " ".join(printable(str(error)).split())[:200] or type(error).__name__
