"""From a judged campaign to its story, and from the ledger back to the page."""

import base64
import json
import math
import platform
from collections.abc import Iterable, Sequence
from dataclasses import asdict, replace
from functools import cache
from importlib.metadata import version
from typing import Any, NamedTuple

import numpy as np
import yaml
from numpy.typing import NDArray
from pydantic import TypeAdapter

from convlift.data.dataset import Dataset
from convlift.errors import LedgerError
from convlift.evidence.metrics import Metric, metric_named
from convlift.ledger.ledger import Ledger
from convlift.ledger.records import Role
from convlift.ledger.records import TrialRecord as LedgerRecord
from convlift.recipe.recipe import Recipe, parse_recipe
from convlift.records.outcome import NO_PROBABILITIES, EpochReport
from convlift.records.result import START, ClassScore, Estimate, Result, Verdict
from convlift.report.hard_images import hard_images
from convlift.report.story import Choice, FoldStory, HardImage, HeldBack, Story, TrialRecord
from convlift.report.wording.recipe_differences import differences
from convlift.search.decisions import (
    AskedAbout,
    Examination,
    Freeze,
    GuardReport,
    Revision,
    Shipped,
    Shortlist,
    decided,
    result,
    story,
)

Labels = NDArray[np.int64]
Facts = dict[str, Any]  # plain data for the ledger


def tell(
    ledger: Ledger, shipped_runs: Sequence[LedgerRecord], dataset: Dataset, test_labels: Labels | None, more: Facts
) -> Facts:
    """What the page needs and the trials do not hold, as plain data for the ledger.

    shipped_runs: the runs of what ships that count, the shipped network's among them; test_labels: just opened, or None
    where the sealed test stays closed: then all that is shown is of the validation images.
    more: start_recipe, minimum_detectable_points and environment, passed on as they are.
    """
    splits, classes = dataset.splits, len(dataset.classes)
    train, validation = dataset.labels[splits.train], dataset.labels[splits.validation]
    counts = {"train": train, "validation": validation}
    if test_labels is None:
        seen = Seen(splits.validation, validation, is_test=False)
    else:
        seen, counts = Seen(splits.test, test_labels), {**counts, "test": test_labels}
    baselines, network = _baseline_runs(ledger), _network(ledger, shipped_runs)
    confusion, before = (_confusions(runs, seen, classes) for runs in (shipped_runs, baselines))
    return {
        "classes": list(dataset.classes),
        "confusion": confusion.tolist() if shipped_runs else [],
        "baseline_recall": _recall(before),
        "final_recall": _recall(confusion),
        "predicted": _confusions([network] if network else [], seen, classes).sum(axis=0).tolist(),
        "class_counts": {name: np.bincount(labels, minlength=classes).tolist() for name, labels in counts.items()},
        "hard_images": _hard_images(network, dataset, seen) if network else [],
        "validation_labels": validation.tolist(),
        "curves_of": [_id_with_curve(baselines), _id_with_curve([network] if network else [])],
        "runs": [len(baselines), len(shipped_runs)],
        **more,
    }


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
        trials=_trials(ledger, told.get("trials", []), (labels, metric)),
        baseline_curve=_curve(ledger, before, "pilot"),
        final_curve=_curve(ledger, after, "final"),
        hard_images=tuple(
            HardImage(base64.b64decode(i["png"]), i["true_class"], i["predicted_class"], i["confidence"])
            for i in told["hard_images"]
        ),
        held_back=held_back(decided(ledger, GuardReport) or GuardReport()),
        choice=_choice(ledger),
        minimum_detectable_points=told["minimum_detectable_points"],
        folds=tuple(map(_fold, told.get("folds", []))),
        environment=told["environment"],
        baseline_runs=counted[0],
        final_runs=counted[1],
        baseline_diagnosis=(decided(ledger, Examination) or Examination()).symptoms,
    )


def result_of(ledger: Ledger) -> Result:
    """The result of a finished campaign. Raises LedgerError where it is not finished."""
    kept = result(ledger)
    if kept is None:
        raise LedgerError(f"{ledger.folder} holds a campaign that is not finished; run improve again to continue it.")
    told = story(ledger) or {}
    found = _results().validate_python(kept)
    verdicts = tuple(_with_changes(each, ledger.identity.baseline, told) for each in found.verdicts)
    return replace(found, verdicts=verdicts, classes=class_scores(told))


@cache
def _results() -> TypeAdapter[Result]:
    return TypeAdapter(Result)  # takes milliseconds, which commands that show no result need not wait for


def class_scores(told: Facts) -> tuple[ClassScore, ...]:
    """The scores a class from what `tell` gave; () where it had none."""
    if "predicted" not in told:
        return ()
    images = told["class_counts"].get("test", told["class_counts"]["validation"])
    columns = (told["classes"], images, told["baseline_recall"], told["final_recall"], told["predicted"])
    return tuple(ClassScore(*row) for row in zip(*columns, strict=True))


