"""What a campaign comes to: the verdict on every change, and the result that is shown."""

from dataclasses import dataclass, field
from typing import Literal

from convlift.records.finding import Finding
from convlift.records.goal import Goal
from convlift.records.not_shipped import NotShipped, Shortened
from convlift.records.notes import Note
from convlift.records.plan_applied import PlanApplied
from convlift.records.recipe_findings import RecipeFinding
from convlift.records.verdict_grounds import Ground

Area = Literal["data", "architecture", "training"]
Scope = Literal["data", "architecture", "training", "recipe"]  # recipe: a start, which may change all three
Label = Literal["proven", "likely", "undecided", "harmful"]

START = "start: "  # how the name of the first change begins where the search started from another network


@dataclass(frozen=True)
class Estimate:
    """A figure with its 95% interval. Scores are in [0, 1], and gains in percentage points."""

    value: float
    low: float
    high: float


@dataclass(frozen=True)
class Verdict:
    """The judgement on one change at the end.

    points, low, high: its share of the gain in percentage points, with a 95% interval.
    probability: of helping, from the validation and test images of all runs.
    trials: in how many it was switched on.
    seconds: their cost.
    shipped: whether the shipped recipe contains it.
    reason: what the label rests on.
    """

    name: str
    area: Scope
    label: Label
    points: float
    low: float
    high: float
    probability: float
    trials: int
    seconds: float
    shipped: bool
    reason: Ground
    claim: str = ""
    source: str = ""


@dataclass(frozen=True)
class ClassScore:
    """One class on the images that the scores are of.

    baseline, final: which part of its images the baseline's network and the one that ships classify correctly, in
        [0, 1], with folds the runs of both; None where there is no image or no network.
    predicted: for how many images the shipped network predicts it.
    """

    name: str
    images: int
    baseline: float | None
    final: float | None
    predicted: int


@dataclass(frozen=True)
class Claim:
    """What the sealed test says of a gain; proven: whether it is called so.

    baseline, final: the two scores that are compared.
    gain_points: their difference, in percentage points.
    """

    baseline: Estimate
    final: Estimate
    gain_points: Estimate
    proven: bool


@dataclass(frozen=True)
class NetworkGain(Claim):
    """Of two fixed networks, the baseline's and the one that ships, named before the test was opened; intervals count
    images alone.

    won, lost: images that only the one that ships, only the baseline's has right; None where a score is no right or
        wrong.
    p_value: of the exact test on those images (McNemar), two-sided; None where there are none, or images in groups.
    """

    won: int | None = None
    lost: int | None = None
    p_value: float | None = None


@dataclass(frozen=True)
class CorruptionGain:
    """The share of the copies under one corruption that the baseline's network and the one that ships have right."""

    name: str
    copies: int
    baseline: float
    final: float


@dataclass(frozen=True)
class EffectUnderShift:
    """What a change is believed to add, in points, with 95% intervals: to the score on clean validation images, and on
    corrupted copies of them; from the same regression over the same trials."""

    name: str
    clean: Estimate
    shifted: Estimate


@dataclass(frozen=True)
class AdaptedScore:
    """The network that ships on shifted images, its batch norms adapted to them without labels, beside itself as it was
    trained.

    pseudo_images: as how many images training's statistics count.
    images: the fewest that an adaptation was to: of each corruption by itself, at all severities, or of the folder.
    gain_points: adapted less as it was trained, paired.
    """

    pseudo_images: int
    images: int
    as_trained: Estimate
    adapted: Estimate
    gain_points: Estimate


@dataclass(frozen=True)
class ShiftGain:
    """The second score of a campaign: the same two networks that the headline compares, on shifted images.

    kind: corruptions: copies of the sealed test images; images: of a folder that was named.
    source: the folder's name, "" for copies.
    images: how many, of which each has so many copies.
    gain: paired, intervals count images alone; its p-value and counts are none of copies.
    corruptions: what copies were made by; trained_on: those that were asked for and left out, since one of the two
        recipes trains on such images.
    copied: images of the folder left out as the campaign knew the same ones, of the sealed test too.
    by_corruption: accuracies.
    fault: why there is no score, where the networks could not be asked.
    adapted: of the one that ships, with adapted batch norms; None where it has none; not_adapted: why that failed.
    ungrouped: whether images of the folder count for themselves although groups were named, as some have none.
    """

    kind: Literal["corruptions", "images"]
    source: str
    images: int
    copies: int
    gain: NetworkGain | None
    corruptions: tuple[str, ...] = ()
    trained_on: tuple[str, ...] = ()
    copied: int = 0
    by_corruption: tuple[CorruptionGain, ...] = ()
    fault: str = ""
    adapted: AdaptedScore | None = None
    not_adapted: str = ""
    ungrouped: bool = False


