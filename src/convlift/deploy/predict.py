"""A model folder as something that names images: the same decoding and resizing as in training, then the network."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import cast

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from convlift.augment.pipeline import normalize
from convlift.data.config import Resize
from convlift.data.decode import decode, from_array, square
from convlift.data.items import printable
from convlift.deploy.folder import CONFIG, RECIPE, ModelConfig, read_model_folder
from convlift.errors import ConvliftError, UnreadableImage
from convlift.model.build import build_network
from convlift.model.config import Pretrained
from convlift.model.memory import keep_freed_memory
from convlift.recipe import Recipe
from convlift.trial.run import saved_padding

BATCH = 64
BACKBONE = "backbone.network."  # what the names of a pretrained network's own weights begin with
Pixels = NDArray[np.uint8]
State = dict[str, Tensor]


@dataclass(frozen=True)
class Prediction:
    """One image's answer. confidence: the label's probability; probabilities: of every class, in [0, 1]."""

    image: str
    label: str
    confidence: float
    probabilities: dict[str, float]


class Model:
    """A trained network with its preprocessing; made by `load`."""

    def __init__(self, network: nn.Module, recipe: Recipe, config: ModelConfig) -> None:
        self._network = network.eval()
        self.recipe = recipe
        self.config = config

    @property
    def classes(self) -> tuple[str, ...]:
        """Class names in the order of the probabilities."""
        return self.config.classes

    def predict(self, images: Sequence[str | Path | Pixels]) -> list[Prediction]:
        """Name each image: a path, or a uint8 array (H, W), (H, W, 1) or (H, W, 3).

        Raises UnreadableImage naming the file or array; no image is ever replaced by another.
        """
        names = [str(image) if isinstance(image, str | Path) else f"array {i}" for i, image in enumerate(images)]
        found = self.probabilities([self._square(image, name) for image, name in zip(images, names, strict=True)])
        return [
            Prediction(
                name,
                self.classes[int(row.argmax())],
                float(row.max()),
                dict(zip(self.classes, map(float, row), strict=True)),
            )
            for name, row in zip(names, found, strict=True)
        ]

    def probabilities(self, squares: Sequence[Pixels]) -> NDArray[np.float32]:
        """Class probabilities (N, K) of images already resized to (R, R, C) uint8."""
        mean, std = (np.asarray(values, np.float32) for values in (self.config.mean, self.config.std))
        rows = [np.zeros((0, len(self.classes)), np.float32)]
        with torch.inference_mode():
            for first in range(0, len(squares), BATCH):
                inputs = normalize(np.stack(squares[first : first + BATCH]), mean, std)
                logits = self._network(torch.from_numpy(inputs).permute(0, 3, 1, 2))
                rows.append(logits.softmax(1).numpy())
        return np.concatenate(rows)

    def _square(self, image: str | Path | Pixels, name: str) -> Pixels:
        pixels = _from_file(Path(image)) if isinstance(image, str | Path) else _from_pixels(image, name)
        steps = self.config
        return square(pixels, steps.channels, steps.resolution, cast(Resize, steps.resize))


def load(path: str | Path) -> Model:
    """The model in a model folder, or in a run folder. Raises ConvliftError where it is missing, damaged or unfit."""
    keep_freed_memory()
    weights, recipe, config = read_model_folder(Path(path))
    try:
        state = load_file(weights)
        padding = saved_padding(weights)
    except (SafetensorError, KeyError, TypeError, ValueError, OSError) as error:
        raise ConvliftError(
            f"{weights} is no weights file of convlift ({' '.join(str(error).split())}); nothing else is opened, least "
            "of all a pickle. Copy the folder again."
        ) from error
    network = _untrained(recipe, config, state, padding)
    own = network.state_dict()
    misfits = [key for key in own.keys() | state.keys() if _shape(own, key) != _shape(state, key)]
    if misfits:
        raise ConvliftError(
            f"{weights} does not fit {RECIPE} and {CONFIG} beside it (they differ in '{min(misfits)}'); "
            "take all three from the same training."
        )
    network.load_state_dict(state)
    return Model(network, recipe, config)


def _untrained(recipe: Recipe, config: ModelConfig, state: State, padding: str) -> nn.Module:
    """The recipe's network, to be filled from the model folder alone: the backbone's own file may be gone by now."""
    architecture = recipe.architecture
    with TemporaryDirectory() as folder:
        if isinstance(architecture, Pretrained):
            source = "random"
            if padding:
                # a backbone learns of its padding from the file that its weights come from
                source = str(Path(folder) / "backbone.safetensors")
                named = f"timm.create_model({architecture.backbone!r}, pad_type={padding!r})"
                inner = {key.removeprefix(BACKBONE): state[key] for key in state if key.startswith(BACKBONE)}
                save_file(inner, source, {"create": named})
            architecture = architecture.model_copy(update={"weights": source})
        return build_network(
            architecture, classes=len(config.classes), channels=config.channels, resolution=config.resolution
        )


def _shape(state: State, key: str) -> tuple[int, ...] | None:
    return tuple(state[key].shape) if key in state else None


def _from_file(path: Path) -> Pixels:
    try:
        return decode(path.read_bytes()).pixels
    except OSError as error:
        raise UnreadableImage(
            f"{printable(str(path))} cannot be read ({error.strerror or error}); give the path of an image."
        ) from error
    except UnreadableImage as error:
        raise UnreadableImage(f"{printable(str(path))} cannot be read ({error}); repair it or leave it out.") from error


def _from_pixels(image: Pixels, name: str) -> Pixels:
    shape = image.shape
    grey_or_colour = len(shape) == 2 or (len(shape) == 3 and shape[2] in (1, 3))
    if not grey_or_colour or 0 in shape or image.dtype != np.uint8:
        raise UnreadableImage(
            f"{name} has shape {shape} and type {image.dtype}; an image is uint8 of shape (H, W), (H, W, 1) or "
            "(H, W, 3). Scale floats to 0 to 255 and drop an alpha channel."
        )
    return from_array(image).pixels
