"""How many images the classes have, in all and from part to part."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from convlift.records.finding import Finding

UNEVEN = 10.0  # times the images of the smallest class that the largest has: accuracy hardly sees the small ones then
MOVED = 0.1  # total variation distance between the classes' shares in two parts
_LEAST = 30  # images of a part, or its shares are chance


def class_findings(classes: Sequence[str], labels: NDArray[np.int64], official: NDArray[np.str_]) -> list[Finding]:
    """Classes of very different sizes, and official parts in which they have different shares."""
    counts = np.bincount(labels, minlength=len(classes))
    there = np.flatnonzero(counts)
    most, fewest = there[counts[there].argmax()], there[counts[there].argmin()]
    found = []
    if counts[most] >= UNEVEN * counts[fewest]:
        message = (
            f"The largest class, {classes[most]!r}, has {counts[most]:,} images, the smallest, {classes[fewest]!r}, "
            f"{counts[fewest]:,}; accuracy hardly depends on the small ones."
        )
        remedy = "Judge by --metric balanced-accuracy, or add images."
        found.append(Finding("uneven classes", "note", message, (), remedy))
    train, test = (np.bincount(labels[official == part], minlength=len(classes)) for part in ("train", "test"))
    if min(train.sum(), test.sum()) >= _LEAST:
        shares = test / test.sum() - train / train.sum()
        noise = np.sqrt((train + test) / (train + test).sum() * (1 / train.sum() + 1 / test.sum()))
        moved = int(np.abs(shares).argmax())
        if 0.5 * np.abs(shares).sum() > max(MOVED, float(noise.sum())):
            message = (
                f"The classes have other shares in the test part than in training: {classes[moved]!r} has "
                f"{test[moved] / test.sum():.0%} there and {train[moved] / train.sum():.0%} in training."
            )
            remedy = "Judge by --metric balanced-accuracy if use will be like training."
            found.append(Finding("other shares", "warning", message, (), remedy))
    return found
