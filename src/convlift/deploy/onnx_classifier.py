"""A model as its exported file predicts: with onnxruntime, and without torch.

The graph of the file resizes by itself, to one level of 255 as convlift does. So that the answers are convlift's own,
images are made square here as they always are (`data/square.py`), in a form that the graph's resizing leaves as it is.
"""

import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple, cast

import numpy as np
from numpy.typing import NDArray

from convlift.console.extras import REMEDY, is_installed
from convlift.console.resources import usable_cpus
from convlift.data.square import CROP
from convlift.deploy.classifier import BATCH, Classifier
from convlift.deploy.images import Pixels
from convlift.deploy.model_folder import ONNX, ModelConfig, model_digest, parse_config, read_model_folder
from convlift.errors import ConvliftError
from convlift.recipe.data import Resize
from convlift.recipe.recipe import Recipe, recipe_of

if TYPE_CHECKING:
    from onnxruntime import InferenceSession
    from torch import nn

    from convlift.model.spatial_layer import Place

IMAGES, PROBABILITIES = "images", "probabilities"  # what the graph is given, and what it gives
DISTANCES = "distances"  # from the images of training, above 1 for those unlike them; not of every file
DIGITS = 5  # that a distance in float32 holds: 1 is the limit that some image of validation has exactly
PREFIX = "convlift."  # of what the file says of itself beside its graph
MODEL = "model"  # in there: the digest of the model that the file was made of
DEVICES = ("auto", "cpu")


class _File(NamedTuple):
    session: "InferenceSession"
    told: dict[str, str]  # what the file says of itself


class OnnxClassifier(Classifier):
    """An exported file with the preprocessing that belongs before it; made by `load_onnx`."""

    def __init__(self, session: "InferenceSession", recipe: Recipe, config: ModelConfig) -> None:
        super().__init__(recipe, config)
        self._session = session
        self._tells_distances = DISTANCES in {each.name for each in session.get_outputs()}

    @property
    def network(self) -> "nn.Module":
        """Raises ConvliftError: the file holds a graph of ONNX."""
        raise ConvliftError(f"an exported file holds no PyTorch network; load the run folder with torch: {REMEDY}.")

    @property
    def places(self) -> "tuple[Place, ...]":
        """Raises ConvliftError: there is no network to look into."""
        raise ConvliftError(f"an exported file keeps no maps to explain by; name the run folder, with torch: {REMEDY}.")

    def prepared(self, pixels: Pixels) -> Pixels:
        """As every model's, where the graph then leaves it as it is; else the pixels, which the graph resizes."""
        return super().prepared(pixels) if self._around() is not None else pixels

    def probabilities(self, squares: Sequence[Pixels]) -> NDArray[np.float32]:
        """Class probabilities (N, K) of images that `prepared` gave."""
        return np.concatenate(
            [np.zeros((0, len(self.classes)), np.float32), *(rows for (rows,) in self._run(squares, [PROBABILITIES]))]
        )

    def seen(self, squares: Sequence[Pixels]) -> tuple[NDArray[np.float32], list[float | None]]:
        """The same, and the distance of each from the images of training, where the file has them."""
        if not self._tells_distances or not squares:
            return super().seen(squares)
        rows, distances = zip(*self._run(squares, [PROBABILITIES, DISTANCES]), strict=True)
        return np.concatenate(rows), [round(float(each), DIGITS) for each in np.concatenate(distances)]

    def _run(self, squares: Sequence[Pixels], asked: list[str]) -> Iterator[list[NDArray[np.float32]]]:
        """What the graph gives, batch by batch."""
        around = self._around()
        size = BATCH if around is not None else 1
        for first in range(0, len(squares), size):
            images = np.stack(squares[first : first + size])
            if around:
                images = np.pad(images, ((0, 0), around, around, (0, 0)))
            channels = 3 if images.shape[3] == 1 else images.shape[3]
            yield self._session.run(asked, {IMAGES: np.broadcast_to(images, (*images.shape[:3], channels))})

    @property
    def takes_squares(self) -> bool:
        """Whether the graph leaves a square of the network's size as it is; else it would resize it once more."""
        return self._around() is not None

    def _around(self) -> tuple[int, int] | None:
        """The rows or columns to lay around a square before the graph gets it, which keeps the middle where it crops;
        None where the graph would resize it all the same, since no image is larger than `decode` keeps it."""
        side = self.config.resolution
        whole = round(side / CROP) if cast(Resize, self.config.resize) == "crop" else side
        before = (whole - side) // 2
        return (before, whole - side - before) if whole <= self.config.side else None


