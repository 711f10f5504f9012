"""The list of changes, revised once after a third of the search."""

from collections.abc import Sequence
from pathlib import Path

from convlift.catalogue.candidates import CATALOGUE, SHORT, Candidate, limit_for
from convlift.catalogue.diagnose import diagnose
from convlift.catalogue.intervention import Intervention
from convlift.catalogue.interventions.joint import JOINT
from convlift.catalogue.starting_points import StartingPoint
from convlift.errors import LedgerError
from convlift.evidence import posterior
from convlift.ledger.ledger import Ledger
from convlift.ledger.trials import TrialRecord
from convlift.recipe.recipe import Recipe
from convlift.search.augmentation_guard import added
from convlift.search.context import Search
from convlift.search.decisions import AddedChange, Allocation, GuardReport, Revision, decided, made, settle
from convlift.search.shortlist import fitting_the_start, symptoms_of_the_start

LEAST_BEFORE_REVISION = 4  # search runs: with fewer, which of them is the best is chance
DOUBTED = 0.15  # probability of helping, below which the report calls a change harmful (evidence/verdicts.py)


def revision_is_due(search: Search, division: Allocation, seen: Sequence[TrialRecord]) -> bool:
    """Whether the first third of the search has ended and the list of changes was not revised yet; a pool never is.

    seen: the trials of the search that may be looked at.
    """
    ended = sum(record.outcome is not None for record in seen)
    third = max(LEAST_BEFORE_REVISION, division.searches / 3)
    return search.problem.pool is None and ended >= third and decided(search.ledger, Revision) is None


def revise_candidates(
    search: Search,
    start: StartingPoint,
    chosen: tuple[Candidate, ...],
    belief: posterior.Belief,
    seen: Sequence[TrialRecord],
) -> tuple[Candidate, ...]:
    """The list of changes, once revised: what the symptoms of the search call for is added at its end.

    belief: in the chosen changes, from validation images alone;
    seen: the trials of the search that may be looked at. Nothing is taken off the
    list: what probably harms is hardly drawn any more, and stays declared, so that the correction for the number of
    changes counts it. The ledger keeps the reasons, and gives a resumed campaign the same list.
    """
    settle(search.ledger, Revision, lambda: _revision(search, start, chosen, belief, seen))
    return revised(search.ledger, chosen)


def revised(ledger: Ledger, chosen: tuple[Candidate, ...]) -> tuple[Candidate, ...]:
    """The list with what the revision added; as it is where there was none so far."""
    kept = decided(ledger, Revision) or Revision()
    return chosen + tuple(
        Candidate(known(each.name, ledger.folder), each.prior, each.cost, each.why) for each in kept.added
    )


def known(name: str, folder: Path) -> Intervention:
    """The change of the catalogue. Raises LedgerError where a campaign's is none of today's."""
    found = next((intervention for intervention in CATALOGUE if intervention.name == name), None)
    if found is None:
        raise LedgerError(
            f"the campaign in {folder} tried '{name}', which this version of convlift has no more; continue it with "
            "the version that began it, or run it again in another folder."
        )
    return found


def _revision(
    search: Search,
    start: StartingPoint,
    chosen: tuple[Candidate, ...],
    belief: posterior.Belief,
    seen: Sequence[TrialRecord],
) -> Revision:
    """The revision. added: what answers a symptom that the run believed to be the best shows and the
    start did not, where no symptom speaks against it, the guard has no objection, and no level of its factor is
    probably harmful: the most promising of each factor, as many as the list has room for."""
    ended = [r for r in seen if r.status == "finished"]
    worth = dict(zip((candidate.name for candidate in chosen), belief.mean, strict=True))
    best = max(ended, key=lambda record: sum(worth[name] for name in record.names), default=None)
    if best is None or best.outcome is None:
        return Revision()
    now = diagnose(best.outcome, search.problem.validation_labels, best.recipe, search.problem.facts)
    symptoms = {diagnosis.symptom for diagnosis in now}
    new = symptoms - {diagnosis.symptom for diagnosis in symptoms_of_the_start(search, start)}
    doubted = [c for c, p in zip(chosen, belief.probability, strict=True) if p < DOUBTED]
    spoiled = {factor for candidate in doubted for factor in candidate.intervention.factors}
    trainings = made(search.ledger, Allocation).trainings
    wanted = [
        candidate
        for candidate in fitting_the_start(search, start, now, len(CATALOGUE), trainings)[0]
        # the guard names what it weakened after what it was
        if not any(each.name == candidate.name or each.name.startswith(f"{candidate.name}, ") for each in chosen)
        and new & set(candidate.intervention.helps)
        and not symptoms & set(candidate.intervention.hurts)
        and not spoiled & set(candidate.intervention.factors)
        and _is_guarded(search, start.recipe, candidate)
        and (candidate.intervention not in JOINT or limit_for(trainings) >= SHORT)
    ]
    promising: list[Candidate] = []
    for candidate in sorted(wanted, key=lambda candidate: -candidate.promise):
        taken = {factor for each in promising for factor in each.intervention.factors}
        if len(chosen) + len(promising) < limit_for(trainings) and not taken & set(candidate.intervention.factors):
            promising.append(candidate)
    return Revision(
        trial=best.id,
        symptoms=tuple(diagnosis for diagnosis in now if diagnosis.symptom in new),
        added=tuple(AddedChange(c.name, c.prior, c.cost, c.why) for c in promising),
        doubted=tuple(candidate.name for candidate in doubted),
    )


def _is_guarded(search: Search, start: Recipe, candidate: Candidate) -> bool:
    """Whether every augmentation that it adds has passed the guard at that strength; so too where nobody guards."""
    settled = decided(search.ledger, GuardReport)
    if settled is None:
        return True
    passed = [
        entry.answers[-1]["strengths"]
        for entry in settled.asked
        # what is weakened to the rest of a bundle was not asked about again
        if entry.verdict == "kept" or (entry.verdict == "weakened" and len(entry.answers) > 1)
    ]
    raised = added(start, candidate.intervention.edit(start))
    return all(any(each.get(name, 0.0) >= most for each in passed) for name, most in raised.items())
