"""The same changes as `pipeline`, to a whole batch at once where it lies: for devices that do much of one kind fast.

The draws are those of `pipeline`, made on the CPU from the same streams; the pixel work alone is done here, in torch.
Mirrors, quarter turns and shifts by whole pixels are equal to the byte. A pixel that is interpolated may differ by
LEVELS of 255, as OpenCV adds in another order; up to its release 4 it also rounds places to 1/32 of a pixel, which is
several levels near a sharp edge. Tones, sharpness and JPEG, which come after, may make more of such a level.
"""

from functools import cache, lru_cache

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

from convlift.augment import aug_mix, colour, elastic, pixel_noise
from convlift.augment.batched_effects import affect_batch
from convlift.augment.effects import those_of
from convlift.augment.pipeline import Inputs, draw_changes, views_of
from convlift.augment.sending import send, send_floats
from convlift.augment.streams import Streams
from convlift.recipe.augmentation import Augmentation, FillMode

LEVELS = 1
_PADDING = {"reflect": "reflection", "edge": "border", "constant": "zeros"}


def normalize_batch(images_NHWC: Tensor, mean_C: Inputs, std_C: Inputs | None) -> Tensor:
    """(pixel / 255 - mean) / std: float32 NCHW in channels-last memory, of uint8 images on the same device; see
    `pipeline.normalize`."""
    channels = images_NHWC.shape[3]
    matrix = colour.normalized(*colour.colour(channels), mean_C, std_C)
    inputs_NHWC = _recoloured(images_NHWC, matrix[None])
    return (standardized(inputs_NHWC) if std_C is None else inputs_NHWC).permute(0, 3, 1, 2)


def augment_batch(
    images_NHWC: Tensor,
    augmentation: Augmentation,
    mean_C: Inputs,
    std_C: Inputs | None,
    streams: Streams,
    *,
    compared: bool = False,
) -> Tensor:
    """Every image changed by its own draw of every lever, and normalized; see `pipeline.augment`.

    images_NHWC: uint8, on any device. Returns float32 NCHW in channels-last memory, there too.
    """
    N, H, W, C = images_NHWC.shape
    drawn = draw_changes(augmentation, streams, (N, H, W, C), mean_C, std_C)
    moved = images_NHWC
    if drawn.maps is not None:
        moved = warp_batch(images_NHWC, drawn.maps, augmentation.fill_mode, drawn.field)
    elif drawn.flips is not None:
        swapped = images_NHWC if drawn.swapped is None else _swapped(images_NHWC, drawn.swapped)
        moved = _flipped(swapped, drawn.flips)
    if drawn.effects is not None:
        moved = affect_batch(moved, drawn.effects, streams)
    views = views_of(drawn.mixes, compared=compared)
    if drawn.mixes is not None:
        shown = [moved if view is None else _mixed(moved, view, drawn.mixes, augmentation.fill_mode) for view in views]
        moved = torch.cat([each.float() for each in shown])
    inputs_NHWC = _recoloured(moved, np.tile(drawn.matrices, (len(views), 1, 1)))
    if drawn.noise is not None:
        noise_NHWC = augmentation.noise * _noise(inputs_NHWC[:N], std_C, drawn.noise)
        inputs_NHWC += noise_NHWC.repeat(len(views), 1, 1, 1)
    if drawn.erased is not None:
        inputs_NHWC = _erased(inputs_NHWC, np.tile(drawn.erased, (len(views), 1, 1)))
    if std_C is None:
        inputs_NHWC = standardized(inputs_NHWC)
    return inputs_NHWC.permute(0, 3, 1, 2)


def standardized(pixels: Tensor) -> Tensor:
    """Each image of (N, ...) by its own mean and deviation, as `pipeline.standardize`; channels first or last."""
    variance, mean = torch.var_mean(pixels, dim=(1, 2, 3), correction=0, keepdim=True)
    return (pixels - mean) / variance.sqrt().clamp(min=pixels[0].numel() ** -0.5)


def _mixed(images_NHWC: Tensor, mix: int, mixes: aug_mix.Mixes, fill: FillMode) -> Tensor:
    """One mix of every image, as `aug_mix.mixed`: in 255ths, float32."""

    def parts(values_N: NDArray[np.float64]) -> Tensor:
        return send_floats(values_N, images_NHWC.device)[:, None, None, None]

    found = images_NHWC.float() * parts(mixes.keep[:, mix])
    for chain in range(aug_mix.CHAINS):
        rows = mixes.rows(mix, chain)
        moved = warp_batch(images_NHWC, mixes.maps[rows], fill)
        changed = affect_batch(moved, those_of(mixes.effects, rows), Streams())
        found += changed.float() * parts(mixes.weights[:, mix, chain])
    return found


