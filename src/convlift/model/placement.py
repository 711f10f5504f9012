"""Networks on the device that computes with them."""

from typing import TypeVar

import torch
from torch import Tensor, nn

Network = TypeVar("Network", bound=nn.Module)


def lay_on(network: Network, place: torch.device) -> Network:
    """Move a network to a device, in place; on CUDA its depthwise convolutions compute in plain NCHW order.

    cuDNN has no ready kernel for a depthwise convolution in channels-last order and bfloat16: it compiles one for every
    shape, in every process. EfficientNet-Lite0's first step on an H200 took 8 to 21 s for each size of image so, and
    with torch's own kernels, which take the plain order alone, a second at most (docs/decisions/0039).
    """
    network.to(place)
    if place.type == "cuda":
        convolve_in_plain_order(network)
    return network


def convolve_in_plain_order(network: nn.Module) -> None:
    """Let every depthwise convolution read NCHW memory and give channels-last memory, whatever it is given."""
    for module in network.modules():
        if isinstance(module, nn.Conv2d) and 1 < module.groups == module.in_channels:
            _order_weight(module)
            module.register_forward_pre_hook(_to_plain_order)
            module.register_forward_hook(_to_channels_last)


def _order_weight(module: nn.Conv2d) -> None:
    """(C, 1, k, k) is of both orders at once: cuDNN is asked wherever the strides are those of channels-last memory."""
    weight = module.weight
    if weight.stride(1) == 1 < weight[0].numel():
        weight.data = weight.data.flatten(1).view(weight.shape)


def _to_plain_order(module: nn.Module, inputs: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
    assert isinstance(module, nn.Conv2d), "only these are hooked"
    _order_weight(module)  # folding made another one of it
    return (inputs[0].contiguous(), *inputs[1:])


def _to_channels_last(_module: nn.Module, _inputs: object, maps_NCHW: Tensor) -> Tensor:
    return maps_NCHW.contiguous(memory_format=torch.channels_last)
