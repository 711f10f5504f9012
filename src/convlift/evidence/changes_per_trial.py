"""How many changes the next recipe may hold: fewer while recipes lose much of the bare start's score, more while they
gain with each change.

Many changes on at once say most in the fewest runs, unless most of them harm: then every run is a heap of losses, in
which what helps cannot be seen. How much a recipe has lost for each change that it held tells the one pool from the
other after a run or two: about 1.1 points where most harm, .1 in the standard world. Where changes help each other, or
hardly any harms, recipes gain with each, and the more are on the better (simulated: docs/LOG.md).
"""

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

MOST_ON = 12  # more changes at once make every run worse evidence for each of them (simulated)
LEAST_ON = 2
# where the latest recipes, three at least, gain over .2 points with each change that they held
MOST_GAINING, GAINING, TOLD_BY = 24, 0.2, 3
BEARABLE_POINTS = 3.0  # what a recipe may be expected to lose; at 6 the rule gains half as much where most harm
LATEST = 6  # runs that count: the search turns what it draws to the better
KNOWN_TO = 1.25  # points, a run's standard error; where scores are less sure, few changes at once show nothing at all


def most_on(on: Floats, scores: Floats, sound: Floats, noise_guess: float) -> NDArray[np.int64]:
    """How many changes the next recipe may hold (...,): 2 to 12, or 24.

    on (..., R, K), scores (..., R): which changes were on, and the scores in points, in the order of the runs.
    sound (..., R): 1 for a run that learned something.
    noise_guess: what the variance of a run's score should be, in points squared.
    Nothing is held back where that variance is over 1.25^2, which is so with less than about 430 images at an accuracy
    of .85; nor before a bare start was run, or after K/2 runs with changes, when changes are known one by one. More are
    let go after a bare start and three recipes, however little is known: too many do less harm than too few.
    """
    held = on.sum(-1)
    bare, loaded = sound * (held == 0), sound * (held > 0)
    level = np.sum(bare * scores, -1) / np.maximum(bare.sum(-1), 1.0)
    latest = loaded * (np.cumsum(loaded[..., ::-1], -1)[..., ::-1] <= LATEST)
    lost = np.sum(latest * held * (level[..., None] - scores), -1)
    per_change = lost / np.maximum(np.sum(latest * held**2, -1), 1.0)  # least squares through the bare start
    allowed = np.floor(BEARABLE_POINTS / np.maximum(per_change, BEARABLE_POINTS / MOST_ON))
    is_known = bare.any(-1) & (loaded.sum(-1) <= on.shape[-1] / 2) & (noise_guess <= KNOWN_TO**2)
    limit = np.where(is_known, np.maximum(allowed, LEAST_ON), MOST_ON)
    gains = bare.any(-1) & (loaded.sum(-1) >= TOLD_BY) & (per_change < -GAINING)
    return np.where(gains, MOST_GAINING, limit).astype(np.int64)
