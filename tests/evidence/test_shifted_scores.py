"""Scores under corruptions: the figures, and intervals that count an image once, whatever the number of its copies."""

import numpy as np
import pytest

from convlift.evidence.network_gain import compare_networks
from convlift.evidence.shifted_scores import compare_copies, shift_scores

CELLS = [(name, severity) for name in ("fog", "snow") for severity in range(1, 6)]


def test_the_figures_are_the_plain_means() -> None:
    rng = np.random.default_rng(0)
    clean, copies = rng.random(300) < 0.9, rng.random((10, 300)) < 0.6
    found = shift_scores("model", clean, copies, CELLS)
    assert found.clean.value == pytest.approx(clean.mean())
    assert found.mean.value == pytest.approx(copies.mean())
    assert found.lost_points.value == pytest.approx(100 * (copies.mean() - clean.mean()))
    assert found.kept is not None
    assert found.kept.value == pytest.approx(copies.mean() / clean.mean())
    assert [each.accuracy.value for each in found.by_severity] == pytest.approx(list(copies.mean(axis=1)))
    assert [each.name for each in found.by_corruption] == ["fog", "snow"]
    assert found.by_corruption[1].accuracy.value == pytest.approx(copies[5:].mean())


def test_the_same_copy_ten_times_makes_no_interval_narrower() -> None:
    right = np.random.default_rng(1).random((1, 200)) < 0.6
    clean = np.ones(200, bool)
    one = shift_scores("model", clean, right, CELLS[:1])
    ten = shift_scores("model", clean, np.repeat(right, 10, axis=0), CELLS)
    assert ten.mean.high - ten.mean.low == pytest.approx(one.mean.high - one.mean.low, rel=0.02)


def test_intervals_hold_the_truth() -> None:
    """Images of different difficulty, ten copies each: of 200 evaluations about 95% hold the true mean and share."""
    rng, held = np.random.default_rng(2), np.zeros(3)
    for _ in range(200):
        ease = rng.beta(2.0, 1.0, 150)  # mean 2/3
        copies = rng.random((10, 150)) < ease
        clean = rng.random(150) < np.sqrt(ease)  # mean 4/5
        found = shift_scores("model", clean, copies, CELLS)
        assert found.kept is not None
        truths = (2 / 3, 100 * (2 / 3 - 4 / 5), (2 / 3) / (4 / 5))
        for place, (each, truth) in enumerate(zip((found.mean, found.lost_points, found.kept), truths, strict=True)):
            held[place] += each.low <= truth <= each.high
    assert (np.abs(held / 200 - 0.95) < 0.05).all()


def test_whole_groups_are_the_unit_where_there_are_any() -> None:
    groups = np.repeat(np.arange(20), 10)
    right = np.repeat(np.random.default_rng(3).random(20) < 0.5, 10)
    clean = np.ones(200, bool)
    alone = shift_scores("model", clean, right[None], CELLS[:1])
    grouped = shift_scores("model", clean, right[None], CELLS[:1], groups)
    assert grouped.mean.high - grouped.mean.low > 2 * (alone.mean.high - alone.mean.low)


def test_of_nothing_right_no_share_is_kept() -> None:
    assert shift_scores("model", np.zeros(40, bool), np.zeros((10, 40), bool), CELLS).kept is None
    everything = shift_scores("model", np.ones(40, bool), np.ones((10, 40), bool), CELLS)
    assert everything.mean.value == 1.0
    assert everything.mean.low < 0.95
    assert everything.lost_points.low < 0.0 < everything.lost_points.high
    assert everything.kept is not None
    assert everything.kept.low < 1.0 < everything.kept.high


def test_two_networks_that_agree_on_all_copies_may_still_differ_on_others() -> None:
    same = (np.random.default_rng(4).random((10, 200)) < 0.6).astype(np.float64)
    points = compare_copies(same, same).gain_points
    assert points.low < -0.1 < 0.1 < points.high


def test_one_copy_is_compared_as_images_are() -> None:
    rng = np.random.default_rng(5)
    before, after = (rng.random((2, 1, 200)) < 0.6).astype(np.float64)
    assert compare_copies(before, after) == compare_networks(before[0], after[0])


def test_the_paired_interval_holds_the_truth() -> None:
    """Two networks of 60% and 65% on images that are hard for both, five copies each."""
    rng, held = np.random.default_rng(6), 0
    for _ in range(300):
        ease = rng.beta(2.4, 1.6, 200)
        before = rng.random((5, 200)) < ease
        after = rng.random((5, 200)) < np.minimum(ease + 0.05 * rng.choice([0.0, 2.0], 200) * (1.0 - ease), 1.0)
        truth = 100 * 0.05 * (1.0 - 0.6)
        points = compare_copies(before.astype(float), after.astype(float)).gain_points
        held += points.low <= truth <= points.high
    assert abs(held / 300 - 0.95) < 0.04
