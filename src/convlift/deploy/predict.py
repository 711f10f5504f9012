"""A model folder as something that names images: the same decoding and resizing as in training, then the network."""

from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager, nullcontext
from functools import cached_property
from pathlib import Path
from threading import Lock
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from convlift.augment.pipeline import normalize
from convlift.console.resources import usable_cpus
from convlift.deploy.classifier import BATCH, Classifier, Prediction, Unreadable
from convlift.deploy.images import OneImage, Pixels
from convlift.deploy.likeness import MOST_BYTES, Likeness, contrasts, features_of, read_likeness
from convlift.deploy.model_config import ModelConfig
from convlift.deploy.model_folder import LIKENESS, checked_file, read_model_folder
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

if TYPE_CHECKING:
    from convlift.deploy.explain import Explanation

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
        super().__init__(recipe, config)
        self._likeness = likeness
        self._lock = Lock()

    @property
    def network(self) -> nn.Module:
        """The plain network, in evaluation mode: normalized images (N, C, R, R) float32, as `inputs` makes them ->
        logits (N, K). The softmax of logits divided by `config.confidence.temperature` are the probabilities."""
        return self._network

    def inputs(self, squares: Sequence[Pixels]) -> Tensor:
        """Images that are resized to (R, R, C) uint8 as the network takes them: (N, C, R, R) float32, each value over
        255, less `config.mean`, over `config.std`, in channels-last memory where the network lies."""
        mean, std = (np.asarray(values, np.float32) for values in (self.config.mean, self.config.std))
        return torch.from_numpy(normalize(np.stack(squares), mean, std)).permute(0, 3, 1, 2).to(self._place)

    @contextmanager
    def alone(self) -> Iterator[None]:
        """No other thread listens to the network meanwhile, and what somebody's own code prints goes to stderr."""
        is_own = self.recipe.architecture.kind == "own"
        with self._lock, speaking_aside() if is_own else nullcontext():
            yield

    def explain(self, image: OneImage | NDArray[Any] | Tensor, label: str | None = None) -> "Explanation":
        """One image's prediction with a heat map of what speaks for its label, or for another class.

        Raises UnreadableImage; ConvliftError where there is no such class, or the network keeps no maps.
        """
        from convlift.deploy.explain import explain_all

        (found,) = explain_all(self, [image], label)
        if isinstance(found, Unreadable):
            raise found.reason
        return found

    @cached_property
    def places(self) -> tuple[Place, ...]:
        """Where heat maps are read from. Raises ConvliftError where the network keeps no maps."""
        from convlift.deploy.heat_map import places_of

        side, channels = self.config.resolution, self.config.channels
        with self.alone():
            return places_of(self._network, self.inputs([np.zeros((side, side, channels), np.uint8)]))

    def probabilities(self, squares: Sequence[Pixels]) -> NDArray[np.float32]:
        """Class probabilities (N, K) of images already resized to (R, R, C) uint8."""
        return self._seen(squares)[0]

    def features(self, squares: Sequence[Pixels], place: Place) -> NDArray[np.float32]:
        """What the maps at a place of the network hold of images that are resized; see `likeness.features_of`."""
        found = []
        with self.alone(), torch.inference_mode():
            for first in range(0, len(squares), BATCH):
                with listening_at(self._network, place) as maps:
                    self._network(self.inputs(squares[first : first + BATCH]))
                found.append(features_of(maps[0]))
        return np.concatenate(found)

    def _seen(self, squares: Sequence[Pixels]) -> tuple[NDArray[np.float32], list[float | None]]:
        """Probabilities (N, K), and distances from the images of training, None where they are not known."""
        known, rows = self._likeness, [np.zeros((0, len(self.classes)), np.float32)]
        distances: list[float | None] = []
        with self.alone(), torch.inference_mode(), one_thread_for(len(squares)), ExitStack() as stack:
            maps = stack.enter_context(listening_at(self._network, known.place)) if known else []
            for first in range(0, len(squares), BATCH):
                batch = squares[first : first + BATCH]
                logits = self._network(self.inputs(batch)) / self.config.confidence.temperature
                rows.append(logits.softmax(1).cpu().numpy())
                distances += known.distances(features_of(maps.pop()), contrasts(batch)).tolist() if known else []
        return np.concatenate(rows), distances if known else [None] * len(squares)


def load(path: str | Path, device: Device = CPU) -> Model:
    """The model in a model folder, or in a run folder, on a device.

    Raises ConvliftError where it is missing, damaged or unfit, or its network is
    somebody's own code that may not run.
    """
    keep_freed_memory()
    keep_to(usable_cpus())
    weights, told, config = read_model_folder(Path(path))
    recipe = with_its_code(told, weights.parent)
    network = rebuilt(weights, recipe, config)
    return Model(network, told, config, device, _likeness(weights.parent, network))


def _likeness(folder: Path, network: nn.Module) -> Likeness | None:
    path = checked_file(folder, LIKENESS, MOST_BYTES)
    if path is None:
        return None
    found = read_likeness(str(path))
    if not has_place(network, found.place):
        raise ConvliftError(f"{path} belongs to another network; copy the folder again.")
    return found
