"""What a nested cross-validation leaves in its run folder: all folds judged together, the model, and the report."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from convlift.campaign.artifacts import groups_in_words, in_words, metric_in_words, write_model, write_report
from convlift.campaign.provable import even_groups
from convlift.campaign.request import Request
from convlift.data.dataset import Dataset
from convlift.data.splits import SealedLabels
from convlift.errors import LedgerError
from convlift.evidence.image_variance import Groups
from convlift.evidence.metrics import Metric
from convlift.evidence.pooled_folds import FoldRuns, NestedJudgement, Said, judge_folds, scores_of_folds
from convlift.evidence.power import Power, detectable_in_words
from convlift.evidence.reuse import flattery
from convlift.evidence.verdicts import verdicts_of_folds
from convlift.ledger.ledger import Ledger, read_ledger
from convlift.ledger.openings import opened_in_words, register_opening
from convlift.ledger.records import TrialRecord
from convlift.protocols.fold_tables import tell_folds
from convlift.records.result import Result
from convlift.report.narration import environment, plain, result_of
from convlift.report.sentences import found_in_words
from convlift.search import decisions
from convlift.search.dispatcher import WEIGHTS
from convlift.search.problem import Problem
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
    """A fold that was judged: its result; what its pilots and final runs say of its test, and the test's labels (n,)
    and groups; what its search says of the seeds' variance; whether its final runs were cut short."""

    result: Result
    pilots: Said
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
        pilots = [ledger.trial(run) for run in compared.before]
        finals = pilots if result.ships == "baseline" else [ledger.trial(run) for run in compared.after]
        if not pilots or not finals:
            raise LedgerError(
                f"the fold in {folder} has no run of the baseline, or none of what ships: {result.why or 'no time'}. A "
                "cross-validation compares them in every fold; take fewer folds, or allow more time."
            )
        arms = [[r.outcome.test_probabilities for r in runs if r.outcome is not None] for runs in (pilots, finals)]
        noise = decisions.decided(ledger, decisions.SearchNoise) or decisions.SearchNoise(0.0)
        groups = dataset.groups_of(dataset.splits.test)
        cut_short = any(record.status == "stopped" for record in finals)
        return FinishedFold(result, arms[0], arms[1], sealed.open(), groups, noise.seed_variance, cut_short)


def runs_of(metric: Metric, folds: Sequence[FinishedFold]) -> list[FoldRuns]:
    """Every fold's runs on its test."""
    labels, groups = [fold.labels for fold in folds], [fold.groups for fold in folds]
    before = scores_of_folds(metric, [fold.pilots for fold in folds], labels, groups)
    after = scores_of_folds(metric, [fold.finals for fold in folds], labels, groups)
    return [
        FoldRuns(b, a, fold.groups, fold.search_seed_variance) for b, a, fold in zip(before, after, folds, strict=True)
    ]


def hand_over(problem: Problem, ledger: Ledger, shipped: Shipped, ends: Sequence[End]) -> None:
    """Judge all folds together; write the model, the result and the story into the run folder, and the report.

    problem: of what ships; ends: every fold's folder, data set and sealed labels.
    """
    whole, frozen, record = shipped.whole, shipped.frozen, shipped.record
    folds = [read_fold(end) for end in ends]
    runs = runs_of(problem.metric, folds)
    judged = judge_folds(runs, lowest=problem.metric.lowest)
    power = power_of(whole, runs, judged)
    result = _result(problem, ledger, shipped, folds, (judged, power))
    write_model(
        ledger.folder,
        ledger.folder / WEIGHTS / f"{record.id}.safetensors",
        frozen.recipe,
        whole,
        scores_of(problem, result, record),
    )
    more = {
        "start_recipe": frozen.start.recipe.to_yaml(),
        "minimum_detectable_points": power.points,
        "environment": environment(shipped.request.seed, shipped.request.workers),
    }
    open_ends = [(folder, dataset, fold.labels) for (folder, dataset, _), fold in zip(ends, folds, strict=True)]
    told = tell_folds(open_ends, whole, problem.validation_labels)
    decisions.note_story(ledger, {**told, **more})
    decisions.note_result(ledger, plain(result), replace=False)
    write_report(ledger)


def power_of(whole: Dataset, folds: Sequence[FoldRuns], judged: NestedJudgement) -> Power:
    """How small a gain these folds can prove, from the fewest runs that one of them had."""
    images = len(whole.store.labels)
    return Power(
        n_test=judged.effective_images,
        pilots=min(len(fold.baseline) for fold in folds),
        finals=min(len(fold.final) for fold in folds),
        image_variance=judged.image_variance,
        seed_variance=judged.seed_variance,
        groups=even_groups(images, whole.groups),
        folds=len(folds),
    )


