"""Why a change is tried, and why another one is not.

`kind` tells the records apart once they are plain data; `report/wording/choice_of_changes.py` has the sentences.
"""

from dataclasses import dataclass
from typing import Literal

from convlift.catalogue.symptoms import Symptom
from convlift.catalogue.unfit import Unfit


@dataclass(frozen=True)
class Why:
    """What is in favour of a change and against it.

    called, warned: the symptoms that call for it, and those that warn against it.
    points: what it is expected to gain.
    campaigns: how many past ones lead one to expect that; 0 where it is what was published.
    reported: what was published (`Intervention.reported`), "" where there is no figure.
    """

    called: tuple[Symptom, ...]
    warned: tuple[Symptom, ...]
    points: float
    campaigns: int = 0
    reported: str = ""


@dataclass(frozen=True)
class JointChange:
    """A change of several factors, whose training runs are costlier: the list has `places`, and it takes `needed`."""

    places: int
    needed: int
    kind: Literal["joint change"] = "joint change"


@dataclass(frozen=True)
class TooDear:
    """A change whose training runs are too expensive.

    times: cost of one training run with it, in training runs of the start.
    most: what that may be.
    """

    times: float
    most: float
    kind: Literal["too dear"] = "too dear"


@dataclass(frozen=True)
class OtherLevel:
    """A short list holds one level of a factor first, and another one promises more."""

    places: int
    why: Why
    kind: Literal["other level"] = "other level"


@dataclass(frozen=True)
class OtherArea:
    """Each area holds a fifth of the places, and this one's went to another area."""

    places: int
    why: Why
    kind: Literal["other area"] = "other area"


@dataclass(frozen=True)
class NoPlace:
    """Others promise more for what they cost."""

    places: int
    why: Why
    kind: Literal["no place"] = "no place"


NotTried = Unfit | JointChange | TooDear | OtherLevel | OtherArea | NoPlace
