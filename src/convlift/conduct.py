"""From a data set and a budget to a finished run folder: what `improve` does, step by step."""

import hashlib
import os
import shutil
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Literal

import numpy as np

from convlift.campaign.judgement import judge_campaign
from convlift.campaign.loop import run_campaign
from convlift.campaign.power import power_before
from convlift.campaign.study import Study
from convlift.data.dataset import Dataset, seal
from convlift.data.groups import check_number, check_official, read_groups
from convlift.data.sources import open_source
from convlift.data.splits import SealedLabels, make_splits
from convlift.data.store import open_store
from convlift.errors import BudgetError, DataError, Interrupted, LedgerError, RecipeError, WeightsError
from convlift.evidence.metrics import metric_named
from convlift.evidence.plan import expected_in_words
from convlift.execute.desk import Desk
from convlift.execute.processes import ProcessExecutor
from convlift.handover import REPORT, hand_over, write_model, write_report
from convlift.ledger.fingerprint import Identity, fingerprint
from convlift.ledger.ledger import Ledger, open_ledger, read_ledger
from convlift.model.config import Pretrained
from convlift.outcome import Result
from convlift.progress import Progress, clock_text
from convlift.recipe import Recipe, load_recipe
from convlift.recipes import BUILT_IN, built_in
from convlift.report.narration import result_of
from convlift.study.budget import Forward, format_duration
from convlift.study.candidates import Candidate
from convlift.study.intervention import Facts
from convlift.study.pace import Pace
from convlift.study.priors import document, load_expectations
from convlift.study.starting_points import starting_points
from convlift.trial.answer import Witness
from convlift.trial.job import prepare, run_job

CLOSING_SECONDS = 6.0  # judging, model folder and report: 2 to 4 s were measured
CLOSING_SHARE = 0.01  # of the budget, for what no prediction sees
STARTUP_SECONDS = 30.0  # a process that is older did something else before: a notebook, a server


@dataclass(frozen=True)
class Request:
    """What a campaign is asked for; see `api.Options`.

    pool: the changes to be tried instead of the catalogue's, from the baseline alone. priors: a file of them.
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


def conduct(
    request: Request, progress: Progress, stop: Callable[[], int], began: float | None = None
) -> tuple[Path, Result]:
    """Run the campaign, or continue it, or read its result where it is finished: (run folder, result).

    began: the instant of time.monotonic() from which the budget counts; None for the start of this process.
    """
    began = time.monotonic() - _seconds_of_startup() if began is None else began
    metric_named(request.metric)  # a fault in the name is said before the images are read
    if request.priors:
        load_expectations(request.priors)
    dataset, sealed = open_data(
        request.data, request.root, request.seed, request.cache, progress, stop, group_from=request.group_from
    )
    study = study_of(request, dataset)
    identity = Identity(
        dataset.store.fingerprint, study.baseline, study.seed, request.metric, groups=_fingerprint_of_groups(dataset)
    )
    folder = request.out or _folder_for(request, dataset, study)
    is_new = not folder.exists()
    try:
        with open_ledger(folder, identity, {"budget_seconds": request.budget_seconds}) as ledger:
            progress.keep_log(folder / "log.txt")
            ledger.add_seconds(time.monotonic() - began)
            if ledger.recall("result") is None:
                _run(request, study, ledger, dataset, sealed, (progress, stop))
            elif not (folder / REPORT).is_file():
                write_report(ledger)
            return folder, result_of(ledger)
    except (BudgetError, DataError, RecipeError, WeightsError):
        if is_new and not _has_searched(folder):
            shutil.rmtree(folder, ignore_errors=True)  # nothing half-written
        raise


def _has_searched(folder: Path) -> bool:
    """Whether there is something to continue from, or to look into."""
    try:
        with read_ledger(folder) as ledger:
            return bool(ledger.trials("search"))
    except LedgerError:
        return False


def open_data(
    where: str,
    root: Path | None,
    seed: int,
    cache: Path,
    progress: Progress,
    stop: Callable[[], int] = lambda: 0,
    *,
    group_from: str | None = None,
) -> tuple[Dataset, SealedLabels]:
    """Read, verify, decode once, split, and seal the test. What was found wrong is said; see `Dataset`.

    group_from: where the images' groups stand, see `data.groups.read_groups`.
    Raises Interrupted where `stop` asks for it while images are decoded, which can take minutes.
    """

    def decoded(done: int, total: int) -> None:
        progress.show(f"decoding images: {done} of {total}")
        if stop():
            raise Interrupted("stopped while the images were decoded; the same command starts again.", stop())

    progress.show("reading the images")
    store = open_store(open_source(where, root=root), cache, decoded)
    groups = None if group_from is None else read_groups(group_from, store.keys)
    if groups is not None:
        store = replace(store, findings=store.findings + check_official(store, groups))
    for finding in store.findings:
        if finding.severity != "note":
            progress.say(f"{finding.severity}: {finding.message} {finding.remedy}".rstrip())
    splits = make_splits(store, seed, groups)
    if groups is not None:
        check_number(store.name, groups[splits.test])
    return seal(store, splits, groups)


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
        pace=Pace(facts, _forward(dataset), len(splits.validation) + len(splits.test)),
        validation_labels=labels[splits.validation],
        seed=request.seed,
        ship=request.ship,
        closing_seconds=CLOSING_SECONDS + CLOSING_SHARE * request.budget_seconds,
        pool=request.pool,
        expectations=load_expectations(request.priors) if request.priors else None,
        metric=metric_named(request.metric),
        validation_groups=dataset.groups_of(splits.validation),
        test_groups=dataset.groups_of(splits.test),
        ask=partial(_ask, dataset, request.seed),
    )


def _ask(dataset: Dataset, seed: int, weights: Path, recipe: Recipe) -> Witness:
    """A finished trial's network, to be asked about augmentations."""
    from convlift.trial.guard import call_witness

    return call_witness(dataset, seed, weights, recipe)


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


