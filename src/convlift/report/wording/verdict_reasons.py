"""Why a change got its verdict, in sentences without a full stop."""

from typing import assert_never

from convlift.records.result import Verdict
from convlift.records.verdict_grounds import (
    Estimated,
    NeverOn,
    OverFolds,
    ProvenOnTheTest,
    Ruinous,
    StartedFrom,
    Unexplained,
)

_NEVER = "never switched on, so nothing is known of it"


def reason_in_words(verdict: Verdict) -> str:
    """What the verdict rests on, with its share and probability."""
    trials, share = verdict.trials, _share(verdict)
    match verdict.reason:
        case NeverOn():
            return _NEVER
        case Ruinous(of):
            ruined = "every run with it failed to learn, and nothing else explains that"
            return f"switched on in {trials} of {of} trials; {ruined}"
        case ProvenOnTheTest(of):
            return (
                f"switched on in {trials} of {of} trials; {_on_the_test(verdict.reason)}. Its share, {share}, also "
                "allows for interactions with other changes"
            )
        case Estimated(of):
            return f"switched on in {trials} of {of} trials; {share}; {_meaning(verdict)}"
        case StartedFrom():
            started = "the one trial" if trials == 1 else f"every one of the {trials} trials"
            return f"{started} started from it; {share}; {_meaning(verdict)}"
        case OverFolds(searched, folds, shipped):
            known = f"mean share {share}; helps with probability {verdict.probability:.2f} on average"
            return f"searched in {searched} of {folds} folds and shipped in {shipped}; {known if trials else _NEVER}"
    assert_never(verdict.reason)


def unexplained_in_words(remainder: Unexplained) -> str:
    """A warning, in one sentence."""
    return (
        f"{remainder.points:+.1f} of {remainder.total:+.1f} points are not explained by the shares: the changes work "
        "together differently from how they work one by one, so read the shares as a rough guide."
    )


def _on_the_test(ground: ProvenOnTheTest) -> str:
    asked = "one change that ships" if ground.changes == 1 else f"{ground.changes} changes that ship"
    p = f"p = {ground.p_value:.3f}" if ground.p_value >= 0.001 else "p < 0.001"
    return f"{ground.points:+.1f} points on the sealed test ({p} after correction for the {asked})"


def _share(verdict: Verdict) -> str:
    value, low, high = (round(side, 1) + 0.0 for side in (verdict.points, verdict.low, verdict.high))  # no -0.0
    return f"{value:+.1f} points, interval {low:+.1f} to {high:+.1f}"


def _meaning(verdict: Verdict) -> str:
    helps = f"helps with probability {verdict.probability:.2f}"
    if verdict.label == "proven":
        return "the interval lies above zero"
    if verdict.label == "likely":
        return f"{helps}, but the sealed test alone does not prove it"
    if verdict.label == "harmful":
        return f"{helps} only"
    return "the interval includes zero" if verdict.low < 0 < verdict.high else f"{helps}: too little to call"
