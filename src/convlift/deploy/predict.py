"""A model folder as something that names images: the same decoding and resizing as in training, then the network."""

from collections.abc import Sequence
from contextlib import AbstractContextManager, nullcontext
from functools import cached_property
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from convlift.augment.pipeline import normalize
from convlift.console.resources import usable_cpus
from convlift.data.normalization import of_figures
from convlift.deploy.classifier import BATCH, Classifier, Prediction, Unreadable
from convlift.deploy.folder_additions import checked_file
from convlift.deploy.heat_map import places_of
from convlift.deploy.images import Pixels
from convlift.deploy.likeness import MOST_BYTES, Likeness, contrasts, features_of, read_likeness
from convlift.deploy.model_folder import LIKENESS, ModelConfig, read_model_folder
from convlift.deploy.own_code import with_its_code
from convlift.deploy.rebuild import rebuilt
from convlift.errors import ConvliftError
from convlift.model.memory import keep_freed_memory
from convlift.model.placement import lay_on
from convlift.model.source_loader import speaking_aside
from convlift.model.spatial_layer import Place, has_place, listening_at
from convlift.model.threads import keep_to, one_thread_for
from convlift.recipe.recipe import Recipe
from convlift.records.compute_device import CPU, Device

__all__ = ["Model", "Prediction", "Unreadable", "load"]


class Model(Classifier):
    """A trained network with its preprocessing; made by `load`."""

    def __init__(
        self,
        network: nn.Module,
        recipe: Recipe,
        config: ModelConfig,
        device: Device = CPU,
        likeness: Likeness | None = None,
    ) -> None:
        self._place = torch.device(device.place)
        self._network = lay_on(network.eval(), self._place)
        self._likeness = likeness
        self.is_adapted = False  # to images at hand: what is usual was learned from the network as it was
        super().__init__(recipe, config)

    @property
    def network(self) -> nn.Module:
        """The plain network, in evaluation mode: normalized images (N, C, R, R) float32, as `inputs` makes them ->
        logits (N, K). The softmax of logits divided by `config.confidence.temperature` are the probabilities."""
        return self._network

    @property
    def likeness(self) -> Likeness | None:
        """What it knows of its training images; None where it cannot tell others from them."""
        return None if self.is_adapted else self._likeness

    def inputs(self, squares: Sequence[Pixels]) -> Tensor:
        """Images that are resized to (R, R, C) uint8 as the network takes them: (N, C, R, R) float32, each value over
        255, less `config.mean`, over `config.std` (without one: less its image's mean, over its image's deviation), in
        channels-last memory where the network lies."""
        normal = of_figures(self.config.mean, self.config.std)
        return torch.from_numpy(normalize(np.stack(squares), *normal)).permute(0, 3, 1, 2).to(self._place)

    @cached_property
    def places(self) -> tuple[Place, ...]:
        """Where heat maps are read from. Raises ConvliftError where the network keeps no maps."""
        side, channels = self.config.resolution, self.config.channels
        with self.speaking():
            return places_of(self._network, self.inputs([np.zeros((side, side, channels), np.uint8)]))

    def speaking(self) -> AbstractContextManager[None]:
        """What somebody's own code prints goes to stderr."""
        return speaking_aside() if self.recipe.architecture.kind == "own" else nullcontext()

    def probabilities(self, squares: Sequence[Pixels]) -> NDArray[np.float32]:
        """Class probabilities (N, K) of images already resized to (R, R, C) uint8; several threads may ask."""
        rows = [np.zeros((0, len(self.classes)), np.float32)]
        with self.speaking(), torch.inference_mode(), one_thread_for(len(squares)):
            for first in range(0, len(squares), BATCH):
                logits = self._network(self.inputs(squares[first : first + BATCH]))
                rows.append((logits / self.config.confidence.temperature).softmax(1).cpu().numpy())
        return np.concatenate(rows)

    def seen(self, squares: Sequence[Pixels]) -> tuple[NDArray[np.float32], list[float | None]]:
        """Probabilities, and distances from the images of training, from one pass."""
        known = self.likeness
        if known is None or not squares:
            return super().seen(squares)
        with listening_at(self._network, known.place) as maps:
            probabilities = self.probabilities(squares)
        features = np.concatenate([features_of(each) for each in maps])
        return probabilities, list(map(float, known.distances(features, contrasts(squares))))

    def features(self, squares: Sequence[Pixels], place: Place) -> NDArray[np.float32]:
        """What the maps at a place of the network hold of images that are resized; see `likeness.features_of`."""
        found = []
        for first in range(0, len(squares), BATCH):
            with listening_at(self._network, place) as maps:
                self.probabilities(squares[first : first + BATCH])
            found.append(features_of(maps[0]))
        return np.concatenate(found)


def load(path: str | Path, device: Device = CPU) -> Model:
    """The model in a model folder, or in a run folder, on a device.

    Raises ConvliftError where it is missing, damaged or unfit, or its network is
    somebody's own code that may not run.
    """
    keep_freed_memory()
    keep_to(usable_cpus())
    weights, told, config = read_model_folder(Path(path))
    network = rebuilt(weights, with_its_code(told, weights.parent), config)
    return Model(network, told, config, device, _likeness(weights.parent, network))


def _likeness(folder: Path, network: nn.Module) -> Likeness | None:
    path = checked_file(folder, LIKENESS, MOST_BYTES)
    if path is None:
        return None
    found = read_likeness(str(path))
    if not has_place(network, found.place):
        raise ConvliftError(f"{path} belongs to another network; copy the folder again.")
    return found
