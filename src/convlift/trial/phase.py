"""One phase of training: `fit` under the recipe's rules, in the time that there is."""

import math
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import nullcontext
from dataclasses import dataclass, field
from typing import Any, Literal, NamedTuple

import torch
from torch import Tensor, nn

from convlift.augment.streams import Streams
from convlift.errors import Diverged
from convlift.recipe.mixing import Mixing
from convlift.recipe.training import SMALLER, Training
from convlift.records.outcome import EpochReport
from convlift.train.averaging import AveragedWeights, alike, exponential
from convlift.train.batch import Batch
from convlift.train.early_stopping import stop_early
from convlift.train.evaluate import Score, evaluate, predict_probabilities
from convlift.train.fit import Phase, fit
from convlift.train.objectives import CrossEntropy, class_counts, class_weights, logit_offsets
from convlift.train.optimizers import make_optimizer
from convlift.train.schedules import make_schedule, multiplier
from convlift.trial.batches import Draw, Indices, training_batches, training_order
from convlift.trial.mixed_batches import mixed
from convlift.trial.trial_clock import TrialClock

EVEN = 1.5  # largest class over the mean class, below which classes are even
CHECKS = 50  # how often in a phase the time is compared with the steps that are left
LATEST = 10  # of these looks tell how fast the machine is by now, and as many first ones how fast it was
MOST_SLOWER = 5.0  # times: what looks slower than that waited for something
HURRIED = 0.1  # of the schedule left out: less is no other recipe (twice the epochs of fine-tuning bring .7 points)
TIMELY = 0.97  # of the time: to be done a little before it is over


@dataclass(frozen=True)
class PhaseData:
    """What a phase trains on. draw: the inputs of some training positions; labels: int64, under `classes`; validation:
    all validation images, batch by batch; test_images: how many more are predicted at the end; rate_factors: on the
    learning rates of some parameters; mixing: of the images of a batch; average_from: see FineTuning; first_draw: what
    stands for `draw` in the first steps, `first_share` of all; refit: whether the validation images are among those it
    trains on: then nothing is measured on them, and nothing stops by them.
    """

    name: Literal["train", "head", "fine-tune"]
    draw: Draw
    labels: Tensor
    validation: Callable[[], Iterable[Batch]]
    validation_images: int
    classes: int
    train_mode: Callable[[nn.Module], Any] = nn.Module.train
    test_images: int = 0
    rate_factors: Mapping[nn.Parameter, float] = field(default_factory=dict)
    mixing: Mixing = field(default_factory=Mixing)
    average_from: float | None = None
    first_draw: Draw | None = None
    first_share: float = 0.0
    refit: bool = False


def run_phase(network: nn.Module, data: PhaseData, training: Training, seed: int, clock: TrialClock) -> None:
    """Train `network` in place, every epoch reported to the clock, until the epochs, the patience or the time are over.

    The order of the images and all random changes follow from the seed, the phase and the epoch alone.
    """
    count = len(data.labels)
    each = math.ceil(count / training.batch_size)
    if math.isfinite(clock.seconds):
        clock.kept, clock.slower = _evaluation_seconds(network, data), 1.0

    schedule = InTime(training, training.epochs * each, clock, small=data.first_share)
    patience = None if data.refit else training.patience
    optimizer = make_optimizer(network, training, data.rate_factors)
    # with early stopping the best epoch's own weights are what is kept
    average = None if patience else _average(network, data, training, schedule)
    if average:
        average.follow(optimizer)
    offsets, weights = _for_uneven_classes(data, training)
    reports = fit(
        network,
        _batches(data, training, seed, schedule),
        CrossEntropy(training.label_smoothing, weights, offsets, training.consistency),
        optimizer,
        schedule,
        epochs=training.epochs,
        phase=_as_fit_knows_it(network, data, clock, average, offsets),
    )
    chance = float(torch.bincount(data.labels.cpu()).max()) / count
    # where classes are uneven, or weighted, a good network can get fewer images right than the largest class has
    weighted = training.treats_classes
    gives_up = clock.gives_up and chance * data.classes < EVEN and not weighted
    for epoch in stop_early(reports, network, patience):
        clock.note(epoch)
        if gives_up and _is_hopeless(epoch, chance, count, data.validation_images):
            raise Diverged(
                f"after {epoch.epoch + 1} of {epoch.epochs} epochs it classifies {epoch.train_accuracy:.3f} of the "
                f"training images correctly, no more than the largest class has ({chance:.3f}): it was given up."
            )
    if average:
        average.put()


