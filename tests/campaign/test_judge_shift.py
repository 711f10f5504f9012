"""The second score of a campaign: beside the headline, which it leaves as it is, on copies that no recipe trains on."""

import json
import shutil
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from sklearn.datasets import load_digits

from convlift import api, use
from convlift.campaign import judge_shift
from convlift.campaign.open_data import open_data
from convlift.campaign.request import request_of
from convlift.campaign.run import run_campaign
from convlift.campaign.session import Session
from convlift.campaign.shift_asked import copies_each, images_of
from convlift.data.dataset import Dataset
from convlift.errors import ConvliftError, DataError, Interrupted
from convlift.recipe.recipe import Recipe
from convlift.records.events import ClassifyingShifted, Event
from convlift.records.result import Estimate, NetworkGain, ShiftGain
from convlift.report.documents import result_document
from convlift.report.shift_lines import SECOND, shift_gain_sentences
from convlift.robustness.corruptions import corrupt

NAMES = "fog,brightness,gaussian_noise"


def save(images: list[np.ndarray], labels: list[int], root: Path, first: int) -> None:
    for number, (image, label) in enumerate(zip(images, labels, strict=True)):
        folder = root / str(label)
        folder.mkdir(parents=True, exist_ok=True)
        Image.fromarray(image).save(folder / f"{first + number}.png")


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Digits of three classes, and others of which four are copies of those, darkened in part."""
    found, few = tmp_path_factory.mktemp("place"), load_digits(n_class=3)
    images = [np.rint(image * (255 / 16)).astype(np.uint8) for image in few.images]
    labels = few.target.tolist()
    save(images[:240], labels[:240], found / "digits", 0)
    save([image // 2 for image in images[240:300]], labels[240:300], found / "dark", 240)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("CONVLIFT_CACHE", str(found / "cache"))
        yield found


@pytest.fixture(scope="module")
def options(small_backbone: tuple[str, Path]) -> dict[str, Any]:
    """A baseline that is trained too little, and on images of changing brightness."""
    weak = Recipe().edit(architecture={"width": 8}, training={"epochs": 2}, data={"augmentation": {"brightness": 0.1}})
    name, weights = small_backbone
    return {"current": weak, "trainings": 4, "workers": 1, "backbone": name, "weights": str(weights), "quiet": True}


@pytest.fixture(scope="module")
def plain(place: Path, options: dict[str, Any]) -> api.Campaign:
    return api.improve(place / "digits", out=place / "plain", **options)


@pytest.fixture(scope="module")
def shifted(place: Path, options: dict[str, Any], plain: api.Campaign) -> api.Campaign:
    """The same, with both kinds of shifted images; of the folder's images six are ones that training knew. It was
    stopped while they were classified, and goes on there."""
    knew = [Path(path) for path in _known(plain, place)[:6]]
    for path in knew:
        shutil.copy(path, place / "dark" / path.parent.name / f"copy-{path.name}")
    asked = {**options, "out": place / "shifted", "shift": NAMES, "shift_data": place / "dark"}
    del asked["quiet"]
    request, heard = request_of(str(place / "digits"), None, place / "cache", **asked), list[Event]()

    def stop() -> int:
        return 2 * any(isinstance(event, ClassifyingShifted) for event in heard)

    with pytest.raises(Interrupted, match="the same command continues"):
        run_campaign(request, Session(heard.append, stop))
    assert not list((place / "shifted").glob(".shift-*"))
    return api.improve(place / "digits", quiet=True, **asked)


def _known(campaign: api.Campaign, place: Path) -> list[str]:
    """Images of training and validation, as their files."""
    dataset, _ = open_data(request_of(str(place / "digits"), "1m", place / "cache"), Session())
    rows = np.concatenate([dataset.splits.train, dataset.splits.validation])
    return [str(place / "digits" / dataset.store.keys[row]) for row in rows]


def test_the_headline_is_what_it_is_without(plain: api.Campaign, shifted: api.Campaign) -> None:
    assert shifted.result.network == plain.result.network
    verdicts = [[replace(each, seconds=0.0) for each in found.result.verdicts] for found in (plain, shifted)]
    assert verdicts[0] == verdicts[1]
    assert shifted.result.gain_points == plain.result.gain_points
    assert plain.result.shifts == ()
    assert shifted.result.opened == 2  # the same images, once by each campaign


def test_what_a_recipe_trains_on_is_left_out_and_the_rest_dealt(shifted: api.Campaign) -> None:
    under, _ = shifted.result.shifts
    assert under.corruptions == ("gaussian_noise", "fog")
    assert under.trained_on == ("brightness",)
    assert under.images == shifted.result.counts["test"]
    assert under.copies == 2
    assert {each.name: each.copies for each in under.by_corruption} == {
        "fog": under.images,
        "gaussian_noise": under.images,
    }
    assert under.gain is not None
    mean = np.mean([each.final for each in under.by_corruption])
    assert under.gain.final.value == pytest.approx(mean)


def test_a_folder_is_scored_as_evaluate_scores_it_without_what_training_knew(
    shifted: api.Campaign, place: Path, tmp_path: Path
) -> None:
    _, images = shifted.result.shifts
    assert images.copied == 6
    assert images.images == 60
    shutil.copytree(place / "dark", tmp_path / "dark")
    for path in (tmp_path / "dark").rglob("copy-*"):
        path.unlink()
    alone = use.evaluate(shifted.folder, tmp_path / "dark", quiet=True)
    assert images.gain is not None
    assert images.gain.final.value == pytest.approx(alone.scores["accuracy"].value)


def test_page_terminal_and_json_say_it_beside_the_headline(shifted: api.Campaign) -> None:
    page = (shifted.folder / "report.html").read_text()
    assert "on 2 copies each of" in page
    assert "<td>gaussian noise</td>" in page
    assert "Left out of it, since one of the two recipes trains on such images: brightness." in page
    document = json.loads(json.dumps(result_document(shifted.result)))
    assert [each["kind"] for each in document["shifted"]] == ["corruptions", "images"]
    assert document["shifted"][1]["copied"] == 6
    said = " ".join(line for each in shifted.result.shifts for line in shift_gain_sentences(each, "accuracy"))
    assert said.count(SECOND) == 2
    assert "6 images of dark left out: the campaign knew the same image." in said


def test_nothing_else_stays_in_the_run_folder(shifted: api.Campaign) -> None:
    assert not list(shifted.folder.glob(".shift-*"))


def test_where_there_is_no_score_it_is_said_why() -> None:
    none = ShiftGain("corruptions", "", 60, 0, None, (), ("brightness",))
    assert list(shift_gain_sentences(none, "accuracy")) == [
        "No score under corruptions: a recipe trains on images such as brightness makes."
    ]
    lost = ShiftGain("images", "", 0, 0, None, fault="no room.")
    assert list(shift_gain_sentences(lost, "accuracy")) == ["No score on shifted images: no room."]
    copied = ShiftGain("images", "dark", 0, 1, None, copied=2)
    assert "2 images of dark left out" in next(iter(shift_gain_sentences(copied, "accuracy")))


def test_what_cannot_be_is_refused_before_anything_is_trained(
    place: Path, options: dict[str, Any], tmp_path: Path
) -> None:
    data = place / "digits"
    save([corrupt(np.zeros((8, 8, 1), np.uint8), "fog", 1)[..., 0]], [7], tmp_path / "other", 0)
    with pytest.raises(DataError, match="has images of class '7', which digits has not"):
        api.improve(data, out=tmp_path / "run", shift_data=tmp_path / "other", **options)
    (tmp_path / "bands" / "0").mkdir(parents=True)
    np.save(tmp_path / "bands" / "0" / "a.npy", np.zeros((8, 8, 5), np.uint8))
    with pytest.raises(DataError, match="has images that are of 5 bands, and those of digits are grey or in colour"):
        api.improve(data, out=tmp_path / "run", shift_data=tmp_path / "bands", **options)
    np.savez(tmp_path / "deep.npz", train_images=np.full((2, 8, 8), 900), train_labels=np.array([0, 1]))
    with pytest.raises(DataError, match="holds arrays on another scale than digits; save them on that scale"):
        api.improve(data, out=tmp_path / "run", shift_data=tmp_path / "deep.npz", **options)
    with pytest.raises(ConvliftError, match="there is no corruption 'rain'"):
        api.improve(data, out=tmp_path / "run", shift="rain", **options)
    with pytest.raises(ConvliftError, match="leave one out"):
        api.improve(data, cv=3, out=tmp_path / "run", shift="fog", **options)
    with pytest.raises(ConvliftError, match="leave out shift"):
        api.aa(data, 1, shift="fog", quiet=True)
    assert not (tmp_path / "run").exists()


def test_copies_are_as_many_as_the_budget_has_time_for(tmp_path: Path) -> None:
    long, short = (request_of("digits", budget, tmp_path, shift="all") for budget in ("20m", "1m"))
    assert copies_each(long, 100, 15, 8) == 15
    assert copies_each(long, 600, 15, 8) == 5
    assert copies_each(short, 600, 15, 8) == 1
    assert copies_each(long, 600, 0, 8) == 0
    assert copies_each(long, 600, 15, 224) == 1


@pytest.fixture(scope="module")
def dataset(place: Path) -> Dataset:
    return open_data(request_of(str(place / "digits"), "1m", place / "cache"), Session())[0]


def test_arrays_and_images_of_the_sealed_test_are_known(dataset: Dataset, tmp_path: Path) -> None:
    parts = (dataset.splits.train[0], dataset.splits.validation[0], dataset.splits.test[0])
    images = np.stack([dataset.store.image(int(row))[..., 0] for row in parts] + [np.full((8, 8), 7, np.uint8)])
    file = tmp_path / "arrays.npz"
    labels = np.array([0, 1, 2, 0])
    np.savez(file, train_images=images, train_labels=labels)
    found = images_of(file, dataset, None)
    assert (found.copied, found.places.tolist(), found.groups) == (3, [3], None)


def test_copies_and_groups_of_the_folder_count_once(dataset: Dataset, tmp_path: Path) -> None:
    values = [np.full((8, 8), each, np.uint8) for each in (3, 3, 60, 120)]
    for name, value in zip(("a1", "b2", "b3", "c4"), values, strict=True):
        save([value], [0], tmp_path / "dark", 0)
        (tmp_path / "dark/0/0.png").rename(tmp_path / "dark/0" / f"{name}.png")
    for group_from, groups in ((None, [0, 0, 1, 2]), ("/([abc])", [0, 0, 0, 1]), ("/([ab])", [0, 0, 1, 2])):
        found = images_of(tmp_path / "dark", dataset, group_from)
        belong = found.groups
        assert belong is not None
        assert found.ungrouped == (group_from == "/([ab])")  # of c4 it says nothing, so that none are named
        assert (belong[:, None] == belong).tolist() == np.equal.outer(groups, groups).tolist()


def test_it_is_said_where_groups_of_the_folder_do_not_count() -> None:
    one = Estimate(0.5, 0.4, 0.6)
    gain = NetworkGain(one, one, one, proven=False)
    for lost in (False, True):
        said = " ".join(shift_gain_sentences(ShiftGain("images", "fog", 9, 1, gain, ungrouped=lost), "accuracy"))
        assert ("some have no group" in said) == lost


def test_a_fault_costs_its_own_answer_alone() -> None:
    def fails() -> ShiftGain:
        raise ValueError("odd")

    def stops() -> ShiftGain:
        raise Interrupted("stopped", 2)

    lost = judge_shift._answer("images", fails)
    assert (lost.kind, lost.gain) == ("images", None)
    assert "odd" in lost.fault
    with pytest.raises(Interrupted):
        judge_shift._answer("images", stops)
