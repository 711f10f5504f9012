"""How long a start trains whose length the time settles: a pretrained network whose features promise enough, or one
from scratch."""

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any
from unittest.mock import Mock

import pytest

from convlift.catalogue.starting_points import FINE_TUNE, StartingPoint, starting_points, starting_points_of
from convlift.errors import Diverged, Interrupted
from convlift.execute.job import Job
from convlift.ledger.ledger import Ledger
from convlift.ledger.trials import TrialRecord
from convlift.recipe.architecture import Pretrained
from convlift.recipe.recipe import Recipe
from convlift.records.not_shipped import NotShipped
from convlift.search.context import Search
from convlift.search.decisions import Allocation, decided, made, note
from convlift.search.length import MIXED, MIXED_FROM, offered
from convlift.search.loop import run_search
from convlift.search.scores import Scores
from convlift.search.scratch_length import BESIDE, FILLED, LAST_GAIN, MOST_LONGER, SLOPE, epochs_from_scratch, promise
from convlift.search.shipment import Shipment
from convlift.search.start import choose_start
from convlift.search.start_decisions import FineTuning, Length, OtherFeatures, TuningAsked
from convlift.search.tuning_length import (
    LEAST_EPOCHS,
    LONGEST_TUNING,
    MOST_EPOCHS,
    epochs_that_fit,
    epochs_to_search,
)
from made_up import BASELINE, FACTS, HOUR, Holds, World, desk_in, outline, problem_of, residual

STARTS = starting_points(FACTS)


def pretrained(recipe: Recipe) -> bool:
    return recipe.architecture.kind == "pretrained"


def tuned_whole(recipe: Recipe) -> bool:
    tuned = recipe.training.fine_tuning
    return tuned is not None and tuned.stages == 3


@pytest.mark.parametrize(
    ("left", "found"),
    [
        (4.0, (0, 1)),
        (100.0, (10, 1)),
        (160.0, (16, 1)),
        (239.0, (24, 1)),
        (241.0, (12, 2)),
        (900.0, (31, 3)),
        (1600.0, (40, 4)),
        (2000.0, (51, 4)),
        (3000.0, (60, 4)),
    ],
)
def test_a_training_fills_the_time_in_rounds_of_at_most_forty_epochs(left: float, found: tuple[int, int]) -> None:
    assert epochs_that_fit(lambda epochs: 10.0 * epochs, 16, left, 2, steps=100) == found
    epochs, rounds = found
    assert epochs in (MOST_EPOCHS, LONGEST_TUNING) or 10.0 * (epochs - 0.5) * rounds <= FILLED * left


@pytest.mark.parametrize(
    ("left", "found"), [(239.0, (24, 1)), (400.0, (41, 1)), (590.0, (60, 1)), (610.0, (31, 2)), (1100.0, (37, 3))]
)
def test_a_training_of_few_steps_is_long_before_there_are_two(left: float, found: tuple[int, int]) -> None:
    """Of 300 photos, ten steps an epoch."""
    assert epochs_that_fit(lambda epochs: 10.0 * epochs, 16, left, 2, steps=10) == found


@pytest.mark.parametrize(
    ("left", "steps", "found"),
    [(175.0, 110, (18, 1)), (177.0, 110, (9, 2)), (190.0, 90, (19, 1)), (201.0, 90, (10, 2))],
)
def test_one_worker_trains_twice_sooner(left: float, steps: int, found: tuple[int, int]) -> None:
    """Else nothing would learn from the validation images too."""
    assert epochs_that_fit(lambda epochs: 10.0 * epochs, 16, left, 1, steps=steps) == found


@pytest.mark.parametrize(
    ("left", "workers", "epochs"),
    [
        (399.0, 1, 0),
        (401.0, 1, 40),
        (199.0, 2, 0),
        (201.0, 2, 40),
        (101.0, 4, 0),
        (121.0, 4, 26),
        (190.0, 4, 40),
        (125.0, 8, 27),
    ],
)
def test_a_search_needs_ten_trainings_and_some_of_them_after_each_other(left: float, workers: int, epochs: int) -> None:
    """Of a second an epoch: four workers have room for ten trainings of 40 long before a search has."""
    assert epochs_to_search(1.0, left, workers) == epochs


