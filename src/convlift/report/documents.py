"""What `--json` prints and programs read: a result, a plan, one training, as one JSON document each."""

import math
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from convlift.records.result import (
    AdaptedScore,
    Claim,
    ClassScore,
    EffectUnderShift,
    Estimate,
    NetworkGain,
    Result,
    ShiftGain,
    Verdict,
)
from convlift.report.page_records import TrainingStory
from convlift.report.wording.choice_of_changes import not_tried_in_words, why_in_words
from convlift.report.wording.diagnoses import sentence
from convlift.report.wording.headline import headline, shortened_phrase, warnings_of, why_sentence
from convlift.report.wording.note_sentences import note_sentence
from convlift.report.wording.plan_sentences import applied_document
from convlift.report.wording.power_sentence import power_sentence
from convlift.report.wording.recipe_faults import finding_in_words
from convlift.report.wording.start_changes import changes_of_start

if TYPE_CHECKING:
    from convlift.campaign.dry_run import Preview, StartPreview

SCHEMA_VERSION = 1
RESULT_VERSION = 2  # of `result_document`


def result_document(result: Result) -> dict[str, Any]:
    """Plain data for `json.dumps`; a figure that is not finite becomes null, since JSON has no NaN.

    Scores and what a class has right are in [0, 1]; `points`, and the bounds beside them, are percentage points; times
    are seconds. `baseline`, `final`, `gain` and `proven` are what the headline speaks of: the two networks, with folds
    the procedure.
    """
    claim = result.claim
    before, after = (claim.baseline, claim.final) if claim else (result.baseline, result.final)
    return {
        "schema_version": RESULT_VERSION,
        "run": result.run,
        "data": result.data,
        "metric": result.metric,
        "headline": headline(result),
        "judged": result.judged,
        "proven": result.is_better,
        "ships": result.ships,
        "why": why_sentence(result.why, result.goal) if result.why else "",
        "shortened": shortened_phrase(result.shortened) if result.shortened else "",
        "baseline_name": result.baseline_name,
        "start_name": result.start_name,
        "baseline": _estimate("score", before) if before else None,
        "final": _estimate("score", after),
        "gain": _estimate("points", claim.gain_points) if claim else None,
        "differing": _differing(result.network) if result.network else None,
        "recipe": _recipe(result.recipe_claim) if result.recipe_claim else None,
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
        **({"goal": result.goal} if result.goal != "clean" else {}),
        **({"effects": [_effect(each) for each in result.effects]} if result.effects else {}),
        **({"shifted": [_shift(each) for each in result.shifts]} if result.shifts else {}),
        **({"plan": applied_document(result.plan)} if result.plan else {}),
        **({"folds": result.folds} if result.folds else {}),
    }


def _differing(network: NetworkGain) -> dict[str, float | None]:
    """How many images only one of the two networks has right; null where that is no question."""
    return {"won": network.won, "lost": network.lost, "p_value": network.p_value}


def _recipe(claim: Claim) -> dict[str, Any]:
    """Of the recipe, trained again; scores are means over runs."""
    return {
        "baseline": _estimate("score", claim.baseline),
        "final": _estimate("score", claim.final),
        "gain": _estimate("points", claim.gain_points),
        "proven": claim.proven,
    }


def _shift(found: ShiftGain) -> dict[str, Any]:
    """Of the two networks on shifted images; null figures where there was nothing to score."""
    gain = found.gain
    return {
        "kind": found.kind,
        "source": found.source,
        "images": found.images,
        "copies": found.copies,
        "baseline": _estimate("score", gain.baseline) if gain else None,
        "final": _estimate("score", gain.final) if gain else None,
        "gain": _estimate("points", gain.gain_points) if gain else None,
        "corruptions": list(found.corruptions),
        "trained_on": list(found.trained_on),
        "copied": found.copied,
        "fault": found.fault,
        "adapted": _adapted(found.adapted) if found.adapted else None,
        "ungrouped": found.ungrouped,
        "by_corruption": [asdict(each) for each in found.by_corruption],
    }


def _effect(found: EffectUnderShift) -> dict[str, Any]:
    """What a shipped change is believed to add on clean validation images, and on corrupted copies of them."""
    both = {"clean": _estimate("points", found.clean), "shifted": _estimate("points", found.shifted)}
    return {"name": found.name, **both}


def _adapted(score: AdaptedScore) -> dict[str, Any]:
    """Of what ships with batch norms adapted to the shifted images, beside itself as it was trained."""
    return {
        "pseudo_images": score.pseudo_images,
        "images": score.images,
        "as_trained": _estimate("score", score.as_trained),
        "adapted": _estimate("score", score.adapted),
        "gain": _estimate("points", score.gain_points),
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


def plan_document(plan: "Preview") -> dict[str, Any]:
    """Plain data for `json.dumps`: times in seconds, expectations in points."""
    return {
        "schema_version": SCHEMA_VERSION,
        "data": plan.data,
        "images": plan.counts,
        "images_per_class": dict(zip(plan.classes, plan.images_per_class, strict=True)),
        "resolution": plan.resolution,
        "channels": plan.channels,
        "findings": [asdict(finding) for finding in plan.findings],
        "metric": plan.metric,
        "budget_seconds": None if plan.trainings else plan.budget_seconds,
        "trainings": plan.trainings,
        "workers": plan.workers,
        "device": plan.device,
        "folds": plan.folds,
        "fold_seconds": plan.fold_seconds,
        "detectable": power_sentence(plan.detectable),
        "starts": [_start(start) for start in plan.starts],
        **({"goal": plan.goal, "copies": asdict(plan.copies)} if plan.copies else {}),
    }


def _start(start: "StartPreview") -> dict[str, Any]:
    return {
        "name": start.name,
        "reason": start.reason,
        "recipe": start.recipe.model_dump(),
        "seconds_first": start.first_seconds,
        "seconds": start.seconds,
        "trainings": start.trainings,
        "searches": start.searches,
        "pilots": start.baselines,
        "finals": start.finals,
        "candidates": [
            {
                "name": c.name,
                "area": c.area,
                "expected_points": c.prior,
                "cost": c.cost,
                "why": why_in_words(c.why),
                "claim": c.intervention.claim,
            }
            for c in start.candidates
        ],
        "left_out": [
            {"name": each.name, "area": each.area, "reason": not_tried_in_words(each.reason)} for each in start.left_out
        ],
    }


def training_document(story: TrainingStory) -> dict[str, Any]:
    """Plain data for `json.dumps`: what `convlift train --json` prints. Scores are in [0, 1]."""
    return {
        "schema_version": SCHEMA_VERSION,
        "run": story.run,
        "data": story.data,
        "metric": story.metric,
        "validation": {"score": story.score.value, "low": story.score.low, "high": story.score.high},
        "seconds": story.seconds,
        "images": dict(story.counts),
        "classes": [
            {"name": each.name, "images": each.images, "score": each.final, "predicted": each.predicted}
            for each in story.classes
        ],
        "diagnosis": [sentence(each) for each in story.diagnosis],
        "suspicions": [finding_in_words(each) for each in story.suspicions],
        "probes": [finding_in_words(each) for each in story.confirmed],
        "warnings": [story.warning] if story.warning else [],
        "findings": [asdict(finding) for finding in story.findings],
        **({"plan": applied_document(story.plan)} if story.plan else {}),
    }
