"""How the budget is divided, and which changes are tried: settled once, after the probes, and kept in the ledger."""

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from convlift.campaign.guard import added
from convlift.campaign.study import Study
from convlift.errors import BudgetError
from convlift.evidence.plan import pilots_and_finals
from convlift.execute.desk import Desk
from convlift.ledger.fingerprint import fingerprint
from convlift.ledger.ledger import Ledger
from convlift.ledger.records import Plan, TrialRecord
from convlift.recipe import Recipe
from convlift.study.budget import format_duration
from convlift.study.candidates import CATALOGUE, SHORT, Candidate, LeftOut, candidates, limit_for
from convlift.study.diagnose import Diagnosis, diagnose
from convlift.study.interventions.joint import JOINT
from convlift.study.priors import document, shipped_expectations
from convlift.study.starting_points import StartingPoint
from convlift.study.symptoms import Symptom

DEAREST = 3.0  # a candidate may make a training this many times as dear
PILOTS_SHARE = 0.05  # of the trainings: what pilots may take where they are cheap
MOST_PILOTS = 8
DEAR_SHARE = 0.2  # of the trainings: the most that pilots may take beside the first where they are dear
ENOUGH_FOR_HALF = 25  # trainings: half of one is then at most 2% of the time
HALF = "half of the images"
SHARING = 10  # trainings that use one extraction of features, so that each carries that part of it
REVISION_PART = 8  # one in so many places on the list is kept for the revision
LEAST_BEFORE_REVISION = 4  # search runs: with fewer, which of them is the best is chance
DOUBTED = 0.15  # probability of helping, below which the report calls a change harmful (evidence/verdicts.py)
FEWEST = 3  # trainings in a campaign, one after the other: of the baseline, to search, of what ships


def try_half(study: Study, desk: Desk, start: StartingPoint, trainings: int) -> list[Plan]:
    """The start on half of the training images, which says whether more would help; nothing where few trainings fit, or
    where the start is not what the catalogue changes."""
    if trainings < ENOUGH_FOR_HALF or study.pool is not None:
        return []
    fidelity = _first_of(desk, start).fidelity
    return [study.plan("probe", halved(start.recipe), len(study.points), (HALF,), fidelity)]


def _first_of(desk: Desk, start: StartingPoint) -> TrialRecord:
    """The start's own probe, or the first pilot where it is the baseline."""
    tried = (r for r in desk.ledger.trials() if r.recipe == start.recipe and r.role in ("probe", "pilot"))
    return next(tried)


def halved(recipe: Recipe) -> Recipe:
    """The recipe on half of the images that it trains on."""
    return recipe.edit(data={"images": 0.5 * recipe.data.images})