@contextmanager
def campaign(
    tmp_path: Path, effects: dict[Holds, float], budget: float
) -> Iterator[tuple[Shipment, list[TrialRecord], Ledger]]:
    """budget: in trainings of the baseline, one of the whole network takes about 30."""
    world = World(seed=1, effects=effects, n=400, nt=800, seconds_noise=0.0)
    with desk_in(tmp_path / "run", world, budget, workers=2) as desk:
        shipment = run_search(Search(problem_of(world, STARTS), desk))
        yield shipment, list(desk.ledger.trials()), desk.ledger


def test_where_features_win_and_few_trainings_fit_all_of_the_network_trains_as_long_as_there_is_time(
    tmp_path: Path,
) -> None:
    with campaign(tmp_path, {pretrained: 5.0, tuned_whole: 4.0}, 70) as (shipment, trials, ledger):
        length, allocated = made(ledger, Length), made(ledger, Allocation)
        finals, refits = ([trial for trial in trials if trial.role == role] for role in ("final", "refit"))
        assert (shipment.frozen.start.name, shipment.ships, allocated.searches) == (FINE_TUNE, "recipe", 0)
        assert length.epochs >= LEAST_EPOCHS
        assert len(finals) == len(refits) == length.rounds
        assert allocated.last == 2 * length.rounds
        tuned = [trial.recipe.training.fine_tuning for trial in finals + refits]
        assert {each.epochs for each in tuned if each} == {length.epochs}
        assert {refit.fidelity for refit in refits} == {round(1000 / 1400, 4)}  # as many steps, of 400 more images
        assert not [trial for trial in trials if trial.names == ("transfer",)]
        assert ledger.seconds_used() > 0.86 * 70 * HOUR
        assert shipment.judged


@pytest.mark.parametrize(("lead", "tried"), [(6.0, True), (15.0, False)])
def test_far_behind_such_features_a_network_from_scratch_is_not_tried(tmp_path: Path, lead: float, tried: bool) -> None:
    with campaign(tmp_path, {pretrained: lead}, 70) as (_, trials, _ledger):
        assert any(trial.names == ("residual",) for trial in trials) == tried


def test_features_a_little_behind_the_baseline_are_worth_it(tmp_path: Path) -> None:
    """Of their errors fine-tuning leaves some two thirds. Far behind: see below."""
    with campaign(tmp_path, {pretrained: -1.0, tuned_whole: 9.0}, 70) as (shipment, _, ledger):
        assert made(ledger, FineTuning).way == "fitted"
        assert shipment.frozen.start.name == FINE_TUNE
        assert shipment.judged


def test_its_speed_is_measured_while_the_baseline_trains_and_it_has_no_first_run(tmp_path: Path) -> None:
    """Twice as slow as foreseen, it trains for about half as many epochs."""
    epochs = []
    for slower in (1.0, 2.0):
        world = World(seed=1, effects={pretrained: 5.0, tuned_whole: 4.0}, n=400, nt=800, seconds_noise=0.0)
        measure = Mock(return_value=slower * 30 * HOUR)
        with desk_in(tmp_path / f"run-{slower}", world, 70, workers=2) as desk:
            run_search(Search(replace(problem_of(world, STARTS), time_tuning=measure), desk))
            assert [trial.role for trial in desk.ledger.trials() if trial.names == (FINE_TUNE,)].count("start") == 0
            assert measure.call_count == 1
            # here trials run in this very process, so that none of another worker runs beside
            assert made(desk.ledger, TuningAsked).seconds == pytest.approx(BESIDE * slower * 30 * HOUR)
            length = made(desk.ledger, Length)
            epochs.append(length.epochs * length.rounds)
    assert epochs[1] == pytest.approx(epochs[0] / 2, abs=1.5)


