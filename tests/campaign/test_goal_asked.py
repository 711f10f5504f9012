"""`--optimize`: what is asked, what every trial leaves, and what is said of it at the end."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from sklearn.datasets import load_digits

from convlift import api
from convlift.campaign.goal_asked import COPIES, copies_to_predict
from convlift.campaign.request import request_of
from convlift.catalogue.starting_points import starting_points
from convlift.catalogue.unfit import JudgedBy
from convlift.errors import ConvliftError, LedgerError
from convlift.ledger.ledger import read_ledger
from convlift.recipe.recipe import Recipe
from convlift.records.goal import OptimizedFor, ShiftedCopies
from convlift.report.documents import plan_document, result_document
from convlift.report.wording.goal_in_words import plan_of_copies, score_title, worse_on_clean
from convlift.report.wording.note_sentences import note_sentence
from convlift.robustness.trained_on import TRAINED_BY_NONE, trained_on
from starts import PHOTOS

NAMES = "fog,brightness,gaussian_noise"
GREY = Recipe().edit(architecture={"width": 8}, training={"epochs": 2}, data={"augmentation": {"brightness": 0.1}})


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Digits of three classes."""
    found, few = tmp_path_factory.mktemp("place"), load_digits(n_class=3)
    for number, (image, label) in enumerate(zip(few.images[:180], few.target.tolist(), strict=False)):
        folder = found / "digits" / str(label)
        folder.mkdir(parents=True, exist_ok=True)
        Image.fromarray(np.rint(image * (255 / 16)).astype(np.uint8)).save(folder / f"{number}.png")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("CONVLIFT_CACHE", str(found / "cache"))
        yield found


@pytest.fixture(scope="module")
def options(small_backbone: tuple[str, Path]) -> dict[str, Any]:
    name, weights = small_backbone
    return {"current": GREY, "trainings": 4, "workers": 1, "backbone": name, "weights": str(weights), "quiet": True}


@pytest.fixture(scope="module")
def robust(place: Path, options: dict[str, Any]) -> api.Campaign:
    return api.improve(place / "digits", out=place / "robust", shift=NAMES, optimize="shifted", **options)


def test_every_trial_says_what_it_makes_of_the_same_copies(robust: api.Campaign) -> None:
    with read_ledger(robust.folder) as ledger:
        trials, goal = ledger.trials(), ledger.identity.goal
    assert goal == "shifted by gaussian_noise,fog"  # the baseline trains on brightness, and so does a start
    validation = robust.result.counts["validation"]
    assert {trial.role for trial in trials} >= {"baseline", "start", "search", "final"}
    for trial in trials:
        assert trial.outcome is not None
        said = trial.outcome.shifted_probabilities
        measured = len(trial.unseen) and not trial.spec.refit
        assert len(said) == (2 * validation if measured else 0), trial.role
        assert not trained_on(trial.recipe) & {"gaussian_noise", "fog"}


def test_the_second_score_is_what_it_would_be_without(robust: api.Campaign) -> None:
    (under,) = robust.result.shifts
    assert under.corruptions == ("gaussian_noise", "fog")
    assert under.images == robust.result.counts["test"]
    assert under.trained_on == ("brightness",)


def test_result_note_json_and_page_say_what_was_chosen_by(robust: api.Campaign) -> None:
    (note,) = [note for note in robust.result.notes if isinstance(note, OptimizedFor)]
    assert (note.goal, note.copies, note.images) == ("shifted", 2, robust.result.counts["validation"])
    assert note.withheld > 0
    assert "gaussian noise, fog" in note_sentence(note)
    document = json.loads(json.dumps(result_document(robust.result)))
    assert document["goal"] == robust.result.goal == "shifted"
    page = (robust.folder / "report.html").read_text()
    assert "Everything was chosen by the accuracy on corrupted copies of the validation images" in page
    assert "Under corruptions</th>" in page
    assert "it trains on images like those by which recipes are compared" in page.lower()
    assert "best validation accuracy under corruptions" not in page  # of the live line alone


