"""From a data set and a budget to a finished run folder: what `improve` does, step by step."""

import hashlib
import os
import shutil
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Literal

import numpy as np

from convlift.campaign.footprint import check_disk, footprint_of
from convlift.campaign.judgement import judge_campaign
from convlift.campaign.loop import run_campaign
from convlift.campaign.power import power_before
from convlift.campaign.study import Study
from convlift.data.dataset import Dataset
from convlift.data.splits import Fold, SealedLabels
from convlift.disk import has_plenty
from convlift.errors import BudgetError, ConvliftError, DataError, Interrupted, LedgerError, RecipeError, WeightsError
from convlift.evidence.metrics import metric_named
from convlift.evidence.plan import SMALL, USUAL_FOLDS, cv_in_words, expected_in_words
from convlift.execute.desk import Desk
from convlift.execute.processes import ProcessExecutor
from convlift.handover import REPORT, Opened, hand_over, keep_best, write_report
from convlift.ledger.fingerprint import Identity, fingerprint
from convlift.ledger.ledger import LEDGER_FILE, Ledger, open_ledger, read_ledger
from convlift.ledger.openings import register_opening
from convlift.model.config import Pretrained
from convlift.outcome import Result
from convlift.progress import Progress, clock_text
from convlift.reading import open_data
from convlift.recipe import Recipe, load_recipe
from convlift.recipes import BUILT_IN, built_in
from convlift.report.narration import result_of
from convlift.study.budget import Forward, format_duration
from convlift.study.candidates import Candidate
from convlift.study.intervention import Facts
from convlift.study.pace import Pace
from convlift.study.priors import Expectations, document, load_expectations
from convlift.study.starting_points import starting_points
from convlift.trial.answer import Witness
from convlift.trial.job import prepare, run_job

LOADING_SECONDS = 6.0  # imports and worker processes: 4 to 8 s were measured
CLOSING_SECONDS = 6.0  # judging, model folder and report: 2 to 4 s were measured
CLOSING_SHARE = 0.01  # of the budget, for what no prediction sees
# what a campaign decides on its way, and decides anew where it ended with its test sealed and is given more time
SETTLED = (
    "first probes", "probes", "pilots beside probes", "start", "division", "priors", "diagnosis", "candidates", "why",
    "left out", "guard", "scouted", "agreement", "revision", "freeze", "shipment", "story", "result",
)  # fmt: skip
STARTUP_SECONDS = 30.0  # a process that is older did something else before: a notebook, a server


@dataclass(frozen=True)
class Request:
    """What a campaign is asked for; see `api.Options`.

    trainings: how long the campaign is, instead of a time, and then budget_seconds is infinite; 0: by time.
    pool: the changes to be tried instead of the catalogue's, from the baseline alone. priors: a file of them. fold: the
    campaign is this part of a nested cross-validation (folds.py).
    """

    data: str
    budget_seconds: float
    current: str | Path | Recipe
    out: Path | None
    backbone: str | None
    weights: str | None
    root: Path | None
    seed: int
    ship: Literal["auto", "lean", "best"]
    workers: int
    cache: Path
    metric: str = "accuracy"
    group_from: str | None = None
    pool: tuple[Candidate, ...] | None = None
    priors: Path | None = None
    fold: Fold | None = None
    trainings: int = 0

    @property
    def settings(self) -> dict[str, Any]:
        """What may change between resumes, as the ledger keeps it."""
        if self.trainings:
            return {"budget_seconds": None, "trainings": self.trainings}
        return {"budget_seconds": self.budget_seconds}


def conduct(
    request: Request, progress: Progress, stop: Callable[[], int], began: float | None = None
) -> tuple[Path, Result]:
    """Run the campaign, or continue it, or read its result where it is finished: (run folder, result).

    began: the instant of time.monotonic() from which the budget counts; None for the start of this process.
    """
    began = time.monotonic() - seconds_of_startup() if began is None else began
    check_request(request)
    dataset, sealed = open_data(
        request.data, request.root, request.seed, request.cache, progress, stop, group_from=request.group_from
    )
    return campaign(request, dataset, sealed, (progress, stop), began)


def check_request(request: Request) -> None:
    """Say a fault in the metric or the priors before the images are read. Raises ConvliftError."""
    metric_named(request.metric)
    if request.priors:
        load_expectations(request.priors)


