"""Classes of very different sizes, and parts with other shares of them."""

import numpy as np

from convlift.audit.class_balance import class_findings

NO_PARTS = np.full(110, "", "U10")


def test_a_class_ten_times_another_is_named():
    (found,) = class_findings(("a", "b"), np.repeat([0, 1], [100, 10]), NO_PARTS)
    assert (found.kind, found.severity) == ("uneven classes", "note")
    assert "'a', has 100 images, the smallest, 'b', 10" in found.message
    assert not class_findings(("a", "b", "empty"), np.repeat([0, 1], [60, 50]), NO_PARTS)


def test_other_shares_in_the_test_part_are_a_warning_beyond_chance():
    labels = np.r_[np.repeat([0, 1], [200, 200]), np.repeat([0, 1], [160, 40])]
    official = np.array(["train"] * 400 + ["test"] * 200, "U10")
    (found,) = class_findings(("a", "b"), labels, official)
    assert found.kind == "other shares"
    assert "has 80% there and 50% in training" in found.message
    labels[400:] = np.arange(200) % 2
    assert not class_findings(("a", "b"), labels, official)
    few = np.r_[np.arange(370), np.arange(400, 431)]
    assert not class_findings(("a", "b"), labels[few], official[few])
