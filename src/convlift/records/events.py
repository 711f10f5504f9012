"""What happens while a campaign runs. The campaign tells whoever listens; `report/live.py` words it for people."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from convlift.records.finding import Finding
from convlift.records.goal import Goal
from convlift.records.not_shipped import NotShipped
from convlift.records.notes import Detectable
from convlift.records.outcome import EpochReport, Status
from convlift.records.result import Result
from convlift.records.training_events import (
    DiagnosisPlanned,
    ImagesLookedAt,
    Looking,
    NotTrainedOnAll,
    OwnNetworkSeen,
    TrainedBefore,
    TrainedOnAll,
    TrainingBegan,
    TrainingEnded,
    TrainingOnAll,
    TryingAccused,
)


@dataclass(frozen=True)
class ReadingImages:
    """The images are looked for."""


@dataclass(frozen=True)
class ImagesDecoded:
    """How many of all images are decoded."""

    done: int
    images: int


@dataclass(frozen=True)
class ImagesRead:
    """All images are read; findings: what the audit found."""

    findings: tuple[Finding, ...]


@dataclass(frozen=True)
class FolderOpened:
    """The run folder is known and held from now on."""

    folder: Path


@dataclass(frozen=True)
class CampaignBegan:
    """A campaign begins, or goes on.

    counts: images by "train", "validation", "test".
    baseline: the recipe to be improved, as the user calls it.
    device: what networks run on, by its name.
    budget_seconds: infinite where `trainings` limits it.
    """

    data: str
    classes: int
    counts: Mapping[str, int]
    baseline: str
    workers: int
    device: str
    run: str
    budget_seconds: float
    trainings: int
    resumed: bool


@dataclass(frozen=True)
class PowerExpected:
    """What the campaign will be able to prove, from assumed runs and an assumed accuracy of .9.

    images: of the data set.
    cv_folds: of the cross-validation that would test every image, where that is worth its cost, else 0.
    """

    detectable: Detectable
    images: int
    cv_folds: int = 0


@dataclass(frozen=True)
class DiskTight:
    """A disk may become full: bytes that are free, and that a campaign usually takes."""

    disk: str
    free: float
    usual: float


@dataclass(frozen=True)
class Loading:
    """The workers load."""


@dataclass(frozen=True)
class TrialBegan:
    """A trial was handed to a worker; changes: that are on."""

    trial: int
    role: str
    changes: tuple[str, ...]


@dataclass(frozen=True)
class EpochEnded:
    """One epoch of a running trial."""

    trial: int
    report: EpochReport


@dataclass(frozen=True)
class TrialEnded:
    """A trial came back; score: on the validation images, 1 at best, NaN where it left none; shifted: on corrupted
    copies of them."""

    trial: int
    role: str
    changes: tuple[str, ...]
    status: Status
    score: float
    seconds: float
    shifted: float = float("nan")


@dataclass(frozen=True)
class Moment:
    """What is going on right now, told every second.

    role: of the trials that run now, "" while nothing runs.
    trying: the changes that the youngest of those that run has on.
    epoch: its last report; metric: its name.
    goal: what is chosen by; baseline, start: by that the best validation score so far of the baseline and of the start,
        1 at best; None for none.
    start_name: of the start, "" where it is the baseline or not chosen yet.
    left_seconds, budget_seconds: of the time, infinite where trainings are counted.
    trainings_done: of `trainings`, where they limit the campaign.
    """

    role: str
    trying: tuple[str, ...] = ()
    epoch: EpochReport | None = None
    metric: str = "accuracy"
    baseline: float | None = None
    start_name: str = ""
    start: float | None = None
    left_seconds: float = float("inf")
    budget_seconds: float = float("inf")
    trainings_done: int = 0
    trainings: int = 0
    goal: Goal = "clean"


@dataclass(frozen=True)
class ClassifyingShifted:
    """Both networks classify shifted images: so many of so many are done."""

    done: int
    total: int


@dataclass(frozen=True)
class TestOpening:
    """The sealed test is about to be opened."""

    __test__ = False  # its name is not that of a test class


@dataclass(frozen=True)
class BudgetUnused:
    """The campaign was finished before, and a longer budget changes nothing."""


@dataclass(frozen=True)
class ModelWritten:
    """There is a model folder in the run folder, whole."""

    folder: Path


@dataclass(frozen=True)
class CampaignEnded:
    """The result is in the ledger of the run folder; is_new: whether it was not there before; result: it, where the
    campaign has just ended."""

    folder: Path
    is_new: bool = True
    result: Result | None = None


@dataclass(frozen=True)
class ResultWithdrawn:
    """A campaign that had ended goes on: what was written of its result is no longer so."""

    folder: Path


@dataclass(frozen=True)
class FoldBegan:
    """A fold of a cross-validation begins: what is told from now on is of its campaign."""

    fold: int
    folds: int


@dataclass(frozen=True)
class FoldEnded:
    """The campaign of a fold is over, or broke off; finished: whether it came to its end."""

    fold: int
    folds: int
    finished: bool = False
    trials: int = 0
    start_name: str = ""


@dataclass(frozen=True)
class JudgingFolds:
    """All folds are judged together."""


@dataclass(frozen=True)
class NullCampaignBegan:
    """One campaign of an A/A test; left_seconds: of all of them, infinite where nobody knows."""

    campaign: int
    campaigns: int
    left_seconds: float


@dataclass(frozen=True)
class NullCampaignEnded:
    """What it claimed of the recipe, of single changes, and of the network.

    gain_points, network_points: as they are reported, 0 where nothing is judged, None of one training.
    """

    campaign: int
    campaigns: int
    gain_points: float | None
    changes_proven: int
    total_proven: bool
    network_points: float
    network_proven: bool


@dataclass(frozen=True)
class NullCampaignLeftOut:
    """A campaign of an A/A test that trained no baseline; why: nothing was judged."""

    why: NotShipped | None = None


@dataclass(frozen=True)
class OfNullCampaign:
    """What happens in one campaign of an A/A test, which nobody watches."""

    event: "Event"


@dataclass(frozen=True)
class TimingStart:
    """Some steps of a starting point are timed."""

    name: str


@dataclass(frozen=True)
class CachePlaced:
    """Images are cached in this folder, since the usual one cannot be written; None for a user without a home."""

    folder: Path
    usual: Path | None


Event = (
    ReadingImages | ImagesDecoded | ImagesRead | FolderOpened | CampaignBegan | PowerExpected | DiskTight | Loading
    | TrialBegan | EpochEnded | TrialEnded | Moment | TestOpening | BudgetUnused | ModelWritten | CampaignEnded
    | ResultWithdrawn | FoldBegan | FoldEnded | TrainingOnAll | TrainedOnAll | NotTrainedOnAll
    | ClassifyingShifted | JudgingFolds | NullCampaignBegan | NullCampaignEnded
    | NullCampaignLeftOut | OfNullCampaign | OwnNetworkSeen | TimingStart | TrainedBefore | TrainingBegan
    | TrainingEnded | CachePlaced | DiagnosisPlanned | Looking | TryingAccused
    | ImagesLookedAt
)  # fmt: skip
Listener = Callable[[Event], None]


def unheard(event: Event) -> None:
    """A listener that does not listen."""
