"""Nothing worse is handed over: what ships is settled on validation images, before the sealed test is opened."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from convlift.catalogue.candidates import candidates
from convlift.catalogue.starting_points import StartingPoint, starting_points
from convlift.execute.job import Job
from convlift.records.not_shipped import NotShipped
from convlift.search.context import Search
from convlift.search.decisions import Allocation
from convlift.search.dispatcher import Dispatcher
from convlift.search.finals import confirm, confirm_start
from convlift.search.problem import BASELINE as NAME
from convlift.search.problem import Problem
from convlift.search.scores import Scores
from convlift.search.shipment import Shipment, settle_shipment, start_in_doubt
from convlift.search.space import Configuration, SearchSpace, switched
from made_up import BASELINE, FACTS, HOUR, World, desk_in, diverges, flipped, problem_of, residual, shifted

BARE = StartingPoint(NAME, BASELINE, "the recipe to be improved")
START = starting_points(FACTS)[0]


def frozen_with(start: StartingPoint, *names: str) -> Configuration:
    chosen, _ = candidates(start.recipe, FACTS)
    on = np.array([candidate.name in names for candidate in chosen])
    space = SearchSpace(start, chosen)
    assert on.sum() == len(names)
    return switched(space, on)


@contextmanager
def ended(
    folder: Path, world: World, frozen: Configuration, baselines: int = 3
) -> Iterator[tuple[Problem, Dispatcher]]:
    """A campaign whose trainings are done: first runs and runs of the baseline, the bare start, and two final runs."""
    problem = problem_of(world, (START,))
    with desk_in(folder, world, 1000) as desk:
        plans = [problem.plan("baseline", BASELINE, number) for number in range(baselines)]
        if frozen.start is START:
            plans += [problem.plan("start", START.recipe, 1, (START.name,)), problem.plan("search", START.recipe, 0)]
        plans += [problem.plan("final", frozen.recipe, number, frozen.names) for number in range(2)]
        desk.complete(plans, lambda plan: 100 * HOUR)
        yield problem, desk


def shipped(folder: Path, world: World, frozen: Configuration) -> Shipment:
    with ended(folder, world, frozen) as (problem, desk):
        return settle_shipment(Search(problem, desk), frozen)


def test_what_is_better_ships_and_is_judged(tmp_path: Path) -> None:
    found = shipped(tmp_path / "run", World(seed=1, effects={flipped: 8.0}), frozen_with(BARE, "horizontal flip"))
    assert (found.ships, found.judged, found.why) == ("recipe", True, None)
    assert [run.role for run in found.after] == ["final", "final"]
    assert [run.role for run in found.before] == ["baseline"] * 3


def test_of_two_complete_final_runs_the_one_that_validation_likes_best_ships(tmp_path: Path) -> None:
    world, frozen = World(seed=1, effects={flipped: 8.0}, seed_points=3.0), frozen_with(BARE, "horizontal flip")
    with ended(tmp_path / "run", world, frozen) as (problem, desk):
        found = settle_shipment(Search(problem, desk), frozen)
        scores = [Scores(problem).score_points(run) for run in desk.ledger.trials("final")]
    assert Scores(problem).score_points(found.network) == max(scores) > min(scores)


def test_it_is_compared_with_the_baselines_best_on_validation_which_the_ledger_keeps(tmp_path: Path) -> None:
    """Fixed before the test is opened, and on the baseline's side."""
    world, frozen = World(seed=1, effects={flipped: 8.0}, seed_points=3.0), frozen_with(BARE, "horizontal flip")
    with ended(tmp_path / "run", world, frozen) as (problem, desk):
        found = settle_shipment(Search(problem, desk), frozen)
        scores = [Scores(problem).score_points(run) for run in desk.ledger.trials("baseline")]
        assert found.baseline_network in found.before
        assert Scores(problem).score_points(found.baseline_network) == max(scores) > min(scores)
        assert desk.ledger.recall("shipment")["baseline_network"] == found.baseline_network.id


def test_what_is_worse_than_the_baseline_leaves_the_baseline_and_the_test_sealed(tmp_path: Path) -> None:
    found = shipped(tmp_path / "run", World(seed=1, effects={flipped: -8.0}), frozen_with(BARE, "horizontal flip"))
    assert (found.ships, found.judged) == ("baseline", False)
    assert found.why == NotShipped("below the baseline")
    assert found.network in found.before


def test_what_is_worse_than_the_bare_start_leaves_the_bare_start(tmp_path: Path) -> None:
    world = World(seed=1, effects={residual: 9.0, flipped: -6.0})
    found = shipped(tmp_path / "run", world, frozen_with(START, "horizontal flip"))
    assert (found.ships, found.judged) == ("start", True)
    assert found.why == NotShipped("start is better")
    assert found.frozen.names == ()
    assert found.network.recipe == START.recipe
    # the start won by nine points, so that its first run's luck decided nothing
    assert [run.role for run in found.after] == ["search", "start"]


