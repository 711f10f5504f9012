"""One phase of training: batches from arrays, and `fit` under the recipe's rules."""

import math
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from convlift.augment.pipeline import augment, normalize
from convlift.data.normalization import Statistics
from convlift.errors import Diverged
from convlift.recipe.augmentation import Augmentation
from convlift.recipe.training import Training
from convlift.records.outcome import EpochReport
from convlift.train.early_stopping import stop_early
from convlift.train.evaluate import Score, evaluate, predict_probabilities
from convlift.train.fit import Phase, fit
from convlift.train.objectives import CrossEntropy, class_weights
from convlift.train.optimizers import make_optimizer
from convlift.train.schedules import Schedule, make_schedule, multiplier
from convlift.trial.trial_clock import TrialClock

EVALUATION_BATCH = 256
EVEN = 1.5  # largest class over the mean class, below which classes are even
CHECKS = 50  # how often in a phase the time is compared with the steps that are left
HURRIED = 0.05  # of the schedule left out: less is no other recipe
TIMELY = 0.95  # of the time that is left, to be done a little before it is over

Indices = NDArray[np.int64]
Draw = Callable[[Indices, np.random.Generator], Tensor]  # training positions -> their inputs, as drawn this time


@dataclass(frozen=True)
class Course:
    """What a phase trains on. draw: the inputs of some training positions; held_out: those of all validation images, in
    batches of EVALUATION_BATCH. Labels are int64, under `classes`. test_images: how many more are predicted at the end.
    """

    name: Literal["train", "head", "fine-tune"]
    draw: Draw
    labels: Tensor
    held_out: Callable[[], Iterable[Tensor]]
    held_out_labels: Tensor
    classes: int
    train_mode: Callable[[nn.Module], Any] = nn.Module.train
    test_images: int = 0


def run_phase(network: nn.Module, course: Course, training: Training, seed: int, clock: TrialClock) -> None:
    """Train `network` in place, every epoch reported to the clock, until the epochs, the patience or the time are over.

    The order of the images and all random changes follow from the seed, the phase and the epoch alone.
    """
    count = len(course.labels)
    steps = training.epochs * math.ceil(count / training.batch_size)
    if math.isfinite(clock.seconds):
        clock.kept = _evaluation_seconds(network, course)

    def batches(epoch: int) -> Iterator[tuple[Tensor, Tensor]]:
        rng = np.random.default_rng([seed, len(course.name), epoch])
        for chosen in training_chunks(rng.permutation(count), training.batch_size):
            if clock.late():
                return
            yield course.draw(chosen, rng), course.labels[torch.from_numpy(chosen)]

    def validate() -> Score:
        return evaluate(network, zip(course.held_out(), split_labels(course.held_out_labels), strict=True))

    reports = fit(
        network,
        batches,
        CrossEntropy(training.label_smoothing, class_weights(course.labels, training.class_balance, course.classes)),
        make_optimizer(network, training),
        in_time(training, steps, clock),
        epochs=training.epochs,
        phase=Phase(course.name, validate, course.train_mode),
    )
    chance = float(torch.bincount(course.labels).max()) / count
    # where classes are uneven, or weighted, a good network can get fewer images right than the largest class has
    gives_up = clock.gives_up and chance * course.classes < EVEN and not training.class_balance
    for epoch in stop_early(reports, network, training.patience):
        clock.note(epoch)
        if gives_up and _is_hopeless(epoch, chance, count, len(course.held_out_labels)):
            raise Diverged(
                f"after {epoch.epoch + 1} of {epoch.epochs} epochs it classifies {epoch.train_accuracy:.3f} of the "
                f"training images correctly, no more than the largest class has ({chance:.3f}): it was given up."
            )


def _evaluation_seconds(network: nn.Module, course: Course) -> float:
    """What comes after the last step, from one batch: validation once more, and the predictions of both parts."""
    images = next(iter(course.held_out()), None)
    if images is None:
        return 0.0
    began = time.monotonic()
    predict_probabilities(network, [images])
    return (time.monotonic() - began) / len(images) * (2 * len(course.held_out_labels) + course.test_images)


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


def in_time(training: Training, steps: int, clock: TrialClock) -> Schedule:
    """The recipe's schedule; where the time will be over before the steps are, it is run through in that time.

    A learning rate that is cut off on its way down costs more than the steps that are missing (Li et al. 2020,
    "Budgeted training", section 4). A trial that has time enough keeps its schedule to the bit.
    """
    planned = make_schedule(training.schedule, steps=steps, warmup=training.warmup)
    began, every = clock.elapsed(), max(1, steps // CHECKS)
    position, pace = 0.0, 1.0

    def schedule(step: int) -> float:
        nonlocal position, pace
        if step and step % every == 0:
            elapsed = clock.elapsed()
            fit = TIMELY * (clock.to_train - elapsed) * step / max(elapsed - began, 1e-9)
            pace = max(1.0, (steps - position) / max(fit, 1.0)) if fit < steps - step else 1.0
            clock.hurried = clock.hurried or position - step > HURRIED * steps
        now, position = position, min(position + pace, steps - 1.0)
        return planned(step) if now == step else multiplier(training.schedule, now, steps, training.warmup)

    return schedule


def scaled(epochs: int, fidelity: float) -> int:
    """A fraction of the epochs, at least one; the schedule shrinks with them."""
    return max(1, round(epochs * fidelity))


def image_draw(images_NHWC: NDArray[np.uint8], augmentation: Augmentation, normal: Statistics) -> Draw:
    """Draws augmented images_NCHW from the training images."""
    return lambda chosen, rng: to_tensor(augment(images_NHWC[chosen], augmentation, *normal, rng))


def normalized(pixels: NDArray[np.uint8], part: Indices, normal: Statistics) -> Callable[[], Iterator[Tensor]]:
    """Gives the images of `part`, unaugmented, batch by batch; made anew at each call, so that they take no memory."""
    return lambda: (
        to_tensor(normalize(np.ascontiguousarray(pixels[chosen]), *normal)) for chosen in chunks(part, EVALUATION_BATCH)
    )


def chunks(indices: Indices, size: int) -> Iterator[Indices]:
    """Consecutive parts of at most `size`."""
    for first in range(0, len(indices), size):
        yield indices[first : first + size]


def training_chunks(indices: Indices, size: int) -> Iterator[Indices]:
    """The same, but a last part of a single image goes with the one before: batch norm cannot normalize one value."""
    whole = len(indices) - 1 if len(indices) > 1 and size > 1 and len(indices) % size == 1 else len(indices)
    parts = list(chunks(indices[:whole], size))
    if whole < len(indices):
        parts[-1] = np.append(parts[-1], indices[whole:])
    yield from parts


def split_labels(labels: Tensor) -> tuple[Tensor, ...]:
    """Labels in batches of EVALUATION_BATCH."""
    return torch.split(labels, EVALUATION_BATCH)


def to_tensor(inputs_NHWC: NDArray[np.float32]) -> Tensor:
    """The same memory as images_NCHW in channels-last spec."""
    return torch.from_numpy(inputs_NHWC).permute(0, 3, 1, 2)
