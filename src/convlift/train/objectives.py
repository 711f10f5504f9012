"""What training makes small: the cross-entropy, with or without smoothed labels, weighted classes, adjusted logits, and
what the predictions for several views of an image have against one another.

The penalty on the size of the weights is no term here: `optimizers` adds its gradient, which is all that it does.
"""

import math
from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn import functional


class Loss(NamedTuple):
    """A loss to minimize and one to show.

    minimized: what the gradient is taken of.
    cross_entropy: without smoothing and weights, in nats.
    """

    minimized: Tensor
    cross_entropy: Tensor


@dataclass(frozen=True)
class CrossEntropy:
    """(logits, targets) -> Loss, means over the batch; targets: labels_N int64, or probabilities_NK (mixed images).

    logits: (N, K), or of V views of each image (V * N, K), view after view; labels are asked of the first view alone.

    label_smoothing: how much probability moves from the target to all K classes alike (Szegedy et al. 2016, section 7).
    class_weights (K,): how much an image of a class counts, see `class_weights`; None for all alike.
    offsets (K,): what is added to the logits while training, see `logit_offsets`; None for nothing.
    consistency: times `jensen_shannon` of the views, of the probabilities that prediction has: without offsets, and
        every image counting alike (Hendrycks et al. 2020, equation 2).
    """

    label_smoothing: float = 0.0
    class_weights: Tensor | None = None
    offsets: Tensor | None = None
    consistency: float = 0.0

    def __call__(self, logits: Tensor, targets: Tensor) -> Loss:
        loss = self._of_labels(logits[: len(targets)], targets)
        if not self.consistency or len(logits) == len(targets):
            return loss
        apart = jensen_shannon(logits.unflatten(0, (-1, len(targets))))
        return loss._replace(minimized=loss.minimized + self.consistency * apart)

    def _of_labels(self, logits_NK: Tensor, targets: Tensor) -> Loss:
        adjusted_NK = logits_NK if self.offsets is None else logits_NK + self.offsets
        log_NK = functional.log_softmax(adjusted_NK, dim=1)
        if targets.ndim == 1:
            each_N = functional.nll_loss(log_NK, targets, reduction="none")
        else:
            each_N = -(targets * log_NK).sum(1)
        cross_entropy = each_N.mean()
        if self.class_weights is not None:
            weights_K = self.class_weights
            if targets.ndim == 1:
                weights_N = weights_K[targets]
                weighted_N = weights_N * each_N
            else:  # of a mixed image each label has its own weight
                weights_N = targets @ weights_K
                weighted_N = -(targets * weights_K * log_NK).sum(1)
            smoothed_N = (1 - self.label_smoothing) * weighted_N - self.label_smoothing * weights_N * log_NK.mean(1)
            return Loss(smoothed_N.mean(), cross_entropy)
        if not self.label_smoothing:
            return Loss(cross_entropy, cross_entropy)
        kept = (1 - self.label_smoothing) * cross_entropy
        return Loss(kept - self.label_smoothing * log_NK.mean(), cross_entropy)


def jensen_shannon(logits_VNK: Tensor) -> Tensor:
    """How far apart the predictions for V views of each image are: the mean over the views of their Kullback-Leibler
    divergence from their mean, in nats, at most log V; the mean over the images.

    Hendrycks et al. 2020, equation 3. All gradients flow, also those of the first view, as in the authors' code.
    """
    log_VNK = functional.log_softmax(logits_VNK, dim=2)
    log_mean_NK = log_VNK.logsumexp(0) - math.log(len(logits_VNK))
    return (log_VNK.exp() * (log_VNK - log_mean_NK)).sum(2).mean()


def class_counts(labels_N: Tensor, classes: int, sampling: float = 0.0) -> Tensor:
    """(K,) float64 on the CPU: how many images of each class an epoch shows, where classes are drawn in proportion to
    n_k^(1 - sampling) and there are as many images as without."""
    counts_K = torch.bincount(labels_N.cpu(), minlength=classes).double()  # which a Mac's GPU has not
    if not sampling:
        return counts_K
    drawn_K = torch.where(counts_K > 0, counts_K.clamp(min=1).pow(1.0 - sampling), 0.0)
    return drawn_K * counts_K.sum() / drawn_K.sum()


def class_weights(counts_K: Tensor, balance: float, effective_number: float = 0.0) -> Tensor | None:
    """(K,) float32: proportional to n_k^-balance, 1 on average over the images; None where both are 0.

    At 1 every class counts alike (King and Zeng 2001, section 4.2); a class without images gets 0. effective_number:
    the b of (1 - b) / (1 - b^n_k) instead (Cui et al. 2019, equation 2, whose weights add up to K over the classes;
    here their mean over the images is 1, so that the learning rate means the same).
    """
    if not balance and not effective_number:
        return None
    some_K = counts_K.clamp(min=1)
    own_K = some_K.pow(-balance)
    if effective_number:
        own_K = (1.0 - effective_number) / (1.0 - effective_number**some_K)
    raw_K = torch.where(counts_K > 0, own_K, 0.0)
    return (raw_K * counts_K.sum() / (raw_K * counts_K).sum()).float()


def logit_offsets(counts_K: Tensor, strength: float) -> Tensor | None:
    """(K,) float32: strength * log(share of a class's images); None where the strength is 0.

    A network that was trained with them gives logits of an image without what its class's share adds, whose largest is
    right most often on average over classes (Menon et al. 2021, equation 10). A class without images counts as if it
    had half of one.
    """
    if not strength:
        return None
    counts_K = counts_K.clamp(min=0.5)
    return (strength * (counts_K / counts_K.sum()).log()).float()
