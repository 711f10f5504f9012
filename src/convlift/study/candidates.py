"""Which interventions a campaign tries on a given recipe, and the recipes they make together."""

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from typing import get_args

import numpy as np
from numpy.typing import NDArray

from convlift.errors import RecipeError
from convlift.outcome import Area
from convlift.recipe import Recipe
from convlift.study.intervention import Facts, Intervention, misfit, why_unfit
from convlift.study.interventions.architecture import ARCHITECTURE
from convlift.study.interventions.augmentation import AUGMENTATION
from convlift.study.interventions.data import DATA
from convlift.study.interventions.fine_tuning import FINE_TUNING
from convlift.study.interventions.head import HEAD
from convlift.study.interventions.training import TRAINING
from convlift.study.symptoms import Symptom

CATALOGUE: tuple[Intervention, ...] = (
    *DATA,
    *AUGMENTATION,
    *ARCHITECTURE,
    *HEAD,
    *TRAINING,
    *FINE_TUNING,
)

MOST = 40  # more candidates than this thin the evidence for each one out too far
SYMPTOM_POINTS = 0.25  # what one matching symptom adds to a prior; two count at most

Switches = Sequence[bool] | NDArray[np.bool_]
RelativeCost = Callable[[Recipe], float]


@dataclass(frozen=True)
class Candidate:
    """An intervention that fits the start. prior: its expected gain in points, raised where a symptom calls for it;
    cost: its training's length in trainings of the start."""

    intervention: Intervention
    prior: float
    cost: float = 1.0

    @property
    def name(self) -> str:
        return self.intervention.name

    @property
    def area(self) -> Area:
        return self.intervention.area


@dataclass(frozen=True)
class LeftOut:
    """An intervention that is not tried, and why, in words."""

    name: str
    area: Area
    reason: str


def limit_for(trainings: int) -> int:
    """How many candidates `trainings` can tell anything about: two a training, at most MOST, at least 3."""
    return max(3, min(MOST, 2 * trainings))


def candidates(
    recipe: Recipe,
    facts: Facts,
    symptoms: Collection[Symptom] = (),
    limit: int = MOST,
    cost: RelativeCost | None = None,
    dearest: float = 4.0,
) -> tuple[tuple[Candidate, ...], tuple[LeftOut, ...]]:
    """The candidates in catalogue order, and what was left out with its reason.

    cost: trainings of the start that one training of an edited recipe takes; where given, what costs more than
    `dearest` is left out. Every area that has a fitting intervention keeps a share of a short list.
    """
    fitting: list[Candidate] = []
    left_out: list[LeftOut] = []
    for intervention in CATALOGUE:
        reason = why_unfit(intervention, recipe, facts)
        price = cost(intervention.edit(recipe)) if cost and not reason else 1.0
        if price > dearest:
            reason = f"one training would cost {price:.1f} of the start's; at most {dearest:g} are allowed"
        if reason:
            left_out.append(LeftOut(intervention.name, intervention.area, reason))
        else:
            fitting.append(Candidate(intervention, _prior(intervention, symptoms), price))
    chosen = _balanced(fitting, limit)
    for candidate in fitting:
        if candidate not in chosen:
            reason = f"the budget has room for {limit} candidates, and others promise more"
            left_out.append(LeftOut(candidate.name, candidate.area, reason))
    return tuple(chosen), tuple(left_out)


def _prior(intervention: Intervention, symptoms: Collection[Symptom]) -> float:
    matches = sum(symptom in symptoms for symptom in intervention.helps)
    return intervention.prior + SYMPTOM_POINTS * min(matches, 2)


def _balanced(fitting: list[Candidate], limit: int) -> list[Candidate]:
    """The most promising `limit`, of which each area holds at least a fifth (and one) where it has as many."""
    if len(fitting) <= limit:
        return fitting
    by_promise = sorted(fitting, key=lambda candidate: -candidate.prior)
    share = max(1, limit // 5)
    kept = [
        candidate for area in get_args(Area) for candidate in [each for each in by_promise if each.area == area][:share]
    ]
    kept += [candidate for candidate in by_promise if candidate not in kept]
    kept = kept[:limit]
    return [candidate for candidate in fitting if candidate in kept]


def compose(recipe: Recipe, candidates: Sequence[Candidate], on: Switches) -> Recipe:
    """The recipe with the candidates switched `on` (one truth value each) applied in catalogue order.

    Raises RecipeError where two levels of one factor are on together, or the edits leave no valid recipe.
    """
    taken: dict[str, str] = {}
    for candidate, switch in zip(candidates, on, strict=True):
        group = candidate.intervention.group
        if not switch:
            continue
        if group in taken:
            raise RecipeError(
                f"'{taken[group]}' and '{candidate.name}' are levels of one factor ({group}); "
                "only one of them can be on."
            )
        if group:
            taken[group] = candidate.name
        recipe = candidate.intervention.edit(recipe)
    if misfit(recipe):
        raise RecipeError(f"the changes do not fit together: {misfit(recipe)}; leave one of them out.")
    return recipe


def valid(recipe: Recipe, candidates: Sequence[Candidate], on: Switches) -> bool:
    """Whether `compose` gives a recipe for this combination."""
    try:
        compose(recipe, candidates, on)
    except RecipeError:
        return False
    return True


def groups(candidates: Sequence[Candidate]) -> NDArray[np.int64]:
    """(K,): for each candidate the number of its factor, counted from 0; -1 where it is a factor of its own."""
    names = [candidate.intervention.group for candidate in candidates]
    numbers = {name: number for number, name in enumerate(dict.fromkeys(filter(None, names)))}
    return np.array([numbers.get(name, -1) for name in names], np.int64)


def priors(candidates: Sequence[Candidate]) -> NDArray[np.float64]:
    """(K,): expected gains in percentage points."""
    return np.array([candidate.prior for candidate in candidates], np.float64)
