"""What was drawn for each image, in figures by lever: for whoever looks at what a network sees."""

import numpy as np
from numpy.typing import NDArray

from convlift.augment import colour, erasing, tables
from convlift.augment.aug_mix import draw_aug_mix
from convlift.augment.effects import draw_effects
from convlift.augment.moves import draw_moves
from convlift.augment.policies import Drawn as DrawnOperations
from convlift.augment.policies import draw_rand_augment, draw_trivial_augment
from convlift.augment.streams import Streams
from convlift.recipe.augmentation import Augmentation

Drawn = dict[str, tuple[float, ...]]


def drawn_levers(
    augmentation: Augmentation, streams: Streams, count: int, size_HW: tuple[int, int], channels: int
) -> list[Drawn]:
    """For each of `count` images the levers that changed it; streams: of the same key as those that it is changed by.

    quarter_turns: how many, counter-clockwise. aspect: factor of width over height. shear: slopes along x and y.
    rotation: turns, counter-clockwise. zoom, contrast, saturation: factors. translation: pixels to the right and down.
    crop: share of the area, and aspect, of what stays. perspective: the largest shift of a corner, a share of the side.
    elastic: root mean square shift, a share of the side. brightness: what is added. hue: turns. noise: deviation.
    erase, cutout: share of the area. gamma: exponent. channel_gain: a factor a channel. equalize: part of the way.
    solarize: the byte from which on pixels are inverted. posterize: bits that are left. sharpness: factor. blur:
    deviation, pixels. shot_noise: deviation at white. jpeg: quality. Weather: strengths. rand_augment,
    trivial_augment: the place of each operation in OPERATIONS, and its signed strength in [-1, 1]. aug_mix: of
    each operation its chain's part of the whole, its place, and its strength. Mirrors and greyscale have no figures.
    """
    told: list[Drawn] = [{} for _ in range(count)]
    for drawn in (
        _moved(augmentation, streams, count, size_HW),
        _affected(augmentation, streams, count, size_HW),
        _coloured(augmentation, streams, count, channels),
        _by_policy(augmentation, streams, count),
    ):
        for name, rows in drawn.items():
            for each, row in zip(told, rows, strict=True):
                if row is not None:
                    each[name] = row
    for name, shares in _erased(augmentation, streams, count, size_HW).items():
        for each, share in zip(told, shares, strict=True):
            if share:
                each[name] = (float(share),)
    return told


_Rows = list[tuple[float, ...] | None]


def _moved(a: Augmentation, streams: Streams, count: int, size_HW: tuple[int, int]) -> dict[str, _Rows]:
    moves = draw_moves(a, streams, count, size_HW)
    quarters, crops, corners = moves.quarters, moves.crops, moves.corners
    found: dict[str, _Rows] = {
        "horizontal_flip": [() if each else None for each in moves.flips[:, 0]],
        "vertical_flip": [() if each else None for each in moves.flips[:, 1]],
    }
    if quarters is not None:
        found["quarter_turns"] = [(float(each),) if each else None for each in quarters]
    figures = {
        "aspect": moves.aspect,
        "shear": moves.slopes,
        "rotation": moves.rotation if a.rotation else None,
        "zoom": moves.scale if a.zoom else None,
        "translation": moves.shifts if a.translation else None,
        "crop": None if crops is None else np.stack([crops[:, 2] * crops[:, 3], crops[:, 2] / crops[:, 3]], axis=1),
        "perspective": None if corners is None else np.linalg.norm(corners, axis=2).max(axis=1),
        "elastic": np.full(count, a.elastic) if a.elastic else None,
    }
    return found | {name: _rows(values) for name, values in figures.items() if values is not None}


