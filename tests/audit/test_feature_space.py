"""Far images are far, and parts of one kind are not told apart."""

import numpy as np
import pytest

from convlift.audit.feature_findings import label_findings_of, outlier_findings, shift_findings
from convlift.audit.feature_space import Shift, matched, outliers, told_apart
from convlift.audit.label_errors import LabelErrors


def test_far_images_are_outliers_and_a_cloud_has_none():
    rng = np.random.default_rng(0)
    cloud = (rng.normal(size=(600, 40)) + 2.0 * rng.normal(size=(3, 40))[rng.integers(0, 3, 600)]).astype(np.float32)
    assert not len(outliers(lambda: [cloud]))
    strange = 6.0 * rng.normal(size=40)
    cloud[[17, 400]] = [strange, strange + 0.1]  # two of one kind
    assert sorted(outliers(lambda: [cloud]).tolist()) == [17, 400]
    assert not len(outliers(lambda: [cloud[:20]]))
    assert sorted(outliers(lambda: [cloud[:19], cloud[19:401], cloud[401:]]).tolist()) == [17, 400]  # some at a time


def test_matched_rows_have_as_many_of_each_class_from_either_part():
    labels, is_test = np.repeat([0, 1, 2], [50, 30, 20]), np.r_[[True] * 10, [False] * 60, [True] * 30]
    rows = matched(labels, is_test, 1000)
    for label in range(3):
        of_class = rows[labels[rows] == label]
        assert is_test[of_class].sum() == (~is_test[of_class]).sum()
    assert len(matched(labels, is_test, 20)) == 20


@pytest.mark.parametrize("apart", [0.0, 2.0])
def test_parts_are_told_apart_where_they_differ(apart):
    rng = np.random.default_rng(1)
    is_test = np.arange(400) % 2 == 1
    sure = 1 / (1 + np.exp(-(apart * (2 * is_test - 1) + rng.normal(size=400))))
    shift = told_apart(np.arange(400), is_test, np.stack([1 - sure, sure], axis=1))
    assert bool(shift_findings(shift, [str(row) for row in range(400)])) == bool(apart)
    assert (shift.p_value < 1e-6) == bool(apart)
    assert is_test[shift.typical].all()
    groups = np.arange(400) // 100
    grouped = told_apart(np.arange(400), is_test, np.stack([1 - sure, sure], axis=1), groups)
    assert grouped.p_value >= shift.p_value
    assert not shift_findings(grouped, [str(row) for row in range(400)])  # four groups prove nothing


def test_a_small_difference_is_no_finding_however_certain():
    assert not shift_findings(Shift(0.54, 1e-9, 4000, np.arange(3)), ["a", "b", "c"])


def test_what_is_said_of_labels_depends_on_how_many_are_surely_wrong():
    def said(least, rows=(1, 0)):
        order = np.array(rows, np.int64)
        return label_findings_of(LabelErrors(order, order, np.ones(3), least, 0.2, 0.8), ["a", "b", "c"])

    assert [each.severity for each in (*said(0.05), *said(0.001))] == ["warning", "note"]
    assert said(0.05)[0].items == ("b", "a")
    assert "between 5.0% and 20.0%" in said(0.05)[0].message
    assert "at most 20.0%" in said(0.001)[0].message
    assert not said(0.0, ())
    unsure = LabelErrors(np.array([1]), np.array([1]), np.ones(3), 0.0, 0.5, 0.4, knows=False)
    (found,) = label_findings_of(unsure, ["a", "b", "c"])
    assert found.severity == "note"
    assert found.message.endswith("It knows these classes too little to tell wrong labels from images that are hard.")
    assert "1 of 3 images looks" in outlier_findings(np.array([2]), ["a", "b", "c"], 3)[0].message
