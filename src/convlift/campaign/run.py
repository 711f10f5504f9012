"""From a data set and a budget to a finished run folder: what `improve` does, step by step."""

import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from convlift.campaign.announce import Announcer
from convlift.campaign.artifacts import Opened, hand_over, keep_best, note_likeness
from convlift.campaign.campaign_identity import folder_for, identity_of, note_origin
from convlift.campaign.detectable_gain import power_before
from convlift.campaign.footprint import check_disk, footprint_of
from convlift.campaign.judge import judge_campaign, judge_networks
from convlift.campaign.labels_as_filed import judge_as_filed
from convlift.campaign.network_given import read_weights_given
from convlift.campaign.one_training import refuse_training
from convlift.campaign.open_data import open_data
from convlift.campaign.prepare import problem_of
from convlift.campaign.request import Request, check_request
from convlift.campaign.resume import check_measure, forget, goes_on, has_trained, is_budget_unused
from convlift.campaign.session import Session
from convlift.campaign.train_on_all import train_on_all
from convlift.console.disk import has_plenty
from convlift.data.dataset import Dataset
from convlift.data.sealed import SealedLabels
from convlift.errors import BudgetError, DataError, Interrupted, RecipeError, WeightsError
from convlift.evidence.power import SMALL, USUAL_FOLDS, detectable
from convlift.execute.choose import executor_for
from convlift.ledger.ledger import Ledger, open_ledger
from convlift.ledger.openings import register_opening
from convlift.records.compute_device import names_of
from convlift.records.events import (
    BudgetUnused,
    CampaignBegan,
    CampaignEnded,
    Event,
    FolderOpened,
    Loading,
    ModelWritten,
    PowerExpected,
    ResultWithdrawn,
    TestOpening,
)
from convlift.records.result import Result, ShiftGain
from convlift.search.context import Search
from convlift.search.decisions import unsettle
from convlift.search.dispatcher import Dispatcher
from convlift.search.loop import run_search
from convlift.search.problem import Problem
from convlift.search.result_in_ledger import result_of, result_so_far
from convlift.search.scores import Scores
from convlift.search.shipment import Shipment
from convlift.trial.worker_task import Context, prepare, run_job


def run_campaign(request: Request, session: Session) -> tuple[Path, Result]:
    """Run the campaign, or continue it, or read its result where it is finished: (run folder, result)."""
    check_request(request)
    dataset, sealed = open_data(request, session)
    return run_on(request, dataset, sealed, session)


def run_on(request: Request, dataset: Dataset, sealed: SealedLabels, session: Session) -> tuple[Path, Result]:
    """`run_campaign` on a data set that is open already."""
    problem = problem_of(request, dataset)
    folder = request.out or folder_for(request, dataset, problem)
    is_new = not folder.exists()
    refuse_training(folder)
    try:
        with open_ledger(folder, identity_of(request, dataset, problem)) as ledger:
            earlier = ledger.settings
            check_measure(folder, earlier, request)
            session.listen(FolderOpened(folder))
            ledger.add_seconds(time.monotonic() - session.began)
            known = result_so_far(ledger)
            if known is not None and goes_on(known, earlier, request):
                unsettle(ledger)
                session.listen(ResultWithdrawn(folder))
                known = None
            ledger.note_settings(request.settings)
            note_origin(ledger, dataset)
            if known is None:
                _run(request, problem, ledger, dataset, sealed, session)
            else:
                read_again(ledger, session, is_unused=is_budget_unused(known, earlier, request))
            if request.refit:
                train_on_all(request, problem, ledger, dataset, session)
            return folder, result_of(ledger)
    except (BudgetError, DataError, RecipeError, WeightsError):
        if not has_trained(folder):  # nothing half-written, and nothing settled by a time that was too short
            forget(folder, whole=is_new)
        raise


def read_again(ledger: Ledger, session: Session, *, is_unused: bool) -> None:
    """What the same command does where the campaign is finished: tell what is not used, and that it has ended."""
    if is_unused:
        session.listen(BudgetUnused())
    session.listen(CampaignEnded(ledger.folder, is_new=False))


