"""What every loaded model is: images in, predictions out, whatever computes the probabilities. Imports no torch."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple, cast, overload

import numpy as np
from numpy.typing import NDArray

from convlift.data.decode import square
from convlift.deploy.images import OneImage, Origin, Pixels, name_of, read_image, several
from convlift.deploy.model_folder import ModelConfig
from convlift.errors import UnreadableImage
from convlift.recipe.data import Resize
from convlift.recipe.recipe import Recipe

if TYPE_CHECKING:
    from torch import Tensor, nn

BATCH = 64


@dataclass(frozen=True)
class Prediction:
    """The prediction for one image.

    image: its path, or its place among the images.
    confidence: the label's probability.
    probabilities: of every class, in [0, 1].
    notes: reasons not to trust it, such as values that training never saw.
    """

    image: str
    label: str
    confidence: float
    probabilities: dict[str, float]
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class Unreadable:
    """An image without a prediction. reason: its text is the whole sentence."""

    image: str
    reason: UnreadableImage


class _Square(NamedTuple):
    """An image that waits for its prediction: its name, its pixels (R, R, C), and notes on it."""

    name: str
    pixels: Pixels
    notes: tuple[str, ...]


class Classifier:
    """A trained network with its preprocessing; `probabilities` is what its kinds differ in."""

    def __init__(self, recipe: Recipe, config: ModelConfig) -> None:
        self.recipe = recipe
        self.config = config

    @property
    def network(self) -> "nn.Module":
        """The plain network: normalized images (N, C, R, R) -> logits (N, K). The softmax of logits divided by
        `config.confidence.temperature` are the probabilities."""
        raise NotImplementedError

    @property
    def classes(self) -> tuple[str, ...]:
        """Class names in the order of the probabilities."""
        return self.config.classes

    def prepared(self, pixels: Pixels) -> Pixels:
        """Decoded pixels (H, W, 1 or 3) as `probabilities` takes them."""
        steps = self.config
        return square(pixels, steps.channels, steps.resolution, cast(Resize, steps.resize))

    def probabilities(self, squares: Sequence[Pixels]) -> NDArray[np.float32]:
        """Class probabilities (N, K) of images already resized to (R, R, C) uint8."""
        raise NotImplementedError

    @overload
    def predict(self, images: OneImage) -> Prediction: ...
    @overload
    def predict(self, images: "NDArray[Any] | Tensor") -> Any: ...
    @overload
    def predict(self, images: Iterable[Any]) -> list[Prediction]: ...
    def predict(self, images: Any) -> Prediction | list[Prediction]:
        """Classify one image, or each of several: one image gives one prediction, a list gives a list.

        images: a path, the bytes of an image file, a file opened for reading bytes, a Pillow image, or an array (H, W),
        (H, W, 1) or (H, W, 3), in PyTorch's tensors with the channels first; or any iterable of these, or an array
        (N, H, W, C). Arrays hold whole numbers 0 to 255, floats 0 to 1 or 0 to 255, booleans, or 16-bit values.
        Raises UnreadableImage naming the image; none is ever replaced by another.
        """
        many = several(images)
        found = []
        for prediction in self.answers([images] if many is None else many):
            if isinstance(prediction, Unreadable):
                raise prediction.reason
            found.append(prediction)
        return found[0] if many is None else found

    def answers(self, images: Iterable[Any], batch: int = BATCH) -> Iterator[Prediction | Unreadable]:
        """Classify any number of images, in their order, with no more than `batch` of them in memory.

        An image that cannot be read gets an `Unreadable` in place of its prediction; one among `images` is handed on.
        """
        waiting: list[_Square | Unreadable] = []
        for index, image in enumerate(images):
            waiting.append(image if isinstance(image, Unreadable) else self._read(image, index))
            if len(waiting) >= batch:
                yield from self._classified(waiting)
                waiting = []
        yield from self._classified(waiting)

    def _read(self, image: object, index: int) -> "_Square | Unreadable":
        name = name_of(image, index)
        try:
            seen = read_image(image, name, Origin(self.config.value_range, self.config.alpha))
        except UnreadableImage as error:
            return Unreadable(name, error)
        return _Square(name, self.prepared(seen.pixels), seen.notes)

    def _classified(self, waiting: "list[_Square | Unreadable]") -> Iterator[Prediction | Unreadable]:
        rows = iter(self.probabilities([entry.pixels for entry in waiting if isinstance(entry, _Square)]))
        for entry in waiting:
            if isinstance(entry, Unreadable):
                yield entry
                continue
            row = next(rows)
            probabilities = dict(zip(self.classes, map(float, row), strict=True))
            yield Prediction(entry.name, self.classes[int(row.argmax())], float(row.max()), probabilities, entry.notes)
