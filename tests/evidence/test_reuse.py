"""How much the best of several results on one test flatters."""

import numpy as np
import pytest

from convlift.evidence.reuse import expected_maximum, flattery
from convlift.records.result import Estimate


@pytest.mark.parametrize(("k", "value"), [(1, 0.0), (2, 0.5642), (3, 0.8463), (5, 1.1630), (10, 1.5388)])
def test_known_expectations_of_the_largest_of_k(k: int, value: float) -> None:
    """David and Nagaraja (2003), table of normal order statistics."""
    assert expected_maximum(k) == pytest.approx(value, abs=1e-4)


@pytest.mark.parametrize("shared", [0.0, 0.5])
def test_flattery_is_what_the_best_of_k_networks_shows_too_much(shared: float) -> None:
    """4 equally good networks at .85 on 500 images, 4,000 times; `shared` of an image's difficulty is common to all:
    the excess is the formula's, or less where scores correlate."""
    rng = np.random.default_rng(0)
    level = 1.0364  # Phi^-1(.85)
    common = rng.standard_normal((4000, 1, 500), dtype=np.float32)
    own = rng.standard_normal((4000, 4, 500), dtype=np.float32)
    right = np.sqrt(shared) * common + np.sqrt(1 - shared) * own < level
    scores = right.mean(-1)
    excess = 100 * (scores.max(axis=1) - 0.85).mean()
    half = 1.96 * np.sqrt(0.85 * 0.15 / 500)
    told = flattery(Estimate(0.85, 0.85 - half, 0.85 + half), 4)
    correlation = np.corrcoef(scores[:, :2].T)[0, 1]
    assert excess == pytest.approx(told * np.sqrt(1 - correlation), rel=0.1)
    assert excess <= told * 1.05
