"""From a data set and a budget to a finished run folder: what `improve` does, step by step."""

import math
import os
import shutil
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from convlift.campaign.artifacts import REPORT, Opened, hand_over, keep_best, write_report
from convlift.campaign.footprint import check_disk, footprint_of
from convlift.campaign.judge import judge_campaign
from convlift.campaign.one_training import refuse_training
from convlift.campaign.power import power_before
from convlift.campaign.request import Request, check_request, data_of, folder_for, identity_of, study_of
from convlift.console.disk import has_plenty
from convlift.console.duration import format_duration
from convlift.console.progress import Progress
from convlift.data.dataset import Dataset
from convlift.data.splits import SealedLabels
from convlift.errors import BudgetError, DataError, Interrupted, LedgerError, RecipeError, WeightsError
from convlift.evidence.plan import SMALL, USUAL_FOLDS, cv_in_words, expected_in_words
from convlift.execute.choose import executor_for
from convlift.ledger.ledger import LEDGER_FILE, Ledger, open_ledger, read_ledger
from convlift.ledger.openings import register_opening
from convlift.ledger.records import TrialRecord
from convlift.records.outcome import EpochReport
from convlift.records.result import Result
from convlift.report.live import Moment, Opening, first_words, live_line
from convlift.report.narration import result_of
from convlift.search import decisions
from convlift.search.dispatcher import Dispatcher
from convlift.search.loop import run_campaign
from convlift.search.study import BASELINE, Study
from convlift.trial.worker_task import prepare, run_job

SHOWN_EVERY = 1.0  # seconds
LOADING_SECONDS = 6.0  # imports and worker processes: 4 to 8 s were measured
STARTUP_SECONDS = 30.0  # a process that is older did something else before: a notebook, a server


def conduct(
    request: Request, progress: Progress, stop: Callable[[], int], began: float | None = None
) -> tuple[Path, Result]:
    """Run the campaign, or continue it, or read its result where it is finished: (run folder, result).

    began: the instant of time.monotonic() from which the budget counts; None for the start of this process.
    """
    began = time.monotonic() - seconds_of_startup() if began is None else began
    check_request(request)
    dataset, sealed = data_of(request, progress, stop)
    return campaign(request, dataset, sealed, (progress, stop), began)


def campaign(
    request: Request, dataset: Dataset, sealed: SealedLabels, talk: tuple[Progress, Callable[[], int]], began: float
) -> tuple[Path, Result]:
    """`conduct` on a data set that is open already."""
    study = study_of(request, dataset)
    identity = identity_of(request, dataset, study)
    folder = request.out or folder_for(request, dataset, study)
    is_new = not folder.exists()
    refuse_training(folder)
    try:
        with open_ledger(folder, identity) as ledger:
            earlier = ledger.settings
            check_measure(folder, earlier, request)
            talk[0].keep_log(folder / "log.txt")
            ledger.add_seconds(time.monotonic() - began)
            if decisions.result(ledger) is not None and _goes_on(result_of(ledger), earlier, request):
                decisions.unsettle(ledger)
            ledger.note_settings(request.settings)
            if decisions.result(ledger) is None:
                _run(request, study, ledger, dataset, sealed, talk)
            else:
                read_again(ledger, earlier, request, talk[0])
            return folder, result_of(ledger)
    except (BudgetError, DataError, RecipeError, WeightsError):
        if not _has_trained(folder):  # nothing half-written, and nothing settled by a time that was too short
            _forget(folder, whole=is_new)
        raise


def _forget(folder: Path, *, whole: bool) -> None:
    """Remove a campaign that trained nothing; of a folder that was there before, its ledger alone."""
    if whole:
        shutil.rmtree(folder, ignore_errors=True)
    for file in folder.glob(f"{LEDGER_FILE}*"):
        file.unlink(missing_ok=True)


