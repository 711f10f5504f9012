"""What ships learns from the validation images too: a training of the frozen recipe on all images but the test.

Validation images choose among recipes, and no recipe is chosen any more once one is frozen. A fifth more images are
worth more than most changes of a recipe (docs/LOG.md). The final runs stay as they are: by them it is settled whether
the recipe ships at all, and what is claimed of it is measured on equal images.
"""

import math
import statistics
from collections.abc import Sequence

import numpy as np

from convlift.ledger.ledger import Ledger
from convlift.ledger.trials import TrialRecord
from convlift.recipe.architecture import Pretrained
from convlift.recipe.combination import can_average
from convlift.recipe.recipe import Recipe
from convlift.search.context import Search
from convlift.search.decisions import Allocation, decided
from convlift.search.problem import Problem
from convlift.search.start_decisions import Length
from convlift.search.timing import part_trained

LATE = 0.7  # of a training whose length was settled to fill the time: less is no longer that training
TOLERANCE = 2.0  # standard errors of a score: a network that learned little knows what it has seen hardly better


def more_images(problem: Problem) -> float:
    """How many times as many images a refit learns from."""
    return 1.0 + len(problem.validation_labels) / max(1, problem.facts.training_images)


def may_refit(problem: Problem, recipe: Recipe) -> bool:
    """Whether what ships may learn from the validation images too: not in folds, whose networks nobody gets, not where
    the changes are given, to be compared with nothing, not where two phases are stopped by their validation loss, and
    not where the features of other training images would have to be extracted anew."""
    training, data = recipe.training, recipe.data
    is_stored = isinstance(recipe.architecture, Pretrained)
    anew = is_stored and (data.views > 0 or data.normalization != "pretrained")
    stops_twice = training.patience and training.fine_tuning
    return problem.most_networks > 0 and problem.pool is None and not stops_twice and not anew


def refit_seconds(search: Search, recipe: Recipe) -> float:
    """What a refit takes; of a training whose length fills the time no more than the training itself."""
    return search.seconds(recipe) * (1.0 if is_fitted(search.ledger) else more_images(search.problem))


def refits_with(search: Search, recipe: Recipe) -> list[TrialRecord]:
    """Every refit of a recipe, however it ended."""
    return [record for record in search.ledger.trials("refit") if record.recipe == recipe]


def able_refits(search: Search, recipe: Recipe, finals: Sequence[TrialRecord]) -> list[TrialRecord]:
    """The refits that may ship: they left a network, and classify the images that they learned from no worse, by
    TOLERANCE, than the final runs, which have not seen them, do on average. One that the clock cut short only where it
    did so with all of the final runs, or where its length was settled to fill the time and it had a little less of it
    than they. finals: at least one."""
    all_stopped, enough = all(run.status == "stopped" for run in finals), _enough(search, finals)

    def is_one(run: TrialRecord) -> bool:
        return run.status == "finished" or (
            run.status == "stopped" and (all_stopped or part_trained(run, search.problem.facts) >= enough)
        )

    return _able(search, finals, [run for run in refits_with(search, recipe) if is_one(run)])


def late_finals(search: Search, recipe: Recipe, finals: Sequence[TrialRecord]) -> list[TrialRecord]:
    """The final runs beside those that count which the clock cut short, but whose length was settled to fill the time
    and which had a little less of it: what is averaged may have them too, as it has such refits. finals: those that
    count; at least one."""
    enough, facts, known = _enough(search, finals), search.problem.facts, {run.id for run in finals}
    own = [run for run in search.ledger.trials("final") if run.recipe == recipe and run.id not in known]
    late = [run for run in own if run.status == "stopped" and part_trained(run, facts) >= enough]
    return _able(search, finals, late)


def _enough(search: Search, finals: Sequence[TrialRecord]) -> float:
    """The share of its training from which one that the clock cut short counts beside these."""
    parts = [part_trained(run, search.problem.facts) for run in finals]
    return LATE * float(np.mean(parts)) if is_fitted(search.ledger) else math.inf


def _able(search: Search, finals: Sequence[TrialRecord], runs: Sequence[TrialRecord]) -> list[TrialRecord]:
    """Those of the runs that left a network, which classifies the validation images no worse, by TOLERANCE, than the
    final runs do on average."""
    scores = [search.scores.clean_points(run.outcome.validation_probabilities) for run in finals if run.outcome]
    least = float(np.mean(scores)) - TOLERANCE * float(np.std(scores)) / math.sqrt(len(scores[0]))
    ended = [record for record in runs if record.has_trained and search.has_network(record)]
    return [record for record in ended if _points(search, record) >= least]


def split(search: Search, division: Allocation, recipe: Recipe, trainings: int) -> tuple[int, int]:
    """How many of the last trainings are final runs, and how many refits.

    Where nothing was searched each second one is a refit, if their weights can be averaged, else one: a second one
    would not ship; after a search each second one of those that the division did not foresee. None where no run of the
    baseline is there, so that the test stays closed.
    """
    is_judged = any(record.has_trained for record in search.ledger.trials("baseline"))
    if not may_refit(search.problem, recipe) or not is_judged:
        return trainings, 0
    if division.searches > 0:
        more = max(0, trainings - division.last)
        refits = division.refits + (math.ceil(more / 2) if can_average(recipe) else 0)
        return trainings - refits, refits
    refits = trainings // 2 if can_average(recipe) else min(1, trainings // 2)
    return trainings - refits, refits


def is_fitted(ledger: Ledger) -> bool:
    """Whether the last trainings have a length that was settled to fill the time."""
    length = decided(ledger, Length)
    return length is not None and length.epochs > 0


def fidelity_of_a_refit(search: Search, recipe: Recipe, finals: Sequence[TrialRecord]) -> float:
    """Of its epochs: as many steps as a final run has where these fill the time; where a rising validation loss ends a
    training, as many epochs as the final runs kept; else all of them."""
    if is_fitted(search.ledger):
        return round(1.0 / more_images(search.problem), 4)
    return epochs_kept(recipe, finals)


def epochs_kept(recipe: Recipe, finals: Sequence[TrialRecord]) -> float:
    """The share of the recipe's epochs that these runs kept, of the last phase, where a rising validation loss ends a
    training; 1 where nothing does."""
    tuned = recipe.training.fine_tuning
    epochs, phase = (tuned.epochs, "fine-tune") if tuned else (recipe.training.epochs, None)
    curves = [
        [epoch.validation_loss for epoch in record.outcome.curve if phase is None or epoch.phase == phase]
        for record in finals
        if record.outcome
    ]
    kept = [1 + min(range(len(losses)), key=losses.__getitem__) for losses in curves if losses]
    return round(statistics.fmean(kept) / epochs, 4) if recipe.training.patience and kept else 1.0


def _points(search: Search, record: TrialRecord) -> float:
    assert record.outcome is not None, "it has ended"
    return float(search.scores.clean_points(record.outcome.validation_probabilities).mean())