def test_what_was_measured_before_an_interruption_is_not_measured_again(tmp_path: Path) -> None:
    """Killed after the speed was known and before it was settled how it is used."""
    world = World(seed=1, effects={pretrained: 5.0, tuned_whole: 4.0}, n=400, nt=800, seconds_noise=0.0)
    measure = Mock()
    with desk_in(tmp_path / "run", world, 70, workers=2) as desk:
        note(desk.ledger, TuningAsked({"horizontal_flip": 0.5}, 30 * HOUR))
        run_search(Search(replace(problem_of(world, STARTS), time_tuning=measure), desk))
        assert not measure.called
        assert made(desk.ledger, FineTuning).way == "fitted"
        finals = [trial for trial in desk.ledger.trials() if trial.role == "final"]
        assert finals
        assert {trial.recipe.data.augmentation.horizontal_flip for trial in finals} == {0.5}


def test_without_anybody_to_ask_its_images_are_not_augmented(tmp_path: Path) -> None:
    with campaign(tmp_path, {pretrained: 5.0}, 70) as (shipment, _, ledger):
        assert not shipment.frozen.recipe.data.augmentation.active
        assert set(made(ledger, TuningAsked).augmentation.values()) == {0.0}


def test_where_it_is_worse_on_validation_the_features_ship(tmp_path: Path) -> None:
    with campaign(tmp_path, {pretrained: 9.0, tuned_whole: -8.0}, 70) as (shipment, *_):
        assert (shipment.ships, shipment.frozen.start.name) == ("start", "frozen")
        assert shipment.network.names == ("frozen",)
        assert shipment.judged
        assert [run.id for run in shipment.after] == [shipment.network.id]
        assert shipment.why == NotShipped("another start is better")


def test_a_few_validation_images_do_not_speak_against_the_longer_training(tmp_path: Path) -> None:
    """The features' first run is ahead of it by less than the error of that difference."""
    world = World(seed=4, effects={pretrained: 6.0, tuned_whole: -1.0}, n=80, nt=800, seconds_noise=0.0)
    with desk_in(tmp_path / "run", world, 70, workers=2) as desk:
        search = Search(problem_of(world, STARTS), desk)
        shipment = run_search(search)
        (features,) = [trial for trial in desk.ledger.trials("start") if trial.names == ("frozen",)]
        finals = [search.scores.score_points(trial) for trial in desk.ledger.trials("final")]
        assert max(finals) < search.scores.score_points(features)
        assert (shipment.ships, shipment.frozen.start.name) == ("recipe", FINE_TUNE)


def test_in_a_fold_no_length_is_settled(tmp_path: Path) -> None:
    """What a fold keeps for the training on all images is no such training."""
    world = World(seed=1, effects={pretrained: 5.0, tuned_whole: 4.0}, n=400, nt=800, seconds_noise=0.0)
    with desk_in(tmp_path / "run", world, 70, workers=2) as desk:
        run_search(Search(replace(problem_of(world, STARTS), most_networks=0), desk))
        assert made(desk.ledger, FineTuning).way == ""
        assert decided(desk.ledger, TuningAsked) is None


def test_where_features_are_far_behind_it_is_never_tried(tmp_path: Path) -> None:
    with campaign(tmp_path, {pretrained: -12.0, tuned_whole: 20.0}, 70) as (shipment, trials, ledger):
        assert made(ledger, FineTuning).way == ""
        assert decided(ledger, Length) is None
        assert not [trial for trial in trials if trial.names == (FINE_TUNE,)]
        assert shipment.frozen.start.name != FINE_TUNE


def points_of(trial: TrialRecord) -> float:
    return Scores(problem_of(World(seed=1, n=400, nt=800), STARTS)).score_points(trial)


def tuned(recipe: Recipe) -> bool:
    return recipe.training.fine_tuning is not None