def check_measure(folder: Path, earlier: Mapping[str, Any], request: Request) -> None:
    """Refuse to go on by time with what is counted in trainings, or the other way round: what was drawn from what would
    no longer be the same on every machine. Raises LedgerError."""
    counted = earlier.get("trainings", 0)
    if not earlier or (not counted and not request.trainings) or counted == request.trainings:
        return
    began = f"--trainings {counted}" if counted else f"--budget {format_duration(earlier['budget_seconds'])}"
    raise LedgerError(
        f"the campaign in {folder} was begun with {began}, and its length is not changed to "
        f"{f'--trainings {request.trainings}' if request.trainings else '--budget'}; give {began} again, or "
        "name another folder with --out."
    )


def _goes_on(result: Result, earlier: Mapping[str, Any], request: Request) -> bool:
    """Whether a campaign that ended with its test still sealed is given more time."""
    return (
        not result.judged and not request.trainings and request.budget_seconds > (earlier.get("budget_seconds") or 0.0)
    )


def read_again(ledger: Ledger, earlier: Mapping[str, Any], request: Request, progress: Progress) -> None:
    """What the same command does where the campaign is finished: say what is not used, mend what is missing."""
    if unused := unused_in_words(result_of(ledger), earlier, request):
        progress.say(unused)
    if not (ledger.folder / REPORT).is_file():
        write_report(ledger)


def unused_in_words(result: Result, earlier: Mapping[str, Any], request: Request) -> str:
    """Why a longer budget changes nothing; "" where none was given."""
    if request.trainings or not result.judged or request.budget_seconds <= (earlier.get("budget_seconds") or 0.0):
        return ""
    return (
        "This campaign is finished and its sealed test was opened, so the longer budget is not used: this is its "
        "result, as it was. A new campaign on the same images would be judged on the same test, which is then sealed "
        "no longer."
    )


def _has_trained(folder: Path) -> bool:
    """Whether there is something to continue from, or to look into."""
    try:
        with read_ledger(folder) as ledger:
            return any(record.has_trained for record in ledger.trials())
    except LedgerError:
        return False


def _run(
    request: Request,
    study: Study,
    ledger: Ledger,
    dataset: Dataset,
    sealed: SealedLabels,
    talk: tuple[Progress, Callable[[], int]],
) -> None:
    progress, stop = talk
    prepared = partial(prepare, dataset.store.folder, request.seed, request.cache, dataset.groups, request.fold)
    if request.fold is None and request.pool is None:
        for line in _first_words(request, study, dataset, ledger):
            progress.say(line)
    if not ledger.trials() and request.fold is None:
        progress.say(expected_in_words(len(dataset.splits.test), power_before(study, dataset)) + _advice(dataset))
    log = ledger.folder / "workers.log"
    with executor_for(run_job, prepared, workers=request.workers, log=log) as executor:
        desk = Dispatcher(ledger, executor, request.budget_seconds, stop=stop, watch=Shown(study, progress))
        progress.show("loading")
        if not ledger.trials() and not has_plenty(ledger.folder, request.cache):
            needed = footprint_of(study, len(dataset.labels), dataset.channels)
            if tight := check_disk(ledger.folder, request.cache, needed):
                progress.say(tight)
        try:
            shipment = run_campaign(study, desk)
        except Interrupted as interrupted:
            executor.close(kill=True)
            raise _left(study, desk, dataset, interrupted) from None
    if not shipment.judged:
        hand_over(study, desk, dataset, shipment)
        return
    progress.show("opening the sealed test")
    ledger.open_test()
    openings = None
    if request.fold is None and request.pool is None:  # folds are registered together, an A/A test looks for nothing
        openings = register_opening(ledger, request.cache, dataset.name, dataset.store.hashes[dataset.splits.test])
    test_labels = sealed.open()
    judged = judge_campaign(study, desk, shipment.frozen, test_labels, after=shipment.after, ships=shipment.network)
    hand_over(study, desk, dataset, shipment, Opened(judged, test_labels, openings))


