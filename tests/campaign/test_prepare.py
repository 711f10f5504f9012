"""What a campaign is given: the stages of a backbone that was named, and the speed of its fine-tuning."""

from dataclasses import replace
from pathlib import Path

import pytest

from convlift.campaign import prepare
from convlift.campaign.open_data import open_data
from convlift.campaign.prepare import problem_of
from convlift.campaign.request import Request, request_of
from convlift.campaign.session import Session
from convlift.errors import RecipeError
from convlift.search.problem import Problem
from convlift.trial import calibrate


def problem(cache: Path, **named: str) -> Problem:
    request: Request = request_of("digits", None, cache, seed=0)
    request = replace(request, **named)  # type: ignore[arg-type]
    return problem_of(request, open_data(request, Session())[0])


def test_a_backbone_without_stages_is_trained_wholly(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(prepare, "_stages", lambda backbone, weights: 1)
    points = {point.name: point.recipe for point in problem(tmp_path, backbone="hrnet_w18_small").starts}
    tuned = points["fine-tune"].training.fine_tuning
    assert tuned is not None
    assert tuned.stages is None
    assert "transfer" not in points


@pytest.mark.parametrize("error", [RecipeError("too many for the device's memory"), RuntimeError("CUDA error")])
def test_a_speed_that_cannot_be_measured_is_not_known(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    def fails(*_: object, **__: object) -> float:
        raise error

    monkeypatch.setattr(calibrate, "time_tuning", fails)
    asked = problem(tmp_path)
    assert asked.time_tuning is not None
    assert asked.time_tuning(asked.starts[-1].recipe) == 0.0
