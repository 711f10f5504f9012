"""Images in groups: the variance of a mean by hand, and intervals that cover where the naive ones do not."""

import numpy as np
import pytest
from scipy import stats

from convlift.evidence import single_changes, total_gain
from convlift.evidence.image_variance import (
    assumed_design_effect,
    degrees_of_freedom,
    design_effect,
    effective_number,
    image_part,
    run_variance,
)
from convlift.evidence.metrics import METRICS
from simulation.classes import Setting, coverage

CAMPAIGNS = 100


def test_each_image_alone_is_a_group_of_one() -> None:
    points = np.random.default_rng(0).normal(size=(3, 40))
    alone = np.random.default_rng(1).permutation(40)
    assert image_part(points) == pytest.approx(points.var(axis=1, ddof=1) / 40)
    assert image_part(points, alone) == pytest.approx(image_part(points))
    assert degrees_of_freedom(40, alone) == degrees_of_freedom(40) == 39
    assert design_effect(points, alone) == pytest.approx(1.0)


def test_groups_of_one_size_are_as_many_means() -> None:
    groups = np.tile(np.arange(8), 5)
    points = np.random.default_rng(2).normal(size=40)
    means = np.array([points[groups == g].mean() for g in range(8)])
    assert image_part(points, groups) == pytest.approx(means.var(ddof=1) / 8)
    assert degrees_of_freedom(40, groups) == pytest.approx(7)


def test_copies_of_an_image_say_no_more_than_one() -> None:
    points, groups = np.random.default_rng(3).normal(size=(5, 30)), np.repeat(np.arange(30), 4)
    copied = np.repeat(points, 4, axis=1)
    assert image_part(copied, groups) == pytest.approx(image_part(points))
    assert effective_number(copied, groups) == pytest.approx(30, rel=0.05)


def test_one_large_group_leaves_few_degrees_of_freedom() -> None:
    groups = np.concatenate([np.zeros(40, np.int64), np.arange(1, 61)])
    assert degrees_of_freedom(100, groups) == pytest.approx(100**2 / (40**2 + 60) - 1)
    assert degrees_of_freedom(100, np.zeros(100, np.int64)) == 1
    assert assumed_design_effect(100, groups) == pytest.approx(1 + 0.2 * (16.6 - 1))
    assert assumed_design_effect(100) == 1


def test_the_corrected_variance_is_unbiased_where_groups_are_uneven() -> None:
    """Mean over 4,000 draws within 5% of the true variance of the mean, 12 groups of 1 to 12 images."""
    rng = np.random.default_rng(4)
    sizes = np.arange(1, 13)
    groups = np.repeat(np.arange(12), sizes)
    points = np.repeat(rng.normal(size=(4000, 12)), sizes, axis=1) + rng.normal(size=(4000, len(groups)))
    true = (sizes**2).sum() / len(groups) ** 2 + 1 / len(groups)
    assert image_part(points, groups).mean() == pytest.approx(true, rel=0.08)
    assert image_part(points).mean() < 0.4 * true


def test_without_a_run_the_usual_is_assumed() -> None:
    groups = np.arange(60) // 6
    assert effective_number(np.zeros((0, 60)), groups) == pytest.approx(60 / (1 + 5 * 0.2))
    assert effective_number(np.zeros((0, 60))) == 60
    assert run_variance(np.zeros((0, 60))) == pytest.approx(1600)
    assert run_variance(np.full((2, 60), 100.0)) == pytest.approx(49.75)


def test_one_networks_interval() -> None:
    """Wilson's where images are right or wrong, on fewer images where they come in groups; else Student's t."""
    right = (np.arange(40) < 30).astype(float)
    assert total_gain.one_network(right) == total_gain.wilson(0.75, 40)
    grouped = total_gain.one_network(right, np.arange(40) // 4)
    assert grouped.high - grouped.low > 1.5 * (total_gain.one_network(right).high - total_gain.one_network(right).low)
    soft = np.random.default_rng(5).random(40)
    half = stats.t.ppf(0.975, 39) * soft.std(ddof=1) / np.sqrt(40)
    assert total_gain.one_network(soft).high == pytest.approx(soft.mean() + half)
    assert total_gain.one_network(soft - 0.9, lowest=-0.3).low == -0.3


def test_a_perfect_arm_on_copies_is_as_uncertain_as_on_its_groups() -> None:
    """Two right and two wrong groups are added where a group's images say no more than one, single images where they
    say as much as images of other groups."""
    groups = np.repeat(np.arange(20), 15)
    alone, copied = (
        total_gain.mean_score(points, 0.5, 5.0, owners, 0.0)
        for points, owners in (
            (100.0 * (np.arange(20) < 17), None),
            (np.repeat(100.0 * (np.arange(20) < 17), 15), groups),
        )
    )
    assert copied.high - copied.low == pytest.approx(alone.high - alone.low, rel=0.05)
    apart = np.random.default_rng(7).permutation(300) < 255
    mixed = total_gain.mean_score(100.0 * apart, 0.5, 5.0, groups, 0.0)
    assert mixed.high - mixed.low < 0.7 * (copied.high - copied.low)
    perfect = total_gain.mean_score(np.full(300, 100.0), 0.5, 5.0, groups, 0.0)
    assert perfect.low < 0.95


@pytest.fixture(scope="module")
def told() -> dict[str, object]:
    return coverage(Setting(n=300, group_size=10, added=0.15), CAMPAIGNS, 2)


def most_misses() -> int:
    """So many are still in keeping with a coverage of 92% (99% point)."""
    return int(stats.binom.ppf(0.99, CAMPAIGNS, 0.08))


@pytest.mark.simulated
@pytest.mark.parametrize("name", [metric.name for metric in METRICS])
def test_intervals_cover_where_images_come_in_groups(told, name: str) -> None:
    """Bar: 92%; about 30 groups of 10 images that share half of what makes them hard, 100 campaigns."""
    for covered in (told[name].gain, told[name].score):
        assert (1 - covered) * CAMPAIGNS <= most_misses()


@pytest.mark.simulated
def test_intervals_that_count_images_do_not_cover() -> None:
    """The same campaigns as if every image stood alone: the harness can see the failure."""
    naive = coverage(Setting(n=300, group_size=30, alike=1.0, added=0.15), CAMPAIGNS, 2, grouped=False)
    assert naive["accuracy"].score < 0.85
    assert naive["accuracy"].gain < 0.92


def test_a_change_that_moves_groups_is_proven_less_easily() -> None:
    """Ten of 100 groups gain all of a change; by images alone its error is far too small."""
    rng = np.random.default_rng(6)
    on, groups = rng.random((30, 2)) < 0.5, np.arange(1000) // 10
    moved = (groups < 10) * 0.2
    right = rng.random((30, 1000)) < 0.7 + on[:, :1] * moved
    alone, together = single_changes.test_changes(on, right), single_changes.test_changes(on, right, groups)
    assert together.points == pytest.approx(alone.points, rel=0.1)
    assert together.error[0] > 1.2 * alone.error[0]
    assert together.degrees_of_freedom <= 99
    bare = np.zeros((30, 2), bool)
    wide, narrow = (single_changes.start_effect(right[:3], bare, right, g) for g in (groups, None))
    assert wide.high - wide.low >= 0.9 * (narrow.high - narrow.low)
