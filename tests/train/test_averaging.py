"""The running average of the weights: its formula, its batch norms, and what a training leaves."""

import numpy as np
import torch
from torch import nn

from convlift.train.averaging import WARM_UP, AveragedWeights, alike, exponential


def network() -> nn.Sequential:
    torch.manual_seed(0)
    return nn.Sequential(nn.Conv2d(1, 2, 3), nn.BatchNorm2d(2), nn.Flatten(), nn.Linear(8, 2))


def test_it_is_the_exponential_average_of_all_steps() -> None:
    net, decay = network(), 0.5
    average = AveragedWeights(net, exponential(decay))
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
    average = AveragedWeights(net, exponential(0.9))
    net.train()
    for _ in range(3):
        net(torch.randn(8, 1, 4, 4) + 5.0)
        average.update()
    counted = net[1].num_batches_tracked.clone()
    latest = net[1].running_mean.clone()
    average.put()
    assert torch.equal(net[1].num_batches_tracked, counted)
    assert (net[1].running_mean.abs() < latest.abs()).all()


def test_all_weights_from_where_it_begins_count_alike() -> None:
    net = network()
    weight, begun, taken = net[0].weight, False, []
    average = AveragedWeights(net, alike, lambda: begun)
    for step in range(8):
        with torch.no_grad():
            weight.normal_()
        begun = step == 3  # asked until it begins, not after
        average.update()
        if step >= 3:
            taken.append(weight.detach().clone())
    average.put()
    torch.testing.assert_close(weight.detach(), torch.stack(taken).mean(0))


def test_an_average_of_nothing_leaves_the_network_as_it_is() -> None:
    net = network()
    average = AveragedWeights(net, alike, lambda: False)
    with torch.no_grad():
        net[0].weight.normal_()
    last = net[0].weight.detach().clone()
    average.update()
    average.put()
    assert torch.equal(net[0].weight, last)


def test_it_is_shown_for_a_look_and_taken_away_again() -> None:
    net = network()
    average = AveragedWeights(net, alike)
    first = net[0].weight.detach().clone()
    average.update()
    with torch.no_grad():
        net[0].weight.add_(2.0)
    average.update()
    last = {name: each.clone() for name, each in net.state_dict().items()}
    with average.shown():
        torch.testing.assert_close(net[0].weight.detach(), first + 1.0)
    assert all(torch.equal(each, last[name]) for name, each in net.state_dict().items())
