"""What is deployed: the shipped recipe once more, on all images, once the sealed test has judged it.

Nobody can tell how good a network is that learned from every image; that the same recipe on fewer images is as good as
the test said is known. So the judged network stays what it is, and this one lies beside it.
"""

import math
import shutil
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from convlift.campaign.artifacts import note_likeness, scores_of, write_model
from convlift.campaign.request import Request
from convlift.campaign.session import LOADING_SECONDS, Session
from convlift.data.dataset import Dataset
from convlift.deploy.model_folder import SUMS
from convlift.errors import Interrupted
from convlift.execute.choose import executor_for
from convlift.execute.job import Ended, Executor, Job
from convlift.ledger.ledger import Ledger
from convlift.ledger.trials import TRAINED, TrialRecord
from convlift.recipe.combination import Combination
from convlift.recipe.trial_spec import Limits, TrialSpec
from convlift.records.confidence import BY_OTHERS, Confidence
from convlift.records.notes import Combined
from convlift.records.outcome import Outcome
from convlift.records.result import Result
from convlift.records.training_events import MODEL_OF_ALL, NotTrainedOnAll, TrainedOnAll, TrainingOnAll
from convlift.search.decisions import Shipped, made
from convlift.search.dispatcher import POLL_SECONDS, WEIGHTS
from convlift.search.fit_confidence import confidence_of
from convlift.search.problem import Problem
from convlift.search.refit import TOLERANCE, epochs_kept, is_fitted
from convlift.search.result_in_ledger import result_of
from convlift.trial.worker_task import prepare_all, run_job

FIRST = 1_000_000  # number of the first such training: no campaign has so many refits


@dataclass(frozen=True)
class _Plan:
    """specs: the trainings; made: what is made of their networks, None of one; seconds: what all of it will take;
    least: the share of the validation images, which it learns from, that it must classify correctly: what networks do
    that have not seen them, less TOLERANCE of its standard errors."""

    specs: tuple[TrialSpec, ...]
    made: Combined | None
    seconds: float
    least: float


def train_on_all(request: Request, problem: Problem, ledger: Ledger, dataset: Dataset, session: Session) -> None:
    """Train what ships on training, validation and test images, and write it into the run folder's `model-all`.

    As many networks as what ships is made of, made one the same way. Nothing where that is done already; where the test
    is sealed still or liked the baseline better, or no such network learns anything, it is told why there is none.
    Raises Interrupted.
    """
    result, folder = result_of(ledger), ledger.folder / MODEL_OF_ALL
    images = sum(dataset.splits.counts.values())
    if (folder / SUMS).is_file():
        session.listen(TrainedOnAll(folder, images))
        return
    if not result.judged or not ledger.test_is_open:
        session.listen(NotTrainedOnAll("sealed"))
        return
    if result.claim and result.claim.gain_points.high < 0:
        session.listen(NotTrainedOnAll("worse"))
        return
    shipped = ledger.trial(made(ledger, Shipped).network)
    plan = _plan(request, problem, ledger, result, shipped)
    trained = _train(request, plan, ledger, dataset, session)
    if isinstance(trained, NotTrainedOnAll):
        session.listen(trained)
    else:
        scores = {**scores_of(result), "of": "sealed test, of the network in model/", "learned_from": images}
        confidence = _confidence(problem, ledger, shipped, dataset.classes)
        write_model(folder, trained, plan.specs[0].recipe, dataset, scores, confidence)
        note_likeness(folder, plan.specs[0].recipe, dataset, request.devices[0])
        session.listen(TrainedOnAll(folder, images))
    shutil.rmtree(ledger.folder / WEIGHTS, ignore_errors=True)


def _confidence(problem: Problem, ledger: Ledger, shipped: TrialRecord, classes: tuple[str, ...]) -> Confidence:
    """Of the network that was judged: this one has seen every image that a temperature could be fitted on."""
    known = confidence_of(problem, ledger, shipped, classes)
    return known if known.fitted_on == "nothing" else replace(known, fitted_on=BY_OTHERS)