@pytest.mark.parametrize(("budget", "way"), [(90, "fitted"), (900, "first run")])
def test_where_a_shorter_way_to_fine_tune_turns_out_the_best_the_whole_way_is_tried_too(
    tmp_path: Path, budget: float, way: str
) -> None:
    """Features far behind the baseline promised too little, and only the shorter way got a first run."""
    with campaign(tmp_path, {pretrained: -12.0, tuned: 20.0, tuned_whole: 3.0}, budget) as (shipment, trials, ledger):
        assert [value["way"] for _, value in ledger.history(FineTuning.key)] == ["", way]
        assert [trial for trial in trials if trial.names == ("transfer",)]
        assert (decided(ledger, Length) is not None) == (way == "fitted")
        assert len([t for t in trials if t.role == "start" and t.names == (FINE_TUNE,)]) == (way == "first run")
        assert shipment.frozen.start.name == FINE_TUNE
        assert shipment.judged


@pytest.mark.parametrize("budget", [90, 900])
def test_stopped_once_the_whole_way_was_settled_a_campaign_goes_on_as_if_nothing_had_been(
    tmp_path: Path, budget: float
) -> None:
    effects: dict[Holds, float] = {pretrained: -12.0, tuned: 20.0, tuned_whole: 3.0}
    world = World(seed=1, effects=effects, n=400, nt=800, seconds_noise=0.0)

    def after_the_short_way(ledger: Ledger) -> int:
        settled = [value and value["way"] for _, value in ledger.history(FineTuning.key)]
        return signal.SIGINT if len(settled) > 1 else 0

    with desk_in(tmp_path / "whole", world, budget, workers=2) as desk:
        run_search(Search(problem_of(world, STARTS), desk))
        whole = outline(desk.ledger)
    with (
        desk_in(tmp_path / "run", world, budget, workers=2, stop=after_the_short_way) as desk,
        pytest.raises(Interrupted),
    ):
        run_search(Search(problem_of(world, STARTS), desk))
    with desk_in(tmp_path / "run", world, budget, workers=2) as desk:
        run_search(Search(problem_of(world, STARTS), desk))
        assert [row[1:7] for row in outline(desk.ledger)][:6] == [row[1:7] for row in whole][:6]
        assert made(desk.ledger, FineTuning).way == ("fitted" if budget == 90 else "first run")
        assert len([t for t in desk.ledger.trials("start") if t.names == (FINE_TUNE,)]) == (budget == 900)


@pytest.mark.parametrize(("lead", "way"), [(3.0, "fitted"), (4.0, "")])
def test_a_shorter_way_a_little_behind_another_start_promises_the_whole_way(
    tmp_path: Path, lead: float, way: str
) -> None:
    """That leaves .8 of its errors."""
    with campaign(tmp_path, {pretrained: -12.0, tuned: 20.0, residual: 8.0 + lead}, 90) as (_, trials, ledger):
        ranks = {t.names: points_of(t) for t in trials if t.role == "start" and t.outcome}
        assert ranks[("residual",)] > ranks[("transfer",)]
        assert made(ledger, FineTuning).way == way


def test_where_many_trainings_fit_it_is_a_start_like_any_other(tmp_path: Path) -> None:
    with campaign(tmp_path, {pretrained: 5.0, tuned_whole: 4.0}, 900) as (shipment, trials, ledger):
        assert made(ledger, FineTuning).way == "first run"
        assert decided(ledger, Length) is None
        assert shipment.frozen.start.name == FINE_TUNE
        assert [trial for trial in trials if trial.role == "search"]


def test_the_start_is_found_again_with_its_length(tmp_path: Path) -> None:
    with campaign(tmp_path, {pretrained: 5.0, tuned_whole: 4.0}, 70) as (shipment, _, ledger):
        problem = problem_of(World(seed=1), STARTS)
        (again,) = [point for point in offered(problem, ledger) if point.name == FINE_TUNE]
        assert again.recipe == shipment.frozen.start.recipe
        (before,) = [point for point in offered(problem, ledger, for_first_runs=True) if point.name == FINE_TUNE]
        assert before.recipe.training.fine_tuning.epochs == 16  # type: ignore[union-attr]


