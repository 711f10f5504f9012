"""From the ledger of a campaign, or from one training, to what its page shows."""

import base64
import math
from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from convlift.campaign.page_material import hard_images, sheet_told
from convlift.campaign.train_once import Trained
from convlift.catalogue.diagnose import diagnose
from convlift.errors import LedgerError
from convlift.evidence.metrics import Metric, metric_named
from convlift.evidence.shifted_scores import points_of_copies
from convlift.evidence.temperature import as_it_ships
from convlift.ledger.ledger import Ledger
from convlift.ledger.trials import Role
from convlift.ledger.trials import TrialRecord as LedgerRecord
from convlift.recipe.recipe import parse_recipe
from convlift.records.outcome import EpochReport
from convlift.records.recipe_findings import Confirmed
from convlift.records.result import ClassScore, Estimate
from convlift.report.page_records import Choice, FoldStory, HardImage, HeldBack, Story, TrainingStory, TrialRecord
from convlift.report.wording.guard_reasons import guard_reason
from convlift.search.decisions import (
    AskedAbout,
    Examination,
    Freeze,
    GuardReport,
    Revision,
    Shipped,
    Shortlist,
    decided,
)
from convlift.search.result_in_ledger import story

Labels = NDArray[np.int64]
Facts = dict[str, Any]  # plain data for the ledger


def story_of(ledger: Ledger) -> Story:
    """The story of a finished campaign. Raises LedgerError where it is not finished."""
    told = story(ledger)
    frozen = decided(ledger, Freeze)
    if told is None:
        raise LedgerError(f"{ledger.folder} holds a campaign that is not finished; run improve again to continue it.")
    labels, metric = np.array(told["validation_labels"]), metric_named(ledger.identity.metric)
    baseline, network = ledger.identity.baseline, _shipped(ledger)
    kept = network.recipe if network else parse_recipe(frozen.recipe) if frozen else baseline
    before, after = told.get("curves_of", [None, None])
    counted = told.get("runs", [0, 0])
    return Story(
        shipped_recipe=kept.to_yaml(),
        baseline_recipe=baseline.to_yaml(),
        start_recipe=told["start_recipe"],
        classes=tuple(told["classes"]),
        confusion=np.array(told["confusion"], np.int64).reshape(-1, len(told["classes"])),
        baseline_recall=tuple(_nan(value) for value in told["baseline_recall"]),
        final_recall=tuple(_nan(value) for value in told["final_recall"]),
        class_counts={name: tuple(counts) for name, counts in told["class_counts"].items()},
        trials=_trials(ledger, told.get("trials", []), labels, metric),
        baseline_curve=_curve(ledger, before, "baseline"),
        final_curve=_curve(ledger, after, "final"),
        hard_images=_hard_images(told["hard_images"]),
        seen=sheet_told(told.get("seen")),
        held_back=held_back(decided(ledger, GuardReport) or GuardReport()),
        choice=_choice(ledger),
        minimum_detectable_points=told["minimum_detectable_points"],
        folds=tuple(map(_fold, told.get("folds", []))),
        environment=_environment(told["environment"]),
        baseline_runs=counted[0],
        final_runs=counted[1],
        baseline_diagnosis=(decided(ledger, Examination) or Examination()).symptoms,
    )


def tell_training(trained: Trained, confirmed: Sequence[Confirmed] = ()) -> TrainingStory:
    """The story of one training; first runs: findings about its recipe, where accusations were tried."""
    dataset, outcome = trained.dataset, trained.outcome
    splits, classes = dataset.splits, len(dataset.classes)
    labels, said = dataset.labels[splits.validation], outcome.validation_probabilities
    confusion = np.zeros((classes, classes), np.int64)
    pictures: list[Facts] = []
    if len(said) == len(labels) > 0:
        np.add.at(confusion, (labels, said.argmax(axis=1)), 1)
        pictures = hard_images(said, dataset, splits.validation, labels)
    totals = confusion.sum(axis=1)
    recalls = [float(confusion[k, k] / total) if total else None for k, total in enumerate(totals)]
    rows = zip(dataset.classes, totals.tolist(), recalls, confusion.sum(axis=0).tolist(), strict=True)
    return TrainingStory(
        run=str(trained.run),
        data=dataset.name,
        metric=trained.metric,
        score=trained.score,
        images=len(labels),
        seconds=outcome.seconds,
        classes=tuple(ClassScore(name, images, None, right, predicted) for name, images, right, predicted in rows),
        diagnosis=diagnose(outcome, labels, trained.recipe, trained.facts),
        suspicions=() if confirmed else tuple(each.suspected for each in trained.accusations()),
        findings=dataset.store.findings,
        counts=splits.counts,
        shown=Story(
            shipped_recipe=trained.recipe.to_yaml(),
            baseline_recipe="",
            start_recipe="",
            classes=dataset.classes,
            confusion=confusion,
            baseline_recall=(),
            final_recall=tuple(map(_nan, recalls)),
            class_counts={},
            final_curve=outcome.curve,
            hard_images=_hard_images(pictures),
        ),
        confirmed=tuple(confirmed),
        environment=trained.environment,
        plan=dataset.store.plan,
    )


