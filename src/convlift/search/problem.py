"""What is to be improved: what a campaign is given before anything is trained."""

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from convlift.catalogue.candidates import Candidate
from convlift.catalogue.priors import Expectations
from convlift.catalogue.starting_points import StartingPoint
from convlift.cost.seconds import Pace
from convlift.evidence.image_variance import Groups
from convlift.evidence.metrics import ACCURACY, Metric
from convlift.ledger.trials import Plan, Role
from convlift.recipe.recipe import Recipe
from convlift.recipe.trial_spec import TrialSpec
from convlift.records.facts import Facts
from convlift.records.goal import Goal, ShiftedCopies
from convlift.records.training_events import OwnNetworkSeen
from convlift.search.label_checker import OpenLabelChecker

BASELINE = "baseline"
# What each role's seeds are drawn by. Three are what the role was first called, so that the same campaign keeps the
# seeds of its trials.
STREAMS: dict[Role, str] = {
    "given": "given", "baseline": "pilot", "start": "probe", "low-fidelity": "scout", "search": "search",
    "final": "final", "refit": "refit", "average": "average", "mirrored": "mirrored", "ensemble": "ensemble",
    "mirrored ensemble": "mirrored ensemble",
}  # fmt: skip


@dataclass(frozen=True)
class Problem:
    """A recipe to be improved, on some data.

    baseline: that recipe.
    baseline_name: what the user calls it.
    starts: other starting points to try.
    facts: of the data.
    pace: predicts how long a training takes.
    validation_labels (n,): class numbers.
    seed: of the search, and of every trial's own seed.
    ship: which changes the shipped recipe takes; see `posterior.ship`.
    closing_seconds: kept at the end for judging and for the report; shift_seconds: those of them that are for shifted
        images, as long as nobody measured them.
    ask: opens a trained network for questions about augmentations (`augmentation_guard`); None for none.
    time_tuning: measures for so many seconds how many a recipe's fine-tuning takes, 0 where that fails; None for nobody
        who does; time_scratch: the same of a training from scratch.
    time_shift: measures the seconds that judging on shifted images takes, of the baseline's recipe, of that of what
        ships, and of so many passes of its network; 0 where that fails; None where there are no such images.
    sharing_a_gpu: how many workers train on one GPU; 1 on a CPU.
    pool: the changes to be tried instead of the catalogue's, unweighed and unguarded.
    expectations: what past campaigns lead one to expect of changes; None for those that come with the package.
    metric: what is to be raised.
    validation_groups (n,), test_groups (nt,): which images belong together; None where each stands alone.
    trainings: how many the campaign has, whatever they take; 0 where its time is given instead.
    most_networks: as many forward passes as a prediction of what ships may take; 0 where final runs are only judged,
        and nothing is made of them.
    most_milliseconds: what they may take besides, for an image alone; 0: as long as they take.
    time_prediction: measures the milliseconds of one network; asked only where it matters.
    own_network: what to tell of the baseline's network, where the user's own code makes it.
    goal: what is chosen by, at every choice; copies: of the validation images, where it is not the score on these.
    given: the file of weights that the user trained it to; given_digest: its SHA-256.
    """

    baseline: Recipe
    baseline_name: str
    starts: tuple[StartingPoint, ...]
    facts: Facts
    pace: Pace
    validation_labels: NDArray[np.int64]
    seed: int
    ship: Literal["auto", "lean", "best"]
    closing_seconds: float
    ask: OpenLabelChecker | None = None
    time_tuning: Callable[[Recipe, float], float] | None = None
    time_scratch: Callable[[Recipe], float] | None = None
    time_shift: Callable[[Recipe, Recipe, int], float] | None = None
    shift_seconds: float = 0.0
    sharing_a_gpu: int = 1
    pool: tuple[Candidate, ...] | None = None
    expectations: Expectations | None = None
    metric: Metric = ACCURACY
    validation_groups: Groups = None
    test_groups: Groups = None
    trainings: int = 0
    most_networks: int = 1
    most_milliseconds: float = 0.0
    time_prediction: Callable[[Recipe], float] | None = None
    own_network: OwnNetworkSeen | None = None
    goal: Goal = "clean"
    copies: ShiftedCopies | None = None
    given: Path | None = None
    given_digest: str = ""

    @property
    def points(self) -> tuple[StartingPoint, ...]:
        """Every starting point, the baseline first."""
        return (StartingPoint(BASELINE, self.baseline, "the recipe to be improved"), *self.starts)

    def plan(self, role: Role, recipe: Recipe, number: int, names: tuple[str, ...] = (), fidelity: float = 1.0) -> Plan:
        """Trial number `number` of its role, with a seed that nothing else shares."""
        digest = hashlib.sha256(f"{self.seed} {STREAMS[role]} {number}".encode()).digest()
        spec = TrialSpec(recipe, int.from_bytes(digest[:4], "big") >> 1, fidelity, refit=role == "refit")
        return Plan(role, spec, names)
