"""THE loop: draw recipes, run, record, believe; freeze what probably helps, and run that afresh.

No single run decides anything: recipes are drawn from a belief over all runs, what ships follows from that belief, and
what is claimed is measured afterwards (judgement.py), on images whose labels nothing in this file can see.
"""

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from convlift.campaign.plan import choose_candidates, divide
from convlift.campaign.start import choose_start
from convlift.campaign.study import BASELINE, Study
from convlift.evidence import posterior
from convlift.evidence.gibbs import Chain
from convlift.execute.desk import Desk
from convlift.ledger.records import Role, TrialRecord
from convlift.recipe import Recipe
from convlift.study.candidates import Candidate, compose, groups, priors, valid
from convlift.study.starting_points import StartingPoint

FINAL_SLACK = 1.25  # final runs get this much more than predicted: nothing comes after them that could be late instead
DRAWS = 8  # tries for a recipe that is valid and fits into the time left
WORST_POINTS = 10.0  # a run that collapsed or diverged counts as this much below the median: the regression is linear,
# and a run at chance, 60 points down, would say of everything else in it that it is ruinous

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
        search(study, desk, space, division.finals)
        belief = believe(study, desk, space)
        wanted = posterior.ship(belief, groups(chosen), division.trainings, study.ship)
        shipped = switched(space, fitting(space, wanted, belief.mean))
        desk.ledger.freeze(shipped.recipe, shipped.names)
    names = desk.ledger.recall("freeze")["names"]
    frozen = switched(space, np.array([candidate.name in names for candidate in chosen], bool))
    finals = [study.plan("final", frozen.recipe, number, frozen.names) for number in range(division.finals)]
    desk.complete(finals, lambda: desk.left() - study.closing_seconds)
    return frozen


def search(study: Study, desk: Desk, space: Frozen, finals: int) -> None:
    """Draw and train until the time that the final runs need is all that is left."""
    chain: Chain | None = None
    full = False
    while not full or desk.running:
        while desk.free and not full:
            final = study.seconds(_best(study, desk, space).recipe, desk.ledger.trials())
            rounds = math.ceil(finals / desk.executor.capacity)
            until = desk.left() - study.closing_seconds - rounds * FINAL_SLACK * final
            drawn, chain = _draw(study, desk, space, chain, until)
            full = drawn is None
            if drawn is not None:
                number = len(desk.ledger.trials("search"))
                desk.begin(study.plan("search", drawn.recipe, number, drawn.names), until)
        if desk.running and desk.collect():
            desk.discard_weights(keep=[record for record in [most_promising(study, desk, space)] if record])


def _draw(
    study: Study, desk: Desk, space: Frozen, chain: Chain | None, until: float
) -> tuple[Frozen | None, Chain | None]:
    """A recipe from the belief that is valid and ends within `until` seconds; None where no draw does.

    The first is the bare start, where that is not the baseline: with one such run the start's own share is told from
    those of the changes (half-width 5 instead of 12 points; see `changes.start_effect`).
    """
    drawn_before = len(desk.ledger.trials("search"))
    if not drawn_before and space.start.name != BASELINE:
        return (space if study.seconds(space.recipe, desk.ledger.trials()) <= until else None), chain
    trials = seen_trials(study, desk, space)
    rng = np.random.default_rng([study.seed, drawn_before])
    for _ in range(DRAWS):
        on, chain = posterior.draw(trials, priors(space.candidates), groups(space.candidates), rng, chain)
        if valid(space.start.recipe, space.candidates, on):
            drawn = switched(space, on)
            if study.seconds(drawn.recipe, desk.ledger.trials()) <= until:
                return drawn, chain
    return None, chain


def seen_trials(study: Study, desk: Desk, space: Frozen) -> posterior.Trials:
    """The search's runs as evidence; runs of the start itself where it is the baseline."""
    roles: tuple[Role, ...] = ("search", "pilot") if space.start.name == BASELINE else ("search",)
    records = [r for role in roles for r in desk.ledger.trials(role) if r.status in ("finished", "diverged")]
    scores = np.array([study.score_points(record) for record in records])
    if np.isnan(scores).all():
        records, scores = [], np.zeros(0)
    else:
        floor = np.nanmedian(scores) - WORST_POINTS
        scores = np.fmax(scores, floor)
    on = np.array([[c.name in record.names for c in space.candidates] for record in records], bool)
    accuracy = float(np.clip(scores.mean() / 100 if len(scores) else 0.8, 0.05, 0.995))
    dearer = np.array([max(0.0, candidate.cost - 1.0) for candidate in space.candidates])
    return posterior.Trials(
        on.reshape(len(records), len(space.candidates)),
        scores,
        len(study.validation_labels),
        accuracy,
        dearer,
    )


def believe(study: Study, desk: Desk, space: Frozen) -> posterior.Belief:
    """What every candidate is believed to add, from all runs so far; the same runs always give the same belief."""
    trials = seen_trials(study, desk, space)
    return posterior.believe(trials, priors(space.candidates), np.random.default_rng([study.seed, len(trials.on)]))


def switched(space: Frozen, on: Bools) -> Frozen:
    """The same candidates with those of `on` switched on."""
    return Frozen(space.start, compose(space.start.recipe, space.candidates, on), space.candidates, on)


def fitting(space: Frozen, on: Bools, means: NDArray[np.float64]) -> Bools:
    """`on`, without the least promising changes where not all of them fit together."""
    on = on.copy()
    while not valid(space.start.recipe, space.candidates, on):
        on[min(np.flatnonzero(on), key=lambda k: means[k])] = False
    return on


def _best(study: Study, desk: Desk, space: Frozen) -> Frozen:
    """What would ship if the search ended now."""
    belief = believe(study, desk, space)
    return switched(space, fitting(space, posterior.ship(belief, groups(space.candidates), 0, "best"), belief.mean))


def most_promising(study: Study, desk: Desk, space: Frozen) -> TrialRecord | None:
    """Of the search runs with weights on disk, the one whose recipe is believed to be the best; its own score is no
    argument. This is what an interruption leaves."""
    saved = [r for r in desk.ledger.trials("search") if r.status == "finished" and desk.weights_of(r).is_file()]
    means = believe(study, desk, space).mean
    worth = dict(zip((c.name for c in space.candidates), means, strict=True))
    return max(saved, key=lambda record: sum(worth[name] for name in record.names), default=None)
