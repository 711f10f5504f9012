"""What is trained first: one pass of pretrained features, and the baseline, or the part of it that fits."""

from collections.abc import Sequence

from convlift.catalogue.starting_points import FINE_TUNE, StartingPoint
from convlift.cost.seconds import USUAL_CORE
from convlift.ledger.trials import Plan, TrialRecord
from convlift.recipe.architecture import Pretrained
from convlift.recipe.recipe import Recipe
from convlift.search.allocate import BASELINE_MOST
from convlift.search.context import Search
from convlift.search.decisions import decided, note, settle, times_unsettled
from convlift.search.length import ask_about_fine_tuning
from convlift.search.problem import BASELINE, Problem
from convlift.search.scratch_length import ask_about_scratch
from convlift.search.start_decisions import FirstTrainings, OtherFeatures, Start

FIRST_MOST = 0.6  # of the time: what one pass of pretrained features may take, the best that can be had early
# the same of small grey images, which a network from scratch classifies better in the end: .92 and .91 against .90 and
# .86 with all of the network fine-tuned, on Fashion-MNIST and pneumonia in five minutes (docs/decisions/0038); and what
# a shortened first run of one that fine-tunes may take
GREY_MOST, SMALL = 0.1, 64
ALONE_MOST = 0.7  # of the time: a run of the baseline where nothing else fits
FIRST_LATEST = 0.5  # of the time: when the first trainings end, whatever was predicted
ALONE_LATEST = 0.8  # the same for the pretrained features, and for the baseline where they do not fit
OTHER_MOST = 0.15  # of what is left: what one pass of a further backbone's features may take
LIGHTEST = 2e-3  # seconds an image: no pretrained network of the usual ones extracts its features faster on a core
MOST_TO_PREDICT = 0.7  # of a training's time: with more for its predictions it would learn nothing
MANY = 100  # numbers of first runs between one going on of a campaign and the next
LEAST = 0.002  # of a training: the shortest that is planned


def start_run_of(search: Search, point: StartingPoint, fidelity: float = 1.0) -> Plan:
    """The point's first run: the one that there is, or a new one where a campaign that goes on with more time has none
    that was as long as this one shall be."""
    place = [each.name for each in search.problem.points].index(point.name)
    plan = search.problem.plan("start", point.recipe, place, (point.name,), fidelity)
    for again in range(1, 1 + times_unsettled(search.ledger, Start)):
        known = [r for r in search.ledger.trials("start") if r.seed == plan.spec.seed and r.recipe == plan.spec.recipe]
        if not known or (known[0].status != "stopped" and known[0].fidelity >= fidelity):
            break
        plan = search.problem.plan("start", point.recipe, place + again * MANY, (point.name,), fidelity)
    return plan


def first_trainings(search: Search) -> tuple[TrialRecord, ...]:
    """One pass of pretrained features where it fits, and the first run of the baseline, or the part of it that fits.

    Settled once: a resumed campaign has less time, and keeps what it has. With several workers the baseline begins
    before the seconds that it takes to load a pretrained network and count its multiply-adds.
    """
    points = _first_features(search)
    most = GREY_MOST if are_small_and_grey(search.problem) else FIRST_MOST
    lightest = LIGHTEST if search.problem.pace.speeds is USUAL_CORE else 0.0
    may_fit = bool(points) and lightest * _images(search) <= most * search.left()
    settled = decided(search.ledger, FirstTrainings)
    part = settled.baseline_part if settled else _part_of_the_baseline(search, may_fit)
    baseline_run = search.problem.plan("baseline", search.problem.baseline, 0, fidelity=part)

    def seconds(plan: Plan) -> float:
        # features that are not complete are worth nothing, of a run of the baseline a part is
        is_alone = plan.role == "start" or not may_fit
        return (ALONE_LATEST if is_alone else FIRST_LATEST) * search.left()

    if may_fit and (search.workers > 1 or search.problem.trainings):  # counted, all workers claim in one order
        search.dispatcher.start(baseline_run, seconds)
    cheapest = _cheapest(search, points)
    if settled is None:
        fits = may_fit and search.seconds(cheapest.recipe, ()) <= most * search.left() if cheapest else False
        settled = note(search.ledger, FirstTrainings(fits, part))
    start_run = [start_run_of(search, cheapest)] if cheapest and settled.features_fit else []
    is_alone = sum(point.way == FINE_TUNE for point in search.problem.starts) == 1
    if start_run and search.workers > 1 and is_alone and not search.problem.trainings:
        ask_about_fine_tuning(search, search.dispatcher.first(start_run[0], seconds))
    return search.dispatcher.complete([*start_run, baseline_run], seconds)


