"""What a network costs, before a single image is seen: parameters and multiply-adds."""

from functools import lru_cache
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.overrides import TorchFunctionMode

from convlift.errors import RecipeError
from convlift.model.attention import SelfAttention
from convlift.model.build import build_network
from convlift.recipe.architecture import Architecture, ConvNet, Own, Pretrained

# functions that leave shapes alone and cost nothing here; on the meta device each takes a hundred times as long as a
# convolution, because torch composes it of others, in Python
SHAPELESS = frozenset((
    functional.batch_norm, functional.relu, functional.relu6, functional.hardtanh, functional.hardswish,
    functional.hardsigmoid, functional.silu, functional.gelu, functional.leaky_relu, functional.elu, torch.relu,
    torch.relu_, torch.sigmoid, Tensor.sigmoid, Tensor.relu, Tensor.relu_,
))  # fmt: skip


class _OnlyShapes(TorchFunctionMode):
    """Within it, what is SHAPELESS hands on what it is given."""

    def __torch_function__(self, function: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        return args[0] if args and function in SHAPELESS else function(*args, **(kwargs or {}))


class Cost(NamedTuple):
    """What a network costs.

    parameters: how many numbers are learned.
    multiply_adds: of one forward pass of one image.
    """

    parameters: int
    multiply_adds: int


@lru_cache(maxsize=4096)
def cost(
    architecture: Architecture, *, classes: int, channels: int, resolution: int, stages: int | None = None
) -> Cost:
    """The cost of the network that `build_network` would give; no pretrained weights are read, no image is computed.

    stages: count only the last `stages` stages of a pretrained backbone, and the head.

    The forward pass runs on torch's meta device, where tensors have shapes and no contents. The global random
    generator is left as it was. Raises RecipeError where the architecture does not fit the resolution.
    """
    shape = (1, channels, resolution, resolution)
    with torch.random.fork_rng(devices=[]):
        if isinstance(architecture, ConvNet):
            with torch.device("meta"):
                network = build_network(architecture, classes=classes, channels=channels, resolution=resolution)
        else:
            # backbones are told apart into stages by what they compute, so they are built for real and then emptied
            is_pretrained = isinstance(architecture, Pretrained)
            random = architecture.model_copy(update={"weights": "random"}) if is_pretrained else architecture
            network = build_network(random, classes=classes, channels=channels, resolution=resolution)
            if isinstance(architecture, Own):
                return _measure_own(network, shape, architecture.code)
    counted = network
    if stages is not None:
        from convlift.model.pretrained import Classifier, Tail

        assert isinstance(network, Classifier), "only a pretrained network has stages that are trained alone"
        counted = Tail(network, stages)
    with _OnlyShapes():
        return measure(network.to("meta"), torch.empty(shape, device="meta"), counted)


def _measure_own(network: nn.Module, shape: tuple[int, ...], code: str) -> Cost:
    """The same of somebody else's code, for real: it may look at values, which nothing has on the meta device."""
    try:
        return measure(network, torch.zeros(shape))
    except Exception as error:  # whatever it raises for images that are too small for it
        reason = " ".join(f"{type(error).__name__}: {error}".split())[:300]
        raise RecipeError(
            f"network {code!r} takes no images of {shape[2]} x {shape[3]} pixels ({reason}); choose another "
            "'data.resolution'."
        ) from error


def measure(network: nn.Module, images_NCHW: Tensor, counted: nn.Module | None = None) -> Cost:
    """The cost of a network by one forward pass, per image; what is neither convolution, product nor attention is free.

    counted: a part of the network, to count that part alone.

    The network is left in evaluation mode.
    """
    multiply_adds = 0

    def count(module: nn.Module, _inputs: Any, output: Tensor) -> None:
        nonlocal multiply_adds
        if isinstance(module, nn.Conv1d | nn.Conv2d | nn.Linear):
            # a kernel's numbers, less those that choose the output: the inputs that one output number sums over
            multiply_adds += output.numel() * module.weight[0].numel()
        elif isinstance(module, SelfAttention):
            multiply_adds += module.multiply_adds() * len(output)

    counted = network if counted is None else counted
    hooks = [module.register_forward_hook(count) for module in counted.modules()]
    try:
        with torch.no_grad():
            network.eval()(images_NCHW)
    finally:
        for hook in hooks:
            hook.remove()
    parameters = sum(parameter.numel() for parameter in counted.parameters())
    return Cost(parameters, multiply_adds // len(images_NCHW))
