"""Recorded steps: where they are not played, they are steps as ever. What CUDA plays is seen by benchmarks/gpu.py."""

import torch
from torch import nn

from convlift.train.batch import Batch
from convlift.train.micro_batches import MicroBatches
from convlift.train.objectives import CrossEntropy
from convlift.train.recorded_steps import RecordedSteps
from convlift.train.step import take_gradients


def test_on_a_cpu_nothing_is_recorded() -> None:
    torch.manual_seed(0)
    network, batch = nn.Linear(4, 3), Batch(torch.randn(8, 4), torch.randint(3, (8,)))
    expected = take_gradients(network, batch, CrossEntropy(), MicroBatches())
    gradient = network.weight.grad
    assert gradient is not None
    steps = RecordedSteps()
    for _ in range(9):
        network.zero_grad(set_to_none=True)
        seen = steps.take(network, batch, CrossEntropy(), MicroBatches())
        assert network.weight.grad is not None
        assert torch.equal(network.weight.grad, gradient)
        assert (float(seen.loss), int(seen.right)) == (float(expected.loss), int(expected.right))
