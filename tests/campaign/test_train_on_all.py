"""`--refit`: what ships, trained once more on all images once it was judged."""

import json
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from convlift import api, use
from convlift.campaign.open_data import open_data
from convlift.campaign.prepare import problem_of
from convlift.campaign.request import request_of
from convlift.campaign.session import Session
from convlift.campaign.train_on_all import train_on_all
from convlift.data.dataset import SEALED
from convlift.errors import ConvliftError
from convlift.ledger.ledger import open_ledger, read_ledger
from convlift.recipe.recipe import Recipe
from convlift.records.events import Event
from convlift.records.notes import Combined
from convlift.records.result import Estimate, Result
from convlift.records.training_events import MODEL_OF_ALL, NotTrainedOnAll, TrainedOnAll, TrainingOnAll
from convlift.search.result_in_ledger import note_result
from convlift.trial.worker_task import prepare_all


@pytest.fixture(scope="module")
def digits(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """360 real digits of three classes, a folder each, without official parts."""
    from PIL import Image
    from sklearn.datasets import load_digits

    root, few = tmp_path_factory.mktemp("data") / "digits", load_digits(n_class=3)
    for number, (image, label) in enumerate(zip(few.images[:360], few.target[:360], strict=True)):
        folder = root / str(label)
        folder.mkdir(parents=True, exist_ok=True)
        Image.fromarray(np.rint(image * (255 / 16)).astype(np.uint8)).save(folder / f"{number}.png")
    return root


@pytest.fixture(scope="module")
def options(small_backbone: tuple[str, Path]) -> dict[str, Any]:
    """A baseline that is trained too little, so that something ships."""
    weak = Recipe().edit(architecture={"width": 8}, training={"epochs": 2})
    name, weights = small_backbone
    return {"current": weak, "trainings": 4, "workers": 1, "backbone": name, "weights": str(weights)}


@pytest.fixture(scope="module")
def judged(digits: Path, place: Path, options: dict[str, Any]) -> api.Campaign:
    """A campaign that ended without it."""
    return api.improve(digits, out=place / "run", quiet=True, **options)


@pytest.fixture
def again(digits: Path, judged: api.Campaign, options: dict[str, Any]) -> Callable[[], api.Campaign]:
    """again(): the same command with `--refit`."""
    return lambda: api.improve(digits, out=judged.folder, quiet=True, refit=True, **options)


def test_the_same_command_adds_a_model_of_all_images_and_leaves_the_judged_one(
    again: Callable[[], api.Campaign], judged: api.Campaign
) -> None:
    assert not (judged.folder / MODEL_OF_ALL).exists()
    before = (judged.folder / "model" / "SHA256SUMS").read_bytes()
    with read_ledger(judged.folder) as ledger:
        trials = len(ledger.trials())

    after = again()

    assert after.result == judged.result
    assert (judged.folder / "model" / "SHA256SUMS").read_bytes() == before
    with read_ledger(judged.folder) as ledger:
        assert len(ledger.trials()) == trials  # no evidence of anything
    config = json.loads((judged.folder / MODEL_OF_ALL / "config.json").read_text())
    assert config["scores"]["learned_from"] == sum(judged.result.counts.values())
    assert config["scores"]["final"]["value"] == judged.test_score.value
    assert "all 360 images, those of the test too" in (judged.folder / MODEL_OF_ALL / "README.md").read_text()
    assert (judged.folder / MODEL_OF_ALL / "recipe.yaml").read_text() == (
        judged.folder / "model" / "recipe.yaml"
    ).read_text()


def test_it_knows_the_images_of_the_test(again: Callable[[], api.Campaign], digits: Path, judged: api.Campaign) -> None:
    again()
    model = use.load(judged.folder / MODEL_OF_ALL)
    files = sorted(digits.glob("*/*.png"))
    found = model.predict(files)
    right = np.mean([each.label == file.parent.name for each, file in zip(found, files, strict=True)])
    assert right >= judged.test_score.value - 0.05


def test_it_is_the_same_to_the_byte_when_it_is_made_anew(
    again: Callable[[], api.Campaign], judged: api.Campaign
) -> None:
    again()
    sums = judged.folder / MODEL_OF_ALL / "SHA256SUMS"
    first = sums.read_bytes()
    sums.unlink()  # as a kill leaves it
    again()
    assert sums.read_bytes() == first


def test_its_worker_has_every_image_to_learn_from_and_none_to_be_judged_by(digits: Path, place: Path) -> None:
    dataset, _ = open_data(request_of(digits, None, place / "cache"), Session())
    all_of_it = prepare_all(dataset.store.folder, 0, place / "cache").dataset
    learned = all_of_it.with_validation_to_train()
    assert sorted(learned.splits.train) == list(range(360))
    assert not len(learned.splits.test)
    assert SEALED not in learned.labels
    # the images that it can be asked about come first
    assert list(learned.splits.validation[: len(dataset.splits.validation)]) == list(dataset.splits.validation)


@pytest.fixture
def told(
    digits: Path, judged: api.Campaign, options: dict[str, Any], tmp_path: Path
) -> Callable[[Result], list[Event]]:
    """told(result): what is heard where the campaign had ended with that result, in `tmp_path / "run"`."""
    request = request_of(digits, None, tmp_path / "cache", refit=True, **options)
    dataset, _ = open_data(request, Session())
    folder = shutil.copytree(judged.folder, tmp_path / "run", ignore=shutil.ignore_patterns(MODEL_OF_ALL))
    with read_ledger(folder) as known:
        identity = known.identity

    def end_with(result: Result) -> list[Event]:
        heard: list[Event] = []
        with open_ledger(folder, identity) as ledger:
            note_result(ledger, result)
            train_on_all(request, problem_of(request, dataset), ledger, dataset, Session(heard.append))
        return [event for event in heard if not isinstance(event, TrainingOnAll)]

    return end_with


def test_where_nothing_was_judged_the_test_stays_sealed(told, judged: api.Campaign, tmp_path: Path) -> None:
    assert told(replace(judged.result, judged=False)) == [NotTrainedOnAll("sealed")]
    assert not (tmp_path / "run" / MODEL_OF_ALL).exists()


def test_what_the_test_likes_less_than_the_baseline_is_not_trained_on(told, judged: api.Campaign) -> None:
    network = judged.result.network
    assert network is not None
    lower = replace(network, gain_points=Estimate(-3.0, -5.0, -0.5))
    assert told(replace(judged.result, network=lower)) == [NotTrainedOnAll("worse")]


def test_several_networks_are_made_one_as_those_that_were_judged(told, judged: api.Campaign, tmp_path: Path) -> None:
    together = Combined(2, averaged=False, mirrored=True)
    assert told(replace(judged.result, notes=(together,))) == [TrainedOnAll(tmp_path / "run" / MODEL_OF_ALL, 360)]
    weights = (tmp_path / "run" / MODEL_OF_ALL / "model.safetensors").stat().st_size
    assert weights > 1.9 * (judged.folder / "model" / "model.safetensors").stat().st_size
    assert use.load(tmp_path / "run" / MODEL_OF_ALL).predict(np.zeros((8, 8), np.uint8)).label in "012"


def test_with_folds_it_is_refused(digits: Path) -> None:
    with pytest.raises(ConvliftError, match="leave out --refit"):
        api.improve(digits, "1m", cv=5, refit=True, quiet=True)
