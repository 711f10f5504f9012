import dataclasses

import numpy as np
import pytest
from sklearn.datasets import load_digits

from convlift.catalogue.diagnose import diagnose
from convlift.catalogue.symptoms import Symptom
from convlift.data.dataset import Dataset
from convlift.data.readers.arrays import array_source
from convlift.data.splits import make_splits
from convlift.data.store import open_store
from convlift.recipe.built_in import built_in
from convlift.recipe.trial_spec import TrialSpec
from convlift.records.evidence_of_symptoms import (
    FewImages,
    GradientsAgree,
    HalfOfTheImages,
    HighConfidence,
    LowRecall,
    UnevenClasses,
)
from convlift.records.facts import Facts
from convlift.records.outcome import NO_PROBABILITIES, EpochReport, Outcome
from convlift.trial.run_trial import run_trial

PLENTY = Facts(training_images=20_000, classes=4)
PLAIN = built_in("plain")


@pytest.fixture(scope="module")
def digits(tmp_path_factory):
    """300 grey digits of 8 pixels, divided."""
    whole = load_digits()
    images = np.rint(whole.images[:300] * (255 / 16)).astype(np.uint8)
    source = array_source("digits", {None: (images, whole.target[:300])}, tuple("0123456789"))
    store = open_store(source, tmp_path_factory.mktemp("digits"))
    return Dataset(store, make_splits(store, 0))


def curve(validation_losses, train=0.95, validation=0.94, phase="train"):
    n = len(validation_losses)
    return tuple(
        EpochReport(phase, e + 1, n, 0.2, train, loss, validation, 1e-3, 1.0)
        for e, loss in enumerate(validation_losses)
    )


def outcome(
    losses=(0.5, 0.3, 0.25, 0.24, 0.24, 0.24),
    train=0.95,
    validation=0.94,
    probabilities=NO_PROBABILITIES,
    status="finished",
    reason="",
):
    return Outcome(status, probabilities, NO_PROBABILITIES, curve(losses, train, validation), 1.0, reason)


def symptoms(outcome, labels=None, recipe=PLAIN, facts=PLENTY):
    labels = np.zeros(2000, np.int64) if labels is None else labels
    return {each.symptom for each in diagnose(outcome, labels, recipe, facts)}


def answers(rng, claims=(9, 1), excess=0.0, n=2000, classes=4):
    """Labels, and probabilities whose largest is Beta(claims) and right that often, less `excess`."""
    labels = rng.integers(0, classes, n)
    confidence = rng.beta(*claims, n)
    right = rng.random(n) < confidence - excess
    predicted = np.where(right, labels, (labels + rng.integers(1, classes, n)) % classes)
    probabilities = np.repeat((1 - confidence[:, None]) / (classes - 1), classes, axis=1)
    probabilities[np.arange(n), predicted] = confidence
    return labels, probabilities.astype(np.float32)


def test_what_half_of_the_images_bring_decides_whether_there_are_few():
    rng = np.random.default_rng(0)
    labels = rng.integers(0, 4, 1000)

    def said(accuracy):
        named = np.where(rng.random(1000) < accuracy, labels, (labels + 1) % 4)
        return outcome(probabilities=np.eye(4, dtype=np.float32)[named] * 0.9 + 0.025)

    def shown(half, facts):
        found = diagnose(said(0.9), labels, PLAIN, facts, half)
        return {each.symptom: each.evidence for each in found}

    few = dataclasses.replace(PLENTY, training_images=100 * PLENTY.classes)
    assert shown(None, few)[Symptom.DATA_LIMITED] == FewImages(100)
    assert Symptom.DATA_LIMITED not in shown(said(0.9), few)
    evidence = shown(said(0.82), PLENTY)[Symptom.DATA_LIMITED]
    assert isinstance(evidence, HalfOfTheImages)
    assert (evidence.half, evidence.whole) == (pytest.approx(0.82, abs=0.03), pytest.approx(0.9, abs=0.03))


def test_a_healthy_training_has_no_symptom():
    labels, probabilities = answers(np.random.default_rng(0))
    assert symptoms(outcome(probabilities=probabilities), labels) == set()


@pytest.mark.parametrize(
    ("shown", "symptom"),
    [
        (outcome(train=0.99, validation=0.80), Symptom.OVERFIT),
        (outcome(losses=(0.5, 0.3, 0.3, 0.35, 0.4, 0.5)), Symptom.OVERFIT),
        (outcome(train=0.60, validation=0.60), Symptom.UNDERFIT),
        (outcome(losses=(1.2, 1.0, 0.8, 0.6, 0.5, 0.4)), Symptom.UNDER_TRAINED),
        (outcome(losses=(0.5, 0.9, 0.3, 0.8, 0.3, 0.3)), Symptom.UNSTABLE),
        (outcome(losses=(), status="diverged", reason="loss nan in epoch 1"), Symptom.UNSTABLE),
    ],
    ids=["gap", "rising loss", "low both", "still falling", "jumping", "diverged"],
)
def test_curves_name_their_symptom_alone(shown, symptom):
    assert symptoms(shown) == {symptom}


