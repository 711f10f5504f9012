"""What training makes small: the cross-entropy, with or without smoothed labels and weighted classes.

The penalty on the size of the weights is no term here: `optimizers` adds its gradient, which is all that it does.
"""

from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn import functional


class Loss(NamedTuple):
    """A loss to minimize and one to show.

    minimized: what the gradient is taken of.
    cross_entropy: of the images that are `counted`, without smoothing and weights, in nats.
    """

    minimized: Tensor
    cross_entropy: Tensor


@dataclass(frozen=True)
class CrossEntropy:
    """(logits_NK, targets) -> Loss, means over the batch; targets: labels_N int64, or probabilities_NK (mixed images).

    label_smoothing: how much probability moves from the target to all K classes alike (Szegedy et al. 2016, section 7).
    class_weights (K,): how much an image of a class counts, see `class_weights`; None for all alike.
    """

    label_smoothing: float = 0.0
    class_weights: Tensor | None = None

    def __call__(self, logits_NK: Tensor, targets: Tensor) -> Loss:
        log_NK = functional.log_softmax(logits_NK, dim=1)
        if targets.ndim == 1:
            each_N = functional.nll_loss(log_NK, targets, reduction="none")
        else:
            each_N = -(targets * log_NK).sum(1)
        mean = each_N.mean()
        shown = mean if targets.ndim == 1 else _mean_of(each_N, counted(targets))
        if self.class_weights is not None:
            smoothed_N = (1 - self.label_smoothing) * each_N - self.label_smoothing * log_NK.mean(1)
            weights_N = self.class_weights[targets] if targets.ndim == 1 else targets @ self.class_weights
            return Loss((weights_N * smoothed_N).mean(), shown)
        if not self.label_smoothing:
            return Loss(mean, shown)
        kept = (1 - self.label_smoothing) * mean
        return Loss(kept - self.label_smoothing * log_NK.mean(), shown)


def counted(targets_NK: Tensor) -> Tensor:
    """Which images of a batch tell how the training goes, (N,) bool: those of one class alone, or all where every one
    is mixed."""
    pure_N = targets_NK.amax(1) == 1.0
    return pure_N | ~pure_N.any()


def _mean_of(each_N: Tensor, chosen_N: Tensor) -> Tensor:
    return (each_N * chosen_N).sum() / chosen_N.sum()


def class_weights(labels_N: Tensor, balance: float, classes: int) -> Tensor | None:
    """(K,) float32: proportional to n_k^-balance, 1 on average over the images; None where balance is 0.

    At 1 every class counts alike (King and Zeng 2001, section 4.2); a class without images gets 0.
    """
    if not balance:
        return None
    counts_K = torch.bincount(labels_N.cpu(), minlength=classes).double()  # which a Mac's GPU has not
    raw_K = torch.where(counts_K > 0, counts_K.clamp(min=1).pow(-balance), 0.0)
    return (raw_K * counts_K.sum() / (raw_K * counts_K).sum()).float().to(labels_N.device)
