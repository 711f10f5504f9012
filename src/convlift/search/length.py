"""A start that trains in whatever length fits: a pretrained network that is fine-tuned, or one from scratch.

A network whose features are the best that there is so far gets better still when it is trained itself (Kornblith et al.
2019, section 4.3), and no search of so few trainings finds as much as a longer training brings (simulated: world (e),
docs/method.md). So where few trainings of full length fit, there is no search: the length is settled such that every
worker trains once or twice until the time is over, and of these networks the best ships. A network from scratch that
is the best start trains for as long likewise.
"""

import math
from collections.abc import Sequence
from dataclasses import replace

from convlift.catalogue.starting_points import FINE_TUNE, StartingPoint
from convlift.ledger.ledger import Ledger
from convlift.ledger.trials import TrialRecord
from convlift.recipe.architecture import Pretrained
from convlift.recipe.augmentation import PROBABILITIES, Augmentation
from convlift.recipe.recipe import Recipe
from convlift.search.allocate import LONGER
from convlift.search.augmentation_guard import checker_of, refused
from convlift.search.combine import combining_seconds
from convlift.search.context import Search
from convlift.search.decisions import decided, note, settle
from convlift.search.problem import Problem
from convlift.search.scratch_length import (
    beside,
    epochs_from_scratch,
    promise,
    seen_from_scratch,
)
from convlift.search.start_decisions import FineTuning, Length, TuningAsked, Way
from convlift.search.timing import part_trained
from convlift.search.tuning_length import LEAST_EPOCHS, epochs_that_fit, epochs_to_search, steps_an_epoch

# of the errors of frozen features, those that are left once the network is trained itself: .8 on flowers, .7 on
# Fashion-MNIST, .3 on pneumonia
LEFT_OF_ERRORS = 0.7
# the same where a network from scratch that was seen would be passed over for it; and after few epochs: .89, .79 and
# .71 after two, and 1.15 on Fashion-MNIST where the clock shortened them (docs/decisions/0036, docs/LOG.md)
LEFT_UNSURE, LEFT_AFTER_FEW, FEW_EPOCHS = 0.8, 0.9, 4
# of the errors of a shorter way to fine-tune, those that the whole way leaves: .7 on pneumonia with four epochs, which
# take as long, .9 on flowers with 13 (docs/decisions/0036, 0072)
LEFT_AFTER_SHORTER = 0.8
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


def reconsider_fine_tuning(search: Search, records: Sequence[TrialRecord]) -> Way:
    """The same again, where frozen features promised too little for it, and a shorter way to fine-tune their network
    turned out to promise more. records: all first runs."""
    settled, point = settle_fine_tuning(search, records), point_that_fine_tunes(search)
    features = features_among(point, records) if point else []
    if settled or point is None or not features or not _shorter_promises(search, point, _best(search, records)):
        return settled
    return note(search.ledger, _as_it_fits(search, point, features[0], records), replace=True).way


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
    return _as_it_fits(search, point, features[0], records)


def _as_it_fits(
    search: Search, point: StartingPoint, features: TrialRecord, records: Sequence[TrialRecord]
) -> FineTuning:
    """How it is tried where it is worth its time."""
    if _way(search, point, records):
        _asked(search, point, features)
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
    own = [record for record in records if _has_its_network(record.recipe, point)]
    found = [r for r in own if r.status == "finished" and r.is_whole and r.recipe.training.fine_tuning is None]
    return sorted(found, key=lambda record: record.role != "start")


def _has_its_network(recipe: Recipe, point: StartingPoint) -> bool:
    """Whether a recipe has the pretrained network of the point, with the same weights."""
    had, wanted = recipe.architecture, point.recipe.architecture
    if not (isinstance(had, Pretrained) and isinstance(wanted, Pretrained)):
        return False
    return (had.backbone, had.weights) == (wanted.backbone, wanted.weights)


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


def _is_worth_it(search: Search, run: TrialRecord, best: TrialRecord, left: float = LEFT_OF_ERRORS) -> bool:
    """Whether a network that is fine-tuned may be expected to pass the best that there is, by the errors of a run: of
    its frozen features, or of a shorter way. left: the share of them that it keeps."""
    expected = 100.0 - left * (100.0 - search.scores.rank(run))
    return best.id == run.id or expected > promise(search, best)


def _shorter_promises(search: Search, point: StartingPoint, best: TrialRecord) -> bool:
    """Whether first runs that fine-tuned the point's network in a shorter way promise that the whole way passes the
    best that there is."""
    runs = [run for run in search.ledger.trials("start") if run.has_trained and _has_its_network(run.recipe, point)]
    runs = [run for run in runs if run.recipe.training.fine_tuning is not None]
    return any(_is_worth_it(search, run, best, LEFT_AFTER_SHORTER) for run in runs)


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
    is_longer = epochs >= FEW_EPOCHS and _shorter_promises(search, point, best)
    if epochs < LEAST_EPOCHS or not (is_longer or _is_worth_it(search, features[0], best, left)):
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
