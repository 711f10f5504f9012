"""What a campaign would do, before it trains anything: `improve --dry-run`.

No run folder and no ledger is made; images are decoded into the cache, as for every other command.
"""

import math
from collections.abc import Callable

import numpy as np

from convlift.campaign.power import power_before
from convlift.campaign.request import Request, data_of, study_of
from convlift.campaign.run import LOADING_SECONDS
from convlift.catalogue.candidates import candidates, limit_for
from convlift.catalogue.starting_points import StartingPoint
from convlift.console.progress import Progress
from convlift.cost.seconds import Timed
from convlift.data.dataset import Dataset
from convlift.evidence.power import expected_in_words
from convlift.protocols.cross_validation import cut_folds
from convlift.recipe.recipe import Recipe
from convlift.report.preview import Preview, StartPreview
from convlift.search.allocate import FEWEST, FINAL_SLACK, arms
from convlift.search.shortlist import DEAREST, REVISION_PART, SHARING
from convlift.search.start import MOST_OF_BUDGET, PROBE_SHARE, SHORTEST
from convlift.search.study import BASELINE, Study


def preview(request: Request, progress: Progress, stop: Callable[[], int], folds: int | None = None) -> Preview:
    """Read the data, time some steps of every starting point, and count. folds: of a nested cross-validation, where
    the first fold's campaign is planned.

    Raises what `conduct` and `conduct_folds` raise of the data, the recipe and the weights.
    """
    budget_seconds, more = request.budget_seconds, 1.0
    if folds is None:
        dataset, _ = data_of(request, progress, stop)
        study = study_of(request, dataset)
        power = power_before(study, dataset)
    else:
        nest = cut_folds(request, folds, progress, stop)
        request, (dataset, _) = nest.request_of(1, nest.fold_seconds), nest.fold(1)
        more = folds / (1.0 - nest.reserve)  # of the whole budget, for a second more of each fold
        study = study_of(request, dataset)
        power = power_before(nest.study, nest.whole, folds=folds)
    splits, store = dataset.splits, dataset.store
    timed = {}
    for point in study.points:
        progress.show(f"timing some steps of {point.name}")
        timed[point.name] = _calibrated(point, dataset)
    closing = study.closing_seconds + LOADING_SECONDS
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
        baseline_name=study.baseline_name,
        starts=tuple(_start(study, request, point, timed) for point in study.points),
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


def _start(study: Study, request: Request, point: StartingPoint, timed: dict[str, Timed]) -> StartPreview:
    """The campaign from one point, divided as `allocate.py` would after the probes of all points."""
    own, baseline = timed[point.name], timed[BASELINE].in_epochs
    is_other, workers = point.name != BASELINE, request.workers
    left = max(0.0, request.budget_seconds - _overhead(study, request, timed))
    trainings, pilots, finals = request.trainings, 1, 0
    if trainings:
        pilots, finals = arms(trainings, is_other=is_other)
    elif left >= FEWEST * own.in_epochs:
        trainings = math.floor(left * workers / own.in_epochs)
        pilots, finals = arms(trainings, is_other=is_other, cost=baseline / own.in_epochs, workers=workers)
    elif is_other:  # no search fits: it is trained alone
        finals = min(2, max(1, workers * math.floor(left / (FINAL_SLACK * own.in_epochs))))
    paid = pilots if request.trainings else pilots * baseline / own.in_epochs
    sharing = max(1.0, min(SHARING, trainings / 2))

    each = study.pace.seconds(own.recipe, [own], again=True)

    def cost(recipe: Recipe) -> float:
        again = study.pace.seconds(recipe, [own], again=True)
        return (again + (study.pace.seconds(recipe, [own]) - again) / sharing) / each

    limit = limit_for(trainings)
    chosen, left_out = candidates(
        own.recipe, study.facts, (), limit - limit // REVISION_PART, cost, DEAREST, study.expectations
    )
    return StartPreview(
        point.name,
        point.reason,
        own.recipe,
        own.seconds,
        own.in_epochs,
        trainings,
        math.floor(max(trainings - finals - paid, 0.0)),
        pilots,
        finals,
        chosen if trainings else (),
        left_out,
    )


def _overhead(study: Study, request: Request, timed: dict[str, Timed]) -> float:
    """Seconds of the budget that no campaign's trainings have."""
    return study.closing_seconds + LOADING_SECONDS + _probing(study, request, timed)


def _probing(study: Study, request: Request, timed: dict[str, Timed]) -> float:
    """Seconds until the start is chosen: the first baseline run and one probe of every other point, side by side."""
    if request.trainings:
        return 0.0
    longest = min(PROBE_SHARE * request.workers, MOST_OF_BUDGET) * request.budget_seconds
    spent = [timed[BASELINE].seconds]
    for point in study.starts:
        alone = timed[point.name].seconds
        if point.recipe.architecture.kind == "convnet":
            spent.append(min(alone, longest) if longest >= SHORTEST * alone else 0.0)
        elif alone + FEWEST * timed[point.name].in_epochs <= request.budget_seconds:
            spent.append(alone)
    return max(sum(spent) / request.workers, *spent)
