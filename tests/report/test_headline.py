"""What is claimed, in a line."""

import dataclasses

import pytest

from conftest import make_result, make_verdict
from convlift.records.notes import RunsFailedToLearn
from convlift.records.result import Estimate, Result
from convlift.report.wording.headline import conclusion, headline, ranked, recipe_line


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
    assert result.network
    unproven = dataclasses.replace(result, network=dataclasses.replace(result.network, proven=False))
    assert conclusion(unproven) == "unclear"
    assert not unproven.is_better


def test_the_recipe_stands_beside_the_network(result: Result) -> None:
    """One of the two may be proven without the other."""
    said = "Trained again, the recipe gains +10.9 points (95% interval +7.0 to +14.8)"
    assert recipe_line(result) == f"{said}, proven."
    assert recipe_line(dataclasses.replace(result, proven=False)) == f"{said}, not proven."
    assert dataclasses.replace(result, proven=False).is_better
    failed = dataclasses.replace(result, proven=False, notes=(RunsFailedToLearn("baseline", 1, 2),))
    assert recipe_line(failed) == f"{said}, not proven: 1 of 2 runs of the baseline recipe failed to learn."


def test_of_a_recipe_that_was_trained_once_nothing_is_claimed(result: Result) -> None:
    once = dataclasses.replace(result, gain_points=None, proven=False)
    assert (recipe_line(once), conclusion(once), once.is_better) == ("", "better", True)


def test_a_cross_validation_claims_a_gain_of_its_procedure(result: Result) -> None:
    folds = dataclasses.replace(result, network=None, folds=5, gain_points=Estimate(4.0, 1.0, 7.0))
    assert "+4.0 points (95% interval +1.0 to +7.0), proven on all 648 images in 5 folds" in headline(folds)
    assert recipe_line(folds) == ""
    assert not dataclasses.replace(folds, proven=False).is_better


def test_shipped_changes_come_first_and_missing_figures_last() -> None:
    missing = dataclasses.replace(make_verdict("missing", "data", 0, "undecided"), points=float("nan"))
    small, large = (make_verdict(str(points), "data", points, "likely") for points in (0.6, 2.0))
    left_out = dataclasses.replace(make_verdict("left out", "data", 3.0, "undecided"), shipped=False)
    found = ranked((missing, left_out, small, large))
    assert [verdict.name for verdict in found] == ["2.0", "0.6", "left out", "missing"]
