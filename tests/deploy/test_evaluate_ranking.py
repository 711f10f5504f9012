"""ROC curves are scikit-learn's; thresholds give what a count of the images says."""

import numpy as np
import pytest
from sklearn.metrics import roc_auc_score, roc_curve

from convlift.deploy.evaluate_ranking import check_positive, group_figures, operating_points, roc_curves
from convlift.errors import ConvliftError
from convlift.evidence.total_gain import wilson
from convlift.records.confidence import Confidence, Threshold


def said(n=300, classes=3):
    rng = np.random.default_rng(0)
    labels = rng.integers(0, classes, n)
    probabilities = rng.dirichlet(np.ones(classes), n) + 0.6 * np.eye(classes)[labels]
    probabilities = np.round(probabilities / probabilities.sum(axis=1, keepdims=True), 2)  # with ties
    return probabilities.astype(np.float32), labels


def test_curves_are_scikit_learns():
    probabilities, labels = said()
    found = roc_curves(("a", "b", "c"), probabilities, labels)
    assert [each.positive for each in found] == ["a", "b", "c"]
    for k, each in enumerate(found):
        false, true, _ = roc_curve(labels == k, probabilities[:, k], drop_intermediate=False)
        assert each.area == pytest.approx(roc_auc_score(labels == k, probabilities[:, k]))
        np.testing.assert_allclose(each.false_rates, false)
        np.testing.assert_allclose(each.true_rates, true)
    assert len(roc_curves(("a", "b"), *said(classes=2))) == 1
    assert roc_curves(("a", "b", "c"), probabilities[labels == 1], labels[labels == 1]) == ()


def test_a_threshold_gives_what_is_counted():
    probabilities, labels = said()
    confidence = Confidence(
        1.0, "validation", (Threshold("b", "Youden's J", 0.4), Threshold("gone", "Youden's J", 0.4))
    )
    (point,) = operating_points(confidence, ("a", "b", "c"), probabilities, labels)
    passes, own = probabilities[:, 1] >= 0.4, labels == 1
    assert point.sensitivity == wilson(float(passes[own].mean()), float(own.sum()))
    assert point.specificity == wilson(float((~passes)[~own].mean()), float((~own).sum()))
    (alone,) = operating_points(confidence, ("a", "b", "c"), probabilities[own], labels[own])
    assert alone.specificity is None


def test_groups_come_weakest_first():
    found = group_figures(["x", "y", "y", "x", "z"], np.array([True, False, True, True, False]))
    assert [(each.name, each.images, each.right) for each in found] == [("z", 1, 0.0), ("y", 2, 0.5), ("x", 2, 1.0)]
    assert group_figures([], np.zeros(0, bool)) == ()


def test_a_class_that_is_not_there_is_refused():
    check_positive("run", ("a", "b"), None)
    with pytest.raises(ConvliftError, match=r"positive 'c' is no class of run; name one of its own \(a, b\)\."):
        check_positive("run", ("a", "b"), "c")
