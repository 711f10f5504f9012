"""The trained network that the user gave: a trial that only predicts, and what the headline compares with."""

import math
from dataclasses import replace
from pathlib import Path

from convlift.errors import WeightsError
from convlift.ledger.trials import TrialRecord
from convlift.recipe.architecture import Own
from convlift.recipe.combination import Combination
from convlift.recipe.recipe import Recipe
from convlift.search.context import Search
from convlift.search.decisions import made
from convlift.search.dispatcher import WEIGHTS
from convlift.search.start_decisions import Given

GIVEN = Path(WEIGHTS) / "given.safetensors"  # in the run folder: the user's weights, as a trial saves them


def given_recipe(baseline: Recipe, scaling: str = "") -> Recipe:
    """The baseline's recipe with the network as its code makes it, to which the user's weights belong. scaling: see
    `GivenNetwork`; written down where a recipe has a name for it."""
    own = baseline.architecture
    assert isinstance(own, Own), "weights are given with a network of the user's own"
    recipe = baseline.edit(architecture={"dropout": 0.0, "activation": "own", "normalization": "own"})
    return recipe.edit(data={"normalization": scaling}) if scaling in ("unit", "standardize", "imagenet") else recipe


def predict_given(search: Search) -> None:
    """Have it predict validation and test images, once. Raises WeightsError where that fails."""
    scaling = made(search.ledger, Given).found.scaling
    plan = search.problem.plan("given", given_recipe(search.problem.baseline, scaling), 0)
    read = Combination((str(search.ledger.folder / GIVEN),))
    (record,) = search.dispatcher.complete([replace(plan, combination=read)], lambda _: math.inf)
    if record.status != "finished":
        reason = record.outcome.reason if record.outcome else "it did not end"
        raise WeightsError(f"your network with its weights, {search.problem.given}, cannot predict ({reason}).")


def network_given(search: Search) -> TrialRecord | None:
    """The trial of the network that the user gave; None without one."""
    return next((record for record in search.ledger.trials("given") if record.status == "finished"), None)
