"""Where a network last keeps maps of its images: what heat maps are made of, and what tells images apart by."""

from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from threading import get_ident
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

MOST_TRIED = 24  # places at a network's end that may lead nowhere, such as those of auxiliary outputs


class Place(NamedTuple):
    """A module by its name in the network, and which of its calls in one pass it is, from 0."""

    module: str
    call: int


class Seen(NamedTuple):
    """What a network makes of images: the maps (N, C, h, w) at a place, their gradients, and the logits (N, K)."""

    maps: Tensor
    gradients: Tensor
    logits: Tensor


def last_maps(network: nn.Module, images_NCHW: Tensor) -> Place | None:
    """Where the last maps of more than one position are made that the logits depend on; None where there are none.

    images_NCHW: one image is enough. Maps are outputs of modules; those of the images' own shape are taken for the
    images, scaled.
    """
    for place in list(reversed(_maps(network, images_NCHW)))[:MOST_TRIED]:
        if see_at(network, place, images_NCHW) is not None:
            return place
    return None


def see_at(network: nn.Module, place: Place, images_NCHW: Tensor, classes_N: Tensor | None = None) -> Seen | None:
    """Run the network, and differentiate each image's logit of a class, its largest unless classes_N says which one.

    Only what comes after the place is differentiated. None where the logits do not depend on what is made there.
    """
    kept: list[Tensor] = []

    def begin_here(maps_NCHW: Tensor) -> Tensor:
        kept.append(maps_NCHW.detach().requires_grad_(True))
        return kept[0].clone()  # the next layer may compute in place

    with _held(network), torch.inference_mode(False), torch.enable_grad():
        with _hooked(network, place, begin_here):
            logits_NK = network(images_NCHW.clone())
        if not kept or not logits_NK.requires_grad:
            return None
        chosen_N = logits_NK.argmax(1) if classes_N is None else classes_N
        total = logits_NK.gather(1, chosen_N[:, None]).sum()
        (gradients,) = torch.autograd.grad(total, kept, allow_unused=True)
    return None if gradients is None else Seen(kept[0].detach(), gradients, logits_NK.detach())


def has_place(network: nn.Module, place: Place) -> bool:
    """Whether the network has such a module."""
    return place.module in dict(network.named_modules())


@contextmanager
def listening_at(network: nn.Module, place: Place) -> Iterator[list[Tensor]]:
    """A list that gets the maps of the place each time the network runs."""
    kept: list[Tensor] = []
    with _hooked(network, place, kept.append):
        yield kept


@contextmanager
def _hooked(network: nn.Module, place: Place, told: Callable[[Tensor], Tensor | None]) -> Iterator[None]:
    """What the module gives at that call is handed on, and replaced where something comes back."""
    calls: list[None] = []
    ours = get_ident()  # other threads may run the same network

    def begin(_module: nn.Module, _inputs: Any) -> None:
        if get_ident() == ours:
            calls.clear()

    def hook(_module: nn.Module, _inputs: Any, output: Any) -> Tensor | None:
        if get_ident() != ours:
            return None
        calls.append(None)
        return told(output) if len(calls) == place.call + 1 else None

    handles = [network.register_forward_pre_hook(begin)]
    handles.append(network.get_submodule(place.module).register_forward_hook(hook))
    try:
        yield
    finally:
        for handle in handles:
            handle.remove()


def _maps(network: nn.Module, images_NCHW: Tensor) -> list[Place]:
    """In the order in which they are made."""
    calls: Counter[str] = Counter()
    found, handles = [], []

    def watch(name: str, module: nn.Module) -> None:
        def hook(_module: nn.Module, _inputs: Any, output: Any) -> None:
            if _is_map(output, images_NCHW):
                found.append(Place(name, calls[name]))
            calls[name] += 1

        handles.append(module.register_forward_hook(hook))

    for name, module in network.named_modules():
        if not isinstance(module, torch.jit.ScriptModule):
            watch(name, module)
    try:
        with torch.inference_mode():
            network(images_NCHW)
    finally:
        for handle in handles:
            handle.remove()
    return found


def _is_map(output: Any, images_NCHW: Tensor) -> bool:
    if not isinstance(output, Tensor) or output.ndim != 4 or len(output) != len(images_NCHW):
        return False
    return output.shape[2] * output.shape[3] > 1 and output.shape[1:] != images_NCHW.shape[1:]


@contextmanager
def _held(network: nn.Module) -> Iterator[None]:
    """Weights need no gradients."""
    learning = [weight for weight in network.parameters() if weight.requires_grad]
    for weight in learning:
        weight.requires_grad_(False)
    try:
        yield
    finally:
        for weight in learning:
            weight.requires_grad_(True)
