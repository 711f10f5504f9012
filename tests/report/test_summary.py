"""From the ledger to the page and back: nothing of the result is lost, and the page can be rendered again."""

import base64
import io
import math
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pytest
from PIL import Image

from convlift.campaign.look_at_augmentation import sheet_of
from convlift.campaign.page_material import (
    HARD_IMAGES,
    SEEN_DRAWS,
    SEEN_IMAGES,
    class_scores,
    environment,
    page_material,
    seen_by,
    seen_of,
)
from convlift.catalogue.diagnose import Diagnosis
from convlift.catalogue.reasons import TooDear, Why
from convlift.catalogue.symptoms import Symptom
from convlift.catalogue.unfit import CoarseStem
from convlift.data.dataset import Dataset
from convlift.data.readers.arrays import array_source
from convlift.data.splits import make_splits
from convlift.data.store import open_store
from convlift.errors import LedgerError
from convlift.ledger.fingerprint import Identity
from convlift.ledger.ledger import Ledger, open_ledger, read_ledger
from convlift.ledger.trials import Plan, Role
from convlift.recipe.recipe import Recipe
from convlift.recipe.trial_spec import TrialSpec
from convlift.records.evidence_of_symptoms import AccuracyGap, LossStillFalls, OneEpoch
from convlift.records.not_shipped import NotShipped, Shortened
from convlift.records.notes import Detectable, OpenedBefore, StillSealed
from convlift.records.outcome import NO_PROBABILITIES, EpochReport, Outcome
from convlift.records.recipe_findings import Confirmed, FewEpochs, OverAugmented, Suspected
from convlift.records.result import Result
from convlift.records.verdict_grounds import Unexplained
from convlift.report.documents import result_document
from convlift.report.summary import story_of
from convlift.report.wording.start_changes import changes_of_start
from convlift.report.write import REPORT, write_report
from convlift.search.decisions import AddedChange, Examination, Revision, Shipped, Shortlist, note
from convlift.search.result_in_ledger import note_result, note_story, result_of

N, CLASSES = 60, 3
OVERFIT = Diagnosis(Symptom.OVERFIT, AccuracyGap(0.98, 0.7))
SHIPPED = Recipe().edit(training={"label_smoothing": 0.1}, data={"resolution": 8})


class Told(NamedTuple):
    ledger: Ledger
    dataset: Dataset
    labels: np.ndarray
    story: dict[str, Any]


def test_the_reasons_for_the_changes_come_from_the_ledger(told: Told, result: Result) -> None:
    note_story(told.ledger, told.story)
    shortlist = Shortlist(
        names=("horizontal flip",),
        symptoms=(OVERFIT,),
        why={"horizontal flip": Why((Symptom.OVERFIT,), (), 1.0)},
        left_out={"epochs x3": TooDear(3.0, 2.5), "width x2": CoarseStem(32)},
    )
    note(told.ledger, shortlist)
    late = Why((Symptom.UNDER_TRAINED,), (), 0.9)
    falls = Diagnosis(Symptom.UNDER_TRAINED, LossStillFalls(0.5, 0.4, 3))
    note(told.ledger, Revision(4, (falls,), (AddedChange("epochs x3", prior=0.9, cost=3.0, why=late),)))
    choice = story_of(told.ledger).choice
    assert choice.symptoms == (OVERFIT,)
    assert choice.tried == {"horizontal flip": Why((Symptom.OVERFIT,), (), 1.0)}
    assert choice.left_out == {"width x2": CoarseStem(32)}, "what the revision added is left out no more"
    assert (choice.seen, choice.added) == ((falls,), {"epochs x3": late})
    note_result(told.ledger, result)
    page = write_report(told.ledger).read_text()
    for words in (
        "Overfit: accuracy 0.980 in training, 0.700 in validation.",
        "For it: overfit; expected +1.00 points (no published gain; default).",
        "A stem that quarters 32 pixels throws detail away.",
        "under-trained: validation loss still falls at the end: 0.500 to 0.400 in the last 3 epochs.",
        "For it: under-trained; expected +0.90 points (no published gain; default).",
    ):
        assert words in page


def outcome(dataset: Dataset, labels: np.ndarray, wrong: int) -> Outcome:
    """A run that takes the first `wrong` test images for the next class, ever surer."""
    said = labels.copy()
    said[:wrong] = (said[:wrong] + 1) % CLASSES
    sure = np.linspace(0.5, 0.9, len(labels))[:, None]
    test = np.where(np.eye(CLASSES)[said] > 0, sure, (1 - sure) / (CLASSES - 1)).astype(np.float32)
    validation = np.eye(CLASSES, dtype=np.float32)[dataset.labels[dataset.splits.validation]]
    curve = (EpochReport("train", 0, 1, 1.0, 0.5, 1.0, 0.5, 1e-3, 0.1),)
    return Outcome("finished", validation, test, curve, 1.5)


