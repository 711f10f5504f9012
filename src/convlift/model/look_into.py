"""What a network of the user's own is, found by making it and showing it images: what it takes and what it gives.

Nothing is trained. What is found goes into its recipe (`recipe.architecture.Own`), which makes it again.
"""

import copy
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from torch.nn.parameter import is_lazy

from convlift.errors import RecipeError
from convlift.model.keras_network import FromKeras, Told
from convlift.model.own_network import BENDS, NORMALIZES, build_own, changed, is_fixed, make_network, with_sizes
from convlift.model.source_files import Code, code_of
from convlift.model.source_loader import brought_from_outside, speaking_aside
from convlift.recipe.architecture import Own
from convlift.recipe.data import is_bands

SIDES = (28, 32, 48, 64, 96, 112, 128, 150, 160, 180, 192, 200, 224, 227, 240, 256, 260, 288, 299, 300, 320, 331, 384)
BATCH = 4
ALIKE = 1e-4  # sums of probabilities
LARGE = 1e3  # by which weights are multiplied so that no logit stays near zero
# how each change of architecture is tried
TRIED = {"dropout": 0.5, "activation": "silu", "normalization": "batch"}


class LookedInto(NamedTuple):
    """What was found of a network.

    own: its architecture; side: of the images that it gets, in pixels; told: what it says of its training, which a
    Keras model does.
    is_fixed: whether it has the same first weights whatever the seed; outside: what it imports that nobody keeps.
    """

    own: Own
    side: int
    told: Told
    is_fixed: bool
    outside: tuple[str, ...]


@dataclass(frozen=True)
class _Seen:
    """What came of showing images.

    outputs: (N, D); last_layer: the path of the linear layer that gave them, "" for none.
    is_bare: whether nothing came after that layer; is_inner: whether they lay in an object or in more dimensions.
    """

    outputs: Tensor
    last_layer: str
    is_bare: bool
    is_inner: bool


def look_into(text: str, *, classes: int, channels: int, side: int) -> LookedInto:
    """What the code makes. text: see `Own.code`, of code that may run; channels: of the data; side: that its images
    would have, in pixels, if it takes them.

    The global random generator is left as it was. Raises RecipeError where it cannot be made, takes none of the usual
    sizes, or gives no scores of so many classes.
    """
    code = code_of(text)
    with torch.random.fork_rng(devices=[]), speaking_aside():
        torch.manual_seed(0)
        network = make_network(code, classes).eval()
        if not any(parameter.requires_grad for parameter in network.parameters()):
            raise RecipeError(f"network {text!r} has no weights that can be trained.")
        told = network.told if isinstance(network, FromKeras) else Told()
        own, sides = _images(code, network, channels, told.side or side)
        found = Own(
            code=text,
            digest=code.digest,
            channels=0 if own == channels else own,
            side=sides[0] if len(sides) == 1 else 0,
        )
        network = with_sizes(network, torch.zeros(1, own, sides[0], sides[0])).eval()
        found = _with_outputs(code, network, found, classes, (own, sides[0]))
        found = _in_its_order(found, classes, channels, sides[0])
        found = found.model_copy(update={"changes": tuple(_changes(network, found, classes, channels, sides[0]))})
        return LookedInto(found, sides[0], told, is_fixed(code, classes), brought_from_outside(code))


def _images(code: Code, network: nn.Module, channels: int, side: int) -> tuple[int, tuple[int, ...]]:
    """Channels and sides (see `_sides`) of the images that it takes: those of the data if it does; grey images can be
    shown as colour ones and the other way round, bands as nothing else."""
    for own in dict.fromkeys((channels, 3, 1)):
        if sides := _sides(network, own, side):
            if own != channels and is_bands(channels):
                raise RecipeError(
                    f"network {code.text!r} takes images of {own} channel{'s' if own > 1 else ''}, and the data have "
                    f"{channels} bands; let its first layer take {channels}, or leave out the other bands."
                )
            return own, sides
    first = next((module for module in network.modules() if isinstance(module, nn.Conv2d)), None)
    own = first.in_channels if first is not None and first.in_channels in (1, 3) else channels
    raise _none_taken(code, network, own, side)


def _sides(network: nn.Module, channels: int, side: int) -> tuple[int, ...]:
    """Sides of the images that it takes: (side, another one) where it takes more than one, (the nearest,) where only
    one, () where none of those that are tried."""
    for each in (side, *sorted(SIDES, key=lambda each: abs(each - side))):
        if _shown(network, channels, each) is not None:
            # one that is too deep for small images takes larger ones all the same
            return (each, each + 32) if _shown(network, channels, each + 32) is not None else (each,)
    return ()


