"""THE loop: draw recipes, run, record, believe; freeze what probably helps, and run that afresh.

No single run decides anything: recipes are drawn from a belief over all runs, what ships follows from that belief, and
what is claimed is measured afterwards (judgement.py), on images whose labels nothing in this file can see.
"""

import math
from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from convlift.catalogue.candidates import groups, priors
from convlift.errors import LedgerError
from convlift.evidence import posterior
from convlift.ledger.trials import Plan, TrialRecord
from convlift.recipe.recipe import Recipe
from convlift.search.allocate import BASELINE_MOST, FINAL_SLACK, baseline_runs, divide
from convlift.search.augmentation_guard import guard
from convlift.search.combine import combine
from convlift.search.context import Search
from convlift.search.decisions import Agreement, Allocation, Freeze, decided, made, note
from convlift.search.diagnose_baseline import examine_baseline, trial_of_the_baseline
from convlift.search.finals import confirm, confirm_start, numbers_to_come
from convlift.search.low_fidelity import low_fidelity_of, run_low_fidelity
from convlift.search.problem import BASELINE
from convlift.search.refit import refit_seconds
from convlift.search.revise import revise_candidates, revised, revision_is_due
from convlift.search.shipment import (
    Shipment,
    finals_of,
    is_nothing,
    learned,
    runs_of_the_start,
    settle_shipment,
)
from convlift.search.shortlist import choose_candidates, try_half
from convlift.search.space import Configuration, SearchSpace, bare, switched, switches, within
from convlift.search.start import choose_start

MOST_FOR_FINALS = 0.4  # of the budget: with more, too little would be known of what they run
MOST_OF_A_BASELINE_RUN = 0.3  # of the time that is left, whatever was predicted
SEARCH_SLACK = 1.1  # a search run gets this much more: one that is cut short has taught nothing
SLOWER = 1.25  # times as long as predicted: the slack of the final runs covers what is less
SLOWED_DOWN = "the machine became slower, and its time is needed for the final runs"
HOPELESS = 6  # search trials that all came to nothing: the fault lies elsewhere than in their changes


def run_search(search: Search) -> Shipment:
    """Everything up to the opening of the sealed test, from wherever the ledger left off.

    Raises BudgetError or DataError where nothing can be trained, Interrupted where somebody asked to stop.
    """
    start = choose_start(search)
    division = divide(search, start)
    if not search.ledger.test_is_open:
        is_frozen = decided(search.ledger, Freeze) is not None
        start_runs = [] if is_frozen else trial_of_the_baseline(search)
        start_runs += [] if is_frozen else try_half(search, start, division.trainings)
        baselines = baseline_to_come(search, division)
        search.dispatcher.complete(start_runs + baselines, lambda plan: MOST_OF_A_BASELINE_RUN * search.left())
        examine_baseline(search)
    chosen = choose_candidates(search, start, division)
    chosen = revised(search.ledger, guard(search, start, chosen))
    space = SearchSpace(start, chosen)
    if decided(search.ledger, Freeze) is None:
        if division.searches > 0:
            run_low_fidelity(search, space)
            space = search_recipes(search, space, division)
        belief = believe(search, space)
        if search.ledger.trials("low-fidelity"):
            note(search.ledger, Agreement(round(float(belief.agreement), 2)), replace=True)
        shipped = shipping(search, space, division, belief)
        search.ledger.freeze(shipped.recipe, shipped.names)
    frozen = _frozen(search, space)
    confirm(search, frozen, division)
    confirm_start(search, frozen)
    if not is_nothing(frozen):
        combine(search, frozen.recipe, learned(search, finals_of(search, frozen)), frozen.names)
    return settle_shipment(search, frozen)


