"""Nested cross-validation: a whole campaign for every fold of a small data set, and one judgement over all images.

Each fold's campaign goes the way of `improve`, through the same code, in a run folder of its own: its sealed test is
the fold, and its search sees the other folds alone. So every image is tested once, by networks that never saw it.
What ships is what the folds agree on, trained once more on all images.
"""

import math
import shutil
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from functools import partial
from pathlib import Path

from convlift.campaign.artifacts import REPORT, write_report
from convlift.campaign.open_data import read_images
from convlift.campaign.power import power_before
from convlift.campaign.request import CLOSING_SECONDS, Request, check_request, folder_for, identity_of, study_of
from convlift.campaign.run import LOADING_SECONDS, check_measure, read_again, seconds_of_startup
from convlift.campaign.run import campaign as run_fold
from convlift.catalogue.priors import document
from convlift.console.duration import format_duration
from convlift.console.progress import Progress, clock_text
from convlift.data.dataset import Dataset, seal
from convlift.data.groups import check_number
from convlift.data.splits import Fold, SealedLabels, Splits, make_splits
from convlift.errors import BudgetError, ConvliftError, DataError, Interrupted, LedgerError, RecipeError, WeightsError
from convlift.evidence.plan import expected_in_words
from convlift.execute.choose import executor_for
from convlift.ledger.fingerprint import differences, fingerprint
from convlift.ledger.ledger import Ledger, open_ledger, read_ledger
from convlift.ledger.records import TrialRecord
from convlift.protocols.consensus import Choice, choice_of, consensus
from convlift.protocols.judge_folds import Shipped, hand_over, has_ended
from convlift.records.result import Result
from convlift.report.narration import result_of
from convlift.search import decisions
from convlift.search.allocate import FINAL_SLACK, LEAST_OF_A_FINAL
from convlift.search.dispatcher import WEIGHTS, Dispatcher
from convlift.search.shipment import NO_TIME
from convlift.search.space import Frozen
from convlift.search.study import Study
from convlift.trial.worker_task import prepare, run_job

FEWEST, MOST = 2, 10
USUAL_FINAL = 0.15  # of a fold's budget: a long final run, whose like on all images is kept in reserve
TRIES = 3  # trainings of a recipe, until one leaves a network
HOPELESS_AREA = 0.6  # AUROC on validation images, of which chance is .5

Talk = tuple[Progress, Callable[[], int]]
Campaign = Callable[[Request, Dataset, SealedLabels, Talk, float], tuple[Path, Result]]


@dataclass(frozen=True)
class Nest:
    """One nested cross-validation. parts: the splits of fold 0, which has no test, and of folds 1 to K; whole, sealed
    labels aside: the data set with every label, and study: what ships is trained by them."""

    request: Request
    folder: Path
    whole: Dataset
    study: Study
    parts: tuple[Splits, ...]

    @property
    def folds(self) -> int:
        return len(self.parts) - 1

    @property
    def numbers(self) -> range:
        """Of the folds."""
        return range(1, self.folds + 1)

    @property
    def reserve(self) -> float:
        """Part of the budget that is kept for the training of what ships, on more images than a fold had."""
        return USUAL_FINAL / self.folds * len(self.parts[0].train) / len(self.parts[1].train)

    @property
    def kept_seconds(self) -> float:
        """Of the budget, for what comes after the folds."""
        if self.request.trainings:
            return 0.0
        return self.reserve * self.request.budget_seconds + CLOSING_SECONDS

    @property
    def fold_seconds(self) -> float:
        """An even share of the rest, 0 where there is none."""
        return max((self.request.budget_seconds - self.kept_seconds) / self.folds, 0.0)

    def fold(self, number: int) -> tuple[Dataset, SealedLabels]:
        """A fold's data set, its test sealed."""
        return seal(self.whole.store, self.parts[number], self.whole.groups)

    def folder_of(self, number: int) -> Path:
        """A fold's run folder."""
        return self.folder / f"fold-{number}"

    def request_of(self, number: int, seconds: float) -> Request:
        """What a fold's campaign is asked for."""
        fold = Fold(number, self.folds)
        return replace(self.request, out=self.folder_of(number), budget_seconds=seconds, fold=fold)


