"""Two fixed networks on one test: Tango's published examples, the score equation by brute force, edges, and worlds."""

import math

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy import optimize, stats

from convlift.evidence.image_variance import image_part
from convlift.evidence.network_gain import (
    bootstrap_interval,
    compare_networks,
    grouped_interval,
    sign_test,
    tango_interval,
    tango_statistic,
)
from simulation import classes
from simulation.networks import CELLS, Networks, by_metric, exact_type_one, play

Floats = NDArray[np.float64]

COUNTS = [(9, 3, 32), (12, 2, 50), (0, 4, 20), (40, 20, 160), (1, 0, 3), (30, 31, 5000), (5, 5, 10)]


def pair(won: int, lost: int, both: int, neither: int = 0) -> tuple[Floats, Floats]:
    """Right or wrong of two networks, the second of which wins `won` images."""
    before = np.repeat([0.0, 1.0, 1.0, 0.0], (won, lost, both, neither))
    after = np.repeat([1.0, 0.0, 1.0, 0.0], (won, lost, both, neither))
    return before, after


def test_the_published_examples() -> None:
    """Tango 1998, section 6: sleeping difficulties of 32 pairs, and contact lenses of 44, at 90%."""
    assert tango_interval(9, 3, 32) == pytest.approx((-0.027, 0.390), abs=5e-4)
    assert tango_interval(0, 1, 44, level=0.9) == pytest.approx((-0.096, 0.037), abs=5e-4)
    assert tango_statistic(0, 1, 44, -0.1) == pytest.approx(1.709, abs=1e-3)


def likelihood(q: float, won: int, lost: int, images: int, difference: float) -> float:
    """Of the counts, where only the first network is right on a share q of the images and only the second on q + d."""
    chances = np.array([q + difference, q, 1.0 - 2.0 * q - difference])
    counts = np.array([won, lost, images - won - lost])
    seen = counts > 0
    return float(np.sum(counts[seen] * np.log(np.maximum(chances[seen], 1e-300))))


@pytest.mark.parametrize(("won", "lost", "images"), COUNTS)
def test_the_bounds_solve_the_score_equation(won: int, lost: int, images: int) -> None:
    """Brute force: the nuisance share by maximizing the likelihood on a grid, then the statistic itself."""
    for bound, z in zip(tango_interval(won, lost, images), (1.959964, -1.959964), strict=True):
        least, most = max(0.0, -bound), (1.0 - bound) / 2.0
        best = optimize.minimize_scalar(
            lambda q, d=bound: -likelihood(q, won, lost, images, d), bounds=(least, most), method="bounded",
            options={"xatol": 1e-12},
        ).x  # fmt: skip
        spread = math.sqrt(images * (2.0 * best + bound * (1.0 - bound)))
        assert (won - lost - images * bound) / spread == pytest.approx(z, abs=2e-3)


def test_at_a_difference_of_zero_the_statistic_is_mcnemars() -> None:
    assert tango_statistic(9, 3, 32, 0.0) == pytest.approx(6 / math.sqrt(12))


@pytest.mark.parametrize(("won", "lost", "images"), [*COUNTS, (0, 0, 100), (7, 0, 7), (0, 0, 1), (1, 0, 1)])
def test_networks_that_change_places_turn_the_interval_round(won: int, lost: int, images: int) -> None:
    low, high = tango_interval(won, lost, images)
    assert (-high, -low) == pytest.approx(tango_interval(lost, won, images), abs=1e-8)
    assert -1.0 <= low <= (won - lost) / images <= high <= 1.0


def test_networks_that_agree_on_every_image_may_differ_on_others() -> None:
    z = 1.959964**2
    assert tango_interval(0, 0, 100) == pytest.approx((-z / (100 + z), z / (100 + z)), abs=1e-6)
    found = compare_networks(*pair(0, 0, 90, 10))
    assert (found.won, found.lost, found.p_value, found.proven) == (0, 0, 1.0, False)
    assert found.gain_points.low < 0 < found.gain_points.high


