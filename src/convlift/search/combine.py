"""What the final runs make together, at no more cost for a prediction than was asked for.

One forward pass an image is the default: then only the average of their weights can ship instead of the best of them.
Where more may be spent, their probabilities are averaged, of the images and of their mirror images. The dearer
combination ships where validation does not speak against it, for all that is known speaks for it: in 20 pairs of
fine-tuned networks two together were 1.2 points better than one, and one with mirror images 1.0 (docs/LOG.md).
"""

import math
from collections.abc import Sequence
from dataclasses import replace

from convlift.ledger.trials import COMBINED, Plan, Role, TrialRecord
from convlift.recipe.architecture import Pretrained
from convlift.recipe.combination import Combination, passes
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
    _make(search, members, names, ["average"])
    _make(search, members, names, COMBINED[1:])


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
        if record is not None and search.scores.rank(record) >= search.scores.rank(shipped):
            shipped = record
    return shipped


def how_made(search: Search, record: TrialRecord, finals: Sequence[TrialRecord]) -> Combined:
    """What a combination is made of. finals: those that it was made from."""
    members = _members(search, finals)
    return _forms(search, record.recipe, len(members), stands=_average_stands(search, record.recipe, members))[
        record.role
    ]


def combining_seconds(search: Search, recipe: Recipe, finals: int) -> float:
    """What the predictions of all combinations of so many networks may take, one after the other; at most a tenth of
    the time that is left."""
    forms = _forms(search, recipe, finals, stands=can_average(recipe)).values()
    every = sum(passes(form.networks, averaged=form.averaged, mirrored=form.mirrored) for form in forms)
    return min(every * search.problem.pace.pass_seconds(recipe), MOST_OF_THE_TIME * search.left())


def _forms(search: Search, recipe: Recipe, finals: int, *, stands: bool) -> dict[Role, Combined]:
    """What may be made of so many networks, from the cheapest to the dearest that is allowed; stands: whether the
    average of their weights does, else the best of them alone looks at mirror images."""
    most = search.problem.most_networks
    mirrors = recipe.data.augmentation.horizontal_flip > 0  # the guard has asked whether labels survive that
    found: dict[Role, Combined] = {}
    if can_average(recipe) and finals > 1 and most:
        found["average"] = Combined(finals, averaged=True, mirrored=False)
    if mirrors and most >= 2:
        found["mirrored"] = Combined(finals if stands else 1, averaged=stands, mirrored=True)
    if min(finals, most) >= 2:
        found["ensemble"] = Combined(min(finals, most), averaged=False, mirrored=False)
    if mirrors and min(finals, most // 2) >= 2:
        found["mirrored ensemble"] = Combined(min(finals, most // 2), averaged=False, mirrored=True)
    return found


def _members(search: Search, finals: Sequence[TrialRecord]) -> list[TrialRecord]:
    return [record for record in finals if search.has_network(record)]


def _average_stands(search: Search, recipe: Recipe, members: Sequence[TrialRecord]) -> bool:
    """Whether their average scores no less on validation than they do on average."""
    average = _made(search, "average", recipe)
    return average is not None and search.scores.rank(average) >= _mean_score(search, members)


def _make(search: Search, members: Sequence[TrialRecord], names: tuple[str, ...], roles: Sequence[Role]) -> None:
    """Those of the roles that may be made of these networks; the best by validation where not all are taken."""
    # where a campaign goes on other members make another one
    number, recipe = sum(record.number for record in members), members[0].recipe
    by_score = sorted(members, key=lambda record: -search.scores.rank(record))
    plans: list[Plan] = []
    allowed: dict[Role, float] = {}
    forms = _forms(search, recipe, len(members), stands=_average_stands(search, recipe, members))
    for role in [role for role in roles if role in forms]:
        form = forms[role]
        chosen = members if form.averaged else by_score[: form.networks]
        weights = tuple(str(search.dispatcher.weights_of(record)) for record in chosen)
        combination = Combination(weights, averaged=form.averaged, mirrored=form.mirrored)
        plans.append(replace(search.problem.plan(role, recipe, number, names), combination=combination))
        allowed[role] = LONGEST * combination.cost * search.problem.pace.pass_seconds(recipe) + STARTING
    # where trainings are counted, a busy machine must not change what there is
    counted = search.problem.trainings > 0
    search.dispatcher.complete(plans, lambda plan: math.inf if counted else allowed[plan.role])


def _made(search: Search, role: Role, recipe: Recipe) -> TrialRecord | None:
    made = [r for r in search.ledger.trials(role) if r.recipe == recipe and r.status == "finished"]
    return next((record for record in reversed(made) if search.has_network(record)), None)


def _mean_score(search: Search, records: Sequence[TrialRecord]) -> float:
    return sum(search.scores.rank(record) for record in records) / len(records)
