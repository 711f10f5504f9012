"""How much of a step is signal: whether the gradients of two batches, one after the other, point the same way.

With G the gradient over all images and S the covariance of one image's, a batch of B fresh images has E|g|^2 = |G|^2 +
tr(S)/B, and two such batches agree by E[g.g'] = |G|^2. Their ratio, the agreement, is 1 / (1 + N/B) with the gradient
noise scale N = tr(S)/|G|^2 (McCandlish et al. 2018, section 2.2).

The batches of an epoch are drawn without replacement, so that two of them are less alike: of m batches E[g.g'] =
|G|^2 - tr(S)/(m B), while E[|g|^2 - g.g'] = tr(S)/B still. From the two follows |G|^2.
"""

import math
from collections.abc import Iterable
from typing import NamedTuple

import torch
from torch import Tensor

# Each pair costs a copy of the gradient and three products: 3% of a linear head's training, of a network's nothing that
# could be measured. Pairs follow one another in the first steps of an epoch, so that short epochs have some too.
CLOSE, APART = 16, 8  # first steps of an epoch, and the steps from one pair to the next after them
FEWEST_PAIRS = 10  # below, a standard error is a guess


class Agreed(NamedTuple):
    """The agreement, and its standard error."""

    value: float
    error: float


class Agreement:
    """Watches the steps of one epoch or several. The gradients it is shown are only read."""

    def __init__(self) -> None:
        self._images: list[int] = []  # of each batch of this epoch
        self._before: Tensor | None = None
        self._dots: list[Tensor] = []
        self._squares: list[Tensor] = []

    def begin_epoch(self) -> None:
        """Call before the first batch of an epoch: the last batch before it makes no pair with that."""
        self._images, self._before = [], None

    def watch(self, parameters: Iterable[Tensor], images: int) -> None:
        """Call between the backward pass and the optimizer's step, once a step; images: of the batch."""
        step = len(self._images)
        place = step % (2 if step < CLOSE else APART)
        self._images.append(images)
        if place > 1:
            return
        gradients = [each.grad.reshape(-1) for each in parameters if each.grad is not None]
        now = torch.cat(gradients) if gradients else None  # a copy, since an optimizer may change them in place
        if place == 0:
            self._before = now
            return
        before = self._before
        if now is not None and before is not None and len(before) == len(now) and self._images[-2] == images:
            self._dots.append(before @ now)
            self._squares.append((before @ before + now @ now) / 2)
        self._before = None

    def value(self) -> Agreed | None:
        """|G|^2 over E|g|^2, from all pairs so far: 1 where all batches agree, about 0 where a step is noise.

        Call after the last batch of an epoch. None where there were too few pairs of equal batches, or no gradient.
        """
        self._before = None
        pairs = len(self._dots)
        if pairs < FEWEST_PAIRS:
            return None
        dots, squares = (torch.stack(each).cpu().double() for each in (self._dots, self._squares))
        batches = sum(self._images) / max(self._images)
        value = float(_agreement(dots.mean(), squares.mean(), batches))
        # the jackknife: the agreement of all pairs but one, for every one
        rest = [(each.sum() - each) / (pairs - 1) for each in (dots, squares)]
        without = _agreement(rest[0], rest[1], batches)
        error = math.sqrt((pairs - 1) * float(without.var(correction=0)))
        return Agreed(value, error) if math.isfinite(value) and math.isfinite(error) else None


def _agreement(dot: Tensor, square: Tensor, batches: float) -> Tensor:
    unlike = (square - dot) / batches
    return (dot + unlike) / (square + unlike)
