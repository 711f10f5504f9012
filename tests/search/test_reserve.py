"""What is kept at the end for shifted images: what was measured, once, and not what was guessed before."""

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field, replace
from pathlib import Path

import pytest

from convlift.recipe.recipe import Recipe
from convlift.search.context import Search
from convlift.search.decisions import Allocation, decided, made, note, unsettle
from convlift.search.dispatcher import Dispatcher
from convlift.search.loop import run_search
from convlift.search.reserve import ask_about_shift
from convlift.search.start_decisions import ShiftAsked
from made_up import BASELINE, HOUR, World, desk_in, problem_of

GUESSED, OTHERS = 6 * HOUR, 0.1 * HOUR
WORLD = World(seed=2, n=100, nt=100, seconds_noise=0.0)


@dataclass
class Clock:
    """Somebody who measures; asked: by what."""

    found: float
    asked: list[tuple[Recipe, Recipe, int]] = field(default_factory=list)

    def __call__(self, before: Recipe, after: Recipe, passes: int) -> float:
        self.asked.append((before, after, passes))
        return self.found


def search_on(desk: Dispatcher, measure: Clock | None, **more: object) -> Search:
    problem = replace(problem_of(WORLD), closing_seconds=OTHERS + GUESSED, shift_seconds=GUESSED, time_shift=measure)
    return Search(replace(problem, **more), desk)  # type: ignore[arg-type]


@pytest.fixture
def desk_for(tmp_path: Path) -> Callable[[str], AbstractContextManager[Dispatcher]]:
    return lambda name: desk_in(tmp_path / name, WORLD, 20)


def test_it_is_measured_once_and_what_was_guessed_is_given_back(
    desk_for: Callable[[str], AbstractContextManager[Dispatcher]],
) -> None:
    trainings = []
    for number, seconds in enumerate((HOUR, 4 * HOUR)):
        with desk_for(f"run-{number}") as desk:
            clock = Clock(seconds)
            search = search_on(desk, clock)
            assert search.closing_seconds == pytest.approx(OTHERS + GUESSED)
            run_search(search)
            assert clock.asked == [(BASELINE, BASELINE, 1)]
            assert search.closing_seconds == pytest.approx(OTHERS + seconds)
            assert desk.ledger.seconds_used() <= 20 * HOUR - OTHERS - seconds
            trainings.append(made(desk.ledger, Allocation).trainings)
    assert trainings[0] - trainings[1] == 3  # an hour each


def test_what_was_measured_before_an_interruption_is_not_measured_again_but_with_more_time_it_is(
    desk_for: Callable[[str], AbstractContextManager[Dispatcher]],
) -> None:
    with desk_for("run") as desk:
        note(desk.ledger, ShiftAsked(2 * HOUR))
        clock = Clock(HOUR)
        search = search_on(desk, clock)
        ask_about_shift(search, ())
        assert not clock.asked
        assert search.closing_seconds == pytest.approx(OTHERS + 2 * HOUR)
        unsettle(desk.ledger)  # more copies may be asked then
        ask_about_shift(search, ())
        assert search.closing_seconds == pytest.approx(OTHERS + HOUR)


def test_with_more_copies_after_an_interruption_as_much_more_is_kept(
    desk_for: Callable[[str], AbstractContextManager[Dispatcher]],
) -> None:
    with desk_for("run") as desk:
        ask_about_shift(search_on(desk, Clock(HOUR)), ())
        more = {"shift_seconds": 2 * GUESSED, "closing_seconds": OTHERS + 2 * GUESSED}  # of a longer budget
        assert search_on(desk, Clock(0.0), **more).closing_seconds == pytest.approx(OTHERS + 2 * HOUR)


def test_the_dearest_network_so_far_is_measured(
    desk_for: Callable[[str], AbstractContextManager[Dispatcher]],
) -> None:
    with desk_for("run") as desk:
        clock = Clock(HOUR)
        search, wide = search_on(desk, clock, most_networks=4), BASELINE.edit(architecture={"width": 64})
        plans = [search.problem.plan("start", each, place) for place, each in enumerate((wide, BASELINE))]
        records: Sequence[object] = desk.complete(plans, lambda plan: 9 * HOUR)
        ask_about_shift(search, records)  # type: ignore[arg-type]
        assert clock.asked == [(BASELINE, wide, 4)]


@pytest.mark.parametrize("found", [0.0, None])
def test_where_nothing_can_be_measured_the_guess_stays(
    found: float | None, desk_for: Callable[[str], AbstractContextManager[Dispatcher]]
) -> None:
    with desk_for("run") as desk:
        search = search_on(desk, None if found is None else Clock(found))
        ask_about_shift(search, ())
        assert search.closing_seconds == pytest.approx(OTHERS + GUESSED)


def test_counted_trainings_keep_no_time(desk_for: Callable[[str], AbstractContextManager[Dispatcher]]) -> None:
    with desk_for("run") as desk:
        clock = Clock(HOUR)
        ask_about_shift(search_on(desk, clock, trainings=8), ())
        assert not clock.asked
        assert decided(desk.ledger, ShiftAsked) is None