def baseline_to_come(search: Search, division: Allocation) -> list[Plan]:
    """The runs of the baseline that are still to be made; of one that takes too long, none beside the part that was."""
    problem, records = search.problem, search.ledger.trials("baseline")
    each = search.seconds(problem.baseline)
    if records and each > BASELINE_MOST * search.left() and baseline_runs(records):
        still_open = [record for record in records if record.outcome is None]
        return [problem.plan("baseline", problem.baseline, r.number - 1, fidelity=r.fidelity) for r in still_open]
    numbers = numbers_to_come(records, division.baselines, len(records))
    return [problem.plan("baseline", problem.baseline, number) for number in numbers]


def _frozen(search: Search, space: SearchSpace) -> Configuration:
    """The frozen recipe, made again from its changes. Raises LedgerError where that is not what was frozen."""
    kept = made(search.ledger, Freeze)
    frozen = switched(space, np.array([candidate.name in kept.names for candidate in space.candidates], bool))
    if frozen.recipe.fingerprint() != kept.sha256:
        raise LedgerError(
            f"the recipe frozen in {search.ledger.folder} is not the one that its changes make now; "
            "continue with the version of convlift that began it, or start anew in another folder."
        )
    return frozen


def search_recipes(search: Search, space: SearchSpace, division: Allocation) -> SearchSpace:
    """Draw and train: as many trials as the division has where trainings are counted, else until the time that the
    final runs need is all that is left. After a third of it the list of changes is revised once. Returns the space with
    what that added; it ends early where trial after trial comes to nothing.
    """
    belief, slower = believe(search, space), 1.0

    def until() -> float:
        best = shipping(search, space, division, belief)
        return search.left() - slower * _finals_seconds(search, best.recipe, division)

    search.dispatcher.take_up("search", until())
    full = False
    while not full or search.dispatcher.running:
        while search.dispatcher.free and not full and search.may_draw(trials := search.ledger.trials("search")):
            number, seen = len(trials), search.seen(trials)
            if _is_enough(search, division, seen, number):
                full = True
                break
            if revision_is_due(search, division, seen):
                space = _revised(search, space, seen)
                belief = believe(search, space)
            latest = until()
            drawn = _draw(search, space, seen, latest / slower)
            full = drawn is None
            if drawn is not None:
                search.dispatcher.begin(search.problem.plan("search", drawn.recipe, number, drawn.names), latest)
        if search.dispatcher.running and search.dispatcher.collect():
            belief = believe(search, space)
            _keep_promising(search, space, belief)
        if search.dispatcher.heard:
            slower = _slowdown(search)
            if slower > 1.0 and search.dispatcher.running and until() < 0:
                search.dispatcher.cancel("search", SLOWED_DOWN)
    return space


def _keep_promising(search: Search, space: SearchSpace, belief: posterior.Belief) -> None:
    """Of all weights on the disk keep those that an interruption would leave, and those that may ship."""
    if best := most_promising(search, space, belief):
        search.dispatcher.discard_weights(keep=[best, *runs_of_the_start(search, space.start)])


def _is_enough(search: Search, division: Allocation, seen: Sequence[TrialRecord], number: int) -> bool:
    """Whether no trial is to be drawn after `number` of them."""
    return is_hopeless(seen) or (bool(search.problem.trainings) and number >= division.searches)


def _slowdown(search: Search) -> float:
    """How many times as long as predicted the running trials take; 1 where the slack covers it, or where trainings are
    counted."""
    if search.problem.trainings:
        return 1.0
    records = search.ledger.trials()
    found = search.dispatcher.slowdown(lambda record: search.seconds(record.recipe, records, record.fidelity))
    return found if found > SLOWER else 1.0


def _revised(search: Search, space: SearchSpace, seen: Sequence[TrialRecord]) -> SearchSpace:
    belief = believe(search, space, seen)
    chosen = revise_candidates(search, space.start, space.candidates, belief, seen)
    return SearchSpace(space.start, chosen)


def is_hopeless(seen: Sequence[TrialRecord]) -> bool:
    """Whether the first trials of the search all came to nothing: the fault lies elsewhere than in their changes."""
    first = seen[:HOPELESS]
    return len(first) == HOPELESS and all(record.status in ("failed", "diverged") for record in first)


