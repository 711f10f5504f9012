"""What is claimed, in a line."""

import dataclasses

import pytest

from conftest import make_result, make_verdict
from convlift.records.result import Result
from convlift.report.wording.headline import conclusion, headline, ranked


def test_the_headline_states_scores_gain_interval_and_test(result: Result) -> None:
    assert headline(result) == (
        "accuracy 0.712 -> 0.823: +11.1 points (95% interval +8.0 to +14.2), proven on 648 sealed test images"
    )


def test_the_headline_names_the_metric_as_it_is_shown(result: Result) -> None:
    assert headline(dataclasses.replace(result, metric="log-loss")).startswith("log-loss skill 0.712 -> 0.823")


@pytest.mark.parametrize(
    ("gain", "expected"),
    [((3.0, 1.0, 5.0), "better"), ((0.9, -0.8, 2.6), "unclear"), ((-2.3, -4.0, -0.6), "worse")],
)
def test_the_conclusion_follows_the_interval(gain: tuple[float, float, float], expected: str) -> None:
    assert conclusion(make_result((), gain)) == expected


def test_a_gain_that_was_not_proven_is_never_claimed(result: Result) -> None:
    assert conclusion(dataclasses.replace(result, proven=False)) == "unclear"


def test_shipped_changes_come_first_and_missing_figures_last() -> None:
    missing = dataclasses.replace(make_verdict("missing", "data", 0, "undecided"), points=float("nan"))
    small, large = (make_verdict(str(points), "data", points, "likely") for points in (0.6, 2.0))
    left_out = dataclasses.replace(make_verdict("left out", "data", 3.0, "undecided"), shipped=False)
    found = ranked((missing, left_out, small, large))
    assert [verdict.name for verdict in found] == ["2.0", "0.6", "left out", "missing"]
