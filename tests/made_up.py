"""A made-up world for whole campaigns: recipes of known true accuracy, trainings of known length, and no torch.

An image i has a difficulty z_i. A run with true accuracy A is right on it with probability
Phi((Phi^-1(A) + sqrt(rho) z_i) / sqrt(1 - rho)), so A is its accuracy over all images (simulation/worlds.py has the
same model, batched). What a run says follows from the world and the trial's seed alone, as in a real training.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtr, ndtri

from convlift.catalogue.starting_points import StartingPoint
from convlift.cost.seconds import Pace
from convlift.cost.work import training_work
from convlift.errors import Diverged
from convlift.execute.job import Job, Report
from convlift.ledger.fingerprint import Identity
from convlift.ledger.ledger import Ledger, open_ledger
from convlift.recipe.built_in import built_in
from convlift.recipe.recipe import Recipe
from convlift.records.facts import Facts
from convlift.records.outcome import NO_PROBABILITIES, EpochReport, Outcome
from convlift.search.dispatcher import Dispatcher
from convlift.search.problem import Problem
from timeline import Timeline

CLASSES = 4
RHO = 0.8  # of the variance of an image's difficulty that all runs share: then E[p(1-p)] = .44 A(1-A)
UNLEARNED, MORE_IMAGES = 0.15, 0.01  # of its errors those that a refit still makes on images that it learned from; gain
HOUR = 3600.0  # one training of the baseline: real time that a test takes is nothing beside it

FACTS = Facts(training_images=1000, classes=CLASSES, channels=3, native_resolution=32, aspect=1.0)
BASELINE = built_in("plain").at(32)

Holds = Callable[[Recipe], bool]


def flipped(recipe: Recipe) -> bool:
    return recipe.data.augmentation.horizontal_flip > 0


def normalized(recipe: Recipe) -> bool:
    return recipe.architecture.kind == "convnet" and recipe.architecture.normalization == "batch"


def shifted(recipe: Recipe) -> bool:
    return recipe.data.augmentation.translation > 0


def zoomed(recipe: Recipe) -> bool:
    return recipe.data.augmentation.zoom > 0


def scheduled(recipe: Recipe) -> bool:
    return recipe.training.schedule != "constant"


def residual(recipe: Recipe) -> bool:
    return recipe.architecture.kind == "convnet" and recipe.architecture.residual


HELPS: dict[Holds, float] = {flipped: 3.0, normalized: 2.5, scheduled: 2.0}
HARMS: dict[Holds, float] = {shifted: -4.0, zoomed: -3.0}


@dataclass(frozen=True)
class World:
    """What is true. effects: points that a recipe gains for each property that it has; they add up.

    fate: what becomes of a trial instead of a result: a Diverged or another exception, or None. seconds_noise: sd of
    the logarithm of a training's length; slow: a factor on it.
    """

    seed: int = 0
    effects: dict[Holds, float] = field(default_factory=lambda: {**HELPS, **HARMS})
    accuracy: float = 0.8
    seed_points: float = 0.5
    n: int = 300
    nt: int = 300
    fate: Callable[[Job], Exception | None] = lambda job: None
    seconds_noise: float = 0.05
    slow: Callable[[Job], float] = lambda job: 1.0

    @property
    def labels(self) -> NDArray[np.int64]:
        """(n + nt,): of validation and test images."""
        return self._draws(1).integers(0, CLASSES, self.n + self.nt)

    def points(self, recipe: Recipe) -> float:
        """True accuracy of a recipe in points, over all seeds and images."""
        return 100 * self.accuracy + sum(points for holds, points in self.effects.items() if holds(recipe))

    def says(self, job: Job) -> NDArray[np.float32]:
        """(n + nt, K): class probabilities."""
        rng = self._draws(2, job.spec.seed)
        accuracy = self.points(job.spec.recipe) - 5 * (1 - job.spec.fidelity) + self.seed_points * rng.normal()
        whole = np.full(self.n + self.nt, accuracy / 100)
        if job.spec.refit:
            whole = np.where(np.arange(len(whole)) < self.n, 1 - (1 - whole) * UNLEARNED, whole + MORE_IMAGES)
        level = ndtri(np.clip(whole, 0.02, 0.999))
        difficulty = self._draws(3).normal(size=self.n + self.nt)
        right = rng.random(self.n + self.nt) < ndtr((level + np.sqrt(RHO) * difficulty) / np.sqrt(1 - RHO))
        said = np.where(right, self.labels, (self.labels + rng.integers(1, CLASSES, len(right))) % CLASSES)
        return (0.1 + 0.6 * np.eye(CLASSES, dtype=np.float32)[said]).astype(np.float32)

    def seconds(self, job: Job) -> float:
        """How long the training takes."""
        work = training_work(job.spec.recipe, FACTS, forward) / training_work(BASELINE, FACTS, forward)
        noise = np.exp(self.seconds_noise * self._draws(4, job.spec.seed).normal())
        return float(HOUR * work * job.spec.fidelity * noise * self.slow(job))

    def _draws(self, *stream: int) -> np.random.Generator:
        return np.random.default_rng([self.seed, *stream])


def forward(recipe: Recipe, stages: int | None = None) -> float:
    """Multiply-adds of one image, roughly: what matters here is that recipes differ."""
    side = recipe.data.resolution or 32
    width = recipe.architecture.width if recipe.architecture.kind == "convnet" else 64
    return 1e3 * side**2 * (width / 32)


def train(job: Job, world: World, report: Report) -> Outcome:
    """A `run` for every executor: what a training would leave."""
    if error := world.fate(job):
        raise error
    said = world.says(job)
    right = said.argmax(axis=1) == world.labels
    epochs, seconds = max(1, round(job.spec.recipe.training.epochs * job.spec.fidelity)), world.seconds(job)
    score = float(right[: world.n].mean())
    images = FACTS.training_images + (world.n if job.spec.refit else 0)
    curve = tuple(
        EpochReport("train", e, epochs, 0.5, score, 0.6, score, 1e-3, seconds / epochs, images=images)
        for e in range(epochs)
    )
    for epoch in curve:
        report(epoch)
    if job.limits.save_to:
        Path(job.limits.save_to).parent.mkdir(parents=True, exist_ok=True)
        Path(job.limits.save_to).write_text(str(job.spec.seed))
    return Outcome("finished", said[: world.n], said[world.n :], curve, seconds, weights=job.limits.save_to)


@dataclass(frozen=True)
class Weather(World):
    """outside: points that a recipe gains under corruptions, where its accuracy is .6."""

    outside: dict[Holds, float] = field(default_factory=dict)


def in_weather(job: Job, world: Weather, report: Report) -> Outcome:
    """What a training leaves, and what it makes of two copies of every validation image."""
    bad_weather = World(world.seed, world.outside, 0.6, world.seed_points, world.n, world.nt)
    copies = [
        bad_weather.says(replace(job, spec=replace(job.spec, seed=job.spec.seed + k)))[: world.n] for k in range(2)
    ]
    said = NO_PROBABILITIES if job.spec.refit else np.concatenate(copies)
    return replace(train(job, world, report), shifted_probabilities=said)


def diverges(job: Job) -> Exception:
    return Diverged("the training loss became nan at a learning rate of 0.1; it must stay finite.")


def problem_of(world: World, starts: tuple[StartingPoint, ...] = (), baseline: Recipe = BASELINE) -> Problem:
    return Problem(
        baseline=baseline,
        baseline_name="plain",
        starts=starts,
        facts=FACTS,
        pace=Pace(FACTS, forward, world.n + world.nt),
        validation_labels=world.labels[: world.n],
        seed=world.seed,
        ship="auto",
        closing_seconds=0.1 * HOUR,
    )


@contextmanager
def ledger_in(folder: Path, world: World, baseline: Recipe = BASELINE) -> Iterator[Ledger]:
    with open_ledger(folder, Identity("made up", baseline, world.seed, "accuracy"), heartbeat=600.0) as ledger:
        yield ledger


@contextmanager
def desk_in(
    folder: Path,
    world: World,
    trainings: float,
    *,
    workers: int = 1,
    stop: Callable[[Ledger], int] = lambda ledger: 0,
    baseline: Recipe = BASELINE,
) -> Iterator[Dispatcher]:
    """A desk with a budget of so many trainings of the baseline for each worker, on a simulated clock."""
    with ledger_in(folder, world, baseline) as ledger:
        executor = Timeline(train, world, ledger, workers)
        yield Dispatcher(ledger, executor, trainings * HOUR, stop=lambda: stop(ledger))


def outline(ledger: Ledger) -> list[tuple[object, ...]]:
    """Everything about all trials that must not change, the networks' words to the last bit."""
    return [
        (t.id, t.role, t.seed, t.fingerprint, t.names, t.fidelity, t.status, _bytes(t.outcome))
        for t in ledger.trials()
        if t.outcome is not None
    ]


def _bytes(outcome: Outcome) -> bytes:
    return outcome.validation_probabilities.tobytes() + outcome.test_probabilities.tobytes()
