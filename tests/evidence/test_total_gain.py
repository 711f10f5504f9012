"""Final, changes, shares, plan and verdicts against hand numbers."""

from dataclasses import replace

import numpy as np
import pytest
from scipy import stats

from convlift.errors import BudgetError
from convlift.evidence import attribution, seeds, single_changes, total_gain, verdicts
from convlift.evidence.image_variance import accuracy_variance
from convlift.evidence.posterior import Belief
from convlift.evidence.power import (
    Power,
    baseline_and_final_runs,
    detectable,
    little_left_to_find,
    minimum_detectable_points,
)
from convlift.records.result import Estimate
from convlift.records.verdict_grounds import Estimated, NeverOn, ProvenOnTheTest, StartedFrom, Unexplained
from convlift.report.wording.note_sentences import note_sentence
from convlift.report.wording.power_sentence import power_sentence
from simulation.worlds import Setting, make_world, run


def test_wilson_known_values() -> None:
    """Wilson (1927) for 8 of 10, and the edge 10 of 10."""
    estimate = total_gain.wilson(0.8, 10)
    assert (estimate.low, estimate.high) == pytest.approx((0.4902, 0.9433), abs=1e-4)
    assert total_gain.wilson(1.0, 10).low == pytest.approx(0.7225, abs=1e-4)
    assert total_gain.wilson(1.0, 10).high == pytest.approx(1)


def test_the_final_by_hand() -> None:
    """One run an arm, 4 images, one start: g = .85^2 of the mean size; V = var/4 + 2 g; Satterthwaite, 3 and 2 df."""
    baseline, shipped = np.array([[0, 0, 1, 1.0]]), np.array([[1, 0, 1, 1.0]])
    judged = total_gain.judge(total_gain.ArmScores(baseline, shipped), 0.0, same_start=True)
    size = (0.25 + 0.75 * 0.25) / 2 / (0.85 * 0.15)
    images, seeds = np.var([100, 0, 0, 0], ddof=1) / 4, 2 * 0.85**2 * size
    df = (images + seeds) ** 2 / (images**2 / 3 + seeds**2 / 2)
    half = stats.t.ppf(0.975, df) * np.sqrt(images + seeds)
    assert judged.gain_points.value == 25
    assert judged.gain_points.high == pytest.approx(25 + half)
    assert judged.degrees_of_freedom == pytest.approx(df)
    assert not judged.proven


def test_an_arms_variance_is_without_luck_on_single_images() -> None:
    """Runs that differ by luck alone have none of their own; runs that differ as a whole have."""
    rng = np.random.default_rng(0)
    luck = 100.0 * (rng.random((40, 2000)) < np.full(2000, 0.5))
    assert seeds.between(luck) == pytest.approx(0.0, abs=0.4)
    moved = 100.0 * (rng.random((40, 2000)) < 0.5 + 0.03 * rng.normal(size=(40, 1)))
    assert seeds.between(moved) > 4
    assert seeds.between(moved[:1]) == 0


def test_each_arm_has_its_own_variance() -> None:
    """By hand: own variance v of two runs that differ by 8 points, .85^2 as one run more; the shipped recipe has the
    search's estimate as two runs more, within its limits, and no less than the baseline's up to 4 points."""
    size = 100.0 * np.sqrt(0.85 * 0.15)
    points = 85.0 + size * np.resize([1.0, -1.0], 1000)
    noisy, quiet = np.stack([points - 4, points + 4]), np.stack([points, points])
    assert seeds.scale(noisy) == pytest.approx(1.0)
    stranger = seeds.of_a_stranger(noisy)
    assert stranger == seeds.Spread(pytest.approx(32.0), 2.0)
    assert seeds.of_a_stranger(quiet).variance == pytest.approx(0.85**2 / 2)
    for word, told in ((0.0, 16.0), (9.0, 16.0)):
        after = seeds.of_the_searched(quiet, word, stranger, 1.0)
        assert after == seeds.Spread(pytest.approx(told), 3.0)
    for word, told in ((0.0, 0.85**2), (9.0, 6.25), (5.0, 5.0)):
        after = seeds.of_the_searched(quiet, word, seeds.of_a_stranger(quiet), 1.0)
        assert after == seeds.Spread(pytest.approx(told), 3.0)
    assert seeds.of_the_searched(noisy, 0.0, stranger, 1.0).variance == pytest.approx((2 * 16 + 32) / 3)
    assert seeds.of_both([noisy, quiet], 0.0, [None, None]).variance == pytest.approx((2 * 0.85**2 + 32) / 4)


