"""The last trainings: how they share the time that was left for them."""

from pathlib import Path

import pytest

from convlift.catalogue.starting_points import starting_points
from convlift.execute.job import Job
from convlift.recipe.recipe import Recipe
from convlift.search.combine import members_of
from convlift.search.compared_runs import final_runs
from convlift.search.context import Search
from convlift.search.decisions import made
from convlift.search.loop import run_search
from convlift.search.refit import able_refits
from convlift.search.start_decisions import Length
from made_up import FACTS, HOUR, Holds, World, desk_in, problem_of

BUDGET = 70  # trainings of the baseline for each worker
MORE = 1.4  # times as many images, of which an epoch of a refit is: 400 for validation beside 1,000


def is_pretrained(recipe: Recipe) -> bool:
    return recipe.architecture.kind == "pretrained"


def is_tuned(recipe: Recipe) -> bool:
    return recipe.training.fine_tuning is not None


EFFECTS: dict[Holds, float] = {is_pretrained: 5.0, is_tuned: 4.0}


@pytest.mark.parametrize("slower", [0.98, 1.0, 1.07])
def test_two_rounds_whose_length_fills_the_time_have_equal_shares_of_it(tmp_path: Path, slower: float) -> None:
    """A little faster or slower than was measured, all of them are whole, and next to no time is wasted."""

    def slow(job: Job) -> float:
        return slower * (MORE if job.spec.refit else 1.0) if is_tuned(job.spec.recipe) else 1.0

    world = World(seed=1, effects=EFFECTS, n=400, nt=800, seconds_noise=0.0, slow=slow)
    with desk_in(tmp_path / "run", world, BUDGET, workers=2) as desk:
        run_search(Search(problem_of(world, starting_points(FACTS)), desk))
        assert made(desk.ledger, Length).rounds == 2
        last = [*desk.ledger.trials("final"), *desk.ledger.trials("refit")]
        seconds = [run.outcome.seconds for run in last if run.outcome]
        assert [run.status for run in last] == ["finished"] * 4
        assert max(seconds) < 1.02 * min(seconds)
        assert desk.ledger.seconds_used() > 0.97 * BUDGET * HOUR


@pytest.mark.parametrize(("slower", "ships"), [(1.25, True), (1.7, False)])
def test_a_refit_that_had_a_little_less_of_its_training_than_the_final_runs_ships_all_the_same(
    tmp_path: Path, slower: float, ships: bool
) -> None:
    def slow(job: Job) -> float:
        return slower * MORE if job.spec.refit else 1.0

    world = World(seed=1, effects=EFFECTS, n=400, nt=800, seconds_noise=0.0, slow=slow)
    with desk_in(tmp_path / "run", world, BUDGET, workers=2) as desk:
        search = Search(problem_of(world, starting_points(FACTS)), desk)
        shipment = run_search(search)
        finals, refits = desk.ledger.trials("final"), desk.ledger.trials("refit")
        assert {run.status for run in finals} == {"finished"}
        assert "stopped" in {run.status for run in refits}
        able = able_refits(search, shipment.frozen.recipe, finals)
        assert ({run.id for run in able} == {run.id for run in refits}) == ships


@pytest.mark.parametrize(("slower", "is_member"), [(1.25, True), (2.0, False)])
def test_a_final_run_that_was_a_little_late_is_averaged_though_it_does_not_count(
    tmp_path: Path, slower: float, is_member: bool
) -> None:
    """Beside another one that was not late; else its share of the time would be wasted."""
    late: list[int] = []

    def slow(job: Job) -> float:
        if job.spec.refit or job.combination or not job.spec.recipe.tunes_on_images:
            return MORE if job.spec.refit else 1.0
        late.append(job.id)
        return slower if job.id == late[0] else 0.95

    world = World(seed=1, effects=EFFECTS, n=400, nt=800, seconds_noise=0.0, slow=slow)
    with desk_in(tmp_path / "run", world, BUDGET, workers=2) as desk:
        search = Search(problem_of(world, starting_points(FACTS)), desk)
        shipment = run_search(search)
        recipe, finals = shipment.frozen.recipe, desk.ledger.trials("final")
        assert sorted(run.status for run in finals) == ["finished", "stopped"]
        assert [run.status for run in shipment.after] == ["finished"]
        members = {run.id for run in members_of(search, recipe, final_runs(desk.ledger, recipe))}
        assert ({run.id for run in finals} <= members) == is_member