def _coloured(a: Augmentation, streams: Streams, count: int, channels: int) -> dict[str, _Rows]:
    # what each is added to where nothing is drawn
    levers = {"brightness": 0.0, "contrast": 1.0} | ({"saturation": 1.0, "hue": 0.0} if channels == 3 else {})
    found = {
        name: _rows(still + streams.symmetric(name, getattr(a, name), count))
        for name, still in levers.items()
        if getattr(a, name)
    }
    if channels == 3 and a.greyscale:
        found["greyscale"] = [() if each else None for each in colour.draw_greyed(a, streams, count)]
    if (gains_NC := colour.draw_gains(a, streams, count, channels)) is not None:
        found["channel_gain"] = _rows(gains_NC)
    return found | ({"noise": [(a.noise,)] * count} if a.noise else {})


def _affected(a: Augmentation, streams: Streams, count: int, size_HW: tuple[int, int]) -> dict[str, _Rows]:
    effects = draw_effects(a, streams, count, size_HW)
    if effects is None:
        return {}
    e = effects
    figures: dict[str, tuple[NDArray[np.float64], NDArray[np.bool_]]] = {  # and of which images
        "gamma": (e.gamma, e.gamma != 1),
        "equalize": (e.equalize, e.equalize > 0),
        "solarize": (e.solarize.astype(float), e.solarize < tables.NEVER),
        "posterize": (8 - e.posterize.astype(float), e.posterize > 0),
        "sharpness": (e.sharpness, e.sharpness != 1),
        "blur": (e.blur, e.blur > 0),
        "shot_noise": (np.full(count, e.deviation), e.noisy),
        "jpeg": (e.jpeg.astype(float), e.jpeg > 0),
    }
    if e.weather is not None:
        figures |= {name: (strengths_N, strengths_N > 0) for name, strengths_N in e.weather.strengths.items()}
    return {
        name: [(float(value),) if each else None for value, each in zip(values, drawn, strict=True)]
        for name, (values, drawn) in figures.items()
        if getattr(a, name)
    }


def _by_policy(a: Augmentation, streams: Streams, count: int) -> dict[str, _Rows]:
    found: dict[str, _Rows] = {}
    if a.rand_augment:
        found["rand_augment"] = _operations(draw_rand_augment(a, streams, count))
    if a.trivial_augment:
        found["trivial_augment"] = _operations(draw_trivial_augment(a, streams, count))
    if a.aug_mix:
        found["aug_mix"] = _first_mixes(a, streams, count)
    return found


def _first_mixes(a: Augmentation, streams: Streams, count: int) -> _Rows:
    """Of the first mix of each image, the one that is shown where no others are."""
    drawn = draw_aug_mix(a, streams, count)
    parts_NK = (drawn.parts[..., None] * drawn.weights)[:, 0]
    return [
        tuple(
            float(figure)
            for part, which, levels in zip(parts_K, which_KD, levels_KD, strict=True)
            for operation, level in zip(which, levels, strict=True)
            if operation
            for figure in (part, operation, level)
        )
        for parts_K, which_KD, levels_KD in zip(parts_NK, drawn.operations[:, 0], drawn.levels[:, 0], strict=True)
    ]


def _operations(drawn: DrawnOperations) -> _Rows:
    """The identity, which is drawn as often as any other, is no change."""
    return [
        tuple(figure for pair in zip(which, levels, strict=True) if pair[0] for figure in map(float, pair)) or None
        for which, levels in zip(drawn.operations, drawn.levels, strict=True)
    ]


def _erased(a: Augmentation, streams: Streams, count: int, size_HW: tuple[int, int]) -> dict[str, list[float]]:
    rectangles = erasing.draw_rectangles(a, streams, count, size_HW)
    if rectangles is None:
        return {}
    areas_NR = (rectangles[..., 1] - rectangles[..., 0]) * (rectangles[..., 3] - rectangles[..., 2])
    names = [name for name in ("erase", "cutout") if getattr(a, name)]
    return dict(zip(names, (areas_NR / (size_HW[0] * size_HW[1])).T.tolist(), strict=True))


def _rows(values: NDArray[np.float64]) -> _Rows:
    return [tuple(np.atleast_1d(each).tolist()) for each in values]