@pytest.mark.parametrize(
    ("agreement", "error", "symptom"),
    [
        (0.33, 0.03, Symptom.LARGE_BATCHES),
        (0.12, 0.01, None),
        (0.33, 0.05, None),
        (None, None, None),
    ],
    ids=["large", "not large", "large for all we know", "not measured"],
)
def test_gradients_say_whether_batches_are_large(agreement, error, symptom):
    flat = outcome(losses=(0.5,) * 5)
    last = dataclasses.replace(flat.curve[-1], gradient_agreement=agreement, gradient_error=error)
    assert symptoms(dataclasses.replace(flat, curve=(*flat.curve[:-1], last))) == ({symptom} if symptom else set())


def test_the_gradient_noise_scale_is_that_of_the_last_phase():
    """16 images a batch in fine-tuning, of which two agree by a third: gradient noise scale 32 images."""
    recipe = built_in("transfer").edit(training={"batch_size": 64, "fine_tuning": {"batch_size": 16}})
    flat = outcome(losses=(0.5,) * 3)
    tuned = {"phase": "fine-tune", "gradient_agreement": 1 / 3, "gradient_error": 0.01}
    curve = tuple(dataclasses.replace(each, **tuned) for each in flat.curve)
    (found,) = diagnose(dataclasses.replace(flat, curve=curve), np.zeros(2000, np.int64), recipe, PLENTY)
    assert isinstance(found.evidence, GradientsAgree)
    assert (found.evidence.batch_size, found.evidence.noise_scale) == (16, pytest.approx(32))
    assert (found.evidence.agreement, found.evidence.within) == (1 / 3, 0.02)


@pytest.mark.parametrize(
    ("losses", "augmentation", "symptom"),
    [
        ((2.5, 0.2), {}, Symptom.UNSTABLE),
        ((1.38, 1.37), {}, Symptom.UNDER_TRAINED),
        ((1.38, 1.37), {"rotation": 0.5}, Symptom.OVER_AUGMENTED),
        ((1.38, 0.2), {"rotation": 0.5}, None),
    ],
    ids=["worse than a guess at first", "never left the guess", "augmented beyond recognition", "slow at first alone"],
)
def test_training_losses_are_held_against_a_guess(losses, augmentation, symptom):
    """Of four classes a guess has ln 4 = 1.39."""
    flat = outcome(losses=(0.5, 0.5))
    shown = dataclasses.replace(
        flat, curve=tuple(dataclasses.replace(e, train_loss=loss) for e, loss in zip(flat.curve, losses, strict=True))
    )
    recipe = PLAIN.edit(data={"augmentation": augmentation})
    assert symptoms(shown, recipe=recipe) == ({symptom} if symptom else set())


def test_a_gap_within_the_noise_of_few_images_is_no_overfitting():
    shown = outcome(train=0.93, validation=0.87)
    assert symptoms(shown, np.zeros(50, np.int64)) == set()
    assert symptoms(shown, np.zeros(5000, np.int64)) == {Symptom.OVERFIT}


def test_augmentation_that_hides_the_images_shows_in_the_training_accuracy():
    shown = outcome(train=0.70, validation=0.85)
    augmented = PLAIN.edit(data={"augmentation": {"rotation": 0.5}})
    assert Symptom.OVER_AUGMENTED in symptoms(shown, recipe=augmented)
    assert Symptom.OVER_AUGMENTED not in symptoms(shown), "dropout alone lowers the training accuracy too"


def test_accuracies_of_other_shares_of_the_classes_are_no_gap():
    """Where rare classes are shown as often as others, training images are not those that validation counts."""
    sampled = PLAIN.edit(data={"augmentation": {"rotation": 0.5}}, training={"class_sampling": 1.0})
    assert Symptom.OVER_AUGMENTED not in symptoms(outcome(train=0.70, validation=0.85), recipe=sampled)
    assert Symptom.OVERFIT not in symptoms(outcome(train=0.99, validation=0.85), recipe=sampled)
    assert Symptom.UNDERFIT in symptoms(outcome(train=0.50, validation=0.50), recipe=sampled)


def test_only_the_last_phase_is_judged():
    shown = Outcome(
        "finished",
        NO_PROBABILITIES,
        NO_PROBABILITIES,
        curve((0.9, 0.7, 0.6, 0.5), 0.6, 0.6, "head") + curve((0.3, 0.25, 0.25, 0.25), 0.95, 0.94, "fine-tune"),
    )
    assert symptoms(shown) == set()


