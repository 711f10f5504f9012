"""The mean and deviation by which pixels are normalized."""

import numpy as np
from numpy.typing import NDArray

from convlift.console.mapped import let_go
from convlift.errors import RecipeError
from convlift.recipe.data import Normalization, is_bands

# mean and deviation per channel of pixels in [0, 1]; None in place of the deviation: each image by its own mean and
# deviation (`pipeline.standardize`)
Statistics = tuple[NDArray[np.float32], NDArray[np.float32] | None]
Figures = tuple[float, ...]

# of ImageNet's training images, per channel of RGB in [0, 1], as torchvision and timm use them
IMAGENET_MEAN = (0.485, 0.456, 0.406)
IMAGENET_STD = (0.229, 0.224, 0.225)

_CHUNK = 64  # images counted at a time


def statistics(
    kind: Normalization,
    pixels_NHWC: NDArray[np.uint8],
    pretrained: tuple[tuple[float, ...], tuple[float, ...]] | None = None,
    rows: NDArray[np.int64] | None = None,
) -> Statistics:
    """(mean_C, std_C) float32 in units of [0, 1] pixels, to be used as (pixel / 255 - mean) / std; std is None for
    "image".

    pixels_NHWC: TRAINING images only, or all images and in `rows` which are for training: of a map no more is read than
    is needed, and a few at a time. pretrained: (mean, std) of the backbone's own training. For grey images the three
    figures of imagenet and pretrained are averaged, since the network sees the grey channel three times over. Nobody
    has published any for bands that are neither grey nor colour: there both are the training images' own, as
    "standardize" has them, so that every band has the mean and the deviation that the backbone expects of its inputs.
    Raises RecipeError where kind is "pretrained" and there is no backbone.
    """
    channels = pixels_NHWC.shape[-1]
    if kind == "unit":
        return np.zeros(channels, np.float32), np.ones(channels, np.float32)
    if kind == "image":
        return np.zeros(channels, np.float32), None
    if kind == "standardize":
        return _measured(pixels_NHWC, rows)
    if kind == "imagenet":
        pretrained = IMAGENET_MEAN, IMAGENET_STD
    if pretrained is None:
        raise RecipeError(
            "data.normalization is 'pretrained' but the architecture has no pretrained backbone; "
            "choose unit, standardize, imagenet or image."
        )
    if is_bands(channels):
        return _measured(pixels_NHWC, rows)
    mean, std = (np.array(values, np.float32) for values in pretrained)
    if channels == 1:
        mean, std = mean.mean(keepdims=True), std.mean(keepdims=True)
    return mean, std


def figures_of(normal: Statistics) -> tuple[Figures, Figures | None]:
    """The same as plain numbers, as files and keys hold them."""
    mean, std = normal
    return tuple(map(float, mean)), None if std is None else tuple(map(float, std))


def of_figures(mean: Figures, std: Figures | None) -> Statistics:
    """What `figures_of` was given."""
    return np.array(mean, np.float32), None if std is None else np.array(std, np.float32)


def _measured(pixels_NHWC: NDArray[np.uint8], rows: NDArray[np.int64] | None) -> Statistics:
    # counting the 256 values is exact, and needs no float copy of the images
    channels = pixels_NHWC.shape[-1]
    counts = np.zeros((channels, 256), np.int64)
    for start in range(0, len(pixels_NHWC if rows is None else rows), _CHUNK):
        part = slice(start, start + _CHUNK)
        chunk = pixels_NHWC[part if rows is None else rows[part]]
        for channel in range(channels):
            counts[channel] += np.bincount(chunk[..., channel].ravel(), minlength=256)
        let_go(pixels_NHWC)
    levels = np.arange(256) / 255
    share = counts / counts.sum(axis=1, keepdims=True)
    mean = share @ levels
    deviation = np.sqrt((share * (levels - mean[:, None]) ** 2).sum(axis=1))
    # a channel that never varies would divide by zero; one grey level is the least that can vary
    return mean.astype(np.float32), np.maximum(deviation, 1 / 255).astype(np.float32)
