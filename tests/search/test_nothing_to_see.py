"""A start that gets hardly a validation image wrong: a search could not tell what helps, so there is none."""

from dataclasses import replace
from pathlib import Path

import pytest

from convlift.campaign.result_notes import notes_of
from convlift.catalogue.starting_points import starting_points
from convlift.evidence.metrics import metric_named
from convlift.records.notes import NothingToSee
from convlift.search.allocate import FEWEST_ERRORS, MOST_LAST
from convlift.search.context import Search
from convlift.search.decisions import Allocation, made
from convlift.search.loop import run_search
from made_up import FACTS, World, desk_in, problem_of, residual

STARTS = starting_points(FACTS)[:1]  # from scratch
TIME = 24  # in trainings of the baseline
NEARLY_ALL = World(seed=1, effects={residual: 18.9}, n=200, nt=200, seconds_noise=0.0)


@pytest.mark.parametrize("trainings", [0, 24])
def test_nothing_is_searched_and_the_start_ships_with_its_runs_to_judge_it(tmp_path: Path, trainings: int) -> None:
    problem = replace(problem_of(NEARLY_ALL, STARTS), trainings=trainings)
    budget = float("inf") if trainings else TIME
    with desk_in(tmp_path / "run", NEARLY_ALL, budget, workers=2) as desk:
        search = Search(problem, desk)
        shipment = run_search(search)
        division = made(desk.ledger, Allocation)
        assert (shipment.frozen.start.name, shipment.frozen.names, shipment.judged) == ("residual", (), True)
        assert not desk.ledger.trials("search")
        assert division.errors is not None
        assert division.errors < FEWEST_ERRORS
        assert len(desk.ledger.trials("final")) + len(desk.ledger.trials("refit")) >= MOST_LAST - 1
        assert len(desk.ledger.trials("baseline")) == division.baselines >= 5
        assert shipment.network.role == "refit"
        assert NothingToSee(division.errors, 200) in notes_of(search, shipment, None, None)


@pytest.mark.parametrize("changes", [{"metric": metric_named("balanced-accuracy")}, {"most_networks": 0}])
def test_few_errors_can_be_many_by_another_metric_and_a_fold_searches(
    tmp_path: Path, changes: dict[str, object]
) -> None:
    problem = replace(problem_of(NEARLY_ALL, STARTS), **changes)
    with desk_in(tmp_path / "run", NEARLY_ALL, TIME, workers=2) as desk:
        run_search(Search(problem, desk))
        assert desk.ledger.trials("search")


def test_with_more_errors_there_is_a_search(tmp_path: Path) -> None:
    world = replace(NEARLY_ALL, effects={residual: 12.0})
    with desk_in(tmp_path / "run", world, TIME, workers=2) as desk:
        run_search(Search(problem_of(world, STARTS), desk))
        assert made(desk.ledger, Allocation).errors is None
        assert desk.ledger.trials("search")
