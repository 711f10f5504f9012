"""Every settled choice of a campaign as a typed record; the only file that knows under which key the ledger keeps it.

A campaign that goes on decides what it decided before: whatever follows from the clock, from chance or from what has
ended by then is settled once.
"""

from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from typing import Any, Literal, TypeVar

from pydantic import TypeAdapter

from convlift.catalogue.diagnose import Diagnosis
from convlift.catalogue.reasons import NotTried, Why
from convlift.errors import LedgerError
from convlift.ledger.ledger import Ledger
from convlift.records.recipe_findings import RecipeFinding
from convlift.search.decision import Decision
from convlift.search.start_decisions import (
    BaselineBeside,
    BaselineOnceMore,
    FineTuning,
    FirstTrainings,
    Length,
    OtherFeatures,
    ScratchAsked,
    SecondStarts,
    ShiftAsked,
    Start,
    TuningAsked,
)

D = TypeVar("D", bound=Decision)


@dataclass(frozen=True)
class Allocation(Decision):
    """trainings: how many of the start there are after the first runs; baselines, finals: runs of the baseline and
    of what ships; before: runs of the baseline that had ended by then; refits: trainings of what ships on the
    validation images too; errors: see `allocate.Times`."""

    key = "allocation"

    trainings: int
    baselines: int
    finals: int
    before: int = 1
    refits: int = 0
    errors: int | None = None

    @property
    def searches(self) -> int:
        """How many trainings are left for the search."""
        return self.trainings - (self.baselines - self.before) - self.last

    @property
    def last(self) -> int:
        """The trainings that come after the search: the final runs and the refits."""
        return self.finals + self.refits


@dataclass(frozen=True)
class Shortlist(Decision):
    """The changes that are tried. symptoms: of the start's own training; why: by the name of a change; left_out: why
    others are not tried, by name; priors: fingerprint of the expectations, "" where none were asked."""

    key = "shortlist"

    names: tuple[str, ...]
    symptoms: tuple[Diagnosis, ...] = ()
    why: dict[str, Why] = field(default_factory=dict)
    left_out: dict[str, NotTried] = field(default_factory=dict)
    priors: str = ""


@dataclass(frozen=True)
class AskedAbout:
    """One augmentation that the guard asked about. way: AS_IT_IS, one of WEAKER, or None where it is left out; answers:
    to every question about it, with the strengths asked about; example: an image before and after, as base64."""

    name: str
    area: str
    verdict: Literal["kept", "weakened", "left out"]
    way: str | None
    answers: tuple[dict[str, Any], ...]
    example: dict[str, Any] | None


@dataclass(frozen=True)
class GuardReport(Decision):
    """note: why not all was asked: "no time", "no network", or what opening its weights raised; not_asked: names of
    changes, left out for that."""

    key = "guard"

    note: str = ""
    asked: tuple[AskedAbout, ...] = ()
    not_asked: tuple[str, ...] = ()


@dataclass(frozen=True)
class Accused(Decision):
    """undone: whether the baseline's most accused lever is undone once."""

    key = "accused"

    undone: bool


@dataclass(frozen=True)
class PredictionTimes(Decision):
    """milliseconds: that one network takes for an image alone, by the fingerprint of its architecture and resolution;
    measured where they decide how many networks may predict together."""

    key = "prediction times"

    milliseconds: dict[str, float]


@dataclass(frozen=True)
class Examination(Decision):
    """What is wrong with the user's own recipe; symptoms: what its first training showed."""

    key = "examination"

    found: tuple[RecipeFinding, ...] = ()
    symptoms: tuple[Diagnosis, ...] = ()


@dataclass(frozen=True)
class LowFidelity(Decision):
    """names: the changes that are asked on stored features; ends: the second of the campaign at which that ends, or,
    where trainings are counted, the number of such runs."""

    key = "low fidelity"

    names: tuple[str, ...]
    ends: float


@dataclass(frozen=True)
class Agreement(Decision):
    """correlation: of what a change adds on stored features with what it adds in full trainings, as believed."""

    key = "agreement"

    correlation: float


@dataclass(frozen=True)
class AddedChange:
    """A change that the revision put on the list."""

    name: str
    prior: float
    cost: float
    why: Why | None


