"""What a nested cross-validation leaves in its run folder: all folds judged together, the model, and the report."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from convlift.campaign.artifacts import note_likeness, scores_of, write_model
from convlift.campaign.detectable_gain import even_groups
from convlift.campaign.page_material import class_scores, environment
from convlift.campaign.request import Request
from convlift.campaign.result_notes import groups_tested, notes_of_the_metric
from convlift.data.dataset import Dataset
from convlift.data.sealed import SealedLabels
from convlift.errors import LedgerError
from convlift.evidence.image_variance import Groups
from convlift.evidence.metrics import Metric, metric_named
from convlift.evidence.pooled_folds import FoldRuns, NestedJudgement, Said, judge_folds, scores_of_folds
from convlift.evidence.power import Power, detectable
from convlift.evidence.reuse import flattery
from convlift.evidence.temperature import at_temperature
from convlift.evidence.verdicts import verdicts_of_folds
from convlift.ledger.ledger import Ledger, read_ledger
from convlift.ledger.openings import Openings, notes_of_openings, register_opening
from convlift.ledger.trials import TrialRecord
from convlift.protocols.fold_tables import material_of_folds
from convlift.records.compute_device import names_of
from convlift.records.notes import (
    FewOfAClass,
    FoldsCutShort,
    FoldShares,
    FoldStarts,
    FoldsTested,
    NoConsensus,
    Note,
    ShippedCutShort,
)
from convlift.records.result import Result
from convlift.search import decisions
from convlift.search.dispatcher import WEIGHTS
from convlift.search.fit_confidence import confidence_from, confidence_of
from convlift.search.problem import Problem
from convlift.search.result_in_ledger import note_result, note_story, result_of
from convlift.search.scores import Scores
from convlift.search.space import Configuration

FEW_OF_A_CLASS = 5  # images in a fold

End = tuple[Path, Dataset, SealedLabels]


@dataclass(frozen=True)
class Shipped:
    """What ships: its recipe, its training, and the data set that it was trained on. request: what was asked for, of
    all folds; agreed: whether it is what the folds agree on."""

    request: Request
    whole: Dataset
    frozen: Configuration
    record: TrialRecord
    agreed: bool = True


@dataclass(frozen=True)
class FinishedFold:
    """A fold that was judged: its result; what the runs of its baseline and its final runs predict for its test, and
    the test's labels (n,) and groups; what its search says of the seeds' variance; whether its final runs were cut
    short."""

    result: Result
    baselines: Said
    finals: Said
    labels: NDArray[np.int64]
    groups: Groups
    search_seed_variance: float
    cut_short: bool


def has_ended(result: Result) -> bool:
    """Whether a fold is done: judged, or with its baseline as what ships; one that lacked time goes on."""
    return result.judged or result.ships == "baseline"


def read_fold(end: End) -> FinishedFold:
    """A finished fold from its run folder. A fold in which the baseline ships gains nothing: its runs stand on both
    sides. Raises LedgerError where either side has no run."""
    folder, dataset, sealed = end
    with read_ledger(folder) as ledger:
        result, compared = result_of(ledger), decisions.made(ledger, decisions.Shipped)
        baselines = [ledger.trial(run) for run in compared.before]
        finals = baselines if result.ships == "baseline" else [ledger.trial(run) for run in compared.after]
        if not baselines or not finals:
            why = result.why.why if result.why else "no time"
            raise LedgerError(
                f"the fold in {folder} has no run of the baseline, or none of what ships: {why}. A cross-validation "
                "compares them in every fold; take fewer folds, or allow more time."
            )
        metric = metric_named(result.metric)
        arms = [
            [_said_of_the_test(metric, dataset, run) for run in runs if run.outcome is not None]
            for runs in (baselines, finals)
        ]
        noise = decisions.decided(ledger, decisions.SearchNoise) or decisions.SearchNoise(0.0)
        groups = dataset.groups_of(dataset.splits.test)
        cut_short = any(record.status == "stopped" for record in finals)
        return FinishedFold(result, arms[0], arms[1], sealed.open(), groups, noise.seed_variance, cut_short)


def _said_of_the_test(metric: Metric, dataset: Dataset, record: TrialRecord) -> NDArray[np.float32]:
    """A run's probabilities (nt, K); at its own temperature where the metric judges how sure it is."""
    assert record.outcome is not None, "it has ended"
    said = record.outcome.test_probabilities
    if not metric.of_confidence:
        return said
    own = dataset.splits.validation
    fitted = confidence_from([record.unseen], "validation", dataset.labels[own], dataset.groups_of(own))
    return at_temperature(said, fitted.temperature).astype(np.float32)


def runs_of(metric: Metric, folds: Sequence[FinishedFold]) -> list[FoldRuns]:
    """Every fold's runs on its test."""
    labels, groups = [fold.labels for fold in folds], [fold.groups for fold in folds]
    before = scores_of_folds(metric, [fold.baselines for fold in folds], labels, groups)
    after = scores_of_folds(metric, [fold.finals for fold in folds], labels, groups)
    return [
        FoldRuns(b, a, fold.groups, fold.search_seed_variance) for b, a, fold in zip(before, after, folds, strict=True)
    ]


