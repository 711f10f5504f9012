"""How the time is divided: what fits, and that no worker idles where another one trains what ships."""

from dataclasses import replace

import pytest

from convlift.search.allocate import ENOUGH_TO_REFIT, Times, plan

HOUR = 3600.0


@pytest.mark.parametrize(("workers", "refit", "last"), [(1, True, 1), (2, True, 2), (4, True, 2), (2, False, 1)])
def test_beside_a_single_final_run_another_worker_refits(workers: int, refit: bool, last: int) -> None:
    """Of a start whose first run was a part, in time for less than a whole training."""
    division = plan(Times(HOUR, 1.2 * HOUR, 60.0, workers, tried=0.3, refit=refit), is_other=True)
    assert (division.last, division.searches) == (last, 0)


@pytest.mark.parametrize("workers", [1, 2, 3, 4])
@pytest.mark.parametrize("trainings", range(ENOUGH_TO_REFIT + 4, 60))
def test_a_refit_comes_with_the_final_runs_that_the_recipe_needs(trainings: int, workers: int) -> None:
    times = Times(trainings * HOUR / workers, HOUR, HOUR / 50, workers)
    plain, division = (plan(each, is_other=True) for each in (times, replace(times, refit=True)))
    assert (plain.refits, division.refits) == (0, 1)
    assert division.searches >= 2
    assert division.last % workers == 0
    assert division.last <= max(trainings // 3, plain.finals, workers, 2)


def test_too_few_trainings_for_both_have_one_of_each() -> None:
    division = plan(Times(3.2 * HOUR, HOUR, 60.0, 2, refit=True), is_other=True)
    assert (division.finals, division.refits) == (1, 1)
    alone = plan(Times(4.2 * HOUR, HOUR, 60.0, 1, refit=True), is_other=True)
    assert (alone.finals, alone.refits) == (1, 0)