def _run(
    request: Request,
    problem: Problem,
    ledger: Ledger,
    dataset: Dataset,
    sealed: SealedLabels,
    session: Session,
) -> None:
    _begin(request, problem, dataset, ledger, session)
    # 1. search, from wherever the ledger left off, until it is settled what ships
    prepared = _prepared(request, problem, dataset)
    log = ledger.folder / "workers.log"
    devices = request.devices
    with executor_for(run_job, prepared, workers=request.workers, devices=devices, log=log) as executor:
        watch = Announcer(Scores(problem), session.listen)
        dispatcher = Dispatcher(ledger, executor, request.budget_seconds, stop=session.stop, watch=watch)
        search = Search(problem, dispatcher)
        session.listen(Loading())
        if not ledger.trials() and not has_plenty(ledger.folder, request.cache):
            needed = footprint_of(problem, len(dataset.labels), dataset.channels)
            if tight := check_disk(ledger.folder, request.cache, needed):
                session.listen(tight)
        try:
            read_weights_given(request, search, dataset)
            shipment = run_search(search)
        except Interrupted as interrupted:
            executor.close(kill=True)
            raise _interrupted(search, dataset, session, interrupted) from None
    # 2. open the sealed test, once, and judge
    opened = None
    if shipment.judged:
        session.listen(TestOpening())
        ledger.open_test()
        openings = None
        if (
            request.fold is None and request.pool is None
        ):  # folds are registered together, an A/A test looks for nothing
            openings = register_opening(ledger, request.cache, dataset.name, dataset.store.hashes[dataset.splits.test])
        labels = sealed.open()
        judged = judge_campaign(search, shipment.frozen, labels, after=shipment.after, ships=shipment.network)
        network = judge_networks(search, shipment, labels)
        filed = judge_as_filed(search, shipment, dataset, labels)
        shifts = _shifts(request, search, dataset, shipment, labels, session)
        opened = Opened(judged, labels, openings, network, filed, shifts)
    # 3. leave model, result, and what the page is made of
    hand_over(search, dataset, shipment, session.listen, opened, device=names_of(request.devices))
    if request.fold is None and request.pool is None:  # those of folds and of an A/A test predict nothing
        note_likeness(ledger.folder / "model", shipment.network.recipe, dataset, request.devices[0])


def _prepared(request: Request, problem: Problem, dataset: Dataset) -> Callable[[], Context]:
    """What opens the data in every worker."""
    own = dataset.groups, request.fold, problem.copies
    return partial(prepare, dataset.store.folder, request.seed, request.cache, *own)


def _shifts(
    request: Request,
    search: Search,
    dataset: Dataset,
    shipment: Shipment,
    labels: NDArray[np.int64],
    session: Session,
) -> tuple[ShiftGain, ...]:
    if not request.shift and not request.shift_data:
        return ()
    from convlift.campaign.judge_shift import judge_shift  # torch comes with it

    def listen(event: Event) -> None:
        session.listen(event)
        if number := session.stop():  # the images may take minutes, and the same command classifies them again
            raise Interrupted("stopped on request", number)

    try:
        return judge_shift(request, search, dataset, shipment, labels, listen)
    except Interrupted as interrupted:
        raise _interrupted(search, dataset, session, interrupted) from None


def _begin(request: Request, problem: Problem, dataset: Dataset, ledger: Ledger, session: Session) -> None:
    """Tell what is done with which images, and what could be proven; of a fold, its cross-validation has told it."""
    if request.fold is not None:
        return
    counts, is_new = dataset.splits.counts, not ledger.trials()
    if request.pool is None:
        session.listen(
            CampaignBegan(
                data=dataset.name,
                classes=len(dataset.classes),
                counts=counts,
                baseline=problem.baseline_name,
                workers=request.workers,
                device=names_of(request.devices),
                run=str(ledger.folder),
                budget_seconds=request.budget_seconds,
                trainings=request.trainings,
                resumed=not is_new,
            )
        )
        if problem.own_network:
            session.listen(problem.own_network)
    if is_new:
        found = detectable(len(dataset.splits.test), power_before(problem, dataset))
        session.listen(PowerExpected(found, len(dataset.labels), USUAL_FOLDS if _suits_folds(dataset) else 0))


def _suits_folds(dataset: Dataset) -> bool:
    """Whether a small data set can be tested on all its images. Only labels that are not sealed count."""
    splits = dataset.splits
    seen = np.concatenate([splits.train, splits.validation])
    is_official = (dataset.store.official != "").any()
    per_class = np.bincount(dataset.labels[seen], minlength=len(dataset.classes))
    return bool(len(dataset.labels) < SMALL and not is_official and per_class.min() >= USUAL_FOLDS)


def _interrupted(search: Search, dataset: Dataset, session: Session, interrupted: Interrupted) -> Interrupted:
    """Put the best network so far into the run folder, and say how to go on."""
    number, folder = interrupted.exit_code - 128, search.ledger.folder
    if not keep_best(search, dataset):
        return Interrupted("stopped before any training had ended; the same command starts again.", number)
    session.listen(ModelWritten(folder))
    ended = sum(record.outcome is not None for record in search.ledger.trials())
    return Interrupted(
        f"stopped after {ended} trials; the best network so far is in {folder / 'model'}, and the same command "
        "continues.",
        number,
    )
