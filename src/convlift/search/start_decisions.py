"""What is settled of the first runs, and of where the search starts from."""

from dataclasses import dataclass, field
from typing import Literal

from convlift.catalogue.starting_points import FINE_TUNE
from convlift.records.given_network import GivenNetwork
from convlift.search.decision import Decision

Way = Literal["first run", "fitted", ""]


@dataclass(frozen=True)
class Given(Decision):
    """What was found of the trained network that the user gave; found: see `GivenNetwork`."""

    key = "given network"

    found: GivenNetwork


@dataclass(frozen=True)
class FirstTrainings(Decision):
    """features_fit: whether one pass of pretrained features fits; baseline_part: of a training of the baseline."""

    key = "first trainings"

    features_fit: bool
    baseline_part: float


@dataclass(frozen=True)
class SecondStarts(Decision):
    """parts: of a training, by the name of the starting point; none where a first run is not worth its time."""

    key = "second starts"

    parts: dict[str, float]


@dataclass(frozen=True)
class OtherFeatures(Decision):
    """names: of the starting points that read the features of further backbones, those that fit."""

    key = "other features"

    names: tuple[str, ...]


@dataclass(frozen=True)
class TuningAsked(Decision):
    """What is asked before fine-tuning, by its own process while a worker trains the baseline. start: the point that
    fine-tunes; augmentation: the strengths of its own augmentation that keep images what they are; seconds: that its
    own length takes, as measured; 0 where that is not known."""

    key = "fine-tuning asked"

    augmentation: dict[str, float]
    seconds: float
    start: str = FINE_TUNE


@dataclass(frozen=True)
class ScratchAsked(Decision):
    """start: the point of a network from scratch whose speed was measured; seconds: that its own length takes, 0 where
    that is not known."""

    key = "from scratch asked"

    start: str
    seconds: float


@dataclass(frozen=True)
class ShiftAsked(Decision):
    """seconds: that judging on shifted images takes at the end, as measured; guessed: what was kept for it before,
    which grows with the number of copies, and so with a budget that is given later."""

    key = "shifted images asked"

    seconds: float
    guessed: float = 0.0


@dataclass(frozen=True)
class FineTuning(Decision):
    """way: how fine-tuning is tried: with a first run like any other start, or with a length that is fitted to the time
    and no first run; "" where it is not. start: the point that does; epochs: of its first run and of what is searched
    from it, 0 for the recipe's own."""

    key = "fine-tuning"

    way: Way
    start: str = ""
    epochs: int = 0


@dataclass(frozen=True)
class Length(Decision):
    """How long a start trains where its length is fitted to the time: its name, the augmentation and the mixing that it
    gets beside its own, its epochs, and in how many rounds of the workers."""

    key = "length"

    epochs: int
    rounds: int
    start: str = FINE_TUNE
    augmentation: dict[str, float] = field(default_factory=dict)
    mixing: dict[str, float] = field(default_factory=dict)


@dataclass(frozen=True)
class BaselineBeside(Decision):
    """runs: of the baseline, for the workers that would idle while the longest first run trains."""

    key = "baseline beside starts"

    runs: int


@dataclass(frozen=True)
class BaselineOnceMore(Decision):
    """part: of a training, 0 for none; number: of the run among the baseline's."""

    key = "baseline once more"

    part: float
    number: int


@dataclass(frozen=True)
class Start(Decision):
    """The starting point: its name and its recipe's fingerprint."""

    key = "start"

    name: str
    fingerprint: str