def hand_over(problem: Problem, ledger: Ledger, shipped: Shipped, ends: Sequence[End]) -> None:
    """Judge all folds together; write the model, what the page is made of, and the result into the run folder.

    problem: of what ships; ends: every fold's folder, data set and sealed labels.
    """
    whole, frozen, record = shipped.whole, shipped.frozen, shipped.record
    folds = [read_fold(end) for end in ends]
    runs = runs_of(problem.metric, folds)
    judged = judge_folds(runs, lowest=problem.metric.lowest)
    power = power_of(whole, runs, judged)
    result = _result(problem, ledger, shipped, _Judged(folds, judged, power))
    open_ends = [(folder, dataset, fold.labels) for (folder, dataset, _), fold in zip(ends, folds, strict=True)]
    material = material_of_folds(open_ends, whole, problem.validation_labels)
    result = replace(result, classes=class_scores(material))
    write_model(
        ledger.folder / "model",
        ledger.folder / WEIGHTS / f"{record.id}.safetensors",
        frozen.recipe,
        whole,
        {**scores_of(result), "validation": Scores(problem).score_points(record) / 100},
        confidence_of(problem, ledger, record, whole.classes),
    )
    more = {
        "start_recipe": frozen.start.recipe.to_yaml(),
        "minimum_detectable_points": power.points,
        "environment": environment(shipped.request.seed, shipped.request.workers, names_of(shipped.request.devices)),
    }
    note_story(ledger, {**material, **more})
    note_result(ledger, result, replace=False)
    note_likeness(ledger.folder / "model", frozen.recipe, whole, shipped.request.devices[0])


def power_of(whole: Dataset, folds: Sequence[FoldRuns], judged: NestedJudgement) -> Power:
    """How small a gain these folds can prove, from the fewest runs that one of them had."""
    images = len(whole.store.labels)
    return Power(
        n_test=judged.effective_images,
        baselines=min(len(fold.baseline) for fold in folds),
        finals=min(len(fold.final) for fold in folds),
        image_variance=judged.image_variance,
        seed_variance=judged.seed_variance,
        groups=even_groups(images, whole.groups),
        folds=len(folds),
    )


@dataclass(frozen=True)
class _Judged:
    """All folds, judged together."""

    folds: Sequence[FinishedFold]
    judgement: NestedJudgement
    power: Power


def _result(problem: Problem, ledger: Ledger, shipped: Shipped, found: _Judged) -> Result:
    whole, frozen, folds, judged = shipped.whole, shipped.frozen, found.folds, found.judgement
    verdicts = verdicts_of_folds([fold.result.verdicts for fold in folds], frozen.start.name, frozen.names)
    weights = [len(fold.labels) for fold in folds]
    optimism = np.average([fold.result.optimism_points for fold in folds], weights=weights)
    openings = register_opening(ledger, shipped.request.cache, whole.name, whole.store.hashes)
    short = next((fold.result.shortened for fold in folds if fold.result.shortened), None)
    counts = {"train": len(whole.splits.train), "validation": len(whole.splits.validation)}
    return Result(
        run=str(ledger.folder),
        metric=problem.metric.name,
        data=whole.name,
        baseline_name=problem.baseline_name,
        start_name=frozen.start.name,
        baseline=judged.baseline,
        final=judged.final,
        gain_points=judged.gain_points,
        proven=judged.proven and not short,
        verdicts=verdicts,
        unexplained_points=judged.gain_points.value - sum(each.points for each in verdicts if each.shipped),
        trials=sum(fold.result.trials for fold in folds) + len(ledger.trials()),
        seconds=ledger.seconds_used(),
        budget_seconds=ledger.settings["budget_seconds"] or 0.0,
        trainings=ledger.settings.get("trainings", 0),
        shortened=short,
        optimism_points=float(optimism),
        findings=whole.store.findings,
        notes=tuple(_notes(problem, shipped, found, openings)),
        counts={**counts, "test": len(whole.store.labels)},
        folds=len(folds),
        opened=openings.number,
        baseline_recipe=problem.baseline.to_yaml(),
        start_recipe=frozen.start.recipe.to_yaml(),
        plan=whole.store.plan,
    )


def _notes(problem: Problem, shipped: Shipped, found: _Judged, openings: Openings) -> list[Note]:
    whole, metric = shipped.whole, problem.metric
    notes = _notes_of_folds(whole, found.folds)
    notes += notes_of_openings(openings, flattery(found.judgement.final, openings.number))
    if not shipped.agreed:
        notes.append(NoConsensus())
    if shipped.record.status == "stopped":
        notes.append(ShippedCutShort(last=True))
    notes += notes_of_the_metric(metric, whole, whole.store.labels) + _scarce(metric, whole, found.folds)
    if whole.groups is not None:
        notes.append(groups_tested(whole.groups))
    return [*notes, detectable(len(whole.store.labels), found.power)]


def _scarce(metric: Metric, whole: Dataset, folds: Sequence[FinishedFold]) -> list[Note]:
    """Where a metric that is taken fold by fold has too little to go by."""
    counts = np.array([np.bincount(fold.labels, minlength=len(whole.classes)) for fold in folds])
    if metric.pooled or counts.min() >= FEW_OF_A_CLASS:
        return []
    scarcest = whole.classes[int(counts.min(axis=0).argmin())]
    return [FewOfAClass(metric.name, scarcest, int(counts.min()), FEW_OF_A_CLASS, in_a_fold=True)]


def _notes_of_folds(whole: Dataset, folds: Sequence[FinishedFold]) -> list[Note]:
    images, count = len(whole.store.labels), len(folds)
    learned = sum(fold.result.counts["train"] + fold.result.counts["validation"] for fold in folds) / (count * images)
    gains = tuple(_gain(fold.result) for fold in folds)
    notes: list[Note] = [FoldsTested(images, gains, learned), FoldShares()]
    if late := sum(fold.cut_short for fold in folds):
        notes.append(FoldsCutShort(late, count))
    starts = Counter(fold.result.start_name for fold in folds)
    return [*notes, FoldStarts(tuple(starts.most_common()))] if len(starts) > 1 else notes


def _gain(result: Result) -> float | None:
    return result.claim.gain_points.value if result.claim else None
