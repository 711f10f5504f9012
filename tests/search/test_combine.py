"""What several final runs make together: made once, no dearer than was asked for, and shipped by a declared rule."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from convlift.catalogue.starting_points import StartingPoint
from convlift.errors import ConvliftError
from convlift.execute.job import Job
from convlift.ledger.trials import COMBINED, TrialRecord
from convlift.recipe.built_in import built_in
from convlift.recipe.combination import SURE_OF, most_latency
from convlift.recipe.recipe import Recipe
from convlift.records.notes import Combined
from convlift.search.combine import can_average, combine, combined, combining_seconds, how_made, most_passes
from convlift.search.context import Search
from convlift.search.shipment import settle_shipment
from convlift.search.space import SearchSpace, bare
from made_up import HOUR, World, desk_in, problem_of

FINE_TUNED = built_in("fine-tune").at(32)
UNMIRRORED = FINE_TUNED.edit(data={"augmentation": {"horizontal_flip": 0.0}})
HIDDEN = FINE_TUNED.edit(architecture={"head_units": 64})


class Made(World):
    """A world in which combinations have points of their own."""

    def says(self, job: Job) -> np.ndarray:
        if job.combination is None:
            return super().says(job)
        asked = job.combination
        kind = ("average" if asked.averaged else "ensemble", asked.mirrored, len(asked.weights))
        return replace(self, accuracy=self.accuracy + POINTS.get(kind, 0.0) / 100).plain(job)

    def seconds(self, job: Job) -> float:
        return super().seconds(job) if job.combination is None else 1.0

    def plain(self, job: Job) -> np.ndarray:
        return World.says(self, replace(job, combination=None))


POINTS: dict[tuple[str, bool, int], float] = {}


@contextmanager
def campaign(folder: Path, recipe: Recipe, most: int, finals: int = 2) -> Iterator[Search]:
    """After the final runs of a recipe, with three of the baseline."""
    world = Made(seed=1, effects={}, seed_points=0.1)
    start = StartingPoint("fine-tune", recipe, "for the test")
    problem = replace(problem_of(world, (start,)), most_networks=most)
    with desk_in(folder, world, 1000) as desk:
        plans = [problem.plan("baseline", problem.baseline, number) for number in range(3)]
        plans += [problem.plan("final", recipe, number) for number in range(finals)]
        desk.complete(plans, lambda plan: 100 * HOUR)
        yield Search(problem, desk)


def made(folder: Path, recipe: Recipe, most: int, finals: int = 2) -> dict[str, TrialRecord]:
    with campaign(folder, recipe, most, finals) as search:
        combine(search, recipe, search.ledger.trials("final"), ())
        return {role: record for role in COMBINED for record in search.ledger.trials(role)}


@pytest.mark.parametrize(
    ("recipe", "most", "finals", "roles"),
    [
        (FINE_TUNED, 1, 2, ["average"]),
        (FINE_TUNED, 1, 1, []),
        (HIDDEN, 1, 2, []),
        (FINE_TUNED, 0, 2, []),
        (FINE_TUNED, 2, 2, ["average", "mirrored", "ensemble"]),
        (FINE_TUNED, 2, 1, ["mirrored"]),
        (UNMIRRORED, 2, 2, ["average", "ensemble"]),
        (HIDDEN, 4, 2, ["mirrored", "ensemble", "mirrored ensemble"]),
    ],
)
def test_nothing_is_made_that_costs_more_than_was_asked_for(
    tmp_path: Path, recipe: Recipe, most: int, finals: int, roles: list[str]
) -> None:
    assert list(made(tmp_path / "run", recipe, most, finals)) == roles


def test_made_again_nothing_is_made_twice(tmp_path: Path) -> None:
    with campaign(tmp_path / "run", FINE_TUNED, 4) as search:
        for _ in range(2):
            combine(search, FINE_TUNED, search.ledger.trials("final"), ())
        assert [len(search.ledger.trials(role)) for role in COMBINED] == [1, 1, 1, 1]


@pytest.mark.parametrize(("for_shifted_images", "roles"), [(0.0, ["average"]), (1.0, [])])
def test_where_the_last_trainings_end_late_it_is_made_in_the_time_for_judging_but_not_in_that_for_shifted_images(
    tmp_path: Path, for_shifted_images: float, roles: list[str]
) -> None:
    with campaign(tmp_path / "run", FINE_TUNED, 1) as search:
        kept = search.dispatcher.left()
        problem = replace(search.problem, closing_seconds=kept, shift_seconds=for_shifted_images * kept)
        late = Search(problem, search.dispatcher)
        assert late.left() == 0.0
        combine(late, FINE_TUNED, late.ledger.trials("final"), ())
        assert [role for role in COMBINED if late.ledger.trials(role)] == roles


@pytest.mark.parametrize(
    ("points", "most", "ships"),
    [
        ({("average", False, 2): 9.0}, 1, ("average", 2, False)),
        ({("average", False, 2): -30.0}, 1, ("final", 2, False)),
        ({("average", False, 2): 9.0, ("ensemble", False, 2): 18.0}, 2, ("ensemble", 2, False)),
        ({("average", False, 2): 18.0, ("ensemble", False, 2): 9.0}, 2, ("average", 2, False)),
        ({("average", False, 2): -30.0, ("ensemble", True, 1): 18.0}, 2, ("mirrored", 1, True)),
        ({("ensemble", True, 2): 18.0}, 4, ("mirrored ensemble", 2, True)),
    ],
)  # fmt: skip
def test_the_dearest_ships_that_validation_does_not_speak_against(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
    points: dict[tuple[str, bool, int], float], most: int, ships: tuple[str, int, bool],
) -> None:  # fmt: skip
    monkeypatch.setattr("test_combine.POINTS", points)
    with campaign(tmp_path / "run", FINE_TUNED, most) as search:
        finals = search.ledger.trials("final")
        combine(search, FINE_TUNED, finals, ())
        best = max(finals, key=search.scores.score_points)
        found = combined(search, finals, best, refits=True)
        assert found.role == ships[0]
        if found.role in COMBINED:
            made_of = how_made(search, found, finals)
            assert (made_of.networks, made_of.mirrored) == ships[1:]
        start = next(point for point in search.problem.starts if point.name == "fine-tune")
        shipment = settle_shipment(search, bare(SearchSpace(start, ())))
        assert shipment.network.id == (found.id if shipment.ships == "recipe" else shipment.network.id)
        assert all(run.role != found.role or found.role == "final" for run in shipment.after)


def test_hidden_units_and_networks_from_scratch_are_not_averaged() -> None:
    assert can_average(FINE_TUNED)
    assert not can_average(HIDDEN)
    assert not can_average(built_in("frozen").edit(architecture={"head_units": 0}))
    assert not can_average(built_in("residual"))


@pytest.mark.parametrize("latency", [0, -1, 65, 1.5, True, "", "2.5", "0ms", "ms", "-3ms", "20s", "70000ms", "²"])
def test_a_latency_is_a_number_of_networks_or_milliseconds(latency: object, tmp_path: Path) -> None:
    from convlift.campaign.request import request_of

    with pytest.raises(
        ConvliftError, match=r"max_latency .* is neither a whole number of networks from 1 to 64 nor a time"
    ):
        request_of("digits", "1m", tmp_path, max_latency=latency)


def test_milliseconds_are_refused_where_every_machine_shall_find_the_same(tmp_path: Path) -> None:
    from convlift.campaign.request import request_of

    with pytest.raises(ConvliftError, match="--max-latency 20ms depends on the machine"):
        request_of("digits", None, tmp_path, trainings=12, max_latency="20ms")


@pytest.mark.parametrize(("asked", "read"), [(1, "1"), ("3", "3"), (" 20ms", "20ms"), ("7.5 ms", "7.5ms")])
def test_a_latency_is_read_as_it_is_written(asked: object, read: str) -> None:
    assert str(most_latency(asked)) == read
    assert most_latency(read) == most_latency(asked)
    assert most_latency(asked).is_usual == (read == "1")


@pytest.mark.parametrize(("most", "passes"), [(5.0, 1), (11.9, 1), (12.0, 2), (50.0, 8), (5_000.0, 64)])
def test_milliseconds_are_as_many_networks_as_fit_and_one_is_timed_once(
    tmp_path: Path, most: float, passes: int
) -> None:
    timed = []

    def time_prediction(recipe: Recipe) -> float:
        timed.append(recipe)
        return 6.0

    with campaign(tmp_path / "run", FINE_TUNED, 64) as search:
        asked = replace(search.problem, most_milliseconds=most, time_prediction=time_prediction)
        search = replace(search, problem=asked)
        longer = FINE_TUNED.edit(training={"epochs": 3})
        assert [most_passes(search, recipe) for recipe in (FINE_TUNED, longer, FINE_TUNED)] == [passes] * 3
        assert timed == [FINE_TUNED]  # another length takes as long
        assert most_passes(search, FINE_TUNED.at(64).edit(data={"resolution": 64})) == passes
        assert len(timed) == 2


def test_milliseconds_decide_what_is_made(tmp_path: Path) -> None:
    with campaign(tmp_path / "run", FINE_TUNED, 64) as search:
        asked = replace(search.problem, most_milliseconds=12.5, time_prediction=lambda _: 6.0)
        search = replace(search, problem=asked)
        combine(search, FINE_TUNED, search.ledger.trials("final"), ())
        assert [role for role in COMBINED if search.ledger.trials(role)] == ["average", "mirrored", "ensemble"]


def test_a_note_says_what_a_mirrored_network_is_made_of(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("test_combine.POINTS", {("average", False, 2): 18.0})
    for recipe, expected in ((HIDDEN, Combined(1, False, True)), (FINE_TUNED, Combined(2, True, True))):
        with campaign(tmp_path / str(recipe.architecture.head_units), recipe, 2) as search:
            finals = search.ledger.trials("final")
            combine(search, recipe, finals, ())
            (record,) = search.ledger.trials("mirrored")
            assert how_made(search, record, finals) == expected


@pytest.mark.parametrize(
    ("most", "passes", "averages"),
    [(0, 0, 0), (1, 1, 1), (2, 1 + 2 + 2, 2), (4, 1 + 2 + 2 + 4, 2), (64, 1 + 2 + 2 + 4, 2)],
)
def test_only_what_is_made_is_reserved(tmp_path: Path, most: int, passes: int, averages: int) -> None:
    with campaign(tmp_path / "run", FINE_TUNED, most) as search:
        each = search.problem.pace.pass_seconds(FINE_TUNED)
        as_sure = 3 * SURE_OF / search.problem.pace.held_out_images  # what an average and its two members are asked
        assert combining_seconds(search, FINE_TUNED, 2) == pytest.approx((passes + averages * as_sure) * each)


def test_where_trainings_are_counted_a_busy_machine_stops_no_combination(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It would ship another network than an idle one."""
    monkeypatch.setattr(Made, "seconds", World.seconds)  # hours, for a prediction of seconds
    for trainings, status in ((0, "stopped"), (12, "finished")):
        with campaign(tmp_path / str(trainings), FINE_TUNED, 1) as search:
            search = replace(search, problem=replace(search.problem, trainings=trainings))
            combine(search, FINE_TUNED, search.ledger.trials("final"), ())
            (record,) = search.ledger.trials("average")
            assert record.status == status
