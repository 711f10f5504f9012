"""The JSON document: exactly the published keys, and always valid JSON."""

import dataclasses
import json

import pytest

from conftest import make_verdict
from convlift.records.not_shipped import NotShipped
from convlift.records.notes import LittleLeft
from convlift.records.result import ClassScore, Estimate, Result
from convlift.report.documents import result_document
from convlift.report.wording.note_sentences import note_sentence


def test_the_keys_are_exactly_the_published_ones(result: Result) -> None:
    found = result_document(result)
    assert list(found) == [
        "schema_version",
        "run",
        "data",
        "metric",
        "headline",
        "judged",
        "proven",
        "ships",
        "why",
        "shortened",
        "baseline_name",
        "start_name",
        "baseline",
        "final",
        "gain",
        "differing",
        "recipe",
        "changes",
        "unexplained_points",
        "trials",
        "seconds",
        "budget_seconds",
        "trainings",
        "optimism_points",
        "opened",
        "images",
        "classes",
        "recipe_findings",
        "warnings",
        "notes",
        "findings",
    ]
    assert found["schema_version"] == 2
    assert list(found["baseline"]) == list(found["final"]) == ["score", "low", "high"]
    assert found["gain"] == {"points": 11.1, "low": 8.0, "high": 14.2}
    assert found["differing"] == {"won": 90, "lost": 18, "p_value": 0.001}
    assert list(found["recipe"]) == ["baseline", "final", "gain", "proven"]
    assert found["recipe"]["gain"] == {"points": pytest.approx(10.9), "low": 7.0, "high": pytest.approx(14.8)}
    assert len(found["changes"]) == len(result.verdicts)
    assert list(found["changes"][0]) == ["name", "area", "points", "low", "high", "label", "shipped", "trials"]


def test_figures_that_are_not_finite_become_null(result: Result) -> None:
    nothing, endless = float("nan"), float("inf")
    assert result.network
    broken = dataclasses.replace(
        result,
        network=dataclasses.replace(result.network, gain_points=Estimate(nothing, -endless, endless)),
        verdicts=(dataclasses.replace(make_verdict("x", "data", 0, "undecided"), points=nothing),),
        optimism_points=nothing,
    )
    read = json.loads(json.dumps(result_document(broken), allow_nan=False))
    assert read["gain"] == {"points": None, "low": None, "high": None}
    assert read["changes"][0]["points"] is None
    assert read["optimism_points"] is None


def test_what_was_not_measured_is_null_and_said(result: Result) -> None:
    open_ = dataclasses.replace(
        result,
        baseline=None,
        gain_points=None,
        proven=False,
        judged=False,
        why=NotShipped("no time for the baseline"),
        classes=(ClassScore("daisy", 20, None, 0.5, 0),),
    )
    read = json.loads(json.dumps(result_document(open_), allow_nan=False))
    assert (read["judged"], read["proven"], read["baseline"], read["gain"]) == (False, False, None, None)
    assert read["why"] == "Not judged: no time for the baseline."
    assert read["classes"] == [{"name": "daisy", "images": 20, "baseline": None, "final": 0.5, "predicted": 0}]
    assert "never predicts class 'daisy'" in read["warnings"][0]
    assert read["findings"][0]["items"] == ["a/1.jpg", "b/2.jpg"]
    assert read["notes"] == [note_sentence(LittleLeft())]
