"""The last trainings, of what was frozen: final runs and refits, as many as the division has, and more where nothing
was searched."""

import math
from collections.abc import Sequence
from itertools import zip_longest

from convlift.ledger.trials import Plan, TrialRecord
from convlift.search.allocate import LEAST_OF_A_FINAL, MOST_LAST
from convlift.search.combine import combining_seconds
from convlift.search.compared_runs import finals_with
from convlift.search.context import Search
from convlift.search.decisions import Allocation
from convlift.search.refit import LATE, fidelity_of_a_refit, is_fitted, may_refit, refit_seconds, refits_with, split
from convlift.search.shipment import is_nothing, start_in_doubt
from convlift.search.space import Configuration, bare

ROOM = 1.1  # times as long as foreseen, that must be left for one more round of final runs


def confirm(search: Search, frozen: Configuration, division: Allocation) -> None:
    """The final runs and the refits, as many as the time has room for, by rounds of as many as there are workers.

    The first round is run in what is left, cut short where that must be; not where it would be hardly trained, and not
    where what was frozen is the baseline, which needs no second proof. A later round is run only in full, and there are
    more while they fit: there is nothing else to spend the time on, each run narrows the gain's interval, and each
    network makes what ships better. What the clock cut short is run again where a later call has more time.
    """
    if is_nothing(frozen) or search.ledger.test_is_open:
        return
    wanted = division.last
    while _run(search, frozen, division, wanted) and _has_room(search, frozen, division, wanted):
        wanted += search.workers


def _has_room(search: Search, frozen: Configuration, division: Allocation, last: int) -> bool:
    """Whether there is time for one more round of last trainings."""
    if not last or search.problem.trainings or last + search.workers > MOST_LAST or start_in_doubt(search, frozen):
        return False
    left = search.left() - combining_seconds(search, frozen.recipe, last + search.workers)
    # one whose length was settled to fill the time is run through faster where it is late
    return left >= (LATE if is_fitted(search.ledger) else ROOM) * search.seconds(frozen.recipe)


def _run(search: Search, frozen: Configuration, division: Allocation, wanted: int) -> bool:
    """As many last trainings as are wanted; whether all of them had their turn. Refits come last; where nothing was
    searched a final run and a refit by turns, since later rounds may never come."""
    finals, refits = split(search, division, frozen.recipe, wanted)
    runs = finals_to_come(search, frozen, finals)
    if frozen.recipe.training.patience:  # refits are as long as the final runs turn out to be
        done = _in_turn(search, frozen, runs, wanted)
        return done and _in_turn(search, frozen, refits_to_come(search, frozen, refits), wanted)
    again = refits_to_come(search, frozen, refits)
    return _in_turn(search, frozen, [*runs, *again] if division.searches > 0 else by_turns(runs, again), wanted)


def by_turns(first: Sequence[Plan], second: Sequence[Plan]) -> list[Plan]:
    """One of the first, one of the second, and so on; what is left of the longer at the end."""
    return [plan for pair in zip_longest(first, second) for plan in pair if plan is not None]


def _in_turn(search: Search, frozen: Configuration, plans: Sequence[Plan], wanted: int) -> bool:
    """The plans, one after the other as workers become free; whether all of them had their turn. wanted: how many
    networks there will be.

    Where their length was settled to fill the time, each has its share of it: else what the first of them are late the
    last would lose, and count as cut short, where a little less of each is the recipe still."""
    # one whose length was settled to fill the time is run through faster where it is late
    late, recipe, is_over, asked = LATE if is_fitted(search.ledger) else 1.0, frozen.recipe, False, 0

    def may_begin(plan: Plan) -> bool:
        nonlocal is_over, asked
        runs, asked = finals_with(search.ledger, recipe), asked + 1
        ended = any(record.status == "finished" for record in runs)
        # a later round is run in full or not at all, also beside a final run of the first that has not ended yet
        ended = ended or (asked > search.workers and any(record.outcome is None for record in runs))
        is_over = is_over or search.left() < (late if ended else late * LEAST_OF_A_FINAL) * search.seconds(recipe)
        is_too_long = plan.role == "refit" and ended and search.left() < late * refit_seconds(search, recipe)
        return not is_over and not is_too_long

    def allowed(plan: Plan) -> float:
        left = search.left() - combining_seconds(search, recipe, wanted)
        to_come = len(plans) - asked + 1
        return left / math.ceil(to_come / search.workers) if is_fitted(search.ledger) else left

    search.dispatcher.complete(plans, allowed, may_begin)
    return not is_over


def confirm_start(search: Search, frozen: Configuration) -> None:
    """One more run of the bare start, where its only one is above the final runs and the time has room for it: of two
    runs an arm the lucky one decides less, and the start can be judged should it ship."""
    if search.ledger.test_is_open or not start_in_doubt(search, frozen):
        return
    recipe = frozen.start.recipe
    if search.left() >= search.seconds(recipe):
        plans = finals_to_come(search, bare(frozen.space), 1)
        search.dispatcher.complete(plans, lambda plan: search.left())


def finals_to_come(search: Search, frozen: Configuration, wanted: int) -> list[Plan]:
    """The final runs of a recipe that are still to be made, of as many as are wanted."""
    of_it = finals_with(search.ledger, frozen.recipe)
    numbers = numbers_to_come(of_it, wanted, len(search.ledger.trials("final")))
    return [search.problem.plan("final", frozen.recipe, number, frozen.names) for number in numbers]


def refits_to_come(search: Search, frozen: Configuration, wanted: int) -> list[Plan]:
    """The same of its refits."""
    recipe, ledger = frozen.recipe, search.ledger
    if not wanted or not may_refit(search.problem, recipe):
        return []
    fidelity = fidelity_of_a_refit(search, recipe, finals_with(ledger, recipe))
    numbers = numbers_to_come(refits_with(search, recipe), wanted, len(ledger.trials("refit")), whole=False)
    return [search.problem.plan("refit", recipe, number, frozen.names, fidelity) for number in numbers]


def numbers_to_come(records: Sequence[TrialRecord], wanted: int, first: int, *, whole: bool = True) -> list[int]:
    """Numbers, from 0, of the trials of one role that are missing: what was begun, then new ones, from `first` on, for
    what the clock stopped or, where they must be whole, for what was shortened."""
    begun = [record.number - 1 for record in records if record.outcome is None]
    ended = [record for record in records if record.outcome is not None and record.status != "stopped"]
    done = sum(record.fidelity == 1.0 or not whole for record in ended)
    fresh = range(first, first + max(0, wanted - done - len(begun)))
    return [*begun, *fresh]
