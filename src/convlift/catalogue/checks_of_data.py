"""The causes that lie in the data, in how the network fits them, and in its confidences; see `checks.py`."""

import math

import numpy as np

from convlift.catalogue.checks import Check, Verdict, checks_of_recipe
from convlift.catalogue.diagnose import CALIBRATION_GAP, FEW_PER_CLASS, GAP, IMBALANCED, NOISY_SHARE
from convlift.catalogue.observed import Observed
from convlift.catalogue.prospects import Prospect
from convlift.catalogue.symptoms import Symptom
from convlift.errors import RecipeError
from convlift.records.evidence_of_checks import Beside, CutShort, NotLooked, PixelsSeen, RecallBySize, Shown
from convlift.records.evidence_of_symptoms import FewImages, LossNotFinite, LowAccuracy, UnevenClasses

# Of a plain classifier's errors, the part that are as sure as its right answers usually are: half of those that are
# flipped labels, .00 to .13 of those on clean labels (digits, chest X-rays, flowers: docs/decisions/0047)
SURE_PART = 0.18
UNSURE_PART = 0.10
COPIED = 0.01  # of the validation images, and at least three: fewer move no score
SMALL_RECALL = 0.10  # of recall, by which small classes fall behind


def check_all(seen: Observed) -> tuple[Check, ...]:
    """Every cause, in a fixed order."""
    recipe = checks_of_recipe(seen)
    if seen.outcome.status == "stopped":
        epochs = seen.curve[-1].epochs if seen.curve else seen.recipe.training.epochs
        cut = Check("training length", "cannot tell", (CutShort(len(seen.curve), epochs),))
        recipe = tuple(cut if each.cause == "training length" else each for each in recipe)
    labels, resolution = _labels(seen), _resolution(seen)
    fault = next((each.cause for each in (*recipe, labels, resolution) if each.is_fault), "")
    # a network that has not learned, or learned wrong labels, is weak in some class and not as sure as it is right
    classes, confidence = (_unless(fault, each) for each in (_classes(seen), _confidence(seen)))
    return (
        *recipe,
        _overfitting(seen),
        _underfitting(seen, fault),
        labels,
        _copies(seen),
        _shortcuts(seen),
        resolution,
        classes,
        confidence,
        _amount(seen),
    )


def _unless(fault: str, check: Check) -> Check:
    """The check, or that it cannot be told beside a fault that may be all there is to it. That small classes fall
    behind is no such thing."""
    if not fault or not check.is_fault or any(isinstance(each, RecallBySize) for each in check.shown):
        return check
    return Check(check.cause, "cannot tell", (*check.shown, Beside(fault)))


def _overfitting(seen: Observed) -> Check:
    shown: tuple[Shown, ...] = tuple(seen.evidence(Symptom.OVERFIT))
    if seen.plain is not None:
        gap = seen.plain.training - seen.plain.validation
        verdict: Verdict = "not found" if gap <= GAP else "found" if gap > seen.plain.within else "cannot tell"
        shown = (seen.plain, *(each for each in shown if each.kind != "accuracy gap"))
    else:
        verdict = "found" if shown else "not found" if seen.curve else "cannot tell"
    changes = seen.changes(Symptom.OVERFIT) if verdict == "found" else ()
    return Check("overfitting", verdict, shown or _ends(seen), prospects=changes)


def _underfitting(seen: Observed, fault: str) -> Check:
    """That it gets training images wrong itself; which any other fault may be the reason of."""
    shown = tuple(seen.evidence(Symptom.UNDERFIT))
    if not shown:
        return Check("underfitting", "not found" if seen.curve or seen.plain else "cannot tell", _ends(seen))
    if fault:
        return Check("underfitting", "cannot tell", (*shown, Beside(fault)))
    return Check("underfitting", "found", shown, prospects=seen.changes(Symptom.UNDERFIT))


def _ends(seen: Observed) -> tuple[Shown, ...]:
    """The accuracies at the end, by the best account that there is."""
    if seen.plain is not None:
        return (seen.plain,)
    if seen.outcome.status == "diverged":
        return (LossNotFinite(seen.outcome.reason),)
    last = seen.curve[-1] if seen.curve else None
    return (LowAccuracy(last.train_accuracy, last.validation_accuracy),) if last else (NotLooked("no predictions"),)


def _labels(seen: Observed) -> Check:
    noise, look = tuple(seen.evidence(Symptom.LABEL_NOISE)), seen.contradicted
    shown: tuple[Shown, ...] = (*noise, *seen.conflicts)
    if look is None:
        return Check("labels", "found" if noise else "cannot tell", shown or (NotLooked("no time"),))
    shown = (look, *shown)
    part = look.contradicted / max(1, look.errors)
    error = math.sqrt(max(part * (1 - part), 0.01) / max(1, look.errors))
    # the other half of the wrong labels is contradicted with less than the usual confidence
    share = 2 * look.contradicted / max(1, look.images)
    if share > NOISY_SHARE and part - 2 * error > SURE_PART:
        return Check("labels", "found", shown, prospects=seen.changes(Symptom.LABEL_NOISE))
    if share > NOISY_SHARE and part > UNSURE_PART:
        return Check("labels", "cannot tell", shown)
    return Check("labels", "not found", shown)


