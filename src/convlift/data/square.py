"""From the pixels that are kept of an image to the square that a network sees. Training and prediction share it."""

from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from convlift.data.tones import luma_of, toned
from convlift.recipe.data import LETTERBOX_FILL, Preparation, Resize

CROP = 0.875  # of the shorter side is what an image that is cropped keeps


def square(
    pixels_HWC: NDArray[np.uint8], channels: int, resolution: int, preparation: Preparation
) -> NDArray[np.uint8]:
    """Decoded pixels -> uint8 (R, R, C) as the network sees them; the one path for training and prediction.

    Resized first, then made grey, then changed in contrast; what letterbox fills is no part of the image, and keeps its
    tone."""
    policy, grey, contrast = preparation
    resized = shrunk(fit_channels(pixels_HWC, channels), resolution, policy)
    fill = np.array(LETTERBOX_FILL[channels], np.uint8)
    return padded(toned(resized, grey, contrast), resolution, toned(fill[None, None], grey, "none")[0, 0])


def fit_channels(pixels_HWC: NDArray[np.uint8], channels: int) -> NDArray[np.uint8]:
    """Grey repeated to three channels, or colour to its luma (ITU-R 601, as Pillow's mode L)."""
    if pixels_HWC.shape[2] == channels:
        return pixels_HWC
    if channels == 3:
        return np.repeat(pixels_HWC, 3, axis=2)
    return luma_of(pixels_HWC)[:, :, None]


def resize(
    pixels_HWC: NDArray[np.uint8], resolution: int, policy: Resize, fill_C: tuple[int, ...]
) -> NDArray[np.uint8]:
    """uint8 (H, W, C) -> uint8 (R, R, C), bicubic and antialiased.

    squash: both sides to R. crop: shorter side to round(R / 0.875), then the centre R x R (the usual ImageNet
    evaluation; Krizhevsky et al. 2012). letterbox: longer side to R, centred on fill_C.
    """
    return padded(shrunk(pixels_HWC, resolution, policy), resolution, np.array(fill_C, np.uint8))


def shrunk(pixels_HWC: NDArray[np.uint8], resolution: int, policy: Resize) -> NDArray[np.uint8]:
    """The same, but without what letterbox fills: (h, w, C), its longer side R."""
    image, side = as_image(pixels_HWC), (resolution, resolution)
    if policy == "letterbox":
        scale = resolution / max(image.size)
        width, height = (max(1, round(length * scale)) for length in image.size)
        small = np.asarray(image.resize((width, height), Image.Resampling.BICUBIC))
        return small.reshape(height, width, -1)
    box = centre_of(image.size, resolution) if policy == "crop" else None
    return np.asarray(image.resize(side, Image.Resampling.BICUBIC, box=box)).reshape(*side, -1)


def padded(pixels_HWC: NDArray[np.uint8], resolution: int, fill_C: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """The image in the middle of a square of that colour, uint8 (R, R, C)."""
    height, width, channels = pixels_HWC.shape
    if height == width == resolution:
        return pixels_HWC
    out = np.empty((resolution, resolution, channels), np.uint8)
    out[:] = fill_C
    top, left = (resolution - height) // 2, (resolution - width) // 2
    out[top : top + height, left : left + width] = pixels_HWC
    return out


def centre_of(size: tuple[int, int], resolution: int) -> tuple[float, float, float, float]:
    # resampling only the part that is kept gives the same pixels, and no huge intermediate for a 1 x 1000 image; the
    # offset is a whole number of the result's pixels, since half a pixel blurs: ImageNet top-1 .873 instead of .867
    scale = min(size) / round(resolution / CROP)
    left, top = ((round(length / scale) - resolution) // 2 * scale for length in size)
    return left, top, left + resolution * scale, top + resolution * scale


def as_image(pixels: NDArray[Any]) -> Image.Image:
    """(H, W), (H, W, 1) or (H, W, 3) as an image of Pillow."""
    return Image.fromarray(pixels[:, :, 0] if pixels.ndim == 3 and pixels.shape[2] == 1 else pixels)
