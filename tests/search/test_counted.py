"""--trainings: a campaign as long as its number of trainings, the same on every machine, whatever ends first."""

from dataclasses import replace
from pathlib import Path

import pytest

from convlift.catalogue.starting_points import starting_points
from convlift.errors import Interrupted
from convlift.execute.job import Job
from convlift.ledger.ledger import Ledger
from convlift.search.allocate import arms, divide
from convlift.search.context import MOST_LAG, Search
from convlift.search.decisions import Allocation, Freeze, Revision, Shipped, Shortlist, decided
from convlift.search.dispatcher import Dispatcher
from convlift.search.loop import run_search
from convlift.search.problem import Problem
from made_up import FACTS, HOUR, World, desk_in, outline, problem_of, residual, train
from timeline import Timeline

STARTS = starting_points(FACTS)[:2]  # from scratch and pretrained


def counted(world: World, trainings: int) -> Problem:
    problem = problem_of(world, STARTS)
    return replace(problem, trainings=trainings, pace=replace(problem.pace, nominal=True))


def run(folder: Path, world: World, trainings: int, workers: int) -> tuple[list[tuple[object, ...]], object]:
    with desk_in(folder, world, float("inf"), workers=workers) as desk:
        run_search(Search(counted(world, trainings), desk))
        facts = [decided(desk.ledger, kind) for kind in (Shortlist, Revision, Freeze, Shipped, Allocation)]
        return outline(desk.ledger), facts


@pytest.mark.parametrize("trainings", [12, 24])
def test_workers_and_speed_change_nothing(tmp_path: Path, trainings: int) -> None:
    """Of three workers on a machine whose trainings take from a third to three times as long, others end first."""
    quick = World(seed=6, effects={residual: 6.0}, n=120, nt=120, seconds_noise=0.0)
    busy = replace(quick, seconds_noise=0.8)
    alone = run(tmp_path / "alone", quick, trainings, 1)
    assert run(tmp_path / "three", busy, trainings, 3) == alone
    assert run(tmp_path / "eight", busy, trainings, 8) == alone


def test_baseline_search_and_shipped_recipe_make_up_the_number(tmp_path: Path) -> None:
    world = World(seed=6, effects={residual: 6.0}, n=120, nt=120)
    with desk_in(tmp_path / "run", world, float("inf"), workers=2) as desk:
        run_search(Search(counted(world, 20), desk))
        roles = [trial.role for trial in desk.ledger.trials()]
    assert (roles.count("baseline"), roles.count("final"), roles.count("refit")) == (5, 2, 1)
    assert sum(roles.count(role) for role in ("baseline", "search", "final", "refit")) == 20


def test_interrupted_it_goes_on_to_the_same_end(tmp_path: Path) -> None:
    world = World(seed=6, effects={residual: 6.0}, n=120, nt=120, seconds_noise=0.5)
    whole = run(tmp_path / "whole", world, 14, 2)
    folder, ended = tmp_path / "cut", 0
    for _ in range(30):

        def stop(ledger: Ledger, least: int = ended + 3) -> int:
            return 15 * (sum(trial.outcome is not None for trial in ledger.trials()) >= least)

        with desk_in(folder, world, float("inf"), workers=2, stop=stop) as desk:
            try:
                run_search(Search(counted(world, 14), desk))
                break
            except Interrupted:
                ended = sum(trial.outcome is not None for trial in desk.ledger.trials())
    assert run(folder, world, 14, 2) == whole


def test_no_trial_has_a_limit(tmp_path: Path) -> None:
    world, asked = World(seed=1, n=60, nt=60), []

    class Listening(Timeline):
        def submit(self, job: Job) -> None:
            asked.append(job.limits.seconds)
            super().submit(job)

    with desk_in(tmp_path / "run", world, float("inf")) as desk:
        executor = Listening(train, world, desk.ledger, 2)
        run_search(Search(counted(world, 8), Dispatcher(desk.ledger, executor, float("inf"))))
        assert desk.ledger.seconds_used() > HOUR
    assert set(asked) == {float("inf")}


@pytest.mark.parametrize("trainings", range(4, 60))
def test_every_number_leaves_a_search_and_arms_of_two_from_six_on(tmp_path: Path, trainings: int) -> None:
    for is_other in (False, True):
        baselines, finals = arms(trainings, is_other=is_other)
        assert Allocation(trainings - 1, baselines, finals).searches >= min(2, trainings - 2)
        assert min(baselines, finals) >= (2 if trainings >= (6 if is_other else 10) else 1)
        assert not is_other or trainings < 14 or baselines >= 5


def test_recipes_are_drawn_from_what_all_machines_have_seen(tmp_path: Path) -> None:
    world = World()
    with desk_in(tmp_path / "run", world, float("inf")) as desk:
        lags = [Search(counted(world, trainings), desk).lag for trainings in (4, 8, 24, 56, 400)]
    assert lags == [1, 1, 3, 7, MOST_LAG]


def test_the_division_is_the_number_not_the_time(tmp_path: Path) -> None:
    world = World(seed=2, n=60, nt=60)
    with desk_in(tmp_path / "run", world, float("inf")) as desk:
        division = divide(Search(counted(world, 24), desk), STARTS[0])
    assert (division.baselines, division.finals, division.refits, division.searches) == (5, 2, 1, 16)
