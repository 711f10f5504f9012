"""What a training leaves behind."""

from dataclasses import dataclass, field
from typing import Literal

import numpy as np
from numpy.typing import NDArray

Status = Literal["finished", "diverged", "stopped", "failed"]
Cause = Literal["itself", "outside", "memory"]
"""Why a trial's process died: by its own doing; killed by somebody, or with the campaign's own process; killed by the
kernel for want of memory."""


@dataclass(frozen=True)
class EpochReport:
    """One epoch of one phase. Losses are mean cross-entropies in nats, accuracies in [0, 1].

    gradient_agreement: of two batches, one after the other, in the second half of the epochs so far
        (`train/gradients.py`); None where it was not measured.
    gradient_error: its standard error.
    images: training images seen in it, fewer than all where the clock ended it.
    """

    phase: Literal["train", "head", "fine-tune"]
    epoch: int
    epochs: int
    train_loss: float
    train_accuracy: float
    validation_loss: float
    validation_accuracy: float
    learning_rate: float
    seconds: float
    gradient_agreement: float | None = None
    gradient_error: float | None = None
    images: int | None = None


@dataclass(frozen=True)
class Outcome:
    """What one trial leaves.

    status: finished; diverged (loss not finite); stopped (by the deadline: trained less than its recipe has it);
        failed.
    validation_probabilities (n, K), test_probabilities (nt, K): float32, rows in the order of the split's indices;
        empty (0, 0) where the trial did not get so far.
    seconds: wall clock.
    weights: the path of the saved network, or "".
    shifted_probabilities (D * n, K): of D corrupted copies of every validation image, the first copy of each first;
        (0, 0) where the campaign asks for none.
    """

    status: Status
    validation_probabilities: NDArray[np.float32]
    test_probabilities: NDArray[np.float32]
    curve: tuple[EpochReport, ...] = ()
    seconds: float = 0.0
    reason: str = ""
    weights: str = ""
    shifted_probabilities: NDArray[np.float32] = field(default_factory=lambda: NO_PROBABILITIES)


NO_PROBABILITIES: NDArray[np.float32] = np.zeros((0, 0), np.float32)
