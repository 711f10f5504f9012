"""How long a training will take, from how long others took: work by arithmetic, seconds per work by measurement."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import median

from convlift.recipe import Recipe
from convlift.study.budget import Forward, extraction_key, extraction_work, training_work
from convlift.study.intervention import Facts

NEAREST = 5  # trainings that count: those whose work is most alike, since small networks waste more of each second


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

        An extraction of features counts for the first training that needs it. The speed is the median over the most
        similar trainings: of the same kind of network where there are any, because depthwise convolutions take longer
        for a multiply-add than dense ones, and of those the nearest in work.
        """
        assert timed, "nothing has been timed yet"
        seen: set[object] = {()}
        speeds: list[tuple[str, float, float]] = []
        for each in timed:
            work = self._work(each.recipe, each.fidelity, seen)
            speeds.append((each.recipe.architecture.kind, work, each.seconds / work))
        wanted = self._work(recipe, fidelity, seen)
        same = [speed for speed in speeds if speed[0] == recipe.architecture.kind] or speeds
        same.reverse()  # sorting is stable: of equally near ones the later counts, as the machine's speed drifts
        nearest = sorted(same, key=lambda speed: abs(math.log(speed[1] / wanted)))[:NEAREST]
        return wanted * median(speed for _, _, speed in nearest)

    def _work(self, recipe: Recipe, fidelity: float, seen: set[object]) -> float:
        work = training_work(recipe, self.facts, self.forward) * fidelity
        key = extraction_key(recipe)
        if key not in seen:
            seen.add(key)
            work += extraction_work(recipe, self.facts, self.forward, self.held_out_images)
        return work
