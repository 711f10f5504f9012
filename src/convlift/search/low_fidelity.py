"""The cheap tier: before recipes that fine-tune are searched, their changes are asked on stored features alone.

A head on stored features trains in a fraction of the time, so what can be asked there is asked there first, dozens of
times. The answers enter the search as runs of another kind (`posterior.Scouts`): they say which changes to try, while
what ships and what is claimed rests on full trainings.
"""

import math
from dataclasses import replace

import numpy as np

from convlift.catalogue.candidates import groups, priors, shared_with
from convlift.catalogue.intervention import head_only
from convlift.evidence import posterior
from convlift.ledger.records import TrialRecord
from convlift.search.decisions import LowFidelity, settle
from convlift.search.dispatcher import Dispatcher
from convlift.search.space import Frozen, fitting, switched, switches
from convlift.search.study import Study

SHARE = 0.1  # of the time that is left after the baseline's runs
MOST = 100  # 60 scouts double the true gain of a search of 10 trainings (simulated); more of them add little
FEWEST = 10  # with fewer the features are hardly worth their extraction
DEAREST = 0.25  # of a full training: a question that costs more is asked in full at once
SLACK = 1.1  # a scout is given this much more than predicted


def scout(study: Study, desk: Dispatcher, space: Frozen) -> None:
    """Ask the changes of `space` on stored features, from wherever the ledger left off; nothing where the start has no
    such tier, or where that is not cheap."""
    settled = settle(desk.ledger, LowFidelity, lambda: _settled(study, desk, space))
    if not settled.names:
        return
    ends = settled.ends
    recipe = head_only(space.start.recipe)
    kept = tuple(candidate for candidate in space.candidates if candidate.name in settled.names)
    tier = Frozen(replace(space.start, recipe=recipe), recipe, kept, np.zeros(len(kept), bool))

    def left() -> float:
        return math.inf if study.trainings else ends - desk.ledger.seconds_used()

    desk.take_up("scout", left())
    full, most = False, int(ends) if study.trainings else MOST
    while not full or desk.running:
        while desk.free and not full and study.may_draw(desk.ledger.trials("scout")):
            number = len(desk.ledger.trials("scout"))
            drawn = _draw(study, desk, tier, number)
            full = number >= most or SLACK * study.seconds(drawn.recipe, desk.ledger.trials()) > left()
            if not full:
                desk.begin(study.plan("scout", drawn.recipe, number, drawn.names), left())
        if desk.running:
            desk.collect()


def scouts_of(study: Study, desk: Dispatcher, space: Frozen) -> posterior.Scouts | None:
    """What the cheap tier's sound runs say of the changes of `space`; None where there are none."""
    ended = _ended(desk)
    sound = [record for record, lost in zip(ended, study.collapsed(ended), strict=True) if not lost]
    scores = np.array([study.score_points(record) for record in sound])
    return posterior.Scouts(switches(space, sound), scores) if len(sound) else None


def _settled(study: Study, desk: Dispatcher, space: Frozen) -> LowFidelity:
    """The changes that are asked, none where the tier is not worth its time, and the second of the campaign at which it
    ends; where trainings are counted, the number of scouts. Settled once: predictions move, and a resumed campaign has
    less time left."""
    if study.trainings:
        seconds = SHARE * study.trainings * study.seconds(space.start.recipe, (), again=True)
        number = int(seconds / study.seconds(head_only(space.start.recipe), (), again=True))
        return LowFidelity(_asked(study, desk, space, seconds), min(MOST, number))
    allowed = SHARE * (desk.left() - study.closing_seconds)
    asked = _asked(study, desk, space, allowed * desk.executor.capacity)
    return LowFidelity(asked, desk.ledger.seconds_used() + allowed)


def _asked(study: Study, desk: Dispatcher, space: Frozen, seconds: float) -> tuple[str, ...]:
    """The changes that mean something without a second phase and whose question costs little beside a training."""
    start, records = space.start.recipe, desk.ledger.trials()
    recipe = head_only(start)
    if start.training.fine_tuning is None or FEWEST * study.seconds(recipe, records, again=True) > seconds:
        return ()
    most = DEAREST * study.seconds(start, records, again=True)
    shared = [c for c, means in zip(space.candidates, shared_with(recipe, space.candidates), strict=True) if means]
    return tuple(c.name for c in shared if study.seconds(c.intervention.edit(recipe), records) <= most)


def _ended(desk: Dispatcher) -> list[TrialRecord]:
    return [record for record in desk.ledger.trials("scout") if record.is_evidence]


def _draw(study: Study, desk: Dispatcher, tier: Frozen, number: int) -> Frozen:
    """The next scout's recipe, from the belief over the scouts alone; the first is the bare start."""
    if not number:
        return tier
    ended = [record for record in study.seen(desk.ledger.trials("scout")) if record.is_evidence]
    trials = study.trials(switches(tier, ended), ended)
    rng = np.random.default_rng([study.seed, 1, number])
    on, chain = posterior.draw(trials, priors(tier.candidates), groups(tier.candidates), rng)
    return switched(tier, fitting(tier, on, chain.population))
