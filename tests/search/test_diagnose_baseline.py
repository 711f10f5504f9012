"""The user's own recipe is examined first: the accused lever is undone once, where cheap, and the finding found."""

from collections.abc import Callable
from pathlib import Path

import pytest

from convlift.recipe.recipe import Recipe
from convlift.records.recipe_findings import Confirmed, OverAugmented, RecipeFinding, Suspected
from convlift.search.context import Search
from convlift.search.decisions import note
from convlift.search.diagnose_baseline import (
    MOST_BESIDE,
    MOST_OF_BUDGET,
    examine_baseline,
    found_of_the_baseline,
    trial_of_the_baseline,
)
from convlift.search.dispatcher import Dispatcher
from convlift.search.loop import run_search
from convlift.search.start_decisions import Length
from made_up import BASELINE, HOUR, World, desk_in, problem_of

TURNED = BASELINE.edit(data={"augmentation": {"horizontal_flip": 0.5, "rotation": 0.2}})


def turned(recipe: Recipe) -> bool:
    return recipe.data.augmentation.rotation >= 0.2


OVER_AUGMENTED = {turned: -30.0}


def examined(
    desk: Dispatcher, world: World, hours: Callable[[Dispatcher], float] = lambda desk: 100 * HOUR
) -> tuple[RecipeFinding, ...]:
    problem = problem_of(world, baseline=TURNED)
    desk.complete([problem.plan("baseline", TURNED, 0)], lambda plan: 100 * HOUR)
    desk.complete(trial_of_the_baseline(Search(problem, desk)), lambda plan: 100 * HOUR)
    examine_baseline(Search(problem, desk))
    return found_of_the_baseline(desk)


def test_an_over_augmented_recipe_is_told_so_by_its_own_scores(tmp_path: Path) -> None:
    world = World(seed=1, effects=OVER_AUGMENTED, n=400)
    with desk_in(tmp_path / "run", world, 100, baseline=TURNED) as desk:
        (found,) = examined(desk, world)
        (start_run,) = desk.ledger.trials("start")
    assert isinstance(found, Confirmed)
    assert found.fault == OverAugmented((("horizontal_flip", 0.5), ("rotation", 0.2)))
    assert found.with_it is not None
    assert found.without_it > found.with_it > 0
    assert start_run.recipe == TURNED.edit(data={"augmentation": {"horizontal_flip": 0.0, "rotation": 0.0}})


def test_a_suspicion_that_its_probe_does_not_confirm_is_not_found(tmp_path: Path) -> None:
    world = World(seed=1, effects={}, accuracy=0.55, n=400)
    with desk_in(tmp_path / "run", world, 100, baseline=TURNED) as desk:
        assert examined(desk, world) == ()
        assert len(desk.ledger.trials("start")) == 1


@pytest.mark.parametrize("fitted", [True, False])
def test_of_a_time_that_a_length_was_fitted_to_little_is_taken(tmp_path: Path, fitted: bool) -> None:
    world = World(seed=1, effects=OVER_AUGMENTED, n=400)
    with desk_in(tmp_path / "run", world, 1 + 0.5 / MOST_BESIDE, baseline=TURNED) as desk:
        if fitted:
            note(desk.ledger, Length(40, 1, "residual"))
        examined(desk, world)
        assert len(desk.ledger.trials("start")) == (not fitted)


def test_where_the_probe_is_too_dear_a_suspicion_is_found_as_one(tmp_path: Path) -> None:
    world = World(seed=1, effects=OVER_AUGMENTED, n=400, seconds_noise=0.0)
    with desk_in(tmp_path / "run", world, 0.5 / MOST_OF_BUDGET, baseline=TURNED) as desk:
        (found,) = examined(desk, world)
        assert desk.ledger.trials("start") == ()
    assert isinstance(found, Suspected)
    assert isinstance(found.fault, OverAugmented)


def test_a_recipe_that_learns_well_is_accused_of_nothing(tmp_path: Path) -> None:
    world = World(seed=1, effects={}, accuracy=0.97, n=400)
    with desk_in(tmp_path / "run", world, 100, baseline=TURNED) as desk:
        assert examined(desk, world) == ()
        assert desk.ledger.trials("start") == ()


@pytest.mark.parametrize("workers", [1, 2])
def test_its_trial_is_part_of_a_campaign_and_no_evidence(tmp_path: Path, workers: int) -> None:
    world = World(seed=1, effects=OVER_AUGMENTED, n=200)
    problem = problem_of(world, baseline=TURNED)
    with desk_in(tmp_path / "run", world, 24, workers=workers, baseline=TURNED) as desk:
        shipment = run_search(Search(problem, desk))
        assert desk.ledger.trials("search")
        start_runs = [
            trial for trial in desk.ledger.trials("start") if trial.names == ("your recipe without its augmentation",)
        ]
        assert len(start_runs) == 1
        (found,) = found_of_the_baseline(desk)
        assert isinstance(found, Confirmed)
        assert isinstance(found.fault, OverAugmented)
        assert start_runs[0] not in (*shipment.before, *shipment.after)
