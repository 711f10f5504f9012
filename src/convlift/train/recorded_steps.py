"""Steps that are all alike, recorded once and played again, so that a GPU waits for no Python.

A small network's step is some hundred short kernels, and Python needs longer to queue them than a GPU to run them: 11
ms a step of a network of nine convolutions on an H200, for 512 images as for 1,024. As a CUDA graph they are queued at
once (Nguyen et al. 2021, "Accelerating PyTorch with CUDA Graphs").
"""

from typing import NamedTuple

import torch
from torch import Tensor, nn

from convlift.train.batch import Batch
from convlift.train.micro_batches import MicroBatches
from convlift.train.step import Objective, Seen, take_gradients, whole_batch

EAGER = 5  # steps of each shape before it is recorded: libraries are loaded and choose their algorithms in them
MOST = 4  # shapes that are recorded: each holds the memory of a step for itself

Shape = tuple[torch.Size, torch.Size]


class _Recording(NamedTuple):
    """A step's kernels, where they read its batch, and where they write its gradients and its score."""

    graph: torch.cuda.CUDAGraph
    inputs: Tensor
    targets: Tensor
    whole: Tensor | None
    gradients: tuple[tuple[nn.Parameter, Tensor], ...]
    seen: Seen


class RecordedSteps:
    """Takes gradients as `take_gradients` does, and on CUDA plays them from a recording after some steps of a shape.

    For one network, in one mode, under one objective. Where a step cannot be recorded none is again: memory was too
    small for a second copy of it, or the network asks the CPU for something on its way.
    """

    def __init__(self) -> None:
        self._recordings: dict[Shape, _Recording] = {}
        self._eager: dict[Shape, int] = {}
        self._may_record = True

    def take(self, network: nn.Module, batch: Batch, objective: Objective, micro: MicroBatches) -> Seen:
        """The step's gradients in `network`, and its score; see `take_gradients`."""
        if batch.inputs.device.type != "cuda" or not self._may_record or micro.parts > 1:
            return take_gradients(network, batch, objective, micro)
        shape = (batch.inputs.shape, batch.targets.shape)
        if shape not in self._recordings:
            self._eager[shape] = self._eager.get(shape, 0) + 1
            if self._eager[shape] <= EAGER or len(self._recordings) == MOST:
                return take_gradients(network, batch, objective, micro)
            try:
                self._recordings[shape] = _record(network, batch, objective)
            except RuntimeError:
                self._may_record = False
                self._recordings.clear()
                network.zero_grad(set_to_none=True)
                torch.cuda.empty_cache()
                return take_gradients(network, batch, objective, micro)
        return _play(self._recordings[shape], batch)


def _record(network: nn.Module, batch: Batch, objective: Objective) -> _Recording:
    """Raises RuntimeError where the device has no memory for it, or the step waits for the device."""
    network.zero_grad(set_to_none=True)
    whole = None if batch.whole is None else batch.whole.clone()
    still = Batch(batch.inputs.clone(), batch.targets.clone(), whole)
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):  # nothing is computed yet; gradients and scores get their places
        seen = whole_batch(network, still, objective)
    gradients = tuple((each, each.grad) for each in network.parameters() if each.grad is not None)
    return _Recording(graph, still.inputs, still.targets, still.whole, gradients, seen)


def _play(recording: _Recording, batch: Batch) -> Seen:
    recording.inputs.copy_(batch.inputs)
    recording.targets.copy_(batch.targets)
    if recording.whole is not None and batch.whole is not None:
        recording.whole.copy_(batch.whole)
    recording.graph.replay()
    for parameter, gradient in recording.gradients:
        parameter.grad = gradient
    seen = recording.seen
    images = seen.images.clone() if isinstance(seen.images, Tensor) else seen.images
    return Seen(seen.loss.clone(), seen.right.clone(), images)
