"""How long a training will take, from how long others took: work by arithmetic, seconds per work by measurement."""

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import median

from convlift.recipe import Recipe
from convlift.study.budget import Forward, extraction_key, extraction_work, training_work
from convlift.study.intervention import Facts

RECENT = 9  # trainings that count: the machine's speed drifts, and the median forgives a few odd ones


@dataclass(frozen=True)
class Timed:
    """A training that ended: what it was, and its wall-clock seconds."""

    recipe: Recipe
    fidelity: float
    seconds: float


@dataclass(frozen=True)
class Pace:
    """Predicts seconds. facts, forward: see `budget.training_work`; held_out_images: validation and test together."""

    facts: Facts
    forward: Forward
    held_out_images: int

    def seconds(self, recipe: Recipe, timed: Sequence[Timed], fidelity: float = 1.0) -> float:
        """What a training of `recipe` will take beside the others, in seconds; timed: those that ended, in order.

        An extraction of features counts for the first training that needs it. Speeds of the same kind of network are
        compared where there are any, because multiply-adds of depthwise convolutions are slower than dense ones.
        """
        assert timed, "nothing has been timed yet"
        kind = recipe.architecture.kind
        seen: set[object] = {()}
        speeds: list[tuple[str, float]] = []
        for each in timed:
            work = self._work(each.recipe, each.fidelity, seen)
            speeds.append((each.recipe.architecture.kind, each.seconds / work))
        same = [speed for other, speed in speeds if other == kind] or [speed for _, speed in speeds]
        return median(same[-RECENT:]) * self._work(recipe, fidelity, seen)

    def _work(self, recipe: Recipe, fidelity: float, seen: set[object]) -> float:
        work = training_work(recipe, self.facts, self.forward) * fidelity
        key = extraction_key(recipe)
        if key not in seen:
            seen.add(key)
            work += extraction_work(recipe, self.facts, self.forward, self.held_out_images)
        return work