def test_limits_know_the_accuracy() -> None:
    """At A = .98 seeds cannot differ by as much: the least deviation is .14 / .357 of that at .85."""
    rng = np.random.default_rng(2)
    right = 100.0 * (rng.random((3, 4000)) < 0.98)
    assert seeds.scale(right) == pytest.approx(0.14 / 0.357, rel=0.05)
    assert seeds.of_both([right], 0.0, [None]).variance >= (0.85 * 0.13 / 0.357) ** 2


def test_with_one_run_an_arm_nothing_is_proven() -> None:
    rng = np.random.default_rng(3)
    baseline, shipped = rng.random((2, 2000)) < 0.5, rng.random((2, 2000)) < 0.9
    assert total_gain.judge(total_gain.ArmScores(baseline, shipped), 0.5).proven
    for arms in ((baseline[:1], shipped), (baseline, shipped[:1])):
        judged = total_gain.judge(total_gain.ArmScores(*arms), 0.5)
        assert judged.gain_points.low > 0
        assert not judged.proven


def test_the_network_that_ships_has_an_interval_of_its_own() -> None:
    arms = np.zeros((2, 40)), np.stack([np.zeros(40), np.ones(40)])
    assert [total_gain.judge(total_gain.ArmScores(*arms, which), 0.5).shipped.value for which in (0, 1)] == [0.0, 1.0]


def test_scores_between_zero_and_one_and_perfect_arms_are_judged() -> None:
    rng = np.random.default_rng(1)
    soft = total_gain.judge(total_gain.ArmScores(rng.random((2, 50)), np.minimum(rng.random((3, 50)) + 0.5, 1)), 0.5)
    assert soft.proven
    perfect = total_gain.judge(total_gain.ArmScores(np.ones((2, 30)), np.ones((2, 30))), 0.5)
    assert perfect.gain_points.value == 0
    assert perfect.final.high == 1
    assert 0.8 < perfect.final.low < 1


def test_holm_by_hand() -> None:
    """Holm (1979): .01 x 4, .02 x 3, then the running maximum, at most 1."""
    adjusted = single_changes.holm_adjusted(np.array([0.02, 0.01, 0.9, 0.021]))
    assert adjusted == pytest.approx([0.06, 0.04, 0.9, 0.06])
    assert single_changes.holm_adjusted(np.array([0.9, 0.8])).max() == 1


def test_the_ridge_solves_its_normal_equations() -> None:
    rng = np.random.default_rng(2)
    on, correct = rng.random((14, 6)) < 0.5, rng.random((14, 200)) < 0.8
    design, score = single_changes._centred(on), 100.0 * correct.mean(axis=1)
    ridge = single_changes._ridge(design, 100.0 * correct)
    shrunk = ridge.map @ score
    left = score - score.mean() - design @ shrunk
    assert design.T @ left == pytest.approx(ridge.noise / single_changes.EFFECT_VARIANCE * shrunk)
    assert single_changes.test_changes(on, correct).points == pytest.approx(shrunk / np.diag(ridge.map @ design))


def test_a_great_change_is_proven_and_an_unseen_one_is_not() -> None:
    rng = np.random.default_rng(3)
    on = rng.random((30, 3)) < 0.5
    on[:, 2] = False
    correct = rng.random((30, 800)) < 0.7 + 0.15 * on[:, :1]
    found = single_changes.test_changes(on, correct)
    assert found.proven.tolist() == [True, False, False]
    assert found.p[2] == 1
    assert found.points[0] == pytest.approx(15, abs=2)


def test_the_start_against_the_baseline() -> None:
    """Bare runs only: the plain difference of means."""
    rng = np.random.default_rng(4)
    baseline, start = rng.random((2, 500)) < 0.6, rng.random((4, 500)) < 0.8
    effect = single_changes.start_effect(baseline, np.zeros((4, 5), bool), start)
    assert effect.value == pytest.approx(100 * (start.mean() - baseline.mean()))
    assert effect.low > 10


def test_shares_add_up_to_the_total() -> None:
    known = Belief(
        np.array([2.0, 1.0, -0.5]), np.array([0.3, 0.4, 0.2]), np.ones(3), np.array(80.0), np.array(1.0), 600
    )
    shipped = np.array([True, True, False])
    found = attribution.shares(known, shipped, total=5.0, start=1.5)
    assert found.unexplained == pytest.approx(0.5)
    assert found.warning is None
    assert found.high[0] == pytest.approx(2 + 1.96 * np.sqrt(0.09 + 0.25 + 0.36))
    assert attribution.shares(known, shipped, total=9.0).warning == Unexplained(pytest.approx(6.0), 9.0)


