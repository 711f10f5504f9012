"""From a data set and what was asked for to the problem that the search is given."""

import math
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

from convlift.campaign.goal_asked import copies_to_predict
from convlift.campaign.network_given import weights_given
from convlift.campaign.own_recipe import recipe_of
from convlift.campaign.request import Request, seed_of
from convlift.campaign.shift_asked import check_shift_data, shift_seconds
from convlift.catalogue.priors import Expectations, load_expectations
from convlift.catalogue.starting_points import StartingPoint, starting_points, starting_points_of
from convlift.cost.seconds import USUAL_CORE, Pace
from convlift.cost.work import Forward
from convlift.data.dataset import Dataset, facts_of
from convlift.errors import ConvliftError
from convlift.evidence.metrics import metric_named
from convlift.recipe.architecture import Pretrained
from convlift.recipe.recipe import Recipe
from convlift.records.compute_device import CPU, Device
from convlift.records.facts import Facts
from convlift.records.goal import ShiftedCopies
from convlift.robustness.names import names_for
from convlift.robustness.trained_on import TRAINED_BY_NONE, levers_like
from convlift.search.label_checker import LabelChecker
from convlift.search.problem import Problem

CLOSING_SECONDS = 6.0  # judging, model folder and report: 2 to 4 s were measured
CLOSING_SHARE = 0.01  # of the budget, for what no prediction sees

T = TypeVar("T")


def problem_of(request: Request, dataset: Dataset) -> Problem:
    """What the campaign is given. Raises RecipeError or WeightsError where it could not be trained, DataError where the
    folder of shifted images does not fit, ConvliftError where no corruption is left to go by."""
    check_shift_data(request, dataset)
    labels, splits, metric = dataset.labels, dataset.splits, metric_named(request.metric)
    facts = facts_of(dataset, classes_alike=metric.of_classes)
    baseline, own_network = recipe_of(request, dataset)
    given, given_digest = weights_given(request, baseline, dataset)
    starts = _starts(request, facts, baseline)
    shift = names_for(request.shift, dataset.channels)  # a corruption that these images cannot have is refused here
    copies = _copies(request, shift, [baseline, *(point.recipe for point in starts)], dataset)
    return Problem(
        baseline=baseline,
        baseline_name=_name_of_baseline(request),
        own_network=own_network,
        given=given,
        given_digest=given_digest,
        starts=starts,
        facts=replace(facts, judged_by=levers_like(copies.corruptions)) if copies else facts,
        pace=_pace(request, dataset, copies),
        goal=request.optimize,
        copies=copies,
        validation_labels=labels[splits.validation],
        seed=seed_of(request),
        ship=request.ship,
        **_kept_at_the_end(request, dataset),
        pool=request.pool,
        expectations=_expectations(request.priors, dataset) if request.priors else None,
        metric=metric,
        validation_groups=dataset.groups_of(splits.validation),
        test_groups=dataset.groups_of(splits.test),
        ask=partial(_ask, dataset, seed_of(request), bool(request.trainings), request.devices[0]),
        time_tuning=partial(_time_tuning, dataset, request.devices[0]),
        # a GPU trains it sooner than its libraries are loaded here
        time_scratch=partial(_time_scratch, dataset) if request.devices[0].is_cpu else None,
        sharing_a_gpu=1 if request.devices[0].is_cpu else math.ceil(request.workers / len(request.devices)),
        trainings=request.trainings,
        most_networks=request.max_latency.networks if request.fold is None else 0,
        most_milliseconds=request.max_latency.milliseconds,
        time_prediction=partial(_time_prediction, dataset, request.devices[0]),
    )


def _copies(
    request: Request, shift: tuple[str, ...], recipes: Sequence[Recipe], dataset: Dataset
) -> ShiftedCopies | None:
    """The corrupted copies of the validation images that the search goes by; None where it needs none. shift: the
    corruptions that were asked for."""
    if request.optimize == "clean":
        return None
    asked = shift or names_for(TRAINED_BY_NONE, dataset.channels, leave_out=True)
    return copies_to_predict(asked, recipes, len(dataset.splits.validation), request.seed)


def _kept_at_the_end(request: Request, dataset: Dataset) -> dict[str, Any]:
    """The seconds that no training gets, and who measures those of them that are for shifted images."""
    if request.trainings:
        return {"closing_seconds": 0.0}
    shifted = shift_seconds(request, len(dataset.splits.test), dataset.store.native_resolution)
    return {
        "closing_seconds": CLOSING_SECONDS + CLOSING_SHARE * request.budget_seconds + shifted,
        "shift_seconds": shifted,
        "time_shift": partial(_time_shift, request, dataset) if shifted else None,
    }


def _name_of_baseline(request: Request) -> str:
    if request.model:
        return request.model
    return str(request.current) if not isinstance(request.current, Recipe) else "your recipe"