@dataclass(frozen=True)
class Result:
    """The end of a campaign, as the report, the terminal table and `--json` show it.

    run: the run folder.
    metric: its name.
    baseline, final: mean scores of the baseline's runs and of the shipped recipe's, 1 at best; validation scores where
        nothing was judged, and then the baseline's is None where none was trained.
    network: the network that ships beside the baseline's; None where nothing was judged, and with folds, whose claim is
        of the procedure.
    gain_points: of the recipe, trained again, in percentage points; with folds of the procedure. None where nothing was
        judged, or one run of a recipe is all there is.
    proven: that gain of the recipe; never where the baseline was shortened.
    unexplained_points: the gain minus the sum of the shipped changes' shares.
    optimism_points: validation minus test score of the shipped recipe.
    budget_seconds: 0 where a number of trainings was given.
    counts: images by "train", "validation", "test".
    folds: of a cross-validation, 0 where there was one sealed test.
    ships: whose network the run folder holds: of the searched recipe, of the bare start, or of the baseline, where
        validation likes that better.
    judged: whether the sealed test was opened.
    why: why nothing was judged, or why the searched recipe does not ship.
    shortened: how much of its training the baseline had, where all of it did not fit into the time.
    trainings: how many were to be run, 0 where the time was given.
    shifts: the same two networks on shifted images, a second question.
    goal: what was searched for and chosen by; effects: of the shipped changes, where trials saw corrupted copies.
    opened: how often this sealed test was opened, this campaign included.
    recipe_findings: what is wrong with the baseline's own recipe.
    classes: the scores a class.
    baseline_recipe, start_recipe: as YAML; a start is a whole recipe, and changes all that differs.
    plan: what a plan changed of the data before they were split.
    """

    run: str
    metric: str
    data: str
    baseline_name: str
    start_name: str
    baseline: Estimate | None
    final: Estimate
    gain_points: Estimate | None
    proven: bool
    verdicts: tuple[Verdict, ...]
    unexplained_points: float
    trials: int
    seconds: float
    budget_seconds: float
    optimism_points: float
    findings: tuple[Finding, ...] = ()
    notes: tuple[Note, ...] = ()
    counts: dict[str, int] = field(default_factory=dict)
    folds: int = 0
    ships: Literal["recipe", "start", "baseline"] = "recipe"
    judged: bool = True
    why: NotShipped | None = None
    shortened: Shortened | None = None
    trainings: int = 0
    network: NetworkGain | None = None
    shifts: tuple[ShiftGain, ...] = ()
    goal: Goal = "clean"
    effects: tuple[EffectUnderShift, ...] = ()
    opened: int = 1
    recipe_findings: tuple[RecipeFinding, ...] = ()
    classes: tuple[ClassScore, ...] = ()
    baseline_recipe: str = ""
    start_recipe: str = ""
    plan: PlanApplied | None = None

    @property
    def claim(self) -> Claim | None:
        """What the headline says: of the two networks, with folds of the procedure; None where nothing was judged."""
        return self.network or self._of_the_runs if self.judged else None

    @property
    def recipe_claim(self) -> Claim | None:
        """What is said beside it of the recipe, trained again; None where a recipe was trained once, and where the
        headline says just that."""
        return self._of_the_runs if self.judged and self.network else None

    @property
    def beside_its_runs(self) -> float | None:
        """By how many points the network that ships is above the mean of its recipe's runs: what averaging brought, or
        luck. None where no network is judged."""
        return 100.0 * (self.network.final.value - self.final.value) if self.network and self.judged else None

    @property
    def is_better(self) -> bool:
        """Whether the headline's gain is proven: never over a baseline that was shortened."""
        return self.claim is not None and self.claim.proven and not self.shortened

    @property
    def _of_the_runs(self) -> Claim | None:
        if self.baseline is None or self.gain_points is None:
            return None
        return Claim(self.baseline, self.final, self.gain_points, self.proven and not self.shortened)
