"""A run's model as a file for other programs: made, checked, written whole."""

import importlib.util
import os
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from PIL import Image, ImageOps

from convlift.console.atomic import flush, temporary_beside
from convlift.console.disk import writing_into
from convlift.deploy.classifier import Unreadable
from convlift.deploy.image_paths import list_images
from convlift.deploy.model_folder import CARD, EXPORTED, model_digest
from convlift.deploy.onnx_classifier import MODEL, PREFIX, load_onnx
from convlift.deploy.predict import load
from convlift.errors import ConvliftError, UnreadableImage
from convlift.recipe.data import is_bands
from convlift.records.exported import Agreement, Exported, Parity, Precision

if TYPE_CHECKING:
    from onnx import ModelProto

    from convlift.deploy.predict import Model
    from convlift.interchange.parity import Pixels

NEEDED = ("onnx", "onnxscript", "onnxruntime")
MOST_IMAGES = 64  # that are compared, spread evenly over those that were given
PRECISIONS: tuple[Precision, ...] = ("float32", "float16", "int8")
PROGRAM = EXPORTED[-1]
PLAIN = ("1", "L", "P", "RGB", "CMYK", "YCbCr")  # Pillow's modes of 8 bits and no transparent band


def missing_packages() -> tuple[str, ...]:
    """Those of the packages that an export needs that are not installed."""
    return tuple(name for name in NEEDED if importlib.util.find_spec(name) is None)


def export_onnx(
    path: str | Path,
    out: str | Path | None = None,
    images: Sequence[str] = (),
    precision: Precision = "float32",
) -> Exported:
    """Write the model of a run folder or model folder as one ONNX file, by default beside its weights.

    images: files or folders of images to compare convlift and the file on; made-up ones where none are named. int8
    needs images, to calibrate on some and to compare on the others.
    Raises ConvliftError where a package is missing, or file and convlift do not agree, and UnreadableImage of the first
    image that cannot be read; then no file is left.
    """
    if missing := missing_packages():
        raise ConvliftError(
            f"an ONNX file needs {' and '.join(missing)}, not installed; pip install 'convlift[export]'."
        )
    model, folder, named = load(path), _model_folder(Path(path)), _named(images)
    if (contrast := model.config.contrast) != "none":
        raise ConvliftError(
            f"data.contrast is '{contrast}' in this model's recipe, which an ONNX file cannot hold; predict and serve "
            "it with the run folder, export it with --format torch-export, or train with contrast: none."
        )
    with _written(folder, out, EXPORTED[PRECISIONS.index(precision)]) as (target, beside):
        done = _smallest(model, named, beside) if precision == "int8" else _made(model, named, beside, precision)
        done.made.metadata_props.add(key=PREFIX + MODEL, value=model_digest(folder))
        parity = _checked(model, done.made, _spread(model, named), precision)
        beside.write_bytes(done.made.SerializeToString())
    opset = next(each.version for each in done.made.opset_import if each.domain == "")
    more = {"precision": precision, "agreement": done.agreement, "weights_only": done.weights_only}
    return _exported(target, folder, model, opset, parity, **more)


def export_program(path: str | Path, out: str | Path | None = None) -> Exported:
    """Write the model as a program of torch.export, by default model.pt2 beside its weights; see `torch_program`.

    Raises ConvliftError where torch cannot follow the network, or program and convlift do not agree.
    """
    from convlift.interchange.torch_program import check_program, write_program

    model, folder = load(path), _model_folder(Path(path))
    with _written(folder, out, PROGRAM) as (target, beside):
        write_program(model, beside)
        parity = check_program(model, beside)
    return _exported(target, folder, model, 0, parity, format="torch-export")


@contextmanager
def _written(folder: Path, out: str | Path | None, usual: str) -> Iterator[tuple[Path, Path]]:
    """Where the file goes, and where it is written before it is whole. Raises ConvliftError, DiskError."""
    target = Path(out) if out is not None else folder / usual
    if target.is_dir():
        raise ConvliftError(f"{target} is a folder; name a file in it, such as {target / usual}.")
    beside = temporary_beside(target)
    beside = beside.with_name(beside.name + target.suffix)
    with writing_into(target.parent):
        target.parent.mkdir(parents=True, exist_ok=True)
        try:
            beside.touch()  # a folder that cannot be written is found before the work, not after it
            yield target, beside
            flush(beside)
            os.replace(beside, target)
        finally:
            beside.unlink(missing_ok=True)