def campaign(
    request: Request, dataset: Dataset, sealed: SealedLabels, talk: tuple[Progress, Callable[[], int]], began: float
) -> tuple[Path, Result]:
    """`conduct` on a data set that is open already."""
    study = study_of(request, dataset)
    identity = identity_of(request, dataset, study)
    folder = request.out or folder_for(request, dataset, study)
    is_new = not folder.exists()
    try:
        with open_ledger(folder, identity) as ledger:
            earlier = ledger.settings
            check_measure(folder, earlier, request)
            ledger.record("settings", request.settings, replace=True)
            talk[0].keep_log(folder / "log.txt")
            ledger.add_seconds(time.monotonic() - began)
            if ledger.recall("result") is not None and _goes_on(result_of(ledger), earlier, request):
                ledger.unsettle(SETTLED)
            if ledger.recall("result") is None:
                _run(request, study, ledger, dataset, sealed, talk)
            else:
                if unused := unused_in_words(result_of(ledger), earlier, request):
                    talk[0].say(unused)
                if not (folder / REPORT).is_file():
                    write_report(ledger)
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
        f"{f'--trainings {request.trainings}' if request.trainings else '--budget'}; give {began.split()[0]} again, or "
        "name another folder with --out."
    )


def _goes_on(result: Result, earlier: Mapping[str, Any], request: Request) -> bool:
    """Whether a campaign that ended with its test still sealed is given more time."""
    return not result.judged and not request.trainings and request.budget_seconds > earlier["budget_seconds"]


def unused_in_words(result: Result, earlier: Mapping[str, Any], request: Request) -> str:
    """Why a longer budget changes nothing; "" where none was given."""
    if request.trainings or not result.judged or request.budget_seconds <= earlier["budget_seconds"]:
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
            return any(record.outcome is not None and record.outcome.curve for record in ledger.trials())
    except LedgerError:
        return False


def recipe_from(named: str | Path | Recipe) -> Recipe:
    """A built-in recipe by its name, the recipe in a file, or the recipe itself. Raises RecipeError."""
    if isinstance(named, Recipe):
        return named
    is_file = str(named) not in {entry.name for entry in BUILT_IN} and Path(named).exists()
    return load_recipe(Path(named)) if is_file else built_in(str(named))


def study_of(request: Request, dataset: Dataset) -> Study:
    """What the campaign is given. Raises RecipeError or WeightsError where it could not be trained."""
    labels, splits, store = dataset.labels, dataset.splits, dataset.store
    per_class = np.bincount(labels[splits.train], minlength=len(dataset.classes))
    sides = np.sort(store.shapes[:, :2], axis=1)
    facts = Facts(
        training_images=len(splits.train),
        classes=len(dataset.classes),
        channels=3 if dataset.channels == 3 else 1,
        native_resolution=store.native_resolution,
        imbalance=float(per_class.max() / max(1, per_class.min())),
        aspect=float(np.median(sides[:, 1] / sides[:, 0])),
        class_names=dataset.classes,
    )
    if request.backbone or request.weights:
        _check_backbone(request.backbone, request.weights)
    baseline = recipe_from(request.current).at(store.native_resolution)
    return Study(
        baseline=baseline,
        baseline_name=str(request.current) if not isinstance(request.current, Recipe) else "your recipe",
        starts=tuple(
            point
            for point in starting_points(facts, backbone=request.backbone, weights=request.weights)
            if point.recipe != baseline and request.pool is None
        ),
        facts=facts,
        pace=Pace(facts, _forward(dataset), len(splits.validation) + len(splits.test), nominal=bool(request.trainings)),
        validation_labels=labels[splits.validation],
        seed=seed_of(request),
        ship=request.ship,
        closing_seconds=0.0 if request.trainings else CLOSING_SECONDS + CLOSING_SHARE * request.budget_seconds,
        pool=request.pool,
        expectations=_expectations(request.priors, dataset) if request.priors else None,
        metric=metric_named(request.metric),
        validation_groups=dataset.groups_of(splits.validation),
        test_groups=dataset.groups_of(splits.test),
        ask=partial(_ask, dataset, seed_of(request), bool(request.trainings)),
        trainings=request.trainings,
    )


def _ask(dataset: Dataset, seed: int, one_thread: bool, weights: Path, recipe: Recipe) -> Witness:
    """A finished trial's network, to be asked about augmentations."""
    from convlift.trial.guard import call_witness

    return call_witness(dataset, seed, weights, recipe, one_thread=one_thread)


def _expectations(path: Path, dataset: Dataset) -> Expectations:
    """What past campaigns lead one to expect. Raises ConvliftError where one of them was on these very images: what is
    learned from a campaign has seen the labels of its test."""
    found = load_expectations(path)
    for origin in found.origins:
        if origin.fingerprint == dataset.store.fingerprint:
            raise ConvliftError(
                f"priors {path} were learned from {origin.run}, a campaign on these very images, and so from labels of "
                "its test; learn them without it, or leave out --priors."
            )
    return found