@dataclass(frozen=True)
class Revision(Decision):
    """trial: the run believed to be the best; symptoms: of it and not of the start; doubted: changes that may harm."""

    key = "revision"

    trial: int | None = None
    symptoms: tuple[Diagnosis, ...] = ()
    added: tuple[AddedChange, ...] = ()
    doubted: tuple[str, ...] = ()


@dataclass(frozen=True)
class Freeze(Decision):
    """The recipe that the search ended with: SHA-256, the recipe as plain data, the names of its changes. Written by
    `Ledger.freeze`."""

    key = "freeze"

    sha256: str
    recipe: dict[str, Any]
    names: tuple[str, ...]


@dataclass(frozen=True)
class Shipped(Decision):
    """ships: whose network does; network: its trial; before, after: the trials that are compared, of the baseline and
    of what ships; baseline_network: the one of `before` that the network is compared with, None where there is none."""

    key = "shipment"

    ships: Literal["recipe", "start", "baseline"]
    network: int
    judged: bool
    before: tuple[int, ...]
    after: tuple[int, ...]
    baseline_network: int | None = None


@dataclass(frozen=True)
class SearchNoise(Decision):
    """seed_variance: of one run's true score over seeds, as the search's runs say, points squared."""

    key = "search noise"

    seed_variance: float


@dataclass(frozen=True)
class Procedure(Decision):
    """What all folds of a cross-validation have in common; priors: their fingerprint, "" for those that are shipped."""

    key = "procedure"

    ship: str
    priors: str
    backbone: str
    weights: str


# what is decided anew where a campaign ended with its test sealed and is given more time
SETTLED: tuple[type[Decision], ...] = (
    FirstTrainings, OtherFeatures, TuningAsked, ScratchAsked, ShiftAsked, FineTuning, SecondStarts, BaselineBeside,
    BaselineOnceMore, Length, Start, Allocation, Shortlist, GuardReport, Accused, Examination, LowFidelity, Agreement,
    Revision, Freeze, Shipped,
)  # fmt: skip
STORY, RESULT = "story", "result"  # plain data, whose shape report/ knows


def settle(ledger: Ledger, kind: type[D], decide: Callable[[], D]) -> D:
    """This campaign's decision of that kind, made now where it was not made before: a resumed campaign decides the
    same."""
    known = decided(ledger, kind)
    return known if known is not None else note(ledger, decide())


def decided(ledger: Ledger, kind: type[D]) -> D | None:
    """The decision of that kind, None where it was not made. Raises ValueError where the ledger holds nonsense."""
    value = ledger.recall(kind.key)
    return None if value is None else adapter_of(kind).validate_python(value)


def made(ledger: Ledger, kind: type[D]) -> D:
    """The decision of that kind. Raises LedgerError where it was not made: the campaign is not that far."""
    found = decided(ledger, kind)
    if found is None:
        raise LedgerError(f"the campaign in {ledger.folder} has not settled its {kind.key} yet; run it to its end.")
    return found


def note(ledger: Ledger, decision: D, *, replace: bool = False) -> D:
    """Write a decision down; replace: also over another one of its kind.

    Raises LedgerError where another one is there.
    """
    ledger.record(decision.key, asdict(decision), replace=replace)
    return decision


def unsettle(ledger: Ledger) -> None:
    """Forget what was settled, since there is more time. Raises LedgerError once the sealed test was opened."""
    ledger.unsettle([*(kind.key for kind in SETTLED), STORY, RESULT])


def times_unsettled(ledger: Ledger, kind: type[Decision]) -> int:
    """How often a decision of that kind was forgotten."""
    return sum(value is None for _, value in ledger.history(kind.key))


T = TypeVar("T")
_ADAPTERS: dict[type, TypeAdapter[Any]] = {}


def adapter_of(kind: type[T]) -> TypeAdapter[T]:
    """What reads a record of that type back from plain data, and checks it."""
    if kind not in _ADAPTERS:
        _ADAPTERS[kind] = TypeAdapter(kind)  # takes milliseconds, which commands that decide nothing need not wait for
    return _ADAPTERS[kind]
