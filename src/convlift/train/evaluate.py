"""What a network predicts: class probabilities, and how well they fit the labels."""

from collections.abc import Iterable
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional

from convlift.train.batch import Batch
from convlift.train.device import has_no_room, release_memory


class Score(NamedTuple):
    """loss: mean cross-entropy in nats; accuracy in [0, 1]."""

    loss: float
    accuracy: float


UNSEEN = Score(float("nan"), float("nan"))


@torch.inference_mode()
def predict_probabilities(network: nn.Module, inputs: Iterable[Tensor]) -> NDArray[np.float32]:
    """Probabilities (N, K) in the order of the inputs; (0, 0) without any. Leaves `network` in evaluation mode.

    inputs: batch by batch; nothing is known of their labels.
    """
    network.eval()
    found = [functional.softmax(outputs(network, batch), dim=1).cpu() for batch in inputs]
    return torch.cat(found).numpy() if found else np.zeros((0, 0), np.float32)


@torch.inference_mode()
def evaluate(network: nn.Module, batches: Iterable[Batch], offsets: Tensor | None = None) -> Score:
    """Mean loss and accuracy over batches with labels_N, NaN without any.

    offsets (K,): added to the logits for the loss, as in training; see `objectives.logit_offsets`.
    Leaves `network` in evaluation mode.
    """
    network.eval()
    losses, right, count = [], [], 0
    for batch in batches:
        logits_NK = outputs(network, batch.inputs)
        adjusted_NK = logits_NK if offsets is None else logits_NK + offsets
        losses.append(functional.cross_entropy(adjusted_NK, batch.targets, reduction="sum"))
        right.append((logits_NK.argmax(1) == batch.targets).sum())
        count += len(batch.targets)
    if not count:
        return UNSEEN
    # one wait for the device at the end, not one a batch
    return Score(float(torch.stack(losses).sum()) / count, int(torch.stack(right).sum()) / count)


def outputs(network: nn.Module, inputs: Tensor) -> Tensor:
    """Of all inputs at once or, where the device's memory does not hold that, of one half after the other."""
    try:
        return network(inputs).float()
    except RuntimeError as error:
        if len(inputs) < 2 or not has_no_room(error):
            raise
    release_memory(inputs.device)
    return torch.cat([outputs(network, half) for half in inputs.tensor_split(2)])