def _starts(request: Request, facts: Facts, baseline: Recipe) -> tuple[StartingPoint, ...]:
    if request.pool is not None or request.keep_network:
        return ()
    return tuple(point for point in _starting_points(request, facts) if point.recipe != baseline)


def _starting_points(request: Request, facts: Facts) -> tuple[StartingPoint, ...]:
    """Of the packaged network, of the one that was named, or of each of those that were."""
    if len(request.backbones) > 1:
        return starting_points_of(facts, {name: _stages(name, None) for name in request.backbones})
    named = request.backbone or request.weights
    stages = _stages(request.backbone, request.weights) if named else None
    return starting_points(facts, backbone=request.backbone, weights=request.weights, stages=stages)


def _pace(request: Request, dataset: Dataset, copies: ShiftedCopies | None) -> Pace:
    """What predicts seconds: on a CPU from what is usual, on another device from what was measured of it. Where
    trainings are counted, the same everywhere."""
    device, nominal, speeds = request.devices[0], bool(request.trainings), USUAL_CORE
    if not device.is_cpu and not nominal:
        from convlift.trial.speeds import speeds_of  # torch comes with it

        speeds = speeds_of(device, request.cache)
    held_out = len(dataset.splits.validation) + len(dataset.splits.test)
    more = copies.each * len(dataset.splits.validation) if copies else 0
    return Pace(facts_of(dataset), _forward(dataset), held_out, nominal, speeds, copies=more)


def _ask(dataset: Dataset, seed: int, one_thread: bool, device: Device, weights: Path, recipe: Recipe) -> LabelChecker:
    """A finished trial's network, to be asked about augmentations; on the CPU where its device has no room for it."""
    from convlift.trial.label_preservation import open_label_checker

    return _where_there_is_room(
        lambda place: open_label_checker(dataset, seed, weights, recipe, one_thread=one_thread, device=place), device
    )


def _time_prediction(dataset: Dataset, device: Device, recipe: Recipe) -> float:
    """Milliseconds that a recipe's network takes for an image alone; on the CPU where its device has no room for it."""
    from convlift.trial.calibrate import time_prediction  # torch comes with it

    whole, classes = recipe.at(dataset.store.native_resolution), len(dataset.classes)
    return _where_there_is_room(
        lambda place: time_prediction(whole, classes=classes, channels=dataset.channels, device=place), device
    )


def _where_there_is_room(make: Callable[[Device], T], device: Device) -> T:
    """What is made on the device, or on the CPU where the device has no room."""
    from convlift.train.device import has_no_room  # torch comes with it

    try:
        return make(device)
    except RuntimeError as error:
        if not has_no_room(error):
            raise
    return make(CPU)  # outside of the handler, which still holds what the first try had made


def _time_tuning(dataset: Dataset, device: Device, recipe: Recipe, seconds: float) -> float:
    """Seconds of a recipe's fine-tuning, as so many seconds of it show; 0 where they cannot be measured, as on a device
    that has no room."""
    from convlift.trial.calibrate import Sizes, time_tuning  # torch comes with it

    images, held_out = len(dataset.splits.train), 2 * len(dataset.splits.validation)
    try:
        return time_tuning(recipe, Sizes(images, held_out, len(dataset.classes), dataset.channels), device, seconds)
    except (ConvliftError, RuntimeError):
        return 0.0


def _time_scratch(dataset: Dataset, recipe: Recipe) -> float:
    """Seconds of a recipe's training from scratch on this CPU; 0 where they cannot be measured."""
    from convlift.trial.calibrate import calibrate  # torch comes with it

    try:
        _, seconds = calibrate(
            recipe,
            images=len(dataset.splits.train),
            held_out=2 * len(dataset.splits.validation),
            classes=len(dataset.classes),
            channels=dataset.channels,
        )
    except (ConvliftError, RuntimeError):
        return 0.0
    return seconds


def _time_shift(request: Request, dataset: Dataset, before: Recipe, after: Recipe, passes: int) -> float:
    """Seconds of judging on shifted images; 0 where they cannot be measured."""
    from convlift.campaign.time_shift import time_shift  # torch comes with it

    return time_shift(request, dataset, before, after, passes)


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


def _stages(backbone: str | None, weights: str | None) -> int:
    """How many stages a backbone has. Fails before any training, not in the middle of one: raises RecipeError or
    WeightsError."""
    from convlift.model.backbone import create_backbone

    known = Pretrained()
    return create_backbone(backbone or known.backbone, weights or known.weights).stages


def _forward(dataset: Dataset) -> Forward:
    """Multiply-adds of one image through a recipe's network."""
    channels, classes, native = dataset.channels, len(dataset.classes), dataset.store.native_resolution

    def forward(recipe: Recipe, stages: int | None = None) -> float:
        from convlift.cost.multiply_adds import cost

        side = recipe.at(native).data.resolution or native
        found = cost(recipe.architecture, classes=classes, channels=channels, resolution=side, stages=stages)
        return float(found.multiply_adds)

    return forward
