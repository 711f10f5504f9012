"""Percentiles of the values of a whole data set, from a sample of every image: the set never lies in memory."""

import math
import warnings
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from convlift.data.deep_files import values_to_stretch
from convlift.data.in_batches import Progress, in_order
from convlift.data.readers.source import Source
from convlift.data.stretch import Stretch, numbers_asked, percentiles_asked
from convlift.errors import ConvliftError
from convlift.recipe.data import is_bands

MOST_SAMPLED = 2**24  # values of all images together: 64 MB
MOST_EACH = 4096  # pixels of one image
_TURN = (math.sqrt(5) - 1) / 2  # whose multiples fill a line evenly however many they are, in step with no row


def find_stretch(source: Source, deep: Sequence[int], asked: str, progress: Progress | None = None) -> Stretch:
    """The scale that was asked for, of the images at these places, which have more than 8 bits and the same bands.

    Percentiles are those of the images that are in no official test part. progress: called with (images done, images
    that are looked at). Raises ConvliftError where there are none.
    """
    if not deep:
        raise ConvliftError(
            f"--value-range {asked} is for values of more than 8 bits, and no image of {source.name} has such; leave "
            "it out."
        )
    if (given := numbers_asked(asked)) is not None:
        return given
    places = [index for index in deep if source.items[index].split != "test"]
    if not (samples := _samples(source, places, progress)):
        raise ConvliftError(
            f"--value-range {asked} is found by the images that are not in the test part, and of those of "
            f"{source.name} none has readable values of more than 8 bits; give two values, such as 0:10000."
        )
    return stretch_of(samples, asked)


def _samples(source: Source, places: Sequence[int], progress: Progress | None) -> list[NDArray[np.float32]]:
    def look(batch: range) -> list[NDArray[np.float32] | None]:
        return [_sample(source, places[place], len(places)) for place in batch]

    found: list[NDArray[np.float32]] = []
    with warnings.catch_warnings():  # as where they are decoded
        warnings.simplefilter("ignore")
        for batch, samples in in_order(look, len(places)):
            found += [each for each in samples if each is not None]
            if progress:
                progress(batch.stop, len(places))
    return found


def _sample(source: Source, index: int, images: int) -> NDArray[np.float32] | None:
    try:
        values = values_to_stretch(source.read(index))
    except OSError:
        return None
    return None if values is None else sample_of(values, pixels_each(images, values.shape[2]))


def pixels_each(images: int, channels: int) -> int:
    """How many pixels of an image are looked at, where so many images have so many channels."""
    return max(1, min(MOST_EACH, MOST_SAMPLED // max(images * channels, 1)))


def sample_of(values_HWC: NDArray[np.generic], most: int) -> NDArray[np.float32]:
    """The values (n, C) of at most so many pixels, spread evenly over the image, always the same ones."""
    pixels = values_HWC.reshape(-1, values_HWC.shape[2])
    if len(pixels) > most:
        pixels = pixels[np.floor(np.arange(most) * _TURN % 1.0 * len(pixels)).astype(np.int64)]
    return pixels.astype(np.float32)


def stretch_of(samples: Sequence[NDArray[np.float32]], asked: str) -> Stretch:
    """The scale between two percentiles of these values, each (n, C): of grey and colour one for all channels, of bands
    one for each.

    The values themselves are taken, not numbers between two of them. Where both percentiles are one value, since nearly
    all is background, the least and the largest value are taken.
    """
    is_banded = is_bands(samples[0].shape[1])
    values = np.concatenate([each if is_banded else each.reshape(-1, 1) for each in samples])
    lower, upper = percentiles_asked(asked)
    ends = [_ends(column, lower, upper) for column in values.T]
    return Stretch(tuple(low for low, _ in ends), tuple(high for _, high in ends), asked)


def _ends(values: NDArray[np.float32], lower: float, upper: float) -> tuple[float, float]:
    low, high = np.percentile(values, [lower, upper], method="inverted_cdf")
    if low == high:
        low, high = values.min(), values.max()
    # as short as the number is written in 32 bits
    least, most = float(str(low)), float(str(high))
    return least, most if most > least else least + 1
