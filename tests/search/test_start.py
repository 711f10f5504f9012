"""Which network the search starts from, and how the time is divided: first runs, their failures, too little time."""

from dataclasses import replace
from pathlib import Path
from unittest.mock import Mock

import pytest

from convlift.campaign.judge import judge_campaign
from convlift.catalogue.starting_points import StartingPoint, starting_points
from convlift.cost.seconds import USUAL_CORE, Pace
from convlift.errors import BudgetError, DataError, LedgerError
from convlift.execute.job import Job, Report, lost
from convlift.recipe.built_in import built_in
from convlift.recipe.recipe import Recipe
from convlift.records.facts import Facts
from convlift.records.not_shipped import NotShipped
from convlift.records.outcome import Outcome
from convlift.search.allocate import divide
from convlift.search.context import Search
from convlift.search.decisions import made
from convlift.search.dispatcher import Dispatcher
from convlift.search.loop import run_search
from convlift.search.start import choose_start
from convlift.search.start_decisions import Length
from made_up import (
    BASELINE,
    FACTS,
    HOUR,
    World,
    desk_in,
    diverges,
    forward,
    ledger_in,
    outline,
    problem_of,
    residual,
    train,
)
from timeline import Timeline

STARTS = starting_points(FACTS)
# without the point whose length is settled by the time: test_length.py has that
SIZED = STARTS[:-1]


def pretrained(recipe: Recipe) -> bool:
    return recipe.architecture.kind == "pretrained"


def is_scratch(job: Job) -> bool:
    return residual(job.spec.recipe)


def test_the_best_start_is_found_its_share_told_and_its_bare_form_trained_first(tmp_path: Path) -> None:
    world = World(seed=1, effects={residual: 6.0}, n=400, nt=800)
    problem = problem_of(world, STARTS)
    with desk_in(tmp_path / "run", world, 35) as desk:
        frozen = run_search(Search(problem, desk)).frozen
        judged = judge_campaign(Search(problem, desk), frozen, world.labels[world.n :])
        trials, baselines = desk.ledger.trials(), desk.ledger.trials("baseline")
        searched, probed = desk.ledger.trials("search"), desk.ledger.trials("start")
    assert frozen.start.name == "residual"
    assert {trial.names[0] for trial in probed} >= {"residual", "frozen"}
    assert [trial.role for trial in trials[:2]] == ["start", "baseline"]
    assert searched[0].recipe == frozen.start.recipe
    assert searched[0].names == ()
    first, *others = judged.verdicts
    assert first.name == "start: residual"
    assert first.low <= 6.0 <= first.high
    assert first.trials == len(searched) + len([trial for trial in trials if trial.role == "final"])
    assert [verdict.name for verdict in others] == [candidate.name for candidate in frozen.candidates]
    assert all(trial.recipe == problem.baseline for trial in baselines)
    assert len({trial.seed for trial in trials}) == len(trials)


def test_a_better_network_that_leaves_no_time_to_search_is_trained_alone(tmp_path: Path) -> None:
    """Of the residual network three trainings one after the other do not fit: it ships without a search."""
    world = World(seed=1, effects={residual: 9.0}, n=400, nt=800, seconds_noise=0.0)
    slow = built_in("residual").at(32).edit(training={"epochs": 60})
    problem = problem_of(world, (StartingPoint("residual", slow, ""),))
    with desk_in(tmp_path / "run", world, 20) as desk:
        shipment = run_search(Search(problem, desk))
        assert desk.ledger.trials("search") == ()
        assert divide(Search(problem, desk), shipment.frozen.start).searches == 0
    assert shipment.frozen.start.name == "residual"
    assert (shipment.ships, shipment.frozen.names, shipment.judged) == ("recipe", (), True)
    assert {run.recipe for run in shipment.after} == {slow}


def test_without_other_starts_the_baseline_is_searched_and_may_ship_unchanged(tmp_path: Path) -> None:
    """Everything harms: the baseline stays, and the sealed test stays closed."""
    world = World(seed=2, effects={lambda recipe: recipe != BASELINE: -12.0})
    problem = problem_of(world)
    with desk_in(tmp_path / "run", world, 24) as desk:
        shipment = run_search(Search(problem, desk))
        assert desk.ledger.trials("final") == ()
    assert (shipment.ships, shipment.judged) == ("baseline", False)
    assert shipment.why == NotShipped("no change helps")
    assert shipment.frozen.start.name == "baseline"
    assert shipment.frozen.names == ()
    assert shipment.network in shipment.before