def _fold(told: Facts) -> FoldStory:
    gain = Estimate(**told["gain"]) if told["gain"] else Estimate(math.nan, math.nan, math.nan)
    return FoldStory(**{**told, "shipped": tuple(told["shipped"]), "baseline": _nan(told["baseline"]), "gain": gain})


def _with_changes(verdict: Verdict, baseline: Recipe, told: Facts) -> Verdict:
    """A start's verdict with what the start changes: it is a whole recipe, not only a network."""
    if not verdict.name.startswith(START) or verdict.changes or not told.get("start_recipe"):
        return verdict
    start = parse_recipe(yaml.safe_load(told["start_recipe"]))
    return replace(verdict, area="recipe", changes=differences(baseline, start))


def plain(result: Result) -> dict[str, Any]:
    """The result as plain data; `result_of` gives it back."""
    document: dict[str, Any] = json.loads(json.dumps(asdict(result)))
    return document


def environment(seed: int, workers: int) -> dict[str, str]:
    """What a rerun needs to know."""
    packages = ", ".join(f"{name} {version(name)}" for name in ("convlift", "torch", "timm", "numpy"))
    return {
        "software": f"Python {platform.python_version()}, {packages}",
        "machine": f"{platform.system()} {platform.machine()}",
        "workers": f"{workers} processes of one thread each",
        "seed": str(seed),
    }


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
    entries = [entry for entry in report.asked if entry.reason]
    return tuple(HeldBack(entry.name, entry.way or "", entry.reason, **_example(entry)) for entry in entries)


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


class Seen(NamedTuple):
    """The images that are shown: their indices and labels, and whether they are the sealed test's."""

    indices: NDArray[np.int64]
    labels: Labels
    is_test: bool = True

    def of(self, record: LedgerRecord) -> NDArray[np.float32]:
        """What a run says of them (n, K); empty where it said nothing."""
        if record.outcome is None:
            return NO_PROBABILITIES
        return record.outcome.test_probabilities if self.is_test else record.outcome.validation_probabilities


def _shipped(ledger: Ledger) -> LedgerRecord | None:
    """The trial whose network ships, where the ledger says which."""
    kept = decided(ledger, Shipped)
    return ledger.trial(kept.network) if kept else None


def _network(ledger: Ledger, runs: Sequence[LedgerRecord]) -> LedgerRecord | None:
    return _shipped(ledger) or next(iter(runs), None)


def _baseline_runs(ledger: Ledger) -> list[LedgerRecord]:
    """The baseline's runs that were judged; where the ledger does not say which, those that ended."""
    kept = decided(ledger, Shipped)
    if kept:
        return [ledger.trial(number) for number in kept.before]
    return [record for record in ledger.trials("pilot") if record.status == "finished"]


def _confusions(runs: Iterable[LedgerRecord], seen: Seen, classes: int) -> Labels:
    """(K, K): over all runs; zeros where there is none."""
    found = np.zeros((classes, classes), np.int64)
    for said in (seen.of(record) for record in runs):
        if len(said) == len(seen.labels):
            cells = seen.labels * classes + said.argmax(axis=1)
            found += np.bincount(cells, minlength=classes**2).reshape(classes, classes)
    return found


def _id_with_curve(records: Iterable[LedgerRecord]) -> int | None:
    return next((r.id for r in records if r.has_trained), None)


def _recall(confusion: Labels) -> list[float | None]:
    totals = confusion.sum(axis=1)
    return [float(confusion[k, k] / total) if total else None for k, total in enumerate(totals)]


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


def _trials(ledger: Ledger, before: list[Any], scored: tuple[Labels, Metric]) -> tuple[TrialRecord, ...]:
    """The ledger's trials; before: rows of those in the folds' own ledgers (`fold_tables.py`), which come first."""
    found = [
        TrialRecord(number, role, tuple(changes), _nan(score), status, seconds)
        for number, (role, changes, score, status, seconds) in enumerate(before, 1)
    ]
    own = [_trial(record, *scored) for record in ledger.trials() if record.outcome is not None]
    return (*found, *(replace(each, number=each.number + len(found)) for each in own))


def _trial(record: LedgerRecord, validation_labels: Labels, metric: Metric) -> TrialRecord:
    outcome = record.outcome
    assert outcome is not None, "trials that have not ended are left out"
    said = outcome.validation_probabilities
    score = metric.score(said, validation_labels) if len(said) else float("nan")
    return TrialRecord(record.id, record.role, record.names, score, outcome.status, outcome.seconds)


def _hard_images(record: LedgerRecord, dataset: Dataset, seen: Seen) -> list[Facts]:
    """The images that the shipped network gets wrong and is surest about."""
    said = seen.of(record)
    return hard_images(said, dataset, seen.indices, seen.labels) if len(said) == len(seen.labels) else []
