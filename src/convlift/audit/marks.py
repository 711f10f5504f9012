"""A mark that gives a class away: a stamp, the letter of an X-ray's side, a photographer's name, in a corner of many
images of one class and of hardly any other (the horses' watermark of Lapuschkin et al. 2019, "Unmasking Clever Hans
predictors").

Photos of one kind share colours and gradients in their corners, but hardly ever the same detail at the same place. So
corners are compared by what is left of them without a plane through their grey levels.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from convlift.records.finding import Finding

CORNERS = ("upper left", "upper right", "lower left", "lower right")
PARTS = (8, 4)  # of the shorter side: an eighth and a quarter
SIDE = 12  # pixels of a corner that is compared
LEAST_SIDE = 48  # pixels of an image, below which a corner is a few
ALIKE = 0.9  # correlation of the details of two corners that show the same
FLAT = 6.0  # grey levels: corners whose detail has a smaller deviation show nothing
LEAST = 10  # scenes with the mark, below which it may be chance
LEAST_SHARE, TIMES = 0.1, 10.0  # of the class's images that have it, and times the others' share
MOST_COMPARED = 4_000  # images, spread evenly; of more each is not compared with every other
_LISTED = 100

Bytes = NDArray[np.uint8]
Floats = NDArray[np.float32]


class Mark(NamedTuple):
    """label: of the class; corner: its number; rows: of the images that have it; inside, outside: shares of the class's
    images and of all others that were compared."""

    label: int
    corner: int
    rows: NDArray[np.int64]
    inside: float
    outside: float


def corners_of(grey_HW: Bytes) -> Bytes:
    """The corners of an image in small, (2, 4, 12, 12): of an eighth and a quarter of its shorter side. All zero where
    it has less than LEAST_SIDE pixels."""
    import cv2

    found = np.zeros((len(PARTS), len(CORNERS), SIDE, SIDE), np.uint8)
    height, width = grey_HW.shape
    if min(height, width) < LEAST_SIDE:
        return found
    for place, part in enumerate(PARTS):
        side = min(height, width) // part
        for corner, (top, left) in enumerate(
            ((0, 0), (0, width - side), (height - side, 0), (height - side, width - side))
        ):
            cut = np.ascontiguousarray(grey_HW[top : top + side, left : left + side])
            found[place, corner] = cv2.resize(cut, (SIDE, SIDE), interpolation=cv2.INTER_AREA)
    return found


def find_marks(corners: Bytes, labels: NDArray[np.int64], scenes: NDArray[np.int64]) -> list[Mark]:
    """The marks that give a class away, at most one a class and corner.

    corners (n, 2, 4, 12, 12): see `corners_of`; labels, scenes (n,): images of one scene count once for how many have
    it.
    """
    chosen = np.arange(len(labels))[:: max(1, -(-len(labels) // MOST_COMPARED))]
    found: dict[tuple[int, int], Mark] = {}
    for part in range(len(PARTS)):
        for corner in range(len(CORNERS)):
            details, rows = _details(corners[chosen, part, corner], chosen)
            for mark in _of_corner(details, rows, chosen, labels, scenes, corner):
                known = found.get((mark.label, corner))
                if known is None or len(mark.rows) > len(known.rows):
                    found[mark.label, corner] = mark
    return [found[key] for key in sorted(found)]


def _details(patches: Bytes, chosen: NDArray[np.int64]) -> tuple[Floats, NDArray[np.int64]]:
    """What is left of each patch without the plane that fits it best, of length 1, but for flat ones; and whose it
    is."""
    values = patches.reshape(len(patches), -1).astype(np.float32)
    y, x = np.mgrid[:SIDE, :SIDE].reshape(2, -1)
    plane, _ = np.linalg.qr(np.stack([np.ones(SIDE * SIDE), y, x], axis=1))
    plane = plane.astype(np.float32)
    values -= values @ plane @ plane.T
    size = np.linalg.norm(values, axis=1)
    kept = size > FLAT * SIDE
    return values[kept] / size[kept, None], chosen[kept]


def _of_corner(
    details: Floats,
    rows: NDArray[np.int64],
    chosen: NDArray[np.int64],
    labels: NDArray[np.int64],
    scenes: NDArray[np.int64],
    corner: int,
) -> list[Mark]:
    """For each class the patch that most of its images share, if few others have it."""
    found = []
    counts = np.bincount(labels[chosen], minlength=int(labels.max()) + 1)
    for label in np.flatnonzero(counts):
        own = np.flatnonzero(labels[rows] == label)
        if len(own) < LEAST:
            continue
        middle = own[(details[own] @ details[own].T >= ALIKE).sum(axis=1).argmax()]
        having = rows[details @ details[middle] >= ALIKE]
        inside = having[labels[having] == label]
        share = len(inside) / counts[label]
        others = counts.sum() - counts[label]
        beyond = (len(having) - len(inside)) / max(others, 1)
        is_enough = len(np.unique(scenes[inside])) >= LEAST and others >= LEAST and share >= LEAST_SHARE
        if is_enough and share >= TIMES * (beyond + 1 / (others + 1)):
            found.append(Mark(int(label), corner, inside, share, beyond))
    return found


def mark_findings(
    corners: Bytes,
    labels: NDArray[np.int64],
    scenes: NDArray[np.int64],
    keys: Sequence[str],
    classes: Sequence[str],
) -> list[Finding]:
    """A warning where a corner gives a class away."""
    marks = find_marks(corners, labels, scenes) if len(classes) > 1 else []
    if not marks:
        return []
    parts = [
        f"{mark.inside:.0%} of {classes[mark.label]!r} show the same in the {CORNERS[mark.corner]} corner, "
        f"{mark.outside:.0%} of the others"
        for mark in sorted(marks, key=lambda mark: -len(mark.rows))
    ]
    items = list(dict.fromkeys(keys[row] for mark in marks for row in mark.rows.tolist()))
    return [
        Finding(
            "mark",
            "warning",
            f"a mark tells the class: {'; '.join(parts[:3])}.",
            tuple(items[:_LISTED]),
            "Look at these corners; cut them off, or cover them in all classes. A network may learn the mark instead "
            "of the subject.",
        )
    ]
