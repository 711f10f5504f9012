"""The page, the lines and the document of one training: real images, a real outcome, nothing claimed."""

import dataclasses
import io
import json

import numpy as np
import pytest
from rich.console import Console

from conftest import make_curve
from convlift.campaign.train_once import Trained
from convlift.data.dataset import Dataset
from convlift.data.readers.arrays import array_source
from convlift.data.splits import make_splits
from convlift.data.store import open_store
from convlift.recipe.recipe import Recipe
from convlift.records.finding import Finding
from convlift.records.outcome import NO_PROBABILITIES, Outcome
from convlift.records.recipe_findings import Confirmed, OverAugmented
from convlift.records.result import Estimate
from convlift.report.documents import training_document
from convlift.report.summary import tell_training
from convlift.report.training_page import print_training, render_training, write_training
from convlift.report.wording.diagnoses import sentence
from convlift.report.wording.recipe_faults import finding_in_words


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Trained:
    """A training that names every image "left", although half of the images are of the right."""
    rng = np.random.default_rng(0)
    labels = np.arange(120) % 2
    images = rng.integers(0, 90, (120, 8, 8), dtype=np.uint8) + 150 * labels[:, None, None].astype(np.uint8)
    source = array_source("sides", {None: (images, labels)}, ("left", "right"))
    store = open_store(source, tmp_path_factory.mktemp("training") / "store")
    dataset = Dataset(store, make_splits(store, 0))
    said = np.tile(np.array([[0.9, 0.1]], np.float32), (len(dataset.splits.validation), 1))
    # augmented training images are answered worse than plain validation images
    curve = tuple(dataclasses.replace(e, train_accuracy=0.3) for e in make_curve((("train", 10),), 0.7))
    outcome = Outcome("finished", said, NO_PROBABILITIES, curve, 12.0)
    recipe = Recipe().edit(data={"resolution": 8, "augmentation": {"rotation": 0.2}})
    return Trained(tmp_path_factory.mktemp("runs"), recipe, dataset, outcome, Estimate(0.5, 0.3, 0.7))


def printed(trained: Trained, *confirmed: Confirmed) -> str:
    console = Console(file=io.StringIO(), width=80)
    print_training(tell_training(trained, confirmed), console)
    return " ".join(console.file.getvalue().split())  # type: ignore[attr-defined]


def test_terminal_and_page_say_the_same_of_the_same_images(trained: Trained) -> None:
    story = tell_training(trained)
    page, text = render_training(story), printed(trained)
    count = len(trained.dataset.splits.validation)
    assert f"on {count} images, trained in 12 s" in text
    assert f"on {count} validation images" in page
    assert "a test image of" not in page
    for said in (page.replace("&#39;", "'"), text):
        assert "The network never predicts class 'right'" in said
        assert "Your recipe may be over-augmented" in said
    assert story.diagnosis
    assert "convlift predict" in text
    assert "predicted left, 90% sure" in page
    assert "Learning curves" in page


def test_what_was_tried_takes_the_place_of_the_suspicion(trained: Trained) -> None:
    found = Confirmed(OverAugmented((("rotation", 0.2),)), 0.5, 0.9)
    said = "Your recipe is over-augmented: 0.500 with its augmentation (rotation 0.2), 0.900 without its augmentation"
    text = printed(trained, found)
    assert said in text
    assert "may be over-augmented" not in text
    assert said in render_training(tell_training(trained, (found,)))


def test_the_document_has_what_the_terminal_says(trained: Trained) -> None:
    story = tell_training(trained)
    read = json.loads(json.dumps(training_document(story), allow_nan=False))
    assert read["validation"] == {"score": 0.5, "low": 0.3, "high": 0.7}
    assert read["diagnosis"] == [sentence(each) for each in story.diagnosis]
    assert read["suspicions"] == [finding_in_words(each) for each in story.suspicions] != []
    assert [each["predicted"] for each in read["classes"]] == [len(trained.dataset.splits.validation), 0]
    assert read["classes"][1]["score"] == 0.0
    assert len(read["warnings"]) == 1


def test_a_training_that_said_nothing_still_has_a_page(trained: Trained) -> None:
    silent = dataclasses.replace(trained, outcome=Outcome("failed", NO_PROBABILITIES, NO_PROBABILITIES))
    assert "The model" in render_training(tell_training(silent))


def test_files_that_cannot_be_read_are_named(trained: Trained) -> None:
    finding = Finding("unreadable", "warning", "7 of 127 files cannot be read.", tuple(f"{i}.jpg" for i in range(7)))
    story = dataclasses.replace(tell_training(trained), findings=(finding,))
    console = Console(file=io.StringIO(), width=80)
    print_training(story, console)
    text = " ".join(console.file.getvalue().split())  # type: ignore[attr-defined]
    assert "cannot be read. [0.jpg, 1.jpg, 2.jpg, 3.jpg, 4.jpg and 2 more, all of them in findings.txt]" in text


def test_the_page_lies_in_the_run_folder(trained: Trained) -> None:
    path = write_training(tell_training(trained))
    assert path == trained.run / "report.html"
    assert [each.name for each in trained.run.iterdir()] == ["report.html"]