def _hard_images(told: Iterable[Facts]) -> tuple[HardImage, ...]:
    return tuple(
        HardImage(base64.b64decode(each["png"]), each["true_class"], each["predicted_class"], each["confidence"])
        for each in told
    )


def _fold(told: Facts) -> FoldStory:
    gain = Estimate(**told["gain"]) if told["gain"] else Estimate(math.nan, math.nan, math.nan)
    return FoldStory(**{**told, "shipped": tuple(told["shipped"]), "baseline": _nan(told["baseline"]), "gain": gain})


def _choice(ledger: Ledger) -> Choice:
    revision, shortlist = decided(ledger, Revision) or Revision(), decided(ledger, Shortlist) or Shortlist(())
    added = {each.name: each.why for each in revision.added}
    return Choice(
        symptoms=shortlist.symptoms,
        tried=shortlist.why,
        left_out={name: reason for name, reason in shortlist.left_out.items() if name not in added},
        seen=revision.symptoms,
        added=added,
    )


def held_back(report: GuardReport) -> tuple[HeldBack, ...]:
    """The augmentations that the guard weakened or left out."""
    entries = [entry for entry in report.asked if entry.verdict != "kept"]
    return tuple(HeldBack(entry.name, entry.way or "", guard_reason(entry), **_example(entry)) for entry in entries)


def _example(entry: AskedAbout) -> dict[str, Any]:
    shown = entry.example
    if shown is None:
        return {}
    return {
        "before": base64.b64decode(shown["before"]),
        "after": base64.b64decode(shown["after"]),
        "true_class": shown["true_class"],
        "taken_for": shown["taken_for"],
        "sure_before": shown["confidence_before"],
        "sure_after": shown["confidence_after"],
    }


def _shipped(ledger: Ledger) -> LedgerRecord | None:
    """The trial whose network ships, where the ledger says which."""
    kept = decided(ledger, Shipped)
    return ledger.trial(kept.network) if kept else None


def _nan(value: float | None) -> float:
    return float("nan") if value is None else value


def _curve(ledger: Ledger, number: int | None, role: Role) -> tuple[EpochReport, ...]:
    """The curve of that trial; of the first of its role that has one, whole ones first, where no trial is named."""
    if number is not None:
        outcome = ledger.trial(number).outcome
        return outcome.curve if outcome else ()
    ended = [r for r in ledger.trials(role) if r.outcome is not None and r.outcome.curve]
    ended.sort(key=lambda record: record.status != "finished")
    return next((r.outcome.curve for r in ended if r.outcome is not None), ())


def _trials(ledger: Ledger, before: list[Any], validation_labels: Labels, metric: Metric) -> tuple[TrialRecord, ...]:
    """The ledger's trials; before: rows of those in the folds' own ledgers (`fold_tables.py`), which come first."""
    found = [
        TrialRecord(number, role, tuple(changes), _nan(score), status, seconds)
        for number, (role, changes, score, status, seconds) in enumerate(before, 1)
    ]
    own = [_trial(record, validation_labels, metric) for record in ledger.trials() if record.outcome is not None]
    return (*found, *(replace(each, number=each.number + len(found)) for each in own))


def _trial(record: LedgerRecord, validation_labels: Labels, metric: Metric) -> TrialRecord:
    outcome = record.outcome
    assert outcome is not None, "trials that have not ended are left out"
    said = as_it_ships(metric, record.unseen, validation_labels)
    score = metric.score(said, validation_labels) if len(said) else float("nan")
    copies, shifted = outcome.shifted_probabilities, float("nan")
    if len(said) and len(copies):
        shifted = float(points_of_copies(metric, copies, record.unseen, validation_labels).mean()) / 100.0
    return TrialRecord(record.id, record.role, record.names, score, outcome.status, outcome.seconds, shifted)


def _environment(kept: dict[str, str]) -> dict[str, str]:
    """What a rerun needs to know, as it is shown."""
    workers = kept.get("workers", "")
    return {**kept, "workers": f"{workers} of one thread each"} if workers else kept
