"""How many epochs a fine-tuning has: what a search from it needs, and what fills the time."""

import math
from collections.abc import Callable

from convlift.recipe.recipe import Recipe
from convlift.search.allocate import MOST_AT_ONCE, MOST_LAST
from convlift.search.scratch_length import ENOUGH, FILLED

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
# the same of one worker, whose second training is the only one that learns from validation images too: two of 9 epochs
# .840 and .839 on CIFAR-10, one of 19 .824 and .832; on flowers two of 7 .812 and .825, one of 14 .806 and .833
# (docs/decisions/0073)
ROUNDS_FROM_ALONE = 1.1


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
    whole = epochs * after_each_other
    is_short = after_each_other < (ROUNDS_FROM if workers > 1 else ROUNDS_FROM_ALONE)
    if is_short or whole / 2 * steps < STEPS_OF_A_ROUND:
        rounds, longest = max(1, round(whole / MOST_EPOCHS)), LONGEST_TUNING
    else:
        rounds, longest = max(2, math.ceil(whole / MOST_EPOCHS)), MOST_EPOCHS
    most = max(2, MOST_LAST // min(workers, MOST_AT_ONCE))
    found = round(FILLED * whole / min(rounds, most))
    return min(found, longest if rounds <= most else LONGEST_TUNING), min(rounds, most)