def conduct_folds(
    request: Request,
    folds: int,
    progress: Progress,
    stop: Callable[[], int],
    began: float | None = None,
    campaign: Campaign = run_fold,
) -> tuple[Path, Result]:
    """Run the campaigns of all folds, or those that are not finished, and judge them together: (run folder, result).

    Raises what `conduct` raises; Interrupted keeps what is finished, and the half of the fold it was in.
    """
    began = time.monotonic() - seconds_of_startup() if began is None else began
    check_request(request)
    nest = cut_folds(request, folds, progress, stop)
    identity = identity_of(nest.request_of(0, 0.0), nest.whole, nest.study)
    is_new = not nest.folder.exists()
    try:
        with open_ledger(nest.folder, identity) as ledger:
            earlier = ledger.settings
            check_measure(nest.folder, earlier, request)
            ledger.note_settings(request.settings)
            progress.keep_log(nest.folder / "log.txt")
            ledger.add_seconds(time.monotonic() - began)
            if decisions.result(ledger) is None:
                _run(nest, ledger, (progress, stop), campaign)
            else:
                read_again(ledger, earlier, request, progress)
            return nest.folder, result_of(ledger)
    except (BudgetError, DataError, RecipeError, WeightsError):
        if is_new and not any(nest.folder_of(number).exists() for number in nest.numbers):
            shutil.rmtree(nest.folder, ignore_errors=True)  # nothing half-written
        raise


def cut_folds(request: Request, folds: int, progress: Progress, stop: Callable[[], int]) -> Nest:
    """Read the images and cut all folds, so that what does not fit is said before any training.

    Raises ConvliftError, DataError, RecipeError, WeightsError; Interrupted where `stop` asks for it.
    """
    if not FEWEST <= folds <= MOST:
        raise ConvliftError(f"--cv {folds} is out of range; give {FEWEST} to {MOST} folds, or leave it out.")
    store, groups = read_images(
        request.data,
        request.root,
        request.cache,
        progress,
        stop,
        group_from=request.group_from,
        choices=request.choices,
    )
    if (store.official != "").any():
        raise ConvliftError(
            f"{store.name} brings its own test or validation part, and --cv makes each image a test image in turn; "
            "leave out --cv, or give all images in one folder of class folders."
        )
    parts = tuple(make_splits(store, request.seed, groups, Fold(number, folds)) for number in range(folds + 1))
    if groups is not None:
        for part in parts[1:]:
            check_number(store.name, groups[part.test])
    whole, _ = seal(store, parts[0], groups)
    shipped = replace(request, fold=Fold(0, folds))
    study = study_of(shipped, whole)
    return Nest(request, request.out or folder_for(shipped, whole, study), whole, study, parts)


def _run(nest: Nest, ledger: Ledger, talk: Talk, campaign: Campaign) -> None:
    progress, _ = talk
    _keep_procedure(nest, ledger)
    if not nest.folder_of(1).exists():
        images = len(nest.whole.store.labels)
        progress.say(expected_in_words(images, power_before(nest.study, nest.whole, folds=nest.folds)))
    for number in nest.numbers:
        if not _finished(nest.folder_of(number)):
            _run_fold(nest, number, ledger, talk, campaign)
    for number in nest.numbers:
        if not (nest.folder_of(number) / REPORT).is_file():  # killed between its result and that
            with read_ledger(nest.folder_of(number)) as fold:
                write_report(fold)
    choices = [_choice(nest, number) for number in nest.numbers]
    agreed = consensus(choices)
    frozen, record = _train(nest, agreed, choices, ledger, talk)
    ledger.freeze(frozen.recipe, frozen.names)
    progress.show("judging all folds together")
    ends = [(nest.folder_of(number), *nest.fold(number)) for number in nest.numbers]
    hand_over(nest.study, ledger, Shipped(nest.request, nest.whole, frozen, record, frozen is agreed), ends)
    shutil.rmtree(nest.folder / WEIGHTS, ignore_errors=True)


def _keep_procedure(nest: Nest, ledger: Ledger) -> None:
    """Refuse to go on in another way than the folds before: some of their tests are open. Raises LedgerError."""
    request, study = nest.request, nest.study
    priors = fingerprint(document(study.expectations)) if study.expectations else ""
    asked = decisions.Procedure(request.ship, priors, backbone=request.backbone or "", weights=request.weights or "")
    known = decisions.decided(ledger, decisions.Procedure) or asked
    if changed := differences(asdict(known), asdict(asked)):
        raise LedgerError(
            f"{ledger.folder} was begun another way ({'; '.join(changed)}), and all folds are judged as one procedure; "
            "run the command that began it, or name another folder with --out."
        )
    decisions.note(ledger, asked)


