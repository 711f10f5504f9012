"""What a campaign leaves in its run folder: the model, the result in the ledger, and the report."""

import os
import shutil
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from convlift.campaign.judgement import Judgement, final_runs, lost_runs
from convlift.campaign.power import power_of
from convlift.campaign.space import Frozen
from convlift.campaign.start import passed_over_in_words
from convlift.campaign.study import Study
from convlift.data.dataset import Dataset
from convlift.deploy.folder import ModelConfig, write_model_folder
from convlift.evidence.metrics import ACCURACY, title_of
from convlift.evidence.plan import detectable_in_words, little_left_to_find
from convlift.execute.desk import WEIGHTS, Desk
from convlift.ledger.ledger import Ledger
from convlift.outcome import Estimate, Result
from convlift.recipe import Recipe
from convlift.report.narration import environment, plain, result_of, story_of, tell
from convlift.report.page import render
from convlift.report.sentences import found_in_words

REPORT = "report.html"
FEW_GROUPS = 10  # with fewer in the test the variance between them is itself a guess (see benchmarks/metrics.py)


def result_from(
    study: Study, desk: Desk, dataset: Dataset, frozen: Frozen, judged: Judgement, test_labels: NDArray[np.int64]
) -> Result:
    """The judgement with the circumstances that a reader needs."""
    splits = dataset.splits
    trials = desk.ledger.trials()
    notes = [judged.warning] if judged.warning else []
    if (passed_over := desk.ledger.recall("passed over")) is not None:
        notes.append(passed_over_in_words(passed_over))
    if all(run.status == "stopped" for run in final_runs(desk.ledger)):
        notes.append("The budget ended before a final run did: what ships was trained for less than its recipe says.")
    if lost := lost_runs(desk.ledger):
        judging = sum(r.role in ("pilot", "final") for r in trials)
        why = lost[0].outcome.reason if lost[0].outcome else ""
        notes.append(
            f"{len(lost)} of the {judging} runs of the baseline and of what ships came to nothing ({why}). The figures "
            "are those of the others, and no gain is called proven."
        )
    if little_left_to_find(sum(r.role == "search" for r in trials), len(frozen.candidates)):
        notes.append("There is little left to find among these changes: a longer budget would gain next to nothing.")
    notes += metric_in_words(study, dataset, test_labels)
    if study.test_groups is not None:
        notes.append(groups_in_words(study.test_groups))
    if scouts := sum(r.role == "scout" for r in trials):
        notes.append(_scouts_in_words(scouts, len(desk.ledger.recall("scouted")[0]), desk.ledger.recall("agreement")))
    notes.append(detectable_in_words(len(splits.test), power_of(study, desk, judged)))
    return Result(
        run=str(desk.ledger.folder),
        metric=study.metric.name,
        data=dataset.name,
        baseline_name=study.baseline_name,
        start_name=frozen.start.name,
        baseline=judged.final.baseline,
        final=judged.final.final,
        gain_points=judged.final.gain_points,
        proven=judged.final.proven,
        verdicts=judged.verdicts,
        unexplained_points=judged.unexplained_points,
        trials=len(trials) - scouts,
        seconds=desk.ledger.seconds_used(),
        budget_seconds=desk.budget_seconds,
        optimism_points=judged.optimism_points,
        findings=dataset.store.findings,
        notes=tuple(notes),
        counts={"train": len(splits.train), "validation": len(splits.validation), "test": len(splits.test)},
    )


def hand_over(
    study: Study, desk: Desk, dataset: Dataset, frozen: Frozen, judged: Judgement, test_labels: NDArray[np.int64]
) -> None:
    """Write the model of the first final run, the result and the story into the ledger, and the report."""
    result = result_from(study, desk, dataset, frozen, judged, test_labels)
    finals = final_runs(desk.ledger)
    write_model(desk.ledger.folder, desk.weights_of(finals[0]), frozen.recipe, dataset, scores_of(result))
    more: dict[str, Any] = {
        "start_recipe": frozen.start.recipe.to_yaml(),
        "minimum_detectable_points": power_of(study, desk, judged).points,
        "environment": environment(study.seed, desk.executor.capacity),
    }
    # a kill between the two leaves a story alone, and the next process may have other workers to tell of
    desk.ledger.record("story", tell(desk.ledger, finals, dataset, test_labels, more), replace=True)
    desk.ledger.record("search seed variance", judged.search_seed_variance, replace=True)
    desk.ledger.record("result", plain(result))
    shutil.rmtree(desk.ledger.folder / WEIGHTS, ignore_errors=True)
    write_report(desk.ledger)


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
    from convlift.trial.run import saved_normalization  # torch comes with it

    assert recipe.data.resolution is not None, "a trained recipe has its resolution written down"
    mean, std = saved_normalization(weights)
    config = ModelConfig(
        dataset.classes, dataset.channels, recipe.data.resolution, recipe.data.resize, mean, std, scores
    )
    write_model_folder(folder / "model", weights, recipe, config)


def keep_best(study: Study, desk: Desk, dataset: Dataset) -> bool:
    """Write the model folder of the best network so far; whether there is one."""
    saved = [r for r in desk.ledger.trials() if r.status == "finished" and desk.weights_of(r).is_file()]
    # only the search run that is believed to be the best has kept its weights, so it stands last and wins
    order = {"pilot": 0, "probe": 1, "search": 2, "final": 3}
    best = max(saved, key=lambda r: (order[r.role], study.score_points(r)), default=None)
    if best is None:
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
    return {
        f"{title_of(result.metric)} on {result.counts['test']} sealed test images": in_words(result.final),
        f"{title_of(result.metric)} of the baseline there": in_words(result.baseline),
        "gain in points": f"{result.gain_points.value:+.1f} (95% interval {result.gain_points.low:+.1f} to "
        f"{result.gain_points.high:+.1f}), {found_in_words(result)}",
    }


def in_words(estimate: Estimate) -> str:
    """A score with its interval."""
    return f"{estimate.value:.3f} (95% interval {estimate.low:.3f} to {estimate.high:.3f})"
