"""The cheap tier: before recipes that fine-tune are searched, their changes are asked on stored features alone.

A head on stored features trains in a fraction of the time, so what can be asked there is asked there first, dozens of
times. The answers enter the search as runs of another kind (`posterior.LowFidelityRuns`): they say which changes to
try, while what ships and what is claimed rests on full trainings."""

import math
from dataclasses import replace

import numpy as np

from convlift.catalogue.candidates import groups, priors, shared_with
from convlift.catalogue.intervention import head_only
from convlift.evidence import posterior
from convlift.ledger.trials import TrialRecord
from convlift.search.context import Search
from convlift.search.decisions import LowFidelity, settle
from convlift.search.space import Configuration, SearchSpace, bare, fitting, switched, switches

SHARE = 0.1  # of the time that is left after the baseline's runs
MOST = (
    100  # 60 low-fidelity trials double the true gain of a search of 10 trainings (simulated); more of them add little
)
FEWEST = 10  # with fewer the features are hardly worth their extraction
DEAREST = 0.25  # of a full training: a question that costs more is asked in full at once
SLACK = 1.1  # a low-fidelity trial is given this much more than predicted


def run_low_fidelity(search: Search, space: SearchSpace) -> None:
    """Ask the changes of `space` on stored features, from wherever the ledger left off; nothing where the start has no
    such tier, or where that is not cheap."""
    settled = settle(search.ledger, LowFidelity, lambda: _settled(search, space))
    if not settled.names:
        return
    ends = settled.ends
    recipe = head_only(space.start.recipe)
    kept = tuple(candidate for candidate in space.candidates if candidate.name in settled.names)
    tier = SearchSpace(replace(space.start, recipe=recipe), kept)

    def left() -> float:
        return math.inf if search.problem.trainings else ends - search.ledger.seconds_used()

    search.dispatcher.take_up("low-fidelity", left())
    full, most = False, int(ends) if search.problem.trainings else MOST
    while not full or search.dispatcher.running:
        while search.dispatcher.free and not full and search.may_draw(search.ledger.trials("low-fidelity")):
            number = len(search.ledger.trials("low-fidelity"))
            drawn = _draw(search, tier, number)
            full = number >= most or SLACK * search.seconds(drawn.recipe) > left()
            if not full:
                search.dispatcher.begin(search.problem.plan("low-fidelity", drawn.recipe, number, drawn.names), left())
        if search.dispatcher.running:
            search.dispatcher.collect()


def low_fidelity_of(search: Search, space: SearchSpace | Configuration) -> posterior.LowFidelityRuns | None:
    """What the cheap tier's sound runs say of the changes of `space`; None where there are none."""
    ended = _ended(search)
    sound = [record for record, lost in zip(ended, search.scores.collapsed(ended), strict=True) if not lost]
    scores = np.array([search.scores.score_points(record) for record in sound])
    return posterior.LowFidelityRuns(switches(space, sound), scores) if len(sound) else None


def _settled(search: Search, space: SearchSpace) -> LowFidelity:
    """The changes that are asked, none where the tier is not worth its time, and the second of the campaign at which it
    ends; where trainings are counted, the number of low-fidelity trials. Settled once: predictions move, and a resumed
    campaign has less time left."""
    if search.problem.trainings:
        seconds = SHARE * search.problem.trainings * search.seconds(space.start.recipe, (), again=True)
        number = int(seconds / search.seconds(head_only(space.start.recipe), (), again=True))
        return LowFidelity(_asked(search, space, seconds), min(MOST, number))
    allowed = SHARE * (search.dispatcher.left() - search.closing_seconds)
    asked = _asked(search, space, allowed * search.workers)
    return LowFidelity(asked, search.ledger.seconds_used() + allowed)


def _asked(search: Search, space: SearchSpace, seconds: float) -> tuple[str, ...]:
    """The changes that mean something without a second phase and whose question costs little beside a training."""
    start, records = space.start.recipe, search.ledger.trials()
    recipe = head_only(start)
    if start.training.fine_tuning is None or FEWEST * search.seconds(recipe, records, again=True) > seconds:
        return ()
    most = DEAREST * search.seconds(start, records, again=True)
    shared = [c for c, means in zip(space.candidates, shared_with(recipe, space.candidates), strict=True) if means]
    return tuple(c.name for c in shared if search.seconds(c.intervention.edit(recipe), records) <= most)


def _ended(search: Search) -> list[TrialRecord]:
    return [record for record in search.ledger.trials("low-fidelity") if record.is_evidence]


def _draw(search: Search, tier: SearchSpace, number: int) -> Configuration:
    """The next low-fidelity trial's recipe, from the belief over the low-fidelity trials alone; the first is the bare
    start."""
    if not number:
        return bare(tier)
    ended = [record for record in search.seen(search.ledger.trials("low-fidelity")) if record.is_evidence]
    trials = search.scores.trials(switches(tier, ended), ended)
    rng = np.random.default_rng([search.problem.seed, 1, number])
    on, chain = posterior.draw(trials, priors(tier.candidates), groups(tier.candidates), rng)
    return switched(tier, fitting(tier, on, chain.population))
