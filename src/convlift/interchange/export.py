"""A run's model as a file for other programs: made, checked, written whole."""

import importlib.util
import os
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from PIL import Image, ImageOps

from convlift.console.atomic import flush, temporary_beside
from convlift.console.disk import writing_into
from convlift.deploy.image_paths import list_images
from convlift.deploy.model_folder import CARD, ONNX
from convlift.deploy.predict import load
from convlift.errors import ConvliftError, UnreadableImage
from convlift.records.exported import Exported, Parity

if TYPE_CHECKING:
    from onnx import ModelProto

    from convlift.deploy.predict import Model
    from convlift.interchange.parity import Pixels

NEEDED = ("onnx", "onnxscript", "onnxruntime")
MOST_IMAGES = 64  # that are compared, spread evenly over those that were given
PLAIN = ("1", "L", "P", "RGB", "CMYK", "YCbCr")  # Pillow's modes of 8 bits and no transparent band


def missing_packages() -> tuple[str, ...]:
    """Those of the packages that an export needs that are not installed."""
    return tuple(name for name in NEEDED if importlib.util.find_spec(name) is None)


def export_onnx(path: str | Path, out: str | Path | None = None, images: Sequence[str] = ()) -> Exported:
    """Write the model of a run folder or model folder as one ONNX file, by default model.onnx beside its weights.

    images: files or folders of images to compare convlift and the file on; made-up ones where none are named.
    Raises ConvliftError where a package is missing, or file and convlift do not agree, and UnreadableImage of the first
    image that cannot be read; then no file is left.
    """
    if missing := missing_packages():
        raise ConvliftError(
            f"an ONNX file needs {' and '.join(missing)}, not installed; pip install 'convlift[export]'."
        )
    from convlift.interchange.onnx_file import onnx_model

    model, folder = load(path), _model_folder(Path(path))
    target, named = Path(out) if out is not None else folder / ONNX, _named(images)
    if target.is_dir():
        raise ConvliftError(f"{target} is a folder; name a file in it, such as {target / ONNX}.")
    beside = temporary_beside(target)
    with writing_into(target.parent):
        target.parent.mkdir(parents=True, exist_ok=True)
        try:
            beside.touch()  # a folder that cannot be written is found before the work, not after it
            made = onnx_model(model)
            parity = _checked(model, made, _spread(named))
            content = made.SerializeToString()
            beside.write_bytes(content)
            flush(beside)
            os.replace(beside, target)
        finally:
            beside.unlink(missing_ok=True)
    opset = next(each.version for each in made.opset_import if each.domain == "")
    card = folder / CARD
    has_card = target.parent == folder and card.is_file()
    return Exported(target, card if has_card else None, len(content) / 1e6, model.classes, opset, parity)


def _checked(model: "Model", made: "ModelProto", images: "Iterator[Pixels]") -> Parity:
    """Raises ConvliftError where the file cannot be run, or does not agree."""
    from convlift.interchange.parity import check_parity

    try:
        return check_parity(model, made, images)
    except ConvliftError:
        raise
    except Exception as error:  # onnxruntime's own errors have no root but this
        reason = " ".join(f"{type(error).__name__}: {error}".split())[:300]
        raise ConvliftError(
            f"the ONNX file cannot be run ({reason}); no file was written. Please report it with the recipe."
        ) from error


def _model_folder(path: Path) -> Path:
    return path / "model" if (path / "model").is_dir() else path


def _named(images: Sequence[str]) -> list[Path]:
    """The images that the user named. Raises UnreadableImage where one is not there, ConvliftError where none is."""
    found = []
    for each in list_images(images, sys.stdin.buffer if "-" in images else None):
        if each.fault:
            raise UnreadableImage(f"{each.path} {each.fault}.")
        if not each.passed_over:
            found.append(Path(each.path))
    if images and not found:
        raise ConvliftError(
            f"there is no image at {images[0]}; name images or a folder of them, or leave --images out."
        )
    return found


def _spread(paths: Sequence[Path]) -> "Iterator[Pixels]":
    """MOST_IMAGES of the images at most, as any program would read them: upright, in three channels. What has a
    transparent band or more than 8 bits is passed over: that is settled before an image reaches the file."""
    for path in paths[:: max(1, -(-len(paths) // MOST_IMAGES))]:
        try:
            with Image.open(path) as image:
                if image.mode in PLAIN and not image.has_transparency_data:
                    yield np.asarray(ImageOps.exif_transpose(image).convert("RGB"))
        except Exception as error:  # on broken files Pillow raises nearly anything
            reason = getattr(error, "strerror", None) or type(error).__name__
            raise UnreadableImage(f"{path} cannot be read ({reason}); repair it or leave it out.") from error
