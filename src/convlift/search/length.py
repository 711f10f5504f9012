"""A start that trains in whatever length fits: a pretrained network that is fine-tuned, or one from scratch.

A network whose features are the best that there is so far gets better still when it is trained itself (Kornblith et al.
2019, section 4.3), and no search of so few trainings finds as much as a longer training brings (simulated: world (e),
docs/method.md). So where few trainings of full length fit, there is no search: the length is settled such that every
worker trains once or twice until the time is over, and of these networks the best ships. A network from scratch that
is the best start trains for as long likewise.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import replace

from convlift.catalogue.starting_points import FINE_TUNE, StartingPoint
from convlift.ledger.ledger import Ledger
from convlift.ledger.trials import TrialRecord
from convlift.recipe.architecture import Pretrained
from convlift.recipe.augmentation import PROBABILITIES, Augmentation
from convlift.recipe.recipe import Recipe
from convlift.search.allocate import LONGER, MOST_AT_ONCE, MOST_LAST
from convlift.search.augmentation_guard import checker_of, refused
from convlift.search.combine import combining_seconds
from convlift.search.context import Search
from convlift.search.decisions import decided, note, settle
from convlift.search.problem import Problem
from convlift.search.scratch_length import (
    ENOUGH,
    FILLED,
    beside,
    epochs_from_scratch,
    promise,
    seen_from_scratch,
)
from convlift.search.start_decisions import FineTuning, Length, TuningAsked, Way
from convlift.search.timing import part_trained

# of the errors of frozen features, those that are left once the network is trained itself: .8 on flowers, .7 on
# Fashion-MNIST, .3 on pneumonia
LEFT_OF_ERRORS = 0.7
# the same where a network from scratch that was seen would be passed over for it; and after few epochs: .89, .79 and
# .71 after two, and 1.15 on Fashion-MNIST where the clock shortened them (docs/decisions/0036, docs/LOG.md)
LEFT_UNSURE, LEFT_AFTER_FEW, FEW_EPOCHS = 0.8, 0.9, 4
# after 2 epochs it scores .78 on flowers, .92 on pneumonia, where features have .76 and .89 and a shorter way to
# fine-tune, cut short in that time, .75; after 1 it is below the features on pneumonia (.88; docs/LOG.md)
# 13 / 40 epochs: .820 / .833 on flowers, .828 / .839 on CIFAR-10 (docs/decisions/0038); of longer ones only as many as
# fill a time that is too short for a search and too long for the networks that are averaged
LEAST_EPOCHS, MOST_EPOCHS, LONGEST_TUNING = 2, 40, 60
# trainings after each other: those of MOST_EPOCHS from which many workers search, and those that a search has room for,
# the first run, the search and what ships
LEAST_AFTER_EACH_OTHER, FIRST_AND_SEARCH = 3.0, 4.5
# trainings of the recipe's own length after each other, from which every worker trains twice: more networks averaged,
# half of them refits, bring more (+.9 and +.5) than one training that is twice as long (+.7; docs/LOG.md), and on
# flowers two networks of 33 epochs averaged scored .818, four of 13 epochs .823
ROUNDS_FROM = 1.5
# steps of a training in the second of two rounds: of 2,600 photos 13 epochs are 1,070, of 300 photos 20 epochs are 140,
# and there one training of 40 epochs scores .738, two of 20 averaged .725 (docs/decisions/0039)
STEPS_OF_A_ROUND = 900
# of the time that is left its speed is measured, and seconds at most: half a second, which is two steps of photos, was
# 9% off on flowers, and 63 and 69 of 900 s were wasted (docs/LOG.md)
MEASURED_SHARE, LONGEST_MEASURED = 0.005, 5.0
LOOKED_AT = 300  # validation images that the guard asks about the recipe's own augmentation
# what a longer training from scratch gets, if the guard agrees: without, networks of some 20 epochs scored .902 and
# .899 on Fashion-MNIST, with it .910 and .905 in 12 to 15; of 25 on pneumonia .853 and .902, with mirrors too .887
ADDED, ADDED_FROM = {"translation": 0.1}, 8
# 40 epochs on Fashion-MNIST: .920 with it, .917 with CutMix alone, .908 without (docs/decisions/0038)
MIXED, MIXED_FROM = {"mixup": 0.4, "cutmix": 1.0}, 30


def offered(problem: Problem, ledger: Ledger, *, for_first_runs: bool = False) -> tuple[StartingPoint, ...]:
    """The starting points as this campaign has them: fine-tuning with the augmentation that keeps its images what they
    are, and as long as many trainings fit, and, but for first runs, the one whose length was settled with that."""

    def fitted(point: StartingPoint) -> StartingPoint:
        asked, tuning, length = decided(ledger, TuningAsked), decided(ledger, FineTuning), decided(ledger, Length)
        recipe = point.recipe
        if tuning and tuning.start == point.name and tuning.epochs:
            recipe = lengthened(recipe, tuning.epochs)
        if asked and asked.start == point.name:
            recipe = recipe.edit(data={"augmentation": asked.augmentation})
        if length and length.start == point.name and not for_first_runs:
            added = {"augmentation": length.augmentation, "mixing": length.mixing}
            recipe = lengthened(recipe, length.epochs).edit(data=added)
        return replace(point, recipe=recipe)

    return tuple(fitted(point) for point in problem.points)


def lengthened(recipe: Recipe, epochs: int) -> Recipe:
    """The recipe with so many epochs, of fine-tuning where it fine-tunes."""
    tuned = recipe.training.fine_tuning
    return recipe.edit(training={"fine_tuning": {"epochs": epochs}} if tuned else {"epochs": epochs})


def settle_fine_tuning(search: Search, records: Sequence[TrialRecord]) -> Way:
    """How fine-tuning is tried: with a first run where a search will follow, with a length that is fitted where few
    trainings fit, "" for not at all. Settled once."""
    return settle(search.ledger, FineTuning, lambda: _fine_tuning(search, records)).way


def ask_about_fine_tuning(search: Search, records: Sequence[TrialRecord]) -> None:
    """Ask what has to be known before fine-tuning, where it may come to that: while another worker still trains the
    baseline this takes no time of anybody's, and a training's speed is measured as it will be, beside another one.

    records: the first trainings.
    """
    point = point_that_fine_tunes(search)
    features = features_among(point, records) if point else []
    if point and features and _way(search, point, records):
        _asked(search, point, features[0])


def _fine_tuning(search: Search, records: Sequence[TrialRecord]) -> FineTuning:
    point = point_that_fine_tunes(search)
    features = features_among(point, records) if point else []
    if point is None or not features or not _is_worth_it(search, features[0], _best(search, records)):
        return FineTuning("")
    if _way(search, point, records):
        _asked(search, point, features[0])
    way = _way(search, point, records)  # by the speed that was measured
    is_long = way == "first run" and not search.problem.trainings
    each = search.seconds(point.recipe, records) / _nominal(point.recipe)
    return FineTuning(way, point.name, epochs_to_search(each, search.left(), search.workers) if is_long else 0)


def point_that_fine_tunes(search: Search) -> StartingPoint | None:
    """The starting point, where it may be tried: not where the changes are given, nor in a fold, of which nothing is
    kept for a last training as long as that. Of several backbones the one whose features are the best, from when on it
    is asked about the same."""
    if search.problem.pool is not None or not search.problem.most_networks:
        return None
    points = [point for point in search.problem.starts if point.way == FINE_TUNE]
    asked, settled = decided(search.ledger, TuningAsked), decided(search.ledger, FineTuning)
    name = (asked.start if asked else "") or (settled.start if settled else "")
    if name:
        return next((point for point in points if point.name == name), None)
    return max(points, key=lambda point: score_of_features(search, point), default=None)


def score_of_features(search: Search, point: StartingPoint) -> float:
    """Validation score of the best run that read features of the point's network; minus infinity where none did."""
    records = [*search.ledger.trials("start"), *search.ledger.trials("baseline")]
    return max((search.scores.rank(record) for record in features_among(point, records)), default=-math.inf)


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
        own = {name: value for name, value in point.recipe.data.augmentation.strengths.items() if value}
        kept = _kept(search, own, features)
        measure = search.problem.time_tuning if not search.problem.trainings else None
        long = min(LONGEST_MEASURED, MEASURED_SHARE * search.left())
        seconds = measure(point.recipe.edit(data={"augmentation": kept}), long) if measure else 0.0
        return TuningAsked(kept, seconds * beside(search), point.name)

    return settle(search.ledger, TuningAsked, ask)


