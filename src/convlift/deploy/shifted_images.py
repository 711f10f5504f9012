"""What networks make of corrupted copies of images: the same copies for each of them."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import islice
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from convlift.deploy.classifier import BATCH, Classifier
from convlift.deploy.images import Pixels
from convlift.robustness.corruptions import corrupt, framed

Rows = NDArray[np.float32]
Told = Callable[[int, int], None]


class Copy(NamedTuple):
    """One copy of an image: by which corruption, at which severity."""

    name: str
    severity: int


Classify = Callable[[int, Sequence[Pixels]], Rows]  # number of the copy, squares -> probabilities (N, K)


def classify_copies(
    models: Sequence[tuple[Classifier, Classify]],
    images: Iterable[Pixels],
    copies_nD: Sequence[Sequence[Copy]],
    told: Told = lambda done, total: None,
) -> list[Rows]:
    """Every model's probabilities (D, n, K) of D copies of n decoded images.

    models: each with what classifies its squares. copies_nD: of every image; told: how many images of how many are
    done.
    """
    found: list[list[Rows]] = [[] for _ in models]
    number, total = len(copies_nD[0]), len(copies_nD)
    for first, batch in _batches(images):
        frames = [framed(pixels) for pixels in batch]
        of_batch: list[list[Rows]] = [[] for _ in models]
        for place in range(number):
            pairs = zip(frames, copies_nD[first : first + len(frames)], strict=True)
            corrupted = [corrupt(frame, *copies[place]) for frame, copies in pairs]
            for said, (model, classify) in zip(of_batch, models, strict=True):
                said.append(classify(place, [model.prepared(pixels) for pixels in corrupted]))
        for rows, said in zip(found, of_batch, strict=True):
            rows.append(np.stack(said))
        told(first + len(frames), total)
    return [np.concatenate(rows, axis=1) for rows in found]


def plain(model: Classifier) -> Classify:
    """Whatever the copy, the model as it is."""
    return lambda _, squares: model.probabilities(squares)


def _batches(images: Iterable[Pixels]) -> Iterator[tuple[int, list[Pixels]]]:
    waiting, first = iter(images), 0
    while batch := list(islice(waiting, BATCH)):
        yield first, batch
        first += len(batch)
