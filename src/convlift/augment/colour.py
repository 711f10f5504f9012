"""All linear colour changes of an image, and its normalization, as one matrix and one offset.

Values are not clipped to [0, 1]. A clip between two changes would keep them from being one matrix; it would throw
away contrast in the lights and shadows that a network could still use; and it buys nothing, since standardized
inputs have no bounds anyway.
"""

import cv2
import numpy as np
from numpy.typing import ArrayLike, NDArray

from convlift.augment.policies import Policy
from convlift.augment.streams import Streams
from convlift.recipe.augmentation import Augmentation

Floats = NDArray[np.float64]

# NTSC (FCC 1953): luma with the weights of Rec. 601, and two chroma axes. The chroma rows sum to zero, so grey has
# no chroma and stays grey under any change of saturation or hue.
YIQ_FROM_RGB = np.array([[0.299, 0.587, 0.114], [0.5959, -0.2746, -0.3213], [0.2115, -0.5227, 0.3112]])
RGB_FROM_YIQ = np.linalg.inv(YIQ_FROM_RGB)


def colour(
    channels: int,
    *,
    brightness: ArrayLike = 0.0,
    contrast: ArrayLike = 1.0,
    saturation: ArrayLike = 1.0,
    hue: ArrayLike = 0.0,
    gains_C: ArrayLike | None = None,
) -> tuple[Floats, Floats]:
    """Gains, then saturation and hue, then contrast about mid-grey, then brightness, for pixels in [0, 1].

    Returns colour_CC and offset_C (with a leading N for arrays); the new pixel is colour @ pixel + offset.
    brightness: added. contrast: factor about 0.5. saturation: factor of the chroma, 0 is grey.
    hue: turns, from red towards yellow. gains_C: factors of the channels, (..., C). One channel, and bands that are no
    colours, have no chroma: saturation and hue leave them alone.
    """
    added, factor, chroma, turns = np.broadcast_arrays(brightness, contrast, saturation, hue)
    chroma_CC = _chroma(chroma, turns) if channels == 3 else np.eye(channels)
    colour_CC = factor[..., None, None] * chroma_CC
    if gains_C is not None:
        colour_CC = colour_CC * np.asarray(gains_C)[..., None, :]
    offset_C = (0.5 - 0.5 * factor + added)[..., None] * np.ones(channels)
    return colour_CC, offset_C


def _chroma(saturation: Floats, hue: Floats) -> Floats:
    """The RGB matrix that leaves luma alone, scales the chroma plane and turns it."""
    along, across = saturation * np.cos(2 * np.pi * hue), saturation * np.sin(2 * np.pi * hue)
    # from red towards yellow is from I (orange) away from Q (purple)
    change = np.stack([along - 1, across, -across, along - 1], axis=-1).reshape(*hue.shape, 2, 2)
    # written as identity plus change, so that no change is exactly the identity
    changed: Floats = np.eye(3) + RGB_FROM_YIQ[:, 1:] @ change @ YIQ_FROM_RGB[1:]
    return changed


def draw_colours(
    augmentation: Augmentation, streams: Streams, count: int, channels: int, policy: Policy | None = None
) -> tuple[Floats, Floats]:
    """colour_NCC and offset_NC of `count` images, with what a policy adds."""
    contrast_N = 1 + streams.symmetric("contrast", augmentation.contrast, count)
    saturation_N = 1 + streams.symmetric("saturation", augmentation.saturation, count)
    saturation_N = np.where(draw_greyed(augmentation, streams, count), 0.0, saturation_N)
    gains_NC = draw_gains(augmentation, streams, count, channels)
    if policy is not None:
        contrast_N, saturation_N = contrast_N * policy.contrast, saturation_N * policy.saturation
        gains_NC = (1.0 if gains_NC is None else gains_NC) * policy.brightness[:, None] * np.ones(channels)
    return colour(
        channels,
        brightness=streams.symmetric("brightness", augmentation.brightness, count),
        contrast=contrast_N,
        saturation=saturation_N,
        hue=streams.symmetric("hue", augmentation.hue, count),
        gains_C=gains_NC,
    )


def draw_greyed(augmentation: Augmentation, streams: Streams, count: int) -> NDArray[np.bool_]:
    """Whose colours are taken away: (count,)."""
    return streams.chance("greyscale", augmentation.greyscale, count)


def draw_gains(augmentation: Augmentation, streams: Streams, count: int, channels: int) -> Floats | None:
    """Factors of the channels, (count, channels); None where the lever is off. Grey images, and those of two bands,
    take as many numbers as colour images do."""
    if not augmentation.channel_gain:
        return None
    numbers = streams["channel_gain"].random((count, max(3, channels)))
    gains_NC: Floats = 1 + augmentation.channel_gain * (2 * numbers - 1)
    return gains_NC[:, :channels]


def normalized(
    colour_CC: Floats, offset_C: Floats, mean_C: NDArray[np.float32], std_C: NDArray[np.float32] | None
) -> Floats:
    """Fold the scaling of bytes to [0, 1] and (pixel - mean) / std into the matrix, offset as its last column.

    Takes any leading shape; returns (..., C, C + 1), for bytes: what `recolour` applies. std_C: None for 1.
    """
    mean = np.asarray(mean_C, np.float64)
    std = np.ones_like(mean) if std_C is None else np.asarray(std_C, np.float64)
    linear = colour_CC / (255 * std[:, None])
    constant = (offset_C - mean) / std
    return np.concatenate([linear, constant[..., None]], axis=-1)


def recolour(
    image_HWC: NDArray[np.uint8] | NDArray[np.float32],
    matrix: Floats,
    scratch_HWC: NDArray[np.float32],
    into_HWC: NDArray[np.float32],
) -> None:
    """One image of bytes, or in 255ths, through its (C, C + 1) matrix, written into a C-contiguous array.

    One by one, an image stays in the processor's cache: at 128 px this takes a quarter of the time of a matrix
    product over the batch, and no longer than scaling the channels alone. OpenCV takes any number of them.
    """
    np.copyto(scratch_HWC, image_HWC)
    cv2.transform(scratch_HWC, matrix, dst=into_HWC)
