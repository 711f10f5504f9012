"""What a reader should know of how a result came about: facts with their figures.

`kind` tells the records apart once they are plain data; `report/wording/note_sentences.py` has the sentences.
"""

from dataclasses import dataclass
from typing import Literal

from convlift.records.confidence import Calibrated
from convlift.records.given_network import GivenNetwork
from convlift.records.goal import OptimizedFor
from convlift.records.verdict_grounds import Unexplained

Arm = Literal["baseline", "shipped"]


@dataclass(frozen=True)
class Detectable:
    """How small a gain a test can prove.

    images: of the test.
    baseline_runs, final_runs: runs of each recipe in each fold; 1 and 1 where two networks are compared.
    points: the smallest gain that the interval can just tell from nothing.
    often: the gain that four of five campaigns prove.
    independent: as how many independent images those of the test count; None where they come in no groups.
    folds: of a cross-validation, 1 for one sealed test.
    """

    images: int
    baseline_runs: int
    final_runs: int
    points: float
    often: float
    independent: float | None = None
    folds: int = 1
    kind: Literal["detectable"] = "detectable"


@dataclass(frozen=True)
class RunsFailedToLearn:
    """failed: of the runs of an arm that were compared."""

    arm: Arm
    failed: int
    runs: int
    kind: Literal["runs failed to learn"] = "runs failed to learn"


@dataclass(frozen=True)
class OneRun:
    """An arm has a single run, so that nothing is claimed of the recipe, trained again."""

    arm: Arm
    kind: Literal["one run"] = "one run"


@dataclass(frozen=True)
class CloseChoice:
    """The start was chosen over the baseline by a small lead; left_out: whether the run that lost is left out."""

    left_out: bool
    kind: Literal["close choice"] = "close choice"


@dataclass(frozen=True)
class OpenedBefore:
    """The same test was opened before.

    number: how often, this time included.
    runs: earlier ones (folder's name, metric, day), the latest last, each once.
    flattery_points: by how much the best of so many may be too good.
    """

    number: int
    runs: tuple[tuple[str, str, str], ...]
    flattery_points: float
    kind: Literal["opened before"] = "opened before"


@dataclass(frozen=True)
class RegisterTrouble:
    """Why the register of opened tests is not to be relied on. files: how many of them cannot be read."""

    trouble: Literal["folder unreadable", "files unreadable", "not writable"]
    folder: str
    reason: str = ""
    files: int = 0
    kind: Literal["register trouble"] = "register trouble"


@dataclass(frozen=True)
class WorkerDeaths:
    """Workers that ended in the middle of a trial, by cause."""

    itself: int = 0
    outside: int = 0
    memory: int = 0
    kind: Literal["worker deaths"] = "worker deaths"


@dataclass(frozen=True)
class Combined:
    """What ships is made of so many final runs' networks. averaged: their weights are, into one network; else their
    probabilities; mirrored: each image is predicted with its mirror image."""

    networks: int
    averaged: bool
    mirrored: bool
    kind: Literal["combined"] = "combined"


@dataclass(frozen=True)
class SlowPrediction:
    """A network alone takes longer for an image than was asked for, in milliseconds."""

    milliseconds: float
    most: float
    kind: Literal["slow prediction"] = "slow prediction"


@dataclass(frozen=True)
class Refitted:
    """What ships learned from the validation images too. images: in all; validation: those among them."""

    images: int
    validation: int
    kind: Literal["refitted"] = "refitted"


@dataclass(frozen=True)
class ShippedCutShort:
    """The shipped network was trained for less than its recipe sets; last: on all images, after a cross-validation;
    first: it is a start's first run, which was planned so."""

    last: bool = False
    first: bool = False
    kind: Literal["shipped cut short"] = "shipped cut short"


@dataclass(frozen=True)
class StillSealed:
    """The sealed test was not opened, and a longer budget goes on."""

    kind: Literal["still sealed"] = "still sealed"


