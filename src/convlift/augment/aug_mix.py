"""AugMix (Hendrycks et al. 2020): an image mixed with what several chains of operations make of it.

Three chains of one to three operations, drawn from the nine that no corruption of ImageNet-C resembles, all equally
likely. Each has a strength uniform from 0.1 to the severity, of 10, in whole degrees, pixels, bits and bytes: turns to
30 degrees, shears to .3, shifts to a third of the side, solarize to all pixels, posterize from 4 bits to none; stretch
and equalize have none. The chains are weighted by Dirichlet(1, 1, 1), and m, of Beta(1, 1), is their part of the mix,
1 - m that of the image. These are the constants of the authors' `augmentations.py` and `augment_and_mix.py`.

A mix is a sum of images that were moved in different ways, and no single resampling makes it: each chain is one map and
one resampling of the image as the other levers left it, before the colour matrix, which may come last since the weights
add up to 1. Noise and what is erased are the same in all views of an image.

What differs from the paper: the operations of a chain come in our order (shear, turn, shift, stretch, equalize,
solarize, posterize), not in the drawn one; what lies beyond the border is as `fill_mode` says, not black; shears are
about the middle.
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from convlift.augment import geometry
from convlift.augment.effects import Effects, affected, draw_effects
from convlift.augment.moves import draw_moves, maps_of, with_policy
from convlift.augment.policies import TWO_WAYS, Drawn, Policy
from convlift.augment.streams import Streams
from convlift.augment.tables import NEVER
from convlift.recipe.augmentation import Augmentation, FillMode
from convlift.recipe.published_policies import OPERATIONS

Floats = NDArray[np.float64]
Pixels = NDArray[np.uint8]
Whole = NDArray[np.int64]

MIXES, CHAINS, DEPTH = 2, 3, 3
WEAKEST, STRONGEST = 0.1, 10.0
TURN, SLOPE, SHIFT, BITS = 30, 0.3, 1 / 3, 4
NAMES = ("stretch", "equalize", "posterize", "rotate", "solarize", "shear x", "shear y", "shift x", "shift y")
PLACES = np.array([OPERATIONS.index(name) for name in NAMES])
OFF = Augmentation()


class DrawnMixes(NamedTuple):
    """Of each of N images and MIXES: m, (N, M); the chains' weights, (N, M, CHAINS); their operations, (N, M, CHAINS,
    DEPTH), as places in OPERATIONS, 0 beyond the depth of a chain; and signed strengths in [-1, 1]."""

    parts: Floats
    weights: Floats
    operations: Whole
    levels: Floats


class Mixes(NamedTuple):
    """How each of N images is mixed, M times.

    keep (N, M): the part of the image; weights (N, M, CHAINS): those of its chains, with which it adds up to 1.
    maps (N * M * CHAINS, 2, 3), moved (the same number,): what moves each chain's copy, and whether anything does.
    effects: the tones of each copy, as many.
    """

    keep: Floats
    weights: Floats
    maps: Floats
    moved: NDArray[np.bool_]
    effects: Effects

    def row(self, index: int, mix: int, chain: int) -> int:
        """Where the copy of a chain stands among all."""
        return (index * MIXES + mix) * CHAINS + chain

    def rows(self, mix: int, chain: int) -> Whole:
        """The same of all images."""
        return (np.arange(len(self.keep)) * MIXES + mix) * CHAINS + chain


def draw_aug_mix(augmentation: Augmentation, streams: Streams, count: int) -> DrawnMixes:
    """MIXES for each of `count` images, which take as many numbers whatever is drawn."""
    of_a_chain = 1 + 3 * DEPTH
    drawn = streams["aug_mix"].random((count, MIXES, 1 + CHAINS * (1 + of_a_chain)))
    lengths = -np.log1p(-drawn[..., 1 : 1 + CHAINS])  # exponential, so that their shares are Dirichlet(1, ..., 1)
    chains = drawn[..., 1 + CHAINS :].reshape(count, MIXES, CHAINS, of_a_chain)
    depths = 1 + np.floor(DEPTH * chains[..., :1])
    which, strengths, sides = np.moveaxis(chains[..., 1:].reshape(count, MIXES, CHAINS, DEPTH, 3), -1, 0)
    operations = np.where(np.arange(DEPTH) < depths, PLACES[np.floor(len(NAMES) * which).astype(np.int64)], 0)
    weakest = min(WEAKEST, augmentation.aug_mix)
    levels = (weakest + (augmentation.aug_mix - weakest) * strengths) / STRONGEST
    return DrawnMixes(
        parts=drawn[..., 0],
        weights=lengths / lengths.sum(axis=-1, keepdims=True),
        operations=operations,
        levels=np.where(TWO_WAYS[operations] & (sides < 0.5), -levels, levels),
    )


def draw_mixes(augmentation: Augmentation, streams: Streams, count: int, size_HW: tuple[int, int]) -> Mixes | None:
    """How each of `count` images is mixed; None where AugMix is off."""
    if not augmentation.aug_mix:
        return None
    drawn = draw_aug_mix(augmentation, streams, count)
    policy = chain_amounts(Drawn(drawn.operations.reshape(-1, DEPTH), drawn.levels.reshape(-1, DEPTH)), size_HW)
    copies = len(policy.rotation)
    effects = draw_effects(OFF, streams, copies, size_HW, policy)
    assert effects is not None, "a policy was given"
    return Mixes(
        keep=1 - drawn.parts,
        weights=drawn.parts[..., None] * drawn.weights,
        maps=maps_of(with_policy(draw_moves(OFF, streams, copies, size_HW), policy), size_HW),
        moved=(policy.rotation != 0) | (policy.slopes != 0).any(axis=1) | (policy.shifts != 0).any(axis=1),
        effects=effects,
    )


def chain_amounts(drawn: Drawn, size_HW: tuple[int, int]) -> Policy:
    """The operations of each chain together. Two of a kind add up; of solarize and posterize the stronger one counts,
    as it would one after the other, up to a severity of 5."""
    height, width = size_HW
    slopes = [SLOPE * drawn.of(f"shear {axis}").sum(axis=1) for axis in "xy"]
    shifts = [
        np.trunc(SHIFT * side * drawn.of(f"shift {axis}")).sum(axis=1)
        for axis, side in zip("xy", (width, height), strict=True)
    ]
    still = np.ones(len(drawn.levels))
    solarized = 256 - np.floor(256 * drawn.of("solarize").max(axis=1)).astype(np.int64)
    cut = 8 - BITS + np.floor(BITS * drawn.of("posterize").max(axis=1)).astype(np.int64)
    return Policy(
        rotation=np.trunc(TURN * drawn.of("rotate")).sum(axis=1) / 360,
        slopes=np.stack(slopes, axis=1),
        shifts=np.stack(shifts, axis=1),
        brightness=still,
        contrast=still,
        saturation=still,
        sharpness=still,
        solarize=np.where(drawn.has("solarize"), solarized, NEVER),
        posterize=np.where(drawn.has("posterize"), cut, 0),
        equalized=drawn.has("equalize"),
        stretched=drawn.has("stretch"),
    )


def mixed(
    image_HWC: Pixels, place: tuple[int, int], mixes: Mixes, streams: Streams, fill: FillMode
) -> NDArray[np.float32]:
    """One mix of an image, in 255ths and not rounded; place: which image, and which mix."""
    index, mix = place
    found: NDArray[np.float32] = np.multiply(image_HWC, mixes.keep[index, mix], dtype=np.float32)
    scratch = np.empty_like(image_HWC)
    for chain, weight in enumerate(mixes.weights[index, mix]):
        row = mixes.row(index, mix, chain)
        moved = geometry.resample(image_HWC, mixes.maps[row], scratch, fill) if mixes.moved[row] else image_HWC
        found += np.multiply(affected(moved, row, mixes.effects, streams), weight, dtype=np.float32)
    return found
