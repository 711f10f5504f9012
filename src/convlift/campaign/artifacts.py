"""What a campaign leaves in its run folder: the model, the result in the ledger, and the report."""

import os
import shutil
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from convlift.campaign.judge import Judgement
from convlift.campaign.power import power_of
from convlift.data.dataset import Dataset
from convlift.deploy.model_folder import ModelConfig, write_model_folder
from convlift.evidence.metrics import ACCURACY, title_of
from convlift.evidence.plan import detectable_in_words, little_left_to_find
from convlift.evidence.reuse import flattery
from convlift.evidence.total_gain import one_network
from convlift.ledger.attempts import deaths_in_words
from convlift.ledger.ledger import Ledger
from convlift.ledger.openings import Openings, opened_in_words
from convlift.ledger.records import TrialRecord
from convlift.recipe.recipe import Recipe
from convlift.records.result import Estimate, Result
from convlift.report.findings import write_findings
from convlift.report.narration import class_scores, environment, plain, result_of, story_of, tell
from convlift.report.page import render
from convlift.report.sentences import found_in_words, shipped_network, warnings_of
from convlift.search.compared_runs import lost_runs
from convlift.search.decisions import (
    Agreement,
    GuardReport,
    LowFidelity,
    SearchNoise,
    decided,
    made,
    note,
    note_result,
    note_story,
)
from convlift.search.dispatcher import WEIGHTS, Dispatcher
from convlift.search.examine import found_of_the_baseline
from convlift.search.shipment import Shipment
from convlift.search.study import Study

REPORT = "report.html"
FEW_GROUPS = 10  # with fewer in the test the variance between them is itself a guess (see benchmarks/metrics.py)


@dataclass(frozen=True)
class Opened:
    """What the sealed test said, its labels (nt,), and who opened it before; None where that is not registered."""

    judged: Judgement
    test_labels: NDArray[np.int64]
    openings: Openings | None = None


def result_from(
    study: Study, desk: Dispatcher, dataset: Dataset, shipment: Shipment, opened: Opened | None = None
) -> Result:
    """What is said at the end, with the circumstances that a reader needs. opened: None where the sealed test stayed
    closed; the scores are then of validation images."""
    splits, trials = dataset.splits, desk.ledger.trials()
    notes = notes_of(study, desk, shipment, opened)
    if opened is not None:
        notes += metric_in_words(study, dataset, opened.test_labels)
        if study.test_groups is not None:
            notes.append(groups_in_words(study.test_groups))
        notes.append(detectable_in_words(len(splits.test), power_of(study, opened.judged)))
    return Result(
        run=str(desk.ledger.folder),
        metric=study.metric.name,
        data=dataset.name,
        baseline_name=study.baseline_name,
        start_name=shipment.frozen.start.name,
        **(_scores(opened.judged) if opened else _validation_scores(study, shipment)),
        trials=sum(record.role != "scout" for record in trials),
        seconds=desk.ledger.seconds_used(),
        budget_seconds=0.0 if study.trainings else desk.budget_seconds,
        findings=dataset.store.findings,
        notes=tuple(notes),
        counts=splits.counts,
        ships=shipment.ships,
        judged=opened is not None,
        why=shipment.why,
        shortened=shipment.shortened,
        trainings=study.trainings,
        recipe_findings=found_of_the_baseline(desk),
        opened=opened.openings.number if opened and opened.openings else 1,
    )


def _scores(judged: Judgement) -> dict[str, Any]:
    return {
        "shipped": judged.final.shipped,
        "baseline": judged.final.baseline,
        "final": judged.final.final,
        "gain_points": judged.final.gain_points,
        "proven": judged.final.proven,
        "verdicts": judged.verdicts,
        "unexplained_points": judged.unexplained_points,
        "optimism_points": judged.optimism_points,
    }


def _validation_scores(study: Study, shipment: Shipment) -> dict[str, Any]:
    def estimate(record: TrialRecord) -> Estimate:
        assert record.outcome is not None, "what ships has ended"
        points = study.image_points(record.outcome.validation_probabilities)
        return one_network(points / 100.0, study.validation_groups, lowest=study.metric.lowest)

    best = max(shipment.before, key=study.score_points, default=None)
    return {
        "baseline": estimate(best) if best else None,
        "final": estimate(shipment.network),
        "gain_points": None,
        "proven": False,
        "verdicts": (),
        "unexplained_points": 0.0,
        "optimism_points": 0.0,
    }


