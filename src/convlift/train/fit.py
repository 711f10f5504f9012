"""Training as a generator: one report an epoch, and the caller's loop decides what happens with it."""

import math
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from itertools import count
from typing import Any, Literal, NamedTuple

import torch
from torch import Tensor, nn
from torch.optim import Optimizer

from convlift.errors import Diverged
from convlift.records.outcome import EpochReport
from convlift.train.batch import Batch
from convlift.train.evaluate import UNSEEN, Score
from convlift.train.gradients import Agreement
from convlift.train.micro_batches import MicroBatches
from convlift.train.objectives import Loss
from convlift.train.recorded_steps import RecordedSteps
from convlift.train.schedules import Schedule, set_learning_rate
from convlift.train.step import Objective

Batches = Callable[[int], Iterable[Batch]]


@dataclass(frozen=True)
class Phase:
    """What sets one phase of training apart.

    name: of the phase.
    validate: gives the validation score of the network as it stands (`evaluate` does); without it the reports hold NaN
        there.
    train_mode: called with the network before every epoch; transfer learning keeps frozen batch norms in evaluation
        mode here.
    micro: told where a device's memory holds no whole batch.
    """

    name: Literal["train", "head", "fine-tune"] = "train"
    validate: Callable[[], Score] | None = None
    train_mode: Callable[[nn.Module], Any] = nn.Module.train
    micro: MicroBatches | None = None


def fit(  # noqa: PLR0913 - what a training is made of
    network: nn.Module,
    batches: Batches,
    objective: Objective,
    optimizer: Optimizer,
    schedule: Schedule,
    *,
    epochs: int,
    phase: Phase = Phase(),
) -> Iterator[EpochReport]:
    """Train `network` in place and hand control back after every epoch. Leaving the loop stops the training.

    batches: callable epoch -> iterable of Batch. An epoch that ends early is reported as it is; one without any batch
    ends the training without a report (a deadline, for example).
    schedule: callable step -> multiplier of the optimizer's learning rate; steps are counted over all epochs.
    Raises Diverged when the training or validation loss stops being finite: on a CPU before the step is taken, so that
    the weights are those of the last finite loss; on other devices at the end of the epoch, so that no step waits.
    """
    multipliers, agreement = map(schedule, count()), Agreement()
    step = _Step(network, objective, optimizer, phase.micro or MicroBatches(), RecordedSteps())
    for epoch in range(epochs):
        started = time.perf_counter()
        phase.train_mode(network)
        is_late = 2 * epoch >= epochs  # at first all batches agree
        seen = _train(step, batches(epoch), multipliers, agreement if is_late else None)
        if seen is None:
            return
        train, images = seen
        validation = phase.validate() if phase.validate else UNSEEN
        if phase.validate and not math.isfinite(validation.loss):
            raise _diverged("validation", validation.loss, optimizer)
        agreed = agreement.value()
        yield EpochReport(
            phase=phase.name,
            epoch=epoch,
            epochs=epochs,
            train_loss=train.loss,
            train_accuracy=train.accuracy,
            validation_loss=validation.loss,
            validation_accuracy=validation.accuracy,
            learning_rate=_rate(optimizer),
            seconds=time.perf_counter() - started,
            gradient_agreement=agreed.value if agreed else None,
            gradient_error=agreed.error if agreed else None,
            images=images,
        )


class _Step(NamedTuple):
    """What every step of a training needs."""

    network: nn.Module
    objective: Objective
    optimizer: Optimizer
    micro: MicroBatches
    steps: RecordedSteps

    def finite(self, logits_NK: Tensor, targets: Tensor) -> Loss:
        """The loss. On a CPU reading a number is free, and one that is not finite raises Diverged before a gradient is
        taken; elsewhere it would make every step wait for the device."""
        loss = self.objective(logits_NK, targets)
        if loss.minimized.device.type == "cpu" and not math.isfinite(value := loss.minimized.item()):
            raise _diverged("training", value, self.optimizer)
        return loss


def _train(
    step: _Step, batches: Iterable[Batch], multipliers: Iterator[float], agreement: Agreement | None
) -> tuple[Score, int] | None:
    """One pass; the mean training cross-entropy and accuracy on the way, and how many images it was; None without
    any."""
    network, _, optimizer, micro, steps = step
    losses, right, counted, images = [], [], [], 0
    if agreement:
        agreement.begin_epoch()
    for batch in batches:
        set_learning_rate(optimizer, next(multipliers))
        optimizer.zero_grad(set_to_none=True)
        seen = steps.take(network, batch, step.finite, micro)
        if agreement:
            agreement.watch((p for group in optimizer.param_groups for p in group["params"]), len(batch.targets))
        optimizer.step()
        losses.append(seen.loss)
        right.append(seen.right)
        counted.append(seen.images)
        images += len(batch.targets)
    if not images:
        return None
    of = int(sum(counted))
    if not of:  # each one of few images was mixed
        return UNSEEN, images
    score = Score(float(torch.stack(losses).sum()) / of, int(torch.stack(right).sum()) / of)
    if not math.isfinite(score.loss):
        raise _diverged("training", score.loss, optimizer)
    return score, images


def _rate(optimizer: Optimizer) -> float:
    return float(max(group["lr"] for group in optimizer.param_groups))


def _diverged(which: str, loss: float, optimizer: Optimizer) -> Diverged:
    return Diverged(
        f"the {which} loss became {loss} at a learning rate of {_rate(optimizer):g}; it must stay finite. "
        "Lower the learning_rate, or let it rise more slowly with warmup."
    )
