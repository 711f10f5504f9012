"""The verdict on each change at the end: proven, likely, undecided or harmful, and on what it rests."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtr

from convlift.evidence.attribution import Shares
from convlift.evidence.single_changes import ChangeTests
from convlift.records.result import START, Estimate, Label, Scope, Verdict
from convlift.records.verdict_grounds import (
    Estimated,
    Ground,
    NeverOn,
    OverFolds,
    ProvenOnTheTest,
    Ruinous,
    StartedFrom,
)

# Of changes believed with more than .8 (after the test was opened) 80 to 100% truly help and 2% at most harm; of those
# under .15, 88 to 100% truly harm. Between .7 and .8 only about 65% help. Strong antagonism is the worst case (.66 to
# .80 of the likely ones help); where no change does anything, none gets either label. (200 simulated campaigns each.)
LIKELY = 0.8
HARMFUL = 0.15


@dataclass(frozen=True)
class Subject:
    """The change that a verdict is about; seconds: what the trials that had it on cost together."""

    name: str
    area: Scope
    seconds: float
    claim: str = ""
    source: str = ""


def verdicts(
    subjects: Sequence[Subject],
    on: NDArray[np.bool_],
    shipped: NDArray[np.bool_],
    shares: Shares,
    tests: ChangeTests,
    ruinous: NDArray[np.bool_],
) -> tuple[Verdict, ...]:
    """One verdict for each of K changes, in their order.

    on (R, K): what each trial switched on; shipped (K,): what the shipped recipe has on.
    ruinous (K,): changes to blame for trials that failed to learn (`group_testing.suspect`).
    """
    found = []
    for k, subject in enumerate(subjects):
        trials, chance = int(on[:, k].sum()), float(shares.probability[k])
        if ruinous[k]:
            chance = 0.0
        label = label_of(chance, proven=bool(tests.proven[k]))
        share = Estimate(float(shares.points[k]), float(shares.low[k]), float(shares.high[k]))
        reason: Ground = Estimated(len(on))
        if trials == 0:
            reason = NeverOn()
        elif ruinous[k]:
            reason = Ruinous(len(on))
        elif label == "proven":
            asked = int(tests.asked.sum())
            reason = ProvenOnTheTest(len(on), float(tests.points[k]), float(tests.holm[k]), asked)
        found.append(_verdict(subject, label, share, chance, (trials, bool(shipped[k])), reason))
    return tuple(found)


def start_verdict(subject: Subject, effect: Estimate, trials: int, *, provable: bool = True) -> Verdict:
    """The verdict on the starting point where it differs from the baseline.

    effect: `single_changes.start_effect`. Proven when its own 95% interval lies above zero: it is one contrast, fixed
        before the search, so it needs no correction for having been picked.
    provable: whether it can be, from more than one run of the baseline that all learned something and more than one
        that started from it.
    """
    sd = max((effect.high - effect.low) / 3.92, 1e-9)
    chance = float(ndtr(effect.value / sd))
    label = label_of(chance, proven=provable and effect.low > 0)
    return _verdict(subject, label, effect, chance, (trials, True), StartedFrom())


def verdicts_of_folds(folds: Sequence[Sequence[Verdict]], start: str, shipped: Collection[str]) -> tuple[Verdict, ...]:
    """One verdict for each change that any fold of a nested cross-validation searched, in the order of its first fold.

    Share and interval are the means of those folds' own: folds share most of their training images, so their mean is
    not taken to be any surer than one of them. The label goes by the mean probability; only the total
    can be proven. start: the name of the shipped recipe's start; shipped: its changes.
    """
    names = dict.fromkeys(verdict.name for fold in folds for verdict in fold)
    kept = {*shipped, f"{START}{start}"}
    return tuple(_over_folds([v for fold in folds for v in fold if v.name == name], len(folds), kept) for name in names)


def _over_folds(found: Sequence[Verdict], folds: int, kept: Collection[str]) -> Verdict:
    seen = [verdict for verdict in found if verdict.trials] or found
    share = Estimate(*(float(np.mean([getattr(v, side) for v in seen])) for side in ("points", "low", "high")))
    chance = float(np.mean([verdict.probability for verdict in seen]))
    trials, times = sum(verdict.trials for verdict in found), sum(verdict.shipped for verdict in found)
    return replace(
        found[0],
        label=label_of(chance, proven=False),
        points=share.value,
        low=share.low,
        high=share.high,
        probability=chance,
        trials=trials,
        seconds=sum(verdict.seconds for verdict in found),
        shipped=found[0].name in kept,
        reason=OverFolds(len(found), folds, times),
    )


def label_of(probability: float, *, proven: bool) -> Label:
    """proven: a change that ships and survived Holm's correction on the sealed test; else by the probability."""
    if proven:
        return "proven"
    if probability > LIKELY:
        return "likely"
    return "harmful" if probability < HARMFUL else "undecided"


def _verdict(
    subject: Subject, label: Label, share: Estimate, chance: float, use: tuple[int, bool], reason: Ground
) -> Verdict:
    trials, shipped = use
    return Verdict(
        subject.name, subject.area, label, share.value, share.low, share.high, chance, trials, subject.seconds, shipped,
        reason, subject.claim, subject.source,
    )  # fmt: skip
