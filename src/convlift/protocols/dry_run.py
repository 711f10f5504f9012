"""What a campaign would do, before it trains anything: `improve --dry-run`.

No run folder and no ledger is made; images are decoded into the cache, as for every other command.
"""

from collections.abc import Callable

import numpy as np

from convlift.campaign.prepare import problem_of
from convlift.campaign.provable import power_before
from convlift.campaign.request import Request, data_of
from convlift.campaign.run import LOADING_SECONDS
from convlift.catalogue.candidates import Candidate, LeftOut, candidates, limit_for
from convlift.catalogue.starting_points import StartingPoint
from convlift.console.progress import Progress
from convlift.cost.seconds import Timed
from convlift.data.dataset import Dataset
from convlift.evidence.power import expected_in_words
from convlift.protocols.cross_validation import cut_folds
from convlift.recipe.recipe import Recipe
from convlift.report.preview import Preview, StartPreview
from convlift.search.allocate import FEWEST, Times, plan, plan_counted
from convlift.search.problem import BASELINE, Problem
from convlift.search.shortlist import DEAREST, REVISION_PART, SHARING
from convlift.search.start import MOST_OF_BUDGET, PROBE_SHARE, SHORTEST


def preview(request: Request, progress: Progress, stop: Callable[[], int], folds: int | None = None) -> Preview:
    """Read the data, time some steps of every starting point, and count. folds: of a nested cross-validation, where
    the first fold's campaign is planned.

    Raises what `conduct` and `conduct_folds` raise of the data, the recipe and the weights.
    """
    budget_seconds, more = request.budget_seconds, 1.0
    if folds is None:
        dataset, _ = data_of(request, progress, stop)
        problem = problem_of(request, dataset)
        power = power_before(problem, dataset)
    else:
        nest = cut_folds(request, folds, progress, stop)
        request, (dataset, _) = nest.request_of(1, nest.fold_seconds), nest.fold(1)
        more = folds / (1.0 - nest.reserve)  # of the whole budget, for a second more of each fold
        problem = problem_of(request, dataset)
        power = power_before(nest.problem, nest.whole, folds=folds)
    splits, store = dataset.splits, dataset.store
    timed = {}
    for point in problem.points:
        progress.show(f"timing some steps of {point.name}")
        timed[point.name] = _calibrated(point, dataset)
    closing = problem.closing_seconds + LOADING_SECONDS
    # of one training a part, which is all that has to fit: as much as the first look at a start is given
    needed = closing + SHORTEST * min(one.seconds for one in timed.values())
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
        detectable=expected_in_words(len(splits.test if folds is None else store.labels), power),
        budget_seconds=budget_seconds,
        needed_seconds=budget_seconds + more * (needed - request.budget_seconds) if not request.trainings else 0.0,
        trainings=request.trainings,
        workers=request.workers,
        folds=folds or 0,
        fold_seconds=request.budget_seconds if folds else 0.0,
    )


def _calibrated(point: StartingPoint, dataset: Dataset) -> Timed:
    """One training of the point, as it would have been timed."""
    from convlift.trial.calibrate import calibrate  # torch comes with it

    splits = dataset.splits
    recipe = point.recipe.at(dataset.store.native_resolution)
    extraction, epochs = calibrate(
        recipe,
        images=len(splits.train),
        held_out=len(splits.validation) + len(splits.test),
        classes=len(dataset.classes),
        channels=dataset.channels,
    )
    return Timed(recipe, 1.0, extraction + epochs, epochs)


def _start(problem: Problem, request: Request, point: StartingPoint, timed: dict[str, Timed]) -> StartPreview:
    """The campaign from one point, divided as it will be once all points were probed."""
    own, is_other = timed[point.name], point.name != BASELINE
    left = max(0.0, request.budget_seconds - _overhead(problem, request, timed))
    times = Times(left, own.in_epochs, timed[BASELINE].in_epochs, request.workers)
    counted = request.trainings
    found = plan_counted(counted, is_other=is_other) if counted else plan(times, is_other=is_other)
    chosen, left_out = _candidates(problem, own, found.trainings)
    return StartPreview(
        name=point.name,
        reason=point.reason,
        recipe=own.recipe,
        first_seconds=own.seconds,
        seconds=own.in_epochs,
        trainings=found.trainings,
        searches=max(found.searches, 0),
        pilots=found.pilots,
        finals=found.finals,
        candidates=chosen if found.searches > 0 else (),
        left_out=left_out,
    )


def _candidates(problem: Problem, own: Timed, trainings: int) -> tuple[tuple[Candidate, ...], tuple[LeftOut, ...]]:
    """The changes that would be tried from a start, before anybody has seen its symptoms."""
    sharing = max(1.0, min(SHARING, trainings / 2))
    each = problem.pace.seconds(own.recipe, [own], again=True)

    def cost(recipe: Recipe) -> float:
        again = problem.pace.seconds(recipe, [own], again=True)
        return (again + (problem.pace.seconds(recipe, [own]) - again) / sharing) / each

    limit = limit_for(trainings)
    limit -= limit // REVISION_PART
    return candidates(own.recipe, problem.facts, (), limit, cost, DEAREST, problem.expectations)


def _overhead(problem: Problem, request: Request, timed: dict[str, Timed]) -> float:
    """Seconds of the budget that no campaign's trainings have."""
    return problem.closing_seconds + LOADING_SECONDS + _probing(problem, request, timed)


def _probing(problem: Problem, request: Request, timed: dict[str, Timed]) -> float:
    """Seconds until the start is chosen: the first baseline run and one probe of every other point, side by side."""
    if request.trainings:
        return 0.0
    longest = min(PROBE_SHARE * request.workers, MOST_OF_BUDGET) * request.budget_seconds
    spent = [timed[BASELINE].seconds]
    for point in problem.starts:
        alone = timed[point.name].seconds
        if point.recipe.architecture.kind == "convnet":
            spent.append(min(alone, longest) if longest >= SHORTEST * alone else 0.0)
        elif alone + FEWEST * timed[point.name].in_epochs <= request.budget_seconds:
            spent.append(alone)
    return max(sum(spent) / request.workers, *spent)
