"""What an evaluation says of one class against the rest: ROC curves, and thresholds; and of single groups of images."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray
from scipy.stats import rankdata

from convlift.errors import ConvliftError
from convlift.evidence.image_variance import Groups
from convlift.evidence.score_intervals import share_of
from convlift.records.confidence import Confidence
from convlift.records.evaluation import Evaluation, GroupFigures, OperatingPoint, RocCurve

MOST_CORNERS = 400  # of a curve: more than its drawing has pixels

Labels = NDArray[np.int64]
Rows = NDArray[np.float32]


def roc_curves(classes: Sequence[str], probabilities_NK: Rows, labels_N: Labels) -> tuple[RocCurve, ...]:
    """Of every class against the rest that has images of both kinds; of two classes of the second alone."""
    chosen = range(len(classes)) if len(classes) != 2 else (1,)
    parts = ((k, probabilities_NK[:, k].astype(np.float64), labels_N == k) for k in chosen)
    return tuple(_curve(classes[k], scores, own) for k, scores, own in parts if own.any() and not own.all())


def operating_points(
    confidence: Confidence, classes: Sequence[str], probabilities_NK: Rows, labels_N: Labels, groups_N: Groups = None
) -> tuple[OperatingPoint, ...]:
    """What every threshold of the model gives on these images."""
    found = []
    for each in confidence.thresholds:
        if each.positive in classes:
            k = list(classes).index(each.positive)
            passes, own = probabilities_NK[:, k] >= each.threshold, labels_N == k
            both = share_of(passes, own, groups_N), share_of(~passes, ~own, groups_N)
            found.append(OperatingPoint(each.positive, each.target, each.threshold, *both))
    return tuple(found)


def check_positive(model: str, classes: Sequence[str], positive: str | None) -> None:
    """Raise ConvliftError where the model has no such class."""
    if positive is not None and positive not in classes:
        some = ", ".join(classes[:10]) + (", ..." if len(classes) > 10 else "")
        raise ConvliftError(f"positive {positive!r} is no class of {model}; name one of its own ({some}).")


def of_class(found: Evaluation, positive: str | None) -> Evaluation:
    """The evaluation with the operating points of one class: the named one, where none is named the second of two;
    of more classes those of none."""
    names = [each.name for each in found.classes]
    asked = positive if positive is not None or len(names) != 2 else names[1]
    return replace(found, operating_points=tuple(each for each in found.operating_points if each.positive == asked))


def group_figures(names: Sequence[str], right_N: NDArray[np.bool_]) -> tuple[GroupFigures, ...]:
    """Of every group, the weakest first; names: of the group of every image, none where they come in no groups."""
    if not names:
        return ()
    listed, place = np.unique(np.array(names), return_inverse=True)
    counts, rights = np.bincount(place), np.bincount(place, right_N)
    found = [GroupFigures(str(name), int(n), float(r / n)) for name, n, r in zip(listed, counts, rights, strict=True)]
    return tuple(sorted(found, key=lambda group: (group.right, -group.images)))


def _curve(name: str, scores_N: NDArray[np.float64], positive_N: NDArray[np.bool_]) -> RocCurve:
    order = np.argsort(-scores_N, kind="stable")
    ends = np.flatnonzero(np.diff(scores_N[order], append=-np.inf))  # equal scores pass together
    true, false = (_passed(kind[order], ends) for kind in (positive_N, ~positive_N))
    ranks, n = rankdata(scores_N), int(positive_N.sum())
    area = (ranks[positive_N].sum() - n * (n + 1) / 2) / (n * (len(scores_N) - n))
    kept = np.unique(np.linspace(0, len(true) - 1, min(len(true), MOST_CORNERS)).round().astype(int))
    return RocCurve(name, float(area), tuple(map(float, false[kept])), tuple(map(float, true[kept])))


def _passed(kind_N: NDArray[np.bool_], ends: Labels) -> NDArray[np.float64]:
    """Which share of a kind passes ever lower thresholds, from none of it on."""
    counts = np.concatenate([[0], np.cumsum(kind_N)[ends]])
    return np.asarray(counts / kind_N.sum(), np.float64)
