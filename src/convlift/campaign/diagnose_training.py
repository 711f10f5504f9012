"""One training of the user's own recipe, and everything that shows what is wrong with it: what `diagnose` does.

Where the training accuses a lever of the recipe, it is undone and the recipe trained once more, in the time that there
is: only that tells a fault from a suspicion (decision 0022).
"""

import math
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from convlift.campaign.finished_training import check_same_data, finished_training, request_for, trained_before
from convlift.campaign.looks import (
    CONFLICT,
    DETAIL_IMAGES,
    LOADING,
    SECONDS_AN_IMAGE,
    SHORTCUTS,
    DoubtedImage,
    SeenImage,
    audit_says,
    come_as_files,
    confidences,
    contradictions,
    detail_lost,
    images_in_both,
    is_shrunk,
    plain_accuracies,
)
from convlift.campaign.one_training import folder_of, question_of, training_folder
from convlift.campaign.open_data import open_data
from convlift.campaign.own_recipe import recipe_of
from convlift.campaign.page_material import environment
from convlift.campaign.request import Request
from convlift.campaign.session import Session
from convlift.campaign.train_once import Trained, keep_training, train_in
from convlift.catalogue.accusations import Accusation, confirmed, difference_error
from convlift.catalogue.checks import Check
from convlift.catalogue.checks_of_data import check_all
from convlift.catalogue.observed import Observed, Tried
from convlift.data.dataset import Dataset
from convlift.errors import ConvliftError, Interrupted, WeightsError
from convlift.evidence.metrics import metric_named
from convlift.recipe.built_in import recipe_from
from convlift.recipe.recipe import Recipe
from convlift.recipe.trial_spec import Limits, TrialSpec
from convlift.records.events import EpochEnded
from convlift.records.outcome import Outcome
from convlift.records.result import Estimate
from convlift.records.training_events import (
    DiagnosisPlanned,
    Looking,
    TrainedBefore,
    TrainingBegan,
    TrainingEnded,
    TryingAccused,
)

PATIENCE = 600.0  # seconds that a second training may take where no budget was given
KEPT = 3.0  # seconds of a budget, for the page
LOOKED_AT = 2000  # images, at most; see `trial/out_of_fold.py`


@dataclass(frozen=True)
class Diagnosed:
    """trained: the training; asked: for what; checks: of every cause; doubted: images with doubtful labels, the surest
    first; example: of what the network sees, where that is much less than there is; is_stopped: whether somebody asked
    to stop before all was looked at."""

    trained: Trained
    asked: Request
    checks: tuple[Check, ...]
    doubted: tuple[DoubtedImage, ...] = ()
    example: SeenImage | None = None
    is_stopped: bool = False


@contextmanager
def diagnose_training(request: Request, session: Session, *, once: bool = False) -> Iterator[Diagnosed]:
    """Train `request.current` once, and look. once: train no second time, whatever the first one accuses.

    The run folder is held until the block ends. A training that diverges is diagnosed too. After a request to stop
    nothing more is looked at; before the training's end it raises Interrupted and leaves nothing.
    Raises what `train_once` raises of data, recipe, weights and run folder, but Diverged.
    """
    metric_named(request.metric)
    if not request.model:
        recipe_from(request.current)
    dataset, _ = open_data(request, session)
    recipe, seen = recipe_of(request, dataset)
    question = question_of(dataset, recipe, request.seed, request.metric)
    folder = request.out or Path(str(folder_of(dataset.name, question)).replace("-train-", "-diagnosis-"))
    with training_folder(folder, question) as is_done:
        if is_done:
            session.listen(TrainedBefore(folder))
        if seen:
            session.listen(seen)
        session.listen(_plan(recipe, request, dataset, session, once=once))
        session.listen(TrainingBegan(request.devices[0].name))
        limits = Limits(max(1.0, _left(request, session) - KEPT))
        outcome = train_in(folder, recipe, request, dataset, _stoppable(session), limits)
        if outcome.weights and len(outcome.validation_probabilities):
            trained = keep_training(folder, question, recipe, request, dataset, outcome)
            session.listen(TrainingEnded(folder))
        else:
            machine = environment(request.seed, 1, request.devices[0].name)
            nothing = Estimate(math.nan, math.nan, math.nan)
            trained = Trained(folder, recipe, dataset, outcome, nothing, request.metric, machine)
        yield _examine(trained, request, session, has_model=bool(outcome.weights), again=not once)


@contextmanager
def diagnose_finished(path: Path, request: Request, session: Session) -> Iterator[Diagnosed]:
    """The same of a training that lies in a run folder: nothing is trained, and its model is only read.

    Raises ConvliftError where nobody knows what was trained there, or it was on other data.
    """
    found = finished_training(path)
    asked = request_for(found, request)
    dataset, _ = open_data(asked, session)
    check_same_data(found, dataset, asked)
    found = replace(found, recipe=found.recipe.at(dataset.store.native_resolution))
    session.listen(DiagnosisPlanned(0.0, _seconds_of_looks(found.recipe, dataset), 0.0, request.budget_seconds))
    trained = trained_before(found, dataset, asked)
    yield _examine(trained, asked, session, has_model=found.has_model, again=False)


