"""What is trained: one recipe, one seed, one fidelity."""

import math
from dataclasses import dataclass

from convlift.recipe.recipe import Recipe


@dataclass(frozen=True)
class TrialSpec:
    """One training. fidelity: fraction of the recipe's epochs; refit: whether it learns from the validation images too,
    so that what it predicts of them is no measure of it."""

    recipe: Recipe
    seed: int
    fidelity: float = 1.0
    refit: bool = False


@dataclass(frozen=True)
class Limits:
    """What a training may take and where it leaves what.

    seconds: wall clock from the moment at which it is handed over, after which it stops where it is.
    save_to: path of the weights, "" for none.
    gives_up: whether it ends, as diverged, where half of its epochs have taught it nothing.
    """

    seconds: float = math.inf
    save_to: str = ""
    gives_up: bool = False


NO_LIMITS = Limits()
