"""Which runs are compared at the end: of the baseline, of what ships, and the one whose network does."""

import math
from collections.abc import Iterable, Sequence

import numpy as np
from numpy.typing import NDArray

from convlift.catalogue.starting_points import FINE_TUNE, way_of
from convlift.evidence.seeds import score_variance
from convlift.evidence.total_gain import FEWEST_RUNS
from convlift.ledger.ledger import Ledger
from convlift.ledger.trials import TrialRecord
from convlift.recipe.recipe import Recipe
from convlift.search.allocate import baseline_runs
from convlift.search.context import Search
from convlift.search.problem import BASELINE
from convlift.search.refit import is_fitted
from convlift.search.scratch_length import promise

Floats = NDArray[np.float64]

LEAST_LEFT = 3  # runs of the baseline that must be left where one is left out: fewer say too little of how they differ
CLOSE = 3.0  # standard errors: a lead of the start over the baseline's run that is less may be that run's bad luck


def baseline_arm(search: Search, start: str) -> tuple[list[TrialRecord], bool]:
    """The baseline's runs that count, and whether the first was left out, for it lost a close choice of the start.

    It stays where fewer than three others would be left, which say too little of how such runs differ; then nothing is
    proven.
    """
    baselines = baseline_runs(search.ledger.trials("baseline"))
    left_out = len(baselines) > LEAST_LEFT and lost_a_close_choice(search, start, baselines)
    return baselines[left_out:], left_out


def lost_a_close_choice(search: Search, start: str, baselines: Sequence[TrialRecord]) -> bool:
    """Whether the first of these runs of the baseline took part in a close choice of the start, and lost it.

    Whenever another start wins by luck, that run had bad luck (with two runs of the baseline and four equal networks
    the gain is too good by .4 to 1.1 points, simulated). Close is a lead of under three standard errors of the
    difference of two runs. Where the start wins clearly, the run tells as much as any.
    """
    first_runs = _usable(search.ledger.trials("start"))
    start_run = next((r for r in first_runs if r.names == (start,)), None)
    if way_of(start) == FINE_TUNE and is_fitted(search.ledger):
        # it had no first run: the best of the others decided
        start_run = max(first_runs, key=search.scores.score_points, default=None)
    if (
        start == BASELINE
        or start_run is None
        or not baselines
        or (baselines[0].role, baselines[0].number) != ("baseline", 1)
    ):
        return False
    sound = [
        baseline_run
        for baseline_run, fell in zip(baselines, search.scores.collapsed(baselines), strict=True)
        if not fell
    ]
    others = [baseline_run for baseline_run in sound if baseline_run.id != baselines[0].id]
    # one alone says nothing of how such runs differ; of a short baseline all may be below chance
    others = others if len(others) >= FEWEST_RUNS else sound or list(baselines)
    scores = np.array([search.scores.score_points(baseline_run) for baseline_run in others])
    lead = promise(search, start_run) - search.scores.score_points(baselines[0])
    if lead <= 0.0:  # what fine-tuning may be expected to bring decided, and the baseline's luck spoke against it
        return False
    error = math.sqrt(2.0 * score_variance(scores, _images_of(search, others), search.problem.validation_groups))
    return bool(lead < CLOSE * error)


def _images_of(search: Search, records: Sequence[TrialRecord]) -> Floats:
    return np.array([search.scores.image_points(record) for record in records if record.outcome])


def final_runs(ledger: Ledger, recipe: Recipe | None = None) -> list[TrialRecord]:
    """The final runs that count: those that ended, else those that the deadline cut short, which is what would ship.

    recipe: whose; a campaign that went on may have frozen another one before. None for all.
    """
    records = ledger.trials("final") if recipe is None else finals_with(ledger, recipe)
    cut_short = [record for record in records if record.status == "stopped" and record.has_trained]
    return _usable(records) or cut_short


def finals_with(ledger: Ledger, recipe: Recipe) -> list[TrialRecord]:
    """Every final run of a recipe, however it ended."""
    return [record for record in ledger.trials("final") if record.recipe == recipe]


def best_final(search: Search, finals: Sequence[TrialRecord]) -> TrialRecord:
    """The run whose network ships: of those that ended by themselves, else of all, the one that the validation images
    like best; of equals the first. At least one run."""
    complete = _usable(finals) or list(finals)
    return max(complete, key=search.scores.rank)


def lost_runs(ledger: Ledger, recipe: Recipe) -> list[TrialRecord]:
    """The baseline's runs, and the final runs of `recipe`, that came to nothing by themselves."""
    runs = (*ledger.trials("baseline"), *finals_with(ledger, recipe))
    return [record for record in runs if record.status in ("diverged", "failed")]


def _usable(records: Iterable[TrialRecord]) -> list[TrialRecord]:
    """The trials that ran to their end."""
    return [record for record in records if record.status == "finished"]
