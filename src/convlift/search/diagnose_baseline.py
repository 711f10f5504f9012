"""The user's own recipe, diagnosed first: what its first training accuses is undone once, where cheap, and said.

Its trial is no evidence for anything that ships. Somebody asked how their recipe can be made better, and "whole recipe,
+51 points" is no answer where one of its levers is at fault.
"""

import numpy as np

from convlift.catalogue.accusations import Accusation, accuse, confirmed, difference_error
from convlift.catalogue.diagnose import diagnose
from convlift.ledger.trials import Plan, TrialRecord
from convlift.records.recipe_findings import RecipeFinding
from convlift.search.context import Search
from convlift.search.decisions import Accused, Examination, decided, settle
from convlift.search.refit import is_fitted

MOST_OF_BUDGET = 0.12  # of the worker-seconds that are left: what undoing the accused lever may take
MOST_BESIDE = 0.03  # the same where the shipped recipe's length was fitted to what is left


def trial_of_the_baseline(search: Search) -> list[Plan]:
    """The baseline with its most accused lever undone; nothing where it learned well, or where that is too dear.

    Settled once.
    """
    if search.problem.pool is not None or decided(search.ledger, Examination) is not None:
        return []
    accused = _accused(search)
    if accused is None:
        return []
    start_run = accused.probe

    def decide() -> Accused:
        share = MOST_BESIDE if is_fitted(search.ledger) else MOST_OF_BUDGET
        most = share * search.left() * search.workers
        return Accused(bool(search.problem.trainings) or search.seconds(start_run) <= most)

    tried = settle(search.ledger, Accused, decide).undone
    return [search.problem.plan("start", start_run, _number(search), (accused.name,))] if tried else []


def examine_baseline(search: Search) -> None:
    """Write down what is wrong with the user's recipe: what undoing a lever has confirmed, else what its training makes
    one suspect."""
    settle(search.ledger, Examination, lambda: _examination(search))


def _examination(search: Search) -> Examination:
    first = _first(search)
    if first is None or first.outcome is None or search.problem.pool is not None:
        return Examination()
    accused = _accused(search)
    found = _found(search, first, accused, _undone(search, accused)) if accused else None
    symptoms = diagnose(first.outcome, search.problem.validation_labels, search.problem.baseline, search.problem.facts)
    return Examination((found,) if found else (), symptoms)


def found_of_the_baseline(search: Search) -> tuple[RecipeFinding, ...]:
    """The findings of `examine_baseline`."""
    return (decided(search.ledger, Examination) or Examination()).found


def _found(
    search: Search, first: TrialRecord, accusation: Accusation, undone: TrialRecord | None
) -> RecipeFinding | None:
    if undone is None:
        return accusation.suspected
    scores = []
    for record in (first, undone):
        assert record.outcome is not None, "both have ended"
        said = record.outcome.validation_probabilities
        scores.append(search.scores.clean_points(said) / 100.0 if len(said) else np.array([np.nan]))
    before, after = scores
    if np.isnan(before).any():  # it diverged
        return confirmed(accusation, float("nan"), float(after.mean()), 0.0) or accusation.suspected
    return confirmed(accusation, float(before.mean()), float(after.mean()), difference_error(before, after))


def _accused(search: Search) -> Accusation | None:
    first = _first(search)
    if first is None or first.outcome is None:
        return None
    problem = search.problem
    return next(iter(accuse(first.outcome, problem.validation_labels, problem.baseline, problem.facts)), None)


def _first(search: Search) -> TrialRecord | None:
    """The baseline's first run of full length; a part of one is accused of nothing."""
    ended = (r for r in search.ledger.trials("baseline") if r.fidelity == 1.0 and r.status in ("finished", "diverged"))
    return next(ended, None)


def _undone(search: Search, accusation: Accusation) -> TrialRecord | None:
    start_runs = (r for r in search.ledger.trials("start") if r.names == (accusation.name,) and r.status == "finished")
    return next(start_runs, None)


def _number(search: Search) -> int:
    """Of the first run: after the starts', and the one on half of the images."""
    return len(search.problem.points) + 1
