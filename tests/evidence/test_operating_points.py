"""Thresholds keep what they were chosen for on new images, and are left out where images are too few."""

import numpy as np
import pytest
from sklearn.metrics import roc_curve

from convlift.evidence.operating_points import choose_thresholds


def scores(n_positive, n_negative, seed=0):
    rng = np.random.default_rng(seed)
    positive = np.arange(n_positive + n_negative) < n_positive
    return 1 / (1 + np.exp(-rng.normal(2.0 * positive - 1.0, 1.0))), positive


@pytest.mark.parametrize(("target", "sensitivity"), [("sensitivity 0.90", 0.9), ("sensitivity 0.95", 0.95)])
def test_new_positive_images_pass_as_often_as_was_asked_for(target, sensitivity):
    new = scores(200_000, 1, 99)[0][:200_000]
    passed = [(new >= choose_thresholds(*scores(39, 80, seed))[target]).mean() for seed in range(400)]
    assert sensitivity <= np.mean(passed) + 0.004
    assert np.mean(passed) == pytest.approx(sensitivity, abs=0.012)


def test_it_takes_enough_positive_images():
    assert "sensitivity 0.90" not in choose_thresholds(*scores(8, 50))
    assert "sensitivity 0.90" in choose_thresholds(*scores(9, 50))
    assert "sensitivity 0.99" not in choose_thresholds(*scores(98, 50))
    assert "sensitivity 0.99" in choose_thresholds(*scores(99, 50))
    assert choose_thresholds(*scores(0, 50)) == choose_thresholds(*scores(50, 0)) == {}


def test_youdens_j_is_scikit_learns():
    values, positive = scores(60, 90)
    false, true, at = roc_curve(positive, values, drop_intermediate=False)
    found = choose_thresholds(values, positive)["Youden's J"]
    best = at[np.argmax(true - false)]
    assert ((values >= found) == (values >= best)).all()
    assert found < best
