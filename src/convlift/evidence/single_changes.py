"""Which single changes are proven: one ridge regression over all runs, on the sealed test's images only.

The estimate of each change is a weighted mean over runs, so its variance has an image part, a seed part, and a part
for what the other changes leak into it (aliasing), which keeps the test honest with fewer runs than changes.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import linalg, stats

from convlift.evidence.image_variance import Groups, degrees_of_freedom, effective_number, image_part
from convlift.evidence.seeds import of_a_stranger, scale, within_limits
from convlift.evidence.spike_and_slab import SEED_SD, SLAB_SCALE, WITHIN
from convlift.records.result import Estimate

Floats = NDArray[np.float64]
Bools = NDArray[np.bool_]

EFFECT_VARIANCE = 0.4 * SLAB_SCALE**2  # v: of one change's effect, most being near zero
COMMON_VARIANCE = 0.5**2  # of the mean of all changes' effects
LEVEL = 0.05


@dataclass(frozen=True)
class ChangeTests:
    """One look at all K changes.

    points, error (K,): estimate and its standard error, in points.
    t, p (K,): its t statistic and two-sided p.
    holm (K,): Holm's p, which corrects for the number of changes in `asked`; 1 for the others.
    proven (K,): which changes are.
    asked (K,): the changes that the test is about, those of the recipe that was frozen before it was opened; of the
        others nothing can be proven.
    degrees_of_freedom: of t.
    seed_variance: g_R, of one run's true score over seeds, points squared.
    """

    points: Floats
    error: Floats
    t: Floats
    p: Floats
    holm: Floats
    proven: Bools
    asked: Bools
    degrees_of_freedom: float
    seed_variance: float


@dataclass(frozen=True)
class _Ridge:
    """A ridge regression of scores on what was on.

    noise: g, variance of one run around the model, points squared.
    seeds: g_R, the part of it that is no luck on single images.
    freedom: N - 1 - tr H, the degrees of freedom that the fit leaves.
    map (K, N): from scores to effects.
    """

    noise: float
    seeds: float
    freedom: float
    map: Floats


def test_changes(
    on: Bools,
    scores: Floats,
    groups: Groups = None,  # noqa: PT028 (pytest takes the name for a test's)
    *,
    asked: Bools | None = None,  # noqa: PT028
    unit: float = 1.0,  # noqa: PT028
) -> ChangeTests:
    """Test every change once on the opened test.

    on (N, K): what each run had on, over all runs from one starting point, final runs included.
    scores (N, nt): each run's score on each test image, 1 at best.
    groups (nt,): which images belong together.
    asked (K,): which changes to correct for, fixed before the test was opened; None for all.
    unit: of the metric, see `metrics.Metric.unit`.
    A change is proven when its Holm-adjusted p (Holm 1979) is at most .05 and its effect is positive. A change that was
    on in no run or in all gets p = 1.
    """
    design, points = _centred(on), 100.0 * np.asarray(scores, np.float64)
    ridge = _ridge(design, points, groups, unit)
    # E[estimate] = H b with H = map X: its diagonal is what the ridge lets through of a change, and beside it stands
    # what the other changes leak into the estimate (their aliases, in the words of designed experiments)
    leak = ridge.map @ design
    kept = np.diagonal(leak).copy()
    np.fill_diagonal(leak, 0.0)
    # an estimate is linear in the runs, so it has one number on every image, whose spread is the image part; seeds are
    # independent between runs, so their part is g_R times the squared weights
    noise = image_part(ridge.map @ points, groups) + ridge.seeds * np.sum(ridge.map**2, axis=1)
    # t is no surer than the less certain of its two parts: the images' variance, and that of the seeds, whose guess
    # counts like 4 runs (see `_ridge`) and to which the runs add 20 degrees of freedom at most
    df = min(4.0 + min(ridge.freedom, 20.0), degrees_of_freedom(points.shape[1], groups))
    seen = np.abs(design).sum(axis=0) > 0
    # estimate and error are divided by H_jj, the part of a change that the ridge lets through: t is the same, and the
    # points are those of the change rather than of its shrunk shadow
    scale = np.where(seen, kept, 1.0)
    estimate = np.where(seen, ridge.map @ points.mean(axis=1), 0.0) / scale
    # the other changes are taken for draws of N(0, own), so that what leaks is a variance beside those of images and
    # seeds; in the ridge alone it would be a bias that no interval knows of
    own = _effect_variance(estimate[seen], (noise / scale**2)[seen], unit**2 * EFFECT_VARIANCE)
    error = np.sqrt(np.where(seen, noise + own * np.sum(leak**2, axis=1), 0.0)) / scale
    t = estimate / np.where(seen, error, 1.0)
    p = np.where(seen, 2.0 * stats.t.sf(np.abs(t), df), 1.0)
    among = np.ones(len(p), bool) if asked is None else np.asarray(asked, bool)
    holm = np.ones_like(p)
    holm[among] = holm_adjusted(p[among])
    return ChangeTests(estimate, error, t, p, holm, (holm <= LEVEL) & (estimate > 0), among, df, ridge.seeds)


def _effect_variance(estimates: Floats, noise: Floats, least: float) -> float:
    """Mean square of the effects themselves, points squared: by moments, from estimates and what noise adds to them.

    Where effects are large, or work together a lot, what leaks from one into another is large too. With the usual
    variance alone a false claim was made in .10 (antagonism) to .28 (most changes harm) of the simulated campaigns of
    60 trainings, for the runs that chose the changes are those that test them; with this one in .01 to .03.
    """
    return max(least, float(np.mean(estimates**2 - noise))) if len(estimates) else least


def holm_adjusted(p: Floats) -> Floats:
    """Holm's step-down p-values: compare with the level that all tests together shall keep."""
    order = np.argsort(p, kind="stable")
    stepped = np.maximum.accumulate(p[order] * np.arange(len(p), 0, -1))
    adjusted = np.empty_like(p)
    adjusted[order] = np.minimum(stepped, 1.0)
    return adjusted