def _result(
    problem: Problem,
    ledger: Ledger,
    shipped: Shipped,
    folds: Sequence[FinishedFold],
    found: tuple[NestedJudgement, Power],
) -> Result:
    whole, frozen, record, (judged, power) = shipped.whole, shipped.frozen, shipped.record, found
    images = len(whole.store.labels)
    verdicts = verdicts_of_folds([fold.result.verdicts for fold in folds], frozen.start.name, frozen.names)
    weights = [len(fold.labels) for fold in folds]
    optimism = np.average([fold.result.optimism_points for fold in folds], weights=weights)
    notes = _folds_in_words(whole, folds)
    openings = register_opening(ledger, shipped.request.cache, whole.name, whole.store.hashes)
    notes += opened_in_words(openings, flattery(judged.final, openings.number))
    short = next((fold.result.shortened for fold in folds if fold.result.shortened), "")
    if not shipped.agreed:
        notes.append(
            "No training of what the folds agree on learned anything. What ships is the recipe of the fold that did "
            "best on its validation images, of those with which a training did."
        )
    if record.status == "stopped":
        notes.append("The budget ended before the last training did: what ships was trained for less than it says.")
    notes += metric_in_words(problem, whole, whole.store.labels) + _scarce_in_words(problem.metric, whole, folds)
    if whole.groups is not None:
        notes.append(groups_in_words(whole.groups))
    notes.append(detectable_in_words(images, power))
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
        notes=tuple(notes),
        counts={"train": len(whole.splits.train), "validation": len(whole.splits.validation), "test": images},
        folds=len(folds),
        opened=openings.number,
    )


def _scarce_in_words(metric: Metric, whole: Dataset, folds: Sequence[FinishedFold]) -> list[str]:
    """Where a metric that is taken fold by fold has too little to go by."""
    counts = np.array([np.bincount(fold.labels, minlength=len(whole.classes)) for fold in folds])
    if metric.pooled or counts.min() >= FEW_OF_A_CLASS:
        return []
    scarce = whole.classes[int(counts.min(axis=0).argmin())]
    return [
        f"{metric.title} is the mean over the folds, one of which has {counts.min()} images of class {scarce!r}: under "
        f"{FEW_OF_A_CLASS} its intervals are too narrow. Take fewer folds."
    ]


def _folds_in_words(whole: Dataset, folds: Sequence[FinishedFold]) -> list[str]:
    images, count = len(whole.store.labels), len(folds)
    learned = sum(fold.result.counts["train"] + fold.result.counts["validation"] for fold in folds) / (count * images)
    starts = Counter(fold.result.start_name for fold in folds)
    gains = ", ".join(_gain_in_words(fold.result) for fold in folds)
    said = [
        f"Each of the {images} images was tested once, by the fold that had not seen it; the folds' gains are {gains} "
        f"points. The figures are the nested estimate of the whole procedure on {learned:.0%} of the images. They are "
        "cautious for the model that ships: it learned from all of them, and no image was left to test it.",
        "A change's share is the mean over the folds that searched it; what is unexplained holds also what only some "
        "folds started from or shipped. Only the total can be proven with --cv.",
    ]
    if late := sum(fold.cut_short for fold in folds):
        said.append(f"In {late} of {count} folds the budget ended before a final run did; those count as they are.")
    if len(starts) > 1:
        named = ", ".join(f"{name} ({number})" for name, number in starts.most_common())
        said.append(f"The folds chose different starting points: {named}. What ships starts from the first.")
    return said


def _gain_in_words(result: Result) -> str:
    if result.gain_points is None or not result.judged:
        return "none (there the baseline ships)" if result.ships == "baseline" else "not judged"
    return f"{result.gain_points.value:+.1f}"


def scores_of(problem: Problem, result: Result, record: TrialRecord) -> dict[str, str]:
    """The figures of the model card."""
    title, baseline, gain = problem.metric.title, result.baseline, result.gain_points
    assert baseline is not None, "every fold has a baseline"
    assert gain is not None, "all folds are judged together"
    where = f"nested estimate over {result.folds} folds, {result.counts['test']} images"
    return {
        f"{title} ({where}; of the procedure, this network itself was not tested)": in_words(result.final),
        f"{title} of the baseline there": in_words(baseline),
        "gain in points": f"{gain.value:+.1f} (95% interval {gain.low:+.1f} to {gain.high:+.1f})"
        f", {found_in_words(result)}",
        f"{title} of this network on {result.counts['validation']} validation images": (
            f"{Scores(problem).score_points(record) / 100:.3f}"
        ),
    }