@pytest.fixture(params=[1, 3], ids=["grey", "colour"])
def told(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Told]:
    """A finished campaign: two runs of the baseline, a search run that diverged, a final run; and its story."""
    shape = (N, 8, 8) if request.param == 1 else (N, 8, 8, 3)
    images = np.random.default_rng(0).integers(0, 256, shape, np.uint8)
    store = open_store(array_source("noise", {None: (images, np.arange(N) % CLASSES)}, ("a", "b", "c")), tmp_path)
    splits = make_splits(store, 0)
    labels = store.labels[splits.test]
    dataset = Dataset(store, splits)
    with open_ledger(tmp_path / "run", Identity(store.fingerprint, Recipe(), 0, "accuracy")) as ledger:

        def trial(role: Role, recipe: Recipe, seed: int, ended: Outcome, names: tuple[str, ...] = ()) -> None:
            ledger.finish(ledger.claim(Plan(role, TrialSpec(recipe, seed), names)).id, ended)

        trial("baseline", Recipe(), 1, outcome(dataset, labels, 9))
        trial("baseline", Recipe(), 2, outcome(dataset, labels, 7))
        diverged = Outcome("diverged", NO_PROBABILITIES, NO_PROBABILITIES, reason="the loss became nan")
        trial("search", SHIPPED, 3, diverged, ("label smoothing 0.1",))
        ledger.freeze(SHIPPED, ("label smoothing 0.1",))
        trial("final", SHIPPED, 4, outcome(dataset, labels, 4), ("label smoothing 0.1",))
        ledger.open_test()
        more = {
            "start_recipe": Recipe().to_yaml(),
            "minimum_detectable_points": 4.5,
            "environment": environment(0, 2),
        }
        story = page_material(ledger, list(ledger.trials("final")), dataset, labels, more)
        yield Told(ledger, dataset, labels, story)


def test_the_result_comes_back_from_the_ledger_as_it_was(told: Told, result: Result) -> None:
    odd = replace(
        result,
        unexplained_points=0.1 + 0.2,
        notes=(StillSealed(), Detectable(60, 2, 3, 4.0, 6.5), OpenedBefore(2, (("a", "accuracy", "2026-01-02"),), 0.3)),
        counts={"test": 9, "train": 1},
        why=NotShipped("start is better"),
        shortened=Shortened(3.5, 10),
    )
    odd = replace(odd, notes=(*odd.notes, Unexplained(6.0, 9.0)))
    note_result(told.ledger, odd)
    assert result_of(told.ledger) == odd
    with read_ledger(told.ledger.folder) as reader:
        assert result_of(reader) == odd


def test_what_was_not_judged_comes_back_too(told: Told, result: Result) -> None:
    closed = replace(result, baseline=None, gain_points=None, judged=False, proven=False, verdicts=(), network=None)
    note_result(told.ledger, closed)
    assert result_of(told.ledger) == closed


def test_classes_and_mistakes_are_those_of_the_two_networks_that_are_compared(told: Told) -> None:
    """One of the baseline's two runs, which make 9 and 7 mistakes, is what the headline compares with."""
    ledger, more = told.ledger, {"start_recipe": "", "minimum_detectable_points": 0.0, "environment": {}}
    (final,), baselines = ledger.trials("final"), ledger.trials("baseline")
    before = tuple(run.id for run in baselines)
    note(ledger, Shipped("recipe", final.id, judged=True, before=before, after=(final.id,), baseline_network=before[1]))
    material = page_material(ledger, [final], told.dataset, told.labels, more)
    counts = np.array(material["class_counts"]["test"])
    right = [counts @ np.array(material[which]) for which in ("baseline_recall", "final_recall")]
    assert right == pytest.approx([len(told.labels) - 7, len(told.labels) - 4])
    assert np.array(material["confusion"]).sum() == len(told.labels)
    both = page_material(ledger, [final], told.dataset, told.labels, more, of_runs=True)
    assert counts @ np.array(both["baseline_recall"]) == pytest.approx(len(told.labels) - 8)