def _for_uneven_classes(data: PhaseData, training: Training) -> tuple[Tensor | None, Tensor | None]:
    """What is added to the logits, and how much an image of a class counts: by as many as an epoch shows."""
    counts_K = class_counts(data.labels, data.classes, training.class_sampling)
    offsets = logit_offsets(counts_K, training.logit_adjustment)
    weights = class_weights(counts_K, training.class_balance, training.effective_number)
    device = data.labels.device
    return tuple(None if each is None else each.to(device) for each in (offsets, weights))  # type: ignore[return-value]


def _batches(data: PhaseData, training: Training, seed: int, schedule: "InTime") -> Callable[[int], Iterator[Batch]]:
    """The batches of each epoch, until it is over."""

    def draw(chosen: Indices, streams: Streams) -> Tensor:
        first = data.first_draw if schedule.is_first else None
        return (first or data.draw)(chosen, streams)

    def batches(epoch: int) -> Iterator[Batch]:
        # where there is no time for all epochs, what remains of the schedule is what remains of the training
        streams = Streams(seed, data.name, epoch, done=schedule.progress)
        order = training_order(data.labels, streams["order"], training.class_sampling)
        found = training_batches(draw, data.labels, training.batch_size, streams, schedule.is_over, order)
        return mixed(found, data.mixing, data.classes, streams) if data.mixing.active else found

    return batches


def _average(network: nn.Module, data: PhaseData, training: Training, schedule: "InTime") -> AveragedWeights | None:
    """The average of the weights that the recipe asks for; None where it asks for none."""
    if data.average_from is not None:
        first = max(data.average_from, data.first_share if data.first_draw else 0.0)
        return AveragedWeights(network, alike, lambda: schedule.last_step >= first)
    return AveragedWeights(network, exponential(training.average)) if training.average else None


def _as_fit_knows_it(
    network: nn.Module, data: PhaseData, clock: TrialClock, average: AveragedWeights | None, offsets: Tensor | None
) -> Phase:
    """Validation is of what the training would leave, and its loss of what training makes small."""

    def validate() -> Score:
        began = clock.elapsed()
        with average.shown() if average else nullcontext():
            score = evaluate(network, data.validation(), offsets)
        clock.validated += clock.elapsed() - began
        return score

    return Phase(data.name, None if data.refit else validate, data.train_mode, clock.micro)


def _evaluation_seconds(network: nn.Module, data: PhaseData) -> float:
    """What comes after the last step, from one batch: validation once more, and the predictions of both parts."""
    began = time.monotonic()
    batch = next(iter(data.validation()), None)
    if batch is None:
        return 0.0
    drawing = time.monotonic() - began
    if batch.inputs.device.type != "cpu":  # whose first batch takes the seconds in which its libraries load
        predict_probabilities(network, [batch.inputs])
    began = time.monotonic()
    predict_probabilities(network, [batch.inputs])
    predicting = time.monotonic() - began
    validation, test = data.validation_images, data.test_images
    # validation images may be kept as the network reads them, once they were read
    return (predicting * (2 * validation + test) + drawing * (validation + test)) / len(batch.inputs)


def _is_hopeless(epoch: EpochReport, chance: float, training_images: int, validation_images: int) -> bool:
    """Whether a training that is half over classifies neither its own images nor new ones better than always predicting
    the largest class would: within two standard errors."""

    def by_chance(accuracy: float, images: int) -> bool:
        return accuracy <= chance + 2.0 * math.sqrt(chance * (1.0 - chance) / images)

    half_over = 2 * (epoch.epoch + 1) >= epoch.epochs and epoch.epoch + 1 < epoch.epochs
    return (
        half_over
        and by_chance(epoch.train_accuracy, training_images)
        and by_chance(epoch.validation_accuracy, validation_images)
    )


