"""Batches of stored features and activations: the same border as `batches`, without a pixel."""

from collections.abc import Iterator

import numpy as np
import torch
from torch import Tensor

from convlift.augment.streams import Streams
from convlift.features.cached import Stored, draw_rows, draw_versions, rows
from convlift.trial.batches import EVALUATION_BATCH, ON_CPU, Draw, Indices, chunks, fits, rows_on, to_tensor


def stored_draw(stored: Stored, device: torch.device = ON_CPU) -> Draw:
    """Draws stored results of training images, each its clean one or one of its views; as they were drawn on a CPU."""
    size = len(stored.train) * sum(each[:1].nbytes for each in (stored.clean, *stored.views))
    if device.type == "cpu" or not fits(size, device):
        return lambda chosen, streams: to_tensor(draw_rows(stored, chosen, streams), device)
    held = rows_on(device, lambda: np.concatenate([stored.clean[stored.train], *stored.views]), size)

    def draw(chosen: Indices, streams: Streams) -> Tensor:
        versions = draw_versions(stored, len(chosen), streams)
        found = held(versions * len(stored.train) + chosen).float()
        return found.permute(0, 3, 1, 2) if found.ndim == 4 else found

    return draw


def stored_inputs(stored: Stored, part: Indices, device: torch.device = ON_CPU) -> Iterator[Tensor]:
    """The clean results of some images, batch by batch."""
    return (to_tensor(rows(stored, chosen), device) for chosen in chunks(part, EVALUATION_BATCH))