def test_a_network_that_has_all_the_images_that_the_other_lacks() -> None:
    found = compare_networks(*pair(100, 0, 0))
    z = 1.959964**2
    assert found.gain_points.low == pytest.approx(100 * (100 - z) / (100 + z))
    assert (found.gain_points.value, found.gain_points.high, found.proven) == (100.0, 100.0, True)


def test_one_image_proves_nothing() -> None:
    for groups in (None, np.zeros(1, np.int64)):
        assert not compare_networks(*pair(1, 0, 0), groups).proven
        assert not compare_networks(np.array([0.2]), np.array([0.9]), groups).proven


def test_accuracies_near_one() -> None:
    """5,000 images, 25 errors less 20: proven, and narrow."""
    found = compare_networks(*pair(22, 2, 4973, 3))
    assert found.proven
    assert found.gain_points.high - found.gain_points.low < 0.6
    assert (found.baseline.value, found.final.value) == (0.995, 0.999)


def test_the_exact_test_has_a_word_where_few_images_differ() -> None:
    assert tango_interval(4, 0, 100)[0] > 0
    for won, lost in ((4, 0), (0, 4)):
        found = compare_networks(*pair(won, lost, 96))
        assert 0.0 in (found.gain_points.low, found.gain_points.high)
        assert found.p_value == pytest.approx(0.125)
        assert not found.proven
    assert compare_networks(*pair(6, 0, 94)).proven
    assert sign_test(9, 3) == pytest.approx(stats.binomtest(9, 12).pvalue)


def test_scores_and_gain_belong_together() -> None:
    found = compare_networks(*pair(30, 10, 50, 10))
    assert found.gain_points.value == pytest.approx(100 * (found.final.value - found.baseline.value)) == 20.0


def test_groups_widen_the_interval_and_count_as_many_as_they_are() -> None:
    rng = np.random.default_rng(0)
    apart = np.repeat(rng.choice([-1.0, 0.0, 1.0], 40, p=[0.05, 0.8, 0.15]), 10)
    groups = np.repeat(np.arange(40), 10)
    low, high = grouped_interval(apart, groups)
    plain = math.sqrt(float(image_part(apart, groups)))
    assert high - apart.mean() == pytest.approx(apart.mean() - low)
    assert (high - low) / 2 > stats.t.ppf(0.975, 39) * plain
    assert (high - low) / 2 < 1.25 * stats.t.ppf(0.975, 39) * plain
    assert (high - low) > 2 * np.diff(tango_interval(int((apart > 0).sum()), int((apart < 0).sum()), 400))
    assert grouped_interval(-apart, groups) == pytest.approx((-high, -low))


def test_groups_of_one_are_images() -> None:
    before, after = pair(60, 30, 400, 110)
    alone, grouped = compare_networks(before, after), compare_networks(before, after, np.arange(600))
    assert grouped.gain_points.low == pytest.approx(alone.gain_points.low, abs=0.25)
    assert grouped.p_value is None


def test_groups_that_agree_on_every_image_prove_nothing_of_others() -> None:
    low, high = grouped_interval(np.zeros(300), np.repeat(np.arange(10), 30))
    assert low < -0.1
    assert high > 0.1


def test_the_bootstrap_is_repeatable_and_near_student_where_images_are_many() -> None:
    apart = np.random.default_rng(1).normal(0.02, 0.3, 2000)
    low, high = bootstrap_interval(apart)
    assert (low, high) == bootstrap_interval(apart)
    half = 1.96 * 0.3 / math.sqrt(2000)
    assert (high - low) / 2 == pytest.approx(half, rel=0.06)
    assert bootstrap_interval(apart, seed=1) == pytest.approx((low, high), abs=0.1 * half)


