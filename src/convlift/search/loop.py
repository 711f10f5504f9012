"""THE loop: draw recipes, run, record, believe; freeze what probably helps, and run that afresh.

No single run decides anything: recipes are drawn from a belief over all runs, what ships follows from that belief, and
what is claimed is measured afterwards (judgement.py), on images whose labels nothing in this file can see.
"""

import math
from collections.abc import Sequence

import numpy as np

from convlift.catalogue.candidates import groups, priors
from convlift.errors import LedgerError
from convlift.evidence import posterior
from convlift.ledger.records import Plan, TrialRecord
from convlift.recipe.recipe import Recipe
from convlift.search.allocate import FINAL_SLACK, LEAST_OF_A_FINAL, PILOT_MOST, baseline_runs, divide
from convlift.search.augmentation_guard import guard
from convlift.search.compared_runs import finals_with
from convlift.search.decisions import Agreement, Allocation, Freeze, decided, made, note
from convlift.search.dispatcher import Dispatcher
from convlift.search.examine import examine_baseline, probe_of_the_baseline
from convlift.search.low_fidelity import scout, scouts_of
from convlift.search.revise import revise_candidates, revised, revision_is_due
from convlift.search.shipment import (
    Shipment,
    bare_start,
    is_nothing,
    runs_of_the_start,
    settle_shipment,
    start_in_doubt,
)
from convlift.search.shortlist import choose_candidates, try_half
from convlift.search.space import Frozen, switched, switches, within
from convlift.search.start import choose_start
from convlift.search.study import BASELINE, Study

MOST_FOR_FINALS = 0.4  # of the budget: with more, too little would be known of what they run
MOST_OF_A_PILOT = 0.3  # of the time that is left, whatever was predicted
SEARCH_SLACK = 1.1  # a search run gets this much more: one that is cut short has taught nothing
SLOWER = 1.25  # times as long as predicted: the slack of the final runs covers what is less
HOPELESS = 6  # search trials that all came to nothing: the fault lies elsewhere than in their changes


def run_campaign(study: Study, desk: Dispatcher) -> Shipment:
    """Everything up to the opening of the sealed test, from wherever the ledger left off.

    Raises BudgetError or DataError where nothing can be trained, Interrupted where somebody asked to stop.
    """
    start = choose_start(study, desk)
    division = divide(study, desk, start)
    if not desk.ledger.test_is_open:
        is_frozen = decided(desk.ledger, Freeze) is not None
        probes = [] if is_frozen else probe_of_the_baseline(study, desk)
        probes += [] if is_frozen else try_half(study, desk, start, division.trainings)
        pilots = baseline_to_come(study, desk, division)
        desk.complete(probes + pilots, lambda plan: MOST_OF_A_PILOT * study.left(desk))
        examine_baseline(study, desk)
    chosen = choose_candidates(study, desk, start, division)
    chosen = revised(desk.ledger, guard(study, desk, start, chosen))
    space = Frozen(start, start.recipe, chosen, np.zeros(len(chosen), bool))
    if decided(desk.ledger, Freeze) is None:
        if division.searches > 0:
            scout(study, desk, space)
            space = search(study, desk, space, division)
        belief = believe(study, desk, space)
        if desk.ledger.trials("scout"):
            note(desk.ledger, Agreement(round(float(belief.agreement), 2)), replace=True)
        shipped = shipping(study, desk, space, division, belief)
        desk.ledger.freeze(shipped.recipe, shipped.names)
    frozen = _frozen(desk, space)
    confirm(study, desk, frozen, division)
    confirm_start(study, desk, frozen)
    return settle_shipment(study, desk, frozen)


def confirm(study: Study, desk: Dispatcher, frozen: Frozen, division: Allocation) -> None:
    """The final runs, one round of the workers after the other, as many as the time has room for.

    The first round is run in what is left, cut short where that must be; not where it would be hardly trained, and not
    where what was frozen is the baseline, which needs no second proof. A later round is run only in full. What the
    clock cut short is run again where a later call has more time.
    """
    if is_nothing(frozen) or desk.ledger.test_is_open:
        return
    plans = finals_to_come(study, desk, frozen, division.finals)
    for first in range(0, len(plans), desk.executor.capacity):
        each = study.seconds(frozen.recipe, desk.ledger.trials())
        ended = any(record.status == "finished" for record in finals_with(desk.ledger, frozen.recipe))
        if study.left(desk) < (each if ended else LEAST_OF_A_FINAL * each):
            return
        batch = plans[first : first + desk.executor.capacity]
        desk.complete(batch, lambda plan: study.left(desk))


