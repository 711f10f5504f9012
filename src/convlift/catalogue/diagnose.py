"""What is wrong with a training, by its curve and its validation probabilities, each with the figures that show it.

Every threshold has two parts: a size below which a difference is not worth an intervention, and twice the standard
error of the difference, below which it may not be there at all.
"""

import math
from collections.abc import Iterator
from dataclasses import dataclass
from statistics import NormalDist

import numpy as np
from numpy.typing import NDArray

from convlift.catalogue.symptoms import Symptom
from convlift.recipe.recipe import Recipe
from convlift.records.evidence_of_symptoms import (
    AccuracyGap,
    AugmentationGap,
    DoubtedLabels,
    Evidence,
    FewImages,
    GradientsAgree,
    HalfOfTheImages,
    HighConfidence,
    LossJumps,
    LossNotFinite,
    LossRises,
    LossStillFalls,
    LowAccuracy,
    LowRecall,
    NothingLearned,
    UnevenClasses,
    WildStart,
)
from convlift.records.facts import Facts
from convlift.records.outcome import EpochReport, Outcome

GAP = 0.05  # of accuracy: 5 points are more than any one regularizer of the catalogue is known to win back
UNDERFIT_BELOW = 0.9  # training accuracy: what a network leaves wrong in training it cannot get right elsewhere
CALIBRATION_GAP = 0.03  # modern networks are off by 3 to 16 points (Guo et al. 2017, table 1)
NOISY_SHARE = 0.03  # of the labels: the common test sets hold 3.3% (Northcutt, Athalye and Mueller 2021)
DOUBTED_BELOW = 0.05  # probability of the given label that as good as excludes it
FEW_PER_CLASS = 200  # chosen, not measured; where half of the images were tried, that decides instead
DOUBLING = 0.02  # of accuracy, from half of the images to all: the next doubling would bring about half of that
IMBALANCED = 3.0  # largest over smallest class; the harm grows with this ratio (Buda et al. 2018)
WEAK_RECALL = 0.15  # below the mean recall
STILL_FALLING = 0.05  # of the validation loss, in the last third of the epochs
RISING = 0.1  # of the lowest validation loss
JUMP = 1.5  # from one epoch's validation loss to the next; twice, since one jump is a warm-up's
# The loss of a network that has learned nothing is ln K (Karpathy 2019, "verify loss @ init").
NOTHING_LEARNED = 0.95  # times ln K, in the last epoch of training
WILD_START = 1.5  # times ln K, in the mean over the first epoch: worse than guessing for most of it
# Agreement of the gradients of two batches, in the second half of training: beyond it half of the batch adds points
# (benchmarks/gradient_noise.py). How noisy the gradients of small batches are does not show what to change.
LARGE_BATCHES = 0.25


@dataclass(frozen=True)
class Diagnosis:
    """A symptom and what shows it; `report/wording/diagnoses.py` has the sentence."""

    symptom: Symptom
    evidence: Evidence


def diagnose(
    outcome: Outcome, labels_n: NDArray[np.int64], recipe: Recipe, facts: Facts, half: Outcome | None = None
) -> tuple[Diagnosis, ...]:
    """Every symptom that one finished (or diverged) trial shows; none where it left nothing to look at.

    labels_n: the validation labels, in the order of the outcome's rows; half: what the same recipe left on half of the
    training images, where that was tried.
    """
    found = list(_of_the_data(facts, few=half is None or not len(half.validation_probabilities)))
    if half is not None and len(half.validation_probabilities) == len(outcome.validation_probabilities) > 0:
        found += _of_the_halves(half.validation_probabilities, outcome.validation_probabilities, labels_n)
    if outcome.status == "diverged":
        found.append(Diagnosis(Symptom.UNSTABLE, LossNotFinite(outcome.reason)))
    curve = _last_phase(outcome.curve)
    if curve:
        found += _of_the_guess(outcome.curve, recipe, facts)
        found += _of_the_accuracies(curve[-1], len(labels_n), recipe, facts)
        found += _of_the_losses([report.validation_loss for report in curve], outcome, labels_n)
        found += _of_the_gradients(curve[-1], recipe)
    if len(labels_n) and outcome.validation_probabilities.shape[0] == len(labels_n):
        found += _of_the_probabilities(outcome.validation_probabilities.astype(float), labels_n, facts)
    return tuple(found)


