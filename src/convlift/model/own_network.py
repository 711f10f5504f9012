"""A network of the user's own, made as its recipe says: its code, and what was found of it (`look_into.py`)."""

import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.parameter import is_lazy

from convlift.errors import RecipeError, WeightsError
from convlift.model.convolutions import VERY_LEAKY
from convlift.model.keras_network import from_keras, is_keras, with_weights
from convlift.model.source_files import Code, code_of
from convlift.model.source_loader import (
    PERHAPS,
    among_its_siblings,
    load_factory,
    random_as_it_was,
    speaking_aside,
    takes_classes,
)
from convlift.recipe.architecture import Own

ACTIVATIONS: dict[str, Callable[[], nn.Module]] = {
    "relu": nn.ReLU,
    "leaky_relu": lambda: nn.LeakyReLU(0.01),
    "very_leaky_relu": lambda: nn.LeakyReLU(VERY_LEAKY),
    "gelu": nn.GELU,
    "silu": nn.SiLU,
}
# layers that bend each value by itself; those at a network's end (sigmoid, softmax) and gates are none of them
BENDS = (nn.ReLU, nn.ReLU6, nn.LeakyReLU, nn.ELU, nn.SELU, nn.CELU, nn.GELU, nn.SiLU, nn.Hardswish, nn.Mish, nn.PReLU)
NORMALIZES = (nn.modules.batchnorm._NormBase, nn.GroupNorm, nn.LayerNorm, nn.LocalResponseNorm)
TINY = 1e-7


def build_own(architecture: Own, *, classes: int, channels: int, resolution: int) -> nn.Module:
    """images_NCHW, of as many channels as the data have -> logits_NK; the module that the code makes, where it needs no
    change. In channels-last memory, unless it takes only the plain order.

    Raises RecipeError where the code is not what was looked into, may not run, or does not make the network.
    """
    code = code_of(architecture.code)
    if code.digest != architecture.digest:
        raise RecipeError(
            f"network {architecture.code!r} is not the code that was looked into: it, or what it imports, has changed; "
            "give it as it was, or begin anew with --model."
        )
    network = make_network(code, classes)
    network = with_sizes(network, torch.zeros(1, architecture.channels or channels, resolution, resolution))
    network = changed(network, architecture, classes)
    if architecture.memory == "channels_last":
        network = network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    if architecture.outputs == "logits" and architecture.memory == "channels_last" and not architecture.channels:
        return network
    return Adapted(network, architecture)


def make_network(code: Code, classes: int, weights: Path | None = None) -> nn.Module:
    """What the code makes for so many classes, unchanged, on the CPU. Its weights follow torch's generator, also those
    that Python's or numpy's draw, as in Keras; what comes after it follows that, too, whatever seeds the code sets.

    weights: a file that Keras wrote, whose weights a Keras model is given. Raises RecipeError where that is no module,
    WeightsError where they are not its."""
    factory = load_factory(code)
    way = takes_classes(factory)
    seed, later = (int(torch.randint(2**31, ())) for _ in range(2))
    try:
        with speaking_aside(), random_as_it_was(), among_its_siblings(code):
            random.seed(seed)
            np.random.seed(seed)
            torch.manual_seed(seed)
            made = _called(factory, way, classes)
    except (Exception, SystemExit) as error:
        raise RecipeError(
            f"network {code.text!r} cannot be made ({_reason(error)}); is it called as it should be, "
            f"with {'the number of classes' if way is not None else 'nothing'}?"
        ) from error
    torch.manual_seed(later)
    if is_keras(made):
        made = from_keras(made if weights is None else with_weights(made, weights))
    elif weights is not None:
        raise WeightsError(f"--model-weights {weights} are of a Keras model, and network {code.text!r} is none.")
    if not isinstance(made, nn.Module):
        raise RecipeError(
            f"network {code.text!r} makes a {type(made).__name__}; it must make a torch module or a Keras 3 model."
        )
    return made.float().cpu()


def is_fixed(code: Code, classes: int) -> bool:
    """Whether two seeds give the same first weights, as code that loads them, or sets its own seed, does."""
    both = []
    for seed in (1, 2):
        torch.manual_seed(seed)
        both.append([each for each in make_network(code, classes).parameters() if not is_lazy(each)])
    return bool(both[0]) and all(torch.equal(one, other) for one, other in zip(*both, strict=True))


def _called(factory: Callable[..., Any], way: str | None, classes: int) -> Any:
    if way is None:
        return factory()
    if way != PERHAPS:
        return factory(**{way: classes}) if way else factory(classes)
    try:
        return factory(num_classes=classes)
    except TypeError:  # it hands its arguments on to something that knows no such name
        return factory()


