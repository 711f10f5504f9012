"""Events of single trainings: what `train` does, and what ships trained again on all images."""

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from convlift.records.recipe_findings import Fault

MODEL_OF_ALL = "model-all"  # folder in a run folder, beside `model`: what ships, trained on all images


@dataclass(frozen=True)
class TrainingOnAll:
    """The shipped recipe is trained on all images.

    left_seconds: infinite where trainings are counted.
    """

    left_seconds: float


@dataclass(frozen=True)
class TrainedOnAll:
    """A second model learned from all images; folder: of that model, in the run folder."""

    folder: Path
    images: int


@dataclass(frozen=True)
class NotTrainedOnAll:
    """It was asked for and is not there.

    why: the test is still sealed, or liked the baseline better; a training failed, for a reason; or what was trained
    knows only a share `right` of the images that it learned from."""

    why: Literal["sealed", "worse", "failed", "ignorant"]
    reason: str = ""
    right: float = 0.0


@dataclass(frozen=True)
class TrainingBegan:
    """One training begins. device: what it runs on, by its name."""

    device: str


@dataclass(frozen=True)
class TrainedBefore:
    """The run folder holds this very training already; it is done again."""

    folder: Path


@dataclass(frozen=True)
class TrainingEnded:
    """One training is over, and its model lies in the run folder."""

    folder: Path


@dataclass(frozen=True)
class OwnNetworkSeen:
    """What was found of the user's own network.

    code: as named; weights: that it learns; channels, side: of the images that it gets.
    outputs: what it ends with, see `Own.outputs`; replaced: the last layer that gets another one, "" for none; classes:
    of the data.
    is_fixed: whether its first weights are the same whatever the seed; outside: modules that it imports and that nobody
    keeps; unread: what it says of its training that is passed over.
    """

    code: str
    weights: int
    channels: int
    side: int
    outputs: str
    replaced: str
    classes: int
    is_fixed: bool = False
    outside: tuple[str, ...] = ()
    unread: tuple[str, ...] = ()


@dataclass(frozen=True)
class DiagnosisPlanned:
    """A diagnosis begins.

    training, looks, again: seconds that the training is expected to take, the looks at data and network beside it, and
        a second training where one is made; 0 for none.
    budget_seconds: what all of it may take, infinite without a budget.
    """

    training: float
    looks: float
    again: float
    budget_seconds: float


@dataclass(frozen=True)
class Looking:
    """What is looked at now; see `campaign/diagnose_training.py`."""

    at: Literal["time", "network", "labels", "resolution"]


@dataclass(frozen=True)
class TryingAccused:
    """The recipe is trained a second time, with its most accused lever undone."""

    fault: Fault
    seconds: float


@dataclass(frozen=True)
class ImagesLookedAt:
    """How many of all images the pretrained network of an audit has looked at."""

    done: int
    images: int