def _copies(seen: Observed) -> Check:
    if seen.both is None:
        return Check("copies", "cannot tell", (NotLooked("no predictions"),))
    many = seen.both.shared >= max(3, COPIED * seen.both.images)
    return Check("copies", "found" if many else "not found", (seen.both,))


def _shortcuts(seen: Observed) -> Check:
    if seen.shortcuts:
        return Check("shortcuts", "found", seen.shortcuts)
    if not seen.are_files:
        return Check("shortcuts", "cannot tell", (NotLooked("arrays"),))
    return Check("shortcuts", "not found", ())


def _resolution(seen: Observed) -> Check:
    side = seen.recipe.data.resolution or seen.facts.native_resolution
    sizes, look = PixelsSeen(side, seen.facts.native_resolution), seen.detail
    if look is None:
        is_whole = sizes.native < 2 * side
        return Check(
            "resolution",
            "not found" if is_whole else "cannot tell",
            (sizes,) + (NotLooked("no time"),) * (not is_whole),
        )
    lost = look.whole - look.shrunk
    if lost > max(GAP, look.within):
        return Check("resolution", "found", (sizes, look), prospects=_larger(seen, side))
    return Check("resolution", "not found" if lost + look.within < 2 * GAP else "cannot tell", (sizes, look))


def _larger(seen: Observed, side: int) -> tuple[Prospect, ...]:
    """The recipe at twice the pixels a side, or as many more as are worth 32, as far as the images have them."""
    larger = min(max(2 * side, 32), seen.facts.native_resolution)
    try:
        return (Prospect(f"resolution {larger}", seen.recipe.edit(data={"resolution": larger})),)
    except RecipeError:  # a network of one size
        return ()


def _classes(seen: Observed) -> Check:
    """Whether small classes, or a single one, are told worse than the others."""
    weak: tuple[Shown, ...] = tuple(seen.evidence(Symptom.WEAK_CLASS))
    said = seen.outcome.validation_probabilities
    uneven = UnevenClasses(seen.facts.imbalance)
    if len(said) != len(seen.labels) or not len(said):
        return Check("classes", "cannot tell", (uneven, NotLooked("no predictions")))
    if seen.facts.imbalance < IMBALANCED:
        changes = seen.changes(Symptom.WEAK_CLASS) if weak else ()
        return Check("classes", "found" if weak else "not found", (uneven, *weak), prospects=changes)
    look = _by_size(seen, said.argmax(axis=1) == seen.labels)
    within = 2 * math.hypot(_error(look.small, look.small_images), _error(look.large, look.large_images))
    behind = look.large - look.small
    if weak or behind > max(SMALL_RECALL, within):
        changes = seen.changes(Symptom.IMBALANCE, Symptom.WEAK_CLASS)
        return Check("classes", "found", (look, *weak), prospects=changes)
    return Check("classes", "not found" if behind + within < 2 * SMALL_RECALL else "cannot tell", (look,))


def _by_size(seen: Observed, right: np.ndarray) -> RecallBySize:
    is_small = (seen.class_sizes * IMBALANCED < seen.class_sizes.max())[seen.labels]

    def recall(of: np.ndarray) -> float:
        return float(right[of].mean()) if of.any() else float("nan")

    few = int(is_small.sum())
    small, large = recall(is_small) if few else 0.0, recall(~is_small)
    return RecallBySize(seen.facts.imbalance, small, few, large, len(seen.labels) - few)


def _error(share: float, images: int) -> float:
    """Standard error of a share; of few images that agree it is not 0 (Agresti and Coull 1998)."""
    moved = (share * images + 1) / (images + 2)
    return math.sqrt(moved * (1 - moved) / max(1, images))


def _confidence(seen: Observed) -> Check:
    look = seen.confidences
    if look is None:
        return Check("confidence", "cannot tell", (NotLooked("no predictions"),))
    if look.low > CALIBRATION_GAP:
        is_over = look.confidence > look.accuracy
        changes = seen.changes(Symptom.OVERCONFIDENT) if is_over else ()
        return Check("confidence", "found", (look,), prospects=changes)
    return Check("confidence", "not found" if look.error <= 2 * CALIBRATION_GAP else "cannot tell", (look,))


def _amount(seen: Observed) -> Check:
    """One training cannot show what more images would bring; half of them would (`data.images: 0.5`)."""
    per_class = seen.facts.training_images / seen.facts.classes
    return Check("amount of data", "cannot tell" if per_class < FEW_PER_CLASS else "not found", (FewImages(per_class),))