def _shown(network: nn.Module, channels: int, side: int) -> _Seen | None:
    """What it makes of images of this side; None where it does not take them."""
    if any(is_lazy(each) for each in (*network.parameters(), *network.buffers())):
        network = copy.deepcopy(network)  # what it sees first settles its sizes
    ran: list[tuple[str, Tensor]] = []

    def keep(path: str) -> Callable[[nn.Module, Any, Tensor], None]:
        return lambda module, given, output: ran.append((path, output))

    linear = {name: module for name, module in network.named_modules() if isinstance(module, nn.Linear)}
    hooks = [module.register_forward_hook(keep(name)) for name, module in linear.items()]
    try:
        with torch.no_grad(), torch.random.fork_rng(devices=[]):
            torch.manual_seed(0)
            given = network(torch.rand(BATCH, channels, side, side))
            outputs = _tensor(given)
    except Exception:  # whatever a network that was made for other images raises
        return None
    finally:
        for hook in hooks:
            hook.remove()
    if outputs is None or not outputs.ndim or len(outputs) != BATCH:
        return None
    flat = outputs.reshape(BATCH, -1)
    name, last = ran[-1] if ran and ran[-1][1].numel() == flat.numel() else ("", None)
    is_bare = last is not None and torch.equal(last.reshape(BATCH, -1), flat)
    return _Seen(flat, name, is_bare, outputs is not given or outputs.ndim != 2)


def _tensor(outputs: Any) -> Tensor | None:
    """The scores; None for what holds none, such as a tuple."""
    found = getattr(outputs, "logits", outputs)
    return found if isinstance(found, Tensor) and found.is_floating_point() else None


def _with_outputs(code: Code, network: nn.Module, found: Own, classes: int, shape: tuple[int, int]) -> Own:
    """With its last layer, and what it ends with, also where that layer has to be another one. shape: channels and
    side of the images."""
    seen = _shown(network, *shape)
    assert seen is not None, "it took images of this side"
    name = seen.last_layer if seen.is_bare or _decides(network, seen, shape) else ""
    found, width = found.model_copy(update={"last_layer": name}), seen.outputs.shape[1]
    if width not in (classes, 1 if classes == 2 else classes):
        if not name:
            raise RecipeError(
                f"network {code.text!r} gives {width} scores, and the data have {classes} classes; let it take the "
                "number of classes, as in make(classes)."
            )
        found = found.model_copy(update={"new_last_layer": True})
        network = changed(network, found, classes).eval()
        seen = _shown(network, *shape)
        if seen is None or seen.outputs.shape[1] != classes:
            raise RecipeError(
                f"network {code.text!r} gives {width} scores also with another last layer, {name}, and the data have "
                f"{classes} classes; let it take the number of classes, as in make(classes)."
            )
    return found.model_copy(update={"outputs": _kind(seen, is_bounded=_is_bounded(network, seen, shape))})


def _kind(seen: _Seen, *, is_bounded: bool) -> str:
    """Of `Own.outputs`."""
    values = seen.outputs
    if values.shape[1] == 1:
        return "one_probability" if is_bounded else "one_logit"
    if is_bounded:
        return "probabilities" if bool(((values.sum(dim=1) - 1).abs() < ALIKE).all()) else "sigmoids"
    return "inner_logits" if seen.is_inner else "logits"


@contextmanager
def _multiplied(parameters: list[nn.Parameter], factor: float) -> Iterator[None]:
    """With these weights multiplied for a while."""
    kept = [parameter.detach().clone() for parameter in parameters]
    with torch.no_grad():
        for parameter in parameters:
            parameter.mul_(factor)
    try:
        yield
    finally:
        with torch.no_grad():
            for parameter, before in zip(parameters, kept, strict=True):
                parameter.copy_(before)


def _is_bounded(network: nn.Module, seen: _Seen, shape: tuple[int, int]) -> bool:
    """Whether its outputs lie in [0, 1] whatever its weights are: those of first weights may do so by chance."""
    if seen.is_bare:
        return False
    every = [seen]
    for factor in (LARGE, -LARGE, -1.0):
        with _multiplied(list(network.parameters()), factor):
            every += [each for each in [_shown(network, *shape)] if each is not None]
    values = torch.cat([each.outputs for each in every])
    return not bool(((values < 0) | (values > 1)).any())  # NaN is what a sigmoid or softmax may make of too much


