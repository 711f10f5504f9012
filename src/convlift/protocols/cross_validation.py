"""Nested cross-validation: a whole campaign for every fold of a small data set, and one judgement over all images.

Each fold's campaign goes the way of `improve`, through the same code, in a run folder of its own: its sealed test is
the fold, and its search sees the other folds alone. So every image is tested once, by networks that never saw it.
What ships is what the folds agree on, trained once more on all images.
"""

import math
import shutil
import time
from collections.abc import Callable
from dataclasses import asdict, replace
from functools import partial
from pathlib import Path

from convlift.campaign.campaign_identity import identity_of, note_origin
from convlift.campaign.detectable_gain import power_before
from convlift.campaign.prepare import problem_of
from convlift.campaign.request import Request, check_request
from convlift.campaign.resume import check_measure, is_budget_unused
from convlift.campaign.run import read_again, run_on
from convlift.campaign.session import LOADING_SECONDS, Session
from convlift.catalogue.priors import document
from convlift.console.duration import format_duration
from convlift.data.dataset import Dataset
from convlift.data.sealed import SealedLabels
from convlift.data.splits import Fold
from convlift.errors import BudgetError, DataError, Interrupted, LedgerError, RecipeError, WeightsError
from convlift.evidence.power import detectable
from convlift.execute.choose import executor_for
from convlift.ledger.fingerprint import differences, fingerprint
from convlift.ledger.ledger import Ledger, open_ledger, read_ledger
from convlift.ledger.trials import Plan, TrialRecord
from convlift.protocols.consensus import Choice, choice_of, consensus
from convlift.protocols.judge_folds import Shipped, hand_over, has_ended
from convlift.protocols.nest import Nest, cut_folds
from convlift.records.events import (
    CampaignEnded,
    FoldBegan,
    FoldEnded,
    FolderOpened,
    JudgingFolds,
    PowerExpected,
)
from convlift.records.result import Result
from convlift.records.training_events import TrainingOnAll
from convlift.search import decisions
from convlift.search.allocate import FINAL_SLACK, LEAST_OF_A_FINAL
from convlift.search.dispatcher import WEIGHTS, Dispatcher
from convlift.search.result_in_ledger import result_of, result_so_far
from convlift.search.scores import Scores
from convlift.search.space import Configuration
from convlift.trial.worker_task import prepare, run_job

TRIES = 3  # trainings of a recipe, until one leaves a network
HOPELESS_AREA = 0.6  # AUROC on validation images, of which chance is .5

Campaign = Callable[[Request, Dataset, SealedLabels, Session], tuple[Path, Result]]


def run_folds(request: Request, folds: int, session: Session, campaign: Campaign = run_on) -> tuple[Path, Result]:
    """Run the campaigns of all folds, or those that are not finished, and judge them together: (run folder, result).

    Raises what `run_campaign` raises; Interrupted keeps what is finished, and the half of the fold it was in.
    """
    check_request(request)
    nest = cut_folds(request, folds, session)
    identity = identity_of(nest.request_of(0, 0.0), nest.whole, nest.problem)
    is_new = not nest.folder.exists()
    try:
        with open_ledger(nest.folder, identity) as ledger:
            earlier = ledger.settings
            check_measure(nest.folder, earlier, request)
            ledger.note_settings(request.settings)
            note_origin(ledger, nest.whole)
            session.listen(FolderOpened(nest.folder))
            ledger.add_seconds(time.monotonic() - session.began)
            known = result_so_far(ledger)
            if known is None:
                _run(nest, ledger, session, campaign)
            else:
                read_again(ledger, session, is_unused=is_budget_unused(known, earlier, request))
            return nest.folder, result_of(ledger)
    except (BudgetError, DataError, RecipeError, WeightsError):
        if is_new and not any(nest.folder_of(number).exists() for number in nest.numbers):
            shutil.rmtree(nest.folder, ignore_errors=True)  # nothing half-written
        raise


def _run(nest: Nest, ledger: Ledger, session: Session, campaign: Campaign) -> None:
    _keep_procedure(nest, ledger)
    if not nest.folder_of(1).exists():
        images = len(nest.whole.store.labels)
        found = detectable(images, power_before(nest.problem, nest.whole, folds=nest.folds))
        session.listen(PowerExpected(found, images))
    for number in nest.numbers:
        if _finished(nest.folder_of(number)):
            session.listen(
                CampaignEnded(nest.folder_of(number), is_new=False)
            )  # killed between its result and its page
        else:
            _run_fold(nest, number, ledger, session, campaign)
    choices = [_choice(nest, number) for number in nest.numbers]
    agreed = consensus(choices)
    frozen, record = _train(nest, agreed, choices, ledger, session)
    ledger.freeze(frozen.recipe, frozen.names)
    session.listen(JudgingFolds())
    ends = [(nest.folder_of(number), *nest.fold(number)) for number in nest.numbers]
    shipped = Shipped(nest.request, nest.whole, frozen, record, frozen is agreed)
    hand_over(nest.problem, ledger, shipped, ends)
    session.listen(CampaignEnded(nest.folder))
    shutil.rmtree(nest.folder / WEIGHTS, ignore_errors=True)


