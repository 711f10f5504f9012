"""What a verdict rests on, beside the share, the interval and the probability that it states itself.

`kind` tells the records apart once they are plain data; `report/wording/verdict_reasons.py` has the sentences.
"""

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True)
class NeverOn:
    """No trial had the change on."""

    kind: Literal["never on"] = "never on"


@dataclass(frozen=True)
class Ruinous:
    """Every trial with the change failed to learn, and no other change explains that; of: all trials."""

    of: int
    kind: Literal["ruinous"] = "ruinous"


@dataclass(frozen=True)
class ProvenOnTheTest:
    """Proven by the sealed test.

    of: all trials.
    points: on the sealed test alone.
    p_value: after correction for the `changes` that ship.
    """

    of: int
    points: float
    p_value: float
    changes: int
    kind: Literal["proven on the test"] = "proven on the test"


@dataclass(frozen=True)
class Estimated:
    """The share with its interval, and the probability of helping; of: all trials."""

    of: int
    kind: Literal["estimated"] = "estimated"


@dataclass(frozen=True)
class StartedFrom:
    """The start against the baseline: one contrast, fixed before the search."""

    kind: Literal["started from"] = "started from"


@dataclass(frozen=True)
class OverFolds:
    """Means over the folds that searched the change; searched, shipped: in how many of all `folds`."""

    searched: int
    folds: int
    shipped: int
    kind: Literal["over folds"] = "over folds"


Ground = NeverOn | Ruinous | ProvenOnTheTest | Estimated | StartedFrom | OverFolds


@dataclass(frozen=True)
class Unexplained:
    """A large part of the total gain that the shares of the shipped changes do not add up to; both in points."""

    points: float
    total: float
    kind: Literal["unexplained"] = "unexplained"
