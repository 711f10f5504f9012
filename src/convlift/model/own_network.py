"""A network of the user's own, made as its recipe says: its code, and what was found of it (`look_into.py`)."""

import contextlib
import random
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.parameter import is_lazy

from convlift.errors import RecipeError
from convlift.model.keras_network import from_keras, is_keras
from convlift.model.source_files import Code, code_of
from convlift.model.source_loader import PERHAPS, load_factory, speaking_aside, takes_classes
from convlift.recipe.architecture import Own

ACTIVATIONS: dict[str, Callable[[], nn.Module]] = {
    "relu": nn.ReLU,
    "leaky_relu": lambda: nn.LeakyReLU(0.01),
    "gelu": nn.GELU,
    "silu": nn.SiLU,
}
# layers that bend each value by itself; those at a network's end (sigmoid, softmax) and gates are none of them
BENDS = (nn.ReLU, nn.ReLU6, nn.LeakyReLU, nn.ELU, nn.SELU, nn.CELU, nn.GELU, nn.SiLU, nn.Hardswish, nn.Mish, nn.PReLU)
NORMALIZES = (nn.modules.batchnorm._NormBase, nn.GroupNorm, nn.LayerNorm, nn.LocalResponseNorm)
TINY = 1e-7


def build_own(architecture: Own, classes: int) -> nn.Module:
    """images_NCHW, of as many channels as the data have -> logits_NK; the module that the code makes, where it needs no
    change. In channels-last memory, unless it takes only the plain order.

    Raises RecipeError where the code is not what was looked into, or does not make the network.
    """
    code = code_of(architecture.code)
    if architecture.digest and code.digest != architecture.digest:
        raise RecipeError(
            f"network {architecture.code!r} is no longer the code that was looked into: it, or what it imports, has "
            "changed; give it as it was, or begin anew with --model."
        )
    network = changed(make_network(code, classes), architecture, classes)
    if architecture.memory == "channels_last":
        network = network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    if architecture.outputs == "logits" and architecture.memory == "channels_last" and not architecture.channels:
        return network
    return Adapted(network, architecture)


def make_network(code: Code, classes: int) -> nn.Module:
    """What the code makes for so many classes, unchanged. Raises RecipeError where that is no module."""
    factory = load_factory(code)
    way = takes_classes(factory)
    try:
        with speaking_aside(), _seeded():
            made = _called(factory, way, classes)
    except (Exception, SystemExit) as error:
        raise RecipeError(
            f"network {code.text!r} cannot be made ({_reason(error)}); is it called as it should be, "
            f"with {'the number of classes' if way is not None else 'nothing'}?"
        ) from error
    if is_keras(made):
        made = from_keras(made)
    if not isinstance(made, nn.Module):
        raise RecipeError(
            f"network {code.text!r} makes a {type(made).__name__}; it must make a torch module or a Keras 3 model."
        )
    return made.float()


def _called(factory: Callable[..., Any], way: str | None, classes: int) -> Any:
    if way is None:
        return factory()
    if way != PERHAPS:
        return factory(**{way: classes}) if way else factory(classes)
    try:
        return factory(num_classes=classes)
    except TypeError:  # it hands its arguments on to something that knows no such name
        return factory()


@contextlib.contextmanager
def _seeded() -> Iterator[None]:
    """Weights follow torch's generator, also those that Python's or numpy's draw, as in Keras; both are put back."""
    with torch.random.fork_rng(devices=[]):  # a look at what comes next, which is not taken
        seed = int(torch.randint(2**31, ()))
    before, before_numpy = random.getstate(), np.random.get_state()
    random.seed(seed)
    np.random.seed(seed)
    try:
        yield
    finally:
        random.setstate(before)
        np.random.set_state(before_numpy)


def changed(network: nn.Module, architecture: Own, classes: int) -> nn.Module:
    """The same module with the changes that its recipe asks for, in place. Raises RecipeError where one has no place
    in it."""
    if architecture.activation != "own":
        _replace(network, BENDS, lambda _: ACTIVATIONS[architecture.activation]())
    if architecture.normalization == "batch":
        every = [module for module in network.modules() if isinstance(module, nn.Conv2d)]
        before_the_end = {id(each) for each in (every if architecture.last_layer else every[:-1])}
        _replace(network, (nn.Conv2d,), lambda each: normalized(each) if id(each) in before_the_end else each)
    if architecture.new_last_layer or architecture.dropout:
        _change_last(network, architecture, classes)
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
        return as_logits(self.network(images.contiguous() if self._is_plain else images), self._outputs)


def with_channels(images_NCHW: Tensor, channels: int) -> Tensor:
    """Grey images as three equal channels, colour images as their luma (ITU-R BT.601), 0 for as they are."""
    own = images_NCHW.shape[1]
    if channels in (0, own):
        return images_NCHW
    if channels == 3:
        return images_NCHW.repeat(1, 3, 1, 1)
    weights = images_NCHW.new_tensor((0.299, 0.587, 0.114)).view(1, 3, 1, 1)
    return (images_NCHW * weights).sum(dim=1, keepdim=True)


def as_logits(outputs: Any, kind: str) -> Tensor:
    """What a network gives, as logits (N, K); see `Own.outputs`."""
    values: Tensor = getattr(outputs, "logits", outputs).flatten(1)
    if kind == "probabilities":
        return values.clamp_min(TINY).log()
    if kind == "sigmoids":
        return values.clamp(TINY, 1 - TINY).logit()
    if kind == "one_logit":
        return torch.cat([torch.zeros_like(values), values], dim=1)
    if kind == "one_probability":
        return torch.cat([1 - values, values], dim=1).clamp_min(TINY).log()
    return values


def _replace(network: nn.Module, kinds: tuple[type[nn.Module], ...], make: Callable[[nn.Module], nn.Module]) -> None:
    """Every layer of these kinds, wherever it stands; one that stands in two places is the same one in both again."""
    made: dict[int, nn.Module] = {}
    for parent in list(network.modules()):
        for name, child in list(parent._modules.items()):  # named_children() leaves out what has a second name
            if isinstance(child, kinds):
                setattr(parent, name, made.setdefault(id(child), make(child)))


def _change_last(network: nn.Module, architecture: Own, classes: int) -> None:
    above, _, name = architecture.last_layer.rpartition(".")
    try:
        parent = network.get_submodule(above)
        last = parent.get_submodule(name)
    except AttributeError:
        raise RecipeError(
            f"'architecture.last_layer' is {architecture.last_layer!r}: there is no such layer."
        ) from None
    if not isinstance(last, nn.Linear):
        raise RecipeError(f"'architecture.last_layer' is {architecture.last_layer!r}: it must be a linear layer.")
    if architecture.new_last_layer:
        last = nn.Linear(last.in_features, classes, bias=last.bias is not None)
    changed = nn.Sequential(nn.Dropout(architecture.dropout), last) if architecture.dropout else last
    setattr(parent, name, changed)


def _reason(error: BaseException) -> str:
    return " ".join(f"{type(error).__name__}: {error}".split())[:300]