def changed(network: nn.Module, architecture: Own, classes: int) -> nn.Module:
    """The same module with the changes that its recipe asks for, in place. Raises RecipeError where one has no place
    in it."""
    if architecture.activation != "own":
        _replace(network, _of(BENDS), lambda _: ACTIVATIONS[architecture.activation]())
    if architecture.normalization == "batch":
        every = [module for module in network.modules() if isinstance(module, nn.Conv2d)]
        before_the_end = {id(each) for each in (every if architecture.last_layer else every[:-1])}
        _replace(network, lambda each: id(each) in before_the_end, normalized)
    if architecture.new_last_layer or architecture.dropout:
        last = _last(network, architecture.last_layer)
        _replace(network, lambda each: each is last, lambda _: _new_last(last, architecture, classes))
    return network


def normalized(convolution: nn.Module) -> nn.Module:
    """A convolution with batch normalization after it."""
    assert isinstance(convolution, nn.Conv2d), "only these are replaced"
    return nn.Sequential(convolution, nn.BatchNorm2d(convolution.out_channels))


def with_sizes(network: nn.Module, images_NCHW: Tensor) -> nn.Module:
    """The same network, where layers leave their sizes to the first images (nn.LazyLinear) with those of these."""
    if any(is_lazy(each) for each in (*network.parameters(), *network.buffers())):
        with torch.no_grad():
            network.eval()(images_NCHW)
        network.train()
    return network


class Adapted(nn.Module):
    """A network that is handed images, and whose outputs are read, in its own way."""

    def __init__(self, network: nn.Module, architecture: Own) -> None:
        super().__init__()
        self.network = network
        self._channels, self._is_plain = architecture.channels, architecture.memory == "plain"
        self._outputs = architecture.outputs

    def forward(self, images_NCHW: Tensor) -> Tensor:
        images = with_channels(images_NCHW, self._channels)
        outputs = self.network(images.contiguous() if self._is_plain else images)
        return as_logits(outputs, self._outputs, images.shape[0])  # len() is a number once it is exported


def with_channels(images_NCHW: Tensor, channels: int) -> Tensor:
    """Grey images as three equal channels, colour images as their luma (ITU-R BT.601), 0 for as they are."""
    own = images_NCHW.shape[1]
    if channels in (0, own):
        return images_NCHW
    if channels == 3:
        return images_NCHW.repeat(1, 3, 1, 1)
    weights = images_NCHW.new_tensor((0.299, 0.587, 0.114)).view(1, 3, 1, 1)
    return (images_NCHW * weights).sum(dim=1, keepdim=True)


def as_logits(outputs: Any, kind: str, images: int) -> Tensor:
    """What a network gives for so many images, as logits (N, K); see `Own.outputs`."""
    scores: Tensor = getattr(outputs, "logits", outputs)
    values = scores.reshape(images, -1)
    if kind == "probabilities":
        return values.clamp_min(TINY).log()
    if kind == "sigmoids":
        return values.clamp(TINY, 1 - TINY).logit()
    if kind == "one_logit":
        return torch.cat([torch.zeros_like(values), values], dim=1)
    if kind == "one_probability":
        return torch.cat([1 - values, values], dim=1).clamp_min(TINY).log()
    return values


def _of(kinds: tuple[type[nn.Module], ...]) -> Callable[[nn.Module], bool]:
    return lambda module: isinstance(module, kinds)


def _replace(network: nn.Module, is_meant: Callable[[nn.Module], bool], make: Callable[[nn.Module], nn.Module]) -> None:
    """Every layer that is meant, wherever it stands; one that stands in two places is the same one in both again."""
    made: dict[int, nn.Module] = {}
    for parent in list(network.modules()):
        for name, child in list(parent._modules.items()):  # named_children() leaves out what has a second name
            if child is not None and is_meant(child):
                if id(child) not in made:
                    made[id(child)] = make(child)
                setattr(parent, name, made[id(child)])


def _last(network: nn.Module, path: str) -> nn.Linear:
    try:
        last = network.get_submodule(path)
    except AttributeError:
        raise RecipeError(f"'architecture.last_layer' is {path!r}: there is no such layer.") from None
    if not isinstance(last, nn.Linear):
        raise RecipeError(f"'architecture.last_layer' is {path!r}: it must be a linear layer.")
    return last


def _new_last(last: nn.Linear, architecture: Own, classes: int) -> nn.Module:
    if architecture.new_last_layer:
        last = nn.Linear(last.in_features, classes, bias=last.bias is not None)
    return nn.Sequential(nn.Dropout(architecture.dropout), last) if architecture.dropout else last


def _reason(error: BaseException) -> str:
    return " ".join(f"{type(error).__name__}: {error}".split())[:300]