def _advice(dataset: Dataset) -> str:
    """That a small data set can be tested on all its images, where it may be. Only labels that are not sealed count."""
    splits = dataset.splits
    images, seen = len(dataset.labels), np.concatenate([splits.train, splits.validation])
    is_official = (dataset.store.official != "").any()
    per_class = np.bincount(dataset.labels[seen], minlength=len(dataset.classes))
    fits = images < SMALL and not is_official and per_class.min() >= USUAL_FOLDS
    return cv_in_words(images) if fits else ""


def _left(study: Study, desk: Dispatcher, dataset: Dataset, interrupted: Interrupted) -> Interrupted:
    """Put the best network so far into the run folder, and say how to go on."""
    number = interrupted.exit_code - 128
    if not keep_best(study, desk, dataset):
        return Interrupted("stopped before any training had ended; the same command starts again.", number)
    ended = sum(record.outcome is not None for record in desk.ledger.trials())
    return Interrupted(
        f"stopped after {ended} trials; the best network so far is in "
        f"{desk.ledger.folder / 'model'}, and the same command continues.",
        number,
    )


@dataclass
class Shown:
    """Called at every poll. One line, every second: what runs now, how far it is, how much is left; every epoch goes
    into the log."""

    study: Study
    progress: Progress
    _next: float = 0.0
    _epoch: EpochReport | None = None

    def __call__(self, desk: Dispatcher) -> None:
        for job, epoch in desk.heard:
            self._epoch = epoch
            self.progress.log(
                f"trial {job.id} {epoch.phase} epoch {epoch.epoch + 1}/{epoch.epochs}: "
                f"train loss {epoch.train_loss:.4f}, validation {epoch.validation_accuracy:.4f}"
            )
        if time.monotonic() >= self._next:
            self._next = time.monotonic() + SHOWN_EVERY
            self.progress.show(live_line(_moment(self.study, desk, self._epoch)))


def _moment(study: Study, desk: Dispatcher, epoch: EpochReport | None) -> Moment:
    trials = desk.ledger.trials()
    ended = [record for record in trials if record.outcome is not None]
    started = decisions.decided(desk.ledger, decisions.Start)

    def best(records: Iterable[TrialRecord]) -> float | None:
        # what was stopped before its first epoch has nothing but guesses
        scores = [study.score_points(r) / 100.0 for r in records if r.has_trained]
        return max((score for score in scores if not math.isnan(score)), default=None)

    of_the_start = [r for r in ended if started and r.fingerprint == started.fingerprint and r.role != "pilot"]
    running = [record for record in trials if record.outcome is None]
    return Moment(
        role=trials[-1].role if trials else "",
        trying=running[-1].names if running and running[-1].role in ("search", "probe") else (),
        epoch=epoch if desk.running else None,
        metric=study.metric.title,
        baseline=best(r for r in ended if r.role == "pilot"),
        start_name=started.name if started and started.name != BASELINE else "",
        start=best(of_the_start),
        left_seconds=desk.left(),
        budget_seconds=desk.budget_seconds,
        trainings_done=sum(record.role in ("pilot", "search", "final") for record in ended),
        trainings=study.trainings,
    )


def _first_words(request: Request, study: Study, dataset: Dataset, ledger: Ledger) -> tuple[str, ...]:
    splits = dataset.splits
    counts = splits.counts
    return first_words(
        Opening(
            data=dataset.name,
            classes=len(dataset.classes),
            counts=counts,
            baseline=study.baseline_name,
            workers=request.workers,
            run=str(ledger.folder),
            budget_seconds=request.budget_seconds,
            trainings=request.trainings,
            resumed=bool(ledger.trials()),
        )
    )


def seconds_of_startup() -> float:
    """Wall clock since this process began, for the budget counts from there; 0 in one that had done other work."""
    try:
        ticks = int(Path("/proc/self/stat").read_text().rsplit(")", 1)[1].split()[19])
        age = time.clock_gettime(time.CLOCK_BOOTTIME) - ticks / os.sysconf("SC_CLK_TCK")
    except (OSError, AttributeError, IndexError, ValueError):
        age = time.process_time()
    return age if 0.0 <= age <= STARTUP_SECONDS else 0.0