def _exported(target: Path, folder: Path, model: "Model", opset: int, parity: Parity, **more: Any) -> Exported:
    card = folder / CARD
    has_card = target.parent == folder and card.is_file()
    size, side = target.stat().st_size / 1e6, model.config.resolution
    return Exported(target, card if has_card else None, size, model.classes, opset, parity, side, **more)


class _Made(NamedTuple):
    made: "ModelProto"
    agreement: Agreement | None = None
    weights_only: bool = False


def _made(model: "Model", images: Sequence[Path], file: Path, precision: Precision) -> _Made:
    """The file's content, in float32 or float16. file: where it is written to be run."""
    from convlift.interchange.onnx_file import network_graph, onnx_model, whole_graph

    if precision == "float32":
        return _Made(_with_distances(model) or onnx_model(model))
    from convlift.interchange.agreement import compare_answers
    from convlift.interchange.smaller import in_float16

    made = whole_graph(in_float16(network_graph(model)), model.config, model.recipe)
    if not images:
        return _Made(made)
    file.write_bytes(made.SerializeToString())
    return _Made(made, compare_answers(model, load_onnx(file), images))


def _with_distances(model: "Model") -> "ModelProto | None":
    """The content of a file that also tells images unlike those of training; None of a model that does not, or where
    torch or onnxruntime make something else of it, which costs nobody the file."""
    from convlift.interchange.onnx_file import onnx_model
    from convlift.interchange.parity import distances_agree

    if model.likeness is None:
        return None
    try:
        made = onnx_model(model, distances=True)
        return made if distances_agree(model, made) else None
    except Exception:  # the plain graph is made anew, and says what is wrong with it
        return None


def _smallest(model: "Model", images: Sequence[Path], file: Path) -> _Made:
    """The file's content in eight bits: arithmetic too where the images bound its loss, else the weights alone. Raises
    ConvliftError where they bound neither's."""
    from convlift.interchange.agreement import compare_answers, is_kept, parted, refusal, squares_of
    from convlift.interchange.onnx_file import network_graph, whole_graph
    from convlift.interchange.parity import inputs_of
    from convlift.interchange.smaller import in_int8, with_int8_weights

    calibration, others = parted(images)
    squares, network = squares_of(model, calibration), network_graph(model)
    for weights_only in (False, True):
        inputs = (inputs_of(model, each) for each in squares)
        eight = with_int8_weights(network) if weights_only else in_int8(network, inputs)
        made = whole_graph(eight, model.config, model.recipe)
        file.write_bytes(made.SerializeToString())
        found = compare_answers(model, load_onnx(file), others)
        if is_kept(found):
            return _Made(made, found, weights_only)
    raise refusal(found)


def _checked(model: "Model", made: "ModelProto", images: "Iterator[Pixels]", precision: Precision) -> Parity:
    """Raises ConvliftError where the file cannot be run, or does not agree."""
    from convlift.interchange.parity import check_parity

    try:
        return check_parity(model, made, images, precision)
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


def _spread(model: "Model", paths: Sequence[Path]) -> "Iterator[Pixels]":
    """MOST_IMAGES of the images at most, as any program would read them: upright, in three channels. What has a
    transparent band or more than 8 bits is passed over: that is settled before an image reaches the file. Images of
    bands, which programs read in many ways, as the model reads them."""
    some = paths[:: max(1, -(-len(paths) // MOST_IMAGES))]
    if is_bands(model.config.channels):
        for entry in model.squares(map(str, some)):
            if isinstance(entry, Unreadable):
                raise entry.reason
            yield entry.image
        return
    for path in some:
        try:
            with Image.open(path) as image:
                if image.mode in PLAIN and not image.has_transparency_data:
                    yield np.asarray(ImageOps.exif_transpose(image).convert("RGB"))
        except Exception as error:  # on broken files Pillow raises nearly anything
            reason = getattr(error, "strerror", None) or type(error).__name__
            raise UnreadableImage(f"{path} cannot be read ({reason}); repair it or leave it out.") from error
