"""A pretrained network, fine-tuned in whatever length fits: where that is tried, and how long it trains.

A network whose features are the best that there is so far gets better still when it is trained itself (Kornblith et al.
2019, section 4.3), and no search of so few trainings finds as much as a longer training brings (simulated: world (e),
docs/method.md). So where few trainings of full length fit, there is no search: the length is settled such that every
worker trains once or twice until the time is over, and of these networks the best ships.
"""

from collections.abc import Callable, Sequence
from dataclasses import replace

from convlift.catalogue.starting_points import FINE_TUNE, StartingPoint
from convlift.ledger.ledger import Ledger
from convlift.ledger.trials import TrialRecord
from convlift.recipe.architecture import Pretrained
from convlift.recipe.augmentation import MIRRORS, Augmentation
from convlift.recipe.recipe import Recipe
from convlift.search.augmentation_guard import checker_of, refused
from convlift.search.combine import combining_seconds
from convlift.search.context import Search
from convlift.search.decisions import decided, settle
from convlift.search.problem import Problem
from convlift.search.start_decisions import FineTuning, Length, TuningAsked, Way

# of the errors of frozen features, those that are left once the network is trained itself: .8 on flowers, .7 on
# Fashion-MNIST, .3 on pneumonia
LEFT_OF_ERRORS = 0.7
ENOUGH = 10  # trainings of the recipe's own length: with so many a search pays
# after 2 epochs it scores .78 on flowers, .92 on pneumonia, where features have .76 and .89 and a shorter way to
# fine-tune, cut short in that time, .75; after 1 it is below the features on pneumonia (.88; docs/LOG.md)
LEAST_EPOCHS, MOST_EPOCHS = 2, 40
# trainings of the recipe's own length after each other, from which every worker trains twice: more networks averaged,
# half of them refits, bring more (+.9 and +.5) than one training that is twice as long (+.7; docs/LOG.md), and on
# flowers two networks of 33 epochs averaged scored .818, four of 13 epochs .823
ROUNDS_FROM = 1.5
# of the time is planned for: what is late is run through faster (`trial/phase.InTime`), what is early wastes time
FILLED = 1.05
BESIDE = 1.1  # times as long a training takes beside another one as alone: 1.13 on CIFAR-10, two cores
LOOKED_AT = 300  # validation images that the guard asks about the recipe's own augmentation


def offered(problem: Problem, ledger: Ledger, *, for_first_runs: bool = False) -> tuple[StartingPoint, ...]:
    """The starting points as this campaign has them: fine-tuning with the augmentation that keeps its
    images what they are, and, but for its first run, with the length that was settled."""

    def fitted(point: StartingPoint) -> StartingPoint:
        asked, length = decided(ledger, TuningAsked), decided(ledger, Length)
        if asked is None:
            return point
        recipe = point.recipe.edit(data={"augmentation": asked.augmentation})
        if length and length.epochs and not for_first_runs:
            recipe = lengthened(recipe, length.epochs)
        return replace(point, recipe=recipe)

    return tuple(fitted(point) if point.name == FINE_TUNE else point for point in problem.points)


def lengthened(recipe: Recipe, epochs: int) -> Recipe:
    """The recipe with so many epochs of fine-tuning."""
    return recipe.edit(training={"fine_tuning": {"epochs": epochs}})


def settle_fine_tuning(search: Search, records: Sequence[TrialRecord]) -> Way:
    """How fine-tuning is tried: with a first run where a search will follow, with a length that is fitted where few
    trainings fit, "" for not at all. Settled once."""
    return settle(search.ledger, FineTuning, lambda: _fine_tuning(search, records)).way


def ask_about_fine_tuning(search: Search, records: Sequence[TrialRecord]) -> None:
    """Ask what has to be known before fine-tuning, where it may come to that: while another worker still trains the
    baseline this takes no time of anybody's, and a training's speed is measured as it will be, beside another one.

    records: the first trainings.
    """
    point = _point(search)
    features = features_among(point, records) if point else []
    if point and features and _way(search, point, records):
        _asked(search, point, features[0])


def _fine_tuning(search: Search, records: Sequence[TrialRecord]) -> FineTuning:
    point = _point(search)
    features = features_among(point, records) if point else []
    if point is None or not features or not _is_worth_it(search, features[0], _best(search, records)):
        return FineTuning("")
    if _way(search, point, records):
        _asked(search, point, features[0])
    return FineTuning(_way(search, point, records))  # by the speed that was measured


def _point(search: Search) -> StartingPoint | None:
    """The starting point, where it may be tried: not where the changes are given, nor in a fold, of which nothing is
    kept for a last training as long as that."""
    if search.problem.pool is not None or not search.problem.most_networks:
        return None
    return next((point for point in search.problem.starts if point.name == FINE_TUNE), None)


