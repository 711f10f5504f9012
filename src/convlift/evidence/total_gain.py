"""The end of a campaign: is the shipped recipe better than the baseline, over new seeds and new images?

Two-way variance: an image part, because the test images are a sample, and a seed part, because the trained networks
are one. McNemar's test has only the first and certifies two networks, not two recipes.
"""

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from convlift.evidence.image_variance import (
    Groups,
    degrees_of_freedom,
    effective_number,
    image_part,
    images_alike,
    run_variance,
)
from convlift.evidence.seeds import Spread, of_a_stranger, of_both, of_the_searched, scale
from convlift.records.result import Estimate

Floats = NDArray[np.float64]

FEWEST_RUNS = 2  # an arm: one run does not show what another seed would have done


@dataclass(frozen=True)
class ArmScores:
    """The runs that are compared: each run's score on each test image, 1 at best (see `metrics`).

    baseline: (P, nt).
    final: (S, nt), of the shipped recipe.
    ships: which of the final runs does.
    """

    baseline: Floats
    final: Floats
    ships: int = 0


@dataclass(frozen=True)
class FinalJudgement:
    """How both arms score on the sealed test, and what lies between them; all intervals are 95%.

    baseline, final: mean scores in [0, 1].
    gain_points: their difference, in points.
    proven: the gain's interval lies above 0, and each arm has two runs or more.
    shipped: score of the final run whose weights ship.
    seed_variance: of one run's true score over seeds, points squared; the mean over both arms, weighted by their runs.
    seed_freedom: its degrees of freedom.
    degrees_of_freedom: of the gain's interval.
    image_variance: of one baseline run's score over images, points squared.
    effective_images: as how many independent images the test counts.
    """

    baseline: Estimate
    final: Estimate
    gain_points: Estimate
    proven: bool
    shipped: Estimate
    seed_variance: float
    seed_freedom: float
    degrees_of_freedom: float
    image_variance: float
    effective_images: float


def judge(
    scores: ArmScores,
    search_seed_variance: float,
    groups: Groups = None,
    *,
    same_start: bool = False,
    lowest: float = 0.0,
) -> FinalJudgement:
    """Score both arms and their difference on the sealed test.

    search_seed_variance: g_R of `single_changes.test_changes`, points squared: how much runs from the search's start
        differ from seed to seed.
    groups (nt,): which images belong together.
    same_start: whether the search started from the baseline, so that both arms share one variance; else each has its
        own (seeds.py).
    lowest: the worst score there is.
    """
    arms = [100.0 * np.asarray(arm, np.float64) for arm in (scores.baseline, scores.final)]
    baseline, final = arms
    before, after, both = _spreads(arms, search_seed_variance, groups, same_start=same_start)
    gain, low, high, df = two_way_interval(final.mean(0) - baseline.mean(0), both.variance, both.freedom, groups)
    return FinalJudgement(
        baseline=mean_score(baseline.mean(0), before.variance / len(baseline), before.freedom, groups, lowest),
        final=mean_score(final.mean(0), after.variance / len(final), after.freedom, groups, lowest),
        gain_points=Estimate(gain, low, high),
        proven=low > 0.0 and min(len(baseline), len(final)) >= FEWEST_RUNS,
        shipped=one_network(final[scores.ships] / 100.0, groups, lowest=lowest),
        seed_variance=both.variance / (1.0 / len(baseline) + 1.0 / len(final)),
        seed_freedom=both.freedom,
        degrees_of_freedom=df,
        image_variance=run_variance(baseline),
        effective_images=effective_number(np.concatenate([baseline, final]), groups),
    )


def _spreads(arms: list[Floats], word: float, groups: Groups, *, same_start: bool) -> tuple[Spread, Spread, Spread]:
    """Of one run of the baseline, of one of the shipped recipe, and the seeds' part of the gain with its degrees of
    freedom by Satterthwaite."""
    runs = [len(arm) for arm in arms]
    if same_start:
        shared = of_both(arms, word, [groups, groups])
        return shared, shared, Spread(shared.variance * sum(1.0 / k for k in runs), shared.freedom)
    before = of_a_stranger(arms[0], groups)
    after = of_the_searched(arms[1], word, before, scale(arms[0]), groups)
    parts = [spread.variance / k for spread, k in zip((before, after), runs, strict=True)]
    known = sum(part**2 / spread.freedom for part, spread in zip(parts, (before, after), strict=True))
    return before, after, Spread(sum(parts), sum(parts) ** 2 / known)


def one_network(scores: Floats, groups: Groups = None, *, lowest: float = 0.0) -> Estimate:
    """One network's score with its 95% interval over images; scores (n,): of every image, 1 at best.

    Wilson's where they are right or wrong, on as many images as are independent (`independent_images`); else Student's
    t from the variance over images.
    """
    if np.isin(scores, (0.0, 1.0)).all():
        return wilson(float(scores.mean()), independent_images(scores, groups))
    middle, low, high, _ = two_way_interval(100.0 * scores, 0.0, 1.0, groups)
    return Estimate(middle / 100, max(low / 100, lowest), min(high / 100, 1.0))


def independent_images(scores: Floats, groups: Groups = None) -> float:
    """As how many independent images these n count for Wilson's interval; scores (n,): 0 or 1.

    In groups n times the ungrouped variance by the grouped one; where all score the same, which shows no variance, as
    many as there are groups. Times (z / t)^2, since the variance is known no better than so few groups tell: of a class
    in two to four groups it covered in .75 to .90 without (simulated, benchmarks/evaluate.py).
    """
    if groups is None:
        return max(float(len(scores)), 2.0)
    plain, grouped = float(image_part(scores)), float(image_part(scores, groups))
    freedom = degrees_of_freedom(len(scores), groups)
    count = len(scores) * min(plain / grouped, 1.0) if grouped > 0 else freedom + 1.0
    return max(count * float(stats.norm.ppf(0.975) / stats.t.ppf(0.975, freedom)) ** 2, 0.05)


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
    would claim to be perfect on every image there is. Of images in groups as many are added together as tell no more
    than one independent image: near copies of each other are two right and two wrong groups.
    """
    score, copies = float(points.mean()), images_alike(points, groups)
    guarded = np.concatenate([points, np.repeat([0.0, 0.0, 100.0, 100.0], copies)])
    owners = None if groups is None else np.concatenate([groups, groups.max() + 1 + np.arange(4 * copies) // copies])
    middle, low, high, _ = two_way_interval(guarded, seeds, seed_df, owners)
    return Estimate(score / 100, max((score - middle + low) / 100, lowest), min((score - middle + high) / 100, 1.0))