def choose_candidates(study: Study, desk: Desk, start: StartingPoint, trainings: int) -> tuple[Candidate, ...]:
    """The changes to be tried, from the symptoms of the start's own probe; the ledger keeps why, and why not others.

    An eighth of the list stays free for what the revision may add. Where the study brings a pool of its own, that is
    tried as it is.
    """
    if study.pool is not None:
        desk.ledger.record("diagnosis", [])
        desk.ledger.record("candidates", [candidate.name for candidate in study.pool])
        desk.ledger.record("left out", {})
        return study.pool
    desk.ledger.record("priors", fingerprint(document(study.expectations or shipped_expectations())))
    found = _of_the_start(study, desk, start)
    limit = limit_for(trainings)
    chosen, left_out = _fitting(study, desk, start, found, limit - limit // REVISION_PART, trainings)
    desk.ledger.record("diagnosis", [diagnosis.sentence for diagnosis in found])
    desk.ledger.record("candidates", [candidate.name for candidate in chosen])
    desk.ledger.record("why", {candidate.name: candidate.why for candidate in chosen})
    desk.ledger.record("left out", {each.name: each.reason for each in left_out})
    return chosen


def _of_the_start(study: Study, desk: Desk, start: StartingPoint) -> tuple[Diagnosis, ...]:
    first = _first_of(desk, start)
    outcome = first.outcome
    halves = [r.outcome for r in desk.ledger.trials("probe") if r.recipe == halved(start.recipe)]
    half = halves[0] if halves else None
    found = diagnose(outcome, study.validation_labels, start.recipe, study.facts, half) if outcome else ()
    if first.fidelity < 1.0:  # a shortened probe learns less than its recipe would
        found = tuple(each for each in found if each.symptom not in (Symptom.UNDER_TRAINED, Symptom.UNDERFIT))
    return found


def _fitting(
    study: Study, desk: Desk, start: StartingPoint, found: tuple[Diagnosis, ...], limit: int, trainings: int
) -> tuple[tuple[Candidate, ...], tuple[LeftOut, ...]]:
    """The catalogue against the start's recipe, each change with its price; from the first runs alone, so that a
    resumed campaign finds the same."""
    timed = desk.ledger.trials("pilot")[:1] + desk.ledger.trials("probe")
    each = study.seconds(start.recipe, timed, again=True)
    sharing = max(1.0, min(SHARING, trainings / 2))

    def cost(recipe: Recipe) -> float:
        again = study.seconds(recipe, timed, again=True)
        return (again + (study.seconds(recipe, timed) - again) / sharing) / each

    symptoms = {diagnosis.symptom for diagnosis in found}
    return candidates(start.recipe, study.facts, symptoms, limit, cost, DEAREST, study.expectations)


def revision_is_due(study: Study, desk: Desk, division: "Division") -> bool:
    """Whether the first third of the search has ended and the list of changes was not revised yet; a pool never is."""
    ended = sum(record.outcome is not None for record in desk.ledger.trials("search"))
    third = max(LEAST_BEFORE_REVISION, division.searches / 3)
    return study.pool is None and ended >= third and desk.ledger.recall("revision") is None


def revise_candidates(
    study: Study,
    desk: Desk,
    start: StartingPoint,
    chosen: tuple[Candidate, ...],
    belief_mean: NDArray[np.float64],
    belief_probability: NDArray[np.float64],
) -> tuple[Candidate, ...]:
    """The list of changes, once revised: what the symptoms of the search call for is added at its end.

    belief_mean, belief_probability (K,): of the chosen changes, from validation images alone. Nothing is taken off the
    list: what probably harms is hardly drawn any more, and stays declared, so that the correction for the number of
    changes counts it. The ledger's fact "revision" keeps the reasons, and gives a resumed campaign the same list.
    """
    if desk.ledger.recall("revision") is None:
        desk.ledger.record("revision", _revision(study, desk, start, chosen, belief_mean, belief_probability))
    return revised(desk.ledger, chosen)


def revised(ledger: Ledger, chosen: tuple[Candidate, ...]) -> tuple[Candidate, ...]:
    """The list with what the revision added; as it is where there was none so far."""
    kept = ledger.recall("revision", {"added": []})
    catalogue = {intervention.name: intervention for intervention in CATALOGUE}
    return chosen + tuple(
        Candidate(catalogue[each["name"]], each["prior"], each["cost"], each["why"]) for each in kept["added"]
    )


def _revision(
    study: Study,
    desk: Desk,
    start: StartingPoint,
    chosen: tuple[Candidate, ...],
    belief_mean: NDArray[np.float64],
    belief_probability: NDArray[np.float64],
) -> dict[str, Any]:
    """What the fact "revision" holds. added: what answers a symptom that the run believed to be the best shows and the
    start did not, where no symptom speaks against it, the guard has no objection, and no level of its factor is
    probably harmful: the most promising of each factor, as many as the list has room for."""
    ended = [r for r in desk.ledger.trials("search") if r.status == "finished"]
    worth = dict(zip((candidate.name for candidate in chosen), belief_mean, strict=True))
    best = max(ended, key=lambda record: sum(worth[name] for name in record.names), default=None)
    if best is None or best.outcome is None:
        return {"trial": None, "diagnosis": [], "added": [], "doubted": []}
    now = diagnose(best.outcome, study.validation_labels, best.recipe, study.facts)
    symptoms = {diagnosis.symptom for diagnosis in now}
    new = symptoms - {diagnosis.symptom for diagnosis in _of_the_start(study, desk, start)}
    doubted = [c for c, p in zip(chosen, belief_probability, strict=True) if p < DOUBTED]
    spoiled = {factor for candidate in doubted for factor in candidate.intervention.factors}
    trainings = desk.ledger.recall("division")[0]
    wanted = [
        candidate
        for candidate in _fitting(study, desk, start, now, len(CATALOGUE), trainings)[0]
        # the guard names what it weakened after what it was
        if not any(each.name == candidate.name or each.name.startswith(f"{candidate.name}, ") for each in chosen)
        and new & set(candidate.intervention.helps)
        and not symptoms & set(candidate.intervention.hurts)
        and not spoiled & set(candidate.intervention.factors)
        and _is_guarded(desk, start.recipe, candidate)
        and (candidate.intervention not in JOINT or limit_for(trainings) >= SHORT)
    ]
    promising: list[Candidate] = []
    for candidate in sorted(wanted, key=lambda candidate: -candidate.promise):
        taken = {factor for each in promising for factor in each.intervention.factors}
        if len(chosen) + len(promising) < limit_for(trainings) and not taken & set(candidate.intervention.factors):
            promising.append(candidate)
    return {
        "trial": best.id,
        "diagnosis": [diagnosis.sentence for diagnosis in now if diagnosis.symptom in new],
        "added": [{"name": c.name, "prior": c.prior, "cost": c.cost, "why": c.why} for c in promising],
        "doubted": [candidate.name for candidate in doubted],
    }


def _is_guarded(desk: Desk, start: Recipe, candidate: Candidate) -> bool:
    """Whether every augmentation that it adds has passed the guard at that strength; so too where none was asked."""
    asked = desk.ledger.recall("guard", {"asked": []})["asked"]
    passed = [
        entry["answers"][-1]["strengths"]
        for entry in asked
        # what is weakened to the rest of a bundle was not asked about again
        if entry["verdict"] == "kept" or (entry["verdict"] == "weakened" and len(entry["answers"]) > 1)
    ]
    raised = added(start, candidate.intervention.edit(start))
    return not asked or all(any(each.get(name, 0.0) >= most for each in passed) for name, most in raised.items())


@dataclass(frozen=True)
class Division:
    """trainings: how many of the start fit into the time that the probes left; pilots, finals: runs of the baseline
    and of what ships; before: pilots that had ended by then."""

    trainings: int
    pilots: int
    finals: int
    before: int = 1

    @property
    def searches(self) -> int:
        """How many trainings are left for the search."""
        return self.trainings - (self.pilots - self.before) - self.finals


def has_room(study: Study, desk: Desk, recipe: Recipe) -> bool:
    """Whether a campaign that starts from this recipe fits into the time that is left."""
    left = desk.left() - study.closing_seconds
    return left >= FEWEST * study.seconds(recipe, desk.ledger.trials())


def budget_for(study: Study, desk: Desk, each: float) -> float:
    """The budget in seconds with which a start would have room whose trainings take `each`, by what is spent so far."""
    return desk.budget_seconds - (desk.left() - study.closing_seconds) + FEWEST * each + 1


def divide(study: Study, desk: Desk, start: StartingPoint) -> Division:
    """How much the time buys, settled once. Raises BudgetError where that is no campaign."""
    known = desk.ledger.recall("division")
    if known is None:
        records = desk.ledger.trials()
        each = study.seconds(start.recipe, records)
        left = desk.left() - study.closing_seconds
        trainings = math.floor(left * desk.executor.capacity / each)
        if not has_room(study, desk, start.recipe):
            allow = budget_for(study, desk, each)
            raise BudgetError(
                f"budget {format_duration(desk.budget_seconds)} is too short: a training takes {each:.0f} s here, and "
                f"{FEWEST} must fit; allow at least {format_duration(allow)}.",
                allow,
            )
        cost = study.seconds(study.baseline, records) / each
        pilots, finals = arms(trainings, cost, desk.executor.capacity)
        before = len(desk.ledger.trials("pilot"))  # some ran beside the probes
        known = [trainings, max(pilots, before), finals, before]
        desk.ledger.record("division", known)
    return Division(*known)


def arms(trainings: int, pilot_cost: float, workers: int) -> tuple[int, int]:
    """Pilots and final runs: the table's, more where they cost next to nothing.

    No worker idles in the last round of finals; pilots that cost a fraction of a training are as many as PILOTS_SHARE
    of the trainings pay for, since the gain's variance falls with both. Dear ones leave most of the time to the search.
    """
    pilots, finals = pilots_and_finals(trainings)
    finals = min(math.ceil(finals / workers) * workers, max(1, trainings // 3))
    cheap = min(MOST_PILOTS, int(PILOTS_SHARE * trainings / pilot_cost))
    return min(max(pilots, cheap), 1 + int(DEAR_SHARE * trainings / pilot_cost)), finals