def test_a_closed_test_is_told_by_validation_images(told: Told, result: Result) -> None:
    more = {"start_recipe": Recipe().to_yaml(), "minimum_detectable_points": 0.0, "environment": {}}
    finals = list(told.ledger.trials("final"))
    note(told.ledger, Shipped("start", finals[0].id, judged=False, before=(), after=()))
    material = page_material(told.ledger, finals, told.dataset, None, more)
    note_story(told.ledger, material)
    closed = replace(result, judged=False, baseline=None, gain_points=None, verdicts=())
    note_result(told.ledger, replace(closed, classes=class_scores(material)))
    story, validation = story_of(told.ledger), told.dataset.splits.validation
    assert story.confusion.sum() == len(validation)
    assert set(story.class_counts) == {"train", "validation"}
    assert story.final_recall == (1.0, 1.0, 1.0)
    assert all(math.isnan(each) for each in story.baseline_recall)
    assert (story.baseline_runs, story.final_runs) == (0, 1)
    assert story.final_curve
    classes = result_of(told.ledger).classes
    assert [each.predicted for each in classes] == np.bincount(told.dataset.labels[validation]).tolist()
    assert write_report(told.ledger).is_file()


def test_a_campaign_without_any_training_to_show_is_told(told: Told) -> None:
    more = {"start_recipe": "", "minimum_detectable_points": None, "environment": {}}
    note_story(told.ledger, page_material(told.ledger, [], told.dataset, None, more))
    assert story_of(told.ledger).confusion.shape == (0, CLASSES)


def test_what_the_baseline_showed_comes_back(told: Told, result: Result) -> None:
    found = (Confirmed(OverAugmented((("rotation", 0.2),)), 0.57, 0.95), Suspected(FewEpochs(1, 4), OneEpoch()))
    note(told.ledger, Examination(symptoms=(OVERFIT,)))
    note_story(told.ledger, told.story)
    note_result(told.ledger, replace(result, recipe_findings=found))
    assert result_of(told.ledger).recipe_findings == found
    assert story_of(told.ledger).baseline_diagnosis == (OVERFIT,)


def test_scores_a_class_come_with_the_result(told: Told, result: Result) -> None:
    note_result(told.ledger, replace(result, classes=class_scores(told.story)))
    found = result_of(told.ledger).classes
    assert [each.name for each in found] == ["a", "b", "c"]
    assert [each.images for each in found] == np.bincount(told.labels, minlength=CLASSES).tolist()
    right = sum(each.final * each.images for each in found if each.final is not None)
    assert right == pytest.approx(len(told.labels) - 4)
    assert sum(each.predicted for each in found) == len(told.labels)


def test_a_start_is_a_whole_recipe(told: Told, result: Result) -> None:
    start = Recipe().edit(data={"normalization": "standardize"}, training={"epochs": 15, "optimizer": "adamw"})
    named = replace(result.verdicts[0], name="start: transfer", area="recipe")
    recipes = {"baseline_recipe": Recipe().to_yaml(), "start_recipe": start.to_yaml()}
    note_result(told.ledger, replace(result, verdicts=(named, result.verdicts[1]), **recipes))
    read = result_of(told.ledger)
    whole = (
        "data: normalization standardize instead of unit",
        "training: epochs 15 instead of 10, optimizer adamw instead of adam",
    )
    assert [changes_of_start(each, read) for each in read.verdicts] == [whole, ()]
    first, second = result_document(read)["changes"]
    assert (first["changes"], "changes" in second) == (list(whole), False)
    note_story(told.ledger, told.story)
    assert f"A whole recipe; it changes {'; '.join(whole)}." in write_report(told.ledger).read_text()


def test_a_final_that_was_cut_short_has_its_curve(told: Told) -> None:
    finals = list(told.ledger.trials("final"))
    note_story(told.ledger, page_material(told.ledger, finals, told.dataset, told.labels, told_more()))
    assert story_of(told.ledger).final_curve == finals[0].outcome.curve


def told_more() -> dict[str, Any]:
    return {"start_recipe": Recipe().to_yaml(), "minimum_detectable_points": 4.5, "environment": {}}


