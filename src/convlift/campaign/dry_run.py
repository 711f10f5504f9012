"""What a campaign would do, before it trains anything: `improve --dry-run`.

No run folder and no ledger is made; images are decoded into the cache, as for every other command.
"""

import math
from dataclasses import dataclass

import numpy as np

from convlift.campaign.detectable_gain import power_before
from convlift.campaign.open_data import open_data
from convlift.campaign.prepare import problem_of
from convlift.campaign.request import Request
from convlift.campaign.session import LOADING_SECONDS, Session
from convlift.catalogue.candidates import Candidate, CostLimit, LeftOut, candidates, limit_for
from convlift.catalogue.starting_points import FINE_TUNE, StartingPoint
from convlift.cost.seconds import Timed
from convlift.data.dataset import Dataset
from convlift.evidence.power import detectable
from convlift.recipe.recipe import Recipe
from convlift.records.compute_device import Device, names_of
from convlift.records.events import TimingStart
from convlift.records.finding import Finding
from convlift.records.goal import Goal, ShiftedCopies
from convlift.records.notes import Detectable
from convlift.search.allocate import FEWEST, Times, plan, plan_counted
from convlift.search.first_trainings import GREY_MOST, are_small_and_grey
from convlift.search.length import lengthened
from convlift.search.problem import BASELINE, Problem
from convlift.search.refit import may_refit, more_images
from convlift.search.scratch_length import epochs_from_scratch
from convlift.search.shortlist import DEAREST, REVISION_PART, SHARING
from convlift.search.start import LONG_MOST, MOST_OF_BUDGET, SHORTEST
from convlift.search.tuning_length import LEAST_EPOCHS, epochs_that_fit, epochs_to_search, steps_an_epoch


@dataclass(frozen=True)
class StartPreview:
    """A campaign from one starting point, if that becomes the start.

    first_seconds, seconds: of its first training here, with the extraction of features, and of every further one;
    trainings: of it, that fit; searches: of them, beside baselines (runs of the baseline) and finals (of
    what ships); 0 where no search fits, and it would be trained alone."""

    name: str
    reason: str
    recipe: Recipe
    first_seconds: float
    seconds: float
    trainings: int
    searches: int
    baselines: int
    finals: int
    candidates: tuple[Candidate, ...]
    left_out: tuple[LeftOut, ...]


@dataclass(frozen=True)
class Preview:
    """counts: images of each split; images_per_class: classes by number of images, test aside; starts: the baseline
    first, which one a campaign takes is seen from its first runs; detectable: what this test can prove.

    needed_seconds: the least budget in which anything can be trained. trainings: how many were asked for instead of a
    budget, which is infinite then; 0 for none.
    device: what networks run on, by its name.
    refit: whether what ships is trained once more on all images after that.
    goal, copies: see `search.problem.Problem`.
    folds, fold_seconds: of a nested cross-validation, whose first fold is planned here; 0 where one test is sealed.
    """

    data: str
    classes: tuple[str, ...]
    images_per_class: tuple[int, ...]
    counts: dict[str, int]
    resolution: int
    channels: int
    findings: tuple[Finding, ...]
    metric: str
    baseline_name: str
    starts: tuple[StartPreview, ...]
    detectable: Detectable
    budget_seconds: float
    workers: int
    needed_seconds: float
    trainings: int = 0
    folds: int = 0
    fold_seconds: float = 0.0
    device: str = "CPU"
    refit: bool = False
    goal: Goal = "clean"
    copies: ShiftedCopies | None = None

    @property
    def is_possible(self) -> bool:
        """Whether the budget has room for a training at all."""
        return self.budget_seconds >= self.needed_seconds


def preview(request: Request, session: Session) -> Preview:
    """Read the data, time some steps of every starting point, and divide the budget.

    Raises what `run_campaign` raises of the data, the recipe and the weights.
    """
    dataset, _ = open_data(request, session)
    problem = problem_of(request, dataset)
    found = detectable(len(dataset.splits.test), power_before(problem, dataset))
    return plan_of(request, problem, dataset, found, session)


