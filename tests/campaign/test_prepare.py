"""What a campaign is given: the stages of a backbone that was named, and the speed of its fine-tuning."""

from dataclasses import replace
from pathlib import Path

import pytest

from convlift.campaign import prepare
from convlift.campaign.open_data import open_data
from convlift.campaign.prepare import problem_of
from convlift.campaign.request import Request, request_of
from convlift.campaign.session import Session
from convlift.errors import ConvliftError, RecipeError
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


def test_each_of_several_backbones_is_a_starting_point(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(prepare, "_stages", lambda backbone, weights: {"resnet18": 5, "vgg11": 1}[backbone])
    points = problem(tmp_path, backbone="resnet18,vgg11").starts
    first, further = ["residual", "frozen", "transfer", "fine-tune"], ["frozen vgg11", "fine-tune vgg11"]
    assert [point.name for point in points] == [*first, *further]
    assert [point.way for point in points] == [*first, "frozen", "fine-tune"]
    assert {point.recipe.architecture.backbone for point in points[-2:]} == {"vgg11"}  # type: ignore[union-attr]


@pytest.mark.parametrize(
    ("backbone", "weights", "said"),
    [
        ("resnet18,resnet18", None, "names one twice"),
        ("resnet18,", None, "or not at all"),
        ("resnet18,resnet50", "mine.safetensors", "give one name"),
    ],
)
def test_backbones_that_make_no_sense_are_refused(
    tmp_path: Path, backbone: str, weights: str | None, said: str
) -> None:
    with pytest.raises(ConvliftError, match=said):
        request_of("digits", None, tmp_path, backbone=backbone, weights=weights)


@pytest.mark.parametrize("error", [RecipeError("too many for the device's memory"), RuntimeError("CUDA error")])
def test_a_speed_that_cannot_be_measured_is_not_known(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    def fails(*_: object, **__: object) -> float:
        raise error

    monkeypatch.setattr(calibrate, "time_tuning", fails)
    monkeypatch.setattr(calibrate, "calibrate", fails)
    asked = problem(tmp_path)
    assert asked.time_tuning is not None
    assert asked.time_scratch is not None
    assert asked.time_tuning(asked.starts[-1].recipe, 0.5) == asked.time_scratch(asked.starts[0].recipe) == 0.0
