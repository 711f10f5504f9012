"""The calibration error is the textbook's, and its interval covers where the plain bootstrap does not."""

import itertools

import numpy as np
import pytest

from convlift.evidence import calibration as under_test
from convlift.evidence.calibration import BINS, calibration


def reference(confidence, right):
    """Guo et al. 2017, equation 3, bin after bin."""
    edges = np.linspace(0, 1, BINS + 1)
    total = 0.0
    for low, high in itertools.pairwise(edges):
        own = (confidence >= low) & ((confidence < high) | (high == 1.0))
        if own.any():
            total += own.mean() * abs(confidence[own].mean() - right[own].mean())
    return total


def test_the_error_is_the_textbooks():
    rng = np.random.default_rng(0)
    confidence = rng.uniform(0.2, 1.0, 700)
    right = rng.random(700) < confidence**2
    found = calibration(confidence, right)
    assert found.error.value == pytest.approx(reference(confidence, right))
    assert found.confidence == pytest.approx(confidence.mean())
    assert sum(each.images for each in found.bins) == 700
    for each in found.bins:
        own = (confidence >= each.low) & (confidence < each.high)
        assert (each.images, each.right) == (own.sum(), pytest.approx(right[own].mean()))


def test_certain_and_right_fifty_times_says_little_of_the_next_image():
    found = calibration(np.ones(50), np.ones(50, bool))
    assert (found.error.value, found.error.low, found.by_chance) == (0.0, 0.0, 0.0)
    assert found.error.high == pytest.approx(0.071, abs=0.001)  # Wilson's bound of none in 50


def test_groups_are_what_is_drawn_again():
    rng = np.random.default_rng(0)
    right = np.repeat(rng.random(20) < 0.7, 15)  # twenty patients with fifteen images each, all right or all wrong
    confidence = np.full(300, 0.9)
    alone, grouped = calibration(confidence, right), calibration(confidence, right, np.repeat(np.arange(20), 15))
    assert alone.error.value == grouped.error.value
    assert grouped.error.high - grouped.error.low > 2.0 * (alone.error.high - alone.error.low)


def test_one_image_is_enough():
    found = calibration(np.array([0.75]), np.array([False]))
    assert found.error.value == pytest.approx(0.75)
    assert 0.0 <= found.error.low <= 0.75 <= found.error.high <= 1.0


@pytest.mark.parametrize("over", [0.0, 0.03, 0.1])
def test_the_interval_covers_the_true_error(monkeypatch, over):
    """Confidences too high by so much; 300 images, 60 networks: 3 in 60 may miss, and 8 do in one of 50 tries."""
    monkeypatch.setattr(under_test, "RESAMPLES", 200)
    rng = np.random.default_rng(1)
    many = rng.beta(6, 1.2, 500_000)
    apart = many - np.clip(many - over, 0, 1)
    true = np.abs(np.bincount(np.minimum((many * BINS).astype(int), BINS - 1), apart)).sum() / len(many)
    covered = 0
    for seed in range(60):
        confidence = rng.beta(6, 1.2, 300)
        error = calibration(confidence, rng.random(300) < np.clip(confidence - over, 0, 1), seed=seed).error
        covered += error.low <= true <= error.high
    assert covered >= 53