def test_the_story_comes_back_from_the_ledger(told: Told) -> None:
    note_story(told.ledger, told.story)
    story = story_of(told.ledger)
    assert story.classes == ("a", "b", "c")
    assert story.confusion.sum() == len(told.labels)
    assert np.trace(story.confusion) == len(told.labels) - 4
    recall = np.array(story.final_recall)
    assert (recall * np.bincount(told.labels)).sum() == pytest.approx(np.trace(story.confusion))
    # of two runs: 16 of twice as many
    assert (np.array(story.baseline_recall) * np.bincount(told.labels)).sum() == pytest.approx(len(told.labels) - 8)
    assert [(t.role, t.status, t.changes) for t in story.trials] == [
        ("baseline", "finished", ()),
        ("baseline", "finished", ()),
        ("search", "diverged", ("label smoothing 0.1",)),
        ("final", "finished", ("label smoothing 0.1",)),
    ]
    assert math.isnan(story.trials[2].score)
    assert story.trials[3].score == 1.0
    assert len(story.baseline_curve) == len(story.final_curve) == 1
    assert sum(story.class_counts["test"]) == len(told.labels)
    assert "label_smoothing: 0.1" in story.shipped_recipe
    assert "label_smoothing: 0.1" not in story.baseline_recipe


def test_what_the_network_saw_comes_back_from_the_ledger(told: Told) -> None:
    mirrored = SHIPPED.edit(data={"resolution": 8, "augmentation": {"horizontal_flip": 0.5, "zoom": 0.3}})
    seen = seen_of(mirrored, told.dataset, 0)
    note_story(told.ledger, {**told.story, "seen": seen})
    sheet = story_of(told.ledger).seen
    assert sheet == sheet_of(told.dataset, mirrored, 0, images=SEEN_IMAGES, draws=SEEN_DRAWS)
    assert sheet is not None
    train = {told.dataset.store.keys[each] for each in told.dataset.splits.train}
    assert {key for key, *_ in sheet.rows} <= train, "the test stays closed"
    assert [len(draws) for *_, draws in sheet.rows] == [SEEN_DRAWS] * SEEN_IMAGES


def test_how_a_network_that_the_user_gave_was_trained_nobody_says(told: Told) -> None:
    mirrored = SHIPPED.edit(data={"resolution": 8, "augmentation": {"horizontal_flip": 0.5}})
    trial = told.ledger.trials()[0]
    network = replace(trial, spec=replace(trial.spec, recipe=mirrored))
    assert seen_by(network, told.dataset, 0) == seen_of(mirrored, told.dataset, 0)
    assert seen_by(replace(network, role="given"), told.dataset, 0) is None


def test_of_plain_images_and_of_an_older_campaign_nothing_is_shown(told: Told) -> None:
    assert seen_of(SHIPPED.edit(data={"resolution": 8}), told.dataset, 0) is None
    note_story(told.ledger, told.story)
    assert story_of(told.ledger).seen is None


def test_hard_images_are_the_wrong_ones_the_surest_first(told: Told) -> None:
    note_story(told.ledger, told.story)
    images = story_of(told.ledger).hard_images
    assert len(images) == min(4, HARD_IMAGES)
    assert [image.confidence for image in images] == sorted((i.confidence for i in images), reverse=True)
    assert all(image.true_class != image.predicted_class for image in images)
    wrong = told.dataset.splits.test[3]
    shown = np.array(Image.open(io.BytesIO(base64.b64decode(told.story["hard_images"][0]["png"]))))
    assert (shown == told.dataset.store.image(int(wrong)).squeeze()).all()


def test_the_page_can_be_rendered_again(told: Told, result: Result) -> None:
    note_story(told.ledger, told.story)
    note_result(told.ledger, result)
    path = write_report(told.ledger)
    first = path.read_bytes()
    path.unlink()
    with read_ledger(told.ledger.folder) as reader:
        assert write_report(reader).read_bytes() == first
    assert [each.name for each in told.ledger.folder.iterdir() if "report" in each.name] == [REPORT]


@pytest.mark.parametrize("read", [result_of, story_of, write_report])
def test_an_unfinished_campaign_has_neither(told: Told, read: Callable[[Ledger], object]) -> None:
    with pytest.raises(LedgerError, match="not finished; run improve again"):
        read(told.ledger)


def test_a_class_without_test_images_has_no_recall(told: Told) -> None:
    only = np.zeros(len(told.labels), np.int64)
    more = {"start_recipe": "", "minimum_detectable_points": 4.5, "environment": {}}
    note_story(told.ledger, page_material(told.ledger, list(told.ledger.trials("final")), told.dataset, only, more))
    recalls = story_of(told.ledger).final_recall
    assert not math.isnan(recalls[0])
    assert math.isnan(recalls[1])


def test_the_environment_names_what_a_rerun_needs() -> None:
    found = environment(7, 2)
    assert found["seed"] == "7"
    assert "torch" in found["software"]
    assert "convlift" in found["software"]


def test_the_page_says_how_many_workers_there_were(told: Told) -> None:
    note_story(told.ledger, told.story)
    assert story_of(told.ledger).environment["workers"] == "2 of one thread each"
