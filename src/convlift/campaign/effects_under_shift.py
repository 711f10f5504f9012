"""Which shipped change bought robustness, and its price on clean images: where trials saw corrupted copies."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from convlift.catalogue.candidates import priors
from convlift.evidence import posterior
from convlift.evidence.attribution import half_widths
from convlift.ledger.trials import TrialRecord
from convlift.records.goal import Goal
from convlift.records.result import EffectUnderShift, Estimate
from convlift.search.compared_runs import final_runs
from convlift.search.context import Search
from convlift.search.problem import BASELINE
from convlift.search.scores import Scores
from convlift.search.space import Configuration, switches

FEWEST = 2  # trials of the search: of fewer nothing can be told apart


def effects_under_shift(search: Search, frozen: Configuration) -> tuple[EffectUnderShift, ...]:
    """Of every change of the shipped recipe, by the regression that the search believes (`posterior.believe`), once on
    the scores of the validation images and once on those of their copies. Nothing where no trial saw copies, or too
    few were searched.

    The prior of a change is what it is expected to add to clean scores, for both. These are validation images, by which
    the change was chosen, so that its effect by the goal is rather too large than too small. Intervals are as wide as
    those of the shares (`attribution.half_widths`): the regression's own hold too seldom.
    """
    searched = [record for record in search.ledger.trials("search") if record.is_evidence]
    if search.problem.copies is None or len(searched) < FEWEST or not frozen.names:
        return ()
    bare = search.ledger.trials("baseline") if frozen.start.name == BASELINE else ()
    of_start = [record for record in bare if record.is_evidence and record.fidelity == 1.0]
    finals = [record for record in final_runs(search.ledger, frozen.recipe) if record.is_evidence]
    records = [*of_start, *searched, *finals]
    clean, shifted = (_believed(search, frozen, records, goal) for goal in ("clean", "shifted"))
    return tuple(
        EffectUnderShift(candidate.name, clean[k], shifted[k])
        for k, candidate in enumerate(frozen.candidates)
        if frozen.on[k]
    )


def _believed(search: Search, frozen: Configuration, records: Sequence[TrialRecord], goal: Goal) -> list[Estimate]:
    """Of every candidate, in points of the metric."""
    scores = Scores(replace(search.problem, goal=goal))
    trials = scores.trials(switches(frozen, records), records)
    rng = np.random.default_rng([search.problem.seed, len(records)])
    belief = posterior.believe(trials, priors(frozen.candidates), rng, sweeps=400)
    means, halves = (scores.unit(records) * each for each in (belief.mean, half_widths(belief)))
    pairs = zip(means.tolist(), halves.tolist(), strict=True)
    return [Estimate(mean, mean - half, mean + half) for mean, half in pairs]
