"""What a campaign leaves in its run folder: the model, the result in the ledger, and the report."""

import os
import shutil
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from convlift.campaign.judgement import Judgement, final_runs
from convlift.campaign.loop import Frozen
from convlift.campaign.study import Study
from convlift.data.dataset import Dataset
from convlift.deploy.folder import ModelConfig, write_model_folder
from convlift.evidence.plan import detectable_in_words, little_left_to_find, minimum_detectable_points
from convlift.execute.desk import WEIGHTS, Desk
from convlift.ledger.ledger import Ledger
from convlift.outcome import Estimate, Result
from convlift.recipe import Recipe
from convlift.report.narration import environment, plain, result_of, story_of, tell
from convlift.report.page import render

METRIC = "accuracy"
REPORT = "report.html"


def result_from(study: Study, desk: Desk, dataset: Dataset, frozen: Frozen, judged: Judgement) -> Result:
    """The judgement with the circumstances that a reader needs."""
    splits = dataset.splits
    trials = desk.ledger.trials()
    notes = [judged.warning] if judged.warning else []
    if all(run.status == "stopped" for run in final_runs(desk)):
        notes.append("The budget ended before a final run did: what ships was trained for less than its recipe says.")
    if little_left_to_find(sum(r.role == "search" for r in trials), len(frozen.candidates)):
        notes.append("There is little left to find among these changes: a longer budget would gain next to nothing.")
    notes.append(detectable_in_words(len(splits.test), *_arms(desk), judged.final.baseline.value))
    return Result(
        run=str(desk.ledger.folder),
        metric=METRIC,
        data=dataset.name,
        baseline_name=study.baseline_name,
        start_name=frozen.start.name,
        baseline=judged.final.baseline,
        final=judged.final.final,
        gain_points=judged.final.gain_points,
        proven=judged.final.proven,
        verdicts=judged.verdicts,
        unexplained_points=judged.unexplained_points,
        trials=len(trials),
        seconds=desk.ledger.seconds_used(),
        budget_seconds=desk.budget_seconds,
        optimism_points=judged.optimism_points,
        findings=dataset.store.findings,
        notes=tuple(notes),
        counts={"train": len(splits.train), "validation": len(splits.validation), "test": len(splits.test)},
    )


def hand_over(
    desk: Desk, dataset: Dataset, frozen: Frozen, result: Result, test_labels: NDArray[np.int64], seed: int
) -> None:
    """Write the model of the first final run, the result and the story into the ledger, and the report."""
    finals = final_runs(desk)
    write_model(desk.ledger.folder, desk.weights_of(finals[0]), frozen.recipe, dataset, scores_of(result))
    more: dict[str, Any] = {
        "start_recipe": frozen.start.recipe.to_yaml(),
        "minimum_detectable_points": minimum_detectable_points(len(test_labels), *_arms(desk), result.baseline.value),
        "environment": environment(seed, desk.executor.capacity),
    }
    # a kill between the two leaves a story alone, and the next process may have other workers to tell of
    desk.ledger.record("story", tell(desk.ledger, finals, dataset, test_labels, more), replace=True)
    desk.ledger.record("result", plain(result))
    shutil.rmtree(desk.ledger.folder / WEIGHTS, ignore_errors=True)
    write_report(desk.ledger)


def _arms(desk: Desk) -> tuple[int, int]:
    """How many runs of the baseline and of the shipped recipe were compared."""
    return sum(run.status == "finished" for run in desk.ledger.trials("pilot")), len(final_runs(desk))


def write_model(folder: Path, weights: Path, recipe: Recipe, dataset: Dataset, scores: dict[str, Any]) -> None:
    """The model folder of trained weights; recipe: with its resolution written down."""
    from convlift.trial.run import saved_normalization  # torch comes with it

    assert recipe.data.resolution is not None, "a trained recipe has its resolution written down"
    mean, std = saved_normalization(weights)
    config = ModelConfig(
        dataset.classes, dataset.channels, recipe.data.resolution, recipe.data.resize, mean, std, scores
    )
    write_model_folder(folder / "model", weights, recipe, config)


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
        f"{result.metric} on {result.counts['test']} sealed test images": in_words(result.final),
        f"{result.metric} of the baseline there": in_words(result.baseline),
        "gain in points": f"{result.gain_points.value:+.1f} (95% interval {result.gain_points.low:+.1f} to "
        f"{result.gain_points.high:+.1f}){', proven' if result.proven else ', not proven'}",
    }


def in_words(estimate: Estimate) -> str:
    """A score with its interval."""
    return f"{estimate.value:.3f} (95% interval {estimate.low:.3f} to {estimate.high:.3f})"
