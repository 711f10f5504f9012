"""What a network of the user's own is, found by making it once and showing it images: what it takes and what it gives.

Nothing is trained. What is found goes into its recipe (`recipe.architecture.Own`), which makes it again.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from convlift.errors import RecipeError
from convlift.model.keras_network import FromKeras, Told
from convlift.model.own_network import BENDS, NORMALIZES, build_own, make_network
from convlift.model.source_files import Code, code_of
from convlift.model.source_loader import speaking_aside
from convlift.recipe.architecture import Own

SIDES = (28, 32, 48, 64, 96, 112, 128, 150, 160, 180, 192, 200, 224, 227, 240, 256, 260, 288, 299, 300, 320, 331, 384)
BATCH = 4
ALIKE = 1e-4  # sums of probabilities
BLINDING = 1e4  # brightness at which no logit stays near zero


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


def look_into(text: str, *, classes: int, channels: int, side: int) -> tuple[Own, int, Told]:
    """The architecture of a network, with what was found of it, the side of the images that it gets, in pixels, and
    what it says of its training, which a Keras model does.

    text: see `Own.code`; channels: of the data; side: that its images would have, if it takes them.

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
        own, side = _channels(network, channels), told.side or side
        sides = _sides(network, own, side)
        if not sides:
            raise _none_taken(code, network, own, side)
        seen = _shown(network, own, sides[0])
        assert seen is not None, "it took images of this side"
        found = Own(
            code=text,
            digest=code.digest,
            channels=0 if own == channels else own,
            side=sides[0] if len(sides) == 1 else 0,
            last_layer=seen.last_layer,
            **_outputs(code, seen, classes, is_bounded=_is_bounded(network, own, sides[0], seen)),
        )
        found = found.model_copy(update={"changes": tuple(_changes(network, found))})
        return _in_its_order(found, classes, channels, sides[0]), sides[0], told


def _channels(network: nn.Module, channels: int) -> int:
    """Channels that its first convolution takes; those of the data where that is neither 1 nor 3."""
    first = next((module for module in network.modules() if isinstance(module, nn.Conv2d)), None)
    wanted = first.in_channels if first is not None else channels
    return wanted if wanted in (1, 3) else channels


def _sides(network: nn.Module, channels: int, side: int) -> tuple[int, ...]:
    """Sides of the images that it takes: (side, another one) where it takes more than one, (the nearest,) where only
    one, () where none of those that are tried."""
    other = side + 32
    if _shown(network, channels, side) is not None:
        return (side, other) if _shown(network, channels, other) is not None else (side,)
    for each in sorted(SIDES, key=lambda each: abs(each - side)):
        if _shown(network, channels, each) is not None:
            # one that is too deep for small images takes larger ones all the same
            return (each, each + 32) if _shown(network, channels, each + 32) is not None else (each,)
    return ()


def _shown(network: nn.Module, channels: int, side: int, brightest: float = 1.0) -> _Seen | None:
    """What it makes of images of this side; None where it does not take them."""
    linear = {id(module): name for name, module in network.named_modules() if isinstance(module, nn.Linear)}
    ran: list[tuple[str, Tensor]] = []
    hooks = [
        module.register_forward_hook(lambda module, _, output: ran.append((linear[id(module)], output)))
        for module in network.modules()
        if id(module) in linear
    ]
    try:
        with torch.no_grad():
            given = network(brightest * torch.rand(BATCH, channels, side, side))
            outputs = _tensor(given)
    except Exception:  # whatever a network that was made for other images raises
        return None
    finally:
        for hook in hooks:
            hook.remove()
    if outputs is None or not outputs.ndim or len(outputs) != BATCH:
        return None
    flat = outputs.flatten(1)
    name, last = ran[-1] if ran and ran[-1][1].shape == flat.shape else ("", None)
    return _Seen(flat, name, last is not None and torch.equal(last, flat), outputs is not given or outputs.ndim != 2)


