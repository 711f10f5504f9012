"""What every loaded model is: images in, predictions out, whatever computes the probabilities. Imports no torch."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple, overload

import numpy as np
from numpy.typing import NDArray

from convlift.console.extras import REMEDY
from convlift.data.square import square
from convlift.deploy.images import OneImage, Pixels, name_of, read_image, several
from convlift.deploy.model_folder import ModelConfig
from convlift.errors import ConvliftError, UnreadableImage
from convlift.recipe.recipe import Recipe

if TYPE_CHECKING:
    from torch import Tensor, nn

    from convlift.deploy.explain import Explanation
    from convlift.model.spatial_layer import Place

BATCH = 64


@dataclass(frozen=True)
class Prediction:
    """The prediction for one image.

    image: its path, or its place among the images.
    confidence: the label's probability.
    probabilities: of every class, in [0, 1].
    notes: reasons not to trust it, such as values that training never saw.
    distance: from the images of training, above 1 for those unlike them; None where the model does not tell.
    """

    image: str
    label: str
    confidence: float
    probabilities: dict[str, float]
    notes: tuple[str, ...] = ()
    distance: float | None = None

    @property
    def unlike(self) -> bool | None:
        """Whether it is unlike the images of training, so that no class may be right; of images of the same kind, about
        one in a hundred is. None where the model does not tell."""
        return None if self.distance is None else self.distance > 1.0

    def top(self, count: int) -> list[tuple[str, float]]:
        """The most probable classes, at most `count`, with their probabilities."""
        return sorted(self.probabilities.items(), key=lambda named: -named[1])[:count]


@dataclass(frozen=True)
class Unreadable:
    """An image without a prediction. reason: its text is the whole sentence."""

    image: str
    reason: UnreadableImage


class Square(NamedTuple):
    """An image that waits for its prediction: its name, its pixels (R, R, C), notes on it, and the image (H, W, C) that
    they were made from."""

    name: str
    pixels: Pixels
    notes: tuple[str, ...]
    image: Pixels


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
    def places(self) -> "tuple[Place, ...]":
        """Where heat maps are read from. Raises ConvliftError where there is no network to read them from."""
        raise ConvliftError(f"a heat map is made with the network, which needs torch and a run folder; {REMEDY}.")

    @property
    def classes(self) -> tuple[str, ...]:
        """Class names in the order of the probabilities."""
        return self.config.classes

    def prepared(self, pixels: Pixels) -> Pixels:
        """Decoded pixels (H, W, 1 or 3, or as many bands as the network sees) as `probabilities` takes them."""
        steps = self.config
        return square(pixels, steps.channels, steps.resolution, steps.preparation)

    def probabilities(self, squares: Sequence[Pixels]) -> NDArray[np.float32]:
        """Class probabilities (N, K) of images already resized to (R, R, C) uint8."""
        raise NotImplementedError

    def seen(self, squares: Sequence[Pixels]) -> tuple[NDArray[np.float32], list[float | None]]:
        """The same, and the distance of each from the images of training, None where the model does not tell."""
        return self.probabilities(squares), [None] * len(squares)

    @overload
    def predict(self, images: OneImage) -> Prediction: ...
    @overload
    def predict(self, images: "NDArray[Any] | Tensor") -> Any: ...
    @overload
    def predict(self, images: Iterable[Any]) -> list[Prediction]: ...
    def predict(self, images: Any) -> Prediction | list[Prediction]:
        """Classify one image, or each of several: one image gives one prediction, a list gives a list.

        images: a path, the bytes of an image file, a file opened for reading bytes, a Pillow image, or an array (H, W),
        (H, W, 1), (H, W, 3) or of the model's bands, in PyTorch's tensors with the channels first; or any iterable of
        these, or an array (N, H, W, C). Arrays hold whole numbers 0 to 255, floats 0 to 1 or 0 to 255, booleans, or
        16-bit values.
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
        waiting: list[Square | Unreadable] = []
        for entry in self.squares(images):
            waiting.append(entry)
            if len(waiting) >= batch:
                yield from self._answered(waiting)
                waiting = []
        yield from self._answered(waiting)

    def explain(self, image: "OneImage | NDArray[Any] | Tensor", label: str | None = None) -> "Explanation":
        """One image's prediction with a heat map of what speaks for its label, or for another class.

        Raises UnreadableImage; ConvliftError where there is no such class, or no network that keeps maps.
        """
        from convlift.deploy.explain import explain_all

        (found,) = explain_all(self, [image], label)
        if isinstance(found, Unreadable):
            raise found.reason
        return found

    def squares(self, images: Iterable[Any]) -> "Iterator[Square | Unreadable]":
        """Read images and resize them as in training, one after another."""
        for index, image in enumerate(images):
            yield image if isinstance(image, Unreadable) else self._read(image, index)

    def _read(self, image: object, index: int) -> "Square | Unreadable":
        name = name_of(image, index)
        try:
            seen = read_image(image, name, self.config.origin)
        except UnreadableImage as error:
            return Unreadable(name, error)
        return Square(name, self.prepared(seen.pixels), seen.notes, seen.pixels)

    def _answered(self, waiting: "list[Square | Unreadable]") -> Iterator[Prediction | Unreadable]:
        predictions = self.classified([entry for entry in waiting if isinstance(entry, Square)])
        for entry in waiting:
            yield entry if isinstance(entry, Unreadable) else next(predictions)

    def classified(self, squares: Sequence[Square]) -> Iterator[Prediction]:
        """A prediction each."""
        rows, distances = self.seen([entry.pixels for entry in squares])
        for entry, row, distance in zip(squares, rows, distances, strict=True):
            probabilities = dict(zip(self.classes, map(float, row), strict=True))
            label, confidence = self.classes[int(row.argmax())], float(row.max())
            yield Prediction(entry.name, label, confidence, probabilities, entry.notes, distance)
