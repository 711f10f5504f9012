"""THE loop: draw recipes, run, record, believe; freeze what probably helps, and run that afresh.

No single run decides anything: recipes are drawn from a belief over all runs, what ships follows from that belief, and
what is claimed is measured afterwards (judgement.py), on images whose labels nothing in this file can see.
"""

import math

import numpy as np

from convlift.campaign.guard import guard
from convlift.campaign.plan import (
    Division,
    choose_candidates,
    divide,
    revise_candidates,
    revised,
    revision_is_due,
    try_half,
)
from convlift.campaign.scout import scout, scouts_of
from convlift.campaign.space import Frozen, switched, switches, within
from convlift.campaign.start import choose_start
from convlift.campaign.study import BASELINE, Study
from convlift.errors import BudgetError, DataError, LedgerError
from convlift.evidence import posterior
from convlift.execute.desk import Desk
from convlift.ledger.records import Role, TrialRecord
from convlift.recipe import Recipe
from convlift.study.budget import format_duration
from convlift.study.candidates import groups, priors

FINAL_SLACK = 1.25  # final runs get this much more than predicted: nothing comes after them that could be late instead
MOST_FOR_FINALS = 0.4  # of the budget: with more, too little would be known of what they run
LEAST_OF_A_FINAL = 0.25  # of the predicted time: what trained for less is not the shipped recipe
SEARCH_SLACK = 1.1  # a search run gets this much more: one that is cut short has taught nothing
HOPELESS = 6  # search trials that all came to nothing: the fault lies elsewhere than in their changes


def run_campaign(study: Study, desk: Desk) -> Frozen:
    """Everything up to the opening of the sealed test, from wherever the ledger left off.

    Raises BudgetError or DataError where nothing can be searched, Interrupted where somebody asked to stop.
    """
    start = choose_start(study, desk)
    division = divide(study, desk, start)
    if desk.ledger.recall("freeze") is None:
        pilots = [study.plan("pilot", study.baseline, number) for number in range(division.pilots)]
        half = try_half(study, desk, start, division.trainings)
        desk.complete(half + pilots, lambda: desk.left() - study.closing_seconds)
    chosen = guard(study, desk, start, choose_candidates(study, desk, start, division.trainings))
    chosen = revised(desk.ledger, chosen)
    space = Frozen(start, start.recipe, chosen, np.zeros(len(chosen), bool))
    if desk.ledger.recall("freeze") is None:
        scout(study, desk, space)
        space = search(study, desk, space, division)
        belief = believe(study, desk, space)
        if desk.ledger.trials("scout"):
            desk.ledger.record("agreement", round(float(belief.agreement), 2), replace=True)
        shipped = shipping(study, desk, space, division, belief)
        desk.ledger.freeze(shipped.recipe, shipped.names)
    frozen = _frozen(desk, space)
    finals = [study.plan("final", frozen.recipe, number, frozen.names) for number in range(division.finals)]
    _check_time(study, desk, frozen)
    desk.complete(finals, lambda: desk.left() - study.closing_seconds)
    return frozen


def _frozen(desk: Desk, space: Frozen) -> Frozen:
    """The frozen recipe, made again from its changes. Raises LedgerError where that is not what was frozen."""
    kept = desk.ledger.recall("freeze")
    frozen = switched(space, np.array([candidate.name in kept["names"] for candidate in space.candidates], bool))
    if frozen.recipe.fingerprint() != kept["sha256"]:
        raise LedgerError(
            f"the recipe frozen in {desk.ledger.folder} is not the one that its changes make now; "
            "continue with the version of convlift that began it, or start anew in another folder."
        )
    return frozen


def _check_time(study: Study, desk: Desk, frozen: Frozen) -> None:
    """Raise BudgetError where what is left of the time would ship a network that has hardly trained."""
    if desk.ledger.trials("final"):
        return
    needed = LEAST_OF_A_FINAL * study.seconds(frozen.recipe, desk.ledger.trials())
    left = desk.left() - study.closing_seconds
    if left < needed:
        allow = desk.budget_seconds - left + FINAL_SLACK * needed / LEAST_OF_A_FINAL
        raise BudgetError(
            f"budget {format_duration(desk.budget_seconds)} was over before the shipped recipe could train; "
            f"the same command with --budget {format_duration(math.ceil(allow))} continues.",
            allow,
        )