def _check_backbone(backbone: str | None, weights: str | None) -> None:
    """Fail before any training, not in the middle of one. Raises RecipeError or WeightsError."""
    from convlift.model.backbone import create_backbone

    known = Pretrained()
    create_backbone(backbone or known.backbone, weights or known.weights)


def _forward(dataset: Dataset) -> Forward:
    """Multiply-adds of one image through a recipe's network."""
    channels, classes, native = dataset.channels, len(dataset.classes), dataset.store.native_resolution

    def forward(recipe: Recipe, stages: int | None = None) -> float:
        from convlift.model.cost import cost

        side = recipe.at(native).data.resolution or native
        found = cost(recipe.architecture, classes=classes, channels=channels, resolution=side, stages=stages)
        return float(found.multiply_adds)

    return forward


def seed_of(request: Request) -> int:
    """The seed of the trainings and of the search: a fold's are its own, only the splits share the seed of them all."""
    if request.fold is None:
        return request.seed
    return int.from_bytes(hashlib.sha256(f"{request.seed} {request.fold}".encode()).digest()[:4], "big") >> 1


def identity_of(request: Request, dataset: Dataset, study: Study) -> Identity:
    """What makes this campaign the same campaign."""
    groups, fold = _fingerprint_of_groups(dataset), str(request.fold or "")
    return Identity(dataset.store.fingerprint, study.baseline, request.seed, request.metric, groups=groups, fold=fold)


def folder_for(request: Request, dataset: Dataset, study: Study) -> Path:
    """The same question gets the same folder, so that the same command continues; the budget may differ."""
    question: tuple[object, ...] = (
        dataset.store.fingerprint,
        study.baseline.fingerprint(),
        request.seed,
        request.backbone,
        request.weights,
    )
    if study.expectations is not None:
        question += (fingerprint(document(study.expectations)),)
    if request.metric != "accuracy" or dataset.groups is not None:
        question += (request.metric, _fingerprint_of_groups(dataset))
    if request.fold is not None:
        question += (str(request.fold),)
    return Path("runs") / f"{dataset.name}-{hashlib.sha256(repr(question).encode()).hexdigest()[:8]}"


def _fingerprint_of_groups(dataset: Dataset) -> str:
    return "" if dataset.groups is None else hashlib.sha256(dataset.groups.tobytes()).hexdigest()


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
    if not ledger.trials() and request.fold is None:
        progress.say(expected_in_words(len(dataset.splits.test), power_before(study, dataset)) + _advice(dataset))
    log = ledger.folder / "workers.log"
    with ProcessExecutor(run_job, prepared, workers=request.workers, log=log) as executor:
        desk = Desk(ledger, executor, request.budget_seconds, stop=stop, watch=partial(_show, study, progress))
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
    if request.fold is None:
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


def _left(study: Study, desk: Desk, dataset: Dataset, interrupted: Interrupted) -> Interrupted:
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


def _show(study: Study, progress: Progress, desk: Desk) -> None:
    """One line: what runs now, how far it is, how much time is left."""
    trials = desk.ledger.trials()
    ended = [record for record in trials if record.outcome is not None]
    stage = trials[-1].role if trials else "probe"
    words = {
        "pilot": "baseline",
        "probe": "starting points",
        "scout": "asking on stored features",
        "search": "searching",
        "final": "final runs",
    }
    for job, epoch in desk.heard:
        progress.log(
            f"trial {job.id} {epoch.phase} epoch {epoch.epoch + 1}/{epoch.epochs}: "
            f"train loss {epoch.train_loss:.4f}, validation {epoch.validation_accuracy:.4f}"
        )
    if study.trainings:
        counted = sum(record.role in ("pilot", "search", "final") for record in ended)
        left = f"{counted} of {study.trainings} trainings"
    else:
        left = f"{clock_text(desk.left())} of {format_duration(desk.budget_seconds)} left"
    progress.show(f"{words[stage]}: {len(ended)} trials ended, {desk.running} running, {left}")


def seconds_of_startup() -> float:
    """Wall clock since this process began, for the budget counts from there; 0 in one that had done other work."""
    try:
        ticks = int(Path("/proc/self/stat").read_text().rsplit(")", 1)[1].split()[19])
        age = time.clock_gettime(time.CLOCK_BOOTTIME) - ticks / os.sysconf("SC_CLK_TCK")
    except (OSError, AttributeError, IndexError, ValueError):
        age = time.process_time()
    return age if 0.0 <= age <= STARTUP_SECONDS else 0.0
