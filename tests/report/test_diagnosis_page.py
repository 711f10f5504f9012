"""The page, the lines and the document of a diagnosis say one thing."""

import dataclasses
import io
import json

import numpy as np
import pytest
from rich.console import Console

from convlift.campaign.diagnose_training import Diagnosed
from convlift.campaign.looks import DoubtedImage, SeenImage
from convlift.campaign.request import request_of
from convlift.campaign.train_once import Trained
from convlift.catalogue.checks import Check
from convlift.catalogue.prospects import Prospect
from convlift.data.dataset import Dataset
from convlift.data.encode import png_of
from convlift.data.readers.arrays import array_source
from convlift.data.splits import make_splits
from convlift.data.store import open_store
from convlift.recipe.recipe import Recipe, load_recipe
from convlift.records.evidence_of_checks import LabelsContradicted, PixelsSeen, PlainAccuracies, TriedWithout
from convlift.records.evidence_of_symptoms import NothingLearned
from convlift.records.outcome import NO_PROBABILITIES, EpochReport, Outcome
from convlift.records.recipe_findings import Confirmed, WrongLearningRate
from convlift.records.result import Estimate
from convlift.report.diagnosis_page import (
    diagnosis_document,
    print_diagnosis,
    render_diagnosis,
    tell_diagnosis,
    write_diagnosis,
)

CURVE = tuple(EpochReport("train", e, 10, 0.69, 0.5, 0.69, 0.5, 0.1, 1.0) for e in range(10))
RECIPE = Recipe().edit(data={"resolution": 8})
OVERFIT = Check(
    "overfitting",
    "found",
    (PlainAccuracies(0.99, 0.84, 0.04),),
    prospects=(Prospect("horizontal flip", RECIPE, 0.75, -2.2, 3.7, "published", "+0.9 on CIFAR-10"),),
)
LABELS = Check("labels", "found", (LabelsContradicted(25, 60, 120, 0.5),))
RATE = Check(
    "learning rate",
    "found",
    (NothingLearned(0.69, 0.69), TriedWithout(0.5, 0.9)),
    Confirmed(WrongLearningRate(0.1, 0.01), 0.5, 0.9),
    (Prospect("your recipe at learning rate 0.01", RECIPE, 40.0, 30.0, 50.0, "measured"),),
)
WHOLE = Check("resolution", "not found", (PixelsSeen(8, 8),))


@pytest.fixture(scope="module")
def diagnosed(tmp_path_factory):
    rng, labels = np.random.default_rng(0), np.arange(120) % 2
    images = rng.integers(0, 90, (120, 8, 8), dtype=np.uint8) + 150 * labels[:, None, None].astype(np.uint8)
    store = open_store(array_source("sides", {None: (images, labels)}, ("left", "right")), tmp_path_factory.mktemp("s"))
    dataset = Dataset(store, make_splits(store, 0))
    said = np.tile(np.array([[0.9, 0.1]], np.float32), (len(dataset.splits.validation), 1))
    outcome = Outcome("finished", said, NO_PROBABILITIES, CURVE, 12.0)
    run = tmp_path_factory.mktemp("runs")
    trained = Trained(run, RECIPE, dataset, outcome, Estimate(0.5, 0.3, 0.7))
    png = png_of(store.image(0))
    doubted = (DoubtedImage("train/7", "left", "right", 0.93, "training", png),)
    asked = request_of("my data", None, run, current=RECIPE, seed=3, group_from="(.*)-")
    return Diagnosed(trained, asked, (RATE, OVERFIT, LABELS, WHOLE), doubted, SeenImage(png, png, 64, 8))


def lines(story):
    console = Console(file=io.StringIO(), width=80)
    print_diagnosis(story, console)
    return " ".join(console.file.getvalue().split())


def test_page_terminal_and_document_give_one_answer_first(diagnosed):
    story = tell_diagnosis(diagnosed)
    page, text, document = render_diagnosis(story), lines(story), json.loads(json.dumps(diagnosis_document(story)))
    answer = "The recipe is trained with a learning rate that is too high."
    assert text.startswith(answer)
    assert f'<h1 class="words">{answer}</h1>' in page
    assert document["answer"] == answer
    assert document["faults"] == ["learning rate", "labels", "overfitting"]
    for said in (page, text):
        assert "tried: 0.500 as it is, 0.900 with that undone, in validation" in said
        assert "measured by one training each" in said
        assert "published: +0.9 on CIFAR-10" in said
    assert "Learning curves" in page
    assert "looks like right, 93%" in page
    assert "the network sees 8 of 8 pixels a side" in page.lower()


def test_every_command_names_a_recipe_that_is_there_and_the_data_as_they_were_given(diagnosed):
    story = tell_diagnosis(diagnosed)
    write_diagnosis(story)
    run = diagnosed.trained.run
    commands = [each.command for each in story.todo if each.command]
    more = "--seed 3 --group-from '(.*)-'"
    assert commands == [
        f"convlift train 'my data' --recipe {run}/diagnosis/at-learning-rate-0.01.yaml {more}",
        f"convlift train 'my data' --recipe {run}/diagnosis/horizontal-flip.yaml {more}",
        f"convlift improve 'my data' --current {run}/diagnosis/recipe.yaml {more}",
    ]
    for name in ("recipe", "at-learning-rate-0.01", "horizontal-flip"):
        assert load_recipe(run / "diagnosis" / f"{name}.yaml") == RECIPE
    listed = (run / "diagnosis" / "doubtful-labels.csv").read_text()
    assert listed == "image,part,label,looks like,confidence\ntrain/7,training,left,right,0.930\n"


@pytest.mark.parametrize(
    ("check", "answer"),
    [
        (OVERFIT, "The network overfits: .99 on training images against .84 on validation images."),
        (LABELS, "Labels are wrong: 25 of 120 images surely look like another class."),
        (dataclasses.replace(WHOLE, verdict="found"), "The network sees too little: 8 of 8 pixels a side."),
    ],
)
def test_each_fault_is_a_sentence(diagnosed, check, answer):
    assert tell_diagnosis(dataclasses.replace(diagnosed, checks=(check,))).headline == answer


def test_where_nothing_is_wrong_it_says_so_and_gives_nothing_to_do(diagnosed):
    untold = dataclasses.replace(LABELS, verdict="cannot tell")
    story = tell_diagnosis(dataclasses.replace(diagnosed, checks=(WHOLE, untold)))
    text = lines(story)
    assert text.startswith("Nothing is wrong with this training.")
    assert "2 causes were looked at and none was found. Of these, wrong labels cannot be told" in text
    assert story.todo == ()
    assert "What to do</h2>" not in render_diagnosis(story)


def test_a_training_that_failed_has_a_page_and_a_document(diagnosed):
    nothing = Outcome("diverged", NO_PROBABILITIES, NO_PROBABILITIES, reason="the loss became nan")
    trained = dataclasses.replace(
        diagnosed.trained, outcome=nothing, score=Estimate(float("nan"), float("nan"), float("nan"))
    )
    story = tell_diagnosis(dataclasses.replace(diagnosed, trained=trained))
    assert "n/a" in render_diagnosis(story)
    assert diagnosis_document(story)["validation"] is None
    assert "The training failed to learn" in lines(story)
