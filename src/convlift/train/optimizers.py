"""The rules that turn gradients into steps, and the two ways of keeping weights small.

l2          adds l2 * sum(w^2) to the loss, as Keras does, without a factor 1/2: its gradient is 2 * l2 * w. That is
            torch's own `weight_decay` set to 2 * l2, which spares the term and its backward pass. The gradient then
            passes through momentum and Adam's scaling like any other.
weight_decay  decoupled: before the step w shrinks by learning_rate * weight_decay * w, past momentum and scaling
            (Loshchilov and Hutter 2019, algorithms 1 and 2), for every rule alike. So adam with it is adamw.
"""

from collections.abc import Iterator, Mapping
from types import MappingProxyType
from typing import Any

import torch
from torch import nn
from torch.optim import Optimizer

from convlift.recipe.training import Training

NO_FACTORS: Mapping[nn.Parameter, float] = MappingProxyType({})
FUSED = ("cpu", "cuda", "mps")


def make_optimizer(
    network: nn.Module, training: Training, factors: Mapping[nn.Parameter, float] = NO_FACTORS
) -> Optimizer:
    """An optimizer over the parameters of `network` that require a gradient. factors: on the learning rate of some.

    Adam and SGD run fused, also on a CPU: 2 to 12 times faster than torch's default there, and as deterministic. Where
    a device has no fused ones, torch's default does the same.
    RMSprop averages over about ten steps (0.9: Tieleman and Hinton 2012, and Keras; torch's own default is 0.99).
    """
    groups = parameter_groups(network, training, factors)
    rate, momentum = training.learning_rate, training.momentum
    fused = all(parameter.device.type in FUSED for group in groups for parameter in group["params"]) or None
    match training.optimizer:
        case "sgd":
            nesterov = training.nesterov and momentum > 0
            optimizer: Optimizer = torch.optim.SGD(groups, lr=rate, momentum=momentum, nesterov=nesterov, fused=fused)
        case "adam" | "adamw":
            optimizer = torch.optim.Adam(groups, lr=rate, fused=fused)
        case "rmsprop":
            optimizer = torch.optim.RMSprop(groups, lr=rate, alpha=0.9, momentum=momentum)
    if training.weight_decay:
        optimizer.register_step_pre_hook(_shrink)
    return optimizer


def parameter_groups(
    network: nn.Module, training: Training, factors: Mapping[nn.Parameter, float] = NO_FACTORS
) -> list[dict[str, Any]]:
    """Parameters with the same rate and penalties together: `params`, `lr`, `weight_decay` (2 * l2) and `shrinkage`
    (decoupled).

    Biases and normalization weights (one dimension or none) have neither, unless the recipe sets it: they are few
    and carry no capacity (He et al. 2019, section 3.1).
    """
    convolutional = set(_convolution_parameters(network))
    groups: dict[tuple[float, float, float], list[nn.Parameter]] = {}
    for parameter in network.parameters():
        if parameter.requires_grad:
            penalized = parameter.ndim > 1 or training.decay_norms_and_biases
            in_l2 = penalized and (training.l2_layers == "all" or parameter in convolutional)
            rate = training.learning_rate * factors.get(parameter, 1.0)
            key = (rate, 2 * training.l2 * in_l2, training.weight_decay * penalized)
            groups.setdefault(key, []).append(parameter)
    return [
        {"params": parameters, "lr": rate, "weight_decay": l2, "shrinkage": shrinkage}
        for (rate, l2, shrinkage), parameters in groups.items()
    ]


def _convolution_parameters(network: nn.Module) -> Iterator[nn.Parameter]:
    for module in network.modules():
        if isinstance(module, nn.Conv2d):
            yield from module.parameters()


@torch.no_grad()
def _shrink(optimizer: Optimizer, _arguments: Any, _named: Any) -> None:
    for group in optimizer.param_groups:
        # a parameter without a gradient takes no step, so it does not shrink either
        moving = [parameter for parameter in group["params"] if parameter.grad is not None]
        if group["shrinkage"] and moving:
            torch._foreach_mul_(moving, 1 - group["lr"] * group["shrinkage"])
