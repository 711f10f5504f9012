"""All folds judged together: the parts of the variance by hand; intervals that hold where real learners searched."""

import numpy as np
import pytest

from convlift.evidence.metrics import metric_named
from convlift.evidence.pooled_folds import FOLD_SD, FoldRuns, judge_folds, scores_of_folds
from convlift.evidence.power import Power, detectable
from convlift.evidence.seeds import LIMITS, scale
from convlift.evidence.total_gain import mean_score
from convlift.evidence.verdicts import verdicts_of_folds
from convlift.records.result import Verdict
from convlift.records.verdict_grounds import Estimated, OverFolds
from convlift.report.wording.note_sentences import note_sentence
from convlift.report.wording.power_sentence import folds_advice, power_sentence
from simulation.folds import Setting, coverage

CAMPAIGNS = 120


def folds_of(images: tuple[int, ...], *, groups: bool = False, runs: int = 2) -> list[FoldRuns]:
    rng, found, first = np.random.default_rng(0), [], 0
    for n in images:
        owners = first + np.arange(n) // 5 if groups else None
        first += n
        found.append(FoldRuns(rng.random((1, n)) < 0.8, rng.random((runs, n)) < 0.9, owners))  # type: ignore[arg-type]
    return found


def test_the_gain_is_the_mean_over_all_images() -> None:
    folds = folds_of((40, 60, 70))
    judged = judge_folds(folds)
    each = np.concatenate([100.0 * (fold.final.mean(axis=0) - fold.baseline.mean(axis=0)) for fold in folds])
    assert judged.gain_points.value == pytest.approx(each.mean())
    assert judged.proven == (judged.gain_points.low > 0)
    assert judged.final.value == pytest.approx(np.concatenate([f.final.mean(0) for f in folds]).mean())


def test_the_variance_is_of_images_seeds_and_training_images() -> None:
    """Each arm runs once, so the seeds' variance is the least that is assumed."""
    from scipy import stats

    folds = folds_of((50, 50), runs=1)
    judged = judge_folds(folds)
    each = np.concatenate([100.0 * (fold.final[0] * 1.0 - fold.baseline[0]) for fold in folds])
    arms = [100.0 * arm for fold in folds for arm in (fold.baseline, fold.final)]
    size = np.mean([scale(arm) ** 2 for arm in arms])
    images = each.var(ddof=1) / 100
    seeds = size * (LIMITS[0] ** 2 * (2 * 0.25 * 2) + FOLD_SD**2 * (0.5 + 1.0))
    df = (images + seeds) ** 2 / (images**2 / 99 + seeds**2 / 4)
    assert judged.degrees_of_freedom == pytest.approx(df)
    half = (judged.gain_points.high - judged.gain_points.low) / 2
    assert half == pytest.approx(stats.t.ppf(0.975, df) * np.sqrt(images + seeds))


def test_groups_of_all_folds_widen_the_interval() -> None:
    alone, grouped = folds_of((50, 50)), folds_of((50, 50), groups=True)
    same = [FoldRuns(np.repeat(f.baseline[:, ::5], 5, 1), np.repeat(f.final[:, ::5], 5, 1), g.groups)
            for f, g in zip(alone, grouped, strict=True)]  # fmt: skip
    naive = judge_folds([FoldRuns(f.baseline, f.final) for f in same]).gain_points
    honest = judge_folds(same)
    assert honest.gain_points.high - honest.gain_points.low > 1.5 * (naive.high - naive.low)
    assert honest.effective_images < 30


def test_a_score_stays_within_its_bounds() -> None:
    best = mean_score(np.full(50, 100.0), 4.0, 10.0, None, 0.0)
    assert best.value == best.high == 1.0
    assert best.low < 1.0


@pytest.mark.simulated
@pytest.mark.parametrize(
    "setting", [Setting(images=300), Setting(images=300, folds=2), Setting(images=300, group_size=8)], ids=str
)
def test_intervals_hold_what_the_procedure_gains(setting: Setting) -> None:
    """At least .90 of 120 campaigns, of which one with .94 falls short in 5%; benchmarked ones hold .93 and more."""
    for metric, found in coverage(setting, CAMPAIGNS, 3, fresh=500).items():
        assert found.gain >= 0.90, (metric, found)
        assert found.own_gain >= 0.90, (metric, found)
        assert found.score >= 0.86, (metric, found)


@pytest.mark.simulated
def test_where_nothing_is_gained_little_is_proven() -> None:
    found = coverage(Setting(images=200, searched=0, finals=1, baselines=1), CAMPAIGNS, 4, fresh=300)
    assert all(one.proven <= 0.05 for one in found.values())


@pytest.mark.simulated
def test_a_class_with_one_image_a_fold_is_judged_over_all_folds() -> None:
    """Its deviation from the fold's own recall is always nothing: intervals from single folds hold far too little."""
    found = coverage(Setting(images=100, rare=10, folds=10, searched=0, finals=1, baselines=1), CAMPAIGNS, 5, fresh=400)
    for metric in ("balanced-accuracy", "macro-f1", "kappa"):
        assert found[metric].gain >= 0.90, (metric, found[metric])
        assert found[metric].proven <= 0.06, (metric, found[metric])