def _examine(trained: Trained, request: Request, session: Session, *, has_model: bool, again: bool) -> Diagnosed:
    """All looks at a training that is over, and the second training where one is called for."""
    dataset, outcome = trained.dataset, trained.outcome
    splits, said = dataset.splits, trained.outcome.validation_probabilities
    observed = Observed(
        outcome,
        dataset.labels[splits.validation],
        trained.recipe,
        trained.facts,
        np.bincount(dataset.labels[splits.train], minlength=len(dataset.classes)),
        confidences=confidences(dataset, said),
        both=images_in_both(dataset, said),
        shortcuts=audit_says(dataset, SHORTCUTS),
        conflicts=audit_says(dataset, (CONFLICT,)),
        are_files=come_as_files(request.data),
    )
    if has_model and not session.stop():
        session.listen(Looking("network"))
        from convlift.deploy.predict import load  # torch comes with it

        model = load(trained.run, request.devices[0])
        observed = replace(observed, plain=plain_accuracies(model, dataset, trained.recipe, said))
    observed, doubted, example = _with_pretrained(observed, dataset, request, session)
    if again and outcome.status != "stopped" and not session.stop():
        observed = replace(observed, tried=_try(observed, trained, request, session))
    return Diagnosed(trained, request, check_all(observed), doubted, example, bool(session.stop()))


def _with_pretrained(
    observed: Observed, dataset: Dataset, request: Request, session: Session
) -> tuple[Observed, tuple[DoubtedImage, ...], SeenImage | None]:
    """What the packaged network sees: doubtful labels, and detail that is lost; nothing where its weights are not
    installed, or no time is left."""
    doubted: tuple[DoubtedImage, ...] = ()
    example = None
    if session.stop() or _left(request, session) < _seconds_of_looks(observed.recipe, dataset) + KEPT:
        return observed, doubted, example
    from convlift.trial.out_of_fold import Looker, chosen_rows  # torch comes with it

    session.listen(Looking("labels"))
    try:
        looker = Looker(dataset, request.devices[0])
    except WeightsError:
        return observed, doubted, example
    look = looker.look(chosen_rows(dataset, 0, LOOKED_AT), observed.recipe.data.preparation)
    found, doubted = contradictions(look, dataset)
    observed = replace(observed, contradicted=found)
    side = observed.recipe.data.resolution
    if not session.stop() and side and is_shrunk(side, dataset.store.native_resolution):
        session.listen(Looking("resolution"))
        lost = detail_lost(looker, dataset, observed.recipe)
        if lost is not None:
            observed, example = replace(observed, detail=lost[0]), lost[1]
    return observed, doubted, example


def _try(observed: Observed, trained: Trained, request: Request, session: Session) -> Tried | None:
    """The most accused lever undone, trained once; None where nothing is accused, or there is no time for it."""
    accusation = next(iter(observed.accusations), None)
    if accusation is None:
        return None
    expected = accusation.cost * max(trained.outcome.seconds, 1.0)
    left = _left(request, session) - KEPT
    if expected > (left if math.isfinite(left) else PATIENCE):
        return None
    session.listen(TryingAccused(accusation.fault, expected))
    from convlift.trial.run_trial import run_trial  # torch comes with it

    try:
        other = run_trial(
            TrialSpec(accusation.probe, request.seed + 1),
            trained.dataset,
            request.cache,
            lambda epoch: _stoppable(session).listen(EpochEnded(0, epoch)),
            Limits(left),
            request.devices[0],
        )
    except Interrupted:  # the first training is diagnosed all the same
        return None
    return _tried(accusation, trained, other, request) if other.status != "stopped" else None


def _tried(accusation: Accusation, trained: Trained, other: Outcome, request: Request) -> Tried:
    labels = trained.dataset.labels[trained.dataset.splits.validation]
    metric = metric_named(request.metric)
    scores = []
    for outcome in (trained.outcome, other):
        said = outcome.validation_probabilities
        scores.append(metric.points(said, labels) / 100.0 if len(said) == len(labels) else np.array([np.nan]))
    before, after = (float(each.mean()) for each in scores)
    error = difference_error(*scores) if math.isfinite(before + after) else 0.0
    return Tried(accusation.fault, before, after, error, confirmed(accusation, before, after, error))


def _plan(recipe: Recipe, request: Request, dataset: Dataset, session: Session, *, once: bool) -> DiagnosisPlanned:
    """What the diagnosis will take, from some steps of the training."""
    session.listen(Looking("time"))
    from convlift.trial.calibrate import calibrate  # torch comes with it

    try:
        splits = dataset.splits
        seconds = sum(
            calibrate(
                recipe,
                images=len(splits.train),
                held_out=len(splits.validation) + len(splits.test),
                classes=len(dataset.classes),
                channels=dataset.channels,
                device=request.devices[0],
            )
        )
    except (ConvliftError, RuntimeError):  # the training itself will say what is wrong
        seconds = 0.0
    most = _left(request, session) / 2 if math.isfinite(request.budget_seconds) else PATIENCE
    again = 0.0 if once or seconds > most else seconds
    return DiagnosisPlanned(seconds, _seconds_of_looks(recipe, dataset), again, request.budget_seconds)


def _seconds_of_looks(recipe: Recipe, dataset: Dataset) -> float:
    images = len(dataset.splits.train) + len(dataset.splits.validation)
    looked_at = min(images, LOOKED_AT)
    if recipe.data.resolution and is_shrunk(recipe.data.resolution, dataset.store.native_resolution):
        looked_at += 2 * min(images, DETAIL_IMAGES)
    return LOADING + SECONDS_AN_IMAGE * looked_at


def _left(request: Request, session: Session) -> float:
    return request.budget_seconds - (time.monotonic() - session.began)


def _stoppable(session: Session) -> Session:
    """The session, with a listener that raises Interrupted at the end of an epoch where somebody asks to stop."""

    def hear(event: object) -> None:
        session.listen(event)  # type: ignore[arg-type]
        if isinstance(event, EpochEnded):
            _stop_now(session)

    return replace(session, listen=hear)


def _stop_now(session: Session) -> None:
    if number := session.stop():
        raise Interrupted("stopped before the training ended, so that there is nothing to diagnose.", number)
