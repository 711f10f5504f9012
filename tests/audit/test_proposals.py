"""What is proposed of what was found, and what is accepted by itself."""

from dataclasses import replace

import numpy as np
import pytest

from convlift.audit.findings import label_findings
from convlift.audit.near_copies import alike
from convlift.audit.proposals import Audit, keep_decisions, propose
from convlift.records.data_plan import Entry
from convlift.records.doubted_label import DoubtedLabel
from convlift.records.finding import Finding

RNG = np.random.default_rng(0)
GREYS = RNG.integers(0, 255, (40, 32, 32)).astype(np.uint8)


def audit(rows, findings=(), doubts=(), side=128, **more):
    """rows: (key, class, part, hash or None, scene or None)."""
    keys, names, official, hashes, scenes = zip(*(each + (None,) * (5 - len(each)) for each in rows), strict=True)
    classes = sorted(set(names))
    own = np.array([each or f"own{row}" for row, each in enumerate(hashes)])
    labels = np.array([classes.index(each) for each in names], np.int64)
    official = np.array([each or "" for each in official], "U10")
    return Audit(
        keys, classes, labels, official, own,
        np.array([each or of for each, of in zip(scenes, own, strict=True)]), np.full(len(keys), side),
        lambda row: GREYS[0] if scenes[row] else GREYS[row],
        [*label_findings(keys, classes, labels, official, own), *findings], doubts, **more,
    )  # fmt: skip


def told(entries):
    return [(each.kind, each.state, each.images) for each in entries]


TWICE = [("a/1", "a", "", "x"), ("b/1", "b", "", "x"), ("a/2", "a"), ("b/2", "b")]


def test_copies_under_two_classes_are_all_left_out_for_one_label_is_wrong():
    doubt = DoubtedLabel("a/1", "", "a", "b", 0.9, 0.05)
    found = propose(audit(TWICE, doubts=[doubt]))
    assert told(found) == [("exclude", "accepted", ("a/1",)), ("exclude", "accepted", ("b/1",))]
    assert found[0].beside == ("b/1",)
    assert "b/1 (b)" in found[0].reason
    assert "It looks like b, 90%, and like a, 5%." in found[0].reason
    assert "looks like" not in found[1].reason


@pytest.mark.parametrize("why", ["small", "flat"])
def test_copies_that_may_be_alike_by_chance_are_to_be_looked_at(why):
    findings = [Finding("flat", "warning", "flat", ("a/1", "b/1"))] if why == "flat" else []
    found = propose(audit(TWICE, findings, side=16 if why == "small" else 128))
    assert {each.state for each in found} == {"to review"}
    assert [each.images for each in found] == [("a/1",), ("b/1",)]  # once each, though flat as well


def test_of_copies_across_parts_those_of_the_test_stay():
    rows = [("train/a", "a", "train", "x"), ("test/a", "a", "test", "x"), ("train/b", "a", "train", "x")]
    rows += [("train/c", "a", "train", "y"), ("validation/c", "a", "validation", "y"), ("train/d", "b", "train")]
    found = propose(audit(rows))
    assert told(found) == [
        ("exclude", "accepted", ("train/a",)),
        ("exclude", "accepted", ("train/b",)),
        ("exclude", "accepted", ("train/c",)),
        ("resplit", "to review", ()),
    ]
    assert {each.part for each in found[:3]} == {"train"}
    assert "1 of 1 test images (100.0%)" in found[3].reason


def test_near_copies_across_parts_and_classes_are_to_be_looked_at_and_told_with_their_likeness():
    rows = [("train/a", "a", "train", None, "s"), ("test/a", "a", "test", None, "s"), ("train/b", "b", "train")]
    leak = Finding("near-copy leak", "warning", "leak", ("train/a = test/a",))
    conflict = Finding("near-copy conflict", "warning", "conflict", ("train/a = train/b",))
    found = propose(audit(rows, [leak, conflict]))
    assert told(found) == [
        ("exclude", "to review", ("train/a",)),
        ("exclude", "to review", ("train/b",)),
        ("resplit", "to review", ()),
    ]
    assert "test/a (test), correlation 1.00. Left out of training" in found[0].reason
    assert "Filed as b, and shows nearly the same as train/a, filed as a" in found[1].reason


def test_what_every_split_keeps_together_is_accepted_and_the_rest_to_review():
    rows = [("1", "a", "", None, "s"), ("2", "a", "", None, "s"), ("3", "b", "", "x"), ("4", "b", "", "x")]
    rows += [(f"big{row}", "b") for row in range(4)]
    large = Finding("large scenes", "warning", "large", ("big0 = big1 = big2",))
    natural = Finding("natural groups", "warning", "named", (), "Keep them together: --group-from '(patient[0-9]+)'")
    found = propose(audit(rows, [large, natural]))
    assert told(found) == [
        ("keep together", "accepted", ("1", "2")),  # exact copies need no entry
        ("keep together", "to review", ("big0", "big1", "big2")),
        ("keep together", "to review", ()),
    ]
    assert "50% of a class" in found[1].reason
    assert found[2].groups == "(patient[0-9]+)"
    assert told(propose(audit(rows, groups=np.arange(8))))[0] == ("keep together", "to review", ("1", "2"))
    assert propose(audit(rows, groups=np.array([0, 0, 1, 1, 2, 2, 2, 2]))) == ()


def test_labels_are_to_be_looked_at_the_surest_first_whatever_the_classifier_says():
    doubts = [DoubtedLabel("a/2", "", "a", "b", 0.999, 0.0), DoubtedLabel("a/1", "", "a", "b", 0.5, 0.2)]
    found = propose(audit([(key, name) for key, name, *_ in TWICE], doubts=doubts))
    assert told(found) == [("relabel", "to review", ("a/2",)), ("relabel", "to review", ("a/1",))]
    assert (found[0].label, found[0].suggested) == ("a", "b")
    assert "Looks like b, 100%, and like its label, 0%" in found[0].reason


def test_decisions_outlive_a_new_audit():
    new = (
        Entry("exclude", "accepted", ("1",), "new reason"),
        Entry("relabel", "to review", ("2",), "looks like b", label="a", suggested="b"),
        Entry("keep together", "accepted", ("3", "4")),
    )
    old = (
        replace(new[0], state="rejected", reason="old reason"),
        replace(new[1], state="accepted", suggested="c", reason="looks like c"),
        replace(new[2], images=("4", "3"), state="rejected"),
        Entry("exclude", "accepted", ("by hand",)),
        Entry("exclude", "to review", ("no longer proposed",)),
    )
    found = keep_decisions(new, old)
    assert [(each.images, each.state) for each in found] == [
        (("1",), "rejected"),
        (("2",), "accepted"),
        (("3", "4"), "rejected"),
        (("by hand",), "accepted"),
    ]
    assert found[0].reason == "new reason"
    assert (found[1].suggested, found[1].reason) == ("c", "looks like c")


def test_how_alike_two_images_are():
    assert alike(GREYS[1], GREYS[1]) == (pytest.approx(1.0), "")
    assert alike(GREYS[1], GREYS[1][:, ::-1]) == (pytest.approx(1.0), "mirrored")
    assert alike(GREYS[1], np.rot90(GREYS[1])) == (pytest.approx(1.0), "turned")
    assert alike(GREYS[1], GREYS[2])[0] < 0.5
