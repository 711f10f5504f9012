import numpy as np
import pytest

from convlift.outcome import NO_PROBABILITIES, EpochReport, Outcome
from convlift.recipes import built_in
from convlift.study.diagnose import diagnose
from convlift.study.intervention import Facts
from convlift.study.symptoms import Symptom

PLENTY = Facts(training_images=20_000, classes=4)
PLAIN = built_in("plain")


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


def test_a_gap_within_the_noise_of_few_images_is_no_overfitting():
    shown = outcome(train=0.93, validation=0.87)
    assert symptoms(shown, np.zeros(50, np.int64)) == set()
    assert symptoms(shown, np.zeros(5000, np.int64)) == {Symptom.OVERFIT}


def test_augmentation_that_hides_the_images_shows_in_the_training_accuracy():
    shown = outcome(train=0.70, validation=0.85)
    augmented = PLAIN.edit(data={"augmentation": {"rotation": 0.5}})
    assert Symptom.OVER_AUGMENTED in symptoms(shown, recipe=augmented)
    assert Symptom.OVER_AUGMENTED not in symptoms(shown), "dropout alone lowers the training accuracy too"


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
    reason = next(each.reason for each in found if each.symptom is Symptom.OVERCONFIDENT)
    accuracy = (probabilities.argmax(1) == labels).mean()
    assert reason == f"mean confidence {probabilities.max(1).mean():.3f}, but accuracy {accuracy:.3f} in validation"


def test_wrong_labels_are_contradicted_with_confidence():
    rng = np.random.default_rng(2)
    labels, probabilities = answers(rng, claims=(97, 3))
    given_labels = np.where(rng.random(len(labels)) < 0.1, (labels + 1) % 4, labels)
    assert Symptom.LABEL_NOISE in symptoms(outcome(probabilities=probabilities), given_labels)


def test_hesitant_errors_are_not_label_noise():
    labels, probabilities = answers(np.random.default_rng(3), claims=(6, 4))
    assert Symptom.LABEL_NOISE not in symptoms(outcome(probabilities=probabilities), labels)


def test_facts_alone_name_imbalance_and_scarcity():
    facts = Facts(training_images=300, classes=5, imbalance=8.0)
    found = {each.symptom: each.reason for each in diagnose(outcome(), np.zeros(2000, np.int64), PLAIN, facts)}
    assert found == {
        Symptom.IMBALANCE: "the largest class has 8.0 times the images of the smallest",
        Symptom.DATA_LIMITED: "60 training images a class",
    }
