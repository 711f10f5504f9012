"""The time that is kept for shifted images at the end, measured before the rest is divided."""

from collections.abc import Sequence

from convlift.ledger.trials import TrialRecord
from convlift.search.allocate import MOST_LAST
from convlift.search.combine import most_passes
from convlift.search.context import Search
from convlift.search.decisions import decided, note
from convlift.search.start_decisions import ShiftAsked


def ask_about_shift(search: Search, records: Sequence[TrialRecord]) -> None:
    """Measure what judging on shifted images takes, of the dearest network of the first trainings, which what ships is
    expected to be; asked once, while no trial runs. Nothing where no shifted images were asked for, or no time is left.
    """
    problem = search.problem
    if problem.time_shift is None or problem.trainings or decided(search.ledger, ShiftAsked) or not search.left():
        return
    dearest = max([problem.baseline, *(record.recipe for record in records)], key=problem.pace.forward)
    passes = max(1, min(most_passes(search, dearest), MOST_LAST))
    seconds = problem.time_shift(problem.baseline, dearest, passes)
    note(search.ledger, ShiftAsked(seconds or problem.shift_seconds, problem.shift_seconds))