def test_the_bootstrap_of_groups_keeps_them_together() -> None:
    rng = np.random.default_rng(2)
    groups = np.repeat(np.arange(50), rng.integers(2, 20, 50))
    apart = rng.normal(0, 0.3, 50)[groups] + rng.normal(0, 0.05, len(groups))
    alone, together = (np.diff(bootstrap_interval(apart, owners))[0] for owners in (None, groups))
    assert together > 2 * alone


def test_two_images_or_groups_prove_nothing() -> None:
    assert bootstrap_interval(np.array([0.3, 0.4]))[0] < 0
    assert bootstrap_interval(np.full(40, 0.2) + np.arange(40) / 1000, np.repeat([0, 1], 20))[0] < 0.2
    assert bootstrap_interval(np.full(40, 0.2), np.zeros(40, np.int64)) == (-1.0, 1.0)


@pytest.mark.parametrize("images", [60, 200])
def test_nothing_is_proven_of_nothing_summed_over_all_counts(images: int) -> None:
    """Not simulated: the score interval alone is up to .0262, with the exact test it is under .025 whatever is true."""
    found = [exact_type_one(images, share) for share in (0.02, 0.03, 0.05, 0.1, 0.2, 0.4)]
    assert max(alone for alone, _ in found) > 0.0245
    assert max(both for _, both in found) <= 0.021


WORLDS = (
    "seeds 4, 1 + 1", "1 run in 15 falls by 10 to 40, 1 + 1", "baseline 8, final 1, 1 + 1",
    "baseline 8, final 1, 2 + 2", "baseline .3, final 3, 2 + 2", "the very same recipe score, 1 + 1",
    "60 images, 1 + 1", "accuracy 0.995, 600 images, seeds 0, 1 + 1",
    "luck chose the start, baseline 8, final 1, 1 + 1", "30 near copies each, 20 groups, 1 + 1",
)  # fmt: skip


@pytest.mark.simulated
@pytest.mark.parametrize("name", WORLDS)
def test_of_two_networks_nothing_false_is_proven(name: str) -> None:
    """By the networks' own truth, 500 campaigns: at most .025 a side and coverage of .94 (99% points of the binomial);
    `python benchmarks/evidence.py --only network` has every cell with 3,000."""
    found = play(CELLS[name], 500, 11)
    most = stats.binom.ppf(0.99, found.campaigns, 0.025) / found.campaigns
    assert max(found.false, found.false_worse) <= most
    assert found.covers >= stats.binom.ppf(0.01, found.campaigns, 0.94) / found.campaigns


@pytest.mark.simulated
def test_where_the_recipes_claim_fails_the_networks_holds() -> None:
    """Two runs of a baseline whose seeds differ by 8 points: of recipes a gain of nothing is proven far too often."""
    found = play(CELLS["baseline 8, final 1, 2 + 2"], 500, 12, recipes=500)
    assert found.recipe_proven > 0.05
    assert found.recipe_covers < 0.9
    assert found.false <= 0.025
    assert found.covers >= 0.925


@pytest.mark.simulated
def test_a_gain_of_networks_is_proven_more_often_than_one_of_recipes() -> None:
    """+3 points, 650 images, seeds of 1 point: one run an arm proves what two runs of each recipe cannot."""
    usual = Networks(before=1, after=1, images=650, gain=3.0)
    two = play(Networks(**{**usual.__dict__, "baselines": 2, "finals": 2}), 500, 13, recipes=500)
    assert play(Networks(**{**usual.__dict__, "gain": 4.0}), 500, 13).proven > two.recipe_proven
    assert two.proven > two.recipe_proven


@pytest.mark.simulated
def test_other_metrics() -> None:
    """300 images of four classes, 150 campaigns, no gain; and in groups."""
    for setting in (classes.Setting(n=300), classes.Setting(n=600, group_size=10)):
        for name, (covered, proven) in by_metric(setting, 150, 14).items():
            assert covered >= 0.9, name
            assert proven <= 0.06, name
