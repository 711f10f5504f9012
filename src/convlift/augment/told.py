"""What was drawn for each image, in figures by lever: for whoever looks at what a network sees."""

import numpy as np
from numpy.typing import NDArray

from convlift.augment import erasing
from convlift.augment.moves import draw_moves
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
    erase, cutout: share of the area. Mirrors have no figures. Levers that colour images in other ways are not told.
    """
    told: list[Drawn] = [{} for _ in range(count)]
    for drawn in (_moved(augmentation, streams, count, size_HW), _coloured(augmentation, streams, count, channels)):
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
    return found | ({"noise": [(a.noise,)] * count} if a.noise else {})


def _erased(a: Augmentation, streams: Streams, count: int, size_HW: tuple[int, int]) -> dict[str, list[float]]:
    rectangles = erasing.draw_rectangles(a, streams, count, size_HW)
    if rectangles is None:
        return {}
    areas_NR = (rectangles[..., 1] - rectangles[..., 0]) * (rectangles[..., 3] - rectangles[..., 2])
    names = [name for name in ("erase", "cutout") if getattr(a, name)]
    return dict(zip(names, (areas_NR / (size_HW[0] * size_HW[1])).T.tolist(), strict=True))


def _rows(values: NDArray[np.float64]) -> _Rows:
    return [tuple(np.atleast_1d(each).tolist()) for each in values]