def plan_of(request: Request, problem: Problem, dataset: Dataset, detectable: Detectable, session: Session) -> Preview:
    """The plan of a campaign on a data set that is open. detectable: what will be said at its end."""
    splits, store = dataset.splits, dataset.store
    timed = {}
    for point in problem.points:
        session.listen(TimingStart(point.name))
        timed[point.name] = _calibrated(point, dataset, request.devices[0], problem.pace.copies)
    # of one training a part, which is all that has to fit: as much as the first run of a start is given
    needed = problem.closing_seconds + LOADING_SECONDS + SHORTEST * min(one.seconds for one in timed.values())
    seen = dataset.labels[np.concatenate([splits.train, splits.validation])]
    return Preview(
        data=dataset.name,
        classes=dataset.classes,
        images_per_class=tuple(np.bincount(seen, minlength=len(dataset.classes)).tolist()),
        counts=splits.counts,
        resolution=store.native_resolution,
        channels=dataset.channels,
        findings=store.findings,
        metric=request.metric,
        baseline_name=problem.baseline_name,
        starts=tuple(_start(problem, request, point, timed) for point in problem.points),
        detectable=detectable,
        budget_seconds=request.budget_seconds,
        needed_seconds=0.0 if request.trainings else needed,
        trainings=request.trainings,
        workers=request.workers,
        device=names_of(request.devices),
        refit=request.refit,
        goal=problem.goal,
        copies=problem.copies,
    )


def _calibrated(point: StartingPoint, dataset: Dataset, device: Device, copies: int) -> Timed:
    """One training of the point, as it would have been timed. copies: of validation images, predicted beside them."""
    from convlift.trial.calibrate import calibrate  # torch comes with it

    splits = dataset.splits
    recipe = point.recipe.at(dataset.store.native_resolution)
    extraction, epochs = calibrate(
        recipe,
        images=len(splits.train),
        held_out=len(splits.validation) + len(splits.test) + copies,
        classes=len(dataset.classes),
        channels=dataset.channels,
        device=device,
    )
    return Timed(recipe, 1.0, extraction + epochs, epochs)


def _start(problem: Problem, request: Request, point: StartingPoint, timed: dict[str, Timed]) -> StartPreview:
    """The campaign from one point, divided as it will be once all points were probed."""
    own, is_other = timed[point.name], point.name != BASELINE
    left = max(0.0, request.budget_seconds - _overhead(problem, request, timed))
    tried = _tried(request, point, own)
    own, rounds = _lengthened(request, point, own, left, problem.facts.training_images)
    refit, counted = may_refit(problem, own.recipe), request.trainings
    costs = own.in_epochs, timed[BASELINE].in_epochs
    more = more_images(problem)
    times = Times(left, *costs, request.workers, tried=tried, rounds=rounds, refit=refit, more=more)
    found = plan_counted(counted, is_other=is_other, refit=refit) if counted else plan(times, is_other=is_other)
    chosen, left_out = _candidates(problem, own, found.trainings)
    return StartPreview(
        name=point.name,
        reason=point.reason,
        recipe=own.recipe,
        first_seconds=own.seconds,
        seconds=own.in_epochs,
        trainings=counted or found.trainings,
        searches=max(found.searches, 0),
        baselines=found.baselines,
        finals=found.last,
        candidates=chosen if found.searches > 0 else (),
        left_out=left_out,
    )