def test_a_baseline_that_reads_the_same_features_takes_their_place(tmp_path: Path) -> None:
    """Whose own recipe is the frozen network: it is trained first, and what promises more is fine-tuned."""
    world = World(seed=1, effects={pretrained: 5.0, tuned_whole: 4.0}, n=400, nt=800, seconds_noise=0.0)
    frozen = next(point.recipe for point in STARTS if point.name == "frozen")
    problem = problem_of(world, tuple(point for point in STARTS if point.name != "frozen"), frozen)
    with desk_in(tmp_path / "run", world, 70, workers=1, baseline=frozen) as desk:
        shipment = run_search(Search(problem, desk))
        trials = desk.ledger.trials()
        assert trials[0].role == "baseline"
        assert made(desk.ledger, FineTuning).way == "fitted"
        assert not [trial for trial in trials if trial.names == ("transfer",)]
        assert (shipment.frozen.start.name, shipment.judged) == (FINE_TUNE, True)


def from_scratch(width: int = 64) -> StartingPoint:
    """A training of it takes 2.6 of the baseline's."""
    (point,) = [point for point in STARTS if point.name == "residual"]
    return replace(point, recipe=point.recipe.edit(architecture={"width": width}))


@contextmanager
def scratch_campaign(tmp_path: Path, budget: float, **changes: Any) -> Iterator[tuple[Shipment, Search]]:
    world = World(seed=1, effects={residual: 6.0, pretrained: -9.0}, n=400, nt=800, seconds_noise=0.0)
    frozen = next(point for point in STARTS if point.name == "frozen")
    with desk_in(tmp_path / "run", world, budget) as desk:
        search = Search(replace(problem_of(world, (from_scratch(), frozen)), **changes), desk)
        yield run_search(search), search


def test_the_best_network_from_scratch_trains_once_for_as_long_as_there_is_time(tmp_path: Path) -> None:
    with scratch_campaign(tmp_path, 12) as (shipment, search):
        length = made(search.ledger, Length)
        (first_run,) = [trial for trial in search.ledger.trials("start") if trial.names == ("residual",)]
        (final,) = search.ledger.trials("final")
        assert (length.start, length.rounds, made(search.ledger, Allocation).searches) == ("residual", 1, 0)
        assert first_run.recipe.training.epochs == 15 < final.recipe.training.epochs == length.epochs
        assert final.recipe == shipment.frozen.start.recipe
        assert not final.recipe.data.augmentation.active  # there is nobody to ask
        assert final.recipe.data.mixing.active == (length.epochs >= MIXED_FROM)
        assert shipment.judged
        assert search.ledger.seconds_used() > 0.9 * 12 * HOUR


def test_where_several_trainings_from_scratch_fit_there_is_a_search(tmp_path: Path) -> None:
    with scratch_campaign(tmp_path, 100) as (shipment, search):
        assert shipment.frozen.start.name == "residual"
        assert decided(search.ledger, Length) is None
        assert search.ledger.trials("search")


def test_in_a_fold_a_network_from_scratch_keeps_its_length(tmp_path: Path) -> None:
    with scratch_campaign(tmp_path, 12, most_networks=0) as (_, search):
        assert decided(search.ledger, Length) is None


def test_a_first_run_that_was_cut_short_promises_more_than_it_has(tmp_path: Path) -> None:
    """What errs as often after a fifth of what it may have promises fewer errors than a whole training of another."""
    world = World(seed=1, n=400, nt=800, seconds_noise=0.0)
    point = from_scratch()
    with desk_in(tmp_path / "run", world, 30) as desk:
        search = Search(problem_of(world, (point,)), desk)
        short, whole, baseline = desk.complete(
            [
                search.problem.plan("start", point.recipe, 0, (point.name,), 0.2),
                search.problem.plan("start", point.recipe, 1, (point.name,)),
                search.problem.plan("baseline", search.problem.baseline, 0),
            ],
            lambda plan: 100 * HOUR,
        )
        assert promise(search, baseline) == search.scores.rank(baseline)
        found = epochs_from_scratch(point.recipe, search.seconds(point.recipe), search.left(), 1)
        assert found is not None
        for record, had in ((short, 3), (whole, 15)):
            longer = min(MOST_LONGER, max(1.0, min(found[0], LAST_GAIN) / had))
            errors = (100.0 - search.scores.rank(record)) * longer**-SLOPE
            assert promise(search, record) == pytest.approx(100.0 - errors)