def features_among(point: StartingPoint, records: Sequence[TrialRecord]) -> list[TrialRecord]:
    """The runs that read features of the point's network, as it came: of a start, or the baseline's own."""
    wanted = point.recipe.architecture

    def reads_them(recipe: Recipe) -> bool:
        network = recipe.architecture
        both = isinstance(network, Pretrained) and isinstance(wanted, Pretrained)
        alike = both and (network.backbone, network.weights) == (wanted.backbone, wanted.weights)  # type: ignore[union-attr]
        return alike and recipe.training.fine_tuning is None

    found = [r for r in records if r.status == "finished" and r.is_whole and reads_them(r.recipe)]
    return sorted(found, key=lambda record: record.role != "start")


def _asked(search: Search, point: StartingPoint, features: TrialRecord) -> TuningAsked:
    def ask() -> TuningAsked:
        kept = _kept(search, point, features)
        measure = search.problem.time_tuning if not search.problem.trainings else None
        seconds = measure(point.recipe.edit(data={"augmentation": kept})) if measure else 0.0
        alone = search.workers > 1 and not search.dispatcher.running
        return TuningAsked(kept, seconds * BESIDE if alone else seconds)

    return settle(search.ledger, TuningAsked, ask)


def _way(search: Search, point: StartingPoint, records: Sequence[TrialRecord]) -> Way:
    if search.problem.trainings:
        return "first run"
    each, left = search.seconds(point.recipe, records), search.left()
    if left * search.workers >= ENOUGH * each:
        return "first run"
    epochs = _nominal(point.recipe)
    found, _ = epochs_that_fit(lambda e: each * e / epochs, epochs, left)
    return "fitted" if found >= LEAST_EPOCHS else ""


def _best(search: Search, records: Sequence[TrialRecord]) -> TrialRecord:
    """Of trials that trained anything."""
    return max((record for record in records if record.has_trained), key=search.scores.rank)


def _is_worth_it(search: Search, features: TrialRecord, best: TrialRecord) -> bool:
    """Whether a network that is fine-tuned may be expected to pass the best that there is, by its frozen features'
    errors."""
    expected = 100.0 - LEFT_OF_ERRORS * (100.0 - search.scores.rank(features))
    return best.id == features.id or expected > search.scores.rank(best)


def _nominal(recipe: Recipe) -> int:
    assert recipe.training.fine_tuning is not None, "of the starting point that fine-tunes"
    return recipe.training.fine_tuning.epochs


def _kept(search: Search, point: StartingPoint, features: TrialRecord) -> dict[str, float]:
    """What of the recipe's augmentation the network of the features recognizes its images under: all of it together,
    else each lever as it is, at half its strength, or off. Nothing where there is nobody to ask: the guard fails
    closed."""
    levers = {name: value for name, value in point.recipe.data.augmentation.model_dump().items() if value}
    checker = checker_of(search, features)
    if checker is None:
        return dict.fromkeys(levers, 0.0)
    checker.look_at(LOOKED_AT)
    if not refused(checker.check(point.recipe.data.augmentation)):
        return levers
    kept = {}
    for name, value in levers.items():
        ways = (value,) if name in MIRRORS else (value, value / 2)
        kept[name] = next((each for each in ways if not refused(checker.check(Augmentation(**{name: each})))), 0.0)
    return kept


def epochs_that_fit(seconds: Callable[[int], float], epochs: int, left: float) -> tuple[int, int]:
    """How long a training is that fills the time, and how many rounds of the workers: (epochs, rounds).

    seconds: what a training of so many epochs takes; epochs: the recipe's own number; left: seconds that there are.
    """
    after_each_other = left / max(seconds(epochs), 1e-9)
    rounds = 1 if after_each_other < ROUNDS_FROM else 2
    found = round(FILLED * epochs * after_each_other / rounds)
    return min(found, MOST_EPOCHS), rounds


def settle_length(search: Search, best: TrialRecord) -> Length | None:
    """The length of fine-tuning, where that is what the campaign trains: it is to be fitted to the time, and no network
    from scratch but the baseline, which it may be expected to pass, is the best start. Settled once; None where it is
    not."""
    way, point = settle_fine_tuning(search, ()), _point(search)
    records = [*search.ledger.trials("start"), *search.ledger.trials("baseline")]
    features = features_among(point, records) if point else []
    is_passed = best.role == "start" and best.recipe.architecture.kind != "pretrained"
    if way != "fitted" or not features or is_passed or not _is_worth_it(search, features[0], best):
        return None

    def decide() -> Length:
        recipe = next(p.recipe for p in offered(search.problem, search.ledger) if p.name == FINE_TUNE)
        epochs, rounds = epochs_that_fit(
            lambda e: search.seconds(lengthened(recipe, e)),
            _nominal(recipe),
            search.left() - combining_seconds(search, recipe, search.workers),
        )
        return Length(epochs, rounds) if epochs >= LEAST_EPOCHS else Length(0, 0)

    found = settle(search.ledger, Length, decide)
    return found if found.epochs else None
