"""Time as a resource: reading a budget, what a recipe costs, how many trainings fit, and when to stop.

Pure arithmetic: seconds come in as numbers, and the caller alone looks at a clock.
"""

import math
import re
from dataclasses import dataclass
from typing import Any, Protocol

from convlift.errors import BudgetError
from convlift.model.config import Pretrained
from convlift.recipe import Recipe
from convlift.study.intervention import Facts


class Forward(Protocol):
    """Multiply-adds of one image through a recipe's network, or through the last `stages` stages of its backbone."""

    def __call__(self, recipe: Recipe, stages: int | None = None) -> float: ...


_DURATION = re.compile(
    r"(?:(?P<h>\d+(?:\.\d+)?)\s*h)?\s*(?:(?P<m>\d+(?:\.\d+)?)\s*m(?:in)?)?\s*(?:(?P<s>\d+(?:\.\d+)?)\s*s)?",
    re.I,
)
# What a backbone hands to its head; EfficientNet's figure stands for all.
_FEATURES = 1280
# What a step costs beside its arithmetic (some 2 ms of Python, optimizer and small kernels), in multiply-adds.
_STEP_OVERHEAD = 3e7


def parse_duration(text: str) -> float:
    """Seconds from "90s", "20m" or "1h30m". Raises BudgetError where the text is no duration, or none above zero."""
    found = _DURATION.fullmatch(text.strip())
    if not found or not any(found.groups()):
        raise BudgetError(
            f"budget '{text}' is not a duration; write hours, minutes and seconds such as 90s, 20m or 1h30m."
        )
    hours, minutes, seconds = (float(part or 0) for part in found.group("h", "m", "s"))
    total = hours * 3600 + minutes * 60 + seconds
    if total <= 0:
        raise BudgetError(f"budget '{text}' leaves no time at all; give at least one second, such as 90s or 20m.")
    return total


def format_duration(seconds: float) -> str:
    """The shortest form that `parse_duration` reads back, to the second: 5400 is "1h30m"."""
    whole = round(seconds)
    parts = ((whole // 3600, "h"), (whole % 3600 // 60, "m"), (whole % 60, "s"))
    return "".join(f"{count}{unit}" for count, unit in parts if count) or "0s"


def training_work(recipe: Recipe, facts: Facts, forward: Forward) -> float:
    """Multiply-adds of one full training without the extraction of features (see `extraction_work`).

    A step costs three forward passes (one forward, two backward) and a fixed overhead; frozen stages need no backward
    pass. The head's phase of transfer learning works on stored features, and so does the second phase below the stages
    that it trains, unless images are augmented afresh.
    """
    network, training = recipe.architecture, recipe.training
    steps = _steps(training.epochs, training.batch_size, facts)
    if not isinstance(network, Pretrained):
        return 3 * forward(recipe) * training.epochs * facts.training_images + steps * _STEP_OVERHEAD
    units = network.head_units
    head = _FEATURES * units + units * facts.classes if units else _FEATURES * facts.classes
    work = 3.0 * head * training.epochs * facts.training_images + steps * _STEP_OVERHEAD
    tuned = training.fine_tuning
    if tuned is not None:
        trained = forward(recipe, tuned.stages)
        afresh = recipe.data.augmentation.active and not recipe.data.views
        below = forward(recipe) - trained if afresh else 0.0
        work += (3 * trained + below) * tuned.epochs * facts.training_images
        work += _steps(tuned.epochs, tuned.batch_size, facts) * _STEP_OVERHEAD
    return work


def _steps(epochs: int, batch_size: int, facts: Facts) -> int:
    return epochs * math.ceil(facts.training_images / batch_size)


def extraction_work(recipe: Recipe, facts: Facts, forward: Forward, held_out_images: int = 0) -> float:
    """Multiply-adds of extracting the features of every image once, and of each stored view of the training images."""
    if not isinstance(recipe.architecture, Pretrained):
        return 0.0
    images = facts.training_images * (1 + recipe.data.views) + held_out_images
    return forward(recipe) * images


def extraction_key(recipe: Recipe) -> tuple[Any, ...]:
    """Equal exactly for recipes that share one extraction of features; () where there is none."""
    network, data, tuned = recipe.architecture, recipe.data, recipe.training.fine_tuning
    if not isinstance(network, Pretrained):
        return ()
    views = (data.views, data.augmentation.model_dump_json()) if data.views else (0,)
    stages = tuned.stages if tuned is not None else None
    return (
        network.backbone,
        network.weights,
        data.resolution,
        data.resize,
        data.normalization,
        stages,
        *views,
    )


def relative_cost(recipe: Recipe, start: Recipe, facts: Facts, forward: Forward, sharing: int = 10) -> float:
    """What one training of `recipe` costs in trainings of `start`.

    sharing: how many trainings use one extraction of features, so that each carries that part of it.
    """

    def work(each: Recipe) -> float:
        return training_work(each, facts, forward) + extraction_work(each, facts, forward) / sharing

    return work(recipe) / work(start)


@dataclass(frozen=True)
class Plan:
    """How the time is spent.

    trainings: how many of the start fit, pilots and finals included; seconds_each: of one such training while
    `workers` run side by side; reserve_seconds: of wall clock, kept for the end (test, report, export).
    """

    budget_seconds: float
    workers: int
    seconds_each: float
    reserve_seconds: float
    trainings: int


def plan(
    budget_seconds: float,
    elapsed_seconds: float,
    seconds_each: float,
    *,
    workers: int,
    reserve_seconds: float,
) -> Plan:
    """How many trainings fit from now on. Raises BudgetError where not even one does."""
    left = budget_seconds - elapsed_seconds - reserve_seconds
    count = math.floor(max(left, 0.0) * workers / seconds_each)
    if count < 1:
        needed = format_duration(math.ceil(elapsed_seconds + reserve_seconds + seconds_each))
        raise BudgetError(
            f"budget {format_duration(budget_seconds)} is too short: one training takes "
            f"{seconds_each:.0f} s here; give at least {needed}, or take smaller images or a cheaper recipe."
        )
    return Plan(budget_seconds, workers, seconds_each, reserve_seconds, count)


def finals_reserve(finals: int, seconds_each: float, workers: int, slack: float = 1.2) -> float:
    """Wall-clock seconds to keep for the final runs: they go in rounds of `workers`, each with some slack."""
    return math.ceil(finals / workers) * seconds_each * slack


def search_deadline(plan: Plan, finals: int, final_seconds: float) -> float:
    """The elapsed second at which the search must have ended so that the final runs and the end still fit.

    final_seconds: of one training of the recipe that would be shipped now, which may be dearer than the start.
    """
    return plan.budget_seconds - plan.reserve_seconds - finals_reserve(finals, final_seconds, plan.workers)


def may_start(plan: Plan, elapsed_seconds: float, seconds: float, finals: int, final_seconds: float) -> bool:
    """Whether a training of `seconds` that starts now ends before the search must."""
    return elapsed_seconds + seconds <= search_deadline(plan, finals, final_seconds)
