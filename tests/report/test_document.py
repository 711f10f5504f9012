"""The JSON document: exactly the published keys, and always valid JSON."""

import dataclasses
import json

from conftest import make_verdict
from convlift.outcome import Estimate, Result
from convlift.report.document import document


def test_the_keys_are_exactly_the_published_ones(result: Result) -> None:
    found = document(result)
    assert list(found) == [
        "schema_version",
        "run",
        "metric",
        "baseline",
        "final",
        "gain",
        "changes",
        "trials",
        "seconds",
        "budget_seconds",
        "optimism_points",
    ]
    assert found["schema_version"] == 1
    assert list(found["baseline"]) == list(found["final"]) == ["score", "low", "high"]
    assert found["gain"] == {"points": 11.1, "low": 8.0, "high": 14.2}
    assert len(found["changes"]) == len(result.verdicts)
    assert list(found["changes"][0]) == ["name", "area", "points", "low", "high", "label"]


def test_figures_that_are_not_finite_become_null(result: Result) -> None:
    nothing, endless = float("nan"), float("inf")
    broken = dataclasses.replace(
        result,
        gain_points=Estimate(nothing, -endless, endless),
        verdicts=(dataclasses.replace(make_verdict("x", "data", 0, "undecided"), points=nothing),),
        optimism_points=nothing,
    )
    read = json.loads(json.dumps(document(broken), allow_nan=False))
    assert read["gain"] == {"points": None, "low": None, "high": None}
    assert read["changes"][0]["points"] is None
    assert read["optimism_points"] is None
