"""How long a training will take, from how long others took: work by arithmetic, seconds per work by measurement."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from statistics import median
from typing import NamedTuple

from convlift.cost.work import STEP_OVERHEAD, Forward, extraction_key, extraction_work, training_work, tuning_work
from convlift.recipe.architecture import ConvNet, Pretrained
from convlift.recipe.recipe import Recipe
from convlift.records.facts import Facts

NEAREST = 5  # training runs that count: those whose work is most alike, since small networks waste more of each second


MADE_HERE = 0.05  # of a head's seconds for a multiply-add: an extraction that took less was read from the disk
LEAST_DONE = 0.005  # of a phase: what was stopped before tells no speed


@dataclass(frozen=True)
class Speeds:
    """What is known of a device before anything was trained on it.

    single, dense, head, tuning, extraction: seconds for a multiply-add in a network of a single convolution, in a
        deeper one, in a head, in a backbone's last stages, in its forward pass.
    step: what a step costs beside its arithmetic, in multiply-adds.
    """

    single: float
    dense: float
    head: float
    tuning: float
    extraction: float
    step: float = STEP_OVERHEAD


# One core of an AVX-512 processor, measured on digits, CIFAR-10, flowers and chest X-rays at 8 to 128 px: within a
# third of these in all of them. A single convolution over few channels waits for memory.
USUAL_CORE = Speeds(single=65e-12, dense=27e-12, head=31e-12, tuning=45e-12, extraction=40e-12)


@dataclass(frozen=True)
class Timed:
    """A training that ended.

    recipe, fidelity: what it was.
    seconds: its wall clock.
    in_epochs: those of them that its epochs took.
    in_tuning: those that the epochs of a second phase took, 0 where that was not told apart.
    first_done, second_done: shares of the two phases that it got through, less than 1 where the clock stopped it.
    """

    recipe: Recipe
    fidelity: float
    seconds: float
    in_epochs: float
    in_tuning: float = 0.0
    first_done: float = 1.0
    second_done: float = 1.0


class Measured(NamedTuple):
    """speed: seconds for a multiply-add that a recipe's fine-tuning takes, or its epochs from scratch."""

    recipe: Recipe
    speed: float


@dataclass(frozen=True)
class _Phases:
    """A first number for the only or first phase, a second one for the second."""

    first: float
    second: float


