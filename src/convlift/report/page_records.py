"""What a page shows beside the result: plain frozen records, rebuilt from the ledger at any time."""

from dataclasses import dataclass, field
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from convlift.catalogue.diagnose import Diagnosis
from convlift.catalogue.reasons import NotTried, Why
from convlift.records.contact_sheet import Sheet
from convlift.records.finding import Finding
from convlift.records.outcome import EpochReport, Status
from convlift.records.plan_applied import PlanApplied
from convlift.records.recipe_findings import Confirmed, Suspected
from convlift.records.result import ClassScore, Estimate
from convlift.report.wording.headline import unpredicted
from convlift.report.wording.phrases import counted

Role = Literal[
    "given", "baseline", "start", "low-fidelity", "search", "final", "refit", "average", "mirrored", "ensemble",
    "mirrored ensemble",
]  # fmt: skip


@dataclass(frozen=True)
class TrialRecord:
    """One training of the campaign.

    role: given (the user's own trained network), baseline (a run of the baseline), start (the first run of a starting
        point), low-fidelity (the head alone, on stored features), search (several changes on at once), final (a fresh
        run of the shipped recipe), refit (the same on training and validation images), the last four (no trainings, but
        what was made of such networks).
    score: validation score in [0, 1], NaN where the trial left none, or learned from the validation images; shifted: of
        corrupted copies of these, NaN where there are none.
    """

    number: int
    role: Role
    changes: tuple[str, ...]
    score: float
    status: Status
    seconds: float
    shifted: float = float("nan")


@dataclass(frozen=True)
class HardImage:
    """A test image that the shipped model gets wrong although it is sure. png: its bytes; confidence in [0, 1]."""

    png: bytes
    true_class: str
    predicted_class: str
    confidence: float


@dataclass(frozen=True)
class HeldBack:
    """An augmentation that was weakened or left out before it was tried.

    became: how it was tried instead ("at half strength"), "" where it was not tried at all; reason: in words.
    before, after: PNG bytes of a validation image without and with it, b"" where there is none to show; true_class,
    taken_for: what it is, and what the network then takes it for; sure_before, sure_after: how sure, in [0, 1].
    """

    name: str
    became: str
    reason: str
    before: bytes = b""
    after: bytes = b""
    true_class: str = ""
    taken_for: str = ""
    sure_before: float = 0.0
    sure_after: float = 0.0


@dataclass(frozen=True)
class Choice:
    """Why these changes were tried and not others.

    symptoms: what the starting point's own training showed; tried, left_out: change -> reason. seen: what the search
    showed beside that when the list was revised; added: change -> reason, of those that were added then.
    """

    symptoms: tuple[Diagnosis, ...] = ()
    tried: dict[str, Why] = field(default_factory=dict)
    left_out: dict[str, NotTried] = field(default_factory=dict)
    seen: tuple[Diagnosis, ...] = ()
    added: dict[str, Why | None] = field(default_factory=dict)


@dataclass(frozen=True)
class FoldStory:
    """One fold of a nested cross-validation: what it started from and shipped, and its own scores on its own images."""

    start: str
    images: int
    shipped: tuple[str, ...]
    baseline: float
    final: float
    gain: Estimate


@dataclass(frozen=True)
class Story:
    """What the page shows beside the `Result`.

    The recipes are YAML. confusion (K, K): test images by true class (rows) and class predicted by the network that
    ships (columns), with folds summed over their runs; of validation images where no test was opened; empty (0, K)
    where there is none. The recalls (K,) are in [0, 1], NaN for a class without images; empty as the confusion is.
    class_counts: split name -> images per class (K,), in the order shown. minimum_detectable_points: the smallest gain
    that this test can be expected to prove. folds: of a nested cross-validation, else empty; then `trials` are those of
    all folds, and the last is what ships. environment: what a rerun needs (versions, machine, threads, seed), in the
    order shown. baseline_runs, final_runs: how many runs were judged, 0 where nobody wrote it down. baseline_diagnosis:
    what the baseline's own first training showed. seen: what the network that ships saw of some training images, None
    where it saw them as they are, or nobody wrote it down.
    """

    shipped_recipe: str
    baseline_recipe: str
    start_recipe: str
    classes: tuple[str, ...]
    confusion: NDArray[np.int64]
    baseline_recall: tuple[float, ...]
    final_recall: tuple[float, ...]
    class_counts: dict[str, tuple[int, ...]]
    trials: tuple[TrialRecord, ...] = ()
    baseline_curve: tuple[EpochReport, ...] = ()
    final_curve: tuple[EpochReport, ...] = ()
    hard_images: tuple[HardImage, ...] = ()
    seen: Sheet | None = None
    held_back: tuple[HeldBack, ...] = ()
    choice: Choice = Choice()
    minimum_detectable_points: float | None = None
    folds: tuple[FoldStory, ...] = ()
    environment: dict[str, str] = field(default_factory=dict)
    baseline_runs: int = 0
    final_runs: int = 0
    baseline_diagnosis: tuple[Diagnosis, ...] = ()


@dataclass(frozen=True)
class TrainingStory:
    """One training of one recipe, judged by nobody: every figure is of the validation images.

    score: with its 95% interval, of `metric`; suspicions: of its recipe, where none was tried; first runs: what was
    found where one was; shown: what the page shares with a campaign's; plan: what a plan changed of the data."""

    run: str
    data: str
    metric: str
    score: Estimate
    images: int
    seconds: float
    classes: tuple[ClassScore, ...]
    diagnosis: tuple[Diagnosis, ...]
    suspicions: tuple[Suspected, ...]
    findings: tuple[Finding, ...]
    counts: dict[str, int]
    shown: Story
    confirmed: tuple[Confirmed, ...] = ()
    environment: dict[str, str] = field(default_factory=dict)
    plan: PlanApplied | None = None

    @property
    def warning(self) -> str:
        """That a class is never predicted, or ""."""
        return unpredicted(self.classes, self.metric, counted(self.images, "validation image"))
