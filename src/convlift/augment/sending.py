"""Arrays as tensors on a device."""

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor


def send(values: NDArray[Any], device: torch.device) -> Tensor:
    """An array as a tensor on a device; on the CPU the same memory. No step waits for the copy to a GPU."""
    tensor = torch.from_numpy(values)
    if device.type == "cpu":
        return tensor
    if device.type == "cuda":  # only from pinned memory is a copy one that nobody waits for
        return tensor.pin_memory().to(device, non_blocking=True)
    return tensor.to(device)


def send_floats(values: NDArray[Any], device: torch.device) -> Tensor:
    """Drawn figures as float32, which every device has."""
    return send(np.ascontiguousarray(values, np.float32), device)