def _last_phase(curve: tuple[EpochReport, ...]) -> tuple[EpochReport, ...]:
    return tuple(report for report in curve if report.phase == curve[-1].phase)


def _of_the_halves(
    half_nk: NDArray[np.float32], all_nk: NDArray[np.float32], labels_n: NDArray[np.int64]
) -> Iterator[Diagnosis]:
    """Whether more images would help, from what the last doubling brought (Cortes et al. 1994)."""
    right_half, right_all = (probabilities.argmax(1) == labels_n for probabilities in (half_nk, all_nk))
    each = right_all.astype(float) - right_half
    error = float(each.std() / math.sqrt(len(each)))
    if each.mean() > max(DOUBLING, 2 * error):
        yield Diagnosis(Symptom.DATA_LIMITED, HalfOfTheImages(float(right_half.mean()), float(right_all.mean())))


def _of_the_data(facts: Facts, few: bool) -> Iterator[Diagnosis]:
    if facts.imbalance >= IMBALANCED:
        yield Diagnosis(Symptom.IMBALANCE, UnevenClasses(facts.imbalance))
    per_class = facts.training_images / facts.classes
    if few and per_class < FEW_PER_CLASS:
        yield Diagnosis(Symptom.DATA_LIMITED, FewImages(per_class))


def _of_the_guess(curve: tuple[EpochReport, ...], recipe: Recipe, facts: Facts) -> Iterator[Diagnosis]:
    """Training losses against that of a network that guesses: where it began, and whether it ever left there."""
    guess, first, last = math.log(facts.classes), curve[0].train_loss, curve[-1].train_loss
    if first > WILD_START * guess:
        yield Diagnosis(Symptom.UNSTABLE, WildStart(first, guess))
    if last > NOTHING_LEARNED * guess:
        symptom = Symptom.OVER_AUGMENTED if recipe.data.augmentation.active else Symptom.UNDER_TRAINED
        yield Diagnosis(symptom, NothingLearned(last, guess))


def _of_the_accuracies(last: EpochReport, validation_images: int, recipe: Recipe, facts: Facts) -> Iterator[Diagnosis]:
    train, held_out = last.train_accuracy, last.validation_accuracy
    error = math.hypot(_standard_error(held_out, validation_images), _standard_error(train, facts.training_images))
    gap = train - held_out
    augmented = recipe.data.augmentation.active
    best = max(train, held_out)  # dropout and augmentation lower the one, too few images the other
    # where classes are shown more often than they are there, the two are of different shares of the classes
    is_gap = recipe.training.class_sampling == 0.0
    if is_gap and gap > max(GAP, 2 * error):
        yield Diagnosis(Symptom.OVERFIT, AccuracyGap(train, held_out))
    elif is_gap and augmented and -gap > max(GAP, 2 * error):
        yield Diagnosis(Symptom.OVER_AUGMENTED, AugmentationGap(train, held_out))
    elif best < UNDERFIT_BELOW - 2 * _standard_error(best, facts.training_images) and gap < GAP / 2:
        yield Diagnosis(Symptom.UNDERFIT, LowAccuracy(train, held_out))