def notes_of(study: Study, desk: Dispatcher, shipment: Shipment, opened: Opened | None) -> list[str]:
    """What a reader should know of how the result came about."""
    trials, judged = desk.ledger.trials(), opened.judged if opened else None
    notes = [judged.warning] if judged and judged.warning else []
    notes += judged.notes if judged else ()
    if opened and opened.openings:
        flattered = flattery(opened.judged.final.shipped, opened.openings.number)
        notes += opened_in_words(opened.openings, flattered)
    if died := deaths_in_words(desk.ledger.worker_deaths()):
        notes.append(died)
    if shipment.network.status == "stopped":
        notes.append("The budget ended before a final run did: what ships was trained for less than its recipe says.")
    failed = [record.status in ("diverged", "failed") for record in trials if record.role == "pilot"]
    if judged is None and not study.trainings and study.pool is None and not (failed and all(failed)):
        notes.append("The sealed test is still closed: the same command with a longer --budget goes on.")
    if lost := lost_runs(desk.ledger, shipment.frozen.recipe):
        judging = sum(r.role in ("pilot", "final") for r in trials)
        why = lost[0].outcome.reason if lost[0].outcome else ""
        notes.append(
            f"{len(lost)} of the {judging} runs of the baseline and of the shipped recipe failed to learn ({why}). The "
            "figures are those of the others, and no gain is called proven."
        )
    tried = len(shipment.frozen.candidates)
    if tried and little_left_to_find(sum(r.role == "search" for r in trials), tried):
        notes.append("There is little left to find among these changes: a longer budget would gain next to nothing.")
    if unasked := (decided(desk.ledger, GuardReport) or GuardReport()).not_asked:
        notes.append(
            f"{len(unasked)} augmentations were not tried, since there was no time to ask whether they keep images "
            f"what they are: {', '.join(unasked)}."
        )
    if scouts := sum(r.role == "scout" for r in trials):
        asked, agreement = made(desk.ledger, LowFidelity), made(desk.ledger, Agreement)
        notes.append(_scouts_in_words(scouts, len(asked.names), agreement.correlation))
    return notes


def hand_over(
    study: Study, desk: Dispatcher, dataset: Dataset, shipment: Shipment, opened: Opened | None = None
) -> None:
    """Write the model that ships, the result and the story into the ledger, and the report."""
    judged, test_labels = (opened.judged, opened.test_labels) if opened else (None, None)
    network, ledger = shipment.network, desk.ledger
    more: dict[str, Any] = {
        "start_recipe": shipment.frozen.start.recipe.to_yaml(),
        "minimum_detectable_points": power_of(study, judged).points if judged else 0.0,
        "environment": environment(study.seed, desk.executor.capacity),
    }
    shown = list(shipment.after) if shipment.ships != "baseline" and shipment.after else [network]
    # a kill between the two leaves a story alone, and the next process may have other workers to tell of
    told = tell(ledger, shown, dataset, test_labels, more) | ({"runs": list(judged.arms)} if judged else {})
    note_story(ledger, told)
    result = replace(result_from(study, desk, dataset, shipment, opened), classes=class_scores(told))
    write_model(ledger.folder, desk.weights_of(network), network.recipe, dataset, scores_of(result))
    if judged is not None:
        note(ledger, SearchNoise(judged.search_seed_variance), replace=True)
    note_result(ledger, plain(result))
    if judged is not None or study.trainings:  # else a longer budget goes on with them
        shutil.rmtree(ledger.folder / WEIGHTS, ignore_errors=True)
    write_findings(ledger.folder, dataset.store.findings)
    write_report(ledger)


def _scouts_in_words(scouts: int, asked: int, agreement: float) -> str:
    return (
        f"Before the search {scouts} trainings of the head alone, on stored features, asked about {asked} changes. "
        f"What a change adds there correlates with what it adds in full trainings by about {agreement:.2f}, as the "
        "regression over both believes; no claim rests on them."
    )


