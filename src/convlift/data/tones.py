"""The tones of a resized image: grey instead of colours, and its contrast. The same for training and prediction."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps

from convlift.audit.traits import mean_of_bands
from convlift.recipe.data import Contrast, is_bands
from convlift.records.facts import Tones

# Tiles a side and clip limit as `cv2.createCLAHE` takes them: those of OpenCV's own guide to histogram equalization,
# and of EBImage's port of Zuiderveld's code. The limit is in multiples of an even histogram; what is cut
# off is dealt out over all levels and adds 1 at most, so that no contrast grows more than threefold
TILES, CLIP_LIMIT = 8, 2.0
LEAST_TILE = 16  # pixels a side: with fewer pixels than levels, a limit of 2 pixels a level no longer limits

Pixels = NDArray[np.uint8]


def toned(pixels_HWC: Pixels, grey: bool, contrast: Contrast) -> Pixels:
    """uint8 (H, W, C), C in {1, 3} -> the same shape; of bands, of which nobody knows a luma, only as they are.

    grey: every channel is the luma. contrast: of the luma, Y -> Y'; channels of colours move by Y' - Y together, which
    keeps Cb and Cr, and are cut to 0 to 255.
    """
    if not grey and contrast == "none":
        return pixels_HWC
    channels = pixels_HWC.shape[2]
    assert not is_bands(channels), f"{channels} bands have no luma"
    luma = luma_of(pixels_HWC)
    changed = _WAYS[contrast](luma) if contrast in _WAYS else luma
    if grey or channels == 1:
        return np.repeat(changed[:, :, None], channels, axis=2)
    moved = pixels_HWC.astype(np.int16) + (changed.astype(np.int16) - luma)[:, :, None]
    return np.asarray(moved.clip(0, 255), np.uint8)


def luma_of(pixels_HWC: Pixels) -> Pixels:
    """(H, W): .299 R + .587 G + .114 B (ITU-R 601), in the fixed point of Pillow's mode L; a single channel itself; of
    bands their mean, which stands in wherever an image is looked at as grey."""
    channels = pixels_HWC.shape[2]
    if channels == 1:
        return pixels_HWC[:, :, 0]
    if is_bands(channels):
        return mean_of_bands(pixels_HWC)
    return np.asarray(Image.fromarray(pixels_HWC).convert("L"))


def equalized_luma(luma_HW: Pixels) -> Pixels:
    """With an even histogram, as `PIL.ImageOps.equalize`."""
    return np.asarray(ImageOps.equalize(Image.fromarray(luma_HW)))


def with_limited_contrast(luma_HW: Pixels) -> Pixels:
    """Contrast limited adaptive histogram equalization (Zuiderveld 1994, Graphics Gems IV, page 474), by OpenCV.

    8 x 8 tiles, fewer where these would have under 16 pixels a side.
    """
    import cv2  # half a second to import, and seldom needed

    height, width = luma_HW.shape
    tiles = tuple(max(1, min(TILES, side // LEAST_TILE)) for side in (width, height))
    made = cv2.createCLAHE(clipLimit=CLIP_LIMIT, tileGridSize=tiles)
    return np.asarray(made.apply(np.ascontiguousarray(luma_HW)), np.uint8)


_WAYS = {"equalize": equalized_luma, "clahe": with_limited_contrast}


def tones_of(images: Sequence[Pixels]) -> Tones:
    """What is usual of images (H, W, C): the median of each figure; at least one image."""
    rows = []
    for image in images:
        luma = luma_of(image)
        commonest = int(np.bincount(luma.ravel()).max())
        rows.append((float(luma.mean()) / 255.0, float(luma.std()) / 255.0, commonest / luma.size))
    return Tones(*map(float, np.median(rows, axis=0)))