def start_effect(
    baseline_scores: Floats, on: Bools, scores: Floats, groups: Groups = None, *, unit: float = 1.0
) -> Estimate:
    """What the starting point alone adds to the baseline, in points, where the two differ.

    baseline_scores (P, nt): the baseline's runs; on (N, K), scores (N, nt): all runs from the starting point. No run
    need be the bare starting point, yet one or two are worth much more than others (half-width 5 instead of 12 points
    at 20 trials on 300 images): a search draws recipes with about as many changes each, so the changes' common mean is
    hardly told from the intercept. The intercept is the generalized least-squares mean under b_j = m + N(0, v),
    m ~ N(0, .5^2), whose weights prefer runs with few changes; what the changes leak into it under that model is part
    of the variance, beside images and seeds. Simulated coverage in worlds with no, mixed, antagonistic and mostly
    harmful changes: with a bare run .95 to 1.00; without one .97 to 1.00, but .65 to .75 where most changes harm.
    """
    # the baseline is another network, so its runs tell nothing of the start: the start's score is the regression's
    # intercept, extrapolated to a run with no change on
    x, points = np.asarray(on, np.float64), 100.0 * np.asarray(scores, np.float64)
    baseline = 100.0 * np.asarray(baseline_scores, np.float64)
    ridge = _ridge(_centred(on), points, groups, unit)
    # how two runs' scores go together through the changes that they share: x (v I + .5^2 1 1') x'
    count = x.sum(axis=1)
    leak = unit**2 * (EFFECT_VARIANCE * x @ x.T + COMMON_VARIANCE * np.outer(count, count))
    # the generalized least-squares mean (Aitken 1935): weights are the inverse covariance's row sums, scaled to 1
    weights = linalg.solve(leak + ridge.noise * np.eye(len(x)), np.ones(len(x)), assume_a="pos")
    weights /= weights.sum()
    gain = weights @ points - baseline.mean(axis=0)
    # no search started from the baseline, so its seed variance comes from its own runs (seeds.py)
    spread = of_a_stranger(baseline, groups)
    before = spread.variance / len(baseline)
    seeds = within_limits(ridge.seeds, scale(points))
    rest = float(image_part(gain, groups) + seeds * (weights @ weights) + weights @ leak @ weights)
    rest_df = min(4.0 + min(ridge.freedom, 20.0), degrees_of_freedom(len(gain), groups))
    # Welch-Satterthwaite: two variances that are estimated apart
    df = (before + rest) ** 2 / (before**2 / spread.freedom + rest**2 / rest_df)
    half = float(stats.t.ppf(0.975, df) * np.sqrt(before + rest))
    middle = float(gain.mean())
    return Estimate(middle, middle - half, middle + half)


def _centred(on: Bools) -> Floats:
    design = np.asarray(on, np.float64)
    centred: Floats = design - design.mean(axis=0)
    return centred


def _ridge(design: Floats, points: Floats, groups: Groups = None, unit: float = 1.0) -> _Ridge:
    """Ridge with penalty g/v, g re-estimated four times: what the model leaves over, pooled with what it should be."""
    runs, candidates = design.shape
    score, own = points.mean(axis=1), unit**2 * EFFECT_VARIANCE
    # what a new seed redraws on single images is luck that every run has; the guess of g adds the seeds' usual variance
    luck = WITHIN * float(points.var(axis=1).mean()) / effective_number(points, groups)
    guess = unit**2 * SEED_SD**2 + luck
    noise, freedom, gram = guess, 0.5, design.T @ design
    # the penalty needs g and g needs the residuals of the fit: a few rounds settle both. The guess counts like 4 runs
    # (a scaled inverse chi-square prior), and g never falls below a quarter of it, as in the search's own model
    for _ in range(4):
        map_KN = linalg.solve(gram + noise / own * np.eye(candidates), design.T, assume_a="pos")
        freedom = max(runs - 1 - float(np.trace(map_KN @ design)), 0.5)
        left = score - score.mean() - design @ (map_KN @ score)
        noise = max((4.0 * guess + float(left @ left)) / (4.0 + freedom), guess / 4.0)
    map_KN = linalg.solve(gram + noise / own * np.eye(candidates), design.T, assume_a="pos")
    return _Ridge(noise, max(noise - luck, (unit * 0.05) ** 2), freedom, map_KN)
