"""The story of a nested cross-validation, from those of its folds."""

import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from convlift.campaign.page_material import HARD_IMAGES, page_material
from convlift.data.dataset import Dataset
from convlift.evidence.metrics import Metric, metric_named
from convlift.evidence.temperature import as_it_ships
from convlift.ledger.ledger import read_ledger
from convlift.ledger.trials import TrialRecord
from convlift.records.result import Result
from convlift.search.decisions import Shipped, made
from convlift.search.result_in_ledger import result_of, story

End = tuple[Path, Dataset, NDArray[np.int64]]


def material_of_folds(ends: Sequence[End], whole: Dataset, validation_labels: NDArray[np.int64]) -> dict[str, Any]:
    """What the page needs, as plain data for the ledger: tables over the test images of all folds, which are all
    images; every fold's trials and figures. ends: of every fold its run folder, data set and test labels, which are
    open by now; validation_labels: of what ships."""
    folders = [folder for folder, _, _ in ends]
    read = [_read(end) for end in ends]
    results, stories = [result for result, _ in read], [material for _, material in read]
    tested = np.array([story["class_counts"]["test"] for story in stories])
    confusions = [np.array(story["confusion"], float) for story in stories]
    # a fold with more final runs counts no more than the others
    confusion = sum(each * (counts.sum() / each.sum()) for each, counts in zip(confusions, tested, strict=True))
    images = [image for story in stories for image in story["hard_images"]]
    train, classes = whole.splits.train, len(whole.classes)
    return {
        "classes": list(whole.classes),
        "confusion": np.rint(confusion).astype(int).tolist(),
        "baseline_recall": _over_folds([story["baseline_recall"] for story in stories], tested),
        "predicted": np.rint(confusion.sum(axis=0)).astype(int).tolist(),
        "final_recall": _over_folds([story["final_recall"] for story in stories], tested),
        "class_counts": {
            "train": np.bincount(whole.labels[train], minlength=classes).tolist(),
            "validation": np.bincount(validation_labels, minlength=classes).tolist(),
            "test": tested.sum(axis=0).tolist(),
        },
        "hard_images": sorted(images, key=lambda image: -image["confidence"])[:HARD_IMAGES],
        "validation_labels": validation_labels.tolist(),
        "trials": [row for folder in folders for row in _trials(folder)],
        "folds": [
            {
                "start": result.start_name,
                "images": result.counts["test"],
                "shipped": [verdict.name for verdict in result.verdicts if verdict.shipped],
                **_figures(result),
            }
            for result in results
        ],
    }


def _figures(result: Result) -> dict[str, Any]:
    """Of a fold's two networks; of validation images where nothing was judged."""
    claim = result.claim
    if claim is None:
        return {
            "baseline": result.baseline.value if result.baseline else None,
            "final": result.final.value,
            "gain": None,
        }
    return {"baseline": claim.baseline.value, "final": claim.final.value, "gain": vars(claim.gain_points)}


def _read(end: End) -> tuple[Result, dict[str, Any]]:
    """A fold's result, and what its page is made of; of its test images in any case."""
    folder, dataset, labels = end
    with read_ledger(folder) as ledger:
        result, kept = result_of(ledger), made(ledger, Shipped)
        # where its baseline ships its own page is of the validation images; else of its two networks
        runs = [ledger.trial(run) for run in (kept.after if result.judged else kept.before)]
        return result, page_material(ledger, runs, dataset, labels, {}, of_runs=True)


def _over_folds(recalls: list[list[float | None]], tested: NDArray[np.int64]) -> list[float | None]:
    """Recall of each class over all folds' images of it, from those of the folds; None where there are none."""
    found: list[float | None] = []
    for label in range(tested.shape[1]):
        parts = [(fold[label], count) for fold, count in zip(recalls, tested[:, label], strict=True)]
        known = [(recall, count) for recall, count in parts if recall is not None and count]
        total = sum(count for _, count in known)
        found.append(float(sum(recall * count for recall, count in known) / total) if total else None)
    return found


def _trials(folder: Path) -> list[list[Any]]:
    """A fold's trials as rows: role, changes, score, status, seconds."""
    with read_ledger(folder) as ledger:
        labels, metric = np.array((story(ledger) or {})["validation_labels"]), metric_named(ledger.identity.metric)
        return [_row(record, labels, metric) for record in ledger.trials() if record.outcome is not None]


def _row(record: TrialRecord, validation_labels: NDArray[np.int64], metric: Metric) -> list[Any]:
    outcome = record.outcome
    assert outcome is not None, "trials that have not ended are left out"
    probabilities = as_it_ships(metric, outcome.validation_probabilities, validation_labels)
    score = metric.score(probabilities, validation_labels) if len(probabilities) else math.nan
    known = None if math.isnan(score) else score
    return [record.role, list(record.names), known, outcome.status, outcome.seconds]
