"""How the learning rate moves: pure functions of the step, and what writes them into an optimizer."""

import math
from collections.abc import Callable
from functools import partial

from torch.optim import Optimizer

from convlift.recipe import training as config

Schedule = Callable[[int], float]
ONE_CYCLE_START = 1 / 25


def multiplier(kind: config.Schedule, step: float, total: int, warmup: float) -> float:
    """What the learning rate is multiplied by at `step` of 0 ... total - 1; warmup: fraction of the steps, in [0, 1).

    constant: a linear rise from near 0 to 1 (Goyal et al. 2017, section 2.2), then 1.
    cosine: the same rise, then half a cosine down to 0 (Loshchilov and Hutter 2017, equation 5, without restarts).
    one_cycle: half a cosine up from 1/25 to 1 and half a cosine down to 0: the two phases of Smith and Topin 2019,
    with cosines for their straight lines, and momentum left alone. The rise is as long as `warmup`, so 0 means
    none; Smith and Topin let it take a little under a half.
    No step is taken at 0 itself, which would be a step for nothing: the lowest point lies one step after the last.
    """
    rise = warmup * total
    if step < rise:
        if kind == "one_cycle":
            return ONE_CYCLE_START + (1 - ONE_CYCLE_START) * (1 - _half_cosine(step / rise))
        return (step + 1) / (rise + 1)
    return 1.0 if kind == "constant" else _half_cosine((step - rise) / (total - rise))


def make_schedule(kind: config.Schedule, *, steps: int, warmup: float) -> Schedule:
    """The schedule of a training of `steps` steps in all, as `fit` takes it: step -> multiplier."""
    return partial(multiplier, kind, total=steps, warmup=warmup)


def set_learning_rate(optimizer: Optimizer, factor: float) -> None:
    """Set every group to `factor` times the rate it started with."""
    for group in optimizer.param_groups:
        group["lr"] = group.setdefault("initial_lr", group["lr"]) * factor


def _half_cosine(progress: float) -> float:
    """From 1 to 0 as progress goes from 0 to 1."""
    return (1 + math.cos(math.pi * progress)) / 2
