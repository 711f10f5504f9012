"""Which changes are tried: settled once, after the first runs, and kept in the ledger."""

from convlift.catalogue.candidates import Candidate, CostLimit, LeftOut, candidates, limit_for
from convlift.catalogue.diagnose import Diagnosis, diagnose
from convlift.catalogue.priors import document, shipped_expectations
from convlift.catalogue.starting_points import StartingPoint
from convlift.catalogue.symptoms import Symptom
from convlift.ledger.fingerprint import fingerprint
from convlift.ledger.trials import Plan, TrialRecord
from convlift.recipe.recipe import Recipe
from convlift.search.context import Search
from convlift.search.decisions import Allocation, Shortlist, note

DEAREST = 3.0  # a candidate may make a training this many times as dear
ENOUGH_FOR_HALF = 25  # trainings: half of one is then at most 2% of the time
HALF = "half of the images"
SHARING = 10  # trainings that use one extraction of features, so that each carries that part of it
REVISION_PART = 8  # one in so many places on the list is kept for the revision


def try_half(search: Search, start: StartingPoint, trainings: int) -> list[Plan]:
    """The start on half of the training images, which says whether more would help; nothing where few trainings fit, or
    where the start is not what the catalogue changes."""
    if trainings < ENOUGH_FOR_HALF or search.problem.pool is not None:
        return []
    first = _first_of(search, start)
    if first is None:
        return []
    return [search.problem.plan("start", halved(start.recipe), len(search.problem.points), (HALF,), first.fidelity)]


def _first_of(search: Search, start: StartingPoint) -> TrialRecord | None:
    """The start's own first run, or the baseline's where it is the baseline; None of one that had none as it is now."""
    tried = (r for r in search.ledger.trials() if r.recipe == start.recipe and r.role in ("start", "baseline"))
    return next(tried, None)


def halved(recipe: Recipe) -> Recipe:
    """The recipe on half of the images that it trains on."""
    return recipe.edit(data={"images": 0.5 * recipe.data.images})


def choose_candidates(search: Search, start: StartingPoint, division: Allocation) -> tuple[Candidate, ...]:
    """The changes to be tried, from the symptoms of the start's own first run; the ledger keeps why, and why not
    others.

    An eighth of the list stays free for what the revision may add. Where the study brings a pool of its own, that is
    tried as it is; where there is no search, nothing is.
    """
    trainings = division.trainings
    if search.problem.pool is not None or division.searches < 1:
        found = symptoms_of_the_start(search, start) if search.problem.pool is None else ()
        tried = search.problem.pool if search.problem.pool is not None and division.searches > 0 else ()
        note(search.ledger, Shortlist(tuple(each.name for each in tried), found))
        return tried
    found = symptoms_of_the_start(search, start)
    limit = limit_for(trainings)
    chosen, left_out = fitting_the_start(search, start, found, limit - limit // REVISION_PART, trainings)
    shortlist = Shortlist(
        names=tuple(candidate.name for candidate in chosen),
        symptoms=found,
        why={candidate.name: candidate.why for candidate in chosen if candidate.why},
        left_out={each.name: each.reason for each in left_out},
        priors=fingerprint(document(search.problem.expectations or shipped_expectations())),
    )
    note(search.ledger, shortlist)
    return chosen


def symptoms_of_the_start(search: Search, start: StartingPoint) -> tuple[Diagnosis, ...]:
    """What the start's own first run shows; a shortened one is no witness for too little training."""
    first = _first_of(search, start)
    if first is None:  # its length was fitted to the time, and it had no first run
        return ()
    outcome = first.outcome
    halves = [r.outcome for r in search.ledger.trials("start") if r.recipe == halved(start.recipe)]
    half = halves[0] if halves else None
    problem = search.problem
    found = diagnose(outcome, problem.validation_labels, start.recipe, problem.facts, half) if outcome else ()
    if first.fidelity < 1.0:  # a shortened first run learns less than its recipe would
        found = tuple(each for each in found if each.symptom not in (Symptom.UNDER_TRAINED, Symptom.UNDERFIT))
    return found


def fitting_the_start(
    search: Search, start: StartingPoint, found: tuple[Diagnosis, ...], limit: int, trainings: int
) -> tuple[tuple[Candidate, ...], tuple[LeftOut, ...]]:
    """The catalogue against the start's recipe, each change with its price; from the first runs alone, so that a
    resumed campaign finds the same."""
    timed = search.ledger.trials("baseline")[:1] + search.ledger.trials("start")
    each = search.seconds(start.recipe, timed, again=True)
    sharing = max(1.0, min(SHARING, trainings / 2))

    def cost(recipe: Recipe) -> float:
        again = search.seconds(recipe, timed, again=True)
        return (again + (search.seconds(recipe, timed) - again) / sharing) / each

    symptoms = {diagnosis.symptom for diagnosis in found}
    return candidates(
        start.recipe, search.problem.facts, symptoms, limit, CostLimit(cost, DEAREST), search.problem.expectations
    )