def _run_fold(nest: Nest, number: int, ledger: Ledger, talk: Talk, campaign: Campaign) -> None:
    progress, _ = talk
    place, began = f"fold {number} of {nest.folds}", time.monotonic()
    seconds = _allowance(nest, number, ledger)
    try:
        with progress.part(place):
            _, result = campaign(nest.request_of(number, seconds), *nest.fold(number), talk, began)
        if not has_ended(result):
            is_late = not nest.request.trainings and NO_TIME in result.why
            raise BudgetError(result.why, 2.0 * seconds) if is_late else DataError(result.why)
    except Interrupted as interrupted:
        raise Interrupted(
            f"stopped in {place}; what is finished is in {nest.folder}, and the same command continues.",
            interrupted.exit_code - 128,
        ) from None
    except BudgetError as error:
        raise _too_short(nest, number, ledger, seconds, error) from error
    except (DataError, LedgerError) as error:
        where = nest.folder_of(number)
        again = f" The other folds are kept: delete {where} and give the same command again." if where.exists() else ""
        raise type(error)(f"{place}: {error}{again}") from error
    # how it did on its test is not told before all folds are done: nobody shall be led to stop at a good one
    progress.say(f"{place} is done: {result.trials} trials, started from {result.start_name}")


def _too_short(nest: Nest, number: int, ledger: Ledger, seconds: float, error: BudgetError) -> BudgetError:
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
            return decisions.result(ledger) is not None and has_ended(result_of(ledger))
    except LedgerError:
        return False


def _choice(nest: Nest, number: int) -> Choice:
    study = study_of(nest.request_of(number, 0.0), nest.fold(number)[0])
    with read_ledger(nest.folder_of(number)) as ledger:
        return choice_of(study, ledger)


def _used(folder: Path) -> float:
    try:
        with read_ledger(folder) as ledger:
            return ledger.seconds_used()
    except LedgerError:
        return 0.0


def _train(nest: Nest, agreed: Frozen, choices: list[Choice], ledger: Ledger, talk: Talk) -> tuple[Frozen, TrialRecord]:
    """What ships, trained on all images but those that validate: the recipe that the folds agree on or, where no
    training of that learns anything, what the folds shipped, from the one that is believed to be the best down.

    Raises LedgerError where that leaves no network either, BudgetError where the time is over.
    """
    progress, stop = talk
    request, needed = nest.request, _seconds_of_last(nest)
    prepared = partial(
        prepare, nest.whole.store.folder, request.seed, request.cache, nest.whole.groups, Fold(0, nest.folds)
    )
    shipped = [choice.shipped for choice in sorted(choices, key=lambda choice: -choice.believed)]
    plans = [
        (frozen, nest.study.plan("final", frozen.recipe, number, frozen.names))
        for first, frozen in enumerate([agreed, *shipped])
        for number in range(first * TRIES, (first + 1) * TRIES)
    ]

    left_some: list[tuple[Frozen, TrialRecord]] = []

    def watch(desk: Dispatcher) -> None:
        progress.show(
            "training what ships on all images" + ("" if request.trainings else f", {clock_text(desk.left())} left")
        )

    def left() -> float:
        return desk.left() - nest.study.closing_seconds

    with executor_for(run_job, prepared, workers=1, log=nest.folder / "workers.log") as executor:
        desk = Dispatcher(ledger, executor, request.budget_seconds, stop=stop, watch=watch)
        for frozen, plan in plans:
            if not desk.has(plan) and left() < LEAST_OF_A_FINAL * needed:
                allow = format_duration(math.ceil(desk.budget_seconds - left() + FINAL_SLACK * needed))
                raise BudgetError(
                    f"budget {format_duration(desk.budget_seconds)} was over before what ships could train on all "
                    f"images; the same command with --budget {allow} continues."
                )
            try:
                (record,) = desk.complete([plan], lambda plan: left())
            except Interrupted as interrupted:
                executor.close(kill=True)
                raise Interrupted(
                    f"stopped while what ships was trained; what is finished is in {nest.folder}, and the same "
                    "command continues.",
                    interrupted.exit_code - 128,
                ) from None
            if record.status in ("finished", "stopped") and record.has_trained:
                left_some.append((frozen, record))
                if nest.study.area(record) > HOPELESS_AREA:
                    return frozen, record
    if left_some:  # images of which nothing can be learned
        return left_some[0]
    raise LedgerError(f"no training of what ships left a network ({record.status}); start anew in another folder.")