def _keep_procedure(nest: Nest, ledger: Ledger) -> None:
    """Refuse to go on in another way than the folds before: some of their tests are open. Raises LedgerError."""
    request, problem = nest.request, nest.problem
    priors = fingerprint(document(problem.expectations)) if problem.expectations else ""
    asked = decisions.Procedure(request.ship, priors, backbone=request.backbone or "", weights=request.weights or "")
    known = decisions.decided(ledger, decisions.Procedure) or asked
    if changed := differences(asdict(known), asdict(asked)):
        raise LedgerError(
            f"{ledger.folder} was begun another way ({'; '.join(changed)}), and all folds are judged as one procedure; "
            "run the command that began it, or name another folder with --out."
        )
    decisions.note(ledger, asked)


def _run_fold(nest: Nest, number: int, ledger: Ledger, session: Session, campaign: Campaign) -> None:
    place, seconds = f"fold {number} of {nest.folds}", _allowance(nest, number, ledger)
    session.listen(FoldBegan(number, nest.folds))
    ended = FoldEnded(number, nest.folds)
    try:
        of_its_own = replace(session, began=time.monotonic())
        _, result = campaign(nest.request_of(number, seconds), *nest.fold(number), of_its_own)
        if not has_ended(result):
            raise _unfinished_fold(nest, result, seconds)
        # how it did on its test is not told before all folds are done: nobody shall be led to stop at a good one
        ended = FoldEnded(number, nest.folds, True, result.trials, result.start_name)
    except Interrupted as interrupted:
        raise Interrupted(
            f"stopped in {place}; what is finished is in {nest.folder}, and the same command continues.",
            interrupted.exit_code - 128,
        ) from None
    except BudgetError as error:
        raise _too_short(nest, number, seconds, error) from error
    except (DataError, LedgerError) as error:
        where = nest.folder_of(number)
        again = f" The other folds are kept: delete {where} and give the same command again." if where.exists() else ""
        raise type(error)(f"{place}: {error}{again}") from error
    finally:
        session.listen(ended)


def _unfinished_fold(nest: Nest, result: Result, seconds: float) -> BudgetError | DataError:
    """Why a fold's campaign judged nothing."""
    why = result.why
    if why is not None and why.wants_time:
        what = "the baseline" if why.why == "no time for the baseline" else "the final runs"
        sentence = f"Not judged: no time for {what}."
        return DataError(sentence) if nest.request.trainings else BudgetError(sentence, 2.0 * seconds)
    failed = f" ({why.reason})" if why and why.reason else ""
    return DataError(f"nothing was judged, since what was to be compared failed to learn{failed}.")


def _too_short(nest: Nest, number: int, seconds: float, error: BudgetError) -> BudgetError:
    """The error of one fold as one of the whole budget."""
    whole = f"budget {format_duration(nest.request.budget_seconds)}"
    part = f"fold {number} of {nest.folds} has {format_duration(max(seconds, 0.0))} of it"
    if error.needed_seconds is None:
        return BudgetError(f"{whole} is too short: {part}. {error} Give more, or take fewer folds in another folder.")
    more = (error.needed_seconds - seconds) * len(_unfinished(nest)) / (1.0 - nest.reserve)
    allow = format_duration(math.ceil(nest.request.budget_seconds + more + 1.0))
    needs = format_duration(math.ceil(error.needed_seconds))
    return BudgetError(f"{whole} is too short: {part} and needs {needs}; the same command with --budget {allow} does.")


def _allowance(nest: Nest, number: int, ledger: Ledger) -> float:
    """Seconds of a fold's whole campaign: the same for every fold, since all are judged as one procedure. What it has
    used already, before an interruption, is its own."""
    remaining = _unfinished(nest)
    used = ledger.seconds_used() - _used(nest.folder_of(number))
    left = (nest.request.budget_seconds - used - nest.kept_seconds) / len(remaining)
    return max(min(left, nest.fold_seconds), 0.0)


