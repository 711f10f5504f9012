"""How much a recipe's true score differs from seed to seed, estimated for each arm by itself.

Two to five runs of an arm tell little of their own variance, so it is moderated (Smyth 2004): by what is usual and, for
recipes that grew out of the search's start, by the search's estimate, from the many runs whose scores scatter around
what the changes explain. That estimate is no better than the model: with fewer runs than changes it takes seeds for
effects, and where most changes harm it takes their interplay for seeds. So it counts like two runs, is kept between .85
and 2.5 points, and is the least that is believed.

Chosen among a dozen rules in simulated campaigns whose arms differ in noise (`python benchmarks/evidence.py --only
arms`): one variance for both arms proves false gains in .05 to .17 of them where the baseline's seeds differ by 3
points and more, or those of the shipped recipe by 2.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from convlift.evidence.image_variance import Groups, effective_number, image_part, run_variance
from convlift.evidence.spike_and_slab import WITHIN

Floats = NDArray[np.float64]

WORD_RUNS = 2.0  # the search's estimate counts like so many runs; at 4 false gains are 1.2 times as many
USUAL_RUNS = 1.0  # what is usual counts like this many, where no search estimates anything
# points at an accuracy of .85: the least and the most that the search's estimate may be. Without an upper limit
# intervals are twice as wide where most changes harm
LIMITS = (0.85, 2.5)
# points: up to this, the shipped recipe is believed to be as noisy as the baseline's runs are. With 2 instead of 4, a
# gain or loss of nothing is proven in .04 to .055 of simulated campaigns where seeds differ by 4 points in both arms,
# or by 8 and 1
MOST_OF_THE_OTHER = 4.0
FLOOR = 0.2
USUAL_DEVIATION = 100.0 * math.sqrt(0.85 * 0.15)  # of one image's points, where the limits were measured


@dataclass(frozen=True)
class Spread:
    """How much true scores differ over seeds: variance, of one run, in points squared, and its degrees of freedom."""

    variance: float
    freedom: float


def scale(points_Rn: Floats) -> float:
    """By what the limits are multiplied: 1 at an accuracy of .85, sqrt(A(1-A)) / sqrt(.85 .15) at another, .2 at least.

    Of another metric the deviation of its per-image points by that of accuracy's. Runs that are nearly always right
    cannot differ by .85 points from seed to seed.
    """
    return math.sqrt(run_variance(points_Rn)) / USUAL_DEVIATION


def between(arm: Floats, groups: Groups = None) -> float:
    """Variance between an arm's runs (k, nt), in points squared, less what luck on single images explains of it.

    That is the `image_part` of what a run differs by from their mean, times k / (k - 1). May be below 0; 0 for one run.
    """
    runs = len(arm)
    if runs < 2:
        return 0.0
    luck = float(image_part(arm - arm.mean(0), groups).mean()) * runs / (runs - 1)
    return float(arm.mean(1).var(ddof=1)) - luck


def of_a_stranger(arm: Floats, groups: Groups = None) -> Spread:
    """Of a baseline that no search started from, from its runs (P, nt) in points: their own variance is the least that
    is believed, and the usual one, (.85 points)^2, counts like one run more."""
    own, runs, usual = between(arm, groups), len(arm), LIMITS[0] ** 2
    size = scale(arm) ** 2
    moderated = (USUAL_RUNS * usual * size + (runs - 1) * own) / (USUAL_RUNS + runs - 1)
    return Spread(max(moderated, own, FLOOR**2 * size), USUAL_RUNS + runs - 1)


def of_the_searched(arm: Floats, word: float, stranger: Spread, size: float, groups: Groups = None) -> Spread:
    """Of the shipped recipe, from its runs (S, nt) in points, where the baseline is another network.

    word: the search's estimate, points squared.
    stranger, size: the baseline's spread and `scale`. Networks that scatter do so on both sides more often than not, so
        the baseline's variance, up to 4 points', is the least too.
    """
    own = scale(arm)
    least = max(within_limits(word, own), min(stranger.variance / size**2, MOST_OF_THE_OTHER**2) * own**2)
    return _moderated([between(arm, groups)], [len(arm)], least, WORD_RUNS)


def of_both(arms: Sequence[Floats], word: float, owners: Sequence[Groups], counts: float = WORD_RUNS) -> Spread:
    """Of recipes from one start, pooled over their arms (k, nt) of points; owners: each arm's groups of images."""
    size = math.sqrt(float(np.mean([scale(arm) ** 2 for arm in arms])))
    own = [between(arm, groups) for arm, groups in zip(arms, owners, strict=True)]
    return _moderated(own, [len(arm) for arm in arms], within_limits(word, size), counts)


def score_variance(scores: Floats, images_Rn: Floats, groups: Groups = None) -> float:
    """Of one run's score on n images, over seeds and luck on single images, points squared; from k runs' scores (k,)
    and their points (k, n): what is usual counts like one run more."""
    luck = WITHIN * run_variance(images_Rn) / effective_number(images_Rn, groups)
    usual = (LIMITS[0] * scale(images_Rn)) ** 2 + luck
    own = float(scores.var(ddof=1)) if len(scores) > 1 else usual
    return (USUAL_RUNS * usual + (len(scores) - 1) * own) / (USUAL_RUNS + len(scores) - 1)


def within_limits(word: float, size: float) -> float:
    """The search's estimate, points squared, between the limits of recipes whose `scale` is `size`."""
    return min(max(word, (LIMITS[0] * size) ** 2), (LIMITS[1] * size) ** 2)


def _moderated(own: Sequence[float], runs: Sequence[int], word: float, counts: float) -> Spread:
    freedom = counts + sum(runs) - len(runs)
    pooled = counts * word + sum((k - 1) * variance for k, variance in zip(runs, own, strict=True))
    return Spread(max(pooled / freedom, word), freedom)
