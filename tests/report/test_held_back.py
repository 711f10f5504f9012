"""Augmentations that were held back: from the ledger to the page."""

import base64
import dataclasses
from dataclasses import replace
from typing import Any

from conftest import make_picture, make_result, make_story, make_verdicts
from convlift.records.label_check import LabelCheck
from convlift.report.page import render
from convlift.report.page_records import HeldBack
from convlift.report.summary import held_back
from convlift.search.decisions import AskedAbout, GuardReport

EXAMPLE = {
    "before": base64.b64encode(make_picture(1)).decode(),
    "after": base64.b64encode(make_picture(2)).decode(),
    "true_class": "rose",
    "taken_for": "<b>tulip</b>",
    "confidence_before": 0.991,
    "confidence_after": 0.873,
}


def checked(right: float, confused: tuple[str, ...] = (), p_value: float = 0.0004) -> dict[str, Any]:
    """What the guard wrote down of one check."""
    check = LabelCheck(0.9, right, 100 * (0.9 - right), 2.0, 0.8, 7.25, p_value, confused, None)
    plain = {name: value for name, value in dataclasses.asdict(check).items() if name != "example"}
    return {"strengths": {"hue": 0.5}, **plain}


REPORT = GuardReport(
    asked=(
        AskedAbout("shift 1/8", "data", "kept", "as it is", (checked(0.89),), None),
        AskedAbout("hue", "data", "left out", None, (checked(0.37, p_value=0.012),), None),
        AskedAbout(
            "zoom 30%",
            "data",
            "weakened",
            "at half strength",
            (checked(0.55, ("rose", "<b>tulip</b>")), checked(0.88)),
            EXAMPLE,
        ),
    )
)


def page_with(*held: HeldBack) -> str:
    result = make_result(make_verdicts(8))
    return render(result, replace(make_story(result), held_back=held))


def test_only_what_was_held_back_is_told():
    hue, zoom = held_back(REPORT)
    assert (hue.name, hue.became, hue.before, hue.after) == ("hue", "", b"", b"")
    assert (zoom.became, zoom.true_class, zoom.sure_after) == ("at half strength", "rose", 0.873)
    assert (zoom.before, zoom.after) == (make_picture(1), make_picture(2))
    assert held_back(GuardReport()) == ()


def test_the_page_shows_each_with_its_reason_and_its_pictures():
    page = page_with(*held_back(REPORT))
    assert "Augmentations that were held back" in page
    section = page.split('<section id="held-back">')[1].split("</section>")[0]
    assert section.count("<img") == 2
    assert "left out." in section
    assert "tried at half strength." in section
    reason = (
        "The starting network classifies 55% of such images correctly, against 90% as they are; with its last layer "
        "fitted to them it misclassifies 7.2 more of 100 untouched images, most often rose as &lt;b&gt;tulip&lt;/b&gt; "
        "(probability by chance alone: under 0.001)."
    )
    assert reason in " ".join(section.split())
    assert "classifies 37% of such images correctly" in section
    assert "more of 100 untouched images (probability by chance alone: 0.012)." in section
    assert "99% sure" in section
    assert "87% sure" in section
    assert "&lt;b&gt;tulip" in section


def test_the_section_is_missing_where_nothing_was_held_back():
    assert "held-back" not in page_with().split("</style>")[1]


def test_a_damaged_picture_is_left_out():
    page = page_with(
        HeldBack("hue", "", "It is unlike the others.", b"nonsense", b"nonsense", "rose", "tulip", 0.9, 0.9)
    )
    assert "<img" not in page.split('<section id="held-back">')[1].split("</section>")[0]