def test_failed_probes_leave_the_baseline(tmp_path: Path) -> None:
    world = World(fate=lambda job: None if job.spec.recipe == BASELINE else OSError("no weights here"))
    problem = problem_of(world, STARTS)
    with desk_in(tmp_path / "run", world, 60) as desk:
        assert choose_start(Search(problem, desk)).name == "baseline"
        assert {trial.status for trial in desk.ledger.trials("start")} == {"failed"}


@pytest.mark.parametrize(("error", "word"), [(OSError("disk full"), "disk full"), (diverges, "became nan")])
def test_where_nothing_can_be_trained_that_is_said(tmp_path: Path, error: object, word: str) -> None:
    world = World(fate=diverges if error is diverges else lambda job: error)  # type: ignore[arg-type, return-value]
    with (
        desk_in(tmp_path / "run", world, 60) as desk,
        pytest.raises(DataError, match=f"no network could be trained on these images.*{word}"),
    ):
        choose_start(Search(problem_of(world, STARTS), desk))


def test_a_baseline_that_cannot_be_trained_costs_the_judgement_not_the_network(tmp_path: Path) -> None:
    world = World(fate=lambda job: diverges(job) if job.spec.recipe == BASELINE else None)
    with desk_in(tmp_path / "run", world, 60) as desk:
        shipment = run_search(Search(problem_of(world, STARTS), desk))
    assert not shipment.judged
    assert shipment.why.why == "baseline failed"
    assert shipment.why.reason.startswith("the training loss became nan")
    assert shipment.network.status == "finished"


@pytest.mark.parametrize("hours", [0.2, 0.7, 1.5, 3.5, 5.0])
@pytest.mark.parametrize("workers", [1, 3])
def test_however_short_the_time_there_is_a_network(tmp_path: Path, hours: float, workers: int) -> None:
    """From a fifth of one training of the baseline on; closing takes a tenth of one."""
    world = World(n=100, nt=100)
    problem = problem_of(world, STARTS)
    with desk_in(tmp_path / "run", world, hours, workers=workers) as desk:
        shipment = run_search(Search(problem, desk))
        assert desk.weights_of(shipment.network).is_file()
        assert desk.ledger.seconds_used() <= desk.budget_seconds
        assert desk.running == 0
        assert all(trial.outcome is not None for trial in desk.ledger.trials())
    assert shipment.judged or shipment.why


def out_of_time(job: Job, world: World, report: Report) -> Outcome:
    """As a training ends whose time was over before its first step."""
    return lost(job, "stopped", "out of time", 0.04 * HOUR).outcome


def test_what_too_little_time_asks_for_is_enough(tmp_path: Path) -> None:
    """On a machine of about the usual speed. Closing takes a tenth of a training, and all the time there is."""
    world = World(n=100, nt=100, seconds_noise=0.3)

    def usual(recipe: Recipe, stages: int | None = None) -> float:
        return 1500 * forward(recipe, stages)

    problem = replace(problem_of(world), pace=Pace(FACTS, usual, 200))
    assert problem.pace.seconds(BASELINE, ()) == pytest.approx(HOUR, rel=0.3)
    with ledger_in(tmp_path / "short", world) as ledger:
        desk = Dispatcher(ledger, Timeline(out_of_time, world, ledger), 0.1 * HOUR, stop=lambda: 0)
        with pytest.raises(BudgetError) as caught:
            run_search(Search(problem, desk))
    assert caught.value.needed_seconds is not None
    with desk_in(tmp_path / "run", world, caught.value.needed_seconds / HOUR) as desk:
        shipment = run_search(Search(problem, desk))
        assert desk.weights_of(shipment.network).is_file()


def test_a_baseline_that_does_not_fit_is_shortened_and_that_is_said(tmp_path: Path) -> None:
    dear = BASELINE.edit(training={"epochs": 300})
    world = World(effects={residual: 9.0}, n=100, nt=100, seconds_noise=0.0)
    problem = problem_of(world, STARTS[:1], dear)
    with desk_in(tmp_path / "run", world, 30, baseline=dear) as desk:
        shipment = run_search(Search(problem, desk))
        (baseline_run,) = desk.ledger.trials("baseline")
    assert baseline_run.fidelity < 1.0 or baseline_run.status == "stopped"
    assert (shipment.shortened.planned, shipment.shortened.fine_tuning) == (300, False)
    assert 0 < shipment.shortened.epochs < 300
    assert shipment.frozen.start.name == "residual"
    assert shipment.judged


