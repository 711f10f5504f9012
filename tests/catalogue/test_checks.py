"""What is said of each cause: found, suspected, not found, or not to be told; and in which order."""

import dataclasses

import numpy as np
import pytest

from convlift.catalogue.accusations import confirmed
from convlift.catalogue.checks import Check, ranked
from convlift.catalogue.checks_of_data import check_all
from convlift.catalogue.observed import Observed, Tried
from convlift.catalogue.prospects import Prospect
from convlift.recipe.recipe import Recipe
from convlift.records.evidence_of_checks import (
    AuditSays,
    Confidences,
    DetailLost,
    ImagesInBoth,
    LabelsContradicted,
    PixelsSeen,
    PlainAccuracies,
    RecallBySize,
)
from convlift.records.facts import Facts
from convlift.records.outcome import NO_PROBABILITIES, EpochReport, Outcome

CLASSES, IMAGES = 4, 400
LABELS = np.arange(IMAGES) % CLASSES
FACTS = Facts(training_images=2000, classes=CLASSES, native_resolution=32)
RECIPE = Recipe().edit(data={"resolution": 32})
SETTLED = (0.5, 0.3, 0.25, 0.24, 0.24, 0.24)


def left(train=0.95, validation=0.94, losses=SETTLED, wrong=()):
    """An outcome whose predictions are right but for the images `wrong`."""
    curve = tuple(
        EpochReport("train", e, len(losses), 0.2, train, loss, validation, 1e-3, 1.0) for e, loss in enumerate(losses)
    )
    said = LABELS.copy()
    said[list(wrong)] = (said[list(wrong)] + 1) % CLASSES
    sure = (0.02 + 0.92 * np.eye(CLASSES, dtype=np.float32)[said]).astype(np.float32)
    return Outcome("finished", sure, NO_PROBABILITIES, curve, 6.0)


SOUND = Observed(
    left(),
    LABELS,
    RECIPE,
    FACTS,
    np.full(CLASSES, 500),
    plain=PlainAccuracies(0.96, 0.94, 0.03),
    contradicted=LabelsContradicted(4, 60, 2000, 0.97),
    confidences=Confidences(0.02, 0.0, 0.04, 0.95, 0.94, 1.1),
    both=ImagesInBoth(0, IMAGES, 0.94, 0.94),
)


def seen(**changes):
    return dataclasses.replace(SOUND, **changes)


def checks(observed):
    return {each.cause: each for each in check_all(observed)}


def verdicts(observed):
    return {cause: check.verdict for cause, check in checks(observed).items()}


def test_nothing_is_found_where_nothing_is_wrong():
    assert set(verdicts(SOUND).values()) == {"not found"}
    assert ranked(check_all(SOUND)) == ()
    assert all(each.shown for each in check_all(SOUND) if each.cause != "shortcuts")


@pytest.mark.parametrize(
    ("changes", "cause", "verdict"),
    [
        ({"plain": PlainAccuracies(0.99, 0.84, 0.04)}, "overfitting", "found"),
        ({"plain": PlainAccuracies(0.99, 0.90, 0.12)}, "overfitting", "cannot tell"),
        ({"plain": None}, "overfitting", "not found"),
        ({"outcome": left(0.7, 0.7)}, "underfitting", "found"),
        ({"contradicted": LabelsContradicted(140, 340, 1200, 0.72)}, "labels", "found"),
        ({"contradicted": LabelsContradicted(48, 365, 1200, 0.70)}, "labels", "cannot tell"),
        ({"contradicted": LabelsContradicted(3, 80, 1200, 0.93)}, "labels", "not found"),
        ({"contradicted": None}, "labels", "cannot tell"),
        ({"conflicts": (AuditSays("9 images are filed under more than one class."),)}, "labels", "not found"),
        ({"both": ImagesInBoth(40, IMAGES, 0.94, 0.93)}, "copies", "found"),
        ({"both": ImagesInBoth(2, IMAGES, 0.94, 0.93)}, "copies", "not found"),
        ({"both": None}, "copies", "cannot tell"),
        ({"shortcuts": (AuditSays("the files' format tells the class."),)}, "shortcuts", "found"),
        ({"are_files": False}, "shortcuts", "cannot tell"),
        ({"detail": DetailLost(32, 128, 0.5, 0.8, 0.04)}, "resolution", "found"),
        ({"detail": DetailLost(32, 128, 0.78, 0.8, 0.04)}, "resolution", "not found"),
        ({"detail": DetailLost(32, 128, 0.74, 0.8, 0.08)}, "resolution", "cannot tell"),
        ({"facts": dataclasses.replace(FACTS, native_resolution=64)}, "resolution", "cannot tell"),
        ({"confidences": Confidences(0.2, 0.1, 0.25, 0.99, 0.8, 2.0)}, "confidence", "found"),
        ({"confidences": Confidences(0.08, 0.01, 0.12, 0.9, 0.85, 1.3)}, "confidence", "cannot tell"),
        ({"confidences": None}, "confidence", "cannot tell"),
        ({"facts": dataclasses.replace(FACTS, training_images=400)}, "amount of data", "cannot tell"),
        ({"outcome": dataclasses.replace(left(), status="stopped")}, "training length", "cannot tell"),
    ],
)  # fmt: skip
def test_each_cause_by_its_figures_alone(changes, cause, verdict):
    expected = dict.fromkeys(verdicts(SOUND), "not found") | {cause: verdict}
    assert verdicts(seen(**changes)) == expected