def _folder_for(request: Request, dataset: Dataset, study: Study) -> Path:
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
    prepared = partial(prepare, dataset.store.folder, request.seed, request.cache, dataset.groups)
    if not ledger.trials():
        progress.say(expected_in_words(len(dataset.splits.test), power_before(study, dataset)))
    log = ledger.folder / "workers.log"
    with ProcessExecutor(run_job, prepared, workers=request.workers, log=log) as executor:
        desk = Desk(ledger, executor, request.budget_seconds, stop=stop, watch=partial(_show, study, progress))
        progress.show("loading")
        for point in study.points:
            study.pace.forward(point.recipe)  # imports torch, which takes seconds: now, while the workers do so too
        try:
            frozen = run_campaign(study, desk)
        except Interrupted as interrupted:
            executor.close(kill=True)
            raise _left(study, desk, dataset, interrupted) from None
        except BudgetError:
            if ledger.recall("freeze") is not None:
                _keep_best(study, desk, dataset)
            raise
    progress.show("opening the sealed test")
    ledger.open_test()
    test_labels = sealed.open()
    judged = judge_campaign(study, desk, frozen, test_labels)
    hand_over(study, desk, dataset, frozen, judged, test_labels)


def _left(study: Study, desk: Desk, dataset: Dataset, interrupted: Interrupted) -> Interrupted:
    """Put the best network so far into the run folder, and say how to go on."""
    number = interrupted.exit_code - 128
    if not _keep_best(study, desk, dataset):
        return Interrupted("stopped before any training had ended; the same command starts again.", number)
    return Interrupted(
        f"stopped after {len(desk.ledger.trials())} trials; the best network so far is in "
        f"{desk.ledger.folder / 'model'}, and the same command continues.",
        number,
    )


def _keep_best(study: Study, desk: Desk, dataset: Dataset) -> bool:
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
    for job, epoch in desk.executor.progress():
        progress.log(
            f"trial {job.id} {epoch.phase} epoch {epoch.epoch + 1}/{epoch.epochs}: "
            f"train loss {epoch.train_loss:.4f}, validation {epoch.validation_accuracy:.4f}"
        )
    progress.show(
        f"{words[stage]}: {len(ended)} trials ended, {desk.running} running, "
        f"{clock_text(desk.left())} of {format_duration(desk.budget_seconds)} left"
    )


def _seconds_of_startup() -> float:
    """Wall clock since this process began, for the budget counts from there; 0 in one that had done other work."""
    try:
        ticks = int(Path("/proc/self/stat").read_text().rsplit(")", 1)[1].split()[19])
        age = time.clock_gettime(time.CLOCK_BOOTTIME) - ticks / os.sysconf("SC_CLK_TCK")
    except (OSError, AttributeError, IndexError, ValueError):
        age = time.process_time()
    return age if 0.0 <= age <= STARTUP_SECONDS else 0.0
