"""The causes that a diagnosis looks at, in sentences."""

import math
from typing import assert_never

from convlift.catalogue.checks import Cause, Check, Verdict
from convlift.catalogue.prospects import Prospect
from convlift.records.evidence_of_checks import (
    AuditSays,
    Beside,
    Confidences,
    CutShort,
    DetailLost,
    ImagesInBoth,
    LabelsContradicted,
    Look,
    LossAtEnd,
    LossCourse,
    NotLooked,
    NotSwitchedOn,
    PixelsSeen,
    PlainAccuracies,
    RecallBySize,
    Shown,
    StepsAnEpoch,
    TriedWithout,
)
from convlift.records.evidence_of_symptoms import Evidence
from convlift.report.wording.diagnoses import evidence_in_words
from convlift.report.wording.phrases import counted, printable, signed
from convlift.report.wording.recipe_faults import fault_in_words

CAUSES: dict[Cause, str] = {
    "learning rate": "Learning rate",
    "training length": "Length of the training",
    "augmentation": "Augmentation too strong",
    "regularization": "Regularization too strong",
    "batch size": "Batches too large",
    "overfitting": "Overfitting",
    "underfitting": "Underfitting",
    "labels": "Wrong labels",
    "copies": "Validation images that were trained on",
    "shortcuts": "Files that give the class away",
    "resolution": "Images seen too small",
    "classes": "Small or weak classes",
    "confidence": "Confidences that are not true",
    "amount of data": "Too few images",
}
VERDICTS: dict[Verdict, str] = {
    "found": "found",
    "suspected": "suspected",
    "not found": "not found",
    "cannot tell": "cannot be told",
}


def figures(check: Check) -> str:
    """What was seen of a cause, as a sentence."""
    said = "; ".join(words for shown in check.shown if (words := shown_in_words(shown)))
    return f"{said[:1].upper()}{said[1:]}.".replace("..", ".") if said else ""


def shown_in_words(shown: Shown) -> str:
    """One figure, without a full stop."""
    return look_in_words(shown) if isinstance(shown, Look) else evidence_in_words(shown)


# one case a record, all of them in one place, so that a type checker finds the one that is missing
def look_in_words(look: Look) -> str:  # noqa: C901 - one case a record
    """What was looked at beside the curve, without a full stop."""
    match look:
        case PlainAccuracies(training, validation, within):
            return (
                f"accuracy {training:.3f} on training images as they are, {validation:.3f} on validation images (apart "
                f"by {training - validation:+.3f} ± {within:.3f})"
            )
        case LossCourse(first, last, guess):
            return f"training loss goes from {first:.3f} in the first epoch to {last:.3f} (guessing: {guess:.2f})"
        case LossAtEnd(before, last, epochs):
            return f"validation loss goes from {before:.3f} to {last:.3f} in the last {counted(epochs, 'epoch')}"
        case CutShort(epochs, of):
            return f"the time given ended the training in epoch {epochs} of {of}"
        case StepsAnEpoch(size, steps):
            return f"batches of {size}, {counted(steps, 'step')} an epoch"
        case NotSwitchedOn():
            return "the recipe has none, or none beyond what is usual"
        case TriedWithout(with_it, without_it):
            return f"tried: {_score(with_it)} as it is, {_score(without_it)} with that undone, in validation"
        case Beside(cause):
            return f"{CAUSES.get(cause, cause).lower()} may be all there is to it; mend that first and look again"  # type: ignore[call-overload]
        case NotLooked(why):
            return _NOT_LOOKED[why]
        case LabelsContradicted():
            return _contradicted(look)
        case RecallBySize():
            return _by_size(look)
        case PixelsSeen(seen, native):
            return f"the network sees {seen} of {native} pixels a side"
        case DetailLost():
            return (
                f"a plain classifier on pretrained features gets {look.shrunk:.3f} right at {look.seen} pixels and "
                f"{look.whole:.3f} at full size (± {look.within:.3f})"
            )
        case ImagesInBoth():
            return _in_both(look)
        case AuditSays(message):
            return printable(message).rstrip(".")
        case Confidences():
            return _confidences(look)
    assert_never(look)


_NOT_LOOKED = {
    "no time": "nobody looked, for want of time or of the packaged pretrained weights",
    "arrays": "images that come as an array have no files to look at",
    "no predictions": "the training left no predictions to look at",
}


def _score(value: float) -> str:
    return f"{value:.3f}" if math.isfinite(value) else "failed to learn"


