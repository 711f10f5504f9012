"""Scores under corruptions: the figures, and intervals that count an image once, whatever the number of its copies."""

import numpy as np
import pytest

from convlift.evidence.shifted_scores import kept_share, shift_scores

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
    assert ten.mean == one.mean


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
    assert kept_share(np.zeros(5), np.zeros(5)) is None
    everything = shift_scores("model", np.ones(40, bool), np.ones((10, 40), bool), CELLS)
    assert everything.mean.value == 1.0
    assert everything.mean.low < 0.95
    assert everything.lost_points.low < 0.0 < everything.lost_points.high or everything.lost_points.value == 0.0
