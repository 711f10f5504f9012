"""What is said of a plan, before and after it is obeyed."""

from dataclasses import replace

import pytest

from convlift.records.data_plan import DataPlan, Entry
from convlift.records.plan_applied import AsFiled, PlanApplied
from convlift.report.finding_lines import plan_lines
from convlift.report.review_page import render_review, reviewed_line, shown_images
from convlift.report.wording.plan_sentences import (
    applied_document,
    applied_sentences,
    entry_document,
    entry_in_words,
    plan_sentence,
)

OUT = Entry("exclude", "accepted", ("a/1.jpg",), "Flat.", part="train", beside=("b/1.jpg",))
RELABEL = Entry("relabel", "to review", ("a/2.jpg",), "Looks like b.", label="a", suggested="b")
TOGETHER = Entry("keep together", "rejected", tuple(f"a/{row}.jpg" for row in range(6)))
GROUPS = Entry("keep together", "accepted", (), groups="(x)")
RESPLIT = Entry("resplit", "accepted")


def test_how_much_there_is_to_decide():
    plan = DataPlan("photos", 10, "0" * 64, {}, (OUT, RELABEL, RELABEL, replace(RESPLIT, state="to review")))
    assert plan_sentence(plan).startswith("1 entry decided; to review: 1 new split, 2 labels to change.")
    assert plan_sentence(replace(plan, entries=())) == "it proposes nothing."
    assert "nothing is left to review" in plan_sentence(replace(plan, entries=(OUT,)))
    assert reviewed_line(plan) == "1 entry decided, 3 to review"


@pytest.mark.parametrize(
    ("entries", "said"),
    [
        ((), "changed nothing. No file"),
        ((OUT,), "left out 1 image. No file"),
        ((OUT, replace(RELABEL, state="accepted")), "left out 1 image and gave 1 image another class."),
        ((OUT, replace(OUT, part="test")), "left out 2 images (1 of the test part)."),
        ((TOGETHER,), "let a split cut 1 set of near copies."),
        (
            (OUT, replace(TOGETHER, state="accepted"), GROUPS, RESPLIT),
            "left out 1 image, kept 1 set of images together, kept groups together and put the official parts aside.",
        ),
    ],
)
def test_what_was_changed(entries, said):
    assert f"The plan p.yaml {said}" in applied_sentences(PlanApplied("p.yaml", "1", entries))[0]


def test_what_waits_and_what_the_old_labels_say():
    applied = PlanApplied("p.yaml", "1", (OUT,), 2, 0, AsFiled(3, 100, 0.5, 0.75))
    lines = plan_lines(applied)
    assert lines[0].endswith("2 entries of it wait for somebody to decide.")
    assert "3 of the 100 test images carry a label that the plan changed" in lines[1]
    assert lines[1].endswith("the network that ships scores 0.7500 and the baseline 0.5000.")
    assert plan_lines(None) == []
    assert applied_document(applied)["as_filed"] == {"changed": 3, "images": 100, "baseline": 0.5, "final": 0.75}


def test_an_entry_in_few_words():
    assert entry_in_words(RELABEL) == "a/2.jpg: a became b"
    assert entry_in_words(TOGETHER) == "a/0.jpg, a/1.jpg, a/2.jpg, a/3.jpg and 2 more"
    assert entry_in_words(GROUPS) == "groups by (x)"
    assert entry_in_words(RESPLIT) == "the official parts"
    assert entry_document(RESPLIT) == {"kind": "resplit", "state": "accepted"}


def test_the_page_of_a_plan_shows_each_image_once(tmp_path):
    plan = DataPlan("<photos>", 10, "0" * 64, {"data": "/my photos"}, (OUT, replace(OUT, images=("b/1.jpg",)), RELABEL))
    assert shown_images(plan) == ("a/1.jpg", "b/1.jpg", "a/2.jpg")
    page = render_review(plan, tmp_path / "plan.yaml", ("a", "b"), "0123", "abc")
    assert "&lt;photos&gt;" in page
    assert "convlift improve \\u0027/my photos\\u0027 --plan" in page
    assert page.count('nonce="abc"') == 1
