"""Changes that ruin a training: found by elimination, not by regression.

A run that collapses to chance, diverges or fails does not show how much each of its changes adds, only that one of
them is ruinous. A linear model shares the loss out among all of them, and with 3 ruinous changes of 40 hardly a run of
a search is left (true gain .1 points instead of 2.2 at 12 trainings, simulated). So such runs are read as group tests
(Dorfman 1943): what was on in a sound run is cleared, the only uncleared change of a collapsed one is the culprit, and
after a collapse the next recipes hold half as many uncleared changes (binary splitting, Hwang 1972). It costs nothing
while nothing collapses.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Bools = NDArray[np.bool_]

MOST_UNCLEARED = 12  # as many as a recipe may hold before it is known to gain with each


@dataclass(frozen=True)
class Suspicion:
    """What collapsed runs tell of the changes that they held.

    cleared, culprits (..., K): changes of which it is known that they do not, or do, make a run collapse.
    limit (...,): how many uncleared changes the next recipe may hold.
    explained (..., R): collapsed runs that held an uncleared change, and are no evidence of anything else.
    """

    cleared: Bools
    culprits: Bools
    limit: NDArray[np.int64]
    explained: Bools


def suspect(on: Bools, collapsed: Bools) -> Suspicion:
    """Read runs on (..., R, K) in their order; collapsed (..., R): which of them failed to learn.

    Two changes that are ruinous only together are both cleared by sound runs of either: such a run stays evidence.
    """
    cleared = np.any(on & ~collapsed[..., None], axis=-2)
    uncleared = on & ~cleared[..., None, :]
    explained = collapsed & uncleared.any(axis=-1)
    alone = explained & (uncleared.sum(axis=-1) == 1)
    culprits = np.any(uncleared & alone[..., None], axis=-2)
    limit = np.full(on.shape[:-2], MOST_UNCLEARED)
    known = np.zeros(cleared.shape, bool)
    for r in range(on.shape[-2]):
        new = (on[..., r, :] & ~known).sum(axis=-1)
        fell = collapsed[..., r] & (new > 0)
        proved = ~collapsed[..., r] & (new > 0)
        limit = np.where(fell, np.maximum(new // 2, 1), np.where(proved, limit * 2, limit))
        limit = np.minimum(limit, MOST_UNCLEARED)
        known |= on[..., r, :] & ~collapsed[..., r, None]
    return Suspicion(cleared, culprits, limit, explained)


def within_suspicion(wanted: NDArray[np.float64], suspicion: Suspicion) -> NDArray[np.float64]:
    """Values (..., K) with -inf for culprits and for all but the `limit` largest of the uncleared."""
    uncleared = np.where(suspicion.cleared, -np.inf, wanted)
    rank = np.argsort(np.argsort(-uncleared, axis=-1, kind="stable"), axis=-1, kind="stable")
    held_back = ~suspicion.cleared & (rank >= np.asarray(suspicion.limit)[..., None])
    return np.where(suspicion.culprits | held_back, -np.inf, wanted)
