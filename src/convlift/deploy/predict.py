"""A model folder as something that names images: the same decoding and resizing as in training, then the network."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import cast

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors.torch import load_file

from convlift.augment.pipeline import normalize
from convlift.data.config import Resize
from convlift.data.decode import decode, from_array, square
from convlift.deploy.folder import ModelConfig, read_model_folder
from convlift.errors import ConvliftError, UnreadableImage
from convlift.model.build import build_network
from convlift.recipe import Recipe

BATCH = 64
Pixels = NDArray[np.uint8]


@dataclass(frozen=True)
class Prediction:
    """One image's answer. confidence: the label's probability; probabilities: of every class, in [0, 1]."""

    image: str
    label: str
    confidence: float
    probabilities: dict[str, float]


class Model:
    """A trained network with its preprocessing; made by `load`."""

    def __init__(self, network: torch.nn.Module, recipe: Recipe, config: ModelConfig) -> None:
        self._network = network.eval()
        self.recipe = recipe
        self.config = config

    @property
    def classes(self) -> tuple[str, ...]:
        """Class names in the order of the probabilities."""
        return self.config.classes

    def predict(self, images: Sequence[str | Path | Pixels]) -> list[Prediction]:
        """Name each image: a path, or a uint8 array (H, W), (H, W, 1) or (H, W, 3).

        Raises UnreadableImage naming the file; no image is ever replaced by another.
        """
        names = [str(image) if isinstance(image, str | Path) else f"array {i}" for i, image in enumerate(images)]
        found = self.probabilities([self._square(image) for image in images])
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

    def _square(self, image: str | Path | Pixels) -> Pixels:
        if isinstance(image, str | Path):
            try:
                pixels = decode(Path(image).read_bytes()).pixels
            except OSError as error:
                raise UnreadableImage(f"{image} cannot be read ({error.strerror}).") from error
            except UnreadableImage as error:
                raise UnreadableImage(f"{image} cannot be read: {error}.") from error
        else:
            pixels = from_array(image).pixels
        steps = self.config
        return square(pixels, steps.channels, steps.resolution, cast(Resize, steps.resize))


def load(path: str | Path) -> Model:
    """The model in a model folder, or in a run folder. Raises ConvliftError where it is missing, damaged or unfit."""
    weights, recipe, config = read_model_folder(Path(path))
    # the weights come from the folder: the backbone must not look for its pretrained ones
    bare = recipe.edit(architecture={"weights": "random"}) if recipe.architecture.kind == "pretrained" else recipe
    network = build_network(
        bare.architecture, classes=len(config.classes), channels=config.channels, resolution=config.resolution
    )
    try:
        network.load_state_dict(load_file(weights))
    except (RuntimeError, ValueError, OSError) as error:
        raise ConvliftError(f"{weights} does not fit its recipe ({str(error).splitlines()[0]}).") from error
    return Model(network, recipe, config)