def _seconds_of_last(nest: Nest) -> float:
    """What the training of what ships will take at most, from what the folds' final runs took, with the slowest start
    of any training (extraction of features among them) and that of its process."""
    longest = 0.0
    for number in nest.numbers:
        with read_ledger(nest.folder_of(number)) as ledger:
            ended = [(record.role, record.outcome) for record in ledger.trials() if record.outcome is not None]
        beginning = max((o.seconds - sum(epoch.seconds for epoch in o.curve) for _, o in ended), default=0.0)
        final = max((o.seconds for role, o in ended if role == "final"), default=0.0)
        longest = max(longest, (beginning + final) * len(nest.parts[0].train) / len(nest.parts[number].train))
    return longest + LOADING_SECONDS


def _unfinished(nest: Nest) -> list[int]:
    return [number for number in nest.numbers if not _finished(nest.folder_of(number))]


def _finished(folder: Path) -> bool:
    try:
        with read_ledger(folder) as ledger:
            known = result_so_far(ledger)
            return known is not None and has_ended(known)
    except LedgerError:
        return False


def _choice(nest: Nest, number: int) -> Choice:
    problem = problem_of(nest.request_of(number, 0.0), nest.fold(number)[0])
    with read_ledger(nest.folder_of(number)) as ledger:
        return choice_of(problem, ledger)


def _used(folder: Path) -> float:
    try:
        with read_ledger(folder) as ledger:
            return ledger.seconds_used()
    except LedgerError:
        return 0.0


def _train(
    nest: Nest, agreed: Configuration, choices: list[Choice], ledger: Ledger, session: Session
) -> tuple[Configuration, TrialRecord]:
    """What ships, trained on all images but those that validate: the recipe that the folds agree on or, where no
    training of that learns anything, what the folds shipped, from the one that is believed to be the best down.

    Raises LedgerError where that leaves no network either, BudgetError where the time is over.
    """
    request, scores = nest.request, Scores(nest.problem)
    needed = _seconds_of_last(nest)
    groups, fold = nest.whole.groups, Fold(0, nest.folds)
    prepared = partial(prepare, nest.whole.store.folder, request.seed, request.cache, groups, fold)

    def watch(dispatcher: Dispatcher) -> None:
        session.listen(TrainingOnAll(dispatcher.left()))

    left_some: list[tuple[Configuration, TrialRecord]] = []
    log = nest.folder / "workers.log"
    with executor_for(run_job, prepared, workers=1, devices=request.devices, log=log) as executor:
        dispatcher = Dispatcher(ledger, executor, request.budget_seconds, stop=session.stop, watch=watch)
        for frozen, plan in _last_plans(nest, agreed, choices):
            record = _train_last(nest, dispatcher, plan, needed)
            if record.status in ("finished", "stopped") and record.has_trained:
                left_some.append((frozen, record))
                if scores.area(record) > HOPELESS_AREA:
                    return frozen, record
    if left_some:  # images of which nothing can be learned
        return left_some[0]
    raise LedgerError(f"no training of what ships left a network ({record.status}); start anew in another folder.")


def _last_plans(nest: Nest, agreed: Configuration, choices: list[Choice]) -> list[tuple[Configuration, Plan]]:
    """What may be trained on all images, in the order in which it is tried."""
    shipped = [choice.shipped for choice in sorted(choices, key=lambda choice: -choice.believed)]
    return [
        (frozen, nest.problem.plan("final", frozen.recipe, number, frozen.names))
        for first, frozen in enumerate([agreed, *shipped])
        for number in range(first * TRIES, (first + 1) * TRIES)
    ]


def _train_last(nest: Nest, dispatcher: Dispatcher, plan: Plan, needed: float) -> TrialRecord:
    """needed: seconds of a whole training. Raises BudgetError where the time is over, Interrupted."""

    def left() -> float:
        return dispatcher.left() - nest.problem.closing_seconds

    budget = dispatcher.budget_seconds
    if not dispatcher.has(plan) and left() < LEAST_OF_A_FINAL * needed:
        allow = format_duration(math.ceil(budget - left() + FINAL_SLACK * needed))
        raise BudgetError(
            f"budget {format_duration(budget)} was over before what ships could train on all images; the same command "
            f"with --budget {allow} continues."
        )
    try:
        (record,) = dispatcher.complete([plan], lambda plan: left())
    except Interrupted as interrupted:
        dispatcher.executor.close(kill=True)
        raise Interrupted(
            f"stopped while what ships was trained; what is finished is in {nest.folder}, and the same command "
            "continues.",
            interrupted.exit_code - 128,
        ) from None
    return record
