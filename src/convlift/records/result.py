"""What a campaign comes to: the verdict on every change, and the result that is shown."""

from dataclasses import dataclass, field
from typing import Literal

from convlift.records.finding import Finding
from convlift.records.recipe_findings import RecipeFinding
from convlift.records.verdict_grounds import Ground

Area = Literal["data", "architecture", "training"]
Scope = Literal["data", "architecture", "training", "recipe"]  # recipe: a start, which may change all three
Label = Literal["proven", "likely", "undecided", "harmful"]

START = "start: "  # how the name of the first change begins where the search started from another network


@dataclass(frozen=True)
class Estimate:
    """A figure with its 95% interval. Scores are in [0, 1]; gains in percentage points where `points` is said."""

    value: float
    low: float
    high: float


@dataclass(frozen=True)
class Verdict:
    """What is said of one change at the end.

    points, low, high: its share of the gain in percentage points, with a 95% interval.
    probability: of helping, from the validation and test images of all runs; trials: in how many it was switched on;
    seconds: their cost. shipped: whether the final recipe contains it; reason: what the label rests on. changes: of a
    start, what it changes in each area, in words.
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
    changes: tuple[str, ...] = ()


@dataclass(frozen=True)
class ClassScore:
    """One class on the images that the scores are of.

    baseline, final: which part of its images the baseline's and the shipping recipe's runs got right, in [0, 1], None
    where there is no image or no run; predicted: how many images the shipped network itself takes for it.
    """

    name: str
    images: int
    baseline: float | None
    final: float | None
    predicted: int


@dataclass(frozen=True)
class Result:
    """The end of a campaign, as the report, the terminal table and `--json` show it.

    gain in percentage points; baseline and final scores in [0, 1]; optimism_points: validation minus test score of the
    shipped recipe. `unexplained_points`: the gain minus the sum of the shipped changes' shares. folds: of a nested
    cross-validation, 0 where there was one sealed test.
    ships: whose network the run folder holds: of the searched recipe, of the bare start, or of the baseline, where
    validation likes that better. judged: whether the sealed test was opened; where it was not, `final` and `baseline`
    are validation scores (`baseline` and `gain_points` None where no baseline was trained), nothing is proven, and
    `why` says in one sentence why. shortened: in what the baseline's training was shortened to fit the time, "" for
    nothing; a gain over a shortened baseline is never called proven. trainings: how many were asked for, 0 where
    the time was given; budget_seconds: 0 where trainings were.
    shipped: score of the network in the run folder on the sealed test, with the 95% interval of one network over
    images; None where no test was opened for it. opened: how often this sealed test was opened, this campaign
    included. classes: the scores a class. recipe_findings: what is wrong with the baseline's own recipe.
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
    notes: tuple[str, ...] = ()
    counts: dict[str, int] = field(default_factory=dict)
    folds: int = 0
    ships: Literal["recipe", "start", "baseline"] = "recipe"
    judged: bool = True
    why: str = ""
    shortened: str = ""
    trainings: int = 0
    shipped: Estimate | None = None
    opened: int = 1
    recipe_findings: tuple[RecipeFinding, ...] = ()
    classes: tuple[ClassScore, ...] = ()