def test_a_baseline_that_was_shortened_by_too_much_is_trained_once_more(tmp_path: Path) -> None:
    """It was taken to be five times as slow as it is. Nothing else fits, and the time is not left over."""
    world = World(n=100, nt=100, seconds_noise=0.0)

    def usual(recipe: Recipe, stages: int | None = None) -> float:
        return 5 * 1500 * forward(recipe, stages)

    problem = replace(problem_of(world), pace=Pace(FACTS, usual, 200))
    with desk_in(tmp_path / "run", world, 0.9) as desk:
        shipment = run_search(Search(problem, desk))
        first, second = desk.ledger.trials("baseline")
    assert first.fidelity < 0.3
    assert first.fidelity * 1.3 < second.fidelity <= 0.6
    assert shipment.network == second


def test_where_the_clock_left_nothing_the_shortest_training_is_tried_again(tmp_path: Path) -> None:
    """As on a machine that takes the whole time to load its workers."""
    world = World(n=100, nt=100, seconds_noise=0.0)
    begun = []

    def train_late(job: Job, world: World, report: Report) -> Outcome:
        begun.append(job)
        return train(job, world, report) if len(begun) > 1 else out_of_time(job, world, report)

    problem = problem_of(world)
    with ledger_in(tmp_path / "run", world) as ledger:
        desk = Dispatcher(ledger, Timeline(train_late, world, ledger), 0.1 * HOUR, stop=lambda: 0)
        shipment = run_search(Search(problem, desk))
        assert desk.weights_of(shipment.network).is_file()
        assert desk.left() > 0
    assert len(begun) == 2


def test_many_workers_do_not_stretch_the_wall_clock_of_a_probe(tmp_path: Path) -> None:
    """With 16 workers a training from scratch could have 16 times the time, but only beside the others."""
    slow = built_in("residual").at(32).edit(training={"epochs": 150})
    world = World(effects={residual: 9.0})
    problem = problem_of(world, (StartingPoint("residual", slow, ""), STARTS[1]))
    with desk_in(tmp_path / "run", world, 20, workers=16) as desk:
        choose_start(Search(problem, desk))
        start_run = next(trial for trial in desk.ledger.trials("start") if trial.names == ("residual",))
        assert start_run.status == "finished"
        assert start_run.outcome is not None
        assert start_run.outcome.seconds <= 0.15 * desk.budget_seconds


@pytest.mark.parametrize("hours", [12, 30, 55, 70])
def test_a_fine_tuning_probe_is_sized_to_the_time(tmp_path: Path, hours: float) -> None:
    world = World(n=100, nt=100, seconds_noise=0.0)
    problem = problem_of(world, SIZED)
    with desk_in(tmp_path / "run", world, hours, workers=8) as desk:
        choose_start(Search(problem, desk))
        probed = {trial.names[0]: trial for trial in desk.ledger.trials("start")}
        start_run = probed["transfer"]
        assert (start_run.fidelity == 1.0) == (hours >= 55)  # twelve hours each
        assert start_run.status == "finished"
        assert start_run.outcome is not None
        assert start_run.outcome.seconds <= 0.35 * desk.budget_seconds


def test_dear_baselines_leave_the_time_to_the_search(tmp_path: Path) -> None:
    """A baseline ten times as dear as the start: five runs of the baseline would cost half of all trainings."""
    dear = BASELINE.edit(training={"epochs": 300})
    world = World(effects={residual: 9.0}, n=100, nt=100)
    problem = problem_of(world, STARTS[:1], dear)
    with desk_in(tmp_path / "run", world, 150, baseline=dear) as desk:
        start = choose_start(Search(problem, desk))
        division = divide(Search(problem, desk), start)
        search = Search(problem, desk)
        cost = search.seconds(dear) / search.seconds(start.recipe)
    assert start.name == "residual"
    assert cost > 3
    assert (division.baselines - 1) * cost <= 0.2 * division.trainings + cost


def test_another_backbone_cannot_continue_a_campaign(tmp_path: Path) -> None:
    world = World(effects={pretrained: 9.0}, n=100, nt=100)
    with desk_in(tmp_path / "run", world, 60) as desk:
        assert choose_start(Search(problem_of(world, SIZED), desk)).name == "frozen"
        before = outline(desk.ledger)
    with desk_in(tmp_path / "run", world, 60) as desk:
        assert choose_start(Search(problem_of(world, SIZED), desk)).name == "frozen"
        assert outline(desk.ledger) == before
    with desk_in(tmp_path / "run", world, 60) as desk, pytest.raises(LedgerError, match="the same --backbone"):
        choose_start(Search(problem_of(world, starting_points(FACTS, backbone="resnet18")), desk))