def test_where_one_run_of_the_bare_start_is_above_another_one_decides(tmp_path: Path) -> None:
    world, frozen = World(seed=1, effects={residual: 9.0, flipped: -6.0}), frozen_with(START, "horizontal flip")
    with ended(tmp_path / "run", world, frozen) as (problem, desk):
        assert start_in_doubt(Search(problem, desk), frozen)
        confirm_start(Search(problem, desk), frozen)
        assert not start_in_doubt(Search(problem, desk), frozen)
        confirm_start(Search(problem, desk), frozen)
        finals = desk.ledger.trials("final")
        found = settle_shipment(Search(problem, desk), frozen)
    assert (finals[-1].recipe, finals[-1].names, len(finals)) == (START.recipe, (), 3)
    assert found.ships == "start"
    assert [run.role for run in found.after] == ["final", "search", "start"]


def test_where_the_final_runs_are_above_no_more_is_run(tmp_path: Path) -> None:
    world, frozen = World(seed=1, effects={residual: 9.0, flipped: 6.0}), frozen_with(START, "horizontal flip")
    with ended(tmp_path / "run", world, frozen) as (problem, desk):
        assert not start_in_doubt(Search(problem, desk), frozen)


def test_after_a_close_choice_the_starts_probe_is_no_evidence(tmp_path: Path) -> None:
    world = World(seed=1, effects={residual: 4.0, flipped: -8.0})
    found = shipped(tmp_path / "run", world, frozen_with(START, "horizontal flip"))
    assert found.ships == "start"
    assert [run.role for run in found.after] == ["search"]


@pytest.mark.parametrize("fate", [diverges, lambda job: ValueError("no such layer")], ids=["diverged", "failed"])
def test_a_shipped_recipe_whose_final_runs_fail_to_learn_falls_back(
    tmp_path: Path, fate: Callable[[Job], Exception]
) -> None:
    world = World(seed=1, effects={residual: 9.0}, fate=lambda job: fate(job) if flipped(job.spec.recipe) else None)
    found = shipped(tmp_path / "start", world, frozen_with(START, "horizontal flip"))
    assert found.ships == "start"
    assert found.why.why == "only the start learned"
    assert found.why.reason
    found = shipped(tmp_path / "baseline", world, frozen_with(BARE, "horizontal flip"))
    assert found.ships == "baseline"
    assert found.why.why == "final runs failed"
    assert found.why.reason


def test_a_final_run_at_chance_does_not_ship_but_counts(tmp_path: Path) -> None:
    world, frozen = World(seed=1, effects={flipped: 8.0}), frozen_with(BARE, "horizontal flip")
    with ended(tmp_path / "run", world, frozen) as (problem, desk):
        last = desk.ledger.trials("final")[-1]
        unlucky = problem.plan("final", frozen.recipe, 2, frozen.names)
        chance = np.full((world.n, 4), 0.25, np.float32) + np.random.default_rng(0).random((world.n, 4), np.float32)
        assert last.outcome is not None
        claimed = desk.ledger.claim(unlucky)
        desk.ledger.finish(claimed.id, replace(last.outcome, validation_probabilities=chance / chance.sum(1)[:, None]))
        desk.weights_of(claimed).write_text("at chance")
        found = settle_shipment(Search(problem, desk), frozen)
    assert found.ships == "recipe"
    assert claimed.id in [run.id for run in found.after]
    assert found.network.id != claimed.id


def test_a_final_run_that_was_cut_short_never_ships_beside_a_complete_one(tmp_path: Path) -> None:
    world, frozen = World(seed=1, effects={flipped: 8.0}), frozen_with(BARE, "horizontal flip")
    problem = problem_of(world)
    with desk_in(tmp_path / "run", world, 1000) as desk:
        plans = [problem.plan("final", frozen.recipe, number, frozen.names) for number in range(2)]
        desk.complete([problem.plan("baseline", BASELINE, 0), plans[0]], lambda plan: 100 * HOUR)
        desk.complete([plans[1]], lambda plan: 0.87 * HOUR)
        assert [run.status for run in desk.ledger.trials("final")] == ["finished", "stopped"]
        found = settle_shipment(Search(problem, desk), frozen)
        assert [run.id for run in found.after] == [found.network.id] == [desk.ledger.trials("final")[0].id]


def test_without_a_run_of_the_baseline_nothing_is_judged(tmp_path: Path) -> None:
    world, frozen = World(seed=1, effects={shifted: 8.0}), frozen_with(START)
    with ended(tmp_path / "run", world, frozen, baselines=0) as (problem, desk):
        found = settle_shipment(Search(problem, desk), frozen)
        assert desk.ledger.recall("shipment") == {
            "ships": "recipe",
            "network": found.network.id,
            "judged": False,
            "before": [],
            "after": [run.id for run in found.after],
            "baseline_network": None,
        }
    assert (found.judged, found.why) == (False, NotShipped("no time for the baseline"))


def test_final_runs_fill_the_time(tmp_path: Path) -> None:
    """Nothing else is left to spend it on."""
    world = World(seed=1, effects={flipped: 8.0}, seconds_noise=0.0)
    problem, frozen = problem_of(world, (START,)), frozen_with(BARE, "horizontal flip")
    for searches, finals, refits in ((0, 5, 1), (3, 6, 0)):
        with desk_in(tmp_path / str(searches), world, 5, workers=2) as desk:
            desk.complete([problem.plan("baseline", problem.baseline, 0)], lambda plan: 2 * HOUR)
            confirm(Search(problem, desk), frozen, Allocation(searches + 2, 2, 2, 2))
            assert [len(desk.ledger.trials(role)) for role in ("final", "refit")] == [finals, refits]
            assert all(record.status == "finished" for record in desk.ledger.trials("final"))
