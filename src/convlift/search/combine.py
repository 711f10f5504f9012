"""What the final runs make together, at no more cost for a prediction than was asked for.

One forward pass an image is the default: then only the average of their weights can ship instead of the best of them.
Where more may be spent, their probabilities are averaged, of the images and of their mirror images. The dearer
combination ships where validation does not speak against it, for all that is known speaks for it: of 34 pairs of
networks on photos two together were 1.3 points better than one, and mirror images added .9 (docs/LOG.md).
"""

import math
from collections.abc import Sequence
from dataclasses import replace

from convlift.ledger.trials import COMBINED, Role, TrialRecord
from convlift.recipe.architecture import Pretrained
from convlift.recipe.combination import Combination
from convlift.recipe.recipe import Recipe
from convlift.records.notes import Combined
from convlift.search.context import Search

LEAST_LEFT = 0.5  # of what the predictions may take: with less they would end after the time is over
MOST_OF_THE_TIME = 0.1  # that is left, for the predictions of all combinations
LONGEST, STARTING = 10.0, 60.0  # times as long as foreseen, and seconds: what takes longer hangs


def can_average(recipe: Recipe) -> bool:
    """Whether networks of this recipe can be averaged: fine-tuned from the same weights, under a head without a hidden
    layer, whose units would lie in another order in each. A linear head has one best place, and is trained to it first
    (Kumar et al. 2022, section 3)."""
    network = recipe.architecture
    return isinstance(network, Pretrained) and network.head_units == 0 and recipe.training.fine_tuning is not None


def combine(search: Search, recipe: Recipe, finals: Sequence[TrialRecord], names: tuple[str, ...]) -> None:
    """Make every combination of these final runs' networks that may ship, and have it predict."""
    members = _members(search, finals)
    late = search.left() < LEAST_LEFT * combining_seconds(search, recipe, len(members))
    if not members or late or search.ledger.test_is_open or not search.problem.most_networks:
        return
    if can_average(recipe) and len(members) > 1:
        _make(search, members, names, {"average": Combination(_weights(search, members), averaged=True)})
    _make(search, members, names, _dearer(search, recipe, members))


def combined(search: Search, finals: Sequence[TrialRecord], best: TrialRecord) -> TrialRecord:
    """What ships of a recipe: its best final run's network, or what was made of several.

    The average, where it scores no less on validation than they do on average: of networks in different basins it
    predicts hardly anything. Then, from the cheapest to the dearest, what scores no less than what would ship without.
    """
    average = _made(search, "average", best.recipe)
    stands = average is not None and _average_stands(search, best.recipe, _members(search, finals))
    shipped = average if average is not None and stands else best
    for role in COMBINED[1:]:
        record = _made(search, role, best.recipe)
        if record is not None and _score(search, record) >= _score(search, shipped):
            shipped = record
    return shipped


def how_made(search: Search, record: TrialRecord, finals: Sequence[TrialRecord]) -> Combined:
    """What a combination is made of. finals: those that it was made from."""
    members, most = _members(search, finals), search.problem.most_networks
    match record.role:
        case "average":
            return Combined(len(members), averaged=True, mirrored=False)
        case "mirrored":
            averaged = _average_stands(search, record.recipe, members)
            return Combined(len(members) if averaged else 1, averaged=averaged, mirrored=True)
        case "ensemble":
            return Combined(min(len(members), most), averaged=False, mirrored=False)
        case _:
            return Combined(min(len(members), most // 2), averaged=False, mirrored=True)


def combining_seconds(search: Search, recipe: Recipe, finals: int) -> float:
    """What the predictions of all combinations of so many networks may take, one after the other; at most a tenth of
    the time that is left."""
    most, is_mirrored = search.problem.most_networks, recipe.data.augmentation.horizontal_flip > 0
    together, both = min(finals, most), min(finals, most // 2)
    passes = 1 if can_average(recipe) and finals > 1 and most else 0
    passes += 2 if is_mirrored and most >= 2 else 0
    passes += together if together >= 2 else 0
    passes += 2 * both if is_mirrored and both >= 2 else 0
    return min(passes * search.problem.pace.pass_seconds(recipe), MOST_OF_THE_TIME * search.left())


def _members(search: Search, finals: Sequence[TrialRecord]) -> list[TrialRecord]:
    return [record for record in finals if search.has_network(record)]


def _average_stands(search: Search, recipe: Recipe, members: Sequence[TrialRecord]) -> bool:
    """Whether their average scores no less on validation than they do on average."""
    average = _made(search, "average", recipe)
    return average is not None and _score(search, average) >= _mean_score(search, members)


def _dearer(search: Search, recipe: Recipe, members: Sequence[TrialRecord]) -> dict[Role, Combination]:
    """The combinations that cost more than one forward pass, as far as that is allowed."""
    most = search.problem.most_networks
    by_score = sorted(members, key=lambda record: -_score(search, record))
    found: dict[Role, Combination] = {}
    is_mirrored = recipe.data.augmentation.horizontal_flip > 0  # the guard has asked whether labels survive that
    if is_mirrored and most >= 2:
        good = _average_stands(search, recipe, members)
        chosen = members if good else by_score[:1]
        found["mirrored"] = Combination(_weights(search, chosen), averaged=good, mirrored=True)
    if (together := min(len(members), most)) >= 2:
        found["ensemble"] = Combination(_weights(search, by_score[:together]))
    if is_mirrored and (together := min(len(members), most // 2)) >= 2:
        found["mirrored ensemble"] = Combination(_weights(search, by_score[:together]), mirrored=True)
    return found


def _make(
    search: Search, members: Sequence[TrialRecord], names: tuple[str, ...], wanted: dict[Role, Combination]
) -> None:
    # where a campaign goes on other members make another one
    number, recipe = sum(record.number for record in members), members[0].recipe
    plans = [
        replace(search.problem.plan(role, recipe, number, names), combination=combination)
        for role, combination in wanted.items()
    ]
    each = search.problem.pace.pass_seconds(recipe)
    allowed = {role: LONGEST * combination.cost * each + STARTING for role, combination in wanted.items()}
    search.dispatcher.complete(plans, lambda plan: allowed[plan.role])


def _made(search: Search, role: Role, recipe: Recipe) -> TrialRecord | None:
    made = [r for r in search.ledger.trials(role) if r.recipe == recipe and r.status == "finished"]
    return next((record for record in reversed(made) if search.has_network(record)), None)


def _weights(search: Search, records: Sequence[TrialRecord]) -> tuple[str, ...]:
    return tuple(str(search.dispatcher.weights_of(record)) for record in records)


def _score(search: Search, record: TrialRecord) -> float:
    points = search.scores.score_points(record)
    return points if points == points else -math.inf


def _mean_score(search: Search, records: Sequence[TrialRecord]) -> float:
    return sum(_score(search, record) for record in records) / len(records)