def test_pilots_fill_the_time_of_workers_that_would_wait_for_a_long_probe(tmp_path: Path) -> None:
    world = World(n=100, nt=100, seconds_noise=0.0)
    problem = problem_of(world, SIZED)
    with desk_in(tmp_path / "run", world, 70, workers=2) as desk:
        start = choose_start(Search(problem, desk))
        baselines, start_runs = desk.ledger.trials("baseline"), desk.ledger.trials("start")
        ends = desk.ledger.seconds_used()
        assert {start_run.names[0] for start_run in start_runs} == {"residual", "frozen", "transfer"}
        assert len(baselines) > 1
        assert all(baseline_run.status == "finished" for baseline_run in baselines)
        assert divide(Search(problem, desk), start).baselines >= len(baselines)
        assert choose_start(Search(problem, desk)) == start
        assert len(desk.ledger.trials("baseline")) == len(baselines)
    with desk_in(tmp_path / "alone", world, 70) as desk:
        choose_start(Search(problem, desk))
        assert len(desk.ledger.trials("baseline")) == 1
        assert ends < desk.ledger.seconds_used()


@pytest.mark.parametrize(("gain", "ships"), [(6.0, "recipe"), (-6.0, "baseline")])
def test_where_nothing_else_fits_a_network_that_nobody_has_seen_gets_the_time(
    tmp_path: Path, gain: float, ships: str
) -> None:
    """It is nine times as long as usual: a tenth of it is longer than a first run may take."""
    point, frozen = (next(point for point in STARTS if point.name == name) for name in ("residual", "frozen"))
    longer = point.recipe.edit(training={"epochs": 9 * point.recipe.training.epochs})
    world = World(seed=1, effects={residual: gain, pretrained: -9.0}, n=400, nt=800, seconds_noise=0.0)
    with desk_in(tmp_path / "run", world, 6.0) as desk:
        shipment = run_search(Search(problem_of(world, (replace(point, recipe=longer), frozen)), desk))
        assert [trial.role for trial in desk.ledger.trials()] == ["start", "baseline", "final"]
        assert desk.ledger.seconds_used() > 0.9 * desk.budget_seconds
    assert (shipment.frozen.start.name, shipment.ships) == ("residual", ships)
    assert shipment.judged == (gain > 0)


GREY = replace(FACTS, channels=1, native_resolution=28)


@pytest.mark.parametrize(("facts", "read"), [(GREY, False), (replace(GREY, native_resolution=64), True), (FACTS, True)])
def test_features_of_small_grey_images_are_read_where_they_take_little(
    tmp_path: Path, facts: Facts, read: bool
) -> None:
    """The network from scratch then trains for as long as there is time, without a first run."""
    world = World(seed=1, effects={residual: 9.0}, n=400, nt=800, seconds_noise=0.0)
    asked = Mock(return_value=5 * HOUR)
    problem = problem_of(world, starting_points(FACTS))
    slow = replace(problem.pace, speeds=replace(USUAL_CORE, extraction=1.8e-7))  # features take two of twelve hours
    problem = replace(problem, pace=slow)
    with desk_in(tmp_path / "run", world, 12) as desk:
        shipment = run_search(Search(replace(problem, facts=facts, time_scratch=asked), desk))
        assert bool(desk.ledger.trials("start")) == read
        assert asked.call_count == 1
        if not read:
            length = made(desk.ledger, Length)
            assert (length.start, shipment.frozen.start.name, shipment.ships) == ("residual", "residual", "recipe")
            assert length.epochs * length.rounds > 15
            assert shipment.judged


def test_a_baseline_with_residual_connections_is_compared_with_a_first_run(tmp_path: Path) -> None:
    world = World(seed=1, effects={residual: 9.0}, n=400, nt=800, seconds_noise=0.0)
    own = problem_of(world, (), BASELINE.edit(architecture={"residual": True, "normalization": "batch"}))
    problem = replace(own, starts=STARTS[:1], facts=GREY)
    with desk_in(tmp_path / "run", world, 30) as desk:
        run_search(Search(problem, desk))
        assert ("residual",) in [trial.names for trial in desk.ledger.trials("start")]
