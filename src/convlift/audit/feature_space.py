"""What a frozen network's features say of a data set: images far from all others, and parts that differ."""

import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from convlift.audit.pictures import far

FEWEST = 50  # images, or none is unusual
OUTLYING = 3.0  # robust standard deviations of the logarithm of the distance: one of 4,317 flowers is farther
MOST = 0.02  # of the images, the farthest, that are called outliers at all

Floats = NDArray[np.float64]
Indices = NDArray[np.int64]


def outliers(blocks: Callable[[], Iterable[Floats]]) -> Indices:
    """Rows of features (N, D) that are far from all others, the farthest first.

    blocks: gives all features, some rows after the others; asked three times, so that a file is never in memory whole.

    The score is the distance from the mean, every feature in units of its deviation (Mahalanobis 1936, without
    correlations). Of 20 photos of ants or digits among flowers it finds more than neighbours and main directions do
    (decision 0052), and several strange images of one kind do not hide one another.
    """
    sums = [(len(block), block.sum(axis=0)) for block in blocks()]
    count = sum(rows for rows, _ in sums)
    if count < FEWEST:
        return np.zeros(0, np.int64)
    mean = sum(each for _, each in sums) / count
    spread = np.sqrt(sum(((block - mean) ** 2).sum(axis=0) for block in blocks()) / count) + 1e-6
    distances = np.concatenate([(((block - mean) / spread) ** 2).sum(axis=1) for block in blocks()])
    score = far(np.log(np.maximum(distances, 1e-6)))
    order = np.argsort(-score, kind="stable")[: max(1, int(MOST * count))]
    return order[score[order] > OUTLYING].astype(np.int64)


@dataclass(frozen=True, eq=False)
class Shift:
    """Whether two parts can be told apart. accuracy: of a classifier that never saw the image, .5 by chance; p_value:
    of so many hits by chance; images: asked; typical: rows of the second part most surely told, the surest first."""

    accuracy: float
    p_value: float
    images: int
    typical: Indices
    grouped: bool = False


def matched(labels: Indices, is_second: NDArray[np.bool_], most: int) -> Indices:
    """Rows with as many images of each class from the one part as from the other, so that shares of classes say
    nothing: at most `most` of them."""
    rng = np.random.default_rng(len(labels))
    found = []
    for label in np.unique(labels):
        one, other = (rng.permutation(np.flatnonzero((labels == label) & part)) for part in (~is_second, is_second))
        size = min(len(one), len(other))
        found += [one[:size], other[:size]]
    rows = np.concatenate(found) if found else np.zeros(0, np.int64)
    if len(rows) > most:  # whole pairs, so that the parts stay even
        halves = [rng.permutation(rows[part[rows]])[: most // 2] for part in (~is_second, is_second)]
        rows = np.concatenate(halves)
    return np.sort(rows).astype(np.int64)


def told_apart(
    rows: Indices, is_second: NDArray[np.bool_], probabilities: Floats, groups: Indices | None = None
) -> Shift:
    """The classifier two-sample test (Lopez-Paz and Oquab 2017): the share of held-out images whose part is told, which
    is Gaussian about one half where both parts are of one kind, of variance 1 / 4n. probabilities (n, 2): of each.
    groups (n,): images of one group are told together, so that their number is what counts.
    """
    n, truth = len(rows), is_second[rows]
    right = (probabilities[:, 1] > 0.5) == truth
    accuracy = float(right.mean())
    z = (accuracy - 0.5) * math.sqrt(4 * (n if groups is None else len(np.unique(groups))))
    sure = np.where(truth & right, probabilities[:, 1], -1.0)
    typical = rows[np.argsort(-sure, kind="stable")][: int((sure > 0).sum())]
    return Shift(accuracy, 0.5 * math.erfc(z / math.sqrt(2)), n, typical, groups is not None)
