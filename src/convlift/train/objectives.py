"""What training makes small: the cross-entropy, with or without smoothed labels.

The penalty on the size of the weights is no term here: `optimizers` adds its gradient, which is all that it does.
"""

from dataclasses import dataclass
from typing import NamedTuple

from torch import Tensor
from torch.nn import functional


class Loss(NamedTuple):
    """minimized: what the gradient is taken of; cross_entropy: without smoothing, in nats, to be compared and shown."""

    minimized: Tensor
    cross_entropy: Tensor


@dataclass(frozen=True)
class CrossEntropy:
    """(logits_NK, targets) -> Loss, means over the batch.

    targets: labels_N int64, or probabilities_NK (mixed images). label_smoothing moves that much probability from the
    target to all K classes alike (Szegedy et al. 2016, section 7).
    """

    label_smoothing: float = 0.0

    def __call__(self, logits_NK: Tensor, targets: Tensor) -> Loss:
        log_NK = functional.log_softmax(logits_NK, dim=1)
        if targets.ndim == 1:
            cross_entropy = functional.nll_loss(log_NK, targets)
        else:
            cross_entropy = -(targets * log_NK).sum(1).mean()
        if not self.label_smoothing:
            return Loss(cross_entropy, cross_entropy)
        kept = (1 - self.label_smoothing) * cross_entropy
        return Loss(kept - self.label_smoothing * log_NK.mean(), cross_entropy)
