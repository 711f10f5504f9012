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

from convlift.evidence.images import Groups, degrees_of_freedom, effective_number, image_part, run_variance
from convlift.outcome import Estimate

Floats = NDArray[np.float64]

PRIOR_RUNS = 4.0  # what the search says about the seeds' variance counts like this many runs
SEED_FLOOR = 0.2**2
SEED_LIMITS = (0.85, 2.5)  # points: what the search may say of the seeds' standard deviation. With 1.2 at most the gain
# would be covered by .87 instead of .91 where seeds differ by 2 points; intervals of a dozen runs are 5% wider for it


@dataclass(frozen=True)
class FinalJudgement:
    """baseline, final: mean scores in [0, 1]; gain_points: their difference in points; each with a 95% interval.

    shipped: score of the first final run, whose weights are shipped. proven: the gain's interval lies above 0.
    seed_variance: g_f in points squared, of one run's true score; degrees_of_freedom: of the gain's interval.
    image_variance: of one baseline run's score over images, points squared; effective_images: as how many independent
    images the test counts.
    """

    baseline: Estimate
    final: Estimate
    gain_points: Estimate
    proven: bool
    shipped: Estimate
    seed_variance: float
    degrees_of_freedom: float
    image_variance: float
    effective_images: float


def judge(
    baseline_scores: Floats,
    final_scores: Floats,
    search_seed_variance: float,
    groups: Groups = None,
    *,
    unit: float = 1.0,
    lowest: float = 0.0,
) -> FinalJudgement:
    """Score both arms and their difference on the sealed test.

    baseline_scores (P, nt), final_scores (S, nt): each run's score on each test image, 1 at best (see `metrics`).
    search_seed_variance: g_R of `changes.test_changes`, points squared: the prior for the seeds' variance, kept between
    .85^2 and 2.5^2, because with two or three runs an arm the variance between them alone would be a coin toss.
    groups (nt,): which images belong together; unit: see `metrics.Metric.unit`; lowest: the worst score there is.
    """
    baseline, final = (100.0 * np.asarray(arm, np.float64) for arm in (baseline_scores, final_scores))
    runs = [len(baseline), len(final)]
    seeds = seed_variance((baseline, final), search_seed_variance, groups, unit)
    seed_df = PRIOR_RUNS + sum(runs) - 2.0
    gain, low, high, df = two_way_interval(
        final.mean(0) - baseline.mean(0), seeds * sum(1.0 / run for run in runs), seed_df, groups
    )
    return FinalJudgement(
        baseline=mean_score(baseline.mean(0), seeds / runs[0], seed_df, groups, lowest),
        final=mean_score(final.mean(0), seeds / runs[1], seed_df, groups, lowest),
        gain_points=Estimate(gain, low, high),
        proven=low > 0.0,
        shipped=one_network(final[0] / 100.0, groups, lowest=lowest),
        seed_variance=seeds,
        degrees_of_freedom=df,
        image_variance=run_variance(baseline),
        effective_images=effective_number(np.concatenate([baseline, final]), groups),
    )


def seed_variance(
    arms: Sequence[Floats],
    search_seed_variance: float,
    groups: Groups | Sequence[Groups] = None,
    unit: float = 1.0,
) -> float:
    """g_f: variance of a recipe's true score over seeds, pooled over arms (k, nt) of points; at least .2^2.

    From the variance between a recipe's k runs goes what luck on single images (or groups of them) explains: the
    `image_part` of what a run differs by from their mean, times k / (k - 1). groups: of the images, or one entry an arm
    where the arms have images of their own. unit: multiplies the limits, which are in points of accuracy.
    """
    owners = [groups] * len(arms) if groups is None or isinstance(groups, np.ndarray) else groups
    least, most = ((limit * unit) ** 2 for limit in SEED_LIMITS)
    total = PRIOR_RUNS * min(max(search_seed_variance, least), most)
    weight = PRIOR_RUNS
    for arm, theirs in zip(arms, owners, strict=True):
        runs = len(arm)
        if runs > 1:
            luck = float(image_part(arm - arm.mean(0), theirs).mean()) * runs / (runs - 1)
            total += (runs - 1) * (float(arm.mean(1).var(ddof=1)) - luck)
        weight += runs - 1
    return max(total / weight, SEED_FLOOR * unit**2)


def one_network(scores: Floats, groups: Groups = None, *, lowest: float = 0.0) -> Estimate:
    """One network's score with its 95% interval over images; scores (n,): of every image, 1 at best.

    Wilson's where they are right or wrong, on as many images as the groups leave independent (n times the ungrouped
    variance by the grouped one); else Student's t from the variance over images.
    """
    if np.isin(scores, (0.0, 1.0)).all():
        plain, grouped = float(image_part(scores)), float(image_part(scores, groups))
        count = len(scores) * (min(plain / grouped, 1.0) if grouped > 0 else 1.0)
        return wilson(float(scores.mean()), max(count, 2.0))
    middle, low, high, _ = two_way_interval(100.0 * scores, 0.0, 1.0, groups)
    return Estimate(middle / 100, max(low / 100, lowest), min(high / 100, 1.0))


def wilson(score: float, n_images: float) -> Estimate:
    """95% interval of one network's score from n images (Wilson 1927); scores between 0 and 1 only make it cautious."""
    z = float(stats.norm.ppf(0.975))
    middle = (score + z * z / (2 * n_images)) / (1 + z * z / n_images)
    half = z * math.sqrt(score * (1 - score) / n_images + (z / (2 * n_images)) ** 2) / (1 + z * z / n_images)
    return Estimate(score, max(middle - half, 0.0), min(middle + half, 1.0))


def two_way_interval(points: Floats, seeds: float, seed_df: float, groups: Groups) -> tuple[float, float, float, float]:
    """Mean of `points` (nt,) with its two-way 95% interval and Satterthwaite's degrees of freedom."""
    images, image_df = float(image_part(points, groups)), degrees_of_freedom(len(points), groups)
    df = (images + seeds) ** 2 / max(images**2 / image_df + seeds**2 / seed_df, 1e-12)
    half = float(stats.t.ppf(0.975, df)) * math.sqrt(images + seeds)
    middle = float(points.mean())
    return middle, middle - half, middle + half, df


def mean_score(points: Floats, seeds: float, seed_df: float, groups: Groups, lowest: float) -> Estimate:
    """An arm's mean score from its runs' mean points on every image (nt,); seeds: the other part of its variance.

    Two right and two wrong images are added for the width alone (Agresti and Coull 1998). Without them a perfect arm
    would claim to be perfect on every image there is. Each is a group of its own.
    """
    score = float(points.mean())
    guarded = np.concatenate([points, [0.0, 0.0, 100.0, 100.0]])
    owners = None if groups is None else np.concatenate([groups, groups.max() + np.arange(1, 5)])
    middle, low, high, _ = two_way_interval(guarded, seeds, seed_df, owners)
    return Estimate(score / 100, max((score - middle + low) / 100, lowest), min((score - middle + high) / 100, 1.0))
