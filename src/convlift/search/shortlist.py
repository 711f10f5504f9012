"""Which changes are tried: settled once, after the probes, and kept in the ledger."""

from convlift.catalogue.candidates import Candidate, LeftOut, candidates, limit_for
from convlift.catalogue.diagnose import Diagnosis, diagnose
from convlift.catalogue.priors import document, shipped_expectations
from convlift.catalogue.starting_points import StartingPoint
from convlift.catalogue.symptoms import Symptom
from convlift.ledger.fingerprint import fingerprint
from convlift.ledger.records import Plan, TrialRecord
from convlift.recipe.recipe import Recipe
from convlift.search.decisions import Allocation, Shortlist, note
from convlift.search.dispatcher import Dispatcher
from convlift.search.study import Study

DEAREST = 3.0  # a candidate may make a training this many times as dear
ENOUGH_FOR_HALF = 25  # trainings: half of one is then at most 2% of the time
HALF = "half of the images"
SHARING = 10  # trainings that use one extraction of features, so that each carries that part of it
REVISION_PART = 8  # one in so many places on the list is kept for the revision


def try_half(study: Study, desk: Dispatcher, start: StartingPoint, trainings: int) -> list[Plan]:
    """The start on half of the training images, which says whether more would help; nothing where few trainings fit, or
    where the start is not what the catalogue changes."""
    if trainings < ENOUGH_FOR_HALF or study.pool is not None:
        return []
    fidelity = _first_of(desk, start).fidelity
    return [study.plan("probe", halved(start.recipe), len(study.points), (HALF,), fidelity)]


def _first_of(desk: Dispatcher, start: StartingPoint) -> TrialRecord:
    """The start's own probe, or the first pilot where it is the baseline."""
    tried = (r for r in desk.ledger.trials() if r.recipe == start.recipe and r.role in ("probe", "pilot"))
    return next(tried)


def halved(recipe: Recipe) -> Recipe:
    """The recipe on half of the images that it trains on."""
    return recipe.edit(data={"images": 0.5 * recipe.data.images})


def choose_candidates(
    study: Study, desk: Dispatcher, start: StartingPoint, division: Allocation
) -> tuple[Candidate, ...]:
    """The changes to be tried, from the symptoms of the start's own probe; the ledger keeps why, and why not others.

    An eighth of the list stays free for what the revision may add. Where the study brings a pool of its own, that is
    tried as it is; where there is no search, nothing is.
    """
    trainings = division.trainings
    if study.pool is not None or division.searches < 1:
        found = symptoms_of_the_start(study, desk, start) if study.pool is None else ()
        tried = study.pool if study.pool is not None and division.searches > 0 else ()
        note(desk.ledger, Shortlist(tuple(each.name for each in tried), found))
        return tried
    found = symptoms_of_the_start(study, desk, start)
    limit = limit_for(trainings)
    chosen, left_out = fitting_the_start(study, desk, start, found, limit - limit // REVISION_PART, trainings)
    shortlist = Shortlist(
        names=tuple(candidate.name for candidate in chosen),
        symptoms=found,
        why={candidate.name: candidate.why for candidate in chosen if candidate.why},
        left_out={each.name: each.reason for each in left_out},
        priors=fingerprint(document(study.expectations or shipped_expectations())),
    )
    note(desk.ledger, shortlist)
    return chosen


def symptoms_of_the_start(study: Study, desk: Dispatcher, start: StartingPoint) -> tuple[Diagnosis, ...]:
    """What the start's own probe shows; a shortened one is no witness for too little training."""
    first = _first_of(desk, start)
    outcome = first.outcome
    halves = [r.outcome for r in desk.ledger.trials("probe") if r.recipe == halved(start.recipe)]
    half = halves[0] if halves else None
    found = diagnose(outcome, study.validation_labels, start.recipe, study.facts, half) if outcome else ()
    if first.fidelity < 1.0:  # a shortened probe learns less than its recipe would
        found = tuple(each for each in found if each.symptom not in (Symptom.UNDER_TRAINED, Symptom.UNDERFIT))
    return found


def fitting_the_start(
    study: Study, desk: Dispatcher, start: StartingPoint, found: tuple[Diagnosis, ...], limit: int, trainings: int
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
