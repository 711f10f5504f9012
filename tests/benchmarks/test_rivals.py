"""What the rivals of the equal-time benchmark are made of: the greedy ensemble, the schedule, the moved images."""

import runpy
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

FILE = Path(__file__).parents[2] / "benchmarks" / "rivals.py"
rivals = SimpleNamespace(**runpy.run_path(str(FILE), run_name="rivals"))


def probabilities(predicted: list[int], sure: float = 0.9) -> np.ndarray:
    rows = np.full((len(predicted), 3), (1 - sure) / 2, np.float32)
    rows[np.arange(len(predicted)), predicted] = sure
    return rows


def test_the_ensemble_takes_what_repairs_the_best_ones_mistakes():
    labels = np.array([0, 1, 2, 0, 1, 2])
    best, complement, bad = [0, 1, 2, 0, 0, 0], [1, 2, 2, 0, 1, 2], [1, 2, 0, 1, 2, 0]
    candidates = [probabilities(best, 0.8), probabilities(complement, 0.85), probabilities(bad)]
    counts = rivals.greedy_ensemble(candidates, labels, 20)
    assert counts[0] > 0
    assert counts[1] > 0
    assert counts[2] == 0


def test_the_ensemble_of_a_perfect_candidate_is_that_one_alone():
    labels = np.array([0, 1, 2])
    counts = rivals.greedy_ensemble([probabilities([0, 0, 0]), probabilities([0, 1, 2])], labels, 10)
    assert counts == [0, 1]


def test_the_learning_rate_peaks_after_the_warmup_and_ends_at_zero():
    assert rivals.one_cycle(0.0, 0.1) == pytest.approx(1 / 25)
    assert rivals.one_cycle(0.1, 0.1) == pytest.approx(1.0)
    assert rivals.one_cycle(1.0, 0.1) == pytest.approx(0.0, abs=1e-12)


def test_images_are_moved_by_whole_pixels_and_mirrored_only_where_that_is_asked_for():
    row = np.arange(16, dtype=np.uint8)
    images = np.tile(row[:, None], (40, 16, 1, 1))  # grey rises from left to right
    moved = rivals.shifted(images, np.random.default_rng(0), False)
    assert moved.shape == images.shape
    assert (moved[:, :, 12, 0] > moved[:, :, 4, 0]).all()
    mirrored = rivals.shifted(images, np.random.default_rng(0), True)
    falls = mirrored[:, 0, 12, 0] < mirrored[:, 0, 4, 0]
    assert 5 < falls.sum() < 35


def test_batches_are_whole_and_an_epoch_has_no_image_twice():
    batches = rivals.endless_batches(10, 4, np.random.default_rng(0))
    first, second = next(batches), next(batches)
    assert len(first) == len(second) == 4
    assert len({*first, *second}) == 8
    assert len(next(rivals.endless_batches(3, 8, np.random.default_rng(0)))) == 3
