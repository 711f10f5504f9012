"""What `effects` does to one image after the other, to a whole batch in torch where it lies.

Tables of bytes and shot noise are equal to the byte; weather, blur and sharpness may differ by a level, where a half is
rounded. JPEG is the same encoder on the CPU: the images that are drawn for it are sent there and back.
"""

from functools import lru_cache

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

from convlift.augment import shot_noise, tables
from convlift.augment.effects import NOISE_STREAM, REACH, SMOOTH, Effects, through_jpeg
from convlift.augment.sending import send, send_floats
from convlift.augment.streams import Streams
from convlift.augment.weather_and_light import Weather, weathered

Whole = NDArray[np.int64]


def affect_batch(images_NHWC: Tensor, effects: Effects, streams: Streams) -> Tensor:
    """uint8 images with what is done to each of them; see `effects.affected`."""
    images, e = images_NHWC.clone(), effects
    if e.weather is not None:
        _put_weather(images, e.weather)
    if len(blurry := np.flatnonzero(e.blur)):
        _put(images, blurry, _blurred(_rows(images, blurry), e.blur[blurry]))
    if len(noisy := np.flatnonzero(e.noisy)):
        _put(images, noisy, _with_shot_noise(_rows(images, noisy), e.deviation, streams[NOISE_STREAM]))
    changed = (e.gamma != 1) | e.stretched | (e.equalize > 0) | (e.solarize < tables.NEVER) | (e.posterize > 0)
    if len(mapped := np.flatnonzero(changed)):
        _put(images, mapped, _through_tables(_rows(images, mapped), e, mapped))
    if len(sharp := np.flatnonzero(e.sharpness != 1)) and min(images.shape[1:3]) >= 3:
        _put(images, sharp, _sharpened(_rows(images, sharp), e.sharpness[sharp]))
    if len(coded := np.flatnonzero(e.jpeg)):
        files = [through_jpeg(*each) for each in zip(_rows(images, coded).cpu().numpy(), e.jpeg[coded], strict=True)]
        _put(images, coded, send(np.stack(files), images.device))
    return images


def _rows(images: Tensor, chosen: Whole) -> Tensor:
    return images[send(chosen, images.device)]


def _put(images: Tensor, chosen: Whole, found: Tensor) -> None:
    images[send(chosen, images.device)] = found


def _put_weather(images_NHWC: Tensor, weather: Weather) -> None:
    """The images that any was drawn for are rounded to bytes once, as `effects` does."""
    drawn = np.flatnonzero(np.any([strengths_N > 0 for strengths_N in weather.strengths.values()], axis=0))
    if not len(drawn):
        return
    seen = _rows(images_NHWC, drawn).float() * np.float32(1 / 255).item()
    for name, strengths_N in weather.strengths.items():
        places = np.flatnonzero(strengths_N[drawn])
        if len(places):
            changed = weathered(
                _rows(seen, places), name, weather, drawn[places], torch, lambda each: send_floats(each, seen.device)
            )
            _put(seen, places, changed)
    _put(images_NHWC, drawn, (255 * seen).round().byte())


def _blurred(images_NHWC: Tensor, deviations_N: NDArray[np.float64]) -> Tensor:
    """Every image by its own Gaussian: a matrix product along each side, which mirrors what lies beyond the border."""
    _, H, W, _ = images_NHWC.shape
    down, across = (_blurring(side, deviations_N, images_NHWC.device) for side in (H, W))
    images_NCHW = images_NHWC.permute(0, 3, 1, 2).float()
    found = down[:, None] @ images_NCHW @ across[:, None].transpose(2, 3)
    return found.permute(0, 2, 3, 1).round().to(torch.uint8)


