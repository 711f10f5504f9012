"""What a training's curve and its validation probabilities say is wrong, each with the numbers that say so."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from convlift.outcome import EpochReport, Outcome
from convlift.recipe import Recipe
from convlift.study.intervention import Facts
from convlift.study.symptoms import Symptom

# A difference below these sizes is not worth an intervention; below two standard errors it may not be there at all.
_GAP = 0.05
_CALIBRATION_GAP = 0.03
_NOISY_SHARE = 0.03
_FEW_PER_CLASS = 200


@dataclass(frozen=True)
class Diagnosis:
    """A symptom and the reason for naming it, in words with numbers."""

    symptom: Symptom
    reason: str


def diagnose(outcome: Outcome, labels_n: NDArray[np.int64], recipe: Recipe, facts: Facts) -> tuple[Diagnosis, ...]:
    """Every symptom that one finished (or diverged) trial shows; none where it left nothing to look at.

    labels_n: the validation labels, in the order of the outcome's rows.
    """
    found = list(_of_the_data(facts))
    if outcome.status == "diverged":
        found.append(Diagnosis(Symptom.UNSTABLE, outcome.reason or "the loss stopped being finite"))
    curve = _last_phase(outcome.curve)
    if curve:
        found += _of_the_curve(curve, len(labels_n), recipe)
    if len(labels_n) and outcome.validation_probabilities.shape[0] == len(labels_n):
        found += _of_the_probabilities(outcome.validation_probabilities.astype(float), labels_n)
    return tuple(found)


def _last_phase(curve: tuple[EpochReport, ...]) -> tuple[EpochReport, ...]:
    return tuple(report for report in curve if report.phase == curve[-1].phase)


def _of_the_data(facts: Facts) -> Iterator[Diagnosis]:
    if facts.imbalance >= 3:
        yield Diagnosis(
            Symptom.IMBALANCE, f"the largest class has {facts.imbalance:.1f} times the images of the smallest"
        )
    per_class = facts.training_images / facts.classes
    if per_class < _FEW_PER_CLASS:
        yield Diagnosis(Symptom.DATA_LIMITED, f"{per_class:.0f} training images a class")


def _of_the_curve(curve: tuple[EpochReport, ...], validation_images: int, recipe: Recipe) -> Iterator[Diagnosis]:
    last = curve[-1]
    train, held_out = last.train_accuracy, last.validation_accuracy
    gap, error = train - held_out, _standard_error(held_out, validation_images)
    if gap > max(_GAP, 2 * error):
        yield Diagnosis(Symptom.OVERFIT, f"accuracy {train:.3f} in training, {held_out:.3f} in validation")
    elif train < 0.9 and gap < _GAP / 2:
        yield Diagnosis(Symptom.UNDERFIT, f"accuracy is {train:.3f} in training itself, {held_out:.3f} in validation")
    augmented = recipe.data.augmentation.active
    if augmented and -gap > max(_GAP, 2 * error):
        yield Diagnosis(
            Symptom.OVER_AUGMENTED,
            f"accuracy {train:.3f} on augmented training images, {held_out:.3f} on plain validation images",
        )
    yield from _of_the_losses([report.validation_loss for report in curve])


def _of_the_losses(losses: list[float]) -> Iterator[Diagnosis]:
    if len(losses) < 4:
        return
    best = int(np.argmin(losses))
    third = max(1, len(losses) // 3)
    before, last = losses[-1 - third], losses[-1]
    if best >= len(losses) - 2 and last < 0.95 * before:
        yield Diagnosis(
            Symptom.UNDER_TRAINED,
            f"validation loss still falls at the end: {before:.3f} to {last:.3f} in the last {third} epochs",
        )
    if last > 1.1 * losses[best] and best < len(losses) - 2:
        yield Diagnosis(
            Symptom.OVERFIT,
            f"validation loss rises from {losses[best]:.3f} (epoch {best + 1}) to {last:.3f} at the end",
        )
    jumps = [epoch for epoch in range(1, len(losses)) if losses[epoch] > 1.5 * losses[epoch - 1]]
    if len(jumps) >= 2:
        yield Diagnosis(Symptom.UNSTABLE, f"validation loss jumps by half or more {len(jumps)} times")


def _of_the_probabilities(probabilities_nk: NDArray[np.float64], labels_n: NDArray[np.int64]) -> Iterator[Diagnosis]:
    rows = np.arange(len(labels_n))
    predicted = probabilities_nk.argmax(1)
    confidence = probabilities_nk.max(1)
    right = predicted == labels_n
    accuracy, claimed = float(right.mean()), float(confidence.mean())
    error = float(np.std(confidence - right) / np.sqrt(len(labels_n)))
    if claimed - accuracy > max(_CALIBRATION_GAP, 2 * error):
        yield Diagnosis(
            Symptom.OVERCONFIDENT, f"mean confidence {claimed:.3f}, but accuracy {accuracy:.3f} in validation"
        )
    # Confident learning (Northcutt et al. 2021, section 3): a label is doubted where another class is predicted with
    # more confidence than that class's own images usually get, and the given one is as good as excluded.
    usual_k = np.array(
        [
            probabilities_nk[labels_n == k, k].mean() if (labels_n == k).any() else 1.0
            for k in range(probabilities_nk.shape[1])
        ]
    )
    doubted = ~right & (confidence >= usual_k[predicted]) & (probabilities_nk[rows, labels_n] < 0.05)
    wrong = int((~right).sum())
    if doubted.mean() > _NOISY_SHARE and doubted.sum() >= max(5, 0.5 * wrong):
        yield Diagnosis(
            Symptom.LABEL_NOISE,
            f"{int(doubted.sum())} of {wrong} errors in {len(labels_n)} images contradict the label with confidence",
        )


def _standard_error(share: float, count: int) -> float:
    return float(np.sqrt(max(share * (1 - share), 1e-4) / max(count, 1)))