@pytest.mark.parametrize(
    ("small_images", "wrong", "verdict"),
    [(40, 30, "found"), (40, 1, "not found"), (4, 3, "found"), (4, 1, "cannot tell")],
)
def test_a_small_class_is_found_where_its_images_are_lost(small_images, wrong, verdict):
    labels = np.concatenate([np.zeros(small_images, np.int64), 1 + np.arange(300) % 3])
    said = labels.copy()
    said[:wrong] = 1
    probabilities = (0.02 + 0.92 * np.eye(CLASSES, dtype=np.float32)[said]).astype(np.float32)
    outcome = dataclasses.replace(left(), validation_probabilities=probabilities)
    uneven = dataclasses.replace(FACTS, imbalance=50.0)
    found = seen(outcome=outcome, labels=labels, facts=uneven, class_sizes=np.array([10, 500, 500, 500]))
    assert verdicts(found)["classes"] == verdict


FAST = RECIPE.edit(training={"learning_rate": 0.1})
UNLEARNED = dataclasses.replace(
    left(0.25, 0.25, wrong=range(300)),
    curve=tuple(dataclasses.replace(e, train_loss=1.39) for e in left(0.25, 0.25).curve),
)


def tried(observed, score):
    (first, *_) = observed.accusations
    return Tried(first.fault, 0.25, score, 0.01, confirmed(first, 0.25, score, 0.01))


def test_a_lever_is_suspected_until_a_second_training_has_spoken():
    accused = seen(outcome=UNLEARNED, recipe=FAST, plain=PlainAccuracies(0.25, 0.25, 0.04))
    assert verdicts(accused)["learning rate"] == "suspected"
    assert verdicts(dataclasses.replace(accused, tried=tried(accused, 0.26)))["learning rate"] == "not found"
    convicted = checks(dataclasses.replace(accused, tried=tried(accused, 0.9)))["learning rate"]
    assert convicted.verdict == "found"
    (prospect,) = convicted.prospects
    assert prospect.recipe.training.learning_rate == 0.01
    assert (prospect.basis, round(prospect.points, 3)) == ("measured", 65.0)
    assert prospect.low < 65.0 < prospect.high


def test_a_network_that_is_nearly_always_right_is_accused_of_nothing():
    falling = left(losses=(1.3, 1.2, 1.1, 1.0, 0.9, 0.8))
    assert verdicts(seen(outcome=falling))["training length"] == "not found"
    worse = dataclasses.replace(falling, validation_probabilities=left(wrong=range(20)).validation_probabilities)
    assert verdicts(seen(outcome=worse))["training length"] == "suspected"


def test_what_one_fault_explains_is_not_held_against_the_others():
    accused = seen(outcome=UNLEARNED, recipe=FAST, plain=PlainAccuracies(0.25, 0.25, 0.04))
    found = verdicts(accused)
    assert [cause for cause, verdict in found.items() if verdict in ("found", "suspected")] == ["learning rate"]
    assert found["training length"] == found["underfitting"] == "cannot tell"


def test_faults_are_ranked_by_what_mending_them_is_worth():
    def fault(cause, points=None, basis="published", verdict="found"):
        given = (Prospect("a change", RECIPE, points, points - 1, points + 1, basis),) if points else ()
        return Check(cause, verdict, (PixelsSeen(8, 64),), prospects=given)

    order = [
        fault("copies"),
        fault("augmentation", 12.0, "measured"),
        fault("labels"),
        fault("resolution"),
        fault("overfitting", 0.9),
        fault("classes", 0.4),
        fault("confidence", 0.1),
    ]
    assert ranked((*reversed(order), fault("shortcuts", verdict="not found"))) == tuple(order)
    small = Check("classes", "found", (RecallBySize(50.0, 0.0, 44, 0.97, 315),))
    assert ranked((order[4], small)) == (small, order[4])


def test_what_is_expected_of_a_change_has_an_interval_and_a_source():
    found = checks(seen(plain=PlainAccuracies(0.99, 0.84, 0.04)))["overfitting"].prospects
    assert 1 <= len(found) <= 3
    for each in found:
        assert each.recipe != RECIPE
        assert each.low < each.points < each.high
        assert each.basis in ("published", "default")
        assert bool(each.source) == (each.basis == "published")
