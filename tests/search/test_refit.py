"""What ships learns from the validation images too: when, for how long, and that nothing is measured by it."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from convlift.catalogue.starting_points import StartingPoint
from convlift.execute.job import Job
from convlift.recipe.built_in import built_in
from convlift.recipe.combination import Combination
from convlift.search.combine import combine, combined, has_refits, how_made
from convlift.search.context import Search
from convlift.search.decisions import Allocation, made
from convlift.search.finals import by_turns, confirm, refits_to_come
from convlift.search.loop import run_search
from convlift.search.refit import able_refits, may_refit
from convlift.search.space import Configuration, SearchSpace, bare
from made_up import HOUR, World, desk_in, flipped, problem_of

FINE_TUNED = built_in("fine-tune").at(32)
WORLD = World(seed=1, effects={flipped: 6.0}, n=400, nt=400, seconds_noise=0.0)


class Forgetful(World):
    """A world in which a refit learns nothing."""

    def says(self, job: Job) -> np.ndarray:
        said = World.says(self, job)
        return np.full_like(said, 1 / said.shape[1]) if job.spec.refit else said


class Quick(World):
    """A world in which what is made of networks takes seconds, and is written down."""

    def seconds(self, job: Job) -> float:
        if job.combination:
            MADE.append(job.combination)
        return 1.0 if job.combination else World.seconds(self, job)


MADE: list[Combination] = []


def of(world: World, **changes: object) -> Configuration:
    """The start of `problem_of`, with some of its levers changed."""
    return bare(SearchSpace(StartingPoint("another", problem_of(world).baseline.edit(**changes), "for the test"), ()))  # type: ignore[arg-type]


def test_it_ships_and_the_final_runs_say_what_is_claimed_of_the_recipe(tmp_path: Path) -> None:
    with desk_in(tmp_path / "run", WORLD, 24) as desk:
        search = Search(problem_of(WORLD), desk)
        shipment = run_search(search)
        division = made(desk.ledger, Allocation)
        assert (shipment.network.role, shipment.network.recipe) == ("refit", shipment.frozen.recipe)
        assert len(shipment.after) >= division.finals
        assert {run.role for run in shipment.after} == {"final"}
        assert len(desk.ledger.trials("refit")) == division.refits == 1
        assert has_refits(search, shipment.network, shipment.after)


def test_nothing_is_measured_on_images_that_it_learned_from(tmp_path: Path) -> None:
    problem = problem_of(WORLD)
    with desk_in(tmp_path / "run", WORLD, 24) as desk:
        search = Search(problem, desk)
        (record,) = desk.complete([problem.plan("refit", problem.baseline, 0)], lambda plan: HOUR * 9)
        said = record.outcome and record.outcome.validation_probabilities
        assert said is not None
        assert search.scores.clean_points(said).mean() == pytest.approx(97, abs=3)
        assert np.isnan(search.scores.score_points(record))
        assert search.scores.rank(record) == -np.inf
        assert search.scores.collapsed([record]).all()
        assert search.seconds(problem.baseline, [record]) == search.seconds(problem.baseline, [])


def test_one_that_forgot_its_images_does_not_ship(tmp_path: Path) -> None:
    world = Forgetful(seed=1, effects={flipped: 6.0}, n=400, nt=400)
    with desk_in(tmp_path / "run", world, 24) as desk:
        shipment = run_search(Search(problem_of(world), desk))
        assert desk.ledger.trials("refit")
        assert shipment.network.role == "final"


def test_where_nobody_gets_the_network_or_nothing_is_looked_for_there_is_none() -> None:
    problem, recipe = problem_of(WORLD), problem_of(WORLD).baseline
    assert may_refit(problem, recipe)
    assert not may_refit(replace(problem, most_networks=0), recipe)
    assert not may_refit(replace(problem, pool=()), recipe)
    assert may_refit(problem, recipe.edit(training={"patience": 3}))
    assert not may_refit(problem, FINE_TUNED.edit(training={"patience": 3}))
    assert may_refit(problem, FINE_TUNED)
    assert not may_refit(problem, FINE_TUNED.edit(data={"views": 4}))
    assert not may_refit(problem, FINE_TUNED.edit(data={"normalization": "standardize"}))


def test_with_early_stopping_it_has_the_epochs_that_the_final_runs_kept(tmp_path: Path) -> None:
    frozen = of(WORLD, training={"patience": 3, "epochs": 20})
    with desk_in(tmp_path / "run", WORLD, 24, workers=2) as desk:
        search = Search(problem_of(WORLD), desk)
        desk.complete([search.problem.plan("baseline", search.problem.baseline, 0)], lambda plan: 9 * HOUR)
        confirm(search, frozen, Allocation(6, 2, 2, 2, refits=1))
        finals, (refit,) = desk.ledger.trials("final"), desk.ledger.trials("refit")
        losses = [[epoch.validation_loss for epoch in run.outcome.curve] for run in finals if run.outcome]
        kept = [1 + int(np.argmin(each)) for each in losses]
        assert refit.fidelity == round(float(np.mean(kept)) / 20, 4)
        assert not refits_to_come(search, frozen, 1)


def test_a_final_run_and_a_refit_are_averaged(tmp_path: Path) -> None:
    world = Quick(seed=1, effects={flipped: 6.0}, n=400, nt=400, seconds_noise=0.0)
    with desk_in(tmp_path / "run", world, 1000) as desk:
        search = Search(problem_of(WORLD, (StartingPoint("fine-tune", FINE_TUNED, "for the test"),)), desk)
        roles = ("final", "refit")
        desk.complete([search.problem.plan(role, FINE_TUNED, 0) for role in roles], lambda plan: HOUR * 99)  # type: ignore[arg-type]
        (final,) = finals = desk.ledger.trials("final")
        assert able_refits(search, FINE_TUNED, finals) == list(desk.ledger.trials("refit"))
        combine(search, FINE_TUNED, finals, ())
        ships = combined(search, finals, final, refits=True)
        assert (ships.role, how_made(search, ships, finals).networks) == ("average", 2)
        assert has_refits(search, ships, finals)
        (refit,) = desk.ledger.trials("refit")
        both = [str(desk.weights_of(refit)), str(desk.weights_of(final)), str(desk.weights_of(refit))]
        assert list(MADE[-1].weights) == both  # the refit counts twice
        # where the test stays closed nothing could judge it
        assert combined(search, finals, final, refits=False) == final


def test_where_no_baseline_can_be_judged_every_last_training_is_a_final_run(tmp_path: Path) -> None:
    with desk_in(tmp_path / "run", WORLD, 24, workers=2) as desk:
        confirm(Search(problem_of(WORLD), desk), of(WORLD), Allocation(6, 2, 2, 2, refits=1))
        assert len(desk.ledger.trials("final")) >= 3
        assert not desk.ledger.trials("refit")


def test_by_turns() -> None:
    assert by_turns([1, 2, 3], [8]) == [1, 8, 2, 3]  # type: ignore[list-item]
    assert by_turns([], [8, 9]) == [8, 9]  # type: ignore[list-item]
