"""A network on labelled images: what sklearn says of its predictions, and no figure of an image that nobody saw."""

import csv
import json
import shutil

import numpy as np
import pytest
from PIL import Image
from sklearn.metrics import balanced_accuracy_score, cohen_kappa_score, f1_score, recall_score, roc_auc_score

from command_line import convlift
from convlift import use
from convlift.deploy.evaluate_model import TrainedOn
from convlift.deploy.predict import load
from convlift.errors import ConvliftError, DataError


@pytest.fixture(scope="module")
def folder(grey, tmp_path_factory):
    """The held-out digits as a folder of class folders, and their labels."""
    place = tmp_path_factory.mktemp("digits")
    held = grey.dataset.splits.validation
    labels = grey.dataset.store.labels[held]
    for number, (index, label) in enumerate(zip(held, labels, strict=True)):
        (place / str(label)).mkdir(exist_ok=True)
        Image.fromarray(grey.images[index]).save(place / str(label) / f"{number}.png")
    return place, labels


@pytest.fixture(scope="module")
def found(grey, folder):
    return use.evaluate(grey.folder, folder[0], quiet=True)


def test_the_scores_are_those_of_the_predictions(grey, folder, found):
    files = [folder[0] / answer.image for answer in found.answers]
    expected = load(grey.folder).predict(files)
    assert [answer.predicted for answer in found.answers] == [each.label for each in expected]
    assert [answer.confidence for answer in found.answers] == pytest.approx([each.confidence for each in expected])
    labels = np.array([int(answer.label) for answer in found.answers])
    predicted = np.array([int(each.label) for each in expected])
    probabilities = np.array([list(each.probabilities.values()) for each in expected])
    scores = {name: score.value for name, score in found.scores.items()}
    assert scores["accuracy"] == pytest.approx((labels == predicted).mean())
    assert scores["balanced-accuracy"] == pytest.approx(balanced_accuracy_score(labels, predicted))
    assert scores["macro-f1"] == pytest.approx(f1_score(labels, predicted, average="macro", labels=np.unique(labels)))
    assert scores["kappa"] == pytest.approx(cohen_kappa_score(labels, predicted))
    areas = [roc_auc_score(labels == label, probabilities[:, label]) for label in np.unique(labels)]
    assert scores["auroc"] == pytest.approx(np.mean(areas))
    recalls = recall_score(labels, predicted, average=None, labels=np.arange(10), zero_division=0)
    assert [each.recall.value if each.recall else 0 for each in found.classes] == pytest.approx(list(recalls))
    assert all(score.low <= score.value <= score.high for score in found.scores.values())
    assert np.sum(found.confusion) == found.images == len(labels)


def test_a_table_and_an_archive_give_the_same_scores(grey, folder, found, tmp_path, monkeypatch):
    monkeypatch.setenv("CONVLIFT_CACHE", str(tmp_path / "cache"))
    files = sorted(folder[0].rglob("*.png"))
    rows = "".join(f"{path.stem},{path.parent.name},{number % 9}\n" for number, path in enumerate(files))
    (tmp_path / "more.csv").write_text("id,digit,patient\n" + rows)
    packed = shutil.make_archive(str(tmp_path / "packed"), "zip", folder[0])
    line = ("evaluate", grey.folder, tmp_path / "more.csv", "--columns", "label=digit", "--images", folder[0])
    listed, unpacked = json.loads(convlift(*line, "--json").out), use.evaluate(grey.folder, packed, quiet=True)
    assert unpacked.scores == found.scores
    assert listed["scores"]["accuracy"]["value"] == found.scores["accuracy"].value
    assert len(listed["groups"]) == 9  # and intervals are those of groups


def test_a_model_beside_itself_is_no_better(grey, folder):
    found = use.evaluate(grey.folder, folder[0], against=grey.folder, quiet=True)
    gain = found.comparison.gain
    assert (gain.gain_points.value, gain.won, gain.lost, gain.proven) == (0.0, 0, 0, False)
    assert (found.comparison.rival, found.comparison.metric) == (str(grey.folder), "accuracy")


def test_the_command_lists_the_mistakes_first(grey, folder, tmp_path):
    answers = tmp_path / "answers.csv"
    said = convlift("evaluate", grey.folder, folder[0], "--csv", answers, "--json", "--quiet")
    assert said.code == 0
    document = json.loads(said.out)
    rows = list(csv.DictReader(answers.read_text(encoding="utf-8").splitlines()))
    right = [row["label"] == row["predicted"] for row in rows]
    assert right == sorted(right)
    assert len(rows) == document["images"] == len(document["answers"])
    assert document["scores"]["accuracy"]["value"] == pytest.approx(np.mean(right))
    wrong = [float(row["confidence"]) for row, is_right in zip(rows, right, strict=True) if not is_right]
    assert wrong == sorted(wrong, reverse=True)


def test_what_is_printed_is_for_people(grey, folder):
    said = convlift("evaluate", grey.folder, folder[0], "--against", grey.folder, "--quiet")
    assert "accuracy" in said.out
    assert "expected calibration error" in said.out
    assert "+0.0 points" in said.out
    assert "not proven either way" in said.out