@pytest.mark.parametrize(
    ("budget", "arms"), [(3, (1, 1)), (9, (1, 1)), (10, (2, 2)), (40, (2, 3)), (70, (2, 4)), (100, (5, 6))]
)
def test_baseline_and_final_runs(budget: int, arms: tuple[int, int]) -> None:
    assert baseline_and_final_runs(budget) == arms


def test_a_budget_without_search_is_refused() -> None:
    with pytest.raises(BudgetError, match="2 trainings"):
        baseline_and_final_runs(2)


def test_what_can_be_proven_is_said_in_words() -> None:
    points = minimum_detectable_points(300, 2, 2, accuracy_variance(0.93))
    assert points == pytest.approx(3.0, abs=0.3)
    assert minimum_detectable_points(3000, 2, 2) < minimum_detectable_points(300, 2, 2)
    power = Power(300, 2, 3, accuracy_variance(0.93))
    words = note_sentence(detectable(300, power))
    assert words.startswith("With 300 test images, a measured gain under 2.7 points proves nothing; a true")
    grouped = replace(power, n_test=75.4, groups=12.0)
    assert grouped.points > 1.8 * power.points
    words = power_sentence(detectable(300, grouped))
    assert words.startswith("With 300 test images in groups, which count as much as 75 independent ones, a gain under")


@pytest.mark.parametrize("n", [60, 150, 600])
def test_what_is_said_to_be_provable_is(n: int) -> None:
    """Of 150 simulated campaigns (8 changes shipped, 2 runs an arm) about half prove the gain that is said to be the
    least, and about four in five the larger one (99% of the binomial, and .05 for the formula)."""
    rng = np.random.default_rng(n)
    power = Power(n, 2, 2, accuracy_variance(0.87))
    for gain, rate in ((power.points, 0.5), (power.often, 0.8)):
        world = make_world(Setting(kind="null", n=1, n_test=n, s=0.85, K=8, campaigns=150), rng)
        world.effects[:, 0] = gain
        arms = [run(world, np.full((150, 2, 8), on), rng, slice(1, None)) for on in (False, True)]
        proven = np.mean(
            [
                total_gain.judge(total_gain.ArmScores(*both), 0.7, same_start=True).proven
                for both in zip(*arms, strict=True)
            ]
        )
        assert abs(proven - rate) <= 0.05 + 2.58 * np.sqrt(rate * (1 - rate) / 150)


def test_little_is_left_at_two_trainings_a_candidate() -> None:
    assert little_left_to_find(80, 40)
    assert not little_left_to_find(79, 40)


def test_verdicts_and_their_reasons() -> None:
    names = ("flip", "smoothing", "shift", "noise", "zoom")
    subjects = [verdicts.Subject(name, "data", 10.0) for name in names]
    on = np.zeros((30, 5), bool)
    on[:14, :4] = True
    zeros = np.zeros(5)
    points = np.array([1.9, 0.9, 0.2, -1.4, 0.0])
    tests = single_changes.ChangeTests(
        points, zeros, zeros, zeros, np.array([0.01, 0.2, 1, 1, 1]), np.arange(5) == 0, points > 0.5, 9.0, 0.3
    )
    found = verdicts.verdicts(
        subjects,
        on,
        points > 0.5,
        attribution.Shares(points, points - 1.0, points + 1.0, np.array([0.99, 0.85, 0.6, 0.1, 0.5]), 0.0),
        tests,
        np.zeros(5, bool),
    )
    assert [verdict.label for verdict in found] == ["proven", "likely", "undecided", "harmful", "undecided"]
    assert [verdict.reason for verdict in found] == [
        ProvenOnTheTest(30, 1.9, 0.01, changes=2), Estimated(30), Estimated(30), Estimated(30), NeverOn()
    ]  # fmt: skip
    assert (found[1].trials, found[1].shipped, found[2].shipped) == (14, True, False)


@pytest.mark.parametrize(
    ("low", "high", "label"),
    [(1, 5, "proven"), (-0.5, 3.5, "likely"), (-2, 2, "undecided"), (-5, -1, "harmful")],
)
def test_the_start_gets_a_verdict(low: float, high: float, label: str) -> None:
    subject = verdicts.Subject("start from transfer", "architecture", 60.0)
    found = verdicts.start_verdict(subject, Estimate((low + high) / 2, low, high), 20)
    assert found.label == label
    assert (found.trials, found.reason) == (20, StartedFrom())
