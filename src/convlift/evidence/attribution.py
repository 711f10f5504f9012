"""What each change adds to the total: its share in points, with an interval that can be believed."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from convlift.evidence.posterior import Belief
from convlift.records.verdict_grounds import Unexplained

Floats = NDArray[np.float64]

# What the model leaves out. Its own intervals cover .55 to .82, for it takes effects to add up: an interaction moves a
# share by about .5 points, and by the more the larger the share is.
MODEL_SD = 0.5
MODEL_SHARE = 0.3

Z = 1.96  # standard deviations in half of a 95% interval
LARGE_POINTS, LARGE_SHARE = 1.0, 0.5  # of an unexplained remainder


@dataclass(frozen=True)
class Shares:
    """What each of K changes adds.

    points, low, high (K,): each share in points with its 95% interval.
    probability (K,): that the change helps, by the same regression.
    unexplained: the total minus what the shipped changes add, in points.
    warning: the same beside the total, where it is large.
    """

    points: Floats
    low: Floats
    high: Floats
    probability: Floats
    unexplained: float
    warning: Unexplained | None = None


def shares(
    belief: Belief, shipped: NDArray[np.bool_], total: float, start: float = 0.0, *, unit: float = 1.0
) -> Shares:
    """Split the total gain (points) among the shipped changes (K,).

    belief: the regression fitted again to every run's score on validation and test images together, after the test was
    opened (`n_images` is the sum of both). start: what the starting point adds to the baseline, in points. A remainder
    of more than half the total (and a point) gets a warning; a smaller positive one is usual, for shares are shrunk.
    unit: of the metric, see `metrics.Metric.unit`.
    """
    half = half_widths(belief, unit=unit)
    unexplained = total - start - float(belief.mean[shipped].sum())
    is_large = abs(unexplained) > max(unit * LARGE_POINTS, LARGE_SHARE * abs(total))
    warning = Unexplained(unexplained, total) if is_large else None
    return Shares(belief.mean, belief.mean - half, belief.mean + half, belief.probability, unexplained, warning)


def half_widths(belief: Belief, *, unit: float = 1.0) -> Floats:
    """(K,): half of the 95% interval of each change's share, in the points of the belief. It is wider than the
    regression's own, whose model takes effects to add up. unit: see `shares`."""
    widths: Floats = Z * np.sqrt(belief.sd**2 + (unit * MODEL_SD) ** 2 + (MODEL_SHARE * belief.mean) ** 2)
    return widths
