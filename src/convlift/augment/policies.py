"""RandAugment (Cubuk et al. 2020) and TrivialAugment Wide (Mueller and Hutter 2021), drawn as amounts of our levers.

Fourteen operations, all equally likely. Ranges at full strength are those of torchvision's two classes: of RandAugment
turns to 30 degrees, shears to .3, shifts to 150/331 of the side, factors from .1 to 1.9, 4 bits left of 8; of
TrivialAugment 135 degrees, .99, 32 pixels, .01 to 1.99, 2 bits. Of both solarize reaches all pixels. RandAugment draws
`rand_augment_operations` operations of a magnitude m / 30 of that; TrivialAugment one, of any of 31 magnitudes from 0.
The direction is drawn where there are two.

What differs from the papers: operations come in our order, not in the drawn one, so that there is one resampling
and one colour matrix; two of a kind add up (factors multiply, of solarize and posterize the stronger one counts); what
lies beyond the border is as `fill_mode` says, not grey; shears are about the middle; contrast is about mid-grey, not
the image's mean; colours are not cut off at black and white; a shift is at most the side. Of grey images, and of bands,
"colour" changes nothing.
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from convlift.augment.streams import Streams
from convlift.augment.tables import NEVER
from convlift.recipe.augmentation import Augmentation
from convlift.recipe.published_policies import OPERATIONS

Floats = NDArray[np.float64]
Whole = NDArray[np.int64]

STRONGEST = 30  # the magnitude of full strength
TWO_WAYS = np.array(
    [
        name in ("rotate", "colour", "contrast", "brightness", "sharpness") or name[-2:] in (" x", " y")
        for name in OPERATIONS
    ]
)


class Ranges(NamedTuple):
    """At full strength. turns; slope; shift: a share of the side, or pixels; factor: added to 1 or taken from it; bits:
    set to 0."""

    turns: float
    slope: float
    shift: float
    factor: float
    bits: int


RAND_AUGMENT = Ranges(turns=30 / 360, slope=0.3, shift=150 / 331, factor=0.9, bits=4)
TRIVIAL_AUGMENT = Ranges(turns=135 / 360, slope=0.99, shift=32.0, factor=0.99, bits=6)


class Drawn(NamedTuple):
    """The operations of each of N images, (N, n), as places in OPERATIONS, and their signed strengths in [-1, 1]."""

    operations: Whole
    levels: Floats

    def of(self, name: str) -> Floats:
        """(N, n): the strengths of one operation, 0 where another was drawn."""
        return np.where(self.operations == OPERATIONS.index(name), self.levels, 0.0)

    def has(self, name: str) -> NDArray[np.bool_]:
        """(N,): whether it was drawn for an image."""
        found: NDArray[np.bool_] = np.any(self.operations == OPERATIONS.index(name), axis=1)
        return found


class Policy(NamedTuple):
    """What is added to the levers of each of N images, neutral where nothing is.

    rotation (N,): turns. slopes, shifts (N, 2): along x and y, shifts in whole pixels. brightness, contrast,
    saturation, sharpness (N,): factors. solarize, posterize (N,): threshold, bits. equalized, stretched (N,): whether.
    """

    rotation: Floats
    slopes: Floats
    shifts: Floats
    brightness: Floats
    contrast: Floats
    saturation: Floats
    sharpness: Floats
    solarize: Whole
    posterize: Whole
    equalized: NDArray[np.bool_]
    stretched: NDArray[np.bool_]


def draw_rand_augment(augmentation: Augmentation, streams: Streams, count: int) -> Drawn:
    """`rand_augment_operations` operations for each of `count` images."""
    numbers = streams["rand_augment"].random((count, augmentation.rand_augment_operations, 2))
    return _drawn(numbers[..., 0], np.full(numbers.shape[:2], augmentation.rand_augment / STRONGEST), numbers[..., 1])


def draw_trivial_augment(augmentation: Augmentation, streams: Streams, count: int) -> Drawn:
    """One operation for each of `count` images; the identity where an image is not drawn for one."""
    numbers = streams["trivial_augment"].random((count, 4))
    found = _drawn(numbers[:, :1], np.floor(numbers[:, 1:2] * (STRONGEST + 1)) / STRONGEST, numbers[:, 2:3])
    is_drawn = numbers[:, 3:] < augmentation.trivial_augment
    return Drawn(np.where(is_drawn, found.operations, 0), np.where(is_drawn, found.levels, 0.0))


def draw_policy(augmentation: Augmentation, streams: Streams, count: int, size_HW: tuple[int, int]) -> Policy | None:
    """What the policies that are on add to each image; None where none is."""
    found = None
    if augmentation.rand_augment:
        found = amounts(draw_rand_augment(augmentation, streams, count), RAND_AUGMENT, size_HW)
    if augmentation.trivial_augment:
        more = amounts(draw_trivial_augment(augmentation, streams, count), TRIVIAL_AUGMENT, size_HW)
        found = more if found is None else _both(found, more)
    return found


def amounts(drawn: Drawn, ranges: Ranges, size_HW: tuple[int, int]) -> Policy:
    """The drawn operations of each image together."""

    def along(what: str) -> Floats:
        return np.stack([drawn.of(f"{what} {axis}").sum(axis=1) for axis in "xy"], axis=1)

    def factor(name: str) -> Floats:
        found: Floats = (1 + ranges.factor * drawn.of(name)).prod(axis=1)
        return found

    sides_xy = np.array(size_HW[::-1])
    largest_xy = ranges.shift * sides_xy if ranges.shift < 1 else np.minimum(ranges.shift, sides_xy)
    solarized = np.floor(255 * (1 - drawn.of("solarize").max(axis=1))).astype(np.int64)
    return Policy(
        rotation=ranges.turns * drawn.of("rotate").sum(axis=1),
        slopes=ranges.slope * along("shear"),
        shifts=np.rint(largest_xy * along("shift")),
        brightness=factor("brightness"),
        contrast=factor("contrast"),
        saturation=factor("colour"),
        sharpness=factor("sharpness"),
        solarize=np.where(drawn.has("solarize"), solarized, NEVER),
        posterize=np.rint(ranges.bits * drawn.of("posterize").max(axis=1)).astype(np.int64),
        equalized=drawn.has("equalize"),
        stretched=drawn.has("stretch"),
    )


def _drawn(which: Floats, strengths: Floats, sides: Floats) -> Drawn:
    """Of numbers in [0, 1): which operation, and in which direction."""
    operations = np.floor(len(OPERATIONS) * which).astype(np.int64)
    return Drawn(operations, np.where(TWO_WAYS[operations] & (sides < 0.5), -strengths, strengths))


def _both(one: Policy, other: Policy) -> Policy:
    return Policy(
        rotation=one.rotation + other.rotation,
        slopes=one.slopes + other.slopes,
        shifts=one.shifts + other.shifts,
        brightness=one.brightness * other.brightness,
        contrast=one.contrast * other.contrast,
        saturation=one.saturation * other.saturation,
        sharpness=one.sharpness * other.sharpness,
        solarize=np.minimum(one.solarize, other.solarize),
        posterize=np.maximum(one.posterize, other.posterize),
        equalized=one.equalized | other.equalized,
        stretched=one.stretched | other.stretched,
    )
