"""Stopped at any moment, a campaign goes on as if nothing had been: same trials, same recipe, none of them twice."""

import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import NamedTuple

import pytest

from convlift.catalogue.starting_points import starting_points
from convlift.errors import Interrupted
from convlift.ledger.ledger import Ledger
from convlift.search.context import Search
from convlift.search.dispatcher import Dispatcher
from convlift.search.loop import run_search
from convlift.search.problem import Problem
from convlift.search.space import Configuration
from made_up import FACTS, HOUR, World, ledger_in, outline, problem_of, train
from timeline import Timeline

HOURS = 18.0


class Session(NamedTuple):
    desk: Dispatcher
    begun: set[int]  # seeds, in this process


@contextmanager
def session(
    folder: Path, world: World, workers: int = 1, stop: Callable[[Ledger], int] = lambda ledger: 0
) -> Iterator[Session]:
    """One process's life with the ledger of `folder`."""
    with ledger_in(folder, world) as ledger:
        executor = Timeline(train, world, ledger, workers)
        begun = executor.begun
        try:
            made = Session(Dispatcher(ledger, executor, HOURS * HOUR, stop=lambda: stop(ledger)), set())
            yield made
        finally:
            made.begun.update(begun)


def ended(ledger: Ledger) -> list[int]:
    return [trial.seed for trial in ledger.trials() if trial.outcome is not None]


@pytest.fixture(scope="module")
def world() -> World:
    return World(seed=11, n=150, nt=150, seconds_noise=0.1)


@pytest.fixture(scope="module")
def problem(world: World) -> Problem:
    return problem_of(world, starting_points(FACTS)[1:2])


class Whole(NamedTuple):
    outline: list[tuple[object, ...]]
    frozen: Configuration
    freeze: object
    used: float


@pytest.fixture(scope="module")
def whole(world: World, problem: Problem, tmp_path_factory: pytest.TempPathFactory) -> Whole:
    """The campaign that nobody stopped."""
    with session(tmp_path_factory.mktemp("whole") / "run", world) as (desk, _):
        frozen = run_search(Search(problem, desk)).frozen
        return Whole(outline(desk.ledger), frozen, desk.ledger.recall("freeze"), desk.ledger.seconds_used())


def test_stopped_after_any_number_of_trials_it_goes_on_exactly(
    world: World, problem: Problem, whole: Whole, tmp_path: Path
) -> None:
    total = len(whole.outline)
    assert total >= 7
    for count in range(1, total + 1):
        folder = tmp_path / str(count)
        with (
            session(folder, world, stop=lambda ledger, count=count: signal.SIGINT * (len(ended(ledger)) >= count)) as (
                desk,
                _,
            ),
            pytest.raises(Interrupted) as caught,
        ):
            run_search(Search(problem, desk))
        assert caught.value.exit_code == 130
        with session(folder, world) as again:
            before = ended(again.desk.ledger)
            assert len(before) == count
            frozen = run_search(Search(problem, again.desk)).frozen
            assert outline(again.desk.ledger) == whole.outline
            assert again.desk.ledger.recall("freeze") == whole.freeze
            assert frozen.recipe == whole.frozen.recipe
            assert all(trial.attempt == 1 for trial in again.desk.ledger.trials())
            assert again.desk.ledger.seconds_used() == pytest.approx(whole.used, abs=60.0)
        assert again.begun.isdisjoint(before)


def test_stopped_again_and_again_with_workers_at_work(world: World, problem: Problem, tmp_path: Path) -> None:
    """Every process ends two trials and is stopped with two more in flight, which are lost and begun anew."""
    folder, seen, processes, done = tmp_path / "run", list[int](), 0, False
    while not done and processes < 40:
        already = len(seen)
        with session(
            folder, world, 3, lambda ledger, already=already: signal.SIGTERM * (len(ended(ledger)) >= already + 2)
        ) as process:
            processes += 1
            with suppress(Interrupted):
                run_search(Search(problem, process.desk))
                done = True
            now = ended(process.desk.ledger)
            trials = process.desk.ledger.trials()
        assert process.begun.isdisjoint(seen)
        assert set(seen) <= set(now)
        seen = now
    assert done
    assert processes >= 5
    # nothing is left behind for good but a final run that the time has no room for any more
    assert all(trial.role in ("final", "refit") for trial in trials if trial.outcome is None)
    assert len({trial.seed for trial in trials}) == len(trials)
    assert [trial.attempt for trial in trials] == [1] * len(trials)
    last = [trial for trial in trials if trial.role in ("final", "refit")]
    finals = [trial for trial in last if trial.role == "final"]
    assert trials[-len(last) :] == tuple(last)
    assert len({trial.fingerprint for trial in last}) == 1
    # what the last processes lost was time that the finals had; one of them at least has ended
    assert "finished" in {trial.status for trial in finals}


def test_the_frozen_recipe_follows_from_the_ledger_alone(
    world: World, problem: Problem, whole: Whole, tmp_path: Path
) -> None:
    """Killed between the last search trial and the freeze, the next process freezes the same."""
    searched = [row for row in whole.outline if row[1] not in ("final", "refit")]

    def before_the_freeze(ledger: Ledger) -> int:
        return signal.SIGINT if len(ended(ledger)) == len(searched) else 0

    with session(tmp_path / "run", world, stop=before_the_freeze) as (desk, _), pytest.raises(Interrupted):
        run_search(Search(problem, desk))
    with session(tmp_path / "run", world) as (desk, _):
        assert desk.ledger.recall("freeze") is None
        run_search(Search(problem, desk))
        assert desk.ledger.recall("freeze") == whole.freeze
