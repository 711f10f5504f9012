"""Which interventions a campaign tries on a given recipe, and the recipes they make together."""

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from typing import get_args

import numpy as np
from numpy.typing import NDArray

from convlift.catalogue.intervention import Intervention, misfit, unaugmented, unmixed, why_unfit
from convlift.catalogue.interventions.architecture import ARCHITECTURE
from convlift.catalogue.interventions.augmentation import AUGMENTATION
from convlift.catalogue.interventions.colour_and_quality import COLOUR_AND_QUALITY
from convlift.catalogue.interventions.data import DATA
from convlift.catalogue.interventions.fine_tuning import FINE_TUNING
from convlift.catalogue.interventions.geometric import GEOMETRIC
from convlift.catalogue.interventions.head import HEAD
from convlift.catalogue.interventions.joint import JOINT
from convlift.catalogue.interventions.mixing import MIXING
from convlift.catalogue.interventions.refinements import REFINEMENTS
from convlift.catalogue.interventions.training import TRAINING
from convlift.catalogue.interventions.weaker import WEAKER
from convlift.catalogue.priors import Expectations, Learned, shipped_expectations
from convlift.catalogue.reasons import JointChange, NoPlace, NotTried, OtherArea, OtherLevel, TooDear, Why
from convlift.catalogue.symptoms import Symptom
from convlift.catalogue.unfit import InvalidRecipe
from convlift.errors import RecipeError
from convlift.recipe.architecture import ConvNet, why_impossible
from convlift.recipe.recipe import Recipe
from convlift.records.facts import Facts
from convlift.records.result import Area

CATALOGUE: tuple[Intervention, ...] = (
    *DATA,
    *AUGMENTATION,
    *GEOMETRIC,
    *COLOUR_AND_QUALITY,
    *WEAKER,
    *MIXING,
    *ARCHITECTURE,
    *REFINEMENTS,
    *HEAD,
    *TRAINING,
    *FINE_TUNING,
    *JOINT,
)

# Fewer places than that, about 17 trainings, are a short list: of each factor only the most promising level has a place
# before all others, and joint changes, whose training runs are costlier, have none. Their worth depends on the world:
# see docs/LOG.md.
SHORT = 30
MOST = 40  # more candidates than this thin the evidence for each one out too far
TRAINING_POINTS = 0.2  # a training's worth of time, in points: as the search charges it (evidence/posterior.py)
SYMPTOM_POINTS = 0.25  # what one matching symptom adds to a prior, or takes from it; two count at most

Switches = Sequence[bool] | NDArray[np.bool_]
RelativeCost = Callable[[Recipe], float]


@dataclass(frozen=True)
class Candidate:
    """An intervention that fits the start.

    prior: its expected gain in points, raised by a symptom that calls for it and lowered by one that warns against it.
    cost: of one training run with it, in training runs of the start.
    why: why it is tried; None where it was not chosen by `candidates`.
    """

    intervention: Intervention
    prior: float
    cost: float = 1.0
    why: Why | None = None

    @property
    def name(self) -> str:
        return self.intervention.name

    @property
    def promise(self) -> float:
        """What it is worth a place for: its expected gain in points, less what the search charges for its cost."""
        return self.prior - TRAINING_POINTS * (self.cost - 1.0)

    @property
    def area(self) -> Area:
        return self.intervention.area


@dataclass(frozen=True)
class CostLimit:
    """What a training may cost: a change whose training runs take longer is not tried.

    cost: of one training run of an edited recipe, in training runs of the start.
    most: what it may be.
    """

    cost: RelativeCost
    most: float = 3.0


@dataclass(frozen=True)
class LeftOut:
    """An intervention that is not tried, and why."""

    name: str
    area: Area
    reason: NotTried


def limit_for(trainings: int) -> int:
    """How many candidates `trainings` can tell anything about: two a training, at most MOST, at least 3."""
    return max(3, min(MOST, 2 * trainings))


def candidates(
    recipe: Recipe,
    facts: Facts,
    symptoms: Collection[Symptom] = (),
    limit: int = MOST,
    cost_limit: CostLimit | None = None,
    expectations: Expectations | None = None,
) -> tuple[tuple[Candidate, ...], tuple[LeftOut, ...]]:
    """The candidates in catalogue order, and what was left out, each with its reason.

    limit: how many there may be; every area that has a fitting intervention keeps a share of a short list.
    cost_limit: None leaves nothing out for its cost.
    expectations: what past campaigns lead one to expect; by default those that come with the package.
    """
    known = expectations or shipped_expectations()
    fitting: list[Candidate] = []
    left_out: list[LeftOut] = []
    for intervention in CATALOGUE:
        reason: NotTried | None = why_unfit(intervention, recipe, facts)
        if not reason and intervention in JOINT and limit < SHORT:
            reason = JointChange(limit, SHORT)
        cost = 1.0
        if cost_limit and not reason:
            try:
                cost = cost_limit.cost(intervention.edit(recipe))
            except RecipeError as error:  # a network that cannot be built: of more stages than its backbone has
                reason = InvalidRecipe(str(error))
        if cost_limit and cost > cost_limit.most:
            reason = TooDear(cost, cost_limit.most)
        if reason:
            left_out.append(LeftOut(intervention.name, intervention.area, reason))
        else:
            learned = known.of(recipe.architecture.kind, intervention.name)
            prior = _prior(intervention, symptoms, learned)
            fitting.append(Candidate(intervention, prior, cost, _why(intervention, symptoms, prior, learned)))
    chosen = _balanced(fitting, limit)
    for candidate in fitting:
        if candidate not in chosen:
            left_out.append(LeftOut(candidate.name, candidate.area, _no_place(candidate, chosen, limit)))
    return tuple(chosen), tuple(left_out)


