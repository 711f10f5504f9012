"""The result as one JSON document: what `--json` prints and programs read."""

import math
from dataclasses import asdict
from typing import Any

from convlift.records.result import ClassScore, Estimate, Result, Verdict
from convlift.report.wording.headline import conclusion, headline, shortened_phrase, warnings_of, why_sentence
from convlift.report.wording.note_sentences import note_sentence
from convlift.report.wording.recipe_faults import finding_in_words
from convlift.report.wording.start_changes import changes_of_start

SCHEMA_VERSION = 1


def document(result: Result) -> dict[str, Any]:
    """Plain data for `json.dumps`; a figure that is not finite becomes null, since JSON has no NaN.

    Scores and what a class has right are in [0, 1]; `points`, and the bounds beside them, are percentage points; times
    are seconds.
    """
    return {
        "schema_version": SCHEMA_VERSION,
        "run": result.run,
        "data": result.data,
        "metric": result.metric,
        "headline": headline(result),
        "judged": result.judged,
        "proven": conclusion(result) == "better",
        "ships": result.ships,
        "why": why_sentence(result.why) if result.why else "",
        "shortened": shortened_phrase(result.shortened) if result.shortened else "",
        "baseline_name": result.baseline_name,
        "start_name": result.start_name,
        "baseline": _estimate("score", result.baseline) if result.baseline else None,
        "final": _estimate("score", result.final),
        "network": _estimate("score", result.shipped) if result.shipped else None,
        "gain": _estimate("points", result.gain_points) if result.gain_points else None,
        "changes": [_change(verdict, result) for verdict in result.verdicts],
        "unexplained_points": _number(result.unexplained_points),
        "trials": result.trials,
        "seconds": _number(result.seconds),
        "budget_seconds": _number(result.budget_seconds),
        "trainings": result.trainings,
        "optimism_points": _number(result.optimism_points),
        "opened": int(result.opened) if result.judged else 0,
        "images": dict(result.counts),
        "classes": [_class(each) for each in result.classes],
        "recipe_findings": [finding_in_words(finding) for finding in result.recipe_findings],
        "warnings": list(warnings_of(result)),
        "notes": [note_sentence(note) for note in result.notes],
        "findings": [asdict(finding) for finding in result.findings],
        **({"folds": result.folds} if result.folds else {}),
    }


def _change(verdict: Verdict, result: Result) -> dict[str, Any]:
    changes = changes_of_start(verdict, result)
    return {
        "name": verdict.name,
        "area": verdict.area,
        **_estimate("points", Estimate(verdict.points, verdict.low, verdict.high)),
        "label": verdict.label,
        "shipped": bool(verdict.shipped),
        "trials": int(verdict.trials),
        **({"changes": list(changes)} if changes else {}),
    }


def _class(score: ClassScore) -> dict[str, Any]:
    right = {"baseline": score.baseline, "final": score.final}
    known = {name: None if value is None else _number(value) for name, value in right.items()}
    return {"name": score.name, "images": int(score.images), **known, "predicted": int(score.predicted)}


def _estimate(key: str, estimate: Estimate) -> dict[str, float | None]:
    return {key: _number(estimate.value), "low": _number(estimate.low), "high": _number(estimate.high)}


def _number(value: float) -> float | None:
    # float(): a numpy scalar that slipped into a record would stop json.dumps
    return float(value) if math.isfinite(value) else None
