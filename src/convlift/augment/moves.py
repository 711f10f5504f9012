"""What moves each image, drawn lever by lever from streams of their own, and the one map that it makes."""

import math
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from convlift.augment import elastic, geometry
from convlift.augment.policies import Policy
from convlift.augment.streams import Streams
from convlift.recipe.augmentation import Augmentation

Floats = NDArray[np.float64]

# Szegedy et al. 2015, section 6
LARGEST_ASPECT = 4 / 3
# tries for a crop that fits into the image, as in torchvision's RandomResizedCrop; after them the image stays whole
TRIES = 10


class Moves(NamedTuple):
    """What moves each of N images, in the order in which it does; None for a lever that is off and came later.

    quarters (N,): counter-clockwise quarter turns. aspect (N,): factor of width over height. slopes (N, 2): of the
    shear along x and y. flips (N, 2): left to right, top to bottom. rotation (N,): turns, counter-clockwise.
    scale (N,): above 1 enlarges. shifts (N, 2): pixels to the right and downwards.
    crops (N, 4): left, top, width and height of what stays, as shares of the sides.
    corners (N, 4, 2): where the corners of the result lie, from those of the frame, as fractions of the sides.
    field (N, 2, G, G): of the elastic distortion (elastic.py), in fractions of the sides.
    """

    quarters: NDArray[np.int64] | None
    aspect: Floats | None
    slopes: Floats | None
    flips: NDArray[np.bool_]
    rotation: Floats
    scale: Floats
    shifts: Floats
    crops: Floats | None
    corners: Floats | None
    field: Floats | None


def is_symmetry(augmentation: Augmentation, size_HW: tuple[int, int]) -> bool:
    """Whether images are moved by mirrors and quarter turns at most, which need no interpolation."""
    a = augmentation
    others = (
        a.rand_augment,
        a.trivial_augment,
        a.aspect,
        a.shear,
        a.rotation,
        a.zoom,
        a.translation,
        a.crop,
        a.perspective,
        a.elastic,
    )
    return not any(others) and (not a.quarter_turns or size_HW[0] == size_HW[1])


def draw_moves(augmentation: Augmentation, streams: Streams, count: int, size_HW: tuple[int, int]) -> Moves:
    """The draws of all levers that move images, for `count` of them."""
    a = augmentation
    return Moves(
        quarters=_quarters(a.quarter_turns, streams, count) if a.quarter_turns else None,
        aspect=np.exp(streams.symmetric("aspect", -math.log(1 - a.aspect), count)) if a.aspect else None,
        slopes=a.shear * _signed(streams, "shear", (count, 2)) if a.shear else None,
        flips=draw_flips(a, streams, count),
        rotation=streams.symmetric("rotation", a.rotation, count),
        scale=np.exp(streams.symmetric("zoom", -math.log(1 - a.zoom), count)),
        shifts=_whole_shifts(a.translation, streams, count, size_HW),
        crops=_crops(a.crop, streams, count) if a.crop else None,
        corners=a.perspective * _signed(streams, "perspective", (count, 4, 2)) if a.perspective else None,
        field=a.elastic * _signed(streams, "elastic", (count, 2, *elastic.GRID)) if a.elastic else None,
    )


def with_policy(moves: Moves, policy: Policy) -> Moves:
    """What moves each image, and what a policy adds to it."""
    slopes = policy.slopes if moves.slopes is None else moves.slopes + policy.slopes
    return moves._replace(rotation=moves.rotation + policy.rotation, slopes=slopes, shifts=moves.shifts + policy.shifts)


def maps_of(moves: Moves, size_HW: tuple[int, int]) -> Floats:
    """The map of each image, but for the elastic distortion: (N, 2, 3), with perspective (N, 3, 3)."""
    maps = geometry.affine(
        size_HW,
        horizontal_flip=moves.flips[:, 0],
        vertical_flip=moves.flips[:, 1],
        rotation=moves.rotation,
        scale=moves.scale,
        shift_xy=moves.shifts,
    )
    if moves.slopes is not None:
        maps = geometry.after_linear(geometry.sheared(moves.slopes), maps, size_HW)
    if moves.aspect is not None:
        maps = geometry.after_linear(geometry.stretched(moves.aspect), maps, size_HW)
    if moves.quarters is not None:
        maps = geometry.after_linear(geometry.quarter_turns(size_HW, moves.quarters), maps, size_HW)
    if moves.crops is not None:
        maps = geometry.then_cropped(maps, moves.crops, size_HW)
    return maps if moves.corners is None else geometry.then_in_perspective(maps, moves.corners, size_HW)


def draw_flips(augmentation: Augmentation, streams: Streams, count: int) -> NDArray[np.bool_]:
    """Which of `count` images to mirror: flips_N2, left to right and top to bottom."""
    across = streams.chance("horizontal_flip", augmentation.horizontal_flip, count)
    down = streams.chance("vertical_flip", augmentation.vertical_flip, count)
    return np.stack([across, down], axis=1)


def _quarters(probability: float, streams: Streams, count: int) -> NDArray[np.int64]:
    """0, or 1, 2 or 3 with this probability together; (count,)."""
    drawn = streams["quarter_turns"].random(count)
    turned = 1 + np.floor(3 * np.minimum(drawn, probability) / probability)
    return np.where(drawn < probability, turned, 0).astype(np.int64)


def _signed(streams: Streams, name: str, shape: tuple[int, ...]) -> Floats:
    """Uniform in [-1, 1), image after image."""
    return 2.0 * streams[name].random(shape) - 1.0


def _whole_shifts(translation: float, streams: Streams, count: int, size_HW: tuple[int, int]) -> Floats:
    """Shifts are whole pixels, all equally likely (He et al. 2016, section 4.2: 4 px of 32 is 9 x 9 crops), so that
    they do not blur; a shift that is switched on reaches at least one pixel, however small the image."""
    if not translation:
        return np.zeros((count, 2))
    largest_xy = np.maximum(1, np.rint(translation * np.array([size_HW[1], size_HW[0]])))
    shifts_N2: Floats = np.floor(streams["translation"].random((count, 2)) * (2 * largest_xy + 1)) - largest_xy
    return shifts_N2


def _crops(largest_cut: float, streams: Streams, count: int) -> Floats:
    """(count, 4): area uniform in [1 - largest_cut, 1], aspect log-uniform from 3/4 to 4/3 of the frame's, place
    uniform. Every image takes as many numbers, whichever of its tries fits first."""
    drawn = streams["crop"].random((count, 2 * TRIES + 2))
    area_NT = 1 - largest_cut * drawn[:, :TRIES]
    # width over height is the root's square
    root_NT = LARGEST_ASPECT ** (drawn[:, TRIES : 2 * TRIES] - 0.5)
    shares_NT2 = np.sqrt(area_NT)[..., None] * np.stack([root_NT, 1 / root_NT], axis=-1)
    fits_NT: NDArray[np.bool_] = np.all(shares_NT2 <= 1, axis=-1)
    first_N = fits_NT.argmax(axis=1)
    chosen = np.arange(count), first_N
    shares_N2 = np.where(fits_NT[chosen][:, None], shares_NT2[chosen], 1.0)
    return np.concatenate([drawn[:, -2:] * (1 - shares_N2), shares_N2], axis=1)
