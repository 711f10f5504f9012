"""How long a training will take, from how long others took: work by arithmetic, seconds per work by measurement."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import median

from convlift.recipe import Recipe
from convlift.study.budget import Forward, extraction_key, extraction_work, training_work, tuning_work
from convlift.study.intervention import Facts

NEAREST = 5  # trainings that count: those whose work is most alike, since small networks waste more of each second


MADE_HERE = 0.05  # of a head's seconds for a multiply-add: an extraction that took less was read from the disk


@dataclass(frozen=True)
class Timed:
    """A training that ended: what it was, and its wall-clock seconds; in_epochs: those of them that its epochs took,
    in_tuning: those that the epochs of a second phase did, 0 where that was not told apart."""

    recipe: Recipe
    fidelity: float
    seconds: float
    in_epochs: float
    in_tuning: float = 0.0


@dataclass(frozen=True)
class _Phases:
    """A first number for the only or first phase, a second one for the second."""

    first: float
    second: float


@dataclass(frozen=True)
class Pace:
    """Predicts seconds. facts, forward: see `budget.training_work`; held_out_images: validation and test together."""

    facts: Facts
    forward: Forward
    held_out_images: int

    def seconds(self, recipe: Recipe, timed: Sequence[Timed], fidelity: float = 1.0, *, again: bool = False) -> float:
        """What a training of `recipe` will take beside the others, in seconds; timed: those that ended, in order.

        again: as if its features were stored already.

        The phases of a training and the extraction of features are timed apart: a multiply-add takes three times as
        long in a small head as in a large backbone, and a process is slow to start its first training. The speed of a
        phase is the median over the most similar trainings: of the same kind of network where there are any, because
        depthwise convolutions take longer for a multiply-add than dense ones, and of those the nearest in work. Where
        nothing was fine-tuned yet, a backbone trains at the speed at which it extracts. An extraction counts for the
        first training that needs it.
        """
        assert timed, "nothing has been timed yet"
        wanted = self._work(recipe, fidelity)
        kind = recipe.architecture.kind
        same = [each for each in timed if each.recipe.architecture.kind == kind] or list(timed)
        speed = self._speed(
            [(self._work(each.recipe, each.fidelity).first, self._spent(each).first) for each in same], wanted.first
        )
        extraction = max(self._extraction_speeds(timed), default=0.0)
        extraction = extraction if extraction > MADE_HERE * speed else speed
        predicted = wanted.first * speed
        if wanted.second:
            tuned = [(self._work(each.recipe, each.fidelity).second, self._spent(each).second) for each in same]
            tuned = [(work, spent) for work, spent in tuned if work]
            predicted += wanted.second * (self._speed(tuned, wanted.second) if tuned else extraction)
        if again or extraction_key(recipe) in {(), *(extraction_key(each.recipe) for each in timed)}:
            return predicted
        return predicted + self._extraction_work(recipe) * extraction

    def _work(self, recipe: Recipe, fidelity: float) -> _Phases:
        second = tuning_work(recipe, self.facts, self.forward)
        return _Phases((training_work(recipe, self.facts, self.forward) - second) * fidelity, second * fidelity)

    def _spent(self, each: Timed) -> _Phases:
        """Seconds of its epochs by phase, shared out by work where that is not known."""
        work = self._work(each.recipe, 1.0)
        second = each.in_tuning or each.in_epochs * work.second / (work.first + work.second)
        return _Phases(each.in_epochs - second, second)

    def _speed(self, works_and_seconds: Sequence[tuple[float, float]], wanted: float) -> float:
        """Seconds for a multiply-add: the median over the NEAREST in work."""
        # sorting is stable: of equally near ones the later counts, as the machine's speed drifts
        later_first = reversed(works_and_seconds)
        nearest = sorted(later_first, key=lambda each: abs(math.log(each[0] / wanted)))[:NEAREST]
        return median(seconds / work for work, seconds in nearest)

    def _extraction_speeds(self, timed: Sequence[Timed]) -> list[float]:
        """Seconds for a multiply-add of every extraction, one that an earlier campaign had stored among them."""
        seen: set[object] = {()}
        speeds: list[float] = []
        for each in timed:
            if (key := extraction_key(each.recipe)) not in seen:
                seen.add(key)
                speeds.append((each.seconds - each.in_epochs) / self._extraction_work(each.recipe))
        return speeds

    def _extraction_work(self, recipe: Recipe) -> float:
        return extraction_work(recipe, self.facts, self.forward, self.held_out_images)
