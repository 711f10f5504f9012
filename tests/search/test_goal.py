"""A campaign that is to be robust: its start, changes and networks are chosen by corrupted validation images."""

import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from convlift.catalogue.candidates import candidates
from convlift.catalogue.unfit import JudgedBy
from convlift.errors import Interrupted
from convlift.evidence.metrics import metric_named
from convlift.ledger.ledger import Ledger
from convlift.ledger.trials import TrialRecord
from convlift.records.goal import Goal, ShiftedCopies
from convlift.records.outcome import NO_PROBABILITIES
from convlift.robustness.trained_on import TRAINED_BY_NONE, levers_like, trained_on
from convlift.search.compared_runs import best_final
from convlift.search.context import Search
from convlift.search.decisions import Shortlist, made
from convlift.search.dispatcher import Dispatcher
from convlift.search.loop import run_search
from convlift.search.problem import Problem
from convlift.search.scores import Scores
from made_up import (
    BASELINE,
    CLASSES,
    FACTS,
    HOUR,
    Weather,
    World,
    flipped,
    in_weather,
    ledger_in,
    outline,
    problem_of,
    zoomed,
)
from timeline import Timeline

COPIES = ShiftedCopies(("fog", "gaussian_noise"), 2)


WORLD = Weather(seed=3, effects={flipped: 5.0, zoomed: -4.0}, outside={flipped: -8.0, zoomed: 9.0})


def asked(goal: Goal, world: World = WORLD) -> Problem:
    return replace(problem_of(world), goal=goal, copies=None if goal == "clean" else COPIES)


@contextmanager
def desk_of(folder: Path, stop: Callable[[Ledger], int] = lambda ledger: 0) -> Iterator[Dispatcher]:
    with ledger_in(folder, WORLD) as ledger:
        timeline = Timeline(in_weather, WORLD, ledger, 1)
        yield Dispatcher(ledger, timeline, 20 * HOUR, stop=lambda: stop(ledger))


@pytest.mark.parametrize(("goal", "flips", "zooms"), [("clean", True, False), ("shifted", False, True)])
def test_what_ships_is_what_helps_by_the_goal(goal: Goal, flips: bool, zooms: bool, tmp_path: Path) -> None:
    with desk_of(tmp_path / "run") as desk:
        shipped = run_search(Search(asked(goal), desk))
    assert (flipped(shipped.frozen.recipe), zoomed(shipped.frozen.recipe)) == (flips, zooms)
    assert shipped.judged


def ended(desk: Dispatcher, problem: Problem, number: int) -> TrialRecord:
    (record,) = desk.complete([problem.plan("final", BASELINE, number)], lambda plan: 10 * HOUR)
    return record


def test_an_image_counts_by_its_copies_or_by_both(tmp_path: Path) -> None:
    with desk_of(tmp_path / "run") as desk:
        record = ended(desk, asked("clean"), 0)
    outcome, labels = record.outcome, WORLD.labels[: WORLD.n]
    assert outcome is not None
    right = outcome.validation_probabilities.argmax(1) == labels
    copies = (outcome.shifted_probabilities.reshape(2, -1, CLASSES).argmax(2) == labels).mean(axis=0)
    wanted = {"clean": right, "shifted": copies, "mean": (right + copies) / 2}
    for goal, points in wanted.items():
        scores = Scores(asked(goal))  # type: ignore[arg-type]
        np.testing.assert_allclose(scores.image_points(record), 100 * points)
        assert scores.score_points(record) == pytest.approx(100 * points.mean())
        assert scores.clean_score_points(record) == pytest.approx(100 * right.mean())
    assert not len(Scores(asked("clean")).shifted_points(record))


def test_probabilities_of_copies_are_judged_at_the_temperature_of_clean_images(tmp_path: Path) -> None:
    metric = metric_named("log-loss")
    with desk_of(tmp_path / "run") as desk:
        record = ended(desk, asked("clean"), 0)
    found = Scores(replace(asked("shifted"), metric=metric)).shifted_points(record)
    sure = replace(record.outcome, validation_probabilities=record.outcome.validation_probabilities**3)  # type: ignore[type-var, union-attr]
    other = Scores(replace(asked("shifted"), metric=metric)).shifted_points(replace(record, outcome=sure))
    assert len(found) == len(other) == WORLD.n
    assert other.mean() != pytest.approx(found.mean())