def _prior(intervention: Intervention, symptoms: Collection[Symptom], learned: Learned | None) -> float:
    called = min(sum(symptom in symptoms for symptom in intervention.helps), 2)
    warned = min(sum(symptom in symptoms for symptom in intervention.hurts), 2)
    expected = learned.points if learned else intervention.prior
    return expected + SYMPTOM_POINTS * (called - warned)


def _why(intervention: Intervention, symptoms: Collection[Symptom], prior: float, learned: Learned | None) -> Why:
    """Which symptoms call for it or warn against it, what is expected of it, and where that comes from."""
    return Why(
        called=tuple(symptom for symptom in intervention.helps if symptom in symptoms),
        warned=tuple(symptom for symptom in intervention.hurts if symptom in symptoms),
        points=prior,
        campaigns=learned.campaigns if learned else 0,
        reported="" if learned else intervention.reported,
    )


def _no_place(candidate: Candidate, chosen: Sequence[Candidate], limit: int) -> NotTried:
    """Why a fitting change has no place among the chosen (`_balanced`)."""
    group, why = candidate.intervention.group, candidate.why
    assert why is not None, "every fitting change has its reasons"
    if limit < SHORT and group and any(each.intervention.group == group for each in chosen):
        return OtherLevel(limit, why)
    if candidate.promise > min(each.promise for each in chosen):
        return OtherArea(limit, why)
    return NoPlace(limit, why)


def _balanced(fitting: list[Candidate], limit: int) -> list[Candidate]:
    """The most promising `limit`, of which each area holds at least a fifth (and one) where it has as many; on a short
    list a second level of one factor comes after all other factors."""
    if len(fitting) <= limit:
        return fitting
    by_promise = sorted(fitting, key=lambda candidate: -candidate.promise)
    if limit < SHORT:
        first = {each.intervention.group or each.name: each for each in reversed(by_promise)}
        by_promise.sort(key=lambda candidate: candidate is not first[candidate.intervention.group or candidate.name])
    share = max(1, limit // 5)
    kept = [
        candidate for area in get_args(Area) for candidate in [each for each in by_promise if each.area == area][:share]
    ]
    kept += [candidate for candidate in by_promise if candidate not in kept]
    kept = kept[:limit]
    return [candidate for candidate in fitting if candidate in kept]


def compose(recipe: Recipe, candidates: Sequence[Candidate], on: Switches) -> Recipe:
    """The recipe with the candidates switched `on` (one truth value each) applied in catalogue order.

    Raises RecipeError where two that move one factor are on together (levels of it, or a joint change and one of its
    parts), or the edits leave no valid recipe.
    """
    taken: dict[str, str] = {}
    for candidate, switch in zip(candidates, on, strict=True):
        if not switch:
            continue
        for factor in candidate.intervention.factors:
            if factor in taken:
                raise RecipeError(
                    f"'{taken[factor]}' and '{candidate.name}' both set one factor ({factor}); "
                    "only one of them can be on."
                )
        taken |= dict.fromkeys(candidate.intervention.factors, candidate.name)
        recipe = candidate.intervention.edit(recipe)
    network, side = recipe.architecture, recipe.data.resolution
    if isinstance(network, ConvNet) and side is not None and (reason := why_impossible(network, side)):
        raise RecipeError(f"the changes do not fit together ({reason}); leave one of them out.")
    return recipe


def valid(recipe: Recipe, candidates: Sequence[Candidate], on: Switches) -> bool:
    """Whether `compose` gives a recipe for this combination."""
    try:
        compose(recipe, candidates, on)
    except RecipeError:
        return False
    return True


def shared_with(recipe_frozen: Recipe, candidates: Sequence[Candidate]) -> tuple[bool, ...]:
    """Which candidates of a transfer recipe also mean something on its frozen counterpart (see `head_only`), so that
    a training of the head alone can try them.

    False where the edit has no valid result, changes nothing, starts the fine-tuning that was taken away, or only
    augments where no views are stored: features that are extracted once see no augmentation.
    """
    return tuple(_means_something(recipe_frozen, candidate.intervention) for candidate in candidates)


def _means_something(recipe_frozen: Recipe, intervention: Intervention) -> bool:
    try:
        edited = intervention.edit(recipe_frozen)
    except RecipeError:
        return False
    if edited.training.fine_tuning is not None or misfit(edited):
        return False
    return _as_seen(edited) != _as_seen(recipe_frozen)


def _as_seen(recipe: Recipe) -> Recipe:
    """The recipe without what a first phase does not see: mixing and, of stored features, augmentation."""
    whole = unmixed(recipe)
    return whole if recipe.data.views else unaugmented(whole)


def groups(candidates: Sequence[Candidate]) -> NDArray[np.int64]:
    """(K,): for each candidate the number of its factor, counted from 0; -1 where it is a factor of its own."""
    names = [candidate.intervention.group for candidate in candidates]
    numbers = {name: number for number, name in enumerate(dict.fromkeys(filter(None, names)))}
    return np.array([numbers.get(name, -1) for name in names], np.int64)


def priors(candidates: Sequence[Candidate]) -> NDArray[np.float64]:
    """(K,): expected gains in percentage points."""
    return np.array([candidate.prior for candidate in candidates], np.float64)