def _draw(search: Search, space: SearchSpace, seen: Sequence[TrialRecord], until: float) -> Configuration | None:
    """A recipe from the belief, less what does not end within `until` seconds; None where nothing does.

    The first is the bare start, where that is not the baseline: with one such run the start's own share is told from
    those of the changes (half-width 5 instead of 12 points; see `changes.start_effect`).
    Every draw begins a chain of its own, so that a resumed campaign draws what the uninterrupted one would have drawn;
    1,860 simulated campaigns ship as good recipes as with one chain kept throughout.
    """

    def fits(recipe: Recipe) -> bool:
        return SEARCH_SLACK * search.seconds(recipe) <= until

    drawn_before = len(search.ledger.trials("search"))
    if not drawn_before and space.start.name != BASELINE:
        return bare(space) if fits(space.start.recipe) else None
    trials = seen_trials(search, space, seen)
    rng = np.random.default_rng([search.problem.seed, drawn_before])
    on, chain = posterior.draw(trials, priors(space.candidates), groups(space.candidates), rng)
    drawn = within(space, on, chain.population, fits)
    return drawn if fits(drawn.recipe) else None


def seen_trials(
    search: Search, space: SearchSpace | Configuration, seen: Sequence[TrialRecord] | None = None
) -> posterior.Trials:
    """The search's runs as evidence, and runs of the start itself where it is the baseline. seen: the runs of the
    search that count, all where it is None."""
    searched = search.ledger.trials("search") if seen is None else seen
    bare = search.ledger.trials("baseline") if space.start.name == BASELINE else ()
    records = [record for record in (*bare, *searched) if record.is_evidence and record.fidelity == 1.0]
    dearer = np.array([max(0.0, candidate.cost - 1.0) for candidate in space.candidates])
    return search.scores.trials(switches(space, records), records, dearer, low_fidelity_of(search, space))


def believe(search: Search, space: SearchSpace, seen: Sequence[TrialRecord] | None = None) -> posterior.Belief:
    """What every candidate is believed to add, from all runs so far, or from those of the search that are given; the
    same runs always give the same belief."""
    trials = seen_trials(search, space, seen)
    rng = np.random.default_rng([search.problem.seed, len(trials.on)])
    return posterior.believe(trials, priors(space.candidates), rng)


def shipping(search: Search, space: SearchSpace, division: Allocation, belief: posterior.Belief) -> Configuration:
    """What would ship if the search ended now: changes that probably help, that fit together, and whose final runs fit
    into the time."""
    wanted = posterior.ship(belief, groups(space.candidates), division.trainings, search.problem.ship)
    least = replace(division, finals=max(1, division.finals), refits=0)  # what is known of a recipe comes of these

    def fits(recipe: Recipe) -> bool:
        is_known = _finals_seconds(search, recipe, least) <= MOST_FOR_FINALS * search.budget_seconds
        return is_known and _finals_seconds(search, recipe, division) <= search.left()

    return within(space, wanted, belief.mean, fits)


def _finals_seconds(search: Search, recipe: Recipe, division: Allocation) -> float:
    """What the last trainings of a recipe are given, one round of the workers after the other."""
    rounds = math.ceil(division.last / search.workers)
    if recipe.training.patience:  # how long a refit is, the final runs tell
        rounds = math.ceil(division.finals / search.workers) + math.ceil(division.refits / search.workers)
    extra = refit_seconds(search, recipe) - search.seconds(recipe) if division.refits else 0.0
    return rounds * FINAL_SLACK * search.seconds(recipe) + extra


def most_promising(search: Search, space: SearchSpace, belief: posterior.Belief) -> TrialRecord | None:
    """Of the search runs with weights on disk, the one whose recipe is believed to be the best; its own score is no
    argument. This is what an interruption leaves."""
    saved = [r for r in search.ledger.trials("search") if r.status == "finished" and search.has_network(r)]
    worth = dict(zip((c.name for c in space.candidates), belief.mean, strict=True))
    return max(saved, key=lambda record: sum(worth[name] for name in record.names), default=None)
