"""A network from scratch: how long it trains, how fast, and what a longer training of it promises."""

import math

from convlift.catalogue.starting_points import StartingPoint
from convlift.ledger.trials import TrialRecord
from convlift.recipe.recipe import Recipe
from convlift.search.allocate import MOST_AT_ONCE, MOST_LAST
from convlift.search.context import Search
from convlift.search.decisions import decided, note
from convlift.search.start_decisions import Length, ScratchAsked
from convlift.search.timing import part_trained

ENOUGH = 10  # trainings of the recipe's own length, or of the longest fine-tuning: with so many a search pays
FILLED = 1.02  # of the time is planned for: what is late is run through faster, what is early wastes time
BESIDE = 1.1  # times as long a training takes beside another one as alone: 1.13 on CIFAR-10, two cores
BESIDE_ON_A_GPU = 0.11  # of its time, for every other one on the GPU: .34 for three, fine-tuned on an H200
# epochs of each training of which ENOUGH must fit before a search begins: on pneumonia 60 epochs of mixed images
# scored .891 where a search in the same time, of trainings of 15, shipped .848 (docs/decisions/0042)
LONG_FROM_SCRATCH = 40
LONGEST_FROM_SCRATCH = 60  # epochs; 61 scored no better than 26 on Fashion-MNIST
# trainings from scratch after each other, from which one worker trains twice, the second time on the validation images
# too: over 20 epochs these bring more than as many epochs again
TWICE_FROM_SCRATCH = 3.0
# A network from scratch errs less the longer it trains: as the power -.15 of its epochs, from 8 to 26 on Fashion-MNIST,
# and hardly less after 61; to eight times as many at most
SLOPE, LAST_GAIN, MOST_LONGER = 0.15, 26, 8.0


def ask_about_scratch(search: Search, point: StartingPoint) -> None:
    """Measure how long a network from scratch trains, where none of its runs tells; asked once. By the baseline's speed
    it is expected to take half as long again as it does."""
    measure, known = search.problem.time_scratch, decided(search.ledger, ScratchAsked)
    runs = [record for record in search.ledger.trials() if record.recipe.architecture == point.recipe.architecture]
    if measure and not known and not runs and not search.problem.trainings:
        note(search.ledger, ScratchAsked(point.name, measure(point.recipe) * beside(search)))


def beside(search: Search) -> float:
    """Times as long as it is measured now a training takes once all workers train."""
    shared = search.problem.sharing_a_gpu
    if shared > 1:
        return 1.0 + (shared - 1) * BESIDE_ON_A_GPU
    return BESIDE if search.workers > 1 and not search.dispatcher.running else 1.0


def promise(search: Search, record: TrialRecord) -> float:
    """The validation score that a start may be expected to reach: its first run's, and where that was a network from
    scratch that can train longer, what a longer training leaves of its errors."""
    points, point = search.scores.rank(record), seen_from_scratch(search, record)
    had = part_trained(record, search.problem.facts)
    if point is None or not had or points == -math.inf:
        return points
    settled = decided(search.ledger, Length)
    epochs = settled.epochs if settled and settled.start == point.name else _epochs(search, point.recipe)
    longer = min(epochs, LAST_GAIN) / (had * point.recipe.training.epochs)
    return 100.0 - (100.0 - points) * math.pow(min(MOST_LONGER, max(1.0, longer)), -SLOPE)


def seen_from_scratch(search: Search, record: TrialRecord) -> StartingPoint | None:
    """The starting point of a network from scratch whose first run this is; None where it is of another, and where
    trainings are counted, which all have their own length."""
    if record.role != "start" or search.problem.trainings:
        return None
    points = [point for point in search.problem.starts if (point.name,) == record.names]
    return next((point for point in points if point.recipe.architecture.kind == "convnet"), None)


def epochs_from_scratch(
    recipe: Recipe, seconds: float, left: float, workers: int, *, may_search: bool = True
) -> tuple[int, int] | None:
    """How long a network from scratch is trained where few trainings fit, and in how many rounds of the workers:
    (epochs, rounds); None where so many fit that a search pays.

    seconds: what a training of its own epochs takes; left: seconds that there are; may_search: whether one is an
    alternative.
    """
    own, fit = recipe.training.epochs, left / max(seconds, 1e-9)
    if may_search and fit * workers * own >= ENOUGH * max(own, LONG_FROM_SCRATCH):
        return None
    longest = max(own, LONGEST_FROM_SCRATCH)
    rounds = max(2 if workers == 1 and fit >= TWICE_FROM_SCRATCH else 1, math.ceil(own * fit / longest))
    rounds = min(rounds, max(1, MOST_LAST // min(workers, MOST_AT_ONCE)))
    return min(round(FILLED * own * fit / rounds), longest), rounds


def _epochs(search: Search, recipe: Recipe) -> int:
    """The epochs that it would have in this campaign: in a fold its own at most, for there is no longer training."""
    own = recipe.training.epochs
    found = epochs_from_scratch(recipe, search.seconds(recipe), search.left(), search.workers)
    return own if found is None else found[0] if search.problem.most_networks else min(own, found[0])