def _blurring(side: int, deviations_N: NDArray[np.float64], device: torch.device) -> Tensor:
    """(N, side, side): what each pixel of a row takes of each."""
    deviations = send_floats(deviations_N, device)[:, None, None]
    pixels = torch.arange(side, device=device)
    period = 2 * (side - 1)
    found = torch.zeros(len(deviations), side, side, device=device)
    # every pixel is met as itself and, beyond the border, as its mirror images; the outermost are their own
    mirrors = [(1, 0)] if side == 1 else [(sign, turn * period) for sign in (1, -1) for turn in (-1, 0, 1)]
    for sign, shift in mirrors:
        steps = sign * pixels + shift - pixels[:, None]
        found += torch.exp(-((steps / deviations) ** 2) / 2) * (steps.abs() <= torch.ceil(REACH * deviations))
    if side > 1:
        found[:, :, [0, -1]] /= 2
    matrices: Tensor = found / found.sum(dim=2, keepdim=True)
    return matrices


def _with_shot_noise(images_NHWC: Tensor, deviation: float, rng: np.random.Generator) -> Tensor:
    device, values = images_NHWC.device, images_NHWC[0].numel()
    cases = np.stack([shot_noise.draw_cases(values, rng) for _ in range(len(images_NHWC))]).astype(np.int32)
    places = images_NHWC.long() * shot_noise.CASES + send(cases, device).view(images_NHWC.shape)
    return _quantiles_on(deviation, device)[places]


@lru_cache(maxsize=4)
def _quantiles_on(deviation: float, device: torch.device) -> Tensor:
    return send(shot_noise.quantiles(deviation), device)


def _through_tables(images_NHWC: Tensor, effects: Effects, chosen: Whole) -> Tensor:
    """The chosen images of a batch, which these are, through their tables."""
    e, device = effects, images_NHWC.device
    images_NCHW = images_NHWC.permute(0, 3, 1, 2)
    pixels_NCP = images_NCHW.flatten(2).long()
    found = send(tables.gamma_tables(e.gamma[chosen]), device)[:, None].expand(-1, pixels_NCP.shape[1], -1)
    if (is_stretched := e.stretched[chosen]).any():
        stretched = tables.then(found, tables.stretched(_counts(pixels_NCP, found), torch), torch)
        found = torch.where(send(is_stretched, device)[:, None, None], stretched, found)
    if (parts_N := e.equalize[chosen]).any():
        even = tables.equalized(_counts(pixels_NCP, found), torch)
        parts = send(tables.in_256ths(parts_N), device)[:, None]
        found = tables.then(found, tables.part_of_the_way(even, parts, torch), torch)
    cut = send(tables.cut_tables(e.solarize[chosen], e.posterize[chosen]), device)[:, None]
    found = tables.then(found, cut, torch)
    mapped: Tensor = found.gather(2, pixels_NCP).view(images_NCHW.shape).permute(0, 2, 3, 1).byte()
    return mapped


def _counts(pixels_NCP: Tensor, tables_NCL: Tensor) -> Tensor:
    """(N, C, 256): how often each byte is there, after a table."""
    seen = tables_NCL.gather(2, pixels_NCP)
    counts = torch.zeros(*seen.shape[:2], tables.LEVELS, dtype=torch.long, device=seen.device)
    return counts.scatter_add_(2, seen, torch.ones_like(seen))


def _sharpened(images_NHWC: Tensor, factors_N: NDArray[np.float64]) -> Tensor:
    images_NCHW = images_NHWC.permute(0, 3, 1, 2).float()
    channels = images_NCHW.shape[1]
    kernels = send_floats(SMOOTH, images_NHWC.device).expand(channels, 1, 3, 3)
    smooth, inner = functional.conv2d(images_NCHW, kernels, groups=channels), images_NCHW[:, :, 1:-1, 1:-1]
    factors = send_floats(factors_N, images_NHWC.device)[:, None, None, None]
    images_NCHW[:, :, 1:-1, 1:-1] = (smooth + factors * (inner - smooth)).clip(0, 255).round()
    return images_NCHW.permute(0, 2, 3, 1).byte()
