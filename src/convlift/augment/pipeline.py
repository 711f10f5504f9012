"""Training images from bytes to what a network reads: one resampling, effects on those that are drawn for them, the
mixes of AugMix, one colour matrix, noise, and what is erased.

Every lever draws from a stream of random numbers that is keyed by its name, so that switching one lever on, making it
stronger, or adding one to these, leaves the draws of all others as they were.
"""

import math
from collections.abc import Callable
from typing import NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

from convlift.augment import aug_mix, colour, elastic, erasing, geometry, pixel_noise
from convlift.augment.effects import Effects, affected, draw_effects
from convlift.augment.moves import draw_moves, is_symmetry, maps_of, with_policy
from convlift.augment.policies import draw_policy
from convlift.augment.streams import Streams
from convlift.recipe.augmentation import Augmentation, FillMode
from convlift.recipe.data import MOST_BANDS, is_bands

Pixels = NDArray[np.uint8]
Inputs = NDArray[np.float32]
Floats = NDArray[np.float64]


class Drawn(NamedTuple):
    """What is done to each image of a batch, drawn before any pixel is touched. None where none is needed.

    maps (N, 2, 3): its affine map, or (N, 3, 3): its homography.
    field (N, 2, G, G): the elastic distortion after the map.
    swapped (N,): whether rows and columns are, and flips (N, 2): whether it is then mirrored, left to right and top to
        bottom, where mirrors and quarter turns are all that moves it.
    effects: what is done to single images between their map and their colours.
    mixes: of each image with changed copies of itself, after that.
    matrices (N, C, C + 1): colour and normalization, for bytes.
    noise (N,): where its stretch of `pixel_noise.table` begins.
    erased (N, R, 4): rectangles.
    """

    maps: Floats | None
    field: Floats | None
    swapped: NDArray[np.bool_] | None
    flips: NDArray[np.bool_] | None
    effects: Effects | None
    mixes: aug_mix.Mixes | None
    matrices: Floats
    noise: pixel_noise.Starts | None
    erased: erasing.Rectangles | None


def draw_changes(
    augmentation: Augmentation,
    streams: Streams,
    shape: tuple[int, int, int, int],
    mean_C: Inputs,
    std_C: Inputs | None,
) -> Drawn:
    """The draws of all levers but shot noise, which is drawn value by value. shape: NHWC."""
    count, height, width, channels = shape
    assert not (is_bands(channels) and augmentation.of_colours), "refuse_colours_of_bands() comes before"
    size_HW = (height, width)
    policy = draw_policy(augmentation, streams, count, size_HW)
    moves = draw_moves(augmentation, streams, count, size_HW)
    if policy is not None:
        moves = with_policy(moves, policy)
    maps = field = swapped_N = flips_N2 = None
    if not is_symmetry(augmentation, size_HW):
        maps, field = maps_of(moves, size_HW), moves.field
    elif moves.quarters is not None:
        swapped_N, flips_N2 = geometry.transposed_first(moves.quarters, moves.flips)
    elif augmentation.horizontal_flip or augmentation.vertical_flip:
        flips_N2 = moves.flips
    effects = draw_effects(augmentation, streams, count, size_HW, policy)
    colours = colour.draw_colours(augmentation, streams, count, channels, policy)
    matrices = colour.normalized(*colours, mean_C, std_C)
    mixes = aug_mix.draw_mixes(augmentation, streams, count, size_HW)
    noise = None
    if augmentation.noise:
        noise = pixel_noise.draw_starts(streams["noise"], count, height * width * channels, channels)
    erased = erasing.draw_rectangles(augmentation, streams, count, size_HW)
    return Drawn(maps, field, swapped_N, flips_N2, effects, mixes, matrices, noise, erased)


def views_of(mixes: aug_mix.Mixes | None, *, compared: bool) -> tuple[int | None, ...]:
    """What is shown of each image: one of its mixes, or None for the image itself.

    compared: the image beside all of its mixes, where there are any.
    """
    if mixes is None:
        return (None,)
    return (None, *range(aug_mix.MIXES)) if compared else (0,)


def normalize(images_NHWC: Pixels, mean_C: Inputs, std_C: Inputs | None) -> Inputs:
    """(pixel / 255 - mean) / std, as validation, test and prediction see images.

    images_NHWC: uint8, C 1, 3, or a number of bands. mean_C, std_C: of pixels in [0, 1]; without std_C each image is
    standardized by itself instead. Returns float32 NHWC, C-contiguous, so
    torch.from_numpy(inputs).permute(0, 3, 1, 2) is channels-last without a copy.
    """
    images = _checked(images_NHWC, mean_C, std_C)
    inputs, scratch = np.empty(images.shape, np.float32), np.empty(images.shape[1:], np.float32)
    matrix = colour.normalized(*colour.colour(images.shape[3]), mean_C, std_C)
    for image, into in zip(images, inputs, strict=True):
        colour.recolour(image, matrix, scratch, into)
        if std_C is None:
            standardize(into)
    return inputs