@dataclass(frozen=True)
class Pace:
    """Predicts seconds.

    facts, forward: see `work.training_work`.
    held_out_images: validation and test together.
    nominal: predict from multiply-adds alone, however long trainings took: the same on every machine, busy or idle.
    speeds: of the device, where nothing was timed yet; see `trial/speeds.py`.
    copies: of validation images, predicted once a training beside the images held out.
    tuning: of fine-tuning that was measured and not yet timed in a training; scratch: of a network from scratch.
    """

    facts: Facts
    forward: Forward
    held_out_images: int
    nominal: bool = False
    speeds: Speeds = USUAL_CORE
    tuning: Measured | None = None
    scratch: Measured | None = None
    copies: int = 0

    def seconds(self, recipe: Recipe, timed: Sequence[Timed], fidelity: float = 1.0, *, again: bool = False) -> float:
        """What a training of `recipe` will take beside the others, in seconds; timed: those that ended, in order.
        Without any, what it takes by `speeds`.

        again: as if its features were stored already.

        The phases of a training and the extraction of features are timed apart: a multiply-add takes three times as
        long in a small head as in a large backbone, and a process is slow to start its first training. The speed of a
        phase is the median over the most similar ones: of the same kind of network where there are any, because
        depthwise convolutions take longer for a multiply-add than dense ones, and of those the nearest in work. Where
        nothing was fine-tuned yet nor measured, a backbone trains at the speed at which it extracts; on a device whose
        own speeds were measured, at that one, for the first extraction there waits for libraries to load. An extraction
        counts for the first training that needs it.
        """
        timed = [each for each in timed if each.first_done >= LEAST_DONE]
        if self.nominal or not timed:
            return self._usual(recipe, fidelity, again=again)
        wanted = self._work(recipe, fidelity)
        kind = recipe.architecture.kind
        same = [each for each in timed if each.recipe.architecture.kind == kind] or list(timed)
        if kind == "convnet":  # a shallow one takes over twice as long for a multiply-add as a deep one
            alike = [each for each in same if each.recipe.architecture == recipe.architecture]
            if not alike and self.scratch and self.scratch.recipe.architecture == recipe.architecture:
                return wanted.first * self.scratch.speed
            same = alike or same
        speed = self._speed([(self._done(each).first, self._spent(each).first) for each in same], wanted.first)
        extraction = max(self._extraction_speeds(timed), default=0.0)
        extraction = extraction if extraction > MADE_HERE * speed else speed
        predicted = wanted.first * speed
        if wanted.second:
            predicted += wanted.second * self._tuning_speed(recipe, same, wanted.second, extraction)
        if again or extraction_key(recipe) in {(), *(extraction_key(each.recipe) for each in timed)}:
            return predicted
        return predicted + self._extraction_work(recipe) * extraction

    def with_tuning(self, recipe: Recipe, seconds: float) -> "Pace":
        """The same, the fine-tuning of `recipe` having been measured to take so many seconds."""
        return replace(self, tuning=Measured(recipe, seconds / self._work(recipe, 1.0).second))

    def with_scratch(self, recipe: Recipe, seconds: float) -> "Pace":
        """The same, a training of `recipe` from scratch having been measured to take so many seconds."""
        return replace(self, scratch=Measured(recipe, seconds / self._work(recipe, 1.0).first))

    def evaluation_seconds(self, recipe: Recipe) -> float:
        """What predicting validation and test images takes, where that needs the whole network."""
        network = recipe.architecture
        if isinstance(network, Pretrained) and not recipe.tunes_on_images:
            return 0.0
        return self.pass_seconds(recipe)

    def pass_seconds(self, recipe: Recipe) -> float:
        """What one pass of validation and test images, and copies, through the whole network takes, stored or not."""
        return self.forward(recipe) * (self.held_out_images + self.copies) * self._usual_speed(recipe)

    def _usual(self, recipe: Recipe, fidelity: float, *, again: bool) -> float:
        work = self._work(recipe, fidelity)
        if not isinstance(recipe.architecture, Pretrained):
            # each epoch ends with the validation images, about half of those held out, in one forward pass
            held_out = self.forward(recipe) * self.held_out_images / 2 * recipe.training.epochs * fidelity
            return (work.first + held_out + self.forward(recipe) * self.copies) * self._usual_speed(recipe)
        extraction = 0.0 if again else self._extraction_work(recipe) * self.speeds.extraction
        return work.first * self.speeds.head + work.second * self.speeds.tuning + extraction

    def _usual_speed(self, recipe: Recipe) -> float:
        """Seconds for a multiply-add of a whole network."""
        network = recipe.architecture
        if isinstance(network, Pretrained):
            return self.speeds.extraction
        is_single = isinstance(network, ConvNet) and network.block == "plain" and sum(network.depths) == 1
        return self.speeds.single if is_single else self.speeds.dense

    def _work(self, recipe: Recipe, fidelity: float) -> _Phases:
        second, whole = (
            work(recipe, self.facts, self.forward, self.speeds.step) for work in (tuning_work, training_work)
        )
        return _Phases((whole - second) * fidelity, second * fidelity)

    def _done(self, each: Timed) -> _Phases:
        work = self._work(each.recipe, each.fidelity)
        return _Phases(work.first * each.first_done, work.second * each.second_done)

    def _spent(self, each: Timed) -> _Phases:
        """Seconds of its epochs by phase, shared out by work where that is not known."""
        work = self._done(each)
        second = each.in_tuning or each.in_epochs * work.second / (work.first + work.second)
        return _Phases(each.in_epochs - second, second)

    def _tuning_speed(self, recipe: Recipe, same: Sequence[Timed], wanted: float, extraction: float) -> float:
        """Seconds for a multiply-add of fine-tuning: of trainings like it, of what was measured of it, of others that
        fine-tuned, or as `seconds` says where nothing did. extraction: seconds for one of an extraction."""
        tuned = [each for each in same if each.second_done >= LEAST_DONE and self._done(each).second]
        alike = [each for each in tuned if _kind_of_tuning(each.recipe) == _kind_of_tuning(recipe)]
        if not alike and self.tuning and _kind_of_tuning(self.tuning.recipe) == _kind_of_tuning(recipe):
            return self.tuning.speed
        timed = [(self._done(each).second, self._spent(each).second) for each in alike or tuned]
        if timed:
            return self._speed(timed, wanted)
        return extraction if self.speeds is USUAL_CORE else self.speeds.tuning

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
        return extraction_work(recipe, self.facts, self.forward, self.held_out_images + self.copies)


def _kind_of_tuning(recipe: Recipe) -> tuple[object, ...]:
    """Equal for recipes whose fine-tuning takes as long for a multiply-add."""
    network, tuned = recipe.architecture, recipe.training.fine_tuning
    backbone = network.backbone if isinstance(network, Pretrained) else ""
    return backbone, tuned and tuned.stages, recipe.tunes_on_images
