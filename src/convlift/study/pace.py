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
    """A training that ended: what it was, and its wall-clock seconds; in_epochs: those of them that its epochs took."""

    recipe: Recipe
    fidelity: float
    seconds: float
    in_epochs: float


@dataclass(frozen=True)
class Pace:
    """Predicts seconds. facts, forward: see `budget.training_work`; held_out_images: validation and test together."""

    facts: Facts
    forward: Forward
    held_out_images: int

    def seconds(self, recipe: Recipe, timed: Sequence[Timed], fidelity: float = 1.0, *, again: bool = False) -> float:
        """What a training of `recipe` will take beside the others, in seconds; timed: those that ended, in order.

        again: as if its features were stored already.

        Epochs and the extraction of features are timed apart: a multiply-add takes longer in a small head than in a
        large backbone, and a process is slow to start its first training. The speed of the epochs is the median over
        the most similar trainings: of the same kind of network where there are any, because depthwise convolutions take
        longer for a multiply-add than dense ones, and of those the nearest in work. An extraction counts for the first
        training that needs it.
        """
        assert timed, "nothing has been timed yet"
        wanted = self._work(recipe, fidelity)
        works = [(each, self._work(each.recipe, each.fidelity)) for each in timed]
        kind = recipe.architecture.kind
        same = [(each, work) for each, work in works if each.recipe.architecture.kind == kind] or works
        same.reverse()  # sorting is stable: of equally near ones the later counts, as the machine's speed drifts
        nearest = sorted(same, key=lambda each: abs(math.log(each[1] / wanted)))[:NEAREST]
        speed = median(each.in_epochs / work for each, work in nearest)
        return wanted * speed + (0.0 if again else self._extraction(recipe, timed, speed))

    def _work(self, recipe: Recipe, fidelity: float) -> float:
        return training_work(recipe, self.facts, self.forward) * fidelity

    def _extraction(self, recipe: Recipe, timed: Sequence[Timed], otherwise: float) -> float:
        """Seconds of the extraction that a recipe needs and nobody has made, at the speed of others or `otherwise`."""
        seen: set[object] = {()}
        speeds: list[float] = []
        for each in timed:
            if (key := extraction_key(each.recipe)) not in seen:
                seen.add(key)
                speeds.append((each.seconds - each.in_epochs) / self._extraction_work(each.recipe))
        if extraction_key(recipe) in seen:
            return 0.0
        # the slowest: one whose features an earlier campaign had stored took no time at all
        return self._extraction_work(recipe) * max(speeds, default=otherwise)

    def _extraction_work(self, recipe: Recipe) -> float:
        return extraction_work(recipe, self.facts, self.forward, self.held_out_images)
