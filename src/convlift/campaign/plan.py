"""Which changes are tried: settled once, after the probes, revised once, and kept in the ledger."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from convlift.campaign.allocate import Division
from convlift.campaign.guard import added
from convlift.campaign.study import Study
from convlift.execute.desk import Desk
from convlift.ledger.fingerprint import fingerprint
from convlift.ledger.ledger import Ledger
from convlift.ledger.records import Plan, TrialRecord
from convlift.recipe import Recipe
from convlift.study.candidates import CATALOGUE, SHORT, Candidate, LeftOut, candidates, limit_for
from convlift.study.diagnose import Diagnosis, diagnose
from convlift.study.interventions.joint import JOINT
from convlift.study.priors import document, shipped_expectations
from convlift.study.starting_points import StartingPoint
from convlift.study.symptoms import Symptom

DEAREST = 3.0  # a candidate may make a training this many times as dear
ENOUGH_FOR_HALF = 25  # trainings: half of one is then at most 2% of the time
HALF = "half of the images"
SHARING = 10  # trainings that use one extraction of features, so that each carries that part of it
REVISION_PART = 8  # one in so many places on the list is kept for the revision
LEAST_BEFORE_REVISION = 4  # search runs: with fewer, which of them is the best is chance
DOUBTED = 0.15  # probability of helping, below which the report calls a change harmful (evidence/verdicts.py)


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


def choose_candidates(study: Study, desk: Desk, start: StartingPoint, division: Division) -> tuple[Candidate, ...]:
    """The changes to be tried, from the symptoms of the start's own probe; the ledger keeps why, and why not others.

    An eighth of the list stays free for what the revision may add. Where the study brings a pool of its own, that is
    tried as it is; where there is no search, nothing is.
    """
    trainings = division.trainings
    if study.pool is not None or division.searches < 1:
        found = _of_the_start(study, desk, start) if study.pool is None else ()
        tried = study.pool if study.pool is not None and division.searches > 0 else ()
        desk.ledger.record("diagnosis", [diagnosis.sentence for diagnosis in found])
        desk.ledger.record("candidates", [candidate.name for candidate in tried])
        desk.ledger.record("left out", {})
        return tried
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


def revision_is_due(study: Study, desk: Desk, division: Division, seen: Sequence[TrialRecord]) -> bool:
    """Whether the first third of the search has ended and the list of changes was not revised yet; a pool never is.

    seen: the trials of the search that may be looked at.
    """
    ended = sum(record.outcome is not None for record in seen)
    third = max(LEAST_BEFORE_REVISION, division.searches / 3)
    return study.pool is None and ended >= third and desk.ledger.recall("revision") is None


def revise_candidates(
    study: Study,
    desk: Desk,
    start: StartingPoint,
    chosen: tuple[Candidate, ...],
    believed: tuple[NDArray[np.float64], NDArray[np.float64]],
    seen: Sequence[TrialRecord],
) -> tuple[Candidate, ...]:
    """The list of changes, once revised: what the symptoms of the search call for is added at its end.

    believed (K,) each: mean effect and probability of helping of the chosen changes, from validation images alone;
    seen: the trials of the search that may be looked at. Nothing is taken off the
    list: what probably harms is hardly drawn any more, and stays declared, so that the correction for the number of
    changes counts it. The ledger's fact "revision" keeps the reasons, and gives a resumed campaign the same list.
    """
    if desk.ledger.recall("revision") is None:
        desk.ledger.record("revision", _revision(study, desk, start, chosen, believed, seen))
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
    believed: tuple[NDArray[np.float64], NDArray[np.float64]],
    seen: Sequence[TrialRecord],
) -> dict[str, Any]:
    """What the fact "revision" holds. added: what answers a symptom that the run believed to be the best shows and the
    start did not, where no symptom speaks against it, the guard has no objection, and no level of its factor is
    probably harmful: the most promising of each factor, as many as the list has room for."""
    belief_mean, belief_probability = believed
    ended = [r for r in seen if r.status == "finished"]
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
    """Whether every augmentation that it adds has passed the guard at that strength; so too where nobody guards."""
    settled = desk.ledger.recall("guard")
    if settled is None:
        return True
    asked = settled["asked"]
    passed = [
        entry["answers"][-1]["strengths"]
        for entry in asked
        # what is weakened to the rest of a bundle was not asked about again
        if entry["verdict"] == "kept" or (entry["verdict"] == "weakened" and len(entry["answers"]) > 1)
    ]
    raised = added(start, candidate.intervention.edit(start))
    return all(any(each.get(name, 0.0) >= most for each in passed) for name, most in raised.items())
