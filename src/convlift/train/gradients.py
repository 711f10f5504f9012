"""How much of a step is signal: whether the gradients of two batches, one after the other, point the same way.

With G the gradient over all images and S the covariance of one image's, a batch of B images has E|g|^2 = |G|^2 +
tr(S)/B, and two batches agree by E[g.g'] = |G|^2. Their ratio, the agreement, is 1 / (1 + N/B) with N = tr(S)/|G|^2,
the gradient noise scale (McCandlish et al. 2018, section 2.2).
"""

from collections.abc import Iterable

import torch
from torch import Tensor

APART = 8  # steps from one pair of batches to the next


class Agreement:
    """Watches the steps of one epoch. The gradients it is shown are only read, and none outlives the next step."""

    def __init__(self) -> None:
        self.step = 0
        self.before: list[Tensor] = []
        self.dots: list[Tensor] = []
        self.squares: list[Tensor] = []

    def watch(self, parameters: Iterable[Tensor]) -> None:
        """Call between the backward pass and the optimizer's step, once a step."""
        place = self.step % APART
        self.step += 1
        if place > 1:
            return
        now = [parameter.grad for parameter in parameters if parameter.grad is not None]
        if place == 0:
            self.before = [gradient.detach().clone() for gradient in now]  # an optimizer may change them in place
            return
        self.dots.append(_dot(self.before, now))
        self.squares.append((_dot(self.before, self.before) + _dot(now, now)) / 2)
        self.before = []

    def value(self) -> float | None:
        """Sum of g.g' over sum of |g|^2, over all pairs of the epoch: 1 where all batches say the same, about 0 where
        a step is noise. None where there was no pair, or no gradient."""
        if not self.dots:
            return None
        square = float(torch.stack(self.squares).sum())
        return float(torch.stack(self.dots).sum()) / square if square > 0 else None


def _dot(these: list[Tensor], those: list[Tensor]) -> Tensor:
    return torch.stack([(a * b).sum() for a, b in zip(these, those, strict=True)]).sum()
