"""The same changes as `pipeline`, to a whole batch at once where it lies: for devices that do much of one kind fast.

The draws are those of `pipeline`, made on the CPU from the same streams; the pixel work alone is done here, in torch.
Mirrors and shifts by whole pixels are equal to the byte. A pixel that is interpolated may differ by LEVELS of 255, as
OpenCV adds in another order; up to its release 4 it also rounds places to 1/32 of a pixel, which is several levels near
a sharp edge.
"""

from functools import cache
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from convlift.augment import colour
from convlift.augment.pipeline import Inputs, draw_changes, quantiles
from convlift.augment.streams import Streams
from convlift.recipe.augmentation import Augmentation

LEVELS = 1


def send(values: NDArray[Any], device: torch.device) -> Tensor:
    """An array as a tensor on a device; on the CPU the same memory. No step waits for the copy to a GPU."""
    tensor = torch.from_numpy(values)
    if device.type == "cpu":
        return tensor
    if device.type == "cuda":  # only from pinned memory is a copy one that nobody waits for
        return tensor.pin_memory().to(device, non_blocking=True)
    return tensor.to(device)


def normalize_batch(images_NHWC: Tensor, mean_C: Inputs, std_C: Inputs) -> Tensor:
    """(pixel / 255 - mean) / std: float32 NCHW in channels-last memory, of uint8 images on the same device."""
    channels = images_NHWC.shape[3]
    matrix = colour.normalized(*colour.colour(channels), mean_C, std_C)
    return _recoloured(images_NHWC, matrix[None]).permute(0, 3, 1, 2)


def augment_batch(
    images_NHWC: Tensor, augmentation: Augmentation, mean_C: Inputs, std_C: Inputs, streams: Streams
) -> Tensor:
    """Every image changed by its own draw of every lever, and normalized; see `pipeline.augment`.

    images_NHWC: uint8, on any device. Returns float32 NCHW in channels-last memory, there too.
    """
    N, H, W, C = images_NHWC.shape
    drawn = draw_changes(augmentation, streams, (N, H, W, C), mean_C, std_C)
    moved = images_NHWC
    if drawn.affines is not None:
        moved = warp_batch(images_NHWC, drawn.affines)
    elif drawn.flips is not None:
        moved = _flipped(images_NHWC, drawn.flips)
    inputs_NHWC = _recoloured(moved, drawn.matrices)
    if augmentation.noise:
        inputs_NHWC += _noise(inputs_NHWC, streams["noise"]) * _small(augmentation.noise / std_C, inputs_NHWC.device)
    return inputs_NHWC.permute(0, 3, 1, 2)


def warp_batch(images_NHWC: Tensor, affine_N23: NDArray[np.float64]) -> Tensor:
    """Every image through its own map, as `geometry.warp`: linear, borders reflected without repeating the edge."""
    N, H, W, C = images_NHWC.shape
    device = images_NHWC.device
    map_23N11 = _small(affine_N23, device).permute(1, 2, 0)[..., None, None]
    x_W, y_H = (torch.arange(size, dtype=torch.float32, device=device) for size in (W, H))
    across_NHW, down_NHW = (row[0] * x_W + row[1] * y_H[:, None] + row[2] for row in map_23N11)
    left_NHW, top_NHW = across_NHW.floor(), down_NHW.floor()
    right, low = ((place - first)[..., None] for place, first in ((across_NHW, left_NHW), (down_NHW, top_NHW)))
    columns = [_reflected(left_NHW.long() + step, W) for step in (0, 1)]
    first_N11 = torch.arange(N, device=device)[:, None, None] * (H * W)
    rows = [_reflected(top_NHW.long() + step, H) * W + first_N11 for step in (0, 1)]
    pixels_PC = images_NHWC.reshape(N * H * W, C)
    upper, lower = (
        torch.lerp(pixels_PC[row + columns[0]].float(), pixels_PC[row + columns[1]].float(), right) for row in rows
    )
    return torch.lerp(upper, lower, low).round().to(torch.uint8)


def _reflected(place: Tensor, size: int) -> Tensor:
    """The place inside of 0 to size - 1 that a place outside mirrors."""
    if size == 1:
        return torch.zeros_like(place)
    around = place.abs() % (2 * size - 2)
    return torch.minimum(around, 2 * size - 2 - around)


def _flipped(images_NHWC: Tensor, flips_N2: NDArray[np.bool_]) -> Tensor:
    flips = send(flips_N2, images_NHWC.device)[:, :, None, None, None]
    across = torch.where(flips[:, 0], images_NHWC.flip(2), images_NHWC)
    return torch.where(flips[:, 1], across.flip(1), across)


def _recoloured(images_NHWC: Tensor, matrices_NCD: NDArray[np.float64]) -> Tensor:
    """Bytes through the (C, C + 1) matrix of each image, or of all: float32 NHWC."""
    pixels, matrices = images_NHWC.float(), _small(matrices_NCD, images_NHWC.device)[:, None, None]
    channels = pixels.shape[3]
    result = matrices[..., channels] + matrices[..., 0] * pixels[..., :1]
    for channel in range(1, channels):  # sums of three, which no matrix product makes faster, and none rounds
        result = result + matrices[..., channel] * pixels[..., channel : channel + 1]
    return result


def _noise(like_NHWC: Tensor, rng: np.random.Generator) -> Tensor:
    """The quantiles of the very bits that `pipeline` draws, image after image."""
    values = like_NHWC[0].numel()
    bits = rng.integers(2**64, size=(len(like_NHWC), -(-values // 4)), dtype=np.uint64).view(np.int16)[:, :values]
    places = send(np.ascontiguousarray(bits), like_NHWC.device).long() & 0xFFFF
    return _quantiles_on(like_NHWC.device)[places].view(like_NHWC.shape)


@cache
def _quantiles_on(device: torch.device) -> Tensor:
    return send(quantiles(), device)


def _small(values: NDArray[Any], device: torch.device) -> Tensor:
    """Drawn figures as float32, which every device has."""
    return send(np.ascontiguousarray(values, np.float32), device)
