"""The running average of the weights: its formula, its batch norms, and what a training leaves."""

import numpy as np
import torch
from torch import nn

from convlift.train.averaging import WARM_UP, AveragedWeights


def network() -> nn.Sequential:
    torch.manual_seed(0)
    return nn.Sequential(nn.Conv2d(1, 2, 3), nn.BatchNorm2d(2), nn.Flatten(), nn.Linear(8, 2))


def test_it_is_the_exponential_average_of_all_steps() -> None:
    net, decay = network(), 0.5
    average = AveragedWeights(net, decay)
    weight = net[0].weight
    expected = weight.detach().clone().numpy()
    optimizer = torch.optim.SGD(net.parameters(), lr=0.1)
    average.follow(optimizer)
    for step in range(1, 30):
        optimizer.zero_grad()
        net(torch.randn(4, 1, 4, 4)).square().sum().backward()
        optimizer.step()
        keep = min(decay, (1 + step) / (WARM_UP + step))
        expected = keep * expected + (1 - keep) * weight.detach().numpy()
    last = weight.detach().clone()
    average.put()
    np.testing.assert_allclose(weight.detach().numpy(), expected, rtol=1e-5, atol=1e-6)
    assert not torch.equal(weight, last)


def test_running_statistics_are_averaged_and_counters_are_not() -> None:
    net = network()
    average = AveragedWeights(net, 0.9)
    net.train()
    for _ in range(3):
        net(torch.randn(8, 1, 4, 4) + 5.0)
        average.update()
    counted = net[1].num_batches_tracked.clone()
    latest = net[1].running_mean.clone()
    average.put()
    assert torch.equal(net[1].num_batches_tracked, counted)
    assert (net[1].running_mean.abs() < latest.abs()).all()
