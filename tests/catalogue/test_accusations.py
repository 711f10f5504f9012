"""Whether the user's own recipe is accused of what is wrong with it, and of nothing else."""

import numpy as np
import pytest
import torch
from sklearn.datasets import load_digits

from convlift.catalogue.accusations import accuse, confirmed, difference_error
from convlift.data.dataset import Dataset, facts_of
from convlift.data.readers.arrays import array_source
from convlift.data.splits import make_splits
from convlift.data.store import open_store
from convlift.recipe.built_in import built_in
from convlift.recipe.recipe import Recipe
from convlift.recipe.trial_spec import TrialSpec
from convlift.records.facts import Facts
from convlift.records.outcome import NO_PROBABILITIES, EpochReport, Outcome
from convlift.records.recipe_findings import Confirmed, OverAugmented, WrongLearningRate
from convlift.report.wording.recipe_faults import fault_in_words, finding_in_words
from convlift.trial.run_trial import run_trial

FACTS = Facts(training_images=5_000, classes=4)
# the augmentation of Keras' tutorials, which suits photos of things and no digits
TUTORIAL = {"horizontal_flip": 0.5, "vertical_flip": 0.5, "rotation": 0.2, "zoom": 0.2}
NETWORK = {"stages": 2, "width": 16, "head_units": 64}


def left(train=0.95, validation=0.94, losses=(0.5, 0.3, 0.25, 0.24, 0.24, 0.24), train_loss=0.2):
    curve = tuple(
        EpochReport("train", e + 1, len(losses), train_loss, train, loss, validation, 1e-3, 1.0)
        for e, loss in enumerate(losses)
    )
    return Outcome("finished", NO_PROBABILITIES, NO_PROBABILITIES, curve, 1.0)


def names(outcome, **changes):
    found = accuse(outcome, np.zeros(2000, np.int64), Recipe().edit(**changes), FACTS)
    return [fault_in_words(each.fault) for each in found]


def test_a_recipe_that_learns_well_is_accused_of_nothing():
    strong = {"data": {"augmentation": TUTORIAL}, "training": {"learning_rate": 0.05, "l2": 0.1}}
    assert names(left(), **strong) == []
    assert accuse(left(), np.zeros(2000, np.int64), built_in("plain"), FACTS) == ()


def test_nothing_is_said_of_a_training_that_left_nothing():
    assert accuse(Outcome("failed", NO_PROBABILITIES, NO_PROBABILITIES), np.zeros(9, np.int64), Recipe(), FACTS) == ()


@pytest.mark.parametrize(
    ("outcome", "changes", "fault", "undone"),
    [
        (left(0.5, 0.6), {"data": {"augmentation": TUTORIAL}}, "over-augmented", ("data", "augmentation", "rotation")),
        (left(0.26, 0.25, train_loss=1.38), {"training": {"learning_rate": 0.1}}, "rate that is too high", None),
        (left(0.5, 0.5), {"training": {"learning_rate": 1e-5}}, "rate that is too low", None),
        (left(0.5, 0.7), {"architecture": {"dropout": 0.9}}, "regularized too strongly", ("architecture", "dropout")),
        (left(0.5, 0.5), {"training": {"l2": 0.1}}, "regularized too strongly", ("training", "l2")),
        (left(0.5, 0.5), {"training": {"batch_size": 1024}}, "batches that are too large", None),
        (left(0.8, 0.8, (1.3, 1.2, 1.1, 1.0, 0.9, 0.8)), {}, "too few epochs", None),
        (left(losses=(0.5,)), {"training": {"epochs": 1}}, "too few epochs", None),
        (left(losses=(0.5, 0.4)), {"training": {"epochs": 2}}, "too few epochs", None),
    ],
)  # fmt: skip
def test_each_lever_is_accused_by_what_it_does(outcome, changes, fault, undone):
    recipe = Recipe().edit(**changes)
    found = accuse(outcome, np.zeros(2000, np.int64), recipe, FACTS)
    assert fault in fault_in_words(found[0].fault)
    assert found[0].probe != recipe
    assert (found[0].suspected.fault, found[0].suspected.evidence) == (found[0].fault, found[0].evidence)
    value = found[0].probe.model_dump()
    for key in undone or ():
        value = value[key]
    assert undone is None or value == 0