def test_a_trial_without_copies_is_no_evidence_where_they_count(tmp_path: Path) -> None:
    with desk_of(tmp_path / "run") as desk:
        record = ended(desk, asked("clean"), 0)
    assert record.outcome is not None
    bare = replace(record, outcome=replace(record.outcome, shifted_probabilities=NO_PROBABILITIES))
    scores = Scores(asked("shifted"))
    assert np.isnan(scores.score_points(bare))
    assert scores.rank(bare) == -np.inf
    assert scores.collapsed([record, bare]).tolist() == [False, True]
    assert Scores(asked("clean")).collapsed([record, bare]).tolist() == [False, False]


def test_the_network_that_ships_is_the_best_by_the_goal(tmp_path: Path) -> None:
    with desk_of(tmp_path / "run") as desk:
        runs = [ended(desk, asked("clean"), number) for number in range(6)]
        best = {goal: best_final(Search(asked(goal), desk), runs) for goal in ("clean", "shifted")}  # type: ignore[arg-type]
    shifted = [Scores(asked("shifted")).score_points(run) for run in runs]
    clean = [Scores(asked("clean")).score_points(run) for run in runs]
    assert best["shifted"].id == runs[int(np.argmax(shifted))].id
    assert best["clean"].id == runs[int(np.argmax(clean))].id


def test_changes_that_train_on_what_judges_are_not_tried() -> None:
    names = ("gaussian_noise", "fog")
    facts = replace(FACTS, judged_by=levers_like(names))
    chosen, left_out = candidates(BASELINE, facts, limit=1000)
    free, _ = candidates(BASELINE, FACTS, limit=1000)
    withheld = {each.name: each.reason for each in left_out if isinstance(each.reason, JudgedBy)}
    assert withheld
    for candidate in free:
        trains = trained_on(candidate.intervention.edit(BASELINE)) & set(names)
        assert (candidate.name in withheld) == bool(trains), candidate.name
        assert (candidate.name in [each.name for each in chosen]) == (not trains)


def test_what_no_change_trains_on_holds_nothing_back() -> None:
    assert TRAINED_BY_NONE
    assert levers_like(TRAINED_BY_NONE) == ()


def test_stopped_and_gone_on_with_it_is_the_same_campaign(tmp_path: Path) -> None:
    with desk_of(tmp_path / "whole") as desk:
        whole = run_search(Search(asked("mean"), desk))
        trials = outline(desk.ledger)

    def stop_after_seven(ledger: Ledger) -> int:
        return signal.SIGINT if sum(trial.outcome is not None for trial in ledger.trials()) >= 7 else 0

    with desk_of(tmp_path / "run", stop_after_seven) as desk, suppress(Interrupted):
        run_search(Search(asked("mean"), desk))
    with desk_of(tmp_path / "run") as desk:
        assert 7 <= len(outline(desk.ledger)) < len(trials)
        again = run_search(Search(asked("mean"), desk))
        assert outline(desk.ledger) == trials
        said = [trial.outcome.shifted_probabilities for trial in desk.ledger.trials() if trial.outcome]
    assert again.frozen.names == whole.frozen.names
    assert all(len(each) in (0, 2 * WORLD.n) for each in said)


def test_the_list_says_what_was_held_back(tmp_path: Path) -> None:
    facts = replace(FACTS, judged_by=levers_like(COPIES.corruptions))
    with desk_of(tmp_path / "run") as desk:
        run_search(Search(replace(asked("shifted"), facts=facts), desk))
        reasons = made(desk.ledger, Shortlist).left_out.values()
        recipes = [trial.recipe for trial in desk.ledger.trials()]
    assert any(isinstance(reason, JudgedBy) for reason in reasons)
    assert not any(trained_on(recipe) & set(COPIES.corruptions) for recipe in recipes)
