"""The charts: valid, deterministic, escaped, and right about their geometry."""

import dataclasses
import re
import subprocess
import sys
from xml.etree import ElementTree

import numpy as np
import pytest

from conftest import (
    FLOWERS,
    make_confusion,
    make_curve,
    make_result,
    make_trials,
    make_verdict,
    make_verdicts,
)
from convlift.records.result import Result
from convlift.report import charts
from convlift.report.confusion_chart import confusion


def every_chart(result: Result, width: int) -> dict[str, str]:
    return {
        "scores": charts.scores(result, width),
        "forest": charts.forest(result.verdicts, width),
        "steps": charts.steps(result, width),
        "curves": charts.curves(make_curve((("train", 1),), 0.7), make_curve((("head", 3),), 0.8), width),
        "confusion": confusion(make_confusion(5), FLOWERS, width),
        "trials": charts.trials(make_trials(result.verdicts, 20), result, width),
    }


def test_charts_are_described_themed_and_free_of_links(result: Result) -> None:
    for name, svg in every_chart(result, 820).items():
        root = ElementTree.fromstring(svg)
        assert root.attrib["role"] == "img"
        assert len(root.attrib["aria-label"]) > 20
        assert "#fe000" not in svg, name
        assert "var(--ink, currentColor)" in svg, name
        assert not re.search(r"https?:|<style|<script|font-family|DejaVu", svg), name


def test_the_same_records_give_the_same_bytes(result: Result) -> None:
    assert every_chart(result, 343) == every_chart(result, 343)


def test_ids_do_not_clash_on_one_page(result: Result) -> None:
    both = [svg for width in (820, 343) for svg in every_chart(result, width).values()]
    ids = [found for svg in both for found in re.findall(r' id="([^"]+)"', svg)]
    assert len(ids) == len(set(ids))
    for svg in both:
        assert set(re.findall(r'(?:href="|url\()#([\w.-]+)', svg)) <= set(re.findall(r' id="([^"]+)"', svg))


@pytest.mark.parametrize(
    "name", ["<script>alert(1)</script>", "$x_1", "日本 \ud800\x00", "a" * 300, 'x" onload="y', ""]
)
def test_hostile_names_are_text(name: str, result: Result) -> None:
    verdict = dataclasses.replace(result.verdicts[0], name=name)
    named = dataclasses.replace(result, verdicts=(verdict,))
    svgs = [
        charts.forest(named.verdicts, 343),
        charts.steps(named, 820),
        confusion(make_confusion(2), (name, "b"), 820),
    ]
    for svg in svgs:
        assert "<script" not in svg
        # the forest's and the steps' descriptions carry the raw name; the page replaces what cannot be shown
        root = ElementTree.fromstring(re.sub("[\x00\ud800]", "", svg))
        assert all("onload" not in element.attrib for element in root.iter())


def test_forest_draws_each_interval_to_scale() -> None:
    left, right = (make_verdict(name, "data", points, "likely") for name, points in (("a", -2.0), ("b", 6.0)))
    svg = charts.forest((left, right), 820)
    spans = [
        tuple(float(x) for x in found)
        for found in re.findall(r'd="M ([\d.]+) [\d.]+ L ([\d.]+) [\d.]+"[^>]*stroke: var\(--likely', svg)
    ]
    # b is listed first; both intervals are 2.7 points wide and 8 points apart
    assert spans[0][1] - spans[0][0] == pytest.approx(spans[1][1] - spans[1][0], rel=1e-3)
    assert spans[0][0] - spans[1][0] == pytest.approx((spans[0][1] - spans[0][0]) * 8 / 2.7, rel=1e-3)


def test_verdicts_without_figures_are_left_out_of_the_charts() -> None:
    lost = dataclasses.replace(make_verdict("lost", "data", 1.0, "undecided"), points=float("nan"), low=-float("inf"))
    result = make_result((lost, make_verdict("kept", "data", 1.0, "likely")))
    result = dataclasses.replace(result, unexplained_points=float("nan"))
    for svg in (charts.forest(result.verdicts, 820), charts.steps(result, 820)):
        assert "kept" in svg
        assert "lost" not in svg


def test_an_empty_class_and_an_empty_matrix_row_are_drawn() -> None:
    counts = np.zeros((2, 2), np.int64)
    counts[0] = (3, 1)
    svg = confusion(counts, ("a", "b"), 343)
    assert ">75<" in svg
    assert ">25<" in svg


def test_charts_of_forty_changes_have_a_row_each() -> None:
    for width in (820, 343):
        svg = charts.forest(make_verdicts(40, long_names=True), width)
        rows = [float(y) for y in re.findall(r'<text style="font-size: 12px[^"]*" [^>]*?y="([\d.]+)"', svg)] or [
            float(y) for y in re.findall(r"translate\([\d.-]+ ([\d.]+)\)", svg)
        ]
        gaps = np.diff(sorted(rows))
        assert len(rows) == 80  # two lines each
        assert not re.search(r"…\w", svg)  # a name may lose its end, not its middle
        assert gaps.min() > 13.9  # taller than a line of 12 pixels


def test_the_room_is_light_until_it_draws() -> None:
    code = (
        "import sys, convlift.report.page, convlift.report.terminal, convlift.report.documents; "
        "print([m for m in ('torch', 'matplotlib', 'sklearn', 'cv2', 'timm', 'PIL') if m in sys.modules])"
    )
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert found.stdout.strip() == "[]"