def _plan(request: Request, problem: Problem, ledger: Ledger, result: Result, shipped: TrialRecord) -> _Plan:
    counts = result.counts
    images = sum(counts.values())
    of_the_recipe = [r for r in ledger.trials() if r.recipe == shipped.recipe and r.role in TRAINED]
    trained = [record for record in of_the_recipe if record.has_trained and not record.spec.refit]
    of_it = [record for record in trained if record.is_whole] or trained
    fills_the_time = result.ships == "recipe" and is_fitted(ledger)
    # as many steps where their time was the limit, else as many epochs as the judged networks had
    fidelity = counts["train"] / images if fills_the_time else epochs_kept(shipped.recipe, of_it)
    fidelity *= shipped.fidelity if shipped.role == "start" else 1.0
    together = next((note for note in result.notes if isinstance(note, Combined)), None)
    specs = tuple(
        problem.plan("refit", shipped.recipe, FIRST + number, fidelity=fidelity).spec
        for number in range(together.networks if together else 1)
    )
    each = max((r.outcome.seconds for r in of_it if r.outcome), default=math.nan)
    rounds = math.ceil(len(specs) / max(1, request.workers))
    more = 1.0 if fills_the_time else images / counts["train"]
    right = [_right(record.outcome, problem.validation_labels) for record in of_it if record.outcome]
    expected = sum(right) / len(right)
    least = expected - TOLERANCE * math.sqrt(expected * (1.0 - expected) / len(problem.validation_labels))
    return _Plan(specs, together, LOADING_SECONDS + rounds * more * each, least)


def _train(request: Request, plan: _Plan, ledger: Ledger, dataset: Dataset, session: Session) -> Path | NotTrainedOnAll:
    """The file of the weights, or why there is none."""
    folder = ledger.folder / WEIGHTS
    folder.mkdir(parents=True, exist_ok=True)
    prepared = partial(prepare_all, dataset.store.folder, request.seed, request.cache, dataset.groups)
    log, began = ledger.folder / "workers.log", time.monotonic()

    def tell() -> None:
        session.listen(TrainingOnAll(max(0.0, plan.seconds - (time.monotonic() - began))))
        if session.stop():
            raise Interrupted(
                f"stopped while what ships was trained on all images; the network that was judged is in "
                f"{ledger.folder / 'model'}, and the same command trains on all images again.",
                session.stop(),
            )

    workers = min(request.workers, len(plan.specs))  # another one would load torch for nothing
    with executor_for(run_job, prepared, workers=workers, devices=request.devices, log=log) as executor:
        jobs = [
            Job(number, spec, Limits(save_to=str(folder / f"all-{number}.safetensors")))
            for number, spec in enumerate(plan.specs)
        ]
        outcomes = _run(executor, jobs, tell)
        if plan.made:
            if fault := _fault(outcomes):
                return NotTrainedOnAll("failed", fault)
            files = tuple(job.limits.save_to for job in jobs)
            together = Combination(files, averaged=plan.made.averaged, mirrored=plan.made.mirrored)
            job = Job(len(jobs), plan.specs[0], Limits(save_to=str(folder / "all.safetensors")), combination=together)
            outcomes = _run(executor, [job], tell)
    if fault := _fault(outcomes):
        return NotTrainedOnAll("failed", fault)
    labels = dataset.labels[dataset.splits.validation]
    right = _right(outcomes[0], labels)
    return Path(outcomes[0].weights) if right >= plan.least else NotTrainedOnAll("ignorant", right=right)


def _run(executor: Executor, jobs: Sequence[Job], tell: Callable[[], None]) -> list[Outcome]:
    """Their outcomes, in their order; one whose process died has a second try."""
    found: dict[int, Ended] = {}
    tried_again: set[int] = set()
    for job in jobs:
        executor.submit(job)
    while executor.running():
        for ended in executor.wait(POLL_SECONDS):
            if ended.crashed and ended.job.id not in tried_again:
                tried_again.add(ended.job.id)
                executor.submit(ended.job)
            else:
                found[ended.job.id] = ended
        executor.progress()
        tell()
    return [found[job.id].outcome for job in jobs]


def _fault(outcomes: Sequence[Outcome]) -> str:
    """Why one of them left no network; "" where each has."""
    return next((outcome.reason or outcome.status for outcome in outcomes if outcome.status != "finished"), "")


def _right(outcome: Outcome, labels_n: NDArray[np.int64]) -> float:
    """The share of the validation images, which come first, that it classifies correctly."""
    return float((outcome.validation_probabilities[: len(labels_n)].argmax(1) == labels_n).mean())