class InTime:
    """The recipe's schedule; where the time will be over before the steps are, it is run through in that time.

    A learning rate that is cut off on its way down costs more than the steps that are missing (Li et al. 2020,
    "Budgeted training", section 4). One that stays as it is loses nothing by an end at any step, and takes all the time
    that there is. A trial that has time enough keeps its schedule to the bit.
    """

    def __init__(self, training: Training, steps: int, clock: TrialClock, *, small: float = 0.0) -> None:
        """small: the share of the schedule, its first, in which images are small: the later ones cost more than these
        tell."""
        self._training, self._steps, self._clock = training, steps, clock
        self._small, self._work = small, _Work(small * steps)
        self._planned = make_schedule(training.schedule, steps=steps, warmup=training.warmup)
        self._began, self._every = clock.elapsed(), max(1, steps // CHECKS)
        self._position, self._latest, self._pace, self._taken = 0.0, 0.0, 1.0, 0
        self._looks: list[tuple[float, float]] = []  # seconds of steps and work by then
        self._is_flat = training.schedule == "constant"
        self.is_through = False  # before the steps are over: what would follow has no learning rate left

    def __call__(self, step: int) -> float:
        """The multiplier of the learning rate."""
        self._taken, self._latest = step + 1, self._position
        if step and step % self._every == 0:
            self._look(step)
        now, last = self._position, self._steps - 1.0
        if not self.is_first and step < self._work.small:
            self._work = _Work(step)
        self._position = min(now + self._pace, last)
        self.is_through = now == last and not self._is_flat
        return self._planned(step) if now == step else self._multiplier(now)

    @property
    def progress(self) -> float:
        """The share of the schedule that lies behind, in [0, 1)."""
        return self._position / self._steps

    @property
    def last_step(self) -> float:
        """Where in the schedule the latest step was, in [0, 1)."""
        return self._latest / self._steps

    @property
    def is_first(self) -> bool:
        """Whether the next step takes small images."""
        return self.progress < self._small

    def is_over(self) -> bool:
        """Whether no further step is taken. Where the time is over and next to nothing is left of the schedule, it is
        the recipe all the same."""
        if self.is_through:
            return True
        if self.progress >= 1.0 - HURRIED and self._clock.elapsed() > self._clock.to_train:
            is_short = self._is_flat and self._taken < (1.0 - HURRIED) * self._steps
            self._clock.hurried = self._clock.hurried or is_short
            return True
        return self._clock.late()

    def _look(self, step: int) -> None:
        elapsed, done = self._clock.elapsed(), self._work.of(step)
        self._looks.append((elapsed - self._clock.validated, done))
        self._clock.slower = _slowdown(self._looks)
        timely = 1.0 if self._is_flat else TIMELY
        left = self._began + timely * (self._clock.to_train - self._began) - elapsed
        more = max(left, 0.0) * done / max(elapsed - self._began, 1e-9)
        fit, to_come = self._work.steps(done + more) - step, self._steps - self._position
        self._pace = max(1.0, to_come / max(fit, 1.0)) if fit < self._steps - step else 1.0
        if not self._is_flat:  # whose position says nothing of how many steps there will be
            self._clock.hurried = self._clock.hurried or self._position - step > HURRIED * self._steps

    def _multiplier(self, position: float) -> float:
        return multiplier(self._training.schedule, position, self._steps, self._training.warmup)


def _slowdown(looks: list[tuple[float, float]]) -> float:
    """How many times as long a step takes in the latest looks as in the first; 1 where it takes no longer, or where
    there are too few to tell. The predictions that follow a training take that much longer too: on a busy laptop an
    epoch took 6 s at first and 16 to 25 s in the end, and the training was ended without a network."""
    if len(looks) < 2 * LATEST:
        return 1.0
    first, latest = (
        (end[0] - start[0]) / max(end[1] - start[1], 1e-9)
        for start, end in ((looks[0], looks[LATEST - 1]), (looks[-LATEST], looks[-1]))
    )
    return min(max(latest / max(first, 1e-9), 1.0), MOST_SLOWER)


class _Work(NamedTuple):
    """What steps cost, in steps on images of the full size. small: how many of the first ones take small images."""

    small: float

    def of(self, steps: int) -> float:
        """Of the first `steps` steps."""
        return min(steps, self.small) * SMALLER**2 + max(steps - self.small, 0)

    def steps(self, work: float) -> float:
        """How many of the first steps cost so much."""
        more = work - self.small * SMALLER**2
        return self.small + more if more > 0.0 else work / SMALLER**2


def scaled(epochs: int, fidelity: float) -> int:
    """A fraction of the epochs, at least one; the schedule shrinks with them."""
    return max(1, round(epochs * fidelity))