def augment(
    images_NHWC: Pixels,
    augmentation: Augmentation,
    mean_C: Inputs,
    std_C: Inputs | None,
    streams: Streams,
    *,
    compared: bool = False,
) -> Inputs:
    """Every image changed by its own draw of every lever, and normalized; equal to normalize with all levers off.

    images_NHWC: uint8, C as for `normalize`; of bands without the levers of OF_COLOURS. mean_C, std_C: see
    `normalize`. Returns float32 NHWC, C-contiguous.
    compared: where AugMix is on, every image comes without it too: (3 N, H, W, C), all images, their first mixes (which
    are what is returned else), and their second ones.
    Geometry comes first, then effects, AugMix, colour, noise, normalization, and what is erased is erased last; from
    colour on nothing is clipped (see colour.py). Where each image is standardized by itself, that comes after all.
    """
    images = _checked(images_NHWC, mean_C, std_C)
    count, height, width, channels = images.shape
    drawn = draw_changes(augmentation, streams, (count, height, width, channels), mean_C, std_C)
    move = _mover(drawn, images.shape, augmentation.fill_mode)
    views = views_of(drawn.mixes, compared=compared)
    inputs_VNHWC = np.empty((len(views), *images.shape), np.float32)
    scratch = np.empty(images.shape[1:], np.float32)
    numbers = None if drawn.noise is None else pixel_noise.numbers_for(scratch.size, std_C)
    for index, image in enumerate(images):
        moved = move(index, image)
        if drawn.effects is not None:
            moved = affected(moved, index, drawn.effects, streams)
        for view, into in zip(views, inputs_VNHWC[:, index], strict=True):
            shown: Pixels | Inputs = moved
            if view is not None and drawn.mixes is not None:
                shown = aug_mix.mixed(moved, (index, view), drawn.mixes, streams, augmentation.fill_mode)
            colour.recolour(shown, drawn.matrices[index], scratch, into)
            if drawn.noise is not None and numbers is not None:
                pixel_noise.add_noise(into, augmentation.noise, numbers, drawn.noise[index])
        for into in inputs_VNHWC[:, index]:
            if drawn.erased is not None:
                erasing.erase(into, drawn.erased[index])
            if std_C is None:
                standardize(into)
    return inputs_VNHWC.reshape(-1, *images.shape[1:])


def standardize(inputs_HWC: Inputs) -> None:
    """Per-image standardization in place: less the mean of all its values, over their deviation.

    inputs_HWC: float32 in units of [0, 1] pixels, C-contiguous. The deviation is 1 / sqrt(H * W * C) at least, so that
    an image of one colour becomes 0 (tf.image.per_image_standardization).
    """
    means_C, deviations_C = (found.ravel() for found in cv2.meanStdDev(inputs_HWC))
    mean = float(means_C.mean())
    variance = float((deviations_C**2 + (means_C - mean) ** 2).mean())
    inputs_HWC -= mean
    inputs_HWC *= 1.0 / max(math.sqrt(variance), 1.0 / math.sqrt(inputs_HWC.size))


def _mover(drawn: Drawn, shape: tuple[int, ...], fill: FillMode) -> Callable[[int, Pixels], Pixels]:
    """How image number `index` moves: not at all, by mirrors and quarter turns alone (exact and cheap), by its map, or
    by its map and an elastic distortion."""
    scratch, maps, field, flips_N2 = np.empty(shape[1:], np.uint8), drawn.maps, drawn.field, drawn.flips
    if maps is not None and field is not None:
        size_HW = (shape[1], shape[2])
        return lambda index, image: geometry.resample_at(
            image, elastic.places(maps[index], field[index], size_HW), scratch, fill
        )
    if maps is not None:
        return lambda index, image: geometry.resample(image, maps[index], scratch, fill)
    if flips_N2 is not None and drawn.swapped is not None:
        swapped_N, across = drawn.swapped, scratch.copy()
        return lambda index, image: geometry.flip(
            geometry.transpose(image, across) if swapped_N[index] else image, flips_N2[index], scratch
        )
    if flips_N2 is not None:
        return lambda index, image: geometry.flip(image, flips_N2[index], scratch)
    return lambda index, image: image


def _checked(images_NHWC: Pixels, mean_C: Inputs, std_C: Inputs | None) -> Pixels:
    """The images as one C-contiguous array (a slice of a memory map may be anything), or our own bug found."""
    assert images_NHWC.ndim == 4, f"images have shape {images_NHWC.shape}; NHWC is needed"
    assert images_NHWC.dtype == np.uint8, f"images are {images_NHWC.dtype}; uint8 is needed"
    channels = images_NHWC.shape[3]
    assert 1 <= channels <= MOST_BANDS, f"images have {channels} channels; 1 to {MOST_BANDS} are needed"
    assert mean_C.shape == (channels,), f"statistics do not fit {channels} channels"
    if std_C is not None:
        assert std_C.shape == (channels,), f"statistics do not fit {channels} channels"
        assert np.all(std_C > 0), f"standard deviation {std_C} is not positive"
    return np.ascontiguousarray(images_NHWC)
