"""What the last trainings make together, at no more cost for a prediction than was asked for.

One forward pass an image is the default: then only the average of their weights can ship instead of one of them.
Where more may be spent, their probabilities are averaged, of the images and of their mirror images. The dearer
combination ships where validation does not speak against it, for all that is known speaks for it: in 20 pairs of
fine-tuned networks two together were 1.2 points better than one, and one with mirror images 1.0 (docs/LOG.md).
"""

import math
from collections.abc import Sequence
from dataclasses import replace

from convlift.ledger.fingerprint import fingerprint
from convlift.ledger.trials import COMBINED, Plan, Role, TrialRecord
from convlift.recipe.combination import SURE_OF, Combination, can_average, passes
from convlift.recipe.recipe import Recipe
from convlift.records.notes import Combined
from convlift.search.context import Search
from convlift.search.decisions import PredictionTimes, decided, note
from convlift.search.refit import able_refits, late_finals

LEAST_LEFT = 0.5  # of what the predictions may take: with less they would end after the time is over
MOST_OF_THE_TIME = 0.1  # that is left, for the predictions of all combinations
LONGEST, STARTING = 10.0, 60.0  # times as long as foreseen, and seconds: what takes longer hangs
REFITS = 1_000  # the numbers of refits among those of final runs


def combine(search: Search, recipe: Recipe, finals: Sequence[TrialRecord], names: tuple[str, ...]) -> None:
    """Make every combination of the networks of these final runs, and of the refits, that may ship, and have it
    predict."""
    members = members_of(search, recipe, finals)
    if not members or search.ledger.test_is_open or not search.problem.most_networks:
        return
    for roles in (COMBINED[:1], COMBINED[1:]):
        # a part of what is kept for judging is for what nobody foresees, such as last trainings that end late; what is
        # kept for shifted images is not
        unforeseen = (search.problem.closing_seconds - search.problem.shift_seconds) / 2
        left = search.dispatcher.left() - search.closing_seconds + unforeseen
        if left >= LEAST_LEFT * _seconds(search, recipe, len(members), roles):
            _make(search, members, names, roles)


def combined(search: Search, finals: Sequence[TrialRecord], best: TrialRecord, *, refits: bool) -> TrialRecord:
    """What ships of a recipe: one of its networks, or what was made of several.

    best: of the final runs; refits: whether one that learned from the validation images is taken before it, and what
    was made with it. The average, where it scores no less on validation than its members do on average: of networks in
    different basins it predicts hardly anything. Then, from the cheapest to the dearest, what scores no less than what
    would ship without. What has seen the validation images was asked about it as it was made
    (`trial/combine_networks.py`), and is there only where it stood.
    """
    members = members_of(search, best.recipe, finals)
    again = [record for record in members if record.spec.refit]
    if again and not refits:
        return best
    average = _made(search, "average", best.recipe, members)
    stands = average is not None and _average_stands(search, best.recipe, members)
    shipped = average if average is not None and stands else next(iter(again), best)
    for role in COMBINED[1:]:
        record = _made(search, role, best.recipe, members)
        if record is not None and search.scores.rank(record) >= search.scores.rank(shipped):
            shipped = record
    return shipped


def how_made(search: Search, record: TrialRecord, finals: Sequence[TrialRecord]) -> Combined:
    """What a combination is made of. finals: those that it was made from."""
    members = members_of(search, record.recipe, finals)
    return _forms(search, record.recipe, len(members), stands=_average_stands(search, record.recipe, members))[
        record.role
    ]


def has_refits(search: Search, record: TrialRecord, finals: Sequence[TrialRecord]) -> bool:
    """Whether a network that ships learned from the validation images too. finals: see `how_made`."""
    made = record.role in COMBINED and members_of(search, record.recipe, finals)
    return record.spec.refit or any(member.spec.refit for member in made or ())


def members_of(search: Search, recipe: Recipe, finals: Sequence[TrialRecord]) -> list[TrialRecord]:
    """What a combination is made of: the refits, and the final runs that left a network, those that were a little late
    among them."""
    able = [record for record in finals if search.has_network(record)]
    if not able:
        return []
    return [*able_refits(search, recipe, able), *able, *late_finals(search, recipe, able)]


def combining_seconds(search: Search, recipe: Recipe, networks: int) -> float:
    """What the predictions of all combinations of so many networks may take, one after the other; at most a tenth of
    the time that is left."""
    return min(_seconds(search, recipe, networks, COMBINED), MOST_OF_THE_TIME * search.left())


def _seconds(search: Search, recipe: Recipe, networks: int, roles: Sequence[Role]) -> float:
    """What the predictions of these combinations take, one after the other."""
    made = _forms(search, recipe, networks, stands=can_average(recipe))
    forms = [form for role, form in made.items() if role in roles]
    every = sum(passes(form.networks, averaged=form.averaged, mirrored=form.mirrored) for form in forms)
    # an average is made as sure as its members
    asked = sum((form.networks + 1) * SURE_OF for form in forms if form.averaged) / search.problem.pace.held_out_images
    return (every + asked) * search.problem.pace.pass_seconds(recipe)


