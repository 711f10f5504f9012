"""Where a class's probability is cut: thresholds chosen on validation images, and what they give on other ones."""

from typing import get_args

import numpy as np
from numpy.typing import NDArray

from convlift.records.confidence import Target

Floats = NDArray[np.float64]

TARGETS: tuple[Target, ...] = get_args(Target)
SENSITIVITIES: dict[Target, float] = {"sensitivity 0.90": 0.90, "sensitivity 0.95": 0.95, "sensitivity 0.99": 0.99}


def choose_thresholds(scores_N: Floats, positive_N: NDArray[np.bool_]) -> dict[Target, float]:
    """A threshold for every target that these images are enough for; none without images of both kinds.

    Of a sensitivity s: that which the k-th lowest of n positive scores just passes, k the whole part of
    (1 - s)(n + 1). A new positive image then passes it with probability s at least, whatever the network (split
    conformal prediction: Papadopoulos et al. 2002; Angelopoulos and Bates 2021, section 1). It takes 9, 19 and 99
    images. Youden's J: that of the largest sensitivity + specificity (Youden 1950). Each lies half-way to the next
    lower score, so that rounding does not decide.
    """
    if not positive_N.any() or positive_N.all():
        return {}
    values = np.unique(scores_N)
    found: dict[Target, float] = {}
    lowest_first = np.sort(scores_N[positive_N])
    for target, sensitivity in SENSITIVITIES.items():
        k = int((1.0 - sensitivity) * (len(lowest_first) + 1) + 1e-9)
        if k:
            found[target] = _just_below(values, lowest_first[k - 1])
    # the share of either kind below each score: what a threshold there turns away
    lost, spared = (np.searchsorted(np.sort(scores_N[kind]), values) / kind.sum() for kind in (positive_N, ~positive_N))
    found["Youden's J"] = _just_below(values, values[int((spared - lost).argmax())])
    return found


def _just_below(values: Floats, score: float) -> float:
    place = int(np.searchsorted(values, score))
    return float((values[place - 1] + score) / 2.0) if place else float(score) / 2.0
