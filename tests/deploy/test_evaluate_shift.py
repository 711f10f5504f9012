"""A model on corrupted copies: the figures are those of its own predictions on the copies, of one model and of two."""

import csv
import json

import numpy as np
import pytest
from PIL import Image

from command_line import convlift
from convlift import use
from convlift.deploy.adapt_batch_norm import adapted_statistics, using
from convlift.deploy.predict import load
from convlift.errors import ConvliftError
from convlift.robustness.corruptions import corrupt


@pytest.fixture(scope="module")
def folder(grey, tmp_path_factory):
    """Sixty held-out digits in class folders."""
    place = tmp_path_factory.mktemp("digits")
    held = grey.dataset.splits.validation[:60]
    for number, index in enumerate(held):
        label = str(grey.dataset.store.labels[index])
        (place / label).mkdir(exist_ok=True)
        Image.fromarray(grey.images[index]).save(place / label / f"{number}.png")
    return place


@pytest.fixture(scope="module")
def found(grey, folder):
    return use.evaluate(grey.folder, folder, shift="fog,gaussian_noise", quiet=True)


def test_the_accuracies_are_those_of_predictions_on_the_copies(grey, folder, found):
    model, shift = load(grey.folder), found.shift
    images = [np.asarray(Image.open(folder / answer.image))[..., None] for answer in found.answers]
    labels = [answer.label for answer in found.answers]
    right = []
    for cell in shift.scores.by_severity:
        said = model.predict([corrupt(image, cell.name, cell.severity) for image in images])
        right.append([one.label == label for one, label in zip(said, labels, strict=True)])
        assert cell.accuracy.value == pytest.approx(np.mean(right[-1]))
    assert shift.corruptions == ("gaussian_noise", "fog")
    assert shift.copies == len(right) == 10
    assert shift.scores.mean.value == pytest.approx(np.mean(right))
    assert shift.of_images == pytest.approx(tuple(np.mean(right, axis=0)))
    assert shift.scores.clean.value == pytest.approx(found.scores["accuracy"].value)


def test_a_model_beside_itself_gains_nothing_under_corruptions(grey, folder):
    both = use.evaluate(grey.folder, folder, against=grey.folder, shift="contrast", metric="log-loss", quiet=True)
    assert both.shift.gain.gain_points.value == 0.0
    assert not both.shift.gain.proven
    assert both.shift.rival.mean == both.shift.scores.mean
    assert both.shift.metric == "log-loss"


def test_terminal_page_json_and_csv_have_it(grey, folder, found, tmp_path):
    page, rows = tmp_path / "page.html", tmp_path / "rows.csv"
    line = ("evaluate", grey.folder, folder, "--shift", "fog,gaussian_noise", "--report", page, "--csv", rows)
    shown = " ".join(convlift(*line, "--against", grey.folder).out.split())
    assert "under corruptions: accuracy" in shown
    assert "On corrupted copies, compared with" in shown
    assert "gaussian noise" in page.read_text()
    with rows.open() as file:
        shares = [float(row["right_under_corruptions"]) for row in csv.DictReader(file)]
    assert np.mean(shares) == pytest.approx(found.shift.scores.mean.value, abs=1e-5)
    document = json.loads(convlift(*line[:5], "--json").out)
    assert document["shift"]["scores"]["mean"]["value"] == pytest.approx(found.shift.scores.mean.value)
    assert len(document["shift"]["scores"]["by_severity"]) == 10


def test_a_corruption_that_is_none_is_refused(grey, folder):
    refused = convlift("evaluate", grey.folder, folder, "--shift", "rain")
    assert refused.code == 2
    assert "there is no corruption 'rain'" in refused.err


def test_a_negative_number_of_pseudo_images_is_refused(grey, folder):
    with pytest.raises(ConvliftError, match="whole number"):
        use.evaluate(grey.folder, folder, adapt_batch_norm=-1, quiet=True)


def test_statistics_are_estimated_for_every_corruption_of_its_own_copies(grey, folder, found):
    adapted = use.evaluate(grey.folder, folder, shift="contrast", adapt_batch_norm=2, quiet=True)
    assert adapted.pseudo_images == adapted.shift.pseudo_images == 2
    model = load(grey.folder)
    images = [np.asarray(Image.open(folder / answer.image))[..., None] for answer in found.answers]
    labels = [model.classes.index(answer.label) for answer in found.answers]
    for cell in adapted.shift.scores.by_severity:
        squares = [model.prepared(corrupt(image, cell.name, cell.severity)) for image in images]
        with using(model, adapted_statistics(model, squares, 2)):
            said = model.probabilities(squares).argmax(axis=1)
        assert cell.accuracy.value == pytest.approx((said == labels).mean())