def most_passes(search: Search, recipe: Recipe) -> int:
    """As many forward passes as a prediction may take; one at least, however long that takes; 0 where nothing is made
    of final runs."""
    problem = search.problem
    if not problem.most_networks or not problem.most_milliseconds:
        return problem.most_networks
    fit = int(problem.most_milliseconds / pass_milliseconds(search, recipe))
    return max(1, min(problem.most_networks, fit))


def pass_milliseconds(search: Search, recipe: Recipe) -> float:
    """What one network of the recipe takes for an image alone: measured once, so that a campaign that goes on makes
    what it made."""
    kind = fingerprint([recipe.identity()["architecture"], recipe.data.resolution])
    known = decided(search.ledger, PredictionTimes) or PredictionTimes({})
    if kind not in known.milliseconds:
        assert search.problem.time_prediction is not None, "where milliseconds were asked for somebody measures them"
        measured = {**known.milliseconds, kind: search.problem.time_prediction(recipe)}
        known = note(search.ledger, PredictionTimes(measured), replace=True)
    return known.milliseconds[kind]


def _forms(search: Search, recipe: Recipe, networks: int, *, stands: bool) -> dict[Role, Combined]:
    """What may be made of so many networks, from the cheapest to the dearest that is allowed; stands: whether the
    average of their weights does, else the best of them alone looks at mirror images."""
    most = most_passes(search, recipe)
    mirrors = recipe.data.augmentation.horizontal_flip > 0  # the guard has asked whether labels survive that
    found: dict[Role, Combined] = {}
    if can_average(recipe) and networks > 1 and most:
        found["average"] = Combined(networks, averaged=True, mirrored=False)
    if mirrors and most >= 2:
        found["mirrored"] = Combined(networks if stands else 1, averaged=stands, mirrored=True)
    if min(networks, most) >= 2:
        found["ensemble"] = Combined(min(networks, most), averaged=False, mirrored=False)
    if mirrors and min(networks, most // 2) >= 2:
        found["mirrored ensemble"] = Combined(min(networks, most // 2), averaged=False, mirrored=True)
    return found


def _average_stands(search: Search, recipe: Recipe, members: Sequence[TrialRecord]) -> bool:
    """Whether their average scores no less on validation than they do on average."""
    average = _made(search, "average", recipe, members)
    if average is None or any(record.spec.refit for record in members):
        return average is not None
    return search.scores.rank(average) >= _mean_score(search, members)


def _make(search: Search, members: Sequence[TrialRecord], names: tuple[str, ...], roles: Sequence[Role]) -> None:
    """Those of the roles that may be made of these networks; the first of them where not all are taken."""
    recipe = members[0].recipe
    in_order = sorted(members, key=lambda record: (not record.spec.refit, -search.scores.rank(record)))
    plans: list[Plan] = []
    allowed: dict[Role, float] = {}
    forms = _forms(search, recipe, len(members), stands=_average_stands(search, recipe, members))
    for role in [role for role in roles if role in forms]:
        form = forms[role]
        # a refit counts twice in an average: its images bring .8 to 3.7 points, and two equal networks .9 (docs/LOG.md)
        doubled = [*members, *(member for member in members if member.spec.refit)]
        chosen = doubled if form.averaged else in_order[: form.networks]
        weights = tuple(str(search.dispatcher.weights_of(record)) for record in chosen)
        least = _seen_share(search, chosen) if any(record.spec.refit for record in chosen) else None
        combination = Combination(weights, averaged=form.averaged, mirrored=form.mirrored, least=least)
        plan = search.problem.plan(role, recipe, _number(members), names)
        plans.append(replace(plan, combination=combination))
        allowed[role] = LONGEST * combination.cost * search.problem.pace.pass_seconds(recipe) + STARTING
    # where trainings are counted, a busy machine must not change what there is
    counted = search.problem.trainings > 0
    search.dispatcher.complete(plans, lambda plan: math.inf if counted else allowed[plan.role])


def _seen_share(search: Search, members: Sequence[TrialRecord]) -> float:
    """Of the validation images, which some of them learned from, the share that they classify correctly on average."""
    labels, said = search.problem.validation_labels, {member.id: member.outcome for member in members}.values()
    shares = [(each.validation_probabilities.argmax(axis=1) == labels).mean() for each in said if each is not None]
    return float(sum(shares) / len(shares))


def _number(members: Sequence[TrialRecord]) -> int:
    """Where a campaign goes on other members make another combination."""
    return sum(record.number + REFITS * record.spec.refit for record in members)


def _made(search: Search, role: Role, recipe: Recipe, members: Sequence[TrialRecord]) -> TrialRecord | None:
    """The combination of these networks, where it was made and stands."""
    if not members:
        return None
    seed = search.problem.plan(role, recipe, _number(members)).spec.seed
    made = [r for r in search.ledger.trials(role) if r.recipe == recipe and r.seed == seed and r.status == "finished"]
    return next((record for record in made if search.has_network(record)), None)


def _mean_score(search: Search, records: Sequence[TrialRecord]) -> float:
    return sum(search.scores.rank(record) for record in records) / len(records)
