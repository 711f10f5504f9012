"""From the pixels that are kept of an image to the square that a network sees. Training and prediction share it."""

from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from convlift.data.tones import luma_of, toned
from convlift.recipe.data import Preparation, Resize, is_bands, letterbox_fill

CROP = 0.875  # of the shorter side is what an image that is cropped keeps


def square(
    pixels_HWC: NDArray[np.uint8], channels: int, resolution: int, preparation: Preparation
) -> NDArray[np.uint8]:
    """Decoded pixels -> uint8 (R, R, C) as the network sees them; the one path for training and prediction.

    Resized first, then made grey, then changed in contrast; what letterbox fills is no part of the image, and keeps its
    tone. Of images of bands each band is resized by itself; they are neither made grey nor changed in contrast, which
    `refuse_tones_of_bands` says before."""
    policy, grey, contrast = preparation
    resized = shrunk(fit_channels(pixels_HWC, channels), resolution, policy)
    fill = np.array(letterbox_fill(channels), np.uint8)
    return padded(toned(resized, grey, contrast), resolution, toned(fill[None, None], grey, "none")[0, 0])


def fit_channels(pixels_HWC: NDArray[np.uint8], channels: int) -> NDArray[np.uint8]:
    """Grey repeated to three channels, or colour to its luma (ITU-R 601, as Pillow's mode L); images of bands have the
    right number already, or were refused."""
    if pixels_HWC.shape[2] == channels:
        return pixels_HWC
    assert channels in (1, 3), f"{pixels_HWC.shape[2]} bands where {channels} are needed"
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
    size = (pixels_HWC.shape[1], pixels_HWC.shape[0])
    if policy == "letterbox":
        scale = resolution / max(size)
        width, height = (max(1, round(length * scale)) for length in size)
        return resampled(pixels_HWC, (width, height))
    return resampled(pixels_HWC, (resolution, resolution), centre_of(size, resolution) if policy == "crop" else None)


def resampled(
    pixels_HWC: NDArray[np.uint8], size: tuple[int, int], box: tuple[float, float, float, float] | None = None
) -> NDArray[np.uint8]:
    """uint8 (H, W, C) -> (height, width, C), each channel by itself, bicubic and antialiased.

    size: width and height. box: left, top, right and lower edge of the part that is kept."""
    if is_bands(pixels_HWC.shape[2]):  # of four Pillow takes the last for transparency, and resizes by it
        bands = [resampled(pixels_HWC[:, :, band : band + 1], size, box) for band in range(pixels_HWC.shape[2])]
        return np.concatenate(bands, axis=2)
    found = as_image(pixels_HWC).resize(size, Image.Resampling.BICUBIC, box=box)
    return np.asarray(found).reshape(size[1], size[0], -1)


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