def _way(search: Search, point: StartingPoint, records: Sequence[TrialRecord]) -> Way:
    if search.problem.trainings:
        return "first run"
    each, epochs, left = search.seconds(point.recipe, records), _nominal(point.recipe), search.left()
    if epochs_to_search(each / epochs, left, search.workers):
        return "first run"
    steps = steps_an_epoch(search.problem.facts.training_images, point.recipe)
    found, _ = epochs_that_fit(lambda e: each * e / epochs, epochs, left, search.workers, steps=steps)
    return "fitted" if found >= LEAST_EPOCHS else ""


def _best(search: Search, records: Sequence[TrialRecord]) -> TrialRecord:
    """Of trials that trained anything."""
    return max((record for record in records if record.has_trained), key=lambda record: promise(search, record))


def _is_worth_it(search: Search, features: TrialRecord, best: TrialRecord, left: float = LEFT_OF_ERRORS) -> bool:
    """Whether a network that is fine-tuned may be expected to pass the best that there is, by its frozen features'
    errors. left: the share of them that it keeps."""
    expected = 100.0 - left * (100.0 - search.scores.rank(features))
    return best.id == features.id or expected > promise(search, best)


def _nominal(recipe: Recipe) -> int:
    assert recipe.training.fine_tuning is not None, "of the starting point that fine-tunes"
    return recipe.training.fine_tuning.epochs