def _lengthened(request: Request, point: StartingPoint, own: Timed, left: float, images: int) -> tuple[Timed, int]:
    """A training of the point in the length that fits, and how many rounds of the workers train it; 0 rounds where the
    recipe keeps its own length, for a search or because too little of it fits."""
    tuned = own.recipe.training.fine_tuning
    if request.trainings or request.fold is not None:
        return own, 0
    if point.recipe.architecture.kind == "convnet" and point.name != BASELINE:
        whole = own.recipe.training.epochs
        found = epochs_from_scratch(own.recipe, own.in_epochs, left, request.workers)
        if found is None or found[0] < LEAST_EPOCHS:
            return own, 0
        seconds = own.in_epochs * found[0] / whole
        return Timed(lengthened(own.recipe, found[0]), 1.0, seconds, seconds), found[1]
    if point.way != FINE_TUNE or tuned is None:
        return own, 0
    epochs, rounds = epochs_to_search(own.in_epochs / tuned.epochs, left, request.workers), 0
    if not epochs:
        steps = steps_an_epoch(images, own.recipe)
        epochs, rounds = epochs_that_fit(
            lambda e: own.in_epochs * e / tuned.epochs, tuned.epochs, left, request.workers, steps=steps
        )
    if epochs < LEAST_EPOCHS:
        return own, 0
    seconds = own.in_epochs * epochs / tuned.epochs
    extraction = own.seconds - own.in_epochs
    return Timed(lengthened(own.recipe, epochs), 1.0, extraction + seconds, seconds), rounds


def _tried(request: Request, point: StartingPoint, own: Timed) -> float:
    """Of a training of the point, the part that its first run will have."""
    allowed = LONG_MOST * request.budget_seconds
    if point.recipe.architecture.kind == "convnet":
        allowed = MOST_OF_BUDGET * request.budget_seconds
    return min(1.0, allowed / own.seconds)


def _candidates(problem: Problem, own: Timed, trainings: int) -> tuple[tuple[Candidate, ...], tuple[LeftOut, ...]]:
    """The changes that would be tried from a start, before anybody has seen its symptoms."""
    sharing = max(1.0, min(SHARING, trainings / 2))
    each = problem.pace.seconds(own.recipe, [own], again=True)

    def cost(recipe: Recipe) -> float:
        again = problem.pace.seconds(recipe, [own], again=True)
        return (again + (problem.pace.seconds(recipe, [own]) - again) / sharing) / each

    limit = limit_for(trainings)
    limit -= limit // REVISION_PART
    return candidates(own.recipe, problem.facts, (), limit, CostLimit(cost, DEAREST), problem.expectations)


def _overhead(problem: Problem, request: Request, timed: dict[str, Timed]) -> float:
    """Seconds of the budget that no campaign's trainings have."""
    return problem.closing_seconds + LOADING_SECONDS + _probing(problem, request, timed)


def _probing(problem: Problem, request: Request, timed: dict[str, Timed]) -> float:
    """Seconds until the start is chosen: the first run of the baseline and of every other point, side by side; none of
    those that fine-tune where that gets as much time as there is, and of small grey images none of a pretrained network
    that takes over a tenth of it."""
    if request.trainings:
        return 0.0
    longest = MOST_OF_BUDGET * request.budget_seconds
    most_pretrained = request.budget_seconds * (GREY_MOST if are_small_and_grey(problem) else 1.0)
    deep = next((point for point in problem.starts if point.way == FINE_TUNE), None)
    own = timed[deep.name] if deep else None
    tuned = own.recipe.training.fine_tuning if own else None
    each = own.in_epochs / tuned.epochs if own and tuned else math.inf
    epochs = epochs_to_search(each, request.budget_seconds, request.workers)
    spent = [timed[BASELINE].seconds]
    for point in problem.starts:
        alone = timed[point.name].seconds
        if point.recipe.architecture.kind == "convnet":
            spent.append(min(alone, longest) if longest >= SHORTEST * alone else 0.0)
        elif alone > most_pretrained or (point.recipe.training.fine_tuning and not epochs):
            continue
        elif point == deep:
            spent.append(alone - timed[point.name].in_epochs + epochs * each)
        elif alone + FEWEST * timed[point.name].in_epochs <= request.budget_seconds:
            spent.append(alone)
    return max(sum(spent) / request.workers, *spent)
