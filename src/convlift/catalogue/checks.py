"""The causes that are looked at where a training is to be explained: each with its figures and its verdict.

A cause is *found* where its figures show it beyond twice their standard error; *suspected* where they accuse a lever of
the recipe that only a second training can convict (decision 0022); *not found*; or it *cannot be told*, from so few
images or beside another fault.
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Literal

from convlift.catalogue.accusations import Accusation
from convlift.catalogue.observed import Observed, Tried
from convlift.catalogue.prospects import Prospect, best, undoing
from convlift.records.evidence_of_checks import (
    Beside,
    LossAtEnd,
    LossCourse,
    NotSwitchedOn,
    RecallBySize,
    Shown,
    StepsAnEpoch,
    TriedWithout,
)
from convlift.records.recipe_findings import (
    FewEpochs,
    OverAugmented,
    OverRegularized,
    OversizedBatches,
    RecipeFinding,
    WrongLearningRate,
)

Cause = Literal[
    "learning rate", "training length", "augmentation", "regularization", "batch size", "overfitting", "underfitting",
    "labels", "copies", "shortcuts", "resolution", "classes", "confidence", "amount of data",
]  # fmt: skip
Verdict = Literal["found", "suspected", "not found", "cannot tell"]


@dataclass(frozen=True)
class Check:
    """A cause that was looked at. shown: the figures; finding: of the recipe's lever, where one is at fault or accused;
    prospects: what to change, the most promising first."""

    cause: Cause
    verdict: Verdict
    shown: tuple[Shown, ...]
    finding: RecipeFinding | None = None
    prospects: tuple[Prospect, ...] = ()

    @property
    def is_fault(self) -> bool:
        """Whether there is something to do about it."""
        return self.verdict in ("found", "suspected")

    @property
    def is_measured(self) -> bool:
        """Whether a second training has shown what undoing it brings."""
        return any(each.basis == "measured" for each in self.prospects)


LEVERS: dict[type, Cause] = {
    WrongLearningRate: "learning rate",
    FewEpochs: "training length",
    OverAugmented: "augmentation",
    OverRegularized: "regularization",
    OversizedBatches: "batch size",
}


def checks_of_recipe(seen: Observed) -> tuple[Check, ...]:
    """A check of each lever that a training can accuse. Where a second training has convicted one, the others cannot be
    told beside it; where it has acquitted one, the next is suspected."""
    accused = {LEVERS[type(each.fault)]: each for each in reversed(seen.accusations)}
    found = [_check(cause, accused.get(cause), seen) for cause in LEVERS.values()]
    convicted = next((each for each in found if each.verdict == "found"), None)
    if convicted is None:
        # what the first accusation explains is no evidence for the next ones
        first = next((each for each in seen.accusations if not _is_acquitted(each, seen.tried)), None)
        main = LEVERS[type(first.fault)] if first else None
    else:
        main = convicted.cause
    return tuple(_beside(each, main) for each in found)


def _beside(check: Check, main: Cause | None) -> Check:
    if check.verdict != "suspected" or main in (None, check.cause):
        return check
    return replace(check, verdict="cannot tell", shown=(*check.shown, Beside(str(main))), finding=None, prospects=())


def _is_acquitted(accusation: Accusation, tried: Tried | None) -> bool:
    return tried is not None and tried.fault == accusation.fault and tried.found is None


def _check(cause: Cause, accused: Accusation | None, seen: Observed) -> Check:
    if accused is None:
        return Check(cause, "not found", tuple(_nothing(cause, seen)))
    tried = seen.tried
    if tried is None or tried.fault != accused.fault:
        return Check(cause, "suspected", (accused.evidence,), accused.suspected, (undoing(accused, accused.name),))
    shown = (accused.evidence, TriedWithout(tried.with_it, tried.without_it))
    if tried.found is None:
        return Check(cause, "not found", shown)
    return Check(cause, "found", shown, tried.found, (undoing(accused, accused.name, tried.found, tried.error),))


def _nothing(cause: Cause, seen: Observed) -> Iterator[Shown]:
    """What speaks for a lever that nothing accuses."""
    curve, size = seen.curve, seen.recipe.training.batch_size
    if cause == "learning rate" and curve:
        import math

        yield LossCourse(seen.outcome.curve[0].train_loss, curve[-1].train_loss, math.log(seen.facts.classes))
    elif cause == "training length" and len(curve) > 1:
        back = max(1, len(curve) // 3)
        yield LossAtEnd(curve[-1 - back].validation_loss, curve[-1].validation_loss, back)
    elif cause == "batch size":
        yield StepsAnEpoch(size, max(1, seen.facts.training_images // size))
    elif cause in ("augmentation", "regularization"):
        is_on = cause == "augmentation" and seen.recipe.data.augmentation.active
        if not is_on:
            yield NotSwitchedOn()
        elif seen.plain:
            yield seen.plain


# a score that is not of unseen images comes before all that it says; then what was measured; then what may be worth
# tens of points, and what is worth less by itself
_FIRST: tuple[Cause, ...] = (
    "copies", "learning rate", "augmentation", "regularization", "batch size", "training length", "labels",
    "resolution", "shortcuts", "classes", "underfitting", "overfitting", "confidence", "amount of data",
)  # fmt: skip


def ranked(checks: tuple[Check, ...]) -> tuple[Check, ...]:
    """The faults, what is most worth mending first: where the score itself is wrong; by what a second training has
    measured; levers and data, whose worth nobody knows beforehand; then the rest by what is expected of a change."""

    def key(check: Check) -> tuple[int, float, int]:
        place = _FIRST.index(check.cause)
        if check.cause == "copies":
            return 0, 0.0, place
        if check.is_measured or (check.verdict == "found" and check.finding is not None):
            return 1, -best(check.prospects), place
        is_uneven = any(isinstance(each, RecallBySize) for each in check.shown)
        if place < _FIRST.index("shortcuts") or is_uneven:
            return 2, 0.0, place
        return 3, -best(check.prospects), place

    return tuple(sorted((check for check in checks if check.is_fault), key=key))