def confirm_start(study: Study, desk: Dispatcher, frozen: Frozen) -> None:
    """One more run of the bare start, where its only one is above the final runs and the time has room for it: of two
    runs an arm the lucky one decides less, and the start can be judged should it ship."""
    if desk.ledger.test_is_open or not start_in_doubt(study, desk, frozen):
        return
    recipe = frozen.start.recipe
    if study.left(desk) >= study.seconds(recipe, desk.ledger.trials()):
        plans = finals_to_come(study, desk, bare_start(frozen), 1)
        desk.complete(plans, lambda plan: study.left(desk))


def baseline_to_come(study: Study, desk: Dispatcher, division: Allocation) -> list[Plan]:
    """The runs of the baseline that are still to be made; of one that takes too long, none beside the part that was."""
    records = desk.ledger.trials("pilot")
    each = study.seconds(study.baseline, desk.ledger.trials())
    if records and each > PILOT_MOST * study.left(desk) and baseline_runs(records):
        records_open = [r for r in records if r.outcome is None]
        return [study.plan("pilot", study.baseline, r.number - 1, fidelity=r.fidelity) for r in records_open]
    return [
        study.plan("pilot", study.baseline, number)
        for number in _numbers_to_come(records, division.pilots, len(records))
    ]


def finals_to_come(study: Study, desk: Dispatcher, frozen: Frozen, wanted: int) -> list[Plan]:
    """The final runs of a recipe that are still to be made, of as many as are wanted."""
    of_it = finals_with(desk.ledger, frozen.recipe)
    numbers = _numbers_to_come(of_it, wanted, len(desk.ledger.trials("final")))
    return [study.plan("final", frozen.recipe, number, frozen.names) for number in numbers]


def _numbers_to_come(records: Sequence[TrialRecord], wanted: int, first: int) -> list[int]:
    """Numbers, from 0, of the trials of one role that are missing: what was begun, then new ones, from `first` on, for
    what the clock stopped or shortened."""
    begun = [record.number - 1 for record in records if record.outcome is None]
    done = sum(r.outcome is not None and r.status != "stopped" and r.fidelity == 1.0 for r in records)
    fresh = range(first, first + max(0, wanted - done - len(begun)))
    return [*begun, *fresh]


def _frozen(desk: Dispatcher, space: Frozen) -> Frozen:
    """The frozen recipe, made again from its changes. Raises LedgerError where that is not what was frozen."""
    kept = made(desk.ledger, Freeze)
    frozen = switched(space, np.array([candidate.name in kept.names for candidate in space.candidates], bool))
    if frozen.recipe.fingerprint() != kept.sha256:
        raise LedgerError(
            f"the recipe frozen in {desk.ledger.folder} is not the one that its changes make now; "
            "continue with the version of convlift that began it, or start anew in another folder."
        )
    return frozen


def search(study: Study, desk: Dispatcher, space: Frozen, division: Allocation) -> Frozen:
    """Draw and train: as many trials as the division has where trainings are counted, else until the time that the
    final runs need is all that is left. After a third of it the list of changes is revised once. Returns the space with
    what that added; it ends early where trial after trial comes to nothing.
    """
    belief, slower = believe(study, desk, space), 1.0

    def until() -> float:
        best = shipping(study, desk, space, division, belief)
        return study.left(desk) - slower * _finals_seconds(study, desk, best.recipe, division)

    desk.take_up("search", until())
    full = False
    while not full or desk.running:
        while desk.free and not full and study.may_draw(trials := desk.ledger.trials("search")):
            number, seen = len(trials), study.seen(trials)
            full = is_hopeless(seen) or (bool(study.trainings) and number >= division.searches)
            if full:
                break
            if revision_is_due(study, desk, division, seen):
                space = _revised(study, desk, space, seen)
                belief = believe(study, desk, space)
            latest = until()
            drawn = _draw(study, desk, space, seen, latest / slower)
            full = drawn is None
            if drawn is not None:
                desk.begin(study.plan("search", drawn.recipe, number, drawn.names), latest)
        if desk.running and desk.collect():
            belief = believe(study, desk, space)
            if best := most_promising(desk, space, belief):
                desk.discard_weights(keep=[best, *runs_of_the_start(desk, space)])
        if desk.heard and not study.trainings:
            slower = _slowdown(study, desk)
            if slower > 1.0 and desk.running and until() < 0:
                desk.cancel("search", "the machine became slower, and its time is needed for the final runs")
    return space


