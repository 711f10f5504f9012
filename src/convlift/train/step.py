"""The gradients of one step, in as many parts as the device's memory asks for."""

from collections.abc import Callable, Iterator
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional

from convlift.errors import RecipeError
from convlift.train.batch import Batch
from convlift.train.device import compute_in_half, has_no_room, release_memory
from convlift.train.micro_batches import MicroBatches
from convlift.train.objectives import Loss

Objective = Callable[[Tensor, Tensor], Loss]


class Seen(NamedTuple):
    """Of one step, on the device: the sum of its images' cross-entropies, how many it got right, and of how many; of
    mixed images nothing is counted."""

    loss: Tensor
    right: Tensor
    images: Tensor | int


def take_gradients(network: nn.Module, batch: Batch, objective: Objective, micro: MicroBatches) -> Seen:
    """Leave the gradients of the batch's mean loss in `network`, whose gradients are empty before.

    Where the device's memory does not hold the step, it is begun again in twice as many parts, whose gradients add up
    to the same but for what batch norm and dropout make of it. Raises RecipeError where parts of two images are too
    much, and what `objective` raises.
    """
    while True:
        try:
            return _accumulate(network, batch, objective, micro)
        except RuntimeError as error:
            if not has_no_room(error):
                raise
            if len(batch.targets) < 4 * micro.parts:
                raise RecipeError(
                    f"{len(batch.targets) // micro.parts} images at a time are too many for the device's memory; lower "
                    "the recipe's width, blocks or resolution, or use --device cpu."
                ) from error
        micro.parts *= 2  # outside of the handler, which still holds what the step had made
        network.zero_grad(set_to_none=True)
        release_memory(batch.inputs.device)


def _accumulate(network: nn.Module, batch: Batch, objective: Objective, micro: MicroBatches) -> Seen:
    total, seen = len(batch.targets), []
    for part in _parts(batch, micro.parts):
        inputs, targets = part.inputs, part.targets
        with compute_in_half(inputs.device):
            logits_NK = network(inputs)
        logits_NK = logits_NK.float()
        loss = objective(logits_NK, targets)
        count = len(targets)
        (loss.minimized if count == total else loss.minimized * (count / total)).backward()
        seen.append(_seen(logits_NK[:count].detach(), part, loss.cross_entropy.detach()))
        if count < total:
            micro.fewest = min(micro.fewest or count, count)
    if len(seen) == 1:
        return seen[0]
    losses, right, images = zip(*seen, strict=True)
    return Seen(torch.stack(losses).sum(), torch.stack(right).sum(), sum(images))


def _seen(logits_NK: Tensor, part: Batch, cross_entropy: Tensor) -> Seen:
    """cross_entropy: mean of the part."""
    targets, whole_N = part.targets, part.whole
    labels_N = targets if targets.ndim == 1 else targets.argmax(1)
    right_N = logits_NK.argmax(1) == labels_N
    if whole_N is None:
        return Seen(cross_entropy * len(targets), right_N.sum(), len(targets))
    each_N = functional.cross_entropy(logits_NK, labels_N, reduction="none")
    return Seen((each_N * whole_N).sum(), (right_N & whole_N).sum(), whole_N.sum())


def whole_batch(network: nn.Module, batch: Batch, objective: Objective) -> Seen:
    """`take_gradients` of a batch that the memory holds; raises what the device raises where it does not."""
    return _accumulate(network, batch, objective, MicroBatches())


def _parts(batch: Batch, parts: int) -> Iterator[Batch]:
    """Of two images at least, with all of their views, as alike in size as can be: batch norm cannot normalize one
    value."""
    count = min(parts, len(batch.targets) // 2)
    if count < 2:
        yield batch
        return
    whole = [None] * count if batch.whole is None else batch.whole.tensor_split(count)
    views = [each.tensor_split(count) for each in batch.inputs.tensor_split(batch.views)]
    inputs = [part[0] if len(part) == 1 else torch.cat(part) for part in zip(*views, strict=True)]
    yield from map(Batch, inputs, batch.targets.tensor_split(count), whole)