def _contradicted(look: LabelsContradicted) -> str:
    return (
        f"of {counted(look.images, 'image')}, {look.errors:,} are taken for another class by a classifier that never "
        f"saw them ({look.accuracy:.3f} right), {look.contradicted:,} of these as surely as it is when it is right"
    )


def _by_size(look: RecallBySize) -> str:
    sizes = f"the largest class has {look.ratio:.1f} times the training images of the smallest"
    if not look.small_images:
        return f"{sizes}; no validation image is of a small class"
    return (
        f"{sizes}; recall is {look.small:.3f} over the small classes "
        f"({counted(look.small_images, 'validation image')}) and {look.large:.3f} over the others "
        f"({look.large_images:,})"
    )


def _in_both(look: ImagesInBoth) -> str:
    if not look.shared:
        return f"none of {counted(look.images, 'validation image')} is a training image too"
    said = f"{look.shared:,} of {counted(look.images, 'validation image')} are training images too"
    if math.isfinite(look.all_of_them) and math.isfinite(look.others):
        said += f"; accuracy is {look.all_of_them:.3f} on all of them and {look.others:.3f} on the others"
    return said


def _confidences(look: Confidences) -> str:
    side = "too sure" if look.temperature > 1 else "not sure enough"
    return (
        f"calibration error {look.error:.3f} (95% interval {look.low:.3f} to {look.high:.3f}): mean confidence "
        f"{look.confidence:.3f}, accuracy {look.accuracy:.3f}; the network is {side}, and logits divided by "
        f"{look.temperature:.2f} fit best"
    )


def expectation(prospect: Prospect) -> str:
    """What a change is expected to bring, and by whose word; without a full stop."""
    if prospect.points is None or prospect.low is None or prospect.high is None:
        return "how much it brings nobody knows before it is tried"
    span = f"{signed(prospect.points)} points ({signed(prospect.low)} to {signed(prospect.high)})"
    match prospect.basis:
        case "measured":
            return f"{span} in validation, measured by one training each"
        case "campaigns":
            return f"{span} expected, from {counted(int(prospect.source), 'past campaign')}"
        case "published":
            return f"{span} expected; published: {prospect.source}"
    return f"{span} expected, a guess of the catalogue that no published figure backs"


def headline(checks: tuple[Check, ...]) -> str:
    """The answer, as one sentence. checks: the faults, ranked."""
    return answer(checks[0]) if checks else "Nothing is wrong with this training."


def answer(check: Check) -> str:
    """A fault as one sentence."""
    first = check.shown[0]
    if check.finding is not None:
        verb = "is" if check.verdict == "found" else "may be"
        return f"The recipe {verb} {fault_in_words(check.finding.fault)}."
    match check.cause, first:
        case "overfitting", PlainAccuracies(training, validation):
            train, held_out = _short(training), _short(validation)
            return f"The network overfits: {train} on training images against {held_out} on validation images."
        case "underfitting", _:
            return "The network underfits: it gets many training images wrong, too."
        case "labels", LabelsContradicted():
            return (
                f"Labels are wrong: {first.contradicted:,} of {first.images:,} images surely look like another class."
            )
        case "copies", ImagesInBoth(shared, images):
            return f"The score flatters: {shared:,} of {images:,} validation images were trained on."
        case "resolution", PixelsSeen(seen, native):
            return f"The network sees too little: {seen} of {native} pixels a side."
        case "classes", RecallBySize(_, small, _, large):
            return f"Small classes lose: {_short(small)} of their images are right, {_short(large)} of the others."
    return _ANSWERS.get(check.cause, f"{CAUSES[check.cause]}: {figures(check)}")


_ANSWERS: dict[Cause, str] = {
    "overfitting": "The network overfits.",
    "labels": "Labels are wrong.",
    "shortcuts": "The files give classes away.",
    "classes": "One class is told much worse than the others.",
    "confidence": "The network's confidences are not true.",
}


def _short(share: float) -> str:
    return f"{share:.2f}".removeprefix("0")


def no_fault(checks: tuple[Check, ...]) -> str:
    """What stands behind "nothing is wrong"."""
    untold = [CAUSES[each.cause].lower() for each in checks if each.verdict == "cannot tell"]
    said = f"{counted(len(checks), 'cause')} were looked at and none was found."
    return f"{said} Of these, {', '.join(untold)} cannot be told from this training." if untold else said


def evidence_of(check: Check) -> tuple[Evidence, ...]:
    """The figures that a training's curve and predictions gave."""
    return tuple(each for each in check.shown if not isinstance(each, Look))
