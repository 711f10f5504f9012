"""Batches: the one border of a trial at which arrays become tensors, on the device that computes with them."""

from collections.abc import Callable, Iterable, Iterator
from functools import cache
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from convlift.augment.batched import augment_batch, normalize_batch
from convlift.augment.pipeline import augment, normalize
from convlift.augment.sending import send
from convlift.augment.streams import Streams
from convlift.console.mapped import taken
from convlift.data.normalization import Statistics
from convlift.recipe.augmentation import Augmentation
from convlift.train.batch import Batch
from convlift.train.device import free_bytes

EVALUATION_BATCH = 256
HELD = 0.25  # of a device's free memory may hold images; several trainings may share it, and activations need the rest
ON_CPU = torch.device("cpu")

Indices = NDArray[np.int64]
Draw = Callable[[Indices, Streams], Tensor]  # training positions -> their inputs, as drawn this time


def to_tensor(values: NDArray[Any], device: torch.device = ON_CPU) -> Tensor:
    """arrays_NHWC as tensors_NCHW in channels-last order, features_ND and labels_N as they are; on the CPU the same
    memory."""
    tensor = send(values, device)
    return tensor.permute(0, 3, 1, 2) if tensor.ndim == 4 else tensor


def image_draw(
    images_NHWC: NDArray[np.uint8],
    augmentation: Augmentation,
    normal: Statistics,
    device: torch.device = ON_CPU,
    *,
    compared: bool = False,
) -> Draw:
    """Draws augmented images_NCHW from the training images, as their augmentation is by then: one by one on a CPU, at
    once on any other device. compared: each image also without AugMix, see `pipeline.augment`."""
    at = augmentation.at
    if device.type == "cpu":
        return lambda chosen, streams: to_tensor(
            augment(images_NHWC[chosen], at(streams.done), *normal, streams, compared=compared)
        )
    pixels = rows_on(device, lambda: images_NHWC, images_NHWC.nbytes)
    return lambda chosen, streams: augment_batch(pixels(chosen), at(streams.done), *normal, streams, compared=compared)


def training_order(labels_N: Tensor, rng: np.random.Generator, sampling: float = 0.0) -> Indices:
    """(N,): the training positions that an epoch shows, shuffled; every one once where sampling is 0.

    Else classes are shown in proportion to n_k^(1 - sampling): of each class every image as often as the next one, and
    as many of them once more, by chance, as its share asks for (drawn without replacement, so that an epoch's shares
    are those, but for the fraction of an image).
    """
    if not sampling:
        return rng.permutation(len(labels_N))
    labels = labels_N.cpu().numpy()
    counts = np.bincount(labels)
    wanted = np.where(counts > 0, np.maximum(counts, 1) ** (1.0 - sampling), 0.0)
    ends = np.rint(np.cumsum(wanted * len(labels) / wanted.sum())).astype(np.int64)  # add up to N
    shown = []
    for label, number in enumerate(np.diff(ends, prepend=0)):
        own = np.flatnonzero(labels == label)
        rounds, more = divmod(int(number), max(len(own), 1))
        shown += [*[own] * rounds, rng.permutation(own)[:more]]
    return rng.permutation(np.concatenate(shown))


def training_batches(
    draw: Draw,
    labels_N: Tensor,
    size: int,
    streams: Streams,
    stop: Callable[[], bool] = lambda: False,
    order: Indices | None = None,
) -> Iterator[Batch]:
    """Every training image once, in an order of its own, or the positions of `order`. stop: asked before every batch,
    ends the epoch."""
    order = training_order(labels_N, streams["order"]) if order is None else order
    for chosen in training_chunks(order, size):
        if stop():
            return
        yield Batch(draw(chosen, streams), labels_N[send(chosen, labels_N.device)])


def unchanged(
    pixels: NDArray[np.uint8], part: Indices, normal: Statistics, device: torch.device = ON_CPU
) -> Callable[[], Iterator[Tensor]]:
    """Gives the images of `part`, unaugmented, batch by batch; on a CPU made anew at each call, so that they take no
    memory."""
    if device.type == "cpu":
        return lambda: (
            to_tensor(normalize(taken(pixels, chosen), *normal)) for chosen in chunks(part, EVALUATION_BATCH)
        )
    held = rows_on(device, lambda: taken(pixels, part), len(part) * pixels[:1].nbytes)
    return lambda: (normalize_batch(held(at), *normal) for at in chunks(np.arange(len(part)), EVALUATION_BATCH))


def rows_on(device: torch.device, values: Callable[[], NDArray[Any]], size: int) -> Callable[[Indices], Tensor]:
    """Gives rows of an array on a device: from a copy that was laid there at the first call where it fits, else sent.

    values: gives the array, of `size` bytes.
    """
    whole = cache(lambda: send(np.ascontiguousarray(values()), device))
    if fits(size, device):
        return lambda chosen: whole()[send(chosen, device)]
    array = cache(values)
    return lambda chosen: send(np.ascontiguousarray(array()[chosen]), device)


def fits(size: int, device: torch.device) -> bool:
    """Whether so many bytes may lie on a device while it trains."""
    return size <= HELD * free_bytes(device)


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