@pytest.mark.parametrize(
    ("left", "workers", "found"),
    [
        (10.0, 1, (2, 1)),
        (100.0, 1, (15, 1)),
        (300.0, 1, (23, 2)),
        (300.0, 2, (46, 1)),
        (900.0, 1, (46, 3)),
        (400.0, 2, (60, 1)),
        (1000.0, 1, (51, 3)),
        (500.0, 2, (38, 2)),
        (3000.0, 1, None),
        (1400.0, 2, None),
    ],
)
def test_a_network_from_scratch_fills_the_time_where_no_search_pays(
    left: float, workers: int, found: tuple[int, int] | None
) -> None:
    assert epochs_from_scratch(from_scratch().recipe, 100.0, left, workers) == found


@pytest.mark.parametrize(("lead", "suffix"), [(6.0, " resnet18"), (-6.0, "")])
def test_of_several_backbones_the_one_with_the_best_features_is_fine_tuned(
    tmp_path: Path, lead: float, suffix: str
) -> None:
    def further(recipe: Recipe) -> bool:
        return isinstance(recipe.architecture, Pretrained) and recipe.architecture.backbone == "resnet18"

    effects: dict[Holds, float] = {pretrained: 5.0, further: lead, tuned_whole: 4.0}
    world = World(seed=1, effects=effects, n=400, nt=800, seconds_noise=0.0)
    problem = problem_of(world, starting_points_of(FACTS, {"tf_efficientnet_lite0": 9, "resnet18": 5}))
    with desk_in(tmp_path / "run", world, 70) as desk:
        shipment = run_search(Search(problem, desk))
        probed = {trial.names[0] for trial in desk.ledger.trials("start")}
        assert made(desk.ledger, OtherFeatures).names == ("frozen resnet18",)
        assert {"frozen", "frozen resnet18"} <= probed
        assert not [name for name in probed if name.startswith("transfer")]
        assert made(desk.ledger, TuningAsked).start == f"fine-tune{suffix}"
        assert (made(desk.ledger, Length).start, shipment.frozen.start.name) == 2 * (f"fine-tune{suffix}",)
        assert further(shipment.frozen.recipe) == (suffix != "")
        assert shipment.judged


def test_a_further_backbone_that_would_take_too_long_is_not_tried(tmp_path: Path) -> None:
    world = World(seed=1, effects={pretrained: 5.0}, n=400, nt=800, seconds_noise=0.0)
    problem = problem_of(world, starting_points_of(FACTS, {"tf_efficientnet_lite0": 9, "resnet18": 5}))
    with desk_in(tmp_path / "run", world, 12) as desk:
        run_search(Search(problem, desk))
        assert made(desk.ledger, OtherFeatures).names == ()


def longer(recipe: Recipe) -> bool:
    return residual(recipe) and recipe.training.epochs > 15


@pytest.mark.parametrize("diverges", [True, False])
def test_where_the_longer_training_is_worse_the_first_run_ships(tmp_path: Path, diverges: bool) -> None:
    def fate(job: Job) -> Exception | None:
        return Diverged("its loss became nan") if diverges and longer(job.spec.recipe) else None

    effects: dict[Holds, float] = {residual: 6.0, longer: -9.0, pretrained: -9.0}
    world = World(seed=1, effects=effects, n=400, nt=800, seconds_noise=0.0, fate=fate)
    frozen = next(point for point in STARTS if point.name == "frozen")
    with desk_in(tmp_path / "run", world, 12) as desk:
        shipment = run_search(Search(problem_of(world, (from_scratch(), frozen)), desk))
        assert made(desk.ledger, Length).start == "residual"
        assert (shipment.ships, shipment.network.role, shipment.network.names) == ("start", "start", ("residual",))
        assert shipment.frozen.start.recipe == shipment.network.recipe == from_scratch().recipe
        assert shipment.judged
        assert shipment.why is not None
        assert shipment.why.why == ("only the start learned" if diverges else "start is better")