def load_onnx(path: Path, device: str = "auto", threads: int | None = None) -> OnnxClassifier:
    """The model of a run folder or model folder by its exported file, or that of an exported file alone.

    threads: that one batch is spread over, by default as many as there are cores.
    Raises ConvliftError where there is none, it is damaged or of another model than lies beside it, onnxruntime is
    missing, or the device is not the CPU.
    """
    if device not in DEVICES:
        raise ConvliftError(
            f"device '{device[:40]}' needs torch, and an exported file predicts on the CPU; leave it out, or {REMEDY}."
        )
    if path.suffix == ".onnx" and not path.is_dir():
        opened = _open(path, threads)
        recipe, config = _read_told(path, opened.told)
        return _fitting(path, opened, recipe, config)
    weights, recipe, config = read_model_folder(path)
    file = weights.parent / ONNX
    if not file.is_file():
        raise ConvliftError(
            f"{weights.parent} holds no {ONNX}, by which a model predicts where torch is not installed; run "
            f"`convlift export` on it where it was trained, or {REMEDY}."
        )
    opened = _open(file, threads)
    if opened.told.get(PREFIX + MODEL) != model_digest(weights.parent):
        raise ConvliftError(
            f"{file} was not made of the model that lies beside it; run `convlift export` on it again where it was "
            f"trained, or {REMEDY}."
        )
    return _fitting(file, opened, recipe, config)


def _open(file: Path, threads: int | None) -> _File:
    if not is_installed("onnxruntime"):
        raise ConvliftError(f"{file} is run by onnxruntime, which is not installed; pip install 'convlift[predict]'.")
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads, options.log_severity_level = threads or usable_cpus(), 3
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")  # between batches images are decoded
    try:
        session = onnxruntime.InferenceSession(file.read_bytes(), options, providers=["CPUExecutionProvider"])
    except OSError as error:
        raise ConvliftError(
            f"{file} cannot be read ({error.strerror}); give a run folder or an exported file."
        ) from error
    except Exception as error:  # onnxruntime's own errors have no root but this
        reason = " ".join(str(error).split())[:200]
        raise ConvliftError(f"{file} cannot be run ({reason}); copy it again, or export it anew.") from error
    return _File(session, dict(session.get_modelmeta().custom_metadata_map))


def _fitting(file: Path, opened: _File, recipe: Recipe, config: ModelConfig) -> OnnxClassifier:
    """Raises ConvliftError where the graph is not one of as many classes."""
    given = {each.name: each.shape for each in opened.session.get_inputs()}
    made = {each.name: each.shape for each in opened.session.get_outputs()}
    told = list(made) in ([PROBABILITIES], [PROBABILITIES, DISTANCES])
    if list(given) != [IMAGES] or not told or made[PROBABILITIES][-1:] != [len(config.classes)]:
        raise ConvliftError(f"{file} holds no graph that `convlift export` wrote; export it anew.")
    return OnnxClassifier(opened.session, recipe, config)


def _read_told(file: Path, told: dict[str, str]) -> tuple[Recipe, ModelConfig]:
    """What the file says of itself. Raises ConvliftError where it is no file of convlift's."""
    try:
        entries = {
            name: json.loads(told[PREFIX + name]) for name in ("classes", "preprocessing", "confidence", "scores")
        }
        recipe = recipe_of(told[PREFIX + "recipe"], str(file))
    except (KeyError, ValueError) as error:
        raise ConvliftError(f"{file} is no file that `convlift export` wrote; give one, or a run folder.") from error
    return recipe, parse_config(json.dumps({"schema_version": 1, **entries}), file)
