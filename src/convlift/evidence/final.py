"""The end of a campaign: is the shipped recipe better than the baseline, over new seeds and new images?

Two-way variance: an image part, because the test images are a sample, and a seed part, because the trained networks
are one. McNemar's test has only the first and certifies two networks, not two recipes.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from convlift.outcome import Estimate

Floats = NDArray[np.float64]

PRIOR_RUNS = 4.0  # what the search says about the seeds' variance counts like this many runs
SEED_FLOOR = 0.2**2


@dataclass(frozen=True)
class FinalJudgement:
    """baseline, final: mean scores in [0, 1]; gain_points: their difference in points; each with a 95% interval.

    shipped: score of the first final run, whose weights are shipped (Wilson). proven: the gain's interval lies above 0.
    seed_variance: g_f in points squared, of one run's true score; degrees_of_freedom: of the gain's interval.
    """

    baseline: Estimate
    final: Estimate
    gain_points: Estimate
    proven: bool
    shipped: Estimate
    seed_variance: float
    degrees_of_freedom: float


def judge(baseline_correct: Floats, final_correct: Floats, search_seed_variance: float) -> FinalJudgement:
    """Score both arms and their difference on the sealed test.

    baseline_correct (P, nt), final_correct (S, nt): each run's score on each test image, in [0, 1].
    search_seed_variance: g_R of `changes.test_changes`, points squared: the prior for the seeds' variance, kept between
    .85^2 and 1.2^2, because with two or three runs an arm the variance between them alone would be a coin toss.
    """
    baseline, final = (100.0 * np.asarray(arm, np.float64) for arm in (baseline_correct, final_correct))
    runs = [len(baseline), len(final)]
    seeds = seed_variance((baseline, final), search_seed_variance)
    seed_df = PRIOR_RUNS + sum(runs) - 2.0
    gain, low, high, df = _interval(final.mean(0) - baseline.mean(0), seeds * sum(1.0 / run for run in runs), seed_df)
    return FinalJudgement(
        baseline=_score(baseline, seeds / runs[0], seed_df),
        final=_score(final, seeds / runs[1], seed_df),
        gain_points=Estimate(gain, low, high),
        proven=low > 0.0,
        shipped=wilson(float(final[0].mean()) / 100.0, final.shape[1]),
        seed_variance=seeds,
        degrees_of_freedom=df,
    )


def seed_variance(arms: Sequence[Floats], search_seed_variance: float) -> float:
    """g_f: variance of a recipe's true score over seeds, pooled over arms (k, nt) of points; at least .2^2.

    From the variance between a recipe's runs goes what luck on single images explains: the mean over images of the
    variance within an image, by nt.
    """
    total = PRIOR_RUNS * min(max(search_seed_variance, 0.85**2), 1.2**2)
    weight = PRIOR_RUNS
    for arm in arms:
        if len(arm) > 1:
            luck = float(arm.var(0, ddof=1).mean()) / arm.shape[1]
            total += (len(arm) - 1) * (float(arm.mean(1).var(ddof=1)) - luck)
        weight += len(arm) - 1
    return max(total / weight, SEED_FLOOR)


def wilson(score: float, n_images: int) -> Estimate:
    """95% interval of one network's score from n images (Wilson 1927); scores between 0 and 1 only make it cautious."""
    z = float(stats.norm.ppf(0.975))
    middle = (score + z * z / (2 * n_images)) / (1 + z * z / n_images)
    half = z * math.sqrt(score * (1 - score) / n_images + (z / (2 * n_images)) ** 2) / (1 + z * z / n_images)
    return Estimate(score, max(middle - half, 0.0), min(middle + half, 1.0))


def _interval(points: Floats, seeds: float, seed_df: float) -> tuple[float, float, float, float]:
    """Mean of `points` (nt,) with its two-way 95% interval and Satterthwaite's degrees of freedom."""
    images = float(points.var(ddof=1)) / len(points)
    df = (images + seeds) ** 2 / (images**2 / (len(points) - 1) + seeds**2 / seed_df)
    half = float(stats.t.ppf(0.975, df)) * math.sqrt(images + seeds)
    middle = float(points.mean())
    return middle, middle - half, middle + half, df


def _score(arm: Floats, seeds: float, seed_df: float) -> Estimate:
    """An arm's mean score. Two right and two wrong images are added for the width alone (Agresti and Coull 1998).

    Without them a perfect arm would claim to be perfect on every image there is.
    """
    score = float(arm.mean())
    guarded = np.concatenate([arm.mean(0), [0.0, 0.0, 100.0, 100.0]])
    middle, low, high, _ = _interval(guarded, seeds, seed_df)
    return Estimate(score / 100, max(score - middle + low, 0.0) / 100, min(score - middle + high, 100.0) / 100)