def metric_in_words(study: Study, dataset: Dataset, test_labels: NDArray[np.int64]) -> list[str]:
    """What the metric means, and where the test has too few images of a class for it; nothing for accuracy."""
    metric = study.metric
    if metric is ACCURACY:
        return []
    said = [f"{metric.title}: {metric.meaning}. A point is a hundredth of it."]
    counts = np.bincount(test_labels, minlength=len(dataset.classes))
    if absent := [name for name, count in zip(dataset.classes, counts, strict=True) if not count]:
        said.append(f"Nothing is measured on {', '.join(map(repr, absent))}: the test has no image of it.")
    present = np.where(counts > 0, counts, counts.max())
    if present.min() < metric.least_images:
        said.append(
            f"The test has {present.min()} images of class {dataset.classes[int(present.argmin())]!r}: under "
            f"{metric.least_images} the scores' own intervals are too narrow; the gain's are not."
        )
    return said


def groups_in_words(groups: NDArray[np.int64]) -> str:
    count = len(np.unique(groups))
    few = f" {FEW_GROUPS} or more make them reliable." if count < FEW_GROUPS else ""
    return f"The {len(groups)} test images come from {count} groups, and all intervals count groups, not images.{few}"


def write_model(folder: Path, weights: Path, recipe: Recipe, dataset: Dataset, scores: dict[str, Any]) -> None:
    """The model folder of trained weights; recipe: with its resolution written down."""
    from convlift.model.checkpoint import saved_normalization  # torch comes with it

    assert recipe.data.resolution is not None, "a trained recipe has its resolution written down"
    mean, std = saved_normalization(weights)
    store = dataset.store
    config = ModelConfig(
        classes=dataset.classes,
        channels=dataset.channels,
        resolution=recipe.data.resolution,
        resize=recipe.data.resize,
        mean=mean,
        std=std,
        scores=scores,
        value_range=store.value_range,
        alpha=store.alpha,
    )
    write_model_folder(folder / "model", weights, recipe, config)


def keep_best(study: Study, desk: Dispatcher, dataset: Dataset) -> bool:
    """Write the model folder of the best network so far by validation; whether there is one. A run that was cut short
    counts only where nothing else is there."""
    saved = [r for r in desk.ledger.trials() if r.status in ("finished", "stopped") and desk.weights_of(r).is_file()]
    # of the search only the run that is believed to be the best has kept its weights, so its luck is that of one
    best = max(saved, key=lambda r: (r.status == "finished", study.score_points(r)), default=None)
    if best is None or best.outcome is None or not best.outcome.curve:
        return False
    score = f"{study.score_points(best) / 100:.4f} (unconfirmed: the sealed test is still closed)"
    write_model(
        desk.ledger.folder, desk.weights_of(best), best.recipe, dataset, {f"validation {study.metric.title}": score}
    )
    return True


def write_report(ledger: Ledger) -> Path:
    """Render the page of a finished campaign; the path of the file. Raises LedgerError where it is not finished."""
    path = ledger.folder / REPORT
    beside = path.with_name(f".{REPORT}.part")
    beside.write_text(render(result_of(ledger), story_of(ledger)), encoding="utf-8")
    os.replace(beside, path)
    return path


def scores_of(result: Result) -> dict[str, Any]:
    """The figures of the model card."""
    title = title_of(result.metric)
    more = {"note": shipped_network(result)} if shipped_network(result) else {}
    more |= {f"warning {number}": said for number, said in enumerate(warnings_of(result), 1)}
    if not result.judged or result.baseline is None or result.gain_points is None:
        images = f"{result.counts['validation']} validation images, by which it was chosen"
        said = {f"{title} on {images}": in_words(result.final), "not judged": result.why}
        return said | ({f"{title} of the baseline there": in_words(result.baseline)} if result.baseline else {}) | more
    gain = result.gain_points
    said = {
        f"{title} on {result.counts['test']} sealed test images": in_words(result.final),
        f"{title} of the baseline there": in_words(result.baseline),
        "gain in points": f"{gain.value:+.1f} (95% interval {gain.low:+.1f} to {gain.high:+.1f}), "
        f"{found_in_words(result)}",
    }
    return said | more


def in_words(estimate: Estimate) -> str:
    """A score with its interval."""
    return f"{estimate.value:.3f} (95% interval {estimate.low:.3f} to {estimate.high:.3f})"