def test_shares_that_make_up_a_score_are_taken_over_all_folds() -> None:
    rng = np.random.default_rng(1)
    labels = [np.array([0, 0, 0, 1]), np.array([0, 0, 1])]
    folds = [[rng.dirichlet((1, 1), len(each)) for _ in range(runs)] for each, runs in zip(labels, (2, 1), strict=True)]
    balanced = scores_of_folds(metric_named("balanced-accuracy"), folds, labels)
    assert [part.shape for part in balanced] == [(2, 4), (1, 3)]
    together = np.concatenate([folds[0][0], folds[1][0]])
    everything = np.concatenate(labels)
    assert np.concatenate([part[0] for part in balanced]).mean() == pytest.approx(
        metric_named("balanced-accuracy").score(together, everything)
    )
    auroc = scores_of_folds(metric_named("auroc"), folds, labels)
    assert auroc[1][0].mean() == pytest.approx(metric_named("auroc").score(folds[1][0], labels[1]))


def test_seeds_that_differ_much_widen_the_part_of_the_training_images() -> None:
    rng = np.random.default_rng(2)
    level = rng.normal(0.8, 0.06, (4, 2, 2))
    arms = rng.random((4, 2, 2, 2000)) < level[..., None]
    noisy = [FoldRuns(*fold) for fold in arms]
    judged = judge_folds(noisy)
    assert judged.seed_variance > FOLD_SD**2
    least = judged.seed_variance * (4 * (0.25**2 / 2) * 2 + 0.25 + 1 / 3)
    assert ((judged.gain_points.high - judged.gain_points.low) / 3.92) ** 2 > least


def test_power_counts_all_images_and_the_runs_of_all_folds() -> None:
    one, all_folds = Power(60, 2, 2), Power(300, 2, 2, folds=5)
    assert all_folds.points < Power(300, 2, 2).points < one.points
    found = [judge_folds(_pair(n=60, seed=seed)).gain_points for seed in range(40)]
    assert np.mean([(e.high - e.low) / 2 for e in found]) == pytest.approx(all_folds.points, rel=0.2)


def _pair(n: int, seed: int) -> list[FoldRuns]:
    """Five folds, 2 + 2 runs at accuracy .9, whose images differ and whose recipes differ as `Power` assumes."""
    rng = np.random.default_rng(seed)
    folds = []
    for _ in range(5):
        shared = rng.normal(size=(1, n))
        arms = [
            np.sqrt(0.7) * shared + np.sqrt(0.14) * rng.normal(size=(1, n)) + np.sqrt(0.16) * rng.normal(size=(2, n))
            for _ in range(2)
        ]
        folds.append(FoldRuns(*(arm < 1.2816 for arm in arms)))  # type: ignore[arg-type]
    return folds


def test_words_name_the_folds() -> None:
    power = Power(300, 1, 2, folds=5)
    sentence = note_sentence(detectable(300, power))
    assert "With 300 test images in 5 folds, 1 baseline run and 2 final runs in each," in sentence
    assert "each recipe is run twice in every fold" in power_sentence(detectable(300, power))
    assert "All 300 images would be test images with --cv: 5 campaigns" in folds_advice(300, 5)


def verdict(name: str, points: float, *, shipped: bool, trials: int = 4, probability: float = 0.9) -> Verdict:
    return Verdict(
        name,
        "data",
        "proven",
        points,
        points - 1,
        points + 1,
        probability,
        trials,
        10.0,
        shipped,
        Estimated(9),
        "claim",
    )


def test_a_change_s_share_is_the_mean_over_the_folds_that_searched_it() -> None:
    folds = [
        [verdict("start: residual", 4.0, shipped=True), verdict("mirror", 1.0, shipped=True)],
        [verdict("start: frozen", 2.0, shipped=True), verdict("mirror", 2.0, shipped=False, probability=0.8)],
        [verdict("start: residual", 6.0, shipped=True), verdict("zoom", 0.0, shipped=True, trials=0, probability=0.5)],
    ]
    found = {each.name: each for each in verdicts_of_folds(folds, "residual", ("mirror",))}
    assert list(found) == ["start: residual", "mirror", "start: frozen", "zoom"]
    mirror = found["mirror"]
    assert (mirror.points, mirror.low, mirror.high, mirror.probability) == pytest.approx((1.5, 0.5, 2.5, 0.85))
    assert (mirror.trials, mirror.seconds, mirror.shipped, mirror.label) == (8, 20.0, True, "likely")
    assert mirror.reason == OverFolds(searched=2, folds=3, shipped=1)
    assert [found[name].shipped for name in ("start: residual", "start: frozen", "zoom")] == [True, False, False]
    assert (found["zoom"].trials, found["zoom"].reason) == (0, OverFolds(searched=1, folds=3, shipped=1))
    assert not any(each.label == "proven" for each in found.values())