def _kept(search: Search, levers: dict[str, float], run: TrialRecord) -> dict[str, float]:
    """What of an augmentation the network of a run recognizes its images under: all of it together, else each lever as
    it is, at half its strength, or off. Nothing where there is nobody to ask: the guard fails closed."""
    checker = checker_of(search, run)
    if checker is None:
        return dict.fromkeys(levers, 0.0)
    checker.look_at(LOOKED_AT)
    if not refused(checker.check(Augmentation(**levers))):
        return levers
    kept = {}
    for name, value in levers.items():
        ways = (value,) if name in PROBABILITIES else (value, value / 2)
        kept[name] = next((each for each in ways if not refused(checker.check(Augmentation(**{name: each})))), 0.0)
    return kept


def epochs_to_search(seconds: float, left: float, workers: int) -> int:
    """How long each fine-tuning is where so many fit that a search pays, after each other too; 0 where they do not.

    seconds: of an epoch; left: that there are.
    """
    if left * workers < ENOUGH * MOST_EPOCHS * seconds or left < LEAST_AFTER_EACH_OTHER * MOST_EPOCHS * seconds:
        return 0
    return min(MOST_EPOCHS, int(left / (FIRST_AND_SEARCH * seconds)))


def steps_an_epoch(images: int, recipe: Recipe) -> int:
    """Steps that one epoch of fine-tuning has, of so many training images."""
    assert recipe.training.fine_tuning is not None, "of the starting point that fine-tunes"
    return math.ceil(images / (recipe.training.fine_tuning.batch_size or recipe.training.batch_size))


def epochs_that_fit(
    seconds: Callable[[int], float], epochs: int, left: float, workers: int, *, steps: int
) -> tuple[int, int]:
    """How long a training is that fills the time, and how many rounds of the workers: (epochs, rounds).

    seconds: what a training of so many epochs takes; epochs: the recipe's own number; left: seconds that there are;
    steps: of an epoch. One round, or two where each has steps enough, or as many as are needed for none to be longer
    than MOST_EPOCHS, and at most those whose networks are averaged; where an epoch has few steps, one of up to
    LONGEST_TUNING rather than two of half as many.
    """
    after_each_other = left / max(seconds(epochs), 1e-9)
    whole, is_short = epochs * after_each_other, after_each_other < ROUNDS_FROM
    if is_short or whole / 2 * steps < STEPS_OF_A_ROUND:
        rounds, longest = max(1, round(whole / MOST_EPOCHS)), LONGEST_TUNING
    else:
        rounds, longest = max(2, math.ceil(whole / MOST_EPOCHS)), MOST_EPOCHS
    most = max(2, MOST_LAST // min(workers, MOST_AT_ONCE))
    found = round(FILLED * whole / min(rounds, most))
    return min(found, longest if rounds <= most else LONGEST_TUNING), min(rounds, most)


def settle_length(search: Search, best: TrialRecord, instead: StartingPoint | None) -> Length | None:
    """The length of what the campaign trains, where that is fitted to the time: fine-tuning, where it may be expected
    to pass the best first run, else a network from scratch that is the best, or that takes time which would be wasted,
    where few of its trainings fit. Settled once; None where there is no such start."""
    known = decided(search.ledger, Length)
    found = known or _tuned_length(search, best) or _length_from_scratch(search, best, instead)
    return found if known or not found else note(search.ledger, found)


def _tuned_length(search: Search, best: TrialRecord) -> Length | None:
    way, point = settle_fine_tuning(search, ()), point_that_fine_tunes(search)
    records = [*search.ledger.trials("start"), *search.ledger.trials("baseline")]
    features = features_among(point, records) if point else []
    if point is None or way != "fitted" or not features:
        return None
    recipe = next(p.recipe for p in offered(search.problem, search.ledger) if p.name == point.name)
    epochs, rounds = epochs_that_fit(
        lambda e: search.seconds(lengthened(recipe, e)),
        _nominal(recipe),
        search.left() - combining_seconds(search, recipe, search.workers),
        search.workers,
        steps=steps_an_epoch(search.problem.facts.training_images, recipe),
    )
    left = LEFT_UNSURE if seen_from_scratch(search, best) else LEFT_OF_ERRORS
    left = left if epochs >= FEW_EPOCHS else LEFT_AFTER_FEW
    if epochs < LEAST_EPOCHS or not _is_worth_it(search, features[0], best, left):
        return None
    return Length(epochs, rounds, point.name)


def _length_from_scratch(search: Search, best: TrialRecord, instead: StartingPoint | None) -> Length | None:
    point = instead or seen_from_scratch(search, best)
    if point is None or not search.problem.most_networks:
        return None
    may_search = not (instead and best.role == "start")  # nothing is searched from what is not the best
    seconds = search.seconds(point.recipe)
    found = epochs_from_scratch(point.recipe, seconds, search.left(), search.workers, may_search=may_search)
    runs = [record for record in search.ledger.trials("start") if record.names == (point.name,)]
    had = max((point.recipe.training.epochs * part_trained(run, search.problem.facts) for run in runs), default=0.0)
    if found is None or found[0] < max(LONGER * had, LEAST_EPOCHS):
        return None
    epochs, rounds = found
    added = _kept(search, ADDED, best) if epochs >= ADDED_FROM else {}
    return Length(epochs, rounds, point.name, added, MIXED if epochs >= MIXED_FROM else {})
