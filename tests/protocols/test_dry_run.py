"""`improve --dry-run`: the plan of a campaign, found without a training and without leaving anything behind."""

import json
from io import StringIO
from pathlib import Path

import numpy as np
import pytest
from rich.console import Console
from safetensors.torch import save_file

from convlift import api
from convlift.errors import BudgetError, ConvliftError, DataError, RecipeError
from convlift.recipe.architecture import Pretrained
from convlift.recipe.recipe import Recipe
from convlift.records.compute_device import Device
from convlift.report.documents import plan_document as document
from convlift.report.plan import Preview, print_preview
from convlift.report.wording.power_sentence import power_sentence

BACKBONE = "mobilenetv3_small_050"


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """300 real digits, and random weights of a small backbone."""
    from sklearn.datasets import load_digits

    from convlift.model.backbone import create_backbone

    folder = tmp_path_factory.mktemp("place")
    digits = load_digits()
    images = np.rint(digits.images[:300] * (255 / 16)).astype(np.uint8)
    np.savez(folder / "few.npz", train_images=images, train_labels=digits.target[:300])
    network = create_backbone(BACKBONE, "random").network
    weights = {name: tensor.contiguous() for name, tensor in network.state_dict().items()}
    save_file(weights, folder / "weights.safetensors")
    return folder


def as_on_any_machine(
    recipe: Recipe, *, images: int, held_out: int, classes: int, channels: int, device: Device
) -> tuple[float, float]:
    """What `calibrate` measures, as the same figures on an idle and on a busy machine."""
    network, epochs = recipe.architecture, recipe.training.epochs
    if isinstance(network, Pretrained):
        tuned = recipe.training.fine_tuning is not None
        return 0.003 * (images * (1 + recipe.data.views) + held_out), (0.02 if tuned else 0.002) * images
    return 0.0, (1e-3 if network.residual else 4e-4) * images * epochs


def planned(place: Path, budget: str | None, measured: bool = False, **options: object) -> Preview:
    """The plan for these digits; not measured: with the seconds of a made-up machine, so that plans compare."""
    with pytest.MonkeyPatch.context() as patch:
        if not measured:
            patch.setattr("convlift.trial.calibrate.calibrate", as_on_any_machine)
        patch.chdir(place)
        patch.setenv("CONVLIFT_CACHE", str(place / "cache"))
        weights = str(place / "weights.safetensors")
        return api.preview("few.npz", budget, backbone=BACKBONE, weights=weights, workers=2, quiet=True, **options)  # type: ignore[arg-type]


@pytest.fixture(scope="module")
def plan(place: Path) -> Preview:
    return planned(place, "5m")


def test_nothing_is_left_behind_but_the_cache(place: Path, plan: Preview) -> None:
    assert {path.name for path in place.iterdir()} == {"few.npz", "weights.safetensors", "cache"}
    assert not list(place.rglob("*.sqlite"))


def test_it_says_what_the_data_are_and_where_a_campaign_may_start(plan: Preview) -> None:
    assert sum(plan.counts.values()) == 300
    assert sum(plan.images_per_class) == plan.counts["train"] + plan.counts["validation"]
    assert (len(plan.classes), plan.channels, plan.resolution) == (10, 1, 8)
    assert [start.name for start in plan.starts] == ["baseline", "residual", "frozen", "transfer", "fine-tune"]
    assert all(start.reason for start in plan.starts)
    assert plan.detectable.images == plan.counts["test"]


@pytest.mark.parametrize("measured", [False, True])
def test_from_every_start_it_counts_trainings_and_names_changes_in_all_areas(place: Path, measured: bool) -> None:
    plan = planned(place, "3h" if measured else "5m", measured)  # however slow this machine is just now
    each_baseline = plan.starts[0].seconds
    for start in plan.starts:
        assert start.first_seconds >= start.seconds > 0
        assert start.trainings > start.baselines + start.finals
        assert min(start.baselines, start.finals) >= 1
        assert {each.area for each in start.candidates} == {"data", "architecture", "training"}
        assert all(each.why for each in start.candidates)
        assert all(each.reason for each in start.left_out)
        # no training can take less than nothing, nor all of them together more than the time there is
        own = (start.searches + start.finals) * start.seconds
        assert own + start.baselines * each_baseline <= plan.budget_seconds * plan.workers