def search(study: Study, desk: Desk, space: Frozen, division: Division) -> Frozen:
    """Draw and train until the time that the final runs need is all that is left; after a third of it the list of
    changes is revised once. Returns the space with what that added.

    Raises DataError where trial after trial comes to nothing.
    """
    belief = believe(study, desk, space)

    def until() -> float:
        best = shipping(study, desk, space, division, belief)
        return desk.left() - study.closing_seconds - _finals_seconds(study, desk, best.recipe, division)

    desk.take_up("search", until())
    full = False
    while not full or desk.running:
        if revision_is_due(study, desk, division):
            space = _revised(study, desk, space, belief)
            belief = believe(study, desk, space)
        while desk.free and not full:
            seconds = until()
            drawn = _draw(study, desk, space, seconds)
            full = drawn is None
            if drawn is not None:
                number = len(desk.ledger.trials("search"))
                desk.begin(study.plan("search", drawn.recipe, number, drawn.names), seconds)
        if desk.running and desk.collect():
            _check_hope(desk)
            belief = believe(study, desk, space)
            if best := most_promising(desk, space, belief):
                desk.discard_weights(keep=[best])
    return space


def _revised(study: Study, desk: Desk, space: Frozen, belief: posterior.Belief) -> Frozen:
    chosen = revise_candidates(study, desk, space.start, space.candidates, belief.mean, belief.probability)
    return Frozen(space.start, space.recipe, chosen, np.zeros(len(chosen), bool))


def _check_hope(desk: Desk) -> None:
    ended = [record for record in desk.ledger.trials("search") if record.outcome is not None]
    last = ended[-1].outcome if ended else None
    if last and len(ended) >= HOPELESS and all(record.status in ("failed", "diverged") for record in ended):
        raise DataError(
            f"the first {len(ended)} trials of the search all came to nothing; the last one: {last.reason}. "
            "Mend that, and start anew in another folder."
        )


def _draw(study: Study, desk: Desk, space: Frozen, until: float) -> Frozen | None:
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
    trials = seen_trials(study, desk, space)
    rng = np.random.default_rng([study.seed, drawn_before])
    on, chain = posterior.draw(trials, priors(space.candidates), groups(space.candidates), rng)
    drawn = within(space, on, chain.population, fits)
    return drawn if fits(drawn.recipe) else None


def seen_trials(study: Study, desk: Desk, space: Frozen) -> posterior.Trials:
    """The search's runs as evidence; runs of the start itself where it is the baseline."""
    roles: tuple[Role, ...] = ("pilot", "search") if space.start.name == BASELINE else ("search",)
    records = [record for role in roles for record in desk.ledger.trials(role) if record.is_evidence]
    dearer = np.array([max(0.0, candidate.cost - 1.0) for candidate in space.candidates])
    return study.trials(switches(space, records), records, dearer, scouts_of(study, desk, space))


def believe(study: Study, desk: Desk, space: Frozen) -> posterior.Belief:
    """What every candidate is believed to add, from all runs so far; the same runs always give the same belief."""
    trials = seen_trials(study, desk, space)
    return posterior.believe(trials, priors(space.candidates), np.random.default_rng([study.seed, len(trials.on)]))


def shipping(study: Study, desk: Desk, space: Frozen, division: Division, belief: posterior.Belief) -> Frozen:
    """What would ship if the search ended now: changes that probably help, that fit together, and whose final runs fit
    into the time."""
    wanted = posterior.ship(belief, groups(space.candidates), division.trainings, study.ship)
    allowed = min(desk.left() - study.closing_seconds, MOST_FOR_FINALS * desk.budget_seconds)
    return within(space, wanted, belief.mean, lambda recipe: _finals_seconds(study, desk, recipe, division) <= allowed)


def _finals_seconds(study: Study, desk: Desk, recipe: Recipe, division: Division) -> float:
    """What the final runs of a recipe are given, one round of the workers after the other."""
    rounds = math.ceil(division.finals / desk.executor.capacity)
    return rounds * FINAL_SLACK * study.seconds(recipe, desk.ledger.trials())


def most_promising(desk: Desk, space: Frozen, belief: posterior.Belief) -> TrialRecord | None:
    """Of the search runs with weights on disk, the one whose recipe is believed to be the best; its own score is no
    argument. This is what an interruption leaves."""
    saved = [r for r in desk.ledger.trials("search") if r.status == "finished" and desk.weights_of(r).is_file()]
    worth = dict(zip((c.name for c in space.candidates), belief.mean, strict=True))
    return max(saved, key=lambda record: sum(worth[name] for name in record.names), default=None)