def test_an_image_that_cannot_be_read_is_listed_and_counts_nowhere(grey, folder, tmp_path):
    for path in folder[0].rglob("*.png"):
        target = tmp_path / path.relative_to(folder[0])
        target.parent.mkdir(exist_ok=True)
        target.write_bytes(path.read_bytes())
    (tmp_path / "3" / "broken.png").write_bytes(b"\x89PNG\r\n\x1a\nnothing")
    said = convlift("evaluate", grey.folder, tmp_path, "--json", "--quiet")
    assert said.code == 3
    assert "3/broken.png cannot be read" in said.err
    assert json.loads(said.out)["images"] == len(folder[1])


def test_a_class_that_the_model_does_not_know_is_refused(grey, folder, tmp_path):
    for name in ("1", "eleven"):
        (tmp_path / name).mkdir()
        for number in range(3):
            pixels = np.full((8, 8), 40 * number + len(name), np.uint8)
            Image.fromarray(pixels).save(tmp_path / name / f"{number}.png")
    with pytest.raises(DataError, match=r"has images of class 'eleven', which .* does not know"):
        use.evaluate(grey.folder, tmp_path, quiet=True)


def test_a_part_that_is_not_there_is_refused(grey, folder):
    with pytest.raises(ConvliftError, match=r"there is no test part in .*, which has no parts; leave out --part"):
        use.evaluate(grey.folder, folder[0], part="test", quiet=True)
    with pytest.raises(ConvliftError, match="part 'half' is not known"):
        use.evaluate(grey.folder, folder[0], part="half", quiet=True)


def test_the_test_part_is_what_is_evaluated(grey, folder, tmp_path):
    for path in folder[0].rglob("*.png"):
        for part in ("train", "test"):
            target = tmp_path / part / path.relative_to(folder[0])
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes(path.read_bytes())
    assert use.evaluate(grey.folder, tmp_path, quiet=True).part == "test"
    assert use.evaluate(grey.folder, tmp_path, quiet=True).images == len(folder[1])
    assert use.evaluate(grey.folder, tmp_path, part="all", quiet=True).images == 2 * len(folder[1])


def test_a_few_images_of_one_class_are_enough(grey, folder, tmp_path):
    """Nothing is learned from them, so the rules of a training set do not hold; what they leave open is said so."""
    (tmp_path / "7").mkdir()
    (tmp_path / "empty and unknown").mkdir()
    source = next((folder[0] / "7").iterdir())
    (tmp_path / "7" / "one.png").write_bytes(source.read_bytes())
    said = convlift("evaluate", grey.folder, tmp_path, "--json", "--quiet")
    assert said.code == 0

    def refuse(constant):
        raise AssertionError(constant)

    document = json.loads(said.out, parse_constant=refuse)
    assert document["images"] == 1
    for score in document["scores"].values():
        assert score["low"] <= score["value"] <= score["high"]


def test_groups_widen_the_intervals(grey, folder):
    found = use.evaluate(grey.folder, folder[0], group_from=r"(\d)\.png", quiet=True)
    alone = use.evaluate(grey.folder, folder[0], quiet=True)
    assert found.scores["accuracy"].value == alone.scores["accuracy"].value
    with pytest.raises(ConvliftError, match="have no group"):
        use.evaluate(grey.folder, folder[0], group_from=r"patient(\d)", quiet=True)


def test_a_model_that_learned_from_these_images_is_told_of(grey, folder, tmp_path, monkeypatch):
    monkeypatch.setattr("convlift.deploy.evaluate_model._trained_on", lambda path: TrainedOn("these"))
    monkeypatch.setattr("convlift.deploy.evaluate_model.data_fingerprint", lambda source, way: "these")
    said = convlift("evaluate", grey.folder, folder[0], "--quiet")
    assert f"warning: {grey.folder} was trained on these images" in " ".join(said.out.split())
    for path in folder[0].rglob("*.png"):
        for part in ("train", "test"):
            target = tmp_path / part / path.relative_to(folder[0])
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes(path.read_bytes())
    sealed = convlift("evaluate", grey.folder, tmp_path, "--quiet")
    assert "warning: " not in sealed.out


def test_arrays_on_another_scale_are_refused(grey, tmp_path):
    images = np.arange(4 * 64, dtype=np.uint16).reshape(4, 8, 8) * 9
    labels = np.array([0, 1, 0, 1])
    np.savez(tmp_path / "deep.npz", train_images=images, train_labels=labels)
    with pytest.raises(DataError, match=r"holds arrays of which \d+ is white, and .* learned from images of 8 bits"):
        use.evaluate(grey.folder, tmp_path / "deep.npz", quiet=True)


def test_what_cannot_be_is_refused_before_any_work(grey, folder, tmp_path):
    nowhere = convlift("evaluate", grey.folder, folder[0], "--csv", tmp_path / "no" / "answers.csv")
    assert nowhere.code == 2
    assert "lies in a folder that is not there" in nowhere.err
    alone = convlift("evaluate", grey.folder, folder[0], "--metric", "auroc")
    assert alone.code == 2
    assert "metric says what two models are compared by" in alone.err


def test_a_page_and_the_thresholds_of_a_class_are_asked_for(grey, folder, tmp_path):
    page = tmp_path / "page.html"
    said = convlift("evaluate", grey.folder, folder[0], "--report", page, "--group-from", r"(\d)\.png", "--quiet")
    assert said.code == 0
    assert "The images come in 10 groups" in said.out
    assert page.read_text(encoding="utf-8").count("<svg") == 6
    other = convlift("evaluate", grey.folder, folder[0], "--positive", "eleven", "--quiet")
    assert other.code == 2
    assert "positive 'eleven' is no class of" in other.err