def test_a_dearer_start_has_fewer_trainings(plan: Preview) -> None:
    baseline, residual = plan.starts[:2]
    assert residual.seconds > baseline.seconds
    assert residual.trainings < baseline.trainings


def test_a_shorter_budget_buys_less_and_one_that_is_too_short_nothing(place: Path, plan: Preview) -> None:
    short = planned(place, "30s")
    nothing = planned(place, "14s")
    assert 0 < short.starts[0].trainings < plan.starts[0].trainings
    assert [start.trainings for start in nothing.starts] == [0, 0, 0, 0, 0]
    assert not any(start.candidates for start in nothing.starts)
    assert [start.searches for start in nothing.starts] == [0, 0, 0, 0, 0]
    assert nothing.is_possible
    never = planned(place, "5s")
    assert not never.is_possible
    assert "too short to train anything" in text_of(never)


def test_by_number_of_trainings_every_start_has_as_many(place: Path) -> None:
    counted = planned(place, None, trainings=12)
    for start in counted.starts:
        assert start.trainings == 12
        assert start.baselines + start.searches + start.finals == 12
    assert document(counted)["budget_seconds"] is None
    words = " ".join(text_of(counted, 200).split())
    assert "each campaign has 12 trainings, however long they take, with 2 workers" in words


def test_the_plan_of_a_cross_validation_is_that_of_its_first_fold(place: Path, plan: Preview) -> None:
    folded = planned(place, "5m", cv=3)
    assert folded.counts["test"] == 100
    assert sum(folded.counts.values()) == 300
    assert 60 < folded.fold_seconds < 100
    assert (folded.detectable.images, folded.detectable.folds) == (300, 3)
    assert 0 < folded.starts[0].trainings < plan.starts[0].trainings
    words = " ".join(text_of(folded, 200).split())
    assert "sealed test of the first of 3 folds" in words
    assert "each of 3 folds" in words
    assert "All that takes 5 min" in words
    assert document(folded)["folds"] == 3
    assert "the whole takes 0.0 s, its budget" in " ".join(text_of(planned(place, "5s", cv=10), 200).split())


def text_of(plan: Preview, width: int = 80) -> str:
    text = StringIO()
    print_preview(plan, Console(file=text, width=width))
    return text.getvalue()


def test_the_text_has_everything_and_fits_a_narrow_terminal(plan: Preview) -> None:
    text = text_of(plan)
    assert max(len(line) for line in text.splitlines()) <= 80
    words = " ".join(text_of(plan, 200).split())
    for start in plan.starts:
        assert start.name in words
        for candidate in start.candidates:
            assert candidate.name in words
    assert power_sentence(plan.detectable) in words


def test_the_document_is_plain_and_whole(plan: Preview) -> None:
    written = json.loads(json.dumps(document(plan), allow_nan=False))
    assert written["schema_version"] == 1
    for start, entry in zip(plan.starts, written["starts"], strict=True):
        assert len(entry["candidates"]) == len(start.candidates)
        assert entry["trainings"] == start.trainings
        assert {"name", "area", "expected_points", "cost", "why", "claim"} == set(entry["candidates"][0])


def test_mistakes_are_said_as_improve_says_them(place: Path) -> None:
    with pytest.raises(ConvliftError, match="--cv 11 is out of range"):
        planned(place, "5m", cv=11)
    with pytest.raises(BudgetError, match="is not a duration"):
        planned(place, "soon")
    with pytest.raises(RecipeError, match="neither a file nor a built-in"):
        planned(place, "5m", current="plian")
    np.savez(place / "none.npz", test_images=np.zeros((3, 8, 8), np.uint8), test_labels=np.zeros(3, np.int64))
    with pytest.raises(DataError, match="no train_images"):
        api.preview(place / "none.npz", quiet=True)
    (place / "none.npz").unlink()