def _of_the_losses(losses: list[float], outcome: Outcome, labels_n: NDArray[np.int64]) -> Iterator[Diagnosis]:
    if len(losses) < 4:
        return
    error = _loss_error(outcome, labels_n)
    best = int(np.argmin(losses))
    third = max(1, len(losses) // 3)
    before, last = losses[-1 - third], losses[-1]
    if best >= len(losses) - 2 and before - last > max(STILL_FALLING * before, 2 * error):
        yield Diagnosis(Symptom.UNDER_TRAINED, LossStillFalls(before, last, third))
    if last - losses[best] > max(RISING * losses[best], 2 * error) and best < len(losses) - 2:
        yield Diagnosis(Symptom.OVERFIT, LossRises(losses[best], best + 1, last))
    jumps = [
        epoch
        for epoch in range(1, len(losses))
        if losses[epoch] - losses[epoch - 1] > max((JUMP - 1) * losses[epoch - 1], 2 * error)
    ]
    if len(jumps) >= 2:
        yield Diagnosis(Symptom.UNSTABLE, LossJumps(len(jumps)))


def _of_the_gradients(last: EpochReport, recipe: Recipe) -> Iterator[Diagnosis]:
    """Whether batches are large beside the gradient noise scale (McCandlish et al. 2018, section 2.2)."""
    if last.gradient_agreement is None or last.gradient_error is None:
        return
    tuned = recipe.training.fine_tuning
    batch = tuned.batch_size if tuned and last.phase == "fine-tune" else recipe.training.batch_size
    mean, within = last.gradient_agreement, 2 * last.gradient_error
    if mean - within > LARGE_BATCHES:
        yield Diagnosis(Symptom.LARGE_BATCHES, GradientsAgree(batch, mean, within, batch * (1 / mean - 1)))


def _loss_error(outcome: Outcome, labels_n: NDArray[np.int64]) -> float:
    """Standard error of a difference of two epochs' validation losses, on the same images; 0 where nothing is known.

    The two are right and wrong about mostly the same images: a correlation of one half between them makes the
    difference as uncertain as one loss alone, and trained networks agree more than that.
    """
    probabilities = outcome.validation_probabilities
    if not len(labels_n) or probabilities.shape[0] != len(labels_n):
        return 0.0
    given = probabilities[np.arange(len(labels_n)), labels_n].astype(float)
    return float(np.std(-np.log(np.clip(given, 1e-7, 1.0))) / math.sqrt(len(labels_n)))


def _of_the_probabilities(
    probabilities_nk: NDArray[np.float64], labels_n: NDArray[np.int64], facts: Facts
) -> Iterator[Diagnosis]:
    confidence = probabilities_nk.max(1)
    right = probabilities_nk.argmax(1) == labels_n
    accuracy, claimed = float(right.mean()), float(confidence.mean())
    error = float(np.std(confidence - right) / np.sqrt(len(labels_n)))
    if claimed - accuracy > max(CALIBRATION_GAP, 2 * error):
        yield Diagnosis(Symptom.OVERCONFIDENT, HighConfidence(claimed, accuracy))
    yield from _of_the_labels(probabilities_nk, labels_n)
    yield from _of_the_classes(right, labels_n, facts.class_names)


def _of_the_labels(probabilities_nk: NDArray[np.float64], labels_n: NDArray[np.int64]) -> Iterator[Diagnosis]:
    """Confident learning (Northcutt, Jiang and Chuang 2021, section 3): a label is doubted where another class is
    predicted with more confidence than that class's own images usually get, and the given one is as good as excluded.
    """
    predicted, confidence = probabilities_nk.argmax(1), probabilities_nk.max(1)
    given = probabilities_nk[np.arange(len(labels_n)), labels_n]
    usual_k = np.array(
        [given[labels_n == k].mean() if (labels_n == k).any() else 1.0 for k in range(probabilities_nk.shape[1])]
    )
    wrong = predicted != labels_n
    doubted = wrong & (confidence >= usual_k[predicted]) & (given < DOUBTED_BELOW)
    share, errors = float(doubted.mean()), int(wrong.sum())
    is_many = share - 2 * _standard_error(share, len(labels_n)) > NOISY_SHARE / 2 and share > NOISY_SHARE
    if is_many and doubted.sum() >= max(5, 0.5 * errors):
        yield Diagnosis(Symptom.LABEL_NOISE, DoubtedLabels(int(doubted.sum()), errors, len(labels_n)))


def _of_the_classes(
    right: NDArray[np.bool_], labels_n: NDArray[np.int64], names: tuple[str, ...]
) -> Iterator[Diagnosis]:
    """The class with the lowest recall, where it lies below the mean recall by more than the lowest of K would.

    The bound is two standard errors for one class, and as improbable for the lowest of all (Bonferroni).
    """
    classes, counts = np.unique(labels_n, return_counts=True)
    recalls = np.array([right[labels_n == k].mean() for k in classes])
    if len(classes) < 2:
        return
    mean, lowest = float(recalls.mean()), int(recalls.argmin())
    bound = NormalDist().inv_cdf(1 - 0.0228 / len(classes)) * _standard_error(mean, int(counts[lowest]))
    if mean - recalls[lowest] > max(WEAK_RECALL, bound):
        name = names[classes[lowest]] if names else str(classes[lowest])
        yield Diagnosis(Symptom.WEAK_CLASS, LowRecall(name, float(recalls[lowest]), int(counts[lowest]), mean))


def _standard_error(share: float, count: int) -> float:
    return float(np.sqrt(max(share * (1 - share), 1e-4) / max(count, 1)))