def warp_batch(
    images_NHWC: Tensor,
    maps: NDArray[np.float64],
    fill: FillMode = "reflect",
    field_N2GG: NDArray[np.float64] | None = None,
) -> Tensor:
    """Every image through its own map, as `geometry.warp`, and distorted by its field, as `elastic.places`: linear.

    One kernel finds the places and another one reads them: a batch of small images takes a GPU less time than Python
    needs for a dozen.
    """
    N, H, W, _ = images_NHWC.shape
    device = images_NHWC.device
    places = _places(H, W, device)
    if field_N2GG is not None:
        places = _distorted(places, field_N2GG, (H, W))
    grid_NPD = torch.matmul(places, send_floats(_normalized_maps(maps, H, W), device))
    if grid_NPD.shape[2] == 3:
        grid_NPD = grid_NPD[:, :, :2] / grid_NPD[:, :, 2:]
    moved = functional.grid_sample(
        images_NHWC.permute(0, 3, 1, 2).float(),
        grid_NPD.view(N, H, W, 2),
        "bilinear",
        _PADDING[fill],
        align_corners=True,
    )
    return moved.permute(0, 2, 3, 1).round_().to(torch.uint8)


def _distorted(places_PD: Tensor, field_N2GG: NDArray[np.float64], size_HW: tuple[int, int]) -> Tensor:
    """The same places, each shifted by the field of each image: (N, H * W, 3)."""
    height, width = size_HW
    down, across = (send(elastic.basis(side), places_PD.device) for side in size_HW)
    shifts_N2HW = down @ send_floats(field_N2GG, places_PD.device) @ across.T
    shifts_N2P = shifts_N2HW.flatten(2) * send_floats(np.array([[width], [height]]), places_PD.device)
    return places_PD + functional.pad(shifts_N2P.transpose(1, 2), (0, 1))


@cache
def _places(height: int, width: int, device: torch.device) -> Tensor:
    """(column, row, 1) of every pixel, row by row."""
    rows_HW, columns_HW = np.indices((height, width), np.float32)
    return send(np.stack([columns_HW, rows_HW, np.ones_like(rows_HW)], -1).reshape(-1, 3), device)


def _normalized_maps(maps: NDArray[np.float64], height: int, width: int) -> NDArray[np.float64]:
    """Maps from (column, row, 1) to places as `grid_sample` counts them: -1 the first pixel, 1 the last. (N, 3, 2), of
    homographies (N, 3, 3)."""
    half = np.array([max(1, size - 1) / 2 for size in (width, height)])
    normalized = maps.copy()
    normalized[:, :2] /= half[:, None]
    normalized[:, :2] -= maps[:, 2:] if maps.shape[1] == 3 else [0.0, 0.0, 1.0]
    return normalized.transpose(0, 2, 1)


def _flipped(images_NHWC: Tensor, flips_N2: NDArray[np.bool_]) -> Tensor:
    flips = send(flips_N2, images_NHWC.device)[:, :, None, None, None]
    across = torch.where(flips[:, 0], images_NHWC.flip(2), images_NHWC)
    return torch.where(flips[:, 1], across.flip(1), across)


def _swapped(images_NHWC: Tensor, swapped_N: NDArray[np.bool_]) -> Tensor:
    swapped = send(swapped_N, images_NHWC.device)[:, None, None, None]
    return torch.where(swapped, images_NHWC.transpose(1, 2), images_NHWC)


def _erased(inputs_NHWC: Tensor, rectangles_NR4: NDArray[np.int64]) -> Tensor:
    """Rectangles filled with the mean of their image, as `erasing.erase`."""
    _, H, W, _ = inputs_NHWC.shape
    bounds_4NR = send(np.ascontiguousarray(rectangles_NR4.transpose(2, 0, 1)), inputs_NHWC.device)[..., None]
    rows, columns = (torch.arange(side, device=inputs_NHWC.device) for side in (H, W))
    rows_NRH = (rows >= bounds_4NR[0]) & (rows < bounds_4NR[1])
    columns_NRW = (columns >= bounds_4NR[2]) & (columns < bounds_4NR[3])
    inside_NHW = (rows_NRH[..., None] & columns_NRW[:, :, None]).any(dim=1)
    return torch.where(inside_NHW[..., None], inputs_NHWC.mean(dim=(1, 2), keepdim=True), inputs_NHWC)


def _recoloured(images_NHWC: Tensor, matrices_NCD: NDArray[np.float64]) -> Tensor:
    """Bytes through the (C, C + 1) matrix of each image, or of all: float32 NHWC."""
    N, _, _, C = images_NHWC.shape
    matrices_NDC = send_floats(matrices_NCD, images_NHWC.device).transpose(1, 2)
    pixels_NPC = images_NHWC.reshape(N, -1, C).float()
    return (pixels_NPC @ matrices_NDC[:, :C] + matrices_NDC[:, C:]).view(images_NHWC.shape)


def _noise(like_NHWC: Tensor, std_C: Inputs | None, starts_N: pixel_noise.Starts) -> Tensor:
    """The stretches of the table that `pipeline` reads, image after image."""
    values = like_NHWC[0].numel()
    numbers = _noise_on(like_NHWC.device, pixel_noise.length_for(values), pixel_noise.divisors(std_C))
    starts = send(starts_N, like_NHWC.device)
    return numbers[starts[:, None] + torch.arange(values, device=like_NHWC.device)].view(like_NHWC.shape)


@lru_cache(maxsize=4)
def _noise_on(device: torch.device, length: int, std: tuple[float, ...]) -> Tensor:
    return send(pixel_noise.table(length, std), device)