def test_rare_classes_that_are_shown_often_lower_the_training_accuracy_too():
    changes = {"architecture": {"dropout": 0.9}}
    assert "regularized too strongly" in " ".join(names(left(0.7, 0.97), **changes))
    assert not names(left(0.7, 0.97), **changes, training={"class_sampling": 1.0})


def test_a_short_training_that_has_settled_is_not_accused():
    assert names(left(losses=(0.5, 0.49)), training={"epochs": 2}) == []


def test_a_training_that_diverges_at_a_high_rate_is_tried_at_a_lower_one():
    diverged = Outcome("diverged", NO_PROBABILITIES, NO_PROBABILITIES, reason="the loss is nan after step 3")
    (only,) = accuse(diverged, np.zeros(0, np.int64), Recipe().edit(training={"learning_rate": 0.5}), FACTS)
    assert only.probe.training.learning_rate == 0.05
    found = confirmed(only, float("nan"), 0.972, 0.0)
    assert found == Confirmed(WrongLearningRate(0.5, 0.05), None, 0.972)
    assert finding_in_words(found) == (
        "Your recipe is trained with a learning rate that is too high: at 0.5 the run failed to learn, at 0.05 it "
        "scores 0.972 on the validation images."
    )


def test_a_finding_needs_a_difference_that_is_large_and_certain():
    (first, *_) = accuse(
        left(0.5, 0.6), np.zeros(2000, np.int64), Recipe().edit(data={"augmentation": TUTORIAL}), FACTS
    )
    found = confirmed(first, 0.57, 0.95, 0.02)
    assert found == Confirmed(OverAugmented(tuple(TUTORIAL.items())), 0.57, 0.95)
    assert finding_in_words(found) == (
        "Your recipe is over-augmented: 0.570 with its augmentation (horizontal flip 0.5, vertical flip 0.5, rotation "
        "0.2, zoom 0.2), 0.950 without its augmentation, on the validation images."
    )
    assert confirmed(first, 0.95, 0.96, 0.001) is None
    assert confirmed(first, 0.80, 0.90, 0.06) is None
    assert confirmed(first, 0.95, 0.57, 0.02) is None
    assert confirmed(first, 0.9, float("nan"), 0.02) is None


def test_the_error_of_a_difference_knows_that_both_saw_the_same_images():
    right = np.array([1.0, 1.0, 0.0, 1.0])
    assert difference_error(right, right) == 0.0
    assert difference_error(right, 1 - right) == pytest.approx(np.std([-1, -1, 1, -1]) / 2)


def test_the_tutorial_recipe_on_digits_is_over_augmented(tmp_path):
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    whole = load_digits()
    images = np.rint(whole.images[:900] * (255 / 16)).astype(np.uint8)
    source = array_source("digits", {None: (images, whole.target[:900])}, tuple("0123456789"))
    store = open_store(source, tmp_path / "store")
    dataset = Dataset(store, make_splits(store, 0))
    labels = dataset.labels[dataset.splits.validation]
    recipe = Recipe().edit(data={"augmentation": TUTORIAL}, architecture=NETWORK, training={"epochs": 10}).at(8)
    own = run_trial(TrialSpec(recipe, 0), dataset, tmp_path)
    (first, *_) = accuse(own, labels, recipe, facts_of(dataset))
    probe = run_trial(TrialSpec(first.probe, 1), dataset, tmp_path)
    torch.set_num_threads(threads)
    before, after = ((each.validation_probabilities.argmax(axis=1) == labels).astype(float) for each in (own, probe))
    found = confirmed(first, before.mean(), after.mean(), difference_error(before, after))
    assert found is not None
    assert isinstance(found.fault, OverAugmented)
    assert after.mean() - before.mean() > 0.2
