"""Recipes as switches: a starting point, the changes that can be on, and which of them are."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from convlift.catalogue.candidates import Candidate, compose, valid
from convlift.catalogue.starting_points import StartingPoint
from convlift.ledger.trials import TrialRecord
from convlift.recipe.recipe import Recipe

WORST_POINTS = 10.0  # a run that collapsed, diverged or failed counts as this much below the median: the regression is
# linear, and a run at chance, 60 points down, would say of everything else in it that it is ruinous

Bools = NDArray[np.bool_]


@dataclass(frozen=True)
class SearchSpace:
    """A starting point, and the changes that can be switched on there."""

    start: StartingPoint
    candidates: tuple[Candidate, ...]


@dataclass(frozen=True)
class Configuration:
    """A recipe of a space; on (K,): which of its changes are in it."""

    space: SearchSpace
    recipe: Recipe
    on: Bools

    @property
    def start(self) -> StartingPoint:
        """Of its space."""
        return self.space.start

    @property
    def candidates(self) -> tuple[Candidate, ...]:
        """Of its space."""
        return self.space.candidates

    @property
    def names(self) -> tuple[str, ...]:
        """The changes that are on."""
        return tuple(c.name for c, on in zip(self.candidates, self.on, strict=True) if on)


def bare(space: SearchSpace) -> Configuration:
    """The start with no change switched on."""
    return Configuration(space, space.start.recipe, np.zeros(len(space.candidates), bool))


def floored(scores: NDArray[np.float64], collapsed: Bools) -> NDArray[np.float64]:
    """Scores in points, those that are missing (NaN) or far down at WORST_POINTS below the median of the sound runs.

    collapsed: runs that failed to learn, which the median leaves out. Without a sound run there is nothing to compare
    with: zeros.
    """
    sound = scores[~collapsed]
    return np.fmax(scores, np.median(sound) - WORST_POINTS) if len(sound) else np.zeros(len(scores))


def switches(space: SearchSpace | Configuration, records: Sequence[TrialRecord]) -> Bools:
    """(R, K): which candidates each trial had on."""
    rows = [[candidate.name in record.names for candidate in space.candidates] for record in records]
    return np.array(rows, bool).reshape(len(records), len(space.candidates))


def switched(space: SearchSpace, on: Bools) -> Configuration:
    """The start with the changes of `on` switched on."""
    return Configuration(space, compose(space.start.recipe, space.candidates, on), on)


def within(space: SearchSpace, on: Bools, worth: NDArray[np.float64], fits: Callable[[Recipe], bool]) -> Configuration:
    """The changes of `on` that fit together and whose recipe `fits`: where not all do, the least worthy of those that
    make a training dearer are left out. What is left may still not fit."""
    chosen = switched(space, fitting(space, on, worth))
    for k in sorted(np.flatnonzero(chosen.on), key=lambda k: worth[k]):
        if fits(chosen.recipe):
            break
        if space.candidates[k].cost > 1.0:
            fewer = chosen.on.copy()
            fewer[k] = False
            chosen = switched(space, fitting(space, fewer, worth))
    return chosen


def fitting(space: SearchSpace, on: Bools, worth: NDArray[np.float64]) -> Bools:
    """Of `on`, from the worthiest down, every change that fits beside those before it."""
    if valid(space.start.recipe, space.candidates, on):
        return on.copy()
    kept = np.zeros(len(on), bool)
    for k in sorted(np.flatnonzero(on), key=lambda k: -worth[k]):
        kept[k] = True
        kept[k] = valid(space.start.recipe, space.candidates, kept)
    return kept
