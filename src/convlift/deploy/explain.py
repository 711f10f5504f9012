"""A prediction with its heat map: what of the image speaks for the class."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, cast

import numpy as np
import torch
from numpy.typing import NDArray

from convlift.deploy.classifier import Classifier, Prediction, Square, Unreadable
from convlift.deploy.heat_map import heat_maps, on_image
from convlift.errors import ConvliftError

if TYPE_CHECKING:
    from convlift.deploy.predict import Model

BATCH = 16  # gradients take memory


@dataclass(frozen=True, eq=False)
class Explanation:
    """Why an image has its label.

    prediction: of the image; label: the class that the map is of. image: (H, W, 1 or 3) uint8, upright, shorter side
    at most 256 pixels. heat_map: (H, W) float32 in [0, 1], 1 where most speaks for the class.
    """

    prediction: Prediction
    label: str
    image: NDArray[np.uint8]
    heat_map: NDArray[np.float32]


def explain_all(
    model: Classifier, images: Iterable[Any], label: str | None = None, batch: int = BATCH
) -> Iterator[Explanation | Unreadable]:
    """Classify images and say where each is seen, in their order, with no more than `batch` of them in memory.

    batch: BATCH at most. label: the class that the maps are of, by default each image's own. Raises ConvliftError where
    there is no such class, or the network has no layer with maps.
    """
    if label is not None and label not in model.classes:
        raise ConvliftError(f"'{label}' is none of the model's classes; give one of {', '.join(model.classes[:20])}.")
    assert model.places, "it raises where there are none"
    known = cast("Model", model)
    waiting: list[Square | Unreadable] = []
    for entry in known.squares(images):
        waiting.append(entry)
        if len(waiting) >= min(batch, BATCH):
            yield from _explained(known, waiting, label)
            waiting = []
    yield from _explained(known, waiting, label)


def _explained(
    model: "Model", waiting: list[Square | Unreadable], label: str | None
) -> Iterator[Explanation | Unreadable]:
    squares = [entry for entry in waiting if isinstance(entry, Square)]
    predictions = list(model.classified(squares))
    named = [label if label is not None else each.label for each in predictions]
    maps = iter(_maps(model, squares, named))
    both = iter(zip(squares, predictions, named, strict=True))
    for entry in waiting:
        if not isinstance(entry, Square):
            yield entry
            continue
        square, prediction, name = next(both)
        whole = on_image(next(maps), square.image.shape[:2], model.config.resize)
        yield Explanation(prediction, name, square.image, whole)


def _maps(model: "Model", squares: list[Square], named: list[str]) -> NDArray[np.float32]:
    if not squares:
        return np.zeros((0, 1, 1), np.float32)
    inputs = model.inputs([square.pixels for square in squares])
    classes = torch.tensor([model.classes.index(name) for name in named], device=inputs.device)
    places = model.places
    with model.speaking():
        return heat_maps(model.network, places, inputs, classes)