def _slowdown(study: Study, desk: Dispatcher) -> float:
    """How many times as long as predicted the running trials take; 1 where the slack covers it."""
    records = desk.ledger.trials()
    found = desk.slowdown(lambda record: study.seconds(record.recipe, records, record.fidelity))
    return found if found > SLOWER else 1.0


def _revised(study: Study, desk: Dispatcher, space: Frozen, seen: Sequence[TrialRecord]) -> Frozen:
    belief = believe(study, desk, space, seen)
    chosen = revise_candidates(study, desk, space.start, space.candidates, (belief.mean, belief.probability), seen)
    return Frozen(space.start, space.recipe, chosen, np.zeros(len(chosen), bool))


def is_hopeless(seen: Sequence[TrialRecord]) -> bool:
    """Whether the first trials of the search all came to nothing: the fault lies elsewhere than in their changes."""
    first = seen[:HOPELESS]
    return len(first) == HOPELESS and all(record.status in ("failed", "diverged") for record in first)


def _draw(study: Study, desk: Dispatcher, space: Frozen, seen: Sequence[TrialRecord], until: float) -> Frozen | None:
    """A recipe from the belief, less what does not end within `until` seconds; None where nothing does.

    The first is the bare start, where that is not the baseline: with one such run the start's own share is told from
    those of the changes (half-width 5 instead of 12 points; see `changes.start_effect`).
    Every draw begins a chain of its own, so that a resumed campaign draws what the uninterrupted one would have drawn;
    1,860 simulated campaigns ship as good recipes as with one chain kept throughout.
    """

    def fits(recipe: Recipe) -> bool:
        return SEARCH_SLACK * study.seconds(recipe, desk.ledger.trials()) <= until

    drawn_before = len(desk.ledger.trials("search"))
    if not drawn_before and space.start.name != BASELINE:
        return space if fits(space.recipe) else None
    trials = seen_trials(study, desk, space, seen)
    rng = np.random.default_rng([study.seed, drawn_before])
    on, chain = posterior.draw(trials, priors(space.candidates), groups(space.candidates), rng)
    drawn = within(space, on, chain.population, fits)
    return drawn if fits(drawn.recipe) else None


def seen_trials(
    study: Study, desk: Dispatcher, space: Frozen, seen: Sequence[TrialRecord] | None = None
) -> posterior.Trials:
    """The search's runs as evidence, and runs of the start itself where it is the baseline. seen: the runs of the
    search that count, all where it is None."""
    searched = desk.ledger.trials("search") if seen is None else seen
    bare = desk.ledger.trials("pilot") if space.start.name == BASELINE else ()
    records = [record for record in (*bare, *searched) if record.is_evidence and record.fidelity == 1.0]
    dearer = np.array([max(0.0, candidate.cost - 1.0) for candidate in space.candidates])
    return study.trials(switches(space, records), records, dearer, scouts_of(study, desk, space))


def believe(
    study: Study, desk: Dispatcher, space: Frozen, seen: Sequence[TrialRecord] | None = None
) -> posterior.Belief:
    """What every candidate is believed to add, from all runs so far, or from those of the search that are given; the
    same runs always give the same belief."""
    trials = seen_trials(study, desk, space, seen)
    return posterior.believe(trials, priors(space.candidates), np.random.default_rng([study.seed, len(trials.on)]))


def shipping(study: Study, desk: Dispatcher, space: Frozen, division: Allocation, belief: posterior.Belief) -> Frozen:
    """What would ship if the search ended now: changes that probably help, that fit together, and whose final runs fit
    into the time."""
    wanted = posterior.ship(belief, groups(space.candidates), division.trainings, study.ship)
    allowed = min(study.left(desk), MOST_FOR_FINALS * desk.budget_seconds)
    return within(space, wanted, belief.mean, lambda recipe: _finals_seconds(study, desk, recipe, division) <= allowed)


def _finals_seconds(study: Study, desk: Dispatcher, recipe: Recipe, division: Allocation) -> float:
    """What the final runs of a recipe are given, one round of the workers after the other."""
    rounds = math.ceil(division.finals / desk.executor.capacity)
    return rounds * FINAL_SLACK * study.seconds(recipe, desk.ledger.trials())


def most_promising(desk: Dispatcher, space: Frozen, belief: posterior.Belief) -> TrialRecord | None:
    """Of the search runs with weights on disk, the one whose recipe is believed to be the best; its own score is no
    argument. This is what an interruption leaves."""
    saved = [r for r in desk.ledger.trials("search") if r.status == "finished" and desk.weights_of(r).is_file()]
    worth = dict(zip((c.name for c in space.candidates), belief.mean, strict=True))
    return max(saved, key=lambda record: sum(worth[name] for name in record.names), default=None)
