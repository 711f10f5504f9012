"""Depthwise convolutions in plain order: the same numbers, gradients and saved weights."""

import copy

import torch
from torch import Tensor, nn

from convlift.features.folding import fold
from convlift.model.placement import convolve_in_plain_order, lay_on

IMAGES = torch.linspace(-1.0, 1.0, 2 * 8 * 12 * 12).sin().view(2, 8, 12, 12)


def _network() -> nn.Module:
    torch.manual_seed(0)
    layers = nn.Sequential(
        nn.Conv2d(8, 16, 1),
        nn.Conv2d(16, 16, 3, groups=16, padding=1, bias=False),
        nn.BatchNorm2d(16),
        nn.Conv2d(16, 4, 1),
    )
    return layers.to(memory_format=torch.channels_last)  # type: ignore[call-overload, no-any-return]


def _gradients(network: nn.Module) -> list[Tensor]:
    network(IMAGES).square().sum().backward()
    return [parameter.grad for parameter in network.parameters() if parameter.grad is not None]


def test_a_network_computes_the_same_in_plain_order() -> None:
    network = _network()
    plain = copy.deepcopy(network)
    convolve_in_plain_order(plain)
    assert torch.allclose(plain(IMAGES), network(IMAGES), atol=1e-6)
    for mine, theirs in zip(_gradients(plain), _gradients(network), strict=True):
        assert torch.allclose(mine, theirs, rtol=1e-3, atol=1e-3)
    assert list(plain.state_dict()) == list(network.state_dict())


def test_its_depthwise_convolution_reads_plain_order_and_gives_channels_last() -> None:
    network = _network()
    convolve_in_plain_order(network)
    depthwise = network[1]  # type: ignore[index]
    seen: list[Tensor] = []
    depthwise.register_forward_pre_hook(lambda _module, inputs: seen.append(inputs[0]))
    given: list[Tensor] = []
    depthwise.register_forward_hook(lambda _module, _inputs, output: given.append(output))
    network(IMAGES)
    assert seen[0].stride() == (16 * 144, 144, 12, 1)
    assert given[0].is_contiguous(memory_format=torch.channels_last)
    assert depthwise.weight.stride(1) == 9


def test_a_folded_copy_computes_in_plain_order_too() -> None:
    network = _network().eval()
    convolve_in_plain_order(network)
    folded = fold(network, IMAGES)
    assert torch.allclose(folded(IMAGES), network(IMAGES), atol=1e-5)
    assert folded[1].weight.stride(1) == 9  # type: ignore[index]


def test_on_a_cpu_nothing_is_changed() -> None:
    network = _network()
    assert lay_on(network, torch.device("cpu")) is network
    assert network[1].weight.stride(1) == 1  # type: ignore[index]
    assert not network[1]._forward_hooks  # type: ignore[index]