def test_two_workers_train_the_network_from_scratch_once_each_and_one_on_validation_images_too(tmp_path: Path) -> None:
    world = World(seed=1, effects={residual: 6.0, pretrained: -9.0}, n=400, nt=800, seconds_noise=0.0)
    frozen = next(point for point in STARTS if point.name == "frozen")
    with desk_in(tmp_path / "run", world, 10, workers=2) as desk:
        shipment = run_search(Search(problem_of(world, (from_scratch(), frozen)), desk))
        assert made(desk.ledger, Length).rounds == 1
        assert [len(desk.ledger.trials(role)) for role in ("final", "refit")] == [1, 1]
        assert shipment.network.role == "refit"
        assert shipment.judged


def test_what_undid_a_lever_of_the_baseline_is_no_start_that_was_passed_over(tmp_path: Path) -> None:
    def undoing(recipe: Recipe) -> bool:
        return recipe == BASELINE.edit(training={"epochs": 20})

    world = World(seed=1, effects={residual: 6.0, undoing: 15.0}, n=400, nt=800, seconds_noise=0.0)
    problem = problem_of(world, (from_scratch(),))
    plan = problem.plan("start", BASELINE.edit(training={"epochs": 20}), 9, ("your recipe for 20 epochs",))
    with desk_in(tmp_path / "run", world, 14) as desk:
        (undone,) = desk.complete([plan], lambda _: 100 * HOUR)
        shipment = run_search(Search(problem, desk))
        assert Search(problem, desk).scores.rank(undone) > Search(problem, desk).scores.rank(shipment.network)
        assert (shipment.ships, shipment.frozen.start.name) == ("recipe", "residual")


def test_a_baseline_that_reads_features_is_trained_before_those_of_a_further_backbone(tmp_path: Path) -> None:
    world = World(seed=1, effects={pretrained: 5.0, tuned_whole: 4.0}, n=400, nt=800, seconds_noise=0.0)
    every = starting_points_of(FACTS, {"tf_efficientnet_lite0": 9, "resnet18": 5})
    own = next(point.recipe for point in every if point.name == "frozen")
    problem = problem_of(world, tuple(point for point in every if point.name != "frozen"), own)
    with desk_in(tmp_path / "run", world, 70, workers=2, baseline=own) as desk:
        run_search(Search(problem, desk))
        trials = desk.ledger.trials()
        assert trials[0].role == "baseline"
        assert made(desk.ledger, OtherFeatures).names == ("frozen resnet18",)
        features = {trial.names: trial for trial in trials if trial.names in ((), ("frozen resnet18",))}
        assert len(features) == 2
        asked, settled = made(desk.ledger, TuningAsked), made(desk.ledger, FineTuning)
        assert asked.start == settled.start


def test_of_several_backbones_the_cheapest_is_read_first(tmp_path: Path) -> None:
    def heavy(recipe: Recipe) -> bool:
        return isinstance(recipe.architecture, Pretrained) and recipe.architecture.backbone == "resnet18"

    world = World(seed=1, effects={pretrained: 5.0}, n=400, nt=800, seconds_noise=0.0)
    points = starting_points_of(FACTS, {"resnet18": 5, "tf_efficientnet_lite0": 9})
    problem = problem_of(world, points)
    dearer = replace(problem.pace, forward=lambda r, s=None: (9.0 if heavy(r) else 1.0) * problem.pace.forward(r, s))
    with desk_in(tmp_path / "run", world, 70) as desk:
        choose_start(Search(replace(problem, pace=dearer), desk))
        first = next(trial for trial in desk.ledger.trials() if trial.role == "start")
        assert first.names == ("frozen tf_efficientnet_lite0",)