def other_features(search: Search, records: tuple[TrialRecord, ...]) -> list[Plan]:
    """One pass of the features of each further backbone that takes little of what is left, settled once."""
    points = [point for point in search.problem.starts if reads_features(point.recipe)]
    read = [record.recipe for record in records if reads_features(record.recipe)]
    others = [point for point in points if point.recipe not in read]

    def decide() -> OtherFeatures:
        left, names = search.left(), []
        begun = [record.recipe for record in search.ledger.trials("start")]
        for point in others:
            seconds = search.seconds(point.recipe)
            if search.problem.trainings or seconds <= OTHER_MOST * left or point.recipe in begun:
                names.append(point.name)
                left -= seconds
        return OtherFeatures(tuple(names))

    if not others or not read:
        return []
    settled = settle(search.ledger, OtherFeatures, decide)
    return [start_run_of(search, point) for point in others if point.name in settled.names]


def _first_features(search: Search) -> list[StartingPoint]:
    """The points of whose features one pass comes first: none where the baseline reads those of one of the backbones,
    and is trained first itself."""
    baseline = StartingPoint(BASELINE, search.problem.baseline, "")
    if reads_features(baseline.recipe) and any(shares_a_backbone(point, baseline) for point in search.problem.starts):
        return []
    return [point for point in search.problem.starts if reads_features(point.recipe)]


def _cheapest(search: Search, points: list[StartingPoint]) -> StartingPoint | None:
    """Of several by arithmetic, so that a campaign that goes on finds the same."""
    if len(points) < 2:
        return next(iter(points), None)
    return min(points, key=lambda point: search.seconds(point.recipe, ()))


def reads_features(recipe: Recipe) -> bool:
    """Whether a pretrained network stays as it is, under a new head."""
    return recipe.architecture.kind == "pretrained" and recipe.training.fine_tuning is None


def _part_of_the_baseline(search: Search, may_fit: bool) -> float:
    baseline = search.problem.points[0]
    if baseline.recipe.architecture.kind == "own" and not search.problem.starts:
        ask_about_scratch(search, baseline)  # nobody knows how fast somebody's own network is
    most = BASELINE_MOST if may_fit or are_small_and_grey(search.problem) else ALONE_MOST
    return sized(search, search.problem.baseline, most * search.left()) or LEAST


def are_small_and_grey(problem: Problem) -> bool:
    """Whether a network from scratch comes before a pretrained one."""
    facts = problem.facts
    has_other = any(point.recipe.architecture.kind == "convnet" for point in problem.starts)
    return has_other and facts.channels == 1 and facts.native_resolution < SMALL


def _images(search: Search) -> int:
    return search.problem.facts.training_images + search.problem.pace.held_out_images


def sized(search: Search, recipe: Recipe, seconds: float, records: Sequence[TrialRecord] = ()) -> float:
    """The fidelity at which a training fits into so many seconds: 1 where all of it does, 0 where hardly more than its
    predictions do."""
    whole, predicting = search.seconds(recipe, records), search.problem.pace.evaluation_seconds(recipe)
    if whole + predicting <= seconds:
        return 1.0
    if predicting > MOST_TO_PREDICT * seconds:
        return 0.0
    return round(min(1.0, max(LEAST, 0.9 * (seconds - predicting) / whole)), 3)


def shares_a_backbone(point: StartingPoint, another: StartingPoint) -> bool:
    """Whether both are of the same backbone."""
    mine, other = point.recipe.architecture, another.recipe.architecture
    return isinstance(mine, Pretrained) and isinstance(other, Pretrained) and mine.backbone == other.backbone