@dataclass(frozen=True)
class LostRuns:
    """Runs of the baseline or of the shipped recipe that diverged or failed.

    lost: how many did.
    runs: how many there were.
    reason: of the first.
    """

    lost: int
    runs: int
    reason: str
    kind: Literal["lost runs"] = "lost runs"


@dataclass(frozen=True)
class NothingToSee:
    """The start gets so few validation images wrong that nothing was searched. errors: of so many images."""

    errors: int
    images: int
    kind: Literal["nothing to see"] = "nothing to see"


@dataclass(frozen=True)
class LittleLeft:
    """A longer search among these changes would hardly find more."""

    kind: Literal["little left"] = "little left"


@dataclass(frozen=True)
class NotAsked:
    """Augmentations that were not tried, since the guard had no time to check them."""

    names: tuple[str, ...]
    kind: Literal["not asked"] = "not asked"


@dataclass(frozen=True)
class LowFidelityTrials:
    """Trials of the head alone, on stored features.

    trials: how many.
    changes: how many they tried.
    correlation: see `decisions.Agreement`.
    """

    trials: int
    changes: int
    correlation: float
    kind: Literal["low-fidelity trials"] = "low-fidelity trials"


@dataclass(frozen=True)
class MetricMeaning:
    """A metric other than accuracy, by its name."""

    metric: str
    kind: Literal["metric meaning"] = "metric meaning"


@dataclass(frozen=True)
class UntestedClasses:
    """Classes without a test image."""

    names: tuple[str, ...]
    kind: Literal["untested classes"] = "untested classes"


@dataclass(frozen=True)
class FewOfAClass:
    """The class with the fewest test images has so few that the metric's intervals are too narrow.

    name: the class.
    needed: the fewest images that would do.
    in_a_fold: whether `images` are those in one of the folds.
    """

    metric: str
    name: str
    images: int
    needed: int
    in_a_fold: bool = False
    kind: Literal["few of a class"] = "few of a class"


@dataclass(frozen=True)
class GroupsTested:
    """The test images come in groups, which the intervals count; few: whether they are too few to be relied on."""

    images: int
    groups: int
    needed: int
    kind: Literal["groups tested"] = "groups tested"


@dataclass(frozen=True)
class FoldsTested:
    """Every image was tested once.

    gains: of the folds' networks in points; None where the baseline shipped.
    learned: the share of all images that a fold learned from.
    """

    images: int
    gains: tuple[float | None, ...]
    learned: float
    kind: Literal["folds tested"] = "folds tested"


@dataclass(frozen=True)
class FoldShares:
    """What a change's share is in a cross-validation."""

    kind: Literal["fold shares"] = "fold shares"


@dataclass(frozen=True)
class FoldsCutShort:
    """late: folds of which a final run was cut short."""

    late: int
    folds: int
    kind: Literal["folds cut short"] = "folds cut short"


@dataclass(frozen=True)
class FoldStarts:
    """The folds chose different starts: name and number of folds, the most frequent first."""

    starts: tuple[tuple[str, int], ...]
    kind: Literal["fold starts"] = "fold starts"


@dataclass(frozen=True)
class NoConsensus:
    """No training of what the folds agree on learned anything: what one fold shipped does."""

    kind: Literal["no consensus"] = "no consensus"


Note = (
    Detectable | RunsFailedToLearn | OneRun | CloseChoice | OpenedBefore | RegisterTrouble
    | WorkerDeaths | ShippedCutShort | StillSealed | LostRuns | LittleLeft | NotAsked | LowFidelityTrials
    | MetricMeaning | UntestedClasses | FewOfAClass | GroupsTested | FoldsTested | FoldShares | FoldsCutShort
    | FoldStarts | NoConsensus | GivenNetwork | Calibrated | Combined | SlowPrediction | Refitted | NothingToSee
    | Unexplained | OptimizedFor
)  # fmt: skip
