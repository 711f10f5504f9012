"""THE loop: draw recipes, run, record, believe; freeze what probably helps, and run that afresh.

No single run decides anything: recipes are drawn from a belief over all runs, what ships follows from that belief, and
what is claimed is measured afterwards (judgement.py), on images whose labels nothing in this file can see.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from convlift.campaign.plan import Division, choose_candidates, divide
from convlift.campaign.start import choose_start
from convlift.campaign.study import BASELINE, Study
from convlift.errors import BudgetError, DataError, LedgerError
from convlift.evidence import posterior
from convlift.execute.desk import Desk
from convlift.ledger.records import Role, TrialRecord
from convlift.recipe import Recipe
from convlift.study.budget import format_duration
from convlift.study.candidates import Candidate, compose, groups, priors, valid
from convlift.study.starting_points import StartingPoint

FINAL_SLACK = 1.25  # final runs get this much more than predicted: nothing comes after them that could be late instead
MOST_FOR_FINALS = 0.4  # of the budget: with more, too little would be known of what they run
LEAST_OF_A_FINAL = 0.25  # of the predicted time: what trained for less is not the shipped recipe
SEARCH_SLACK = 1.1  # a search run gets this much more: one that is cut short has taught nothing
WORST_POINTS = 10.0  # a run that collapsed, diverged or failed counts as this much below the median: the regression is
# linear, and a run at chance, 60 points down, would say of everything else in it that it is ruinous
HOPELESS = 6  # search trials that all came to nothing: the fault lies elsewhere than in their changes

Bools = NDArray[np.bool_]


@dataclass(frozen=True)
class Frozen:
    """What is searched, and at the end what ships. on (K,): the changes in `recipe`."""

    start: StartingPoint
    recipe: Recipe
    candidates: tuple[Candidate, ...]
    on: Bools

    @property
    def names(self) -> tuple[str, ...]:
        """The changes that are on."""
        return tuple(c.name for c, on in zip(self.candidates, self.on, strict=True) if on)


def run_campaign(study: Study, desk: Desk) -> Frozen:
    """Everything up to the opening of the sealed test, from wherever the ledger left off.

    Raises BudgetError or DataError where nothing can be searched, Interrupted where somebody asked to stop.
    """
    start = choose_start(study, desk)
    division = divide(study, desk, start)
    chosen = choose_candidates(study, desk, start, division.trainings)
    space = Frozen(start, start.recipe, chosen, np.zeros(len(chosen), bool))
    if desk.ledger.recall("freeze") is None:
        pilots = [study.plan("pilot", study.baseline, number) for number in range(division.pilots)]
        desk.complete(pilots, lambda: desk.left() - study.closing_seconds)
        search(study, desk, space, division)
        shipped = shipping(study, desk, space, division, believe(study, desk, space))
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
            f"the same command with --budget {format_duration(math.ceil(allow))} continues."
        )


def search(study: Study, desk: Desk, space: Frozen, division: Division) -> None:
    """Draw and train until the time that the final runs need is all that is left.

    Raises DataError where trial after trial comes to nothing.
    """
    belief = believe(study, desk, space)

    def until() -> float:
        best = shipping(study, desk, space, division, belief)
        return desk.left() - study.closing_seconds - _finals_seconds(study, desk, best.recipe, division)

    desk.take_up("search", until())
    full = False
    while not full or desk.running:
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
    roles: tuple[Role, ...] = ("search", "pilot") if space.start.name == BASELINE else ("search",)
    records = [r for role in roles for r in desk.ledger.trials(role) if r.status in ("finished", "diverged", "failed")]
    scores = floored(np.array([study.score_points(record) for record in records]))
    if np.isnan(scores).any():  # then all are, and nothing is known
        records, scores = [], np.zeros(0)
    accuracy = float(np.clip(scores.mean() / 100 if len(scores) else 0.8, 0.05, 0.995))
    dearer = np.array([max(0.0, candidate.cost - 1.0) for candidate in space.candidates])
    return posterior.Trials(switches(space, records), scores, len(study.validation_labels), accuracy, dearer)


def floored(scores: NDArray[np.float64]) -> NDArray[np.float64]:
    """Scores in points, those of runs that came to nothing (NaN) or collapsed at WORST_POINTS below the median."""
    known = scores[~np.isnan(scores)]
    return np.fmax(scores, np.median(known) - WORST_POINTS) if len(known) else scores


def switches(space: Frozen, records: Sequence[TrialRecord]) -> Bools:
    """(R, K): which candidates each trial had on."""
    rows = [[candidate.name in record.names for candidate in space.candidates] for record in records]
    return np.array(rows, bool).reshape(len(records), len(space.candidates))


def believe(study: Study, desk: Desk, space: Frozen) -> posterior.Belief:
    """What every candidate is believed to add, from all runs so far; the same runs always give the same belief."""
    trials = seen_trials(study, desk, space)
    return posterior.believe(trials, priors(space.candidates), np.random.default_rng([study.seed, len(trials.on)]))


def switched(space: Frozen, on: Bools) -> Frozen:
    """The same candidates with those of `on` switched on."""
    return Frozen(space.start, compose(space.start.recipe, space.candidates, on), space.candidates, on)


def within(space: Frozen, on: Bools, worth: NDArray[np.float64], fits: Callable[[Recipe], bool]) -> Frozen:
    """The changes of `on` that fit together and whose recipe `fits`: where not all do, the least worthy of those that
    make a training dearer are left out. What is left may still not fit."""
    chosen = switched(space, fitting(space, on, worth))
    for k in sorted(np.flatnonzero(chosen.on), key=lambda k: worth[k]):
        if fits(chosen.recipe):
            break
        if space.candidates[k].cost > 1.0:
            fewer = chosen.on.copy()
            fewer[k] = False
            chosen = switched(space, fitting(space, fewer, worth))
    return chosen


def fitting(space: Frozen, on: Bools, worth: NDArray[np.float64]) -> Bools:
    """`on`, without the least worthy changes where not all of them fit together."""
    on = on.copy()
    while not valid(space.start.recipe, space.candidates, on):
        on[min(np.flatnonzero(on), key=lambda k: worth[k])] = False
    return on


def shipping(study: Study, desk: Desk, space: Frozen, division: Division, belief: posterior.Belief) -> Frozen:
    """What would ship if the search ended now: changes that probably help, that were tried at all, that fit together,
    and whose final runs fit into the time."""
    tried = switches(space, [r for r in desk.ledger.trials("search") if r.status == "finished"]).any(axis=0)
    wanted = posterior.ship(belief, groups(space.candidates), division.trainings, study.ship) & tried
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
