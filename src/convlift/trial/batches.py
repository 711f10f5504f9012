"""Batches: the one border of a trial at which arrays become tensors."""

from collections.abc import Callable, Iterable, Iterator
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from convlift.augment.pipeline import augment, normalize
from convlift.augment.streams import Streams
from convlift.data.normalization import Statistics
from convlift.recipe.augmentation import Augmentation
from convlift.train.batch import Batch

EVALUATION_BATCH = 256

Indices = NDArray[np.int64]
Draw = Callable[[Indices, Streams], Tensor]  # training positions -> their inputs, as drawn this time


def to_tensor(values: NDArray[Any]) -> Tensor:
    """The same memory: arrays_NHWC as tensors_NCHW in channels-last order, features_ND and labels_N as they are."""
    tensor = torch.from_numpy(values)
    return tensor.permute(0, 3, 1, 2) if tensor.ndim == 4 else tensor


def image_draw(images_NHWC: NDArray[np.uint8], augmentation: Augmentation, normal: Statistics) -> Draw:
    """Draws augmented images_NCHW from the training images."""
    return lambda chosen, streams: to_tensor(augment(images_NHWC[chosen], augmentation, *normal, streams))


def training_batches(
    draw: Draw, labels_N: Tensor, size: int, streams: Streams, stop: Callable[[], bool] = lambda: False
) -> Iterator[Batch]:
    """Every training image once, in an order of its own. stop: asked before every batch, ends the epoch."""
    for chosen in training_chunks(streams["order"].permutation(len(labels_N)), size):
        if stop():
            return
        yield Batch(draw(chosen, streams), labels_N[torch.from_numpy(chosen)])


def unchanged(pixels: NDArray[np.uint8], part: Indices, normal: Statistics) -> Callable[[], Iterator[Tensor]]:
    """Gives the images of `part`, unaugmented, batch by batch; made anew at each call, so that they take no memory."""
    return lambda: (
        to_tensor(normalize(np.ascontiguousarray(pixels[chosen]), *normal)) for chosen in chunks(part, EVALUATION_BATCH)
    )


def labelled(inputs: Iterable[Tensor], labels_N: Tensor) -> Iterator[Batch]:
    """Inputs, batch by batch, with their labels."""
    first = 0
    for each in inputs:
        yield Batch(each, labels_N[first : first + len(each)])
        first += len(each)
    assert first == len(labels_N), f"{first} inputs have {len(labels_N)} labels"


def chunks(indices: Indices, size: int) -> Iterator[Indices]:
    """Consecutive parts of at most `size`."""
    for first in range(0, len(indices), size):
        yield indices[first : first + size]


def training_chunks(indices: Indices, size: int) -> Iterator[Indices]:
    """The same, but a last part of a single image goes with the one before: batch norm cannot normalize one value."""
    whole = len(indices) - 1 if len(indices) > 1 and size > 1 and len(indices) % size == 1 else len(indices)
    parts = list(chunks(indices[:whole], size))
    if whole < len(indices):
        parts[-1] = np.append(parts[-1], indices[whole:])
    yield from parts
