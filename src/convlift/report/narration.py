"""From a judged campaign to its story, and from the ledger back to the page."""

import base64
import io
import json
import platform
from dataclasses import asdict, replace
from importlib.metadata import version
from typing import Any

import numpy as np
from numpy.typing import NDArray

from convlift.data.dataset import Dataset
from convlift.errors import LedgerError
from convlift.evidence.metrics import Metric, metric_named
from convlift.ledger.ledger import Ledger
from convlift.ledger.records import TrialRecord as LedgerRecord
from convlift.outcome import EpochReport, Estimate, Finding, Result, Verdict
from convlift.recipe import parse_recipe
from convlift.report.story import Choice, FoldStory, HardImage, HeldBack, Story, TrialRecord

HARD_IMAGES = 12

Labels = NDArray[np.int64]


def tell(
    ledger: Ledger, finals: list[LedgerRecord], dataset: Dataset, test_labels: Labels, more: dict[str, Any]
) -> dict[str, Any]:
    """What the page needs and the trials do not hold, as plain data for the ledger; finals: the runs of the
    shipped recipe that count; test_labels: just opened.

    more: start_recipe, minimum_detectable_points and environment, passed on as they are.
    """
    pilots = [r for r in ledger.trials("pilot") if r.status == "finished"]
    splits, classes = dataset.splits, len(dataset.classes)
    confusion = sum((_confusion(r, test_labels, classes) for r in finals), np.zeros((classes, classes), np.int64))
    before = sum((_confusion(r, test_labels, classes) for r in pilots), np.zeros((classes, classes), np.int64))
    train, validation = dataset.labels[splits.train], dataset.labels[splits.validation]
    counts = {"train": train, "validation": validation, "test": test_labels}
    return {
        "classes": list(dataset.classes),
        "confusion": confusion.tolist(),
        "baseline_recall": _recall(before),
        "final_recall": _recall(confusion),
        "class_counts": {name: np.bincount(labels, minlength=classes).tolist() for name, labels in counts.items()},
        "hard_images": _hard_images(finals[0], dataset, test_labels),
        "validation_labels": validation.tolist(),
        **more,
    }


def story_of(ledger: Ledger) -> Story:
    """The story of a finished campaign. Raises LedgerError where it is not finished."""
    told = ledger.recall("story")
    frozen = ledger.recall("freeze")
    if told is None or frozen is None:
        raise LedgerError(f"{ledger.folder} holds a campaign that is not finished; run improve again to continue it.")
    labels, metric = np.array(told["validation_labels"]), metric_named(ledger.identity.metric)
    return Story(
        shipped_recipe=parse_recipe(frozen["recipe"]).to_yaml(),
        baseline_recipe=ledger.identity.baseline.to_yaml(),
        start_recipe=told["start_recipe"],
        classes=tuple(told["classes"]),
        confusion=np.array(told["confusion"], np.int64),
        baseline_recall=tuple(_nan(value) for value in told["baseline_recall"]),
        final_recall=tuple(_nan(value) for value in told["final_recall"]),
        class_counts={name: tuple(counts) for name, counts in told["class_counts"].items()},
        trials=_trials(ledger, told.get("trials", []), (labels, metric)),
        baseline_curve=_curve(ledger.trials("pilot")),
        final_curve=_curve(ledger.trials("final")),
        hard_images=tuple(
            HardImage(base64.b64decode(i["png"]), i["true_class"], i["predicted_class"], i["confidence"])
            for i in told["hard_images"]
        ),
        held_back=held_back(ledger.recall("guard")),
        choice=_choice(ledger),
        minimum_detectable_points=told["minimum_detectable_points"],
        folds=tuple(
            FoldStory(**{**fold, "shipped": tuple(fold["shipped"]), "gain": Estimate(**fold["gain"])})
            for fold in told.get("folds", [])
        ),
        environment=told["environment"],
    )


def result_of(ledger: Ledger) -> Result:
    """The result of a finished campaign. Raises LedgerError where it is not finished."""
    kept = ledger.recall("result")
    if kept is None:
        raise LedgerError(f"{ledger.folder} holds a campaign that is not finished; run improve again to continue it.")
    return Result(
        **{
            **kept,
            "baseline": Estimate(**kept["baseline"]),
            "final": Estimate(**kept["final"]),
            "gain_points": Estimate(**kept["gain_points"]),
            "verdicts": tuple(Verdict(**verdict) for verdict in kept["verdicts"]),
            "findings": tuple(Finding(**{**f, "items": tuple(f["items"])}) for f in kept["findings"]),
            "notes": tuple(kept["notes"]),
        }
    )


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
    revision = ledger.recall("revision", {"diagnosis": [], "added": []})
    added = {each["name"]: each["why"] for each in revision["added"]}
    left_out = ledger.recall("left out", {})
    return Choice(
        symptoms=tuple(ledger.recall("diagnosis", [])),
        tried=ledger.recall("why", {}),
        left_out={name: reason for name, reason in left_out.items() if name not in added},
        seen=tuple(revision["diagnosis"]),
        added=added,
    )


def held_back(fact: dict[str, Any] | None) -> tuple[HeldBack, ...]:
    """What the ledger's fact "guard" says of augmentations that were weakened or left out."""
    entries = [] if fact is None else [entry for entry in fact["asked"] if entry["reason"]]
    return tuple(HeldBack(entry["name"], entry["way"] or "", entry["reason"], **_example(entry)) for entry in entries)


def _example(entry: dict[str, Any]) -> dict[str, Any]:
    shown = entry["example"]
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


def _confusion(record: LedgerRecord, labels: Labels, classes: int) -> Labels:
    assert record.outcome is not None, "only finished trials are shown"
    said = record.outcome.test_probabilities.argmax(axis=1)
    return np.bincount(labels * classes + said, minlength=classes**2).reshape(classes, classes)


def _recall(confusion: Labels) -> list[float | None]:
    totals = confusion.sum(axis=1)
    return [float(confusion[k, k] / total) if total else None for k, total in enumerate(totals)]


def _nan(value: float | None) -> float:
    return float("nan") if value is None else value


def _curve(records: tuple[LedgerRecord, ...]) -> tuple[EpochReport, ...]:
    return next((r.outcome.curve for r in records if r.outcome is not None and r.status == "finished"), ())


def _trials(ledger: Ledger, before: list[Any], scored: tuple[Labels, Metric]) -> tuple[TrialRecord, ...]:
    """The ledger's trials; before: rows of those in the folds' own ledgers (report/folds.py), which come first."""
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


def _hard_images(record: LedgerRecord, dataset: Dataset, labels: Labels) -> list[dict[str, Any]]:
    """The test images that the shipped network gets wrong and is surest about."""
    from PIL import Image

    assert record.outcome is not None, "the shipped run has finished"
    said = record.outcome.test_probabilities
    sure = np.where(said.argmax(axis=1) == labels, -1.0, said.max(axis=1))
    found = []
    for row in np.argsort(-sure, kind="stable")[:HARD_IMAGES]:
        if sure[row] < 0:
            break
        pixels = dataset.store.image(int(dataset.splits.test[row]))
        buffer = io.BytesIO()
        Image.fromarray(pixels.squeeze(-1) if pixels.shape[2] == 1 else pixels).save(buffer, "PNG")
        found.append(
            {
                "png": base64.b64encode(buffer.getvalue()).decode(),
                "true_class": dataset.classes[labels[row]],
                "predicted_class": dataset.classes[int(said[row].argmax())],
                "confidence": float(sure[row]),
            }
        )
    return found