def _decides(network: nn.Module, seen: _Seen, shape: tuple[int, int]) -> bool:
    """Whether a linear layer's outputs are those of the network, but for a function that keeps their order: turned
    around, they turn around what the network gives. A gate in its middle does not do that."""
    if not seen.last_layer:
        return False
    layer = network.get_submodule(seen.last_layer)
    with _multiplied(list(layer.parameters()), -1.0):
        turned = _shown(network, *shape)
    if turned is None or not bool(torch.isfinite(turned.outputs).all()):
        return False
    if seen.outputs.shape[1] == 1:
        middle = 0.5 if float(seen.outputs.min()) >= 0 and float(seen.outputs.max()) <= 1 else 0.0
        return bool(((seen.outputs - middle) * (turned.outputs - middle) <= 0).all())
    return torch.equal(seen.outputs.argsort(dim=1), turned.outputs.argsort(dim=1, descending=True))


def _changes(network: nn.Module, found: Own, classes: int, channels: int, side: int) -> Iterator[str]:
    """Which changes of architecture it can have: those that have a place, can be trained, and change what it gives."""
    has_place = {
        "dropout": bool(found.last_layer),
        "activation": any(isinstance(module, BENDS) for module in network.modules()),
        "normalization": not any(isinstance(module, NORMALIZES) for module in network.modules()),
    }
    plain = _trained(found, classes, channels, side)
    for name in TRIED:
        if not has_place[name]:
            continue
        try:
            other = _trained(found.model_copy(update={name: TRIED[name]}), classes, channels, side)
        except Exception:  # somebody else's code, which may reach into a layer by name
            continue
        if not torch.equal(plain, other):
            yield name


def _trained(found: Own, classes: int, channels: int, side: int) -> Tensor:
    """Its logits in training, after one backward pass. Raises whatever the code raises, ValueError for other shapes."""
    torch.manual_seed(0)
    network = build_own(found, classes=classes, channels=channels, resolution=side).train()
    images = torch.rand(BATCH, channels, side, side).contiguous(memory_format=torch.channels_last)
    torch.manual_seed(1)
    logits = _checked(network(images), (BATCH, classes), "in training")
    nn.functional.cross_entropy(logits, torch.arange(BATCH) % classes).backward()
    with torch.no_grad():  # a network that squeezes its outputs loses the row of an image alone
        _checked(network.eval()(images[:1]), (1, classes), "for one image")
    return logits.detach()


def _checked(logits: Any, shape: tuple[int, int], when: str) -> Tensor:
    if not isinstance(logits, Tensor) or logits.shape != shape:
        what = tuple(logits.shape) if isinstance(logits, Tensor) else f"a {type(logits).__name__}"
        raise ValueError(f"it gives {what} {when}, and {shape} are needed")
    return logits


def _in_its_order(found: Own, classes: int, channels: int, side: int) -> Own:
    """With the order in memory that it can be trained in: `view` fails on maps in channels-last order. And with other
    outputs than in evaluation, where auxiliary heads give some."""
    reason = ""
    ways = [{"memory": "channels_last"}, {"memory": "plain"}]  # in plain order its outputs are looked into anyway
    if found.outputs == "logits":
        ways.insert(1, {"memory": "channels_last", "outputs": "inner_logits"})
    for way in ways:
        tried = found.model_copy(update=way)
        try:
            _trained(tried, classes, channels, side)
        except Exception as error:  # somebody else's code
            reason = reason or " ".join(f"{type(error).__name__}: {error}".split())[:300]
            continue
        return tried
    raise RecipeError(f"network {found.code!r} cannot be trained ({reason}); let it give scores (N, K) then too.")


def _none_taken(code: Code, network: nn.Module, channels: int, side: int) -> RecipeError:
    """The error, with what it raises itself for images of the side that was wanted."""
    try:
        with torch.no_grad():
            outputs = network(torch.rand(BATCH, channels, side, side))
        if _tensor(outputs) is None:
            what = f"tensor of {outputs.dtype}" if isinstance(outputs, Tensor) else type(outputs).__name__
            return RecipeError(f"network {code.text!r} gives a {what}; let it give scores alone, a tensor (N, K).")
        reason = f"of {BATCH} images it gives scores of {tuple(outputs.shape)}"
    except Exception as error:  # somebody else's code
        reason = " ".join(f"{type(error).__name__}: {error}".split())[:300]
    return RecipeError(
        f"network {code.text!r} takes no images of {channels} x {side} x {side} pixels, nor of any usual size "
        f"({reason}); write data.resolution into the recipe that --current names."
    )
