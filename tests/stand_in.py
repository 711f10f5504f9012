"""A device for machines that have none: tensors that compute on the CPU and refuse to be mixed with those of it.

torch calls it "meta", a device that every build knows and that computes nothing by itself; under `StandIn` its tensors
hold numbers. What a real device would refuse, or would have to wait for, is refused here or counted. Not found: what an
operation cannot do on some real device, and numbers that are read before they were written.
"""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor
from torch.autograd.grad_mode import inference_mode
from torch.utils._python_dispatch import TorchDispatchMode, return_and_correct_aliasing
from torch.utils._pytree import tree_flatten, tree_map_only

from convlift.records.compute_device import Device

STAND_IN = Device("meta", 0, "stand-in")
PLACE = torch.device(STAND_IN.place)
aten = torch.ops.aten
TRANSFERS = (aten._to_copy.default, aten.copy_.default)


class Mixed(RuntimeError):
    """An operation was given tensors of two devices."""


class Lying(Tensor):
    """A tensor on the stand-in; inner: its numbers."""

    inner: Tensor

    @staticmethod
    def __new__(cls, inner: Tensor) -> "Lying":
        return Tensor._make_wrapper_subclass(
            cls,
            inner.shape,
            strides=inner.stride(),
            storage_offset=inner.storage_offset(),
            dtype=inner.dtype,
            device=PLACE,
        )

    def __init__(self, inner: Tensor) -> None:
        self.inner = inner

    def __tensor_flatten__(self) -> tuple[list[str], None]:
        return ["inner"], None

    @staticmethod
    def __tensor_unflatten__(parts: dict[str, Tensor], context: None, size: Any, stride: Any) -> "Lying":
        return Lying(parts["inner"])

    def __repr__(self, **_: Any) -> str:
        return f"Lying({tuple(self.shape)})"

    @classmethod
    def __torch_dispatch__(cls, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        raise AssertionError(f"{func} was called outside of StandIn")


class StandIn(TorchDispatchMode):
    """As long as it is entered, there is the device. waited: the operations for whose numbers the CPU had to wait."""

    def __init__(self) -> None:
        super().__init__()
        self.waited: list[str] = []
        self._kept = (inference_mode.__enter__, inference_mode.__exit__)

    def __enter__(self) -> "StandIn":
        # tensors of a class of one's own cannot be views in inference mode, which differs from this in speed alone
        inference_mode.__enter__, inference_mode.__exit__ = _without_gradients, _as_before
        return super().__enter__()

    def __exit__(self, *error: Any) -> None:
        inference_mode.__enter__, inference_mode.__exit__ = self._kept
        super().__exit__(*error)

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = dict(kwargs or {})
        tensors = [each for each in tree_flatten((args, kwargs))[0] if isinstance(each, Tensor)]
        lying = [each for each in tensors if isinstance(each, Lying)]
        if lying and len(lying) < len(tensors) and func not in TRANSFERS:
            raise Mixed(f"{func} of {[(type(each).__name__, tuple(each.shape)) for each in tensors]}")
        asked = kwargs.get("device")
        there = bool(lying) if asked is None else torch.device(asked) == PLACE
        if lying and (not there or func in (aten._local_scalar_dense.default, aten.nonzero.default)):
            self.waited.append(str(func))
        if asked is not None and there:
            kwargs["device"] = torch.device("cpu")
        return self._result(func, args, kwargs, there, mixes=bool(lying) and len(lying) < len(tensors))

    def _result(self, func: Callable[..., Any], args: Any, kwargs: Any, there: bool, *, mixes: bool) -> Any:
        plain_args, plain = tree_map_only(Lying, lambda each: each.inner, (args, kwargs))
        found = func(*plain_args, **plain)
        if func is aten.copy_.default:
            return args[0]
        if not there:
            return found
        lying = tree_map_only(Tensor, Lying, found)
        if mixes or not any(isinstance(each, Lying) for each in tree_flatten((args, kwargs))[0]):
            return lying
        return return_and_correct_aliasing(func, args, kwargs, lying)


def _without_gradients(self: Any) -> None:
    self.before = torch.is_grad_enabled()
    torch.set_grad_enabled(False)


def _as_before(self: Any, *error: Any) -> None:
    torch.set_grad_enabled(self.before)