def test_overconfidence_is_the_gap_between_claim_and_accuracy():
    labels, probabilities = answers(np.random.default_rng(1), excess=0.15)
    found = diagnose(outcome(probabilities=probabilities), labels, PLAIN, PLENTY)
    evidence = next(each.evidence for each in found if each.symptom is Symptom.OVERCONFIDENT)
    accuracy = (probabilities.argmax(1) == labels).mean()
    assert evidence == HighConfidence(pytest.approx(probabilities.max(1).mean()), accuracy)


def test_wrong_labels_are_contradicted_with_confidence():
    rng = np.random.default_rng(2)
    labels, probabilities = answers(rng, claims=(97, 3))
    given_labels = np.where(rng.random(len(labels)) < 0.1, (labels + 1) % 4, labels)
    assert Symptom.LABEL_NOISE in symptoms(outcome(probabilities=probabilities), given_labels)


def test_hesitant_errors_are_not_label_noise():
    labels, probabilities = answers(np.random.default_rng(3), claims=(6, 4))
    assert Symptom.LABEL_NOISE not in symptoms(outcome(probabilities=probabilities), labels)


def test_the_class_that_is_missed_is_named_with_its_numbers():
    rng = np.random.default_rng(4)
    labels, probabilities = answers(rng, claims=(97, 3))
    missed = (labels == 2) & (rng.random(len(labels)) < 0.4)
    probabilities[missed] = np.roll(probabilities[missed], 1, axis=1)
    found = {
        each.symptom: each.evidence for each in diagnose(outcome(probabilities=probabilities), labels, PLAIN, PLENTY)
    }
    evidence = found[Symptom.WEAK_CLASS]
    assert isinstance(evidence, LowRecall)
    assert 0.5 <= evidence.recall < 0.6
    assert (evidence.name, evidence.images) == ("2", (labels == 2).sum())


def test_the_weakest_of_many_small_classes_is_no_weak_class():
    """Among 100 classes of 20 images at 85%, one lies 3 of its own standard errors low by chance."""
    rng = np.random.default_rng(5)
    alarms = 0
    for _ in range(20):
        labels, probabilities = answers(rng, claims=(85, 15), n=2000, classes=100)
        alarms += Symptom.WEAK_CLASS in symptoms(outcome(probabilities=probabilities), labels)
    assert alarms <= 3


def test_dropout_that_lowers_the_training_accuracy_is_no_underfitting():
    assert symptoms(outcome(train=0.85, validation=0.95)) == set()
    assert symptoms(outcome(train=0.85, validation=0.86)) == {Symptom.UNDERFIT}


def test_losses_that_differ_within_the_noise_of_few_images_say_nothing():
    labels, probabilities = answers(np.random.default_rng(6), claims=(9, 1), n=2000)
    falling = outcome(losses=(0.5, 0.45, 0.43, 0.42, 0.38, 0.35), probabilities=probabilities)
    assert symptoms(falling, labels) == {Symptom.UNDER_TRAINED}
    few = dataclasses.replace(falling, validation_probabilities=probabilities[:60])
    assert Symptom.UNDER_TRAINED not in symptoms(few, labels[:60])


@pytest.mark.parametrize(
    ("change", "symptom"),
    [
        ({"training": {"learning_rate": 1e-5}}, Symptom.UNDER_TRAINED),
        ({"training": {"learning_rate": 0.3}}, Symptom.UNSTABLE),
        ({"data": {"augmentation": {"rotation": 0.5, "zoom": 0.5, "translation": 0.3}}}, Symptom.OVER_AUGMENTED),
        ({"training": {"epochs": 4}}, Symptom.UNDER_TRAINED),
    ],
    ids=["rate too low", "rate too high", "augmented beyond recognition", "too short"],
)
def test_real_digits_show_what_was_done_to_them(digits, change, symptom):
    recipe = PLAIN.at(8).edit(**change)
    shown = run_trial(TrialSpec(recipe, 1), digits, None, lambda epoch: None)
    facts = Facts(len(digits.splits.train), 10, 1, 8)
    found = {each.symptom for each in diagnose(shown, digits.labels[digits.splits.validation], recipe, facts)}
    assert symptom in found
    assert Symptom.OVERFIT not in found


def test_facts_alone_name_imbalance_and_scarcity():
    facts = Facts(training_images=300, classes=5, imbalance=8.0)
    found = {each.symptom: each.evidence for each in diagnose(outcome(), np.zeros(2000, np.int64), PLAIN, facts)}
    assert found == {Symptom.IMBALANCE: UnevenClasses(8.0), Symptom.DATA_LIMITED: FewImages(60)}