def _tensor(outputs: Any) -> Tensor | None:
    """The scores; None for what holds none, such as a tuple."""
    found = getattr(outputs, "logits", outputs)
    return found if isinstance(found, Tensor) and found.is_floating_point() else None


def _is_bounded(network: nn.Module, channels: int, side: int, seen: _Seen) -> bool:
    """Whether its outputs lie in [0, 1] whatever it sees: those of first weights may do so by chance."""
    if seen.is_bare:
        return False
    blinded = _shown(network, channels, side, BLINDING)
    every = torch.cat([each.outputs for each in (seen, blinded) if each is not None])
    return not bool(((every < 0) | (every > 1)).any())  # NaN is what a sigmoid or softmax may make of too much


def _outputs(code: Code, seen: _Seen, classes: int, *, is_bounded: bool) -> dict[str, Any]:
    """The kind of its outputs, and whether its last layer has to be another one."""
    width, values = seen.outputs.shape[1], seen.outputs
    if width == 1 and classes == 2:
        return {"outputs": "one_probability" if is_bounded else "one_logit"}
    sums_to_one = is_bounded and bool(((values.sum(dim=1) - 1).abs() < ALIKE).all())
    logits = "inner_logits" if seen.is_inner else "logits"
    several = "probabilities" if sums_to_one else "sigmoids" if is_bounded else logits
    kind = {"outputs": several if width > 1 else logits}
    if width == classes:
        return kind
    if not seen.last_layer:
        raise RecipeError(
            f"network {code.text!r} gives {width} scores, and the data have {classes} classes; let it take the number "
            "of classes, as in make(classes)."
        )
    return kind | {"new_last_layer": True}


def _changes(network: nn.Module, found: Own) -> Iterator[str]:
    """Which changes of architecture it can have."""
    if found.last_layer:
        yield "dropout"
    modules = list(network.modules())
    if any(isinstance(module, BENDS) for module in modules):
        yield "activation"
    inner = [name for name, module in network.named_modules() if isinstance(module, nn.Conv2d)]
    if len(inner) > (not found.last_layer) and not any(isinstance(module, NORMALIZES) for module in modules):
        yield "normalization"


def _in_its_order(found: Own, classes: int, channels: int, side: int) -> Own:
    """With the order in memory that it can be trained in: `view` fails on maps in channels-last order."""
    images = torch.rand(BATCH, channels, side, side).contiguous(memory_format=torch.channels_last)
    reason = ""
    for memory in ("channels_last", "plain"):
        tried = found.model_copy(update={"memory": memory})
        try:
            logits = build_own(tried, classes).train()(images)
            if not isinstance(logits, Tensor):  # other outputs than in evaluation, as with auxiliary heads
                tried = tried.model_copy(update={"outputs": "inner_logits"})
                logits = build_own(tried, classes).train()(images)
            nn.functional.cross_entropy(logits, torch.arange(BATCH) % classes).backward()
        except Exception as error:  # somebody else's code
            reason = " ".join(f"{type(error).__name__}: {error}".split())[:300]
            continue
        return tried
    raise RecipeError(f"network {found.code!r} cannot be trained ({reason}).")


def _none_taken(code: Code, network: nn.Module, channels: int, side: int) -> RecipeError:
    """The error, with what it raises itself for images of the side that was wanted."""
    try:
        with torch.no_grad():
            outputs = network(torch.rand(BATCH, channels, side, side))
        if _tensor(outputs) is None:
            is_tensor = isinstance(outputs, Tensor)
            what = f"tensor of {outputs.dtype}" if is_tensor else type(outputs).__name__
            return RecipeError(f"network {code.text!r} gives a {what}; let it give scores alone, a tensor (N, K).")
        reason = f"of {BATCH} images it gives scores of {tuple(outputs.shape)}"
    except Exception as error:  # somebody else's code
        reason = " ".join(f"{type(error).__name__}: {error}".split())[:300]
    return RecipeError(
        f"network {code.text!r} takes no images of {channels} x {side} x {side} pixels, nor of any usual size "
        f"({reason}); write data.resolution into the recipe that --current names."
    )
