"""The device that networks run on: which one a user's word means, and what training asks of it.

torch is imported where it is needed: whoever only names a device need not wait for it.
"""

import re
import sys
import warnings
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

from convlift.errors import ConvliftError
from convlift.records.compute_device import CPU, Device

if TYPE_CHECKING:
    import torch

UNTOLD = 1 << 60
# Small trainings keep a GPU waiting for Python: on an H200 one that fine-tunes EfficientNet-Lite0 on photos of 128 px
# sees 1,318 images a second, four at once see 3,922; from scratch on 32 px 21,500 and 32,700. One takes 1.5 GB of the
# GPU's memory, CUDA's own for a process in it .5 GB more, networks of 224 px and of greater depth two to three times
# as much (docs/decisions/0038)
MOST_ON_A_GPU, BYTES_ON_A_GPU = 4, 6_000_000_000
REMEDY = "install a torch that was built for it and its driver, or leave the device to auto."
KNOWN = "auto, cpu, cuda, cuda:0 (a GPU by its number) or mps"
# one of these is there wherever torch could find a GPU on Linux: of NVIDIA's driver, AMD's, and Windows' beneath Linux
TRACES = ("/dev/nvidiactl", "/proc/driver/nvidia", "/dev/kfd", "/dev/dxg")


def seen_gpus() -> tuple[str, ...]:
    """The names of the GPUs that torch can use through CUDA (or ROCm), in their order."""
    import torch

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # a driver that is too old is told of by the empty list
        count = torch.cuda.device_count() if torch.cuda.is_available() else 0
    return tuple(torch.cuda.get_device_name(number) for number in range(count))


def sees_mps() -> bool:
    """Whether torch can use the GPU of a Mac."""
    import torch

    return bool(torch.backends.mps.is_available())


def may_have_gpu() -> bool:
    """Whether it is worth loading torch to look for one."""
    return sys.platform == "darwin" or any(Path(trace).exists() for trace in TRACES)


def choose_devices(
    asked: object,
    gpus: Callable[[], tuple[str, ...]] = seen_gpus,
    mps: Callable[[], bool] = sees_mps,
    worth_looking: Callable[[], bool] = may_have_gpu,
) -> tuple[Device, ...]:
    """The devices that a user's word means. auto: all GPUs of the first one's make, else a Mac's, else the CPU; cuda:
    the same GPUs; cuda:N: that one alone.

    Raises ConvliftError for any other word, and for a device that torch does not see.
    """
    if not isinstance(asked, str) or not re.fullmatch(r"auto|cpu|mps|cuda(:\d{1,4})?", asked):
        raise ConvliftError(f"device '{str(asked)[:40]}' is none that convlift knows; give {KNOWN}.")
    if asked == "cpu" or (asked == "auto" and not worth_looking()):
        return (CPU,)
    if asked == "mps":
        if not mps():
            raise ConvliftError(f"device 'mps' is the GPU of a Mac, and torch sees none; {REMEDY}")
        return (_mac(),)
    found = tuple(Device("cuda", number, name) for number, name in enumerate(gpus()))
    if asked == "auto" and not found:
        return (_mac(),) if mps() else (CPU,)
    if not found:
        raise ConvliftError(f"device '{asked}' is a GPU, and torch sees none; {REMEDY}")
    if ":" not in asked:
        return tuple(device for device in found if device.name == found[0].name)
    number = int(asked.partition(":")[2])
    if number >= len(found):
        there = "cuda:0 alone" if len(found) == 1 else f"cuda:0 to cuda:{len(found) - 1}"
        raise ConvliftError(f"device '{asked}' is not there: torch sees {there}; name one of these, or auto.")
    return (found[number],)


def _mac() -> Device:
    return Device("mps", 0, "Apple GPU")


def compute_in_half(device: "torch.device") -> AbstractContextManager[object]:
    """bfloat16 for the layers that bear it, where the device computes with it; float32 as ever elsewhere.

    Weights, normalization and losses stay float32 (Micikevicius et al. 2018; bfloat16 has float32's range, so that no
    loss needs scaling: Kalamkar et al. 2019).
    """
    if device.type != "cuda" or not _has_bfloat16():
        return nullcontext()
    import torch

    return torch.autocast("cuda", dtype=torch.bfloat16)


@cache
def _has_bfloat16() -> bool:
    import torch

    return torch.cuda.is_bf16_supported(including_emulation=False)


def settle_on(device: "torch.device") -> None:
    """Make it this process's own GPU, so that nothing is laid on the first one, and ask cuDNN for algorithms that give
    the same numbers at every call, not for those that were fastest just now."""
    if device.type == "cuda":
        import torch

        torch.cuda.set_device(device)
        torch.backends.cudnn.deterministic = True
        torch.backends.cudnn.benchmark = False


def synchronize(device: "torch.device") -> None:
    """Wait until the device has done all that it was given: only then does a clock tell how long it took."""
    import torch

    if device.type == "cuda":
        torch.cuda.synchronize(device)
    elif device.type == "mps":
        torch.mps.synchronize()


def trainings_at_once(device: Device) -> int:
    """How many trainings a device is given at a time, at least 1."""
    if device.kind != "cuda":
        return 1
    import torch

    whole = torch.cuda.get_device_properties(device.index).total_memory
    return max(1, min(MOST_ON_A_GPU, whole // BYTES_ON_A_GPU))


def free_bytes(device: "torch.device") -> int:
    """Bytes that the device has left; UNTOLD where it does not say."""
    import torch

    if device.type == "cuda":
        return int(torch.cuda.mem_get_info(device)[0])
    if device.type == "mps":
        return max(0, torch.mps.recommended_max_memory() - torch.mps.driver_allocated_memory())
    return UNTOLD


def has_no_room(error: RuntimeError) -> bool:
    """Whether it is the device's memory that was too small; a Mac's GPU has no class of its own for it."""
    import torch

    return isinstance(error, torch.OutOfMemoryError) or "MPS backend out of memory" in str(error)


def release_memory(device: "torch.device") -> None:
    """Give back what torch keeps for later: after a step that found no room, in other sizes than are needed now."""
    import torch

    if device.type in ("cuda", "mps"):
        getattr(torch, device.type).empty_cache()