def test_the_same_command_reads_it_and_another_goal_is_another_campaign(
    robust: api.Campaign, place: Path, options: dict[str, Any]
) -> None:
    again = api.improve(place / "digits", out=place / "robust", shift=NAMES, optimize="shifted", **options)
    assert again.result == robust.result
    for goal, said in (("mean", "goal was shifted"), ("clean", "is absent")):
        with pytest.raises(LedgerError, match=said):
            api.improve(place / "digits", out=place / "robust", shift=NAMES, optimize=goal, **options)


def test_what_cannot_be_is_refused_before_anything_is_trained(
    place: Path, options: dict[str, Any], tmp_path: Path
) -> None:
    data, out = place / "digits", tmp_path / "run"
    with pytest.raises(ConvliftError, match="needs shifted images to go by") as refused:
        api.improve(data, out=out, optimize="mean", **options)
    assert refused.value.exit_code == 2
    with pytest.raises(ConvliftError, match="'robust' is not known; it is one of clean, shifted, mean"):
        api.improve(data, out=out, shift="fog", optimize="robust", **options)
    with pytest.raises(ConvliftError, match=r"no corruption to go by.*such as brightness makes"):
        api.improve(data, out=out, shift="brightness", optimize="mean", **options)
    with pytest.raises(ConvliftError, match="leave one out"):
        api.improve(data, cv=3, out=out, shift="fog", optimize="mean", **options)
    with pytest.raises(ConvliftError, match="leave out optimize"):
        api.aa(data, 1, optimize="mean", quiet=True)
    assert not out.exists()


def test_the_plan_says_what_it_costs(place: Path, options: dict[str, Any]) -> None:
    plan = api.preview(place / "digits", shift=NAMES, optimize="mean", **options)
    assert plan.copies == ShiftedCopies(("gaussian_noise", "fog"), 2)
    validation = plan.counts["validation"]
    said = plan_of_copies(plan.copies, plan.metric, plan.goal, validation, validation + plan.counts["test"])
    assert f"predicts {2 * validation:,} of them at its end" in said
    document = json.loads(json.dumps(plan_document(plan)))
    assert (document["goal"], document["copies"]["each"]) == ("mean", 2)
    assert any(isinstance(each.reason, JudgedBy) for start in plan.starts for each in start.left_out)
    assert not any(trained_on(candidate.intervention.edit(GREY)) & {"fog"} for candidate in plan.starts[0].candidates)


def test_copies_are_few_and_the_same_whatever_the_budget() -> None:
    asked = ("fog", "snow", "frost")
    assert [copies_to_predict(asked, [], n, 0).each for n in (10, COPIES // 2, COPIES, 10_000)] == [3, 2, 1, 1]
    assert copies_to_predict(asked, [], 100, 5).seed == 5
    starts = [point.recipe for point in starting_points(PHOTOS)]  # one of which changes brightness and contrast
    left = copies_to_predict(("fog", "brightness", "contrast"), starts, 10, 0)
    assert left.corruptions == ("fog",)
    with_fog = Recipe().edit(data={"augmentation": {"fog": 0.5}})
    assert copies_to_predict(asked, [Recipe(), with_fog], 10, 0).corruptions == ("snow", "frost")


def test_a_folder_stays_sealed_and_what_no_change_trains_on_is_gone_by(tmp_path: Path) -> None:
    assert copies_to_predict((), [GREY], 10, 0).corruptions == TRAINED_BY_NONE == ("snow", "frost", "pixelate")
    request = request_of("digits", "20m", tmp_path, shift_data=tmp_path, optimize="mean")
    assert (request.optimize, request.shift) == ("mean", ())


def test_words_of_a_score_name_the_goal(robust: api.Campaign) -> None:
    assert score_title("accuracy", "clean") == "accuracy"
    assert score_title("accuracy", "shifted") == "accuracy under corruptions"
    assert score_title("accuracy", "mean") == "accuracy, clean and under corruptions"
    assert "weigh both scores" in worse_on_clean(robust.result)
