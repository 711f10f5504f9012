"""The end of a nested cross-validation: one judgement over the final and baseline runs of all folds.

Every image is a test image of exactly one fold, so all of them count. But the folds' networks were trained on nearly
the same images, and no unbiased estimate of what that does to the variance exists (Bengio and Grandvalet 2004). The
variance is

    image part over all images  +  sum_k w_k^2 g (1/S_k + 1/P_k)  +  max(g, .85^2) (sum_k w_k^2 + 1 / (K - 1))
    images                         seeds                             training images, and what a search made of them

with w_k the k-th fold's share of the images. Without the third term the interval covers what *these* folds' networks
are worth on new images (Bayle et al. 2020), but not always what the procedure is worth on other training images. Its
form is that of Nadeau and Bengio 2003: folds whose training images overlap are no independent repetitions, so one
more training's variance enters undivided, by the ratio of test to training images. Their own estimate of that variance,
between K fold means, is next to nothing but image noise on folds of 60 images, and doubles the intervals. So it is
taken to be that of the seeds, .85 points squared at least.

Simulated with real learners and a real search in every fold (simulation/folds.py; `python
benchmarks/evidence.py --only nested`), 200 campaigns a row, standard error .015 to .02: how often the 95% interval
includes what the procedure gains, and what it scores, on data sets of this size, for accuracy / the worst of six
metrics.

    images, folds, runs an arm              gain          score
    300, 5, 2                               .97 / .97     .97 / .96
    300, 5, 1                               .95 / .93     .97 / .94
    300, 10, 1                              .95 / .94     .92 / .92
    300, 2, 2                               .98 / .98     .98 / .96
    600, 3, 2                               .97 / .97     .98 / .97
    100, 5, 2                               .94 / .94     .92 / .90
    100, 3, 1                               .90 / .89     .86 / .86
    300 in groups of 8, 5, 2                .98 / .97     .94 / .91
    200, 10, 1; 10 images of one class      .93 / .78     .95 / .86
    100, 5, 1; 5 images of one class        .96 / .80     .89 / .75

The worst in the last two rows is AUROC, which is taken fold by fold, and each fold has one image of that class: a
note tells so. Without the third term the gain is held in .89 instead of .95 at 300 images in 2 folds, elsewhere in .01
to .05 less; with Nadeau and Bengio's own estimate in .96 to .99, by intervals 1.6 to 8.7 times as wide. Where nothing
is to be gained, a gain was proven in .02 to .04 of the campaigns.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from convlift.evidence.image_variance import Groups, effective_number, run_variance
from convlift.evidence.metrics import Metric
from convlift.evidence.seeds import of_both, scale
from convlift.evidence.total_gain import mean_score, two_way_interval
from convlift.records.result import Estimate

Floats = NDArray[np.float64]

# points at an accuracy of .85: least deviation of a recipe's true score over training images and searches; see above
FOLD_SD = 0.85

PRIOR_RUNS = 4.0  # what the folds' searches tell of the seeds counts like this many runs

Said = Sequence[NDArray[np.floating]]  # probabilities (n, K) of several runs on the same images


@dataclass(frozen=True)
class FoldRuns:
    """What one fold's campaign left on its test.

    baseline (P, n), final (S, n): every run's score on each image, 1 at best.
    groups (n,): which images belong together, by numbers that no other fold has; None where each stands alone.
    search_seed_variance: g_R of `single_changes.test_changes`, points squared.
    """

    baseline: Floats
    final: Floats
    groups: Groups = None
    search_seed_variance: float = 0.0


@dataclass(frozen=True)
class NestedJudgement:
    """How both arms score on all images, each tested in one fold; all intervals are 95%.

    baseline, final: mean scores in [0, 1].
    gain_points: their difference, in points.
    proven: the gain's interval lies above 0.
    seed_variance, degrees_of_freedom, image_variance, effective_images: see `FinalJudgement`.
    """

    baseline: Estimate
    final: Estimate
    gain_points: Estimate
    proven: bool
    seed_variance: float
    degrees_of_freedom: float
    image_variance: float
    effective_images: float


def scores_of_folds(
    metric: Metric, folds: Sequence[Said], labels: Sequence[NDArray[np.int64]], groups: Sequence[Groups] = ()
) -> list[Floats]:
    """Every image's score in each of its own fold's runs, 1 at best: (runs, n) for every fold.

    labels, groups (n,) of each fold, the latter as in `FoldRuns`. What makes up the score, such as the recall of a
    class, is taken over the images of all folds, where the metric allows it: with one image of a class in a fold its
    deviation from that fold's recall is always nothing, and intervals hold in .80 of simulated campaigns (5 such images
    in 5 folds) instead of .95. Run r of a fold meets run r of the others, which begin anew where they have fewer.
    """
    everything, ends = np.concatenate(labels), np.cumsum([len(each) for each in labels])[:-1]
    together = [np.concatenate([runs[r % len(runs)] for runs in folds]) for r in range(max(map(len, folds)))]
    owners = groups or [None] * len(folds)
    if not metric.pooled:
        each = zip(folds, labels, owners, strict=True)
        return [metric.matrix(runs, theirs, whose) / 100.0 for runs, theirs, whose in each]
    parts = np.split(metric.matrix(together, everything, _together(owners)) / 100.0, ends, axis=1)
    return [part[: len(runs)] for part, runs in zip(parts, folds, strict=True)]


def judge_folds(folds: Sequence[FoldRuns], *, lowest: float = 0.0) -> NestedJudgement:
    """Score both arms and their difference over the images of all folds, of which there are at least 2.

    Each image has its own fold's difference between the mean over final and over baseline runs. The seeds' variance g
    is pooled over all arms of all folds. lowest: the worst score there is.
    """
    before = [100.0 * np.asarray(fold.baseline, np.float64) for fold in folds]
    after = [100.0 * np.asarray(fold.final, np.float64) for fold in folds]
    groups = _together([fold.groups for fold in folds])
    shares = np.array([arm.shape[1] for arm in before], np.float64)
    shares /= shares.sum()
    prior = float(shares @ np.array([fold.search_seed_variance for fold in folds]))
    arms = [*before, *after]
    spread = of_both(arms, prior, [fold.groups for fold in folds] * 2, PRIOR_RUNS)
    seeds, seed_df = spread.variance, spread.freedom
    size = float(np.mean([scale(arm) ** 2 for arm in arms]))
    training = max(seeds, FOLD_SD**2 * size) * (float(np.sum(shares**2)) + 1.0 / (len(folds) - 1))
    from_before, from_after = (
        seeds * float(np.sum(shares**2 / [len(arm) for arm in side])) for side in (before, after)
    )
    base, shipped = (np.concatenate([arm.mean(axis=0) for arm in side]) for side in (before, after))
    gain, low, high, df = two_way_interval(shipped - base, from_before + from_after + training, seed_df, groups)
    return NestedJudgement(
        baseline=mean_score(base, from_before + training, seed_df, groups, lowest),
        final=mean_score(shipped, from_after + training, seed_df, groups, lowest),
        gain_points=Estimate(gain, low, high),
        proven=low > 0.0,
        seed_variance=seeds,
        degrees_of_freedom=df,
        image_variance=float(shares @ np.array([run_variance(arm) for arm in before])),
        effective_images=sum(
            effective_number(np.concatenate([b, a]), fold.groups)
            for b, a, fold in zip(before, after, folds, strict=True)
        ),
    )


def _together(groups: Sequence[Groups]) -> Groups:
    named = [theirs for theirs in groups if theirs is not None]
    return np.concatenate(named) if named else None