def tuned_part(recipe: Recipe) -> bool:
    tuned = recipe.training.fine_tuning
    return tuned is not None and tuned.stages == 2


@pytest.mark.parametrize("budget", [100, 120, 140, 200])
def test_between_a_fitted_length_and_a_search_no_time_is_left_over(tmp_path: Path, budget: float) -> None:
    world = World(seed=1, effects={pretrained: 5.0, tuned_whole: 4.0}, n=400, nt=800, seconds_noise=0.0)
    with desk_in(tmp_path / "run", world, budget, workers=4) as desk:
        shipment = run_search(Search(problem_of(world, STARTS), desk))
        assert shipment.frozen.start.name == FINE_TUNE
        assert desk.ledger.seconds_used() > 0.8 * budget * HOUR


def test_in_a_fold_a_first_run_is_not_judged(tmp_path: Path) -> None:
    effects: dict[Holds, float] = {pretrained: -9.0, tuned_part: 22.0}
    world = World(
        seed=1,
        effects=effects,
        n=400,
        nt=800,
        seconds_noise=0.0,
        slow=lambda job: 3.0 if tuned_part(job.spec.recipe) else 1.0,
    )
    starts = tuple(point for point in STARTS if point.recipe.architecture.kind == "pretrained")
    for networks in (1, 0):
        with desk_in(tmp_path / f"run-{networks}", world, 20) as desk:
            shipment = run_search(Search(replace(problem_of(world, starts), most_networks=networks), desk))
            assert (shipment.ships, shipment.network.names) == ("start", ("transfer",))
            assert shipment.judged == (networks == 1)
            assert shipment.why == NotShipped("no second run" if networks else "no time for final runs")


@pytest.mark.parametrize("budget", [15, 20, 30])
def test_time_in_which_the_best_start_cannot_train_again_goes_to_a_network_from_scratch(
    tmp_path: Path, budget: float
) -> None:
    """A first run that takes longer than foreseen: what it leaves was unused, and its network was not judged."""
    effects: dict[Holds, float] = {pretrained: -9.0, tuned_part: 22.0, residual: 3.0}
    world = World(
        seed=1,
        effects=effects,
        n=400,
        nt=800,
        seconds_noise=0.0,
        slow=lambda job: 1.7 if tuned_part(job.spec.recipe) else 1.0,
    )
    starts = tuple(point for point in STARTS if point.name != FINE_TUNE)
    with desk_in(tmp_path / "run", world, budget) as desk:
        shipment = run_search(Search(problem_of(world, starts), desk))
        length = made(desk.ledger, Length)
        assert (length.start, length.epochs >= MIXED_FROM, length.mixing) == ("residual", True, MIXED)
        assert {trial.recipe.data.mixing.active for trial in desk.ledger.trials("final")} == {True}
        assert (shipment.ships, shipment.network.names, shipment.network.role) == ("start", ("transfer",), "start")
        assert shipment.judged
        assert [run.id for run in shipment.after] == [shipment.network.id]
        assert shipment.why == NotShipped("another start is better")
        assert desk.ledger.seconds_used() > 0.8 * budget * HOUR


@pytest.mark.parametrize(("ahead", "start"), [(0.3, FINE_TUNE), (6.0, "transfer")])
def test_a_search_starts_from_long_fine_tuning_unless_another_start_is_clearly_ahead(
    tmp_path: Path, ahead: float, start: str
) -> None:
    """Of 400 validation images a difference of two networks is uncertain by over a point."""

    def shorter(recipe: Recipe) -> bool:
        tuned = recipe.training.fine_tuning
        return tuned is not None and not tuned_whole(recipe)

    effects = {pretrained: 5.0, tuned_whole: 4.0, shorter: 4.0 + ahead}
    world = World(seed=4, effects=effects, n=400, nt=800, seconds_noise=0.0)
    with desk_in(tmp_path / "run", world, 8_000, workers=2) as desk:
        chosen = choose_start(Search(problem_of(world, STARTS), desk))
        assert made(desk.ledger, FineTuning).epochs == MOST_EPOCHS
    assert chosen.name == start
