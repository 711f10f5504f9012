"""How the budget is divided, and which changes are tried: settled once, after the probes, and kept in the ledger."""

import math
from dataclasses import dataclass

from convlift.campaign.study import Study
from convlift.errors import BudgetError
from convlift.evidence.plan import pilots_and_finals
from convlift.execute.desk import Desk
from convlift.recipe import Recipe
from convlift.study.budget import format_duration
from convlift.study.candidates import Candidate, candidates, limit_for
from convlift.study.diagnose import diagnose
from convlift.study.starting_points import StartingPoint

DEAREST = 3.0  # a candidate may make a training this many times as dear
PILOTS_SHARE = 0.05  # of the trainings: what pilots may take where they are cheap
MOST_PILOTS = 8
DEAR_SHARE = 0.2  # of the trainings: the most that pilots may take beside the first where they are dear
SHARING = 10  # trainings that use one extraction of features, so that each carries that part of it
FEWEST = 3  # trainings in a campaign, one after the other: of the baseline, to search, of what ships


def choose_candidates(study: Study, desk: Desk, start: StartingPoint, trainings: int) -> tuple[Candidate, ...]:
    """The changes to be tried, from the symptoms of the start's own probe; the ledger keeps why, and why not others."""
    tried = [r for r in desk.ledger.trials() if r.recipe == start.recipe and r.role in ("probe", "pilot")]
    found = diagnose(tried[0].outcome, study.validation_labels, start.recipe, study.facts) if tried[0].outcome else ()
    timed = desk.ledger.trials("pilot")[:1] + desk.ledger.trials("probe")
    each = study.seconds(start.recipe, timed, again=True)
    sharing = max(1.0, min(SHARING, trainings / 2))

    def cost(recipe: Recipe) -> float:
        again = study.seconds(recipe, timed, again=True)
        return (again + (study.seconds(recipe, timed) - again) / sharing) / each

    symptoms = {diagnosis.symptom for diagnosis in found}
    chosen, left_out = candidates(start.recipe, study.facts, symptoms, limit_for(trainings), cost, DEAREST)
    desk.ledger.record("diagnosis", [diagnosis.reason for diagnosis in found])
    desk.ledger.record("candidates", [candidate.name for candidate in chosen])
    desk.ledger.record("left out", {each.name: each.reason for each in left_out})
    return chosen


@dataclass(frozen=True)
class Division:
    """trainings: how many of the start fit into the time; pilots and finals: how many of them the search leaves."""

    trainings: int
    pilots: int
    finals: int


def has_room(study: Study, desk: Desk, recipe: Recipe) -> bool:
    """Whether a campaign that starts from this recipe fits into the time that is left."""
    left = desk.left() - study.closing_seconds
    return left >= FEWEST * study.seconds(recipe, desk.ledger.trials())


def divide(study: Study, desk: Desk, start: StartingPoint) -> Division:
    """How much the time buys, settled once. Raises BudgetError where that is no campaign."""
    known = desk.ledger.recall("division")
    if known is None:
        records = desk.ledger.trials()
        each = study.seconds(start.recipe, records)
        left = desk.left() - study.closing_seconds
        trainings = math.floor(left * desk.executor.capacity / each)
        if not has_room(study, desk, start.recipe):
            raise BudgetError(
                f"budget {format_duration(desk.budget_seconds)} is too short: a training takes {each:.0f} s here, and "
                f"{FEWEST} must fit; allow at least {format_duration(desk.budget_seconds - left + FEWEST * each + 1)}."
            )
        cost = study.seconds(study.baseline, records) / each
        pilots, finals = _arms(trainings, cost, desk.executor.capacity)
        known = [trainings, pilots, finals]
        desk.ledger.record("division", known)
    return Division(*known)


def _arms(trainings: int, pilot_cost: float, workers: int) -> tuple[int, int]:
    """Pilots and final runs: the table's, more where they cost next to nothing.

    No worker idles in the last round of finals; pilots that cost a fraction of a training are as many as PILOTS_SHARE
    of the trainings pay for, since the gain's variance falls with both. Dear ones leave most of the time to the search.
    """
    pilots, finals = pilots_and_finals(trainings)
    finals = min(math.ceil(finals / workers) * workers, max(1, trainings // 3))
    cheap = min(MOST_PILOTS, int(PILOTS_SHARE * trainings / pilot_cost))
    return min(max(pilots, cheap), 1 + int(DEAR_SHARE * trainings / pilot_cost)), finals
