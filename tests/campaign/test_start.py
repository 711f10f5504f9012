"""Which network the search starts from, and how the time is divided: probes, their failures, too little time."""

from pathlib import Path

import pytest
from made_up import BASELINE, FACTS, World, desk_in, diverges, outline, residual, study_of

from convlift.campaign.judgement import judge_campaign
from convlift.campaign.loop import run_campaign
from convlift.campaign.plan import divide, has_room
from convlift.campaign.start import choose_start, passed_over_in_words
from convlift.errors import BudgetError, DataError, LedgerError
from convlift.execute.job import Job
from convlift.recipe import Recipe
from convlift.recipes import built_in
from convlift.study.starting_points import StartingPoint, starting_points

STARTS = starting_points(FACTS)


def pretrained(recipe: Recipe) -> bool:
    return recipe.architecture.kind == "pretrained"


def is_scratch(job: Job) -> bool:
    return residual(job.recipe)


def test_the_best_start_is_found_its_share_told_and_its_bare_form_trained_first(tmp_path: Path) -> None:
    world = World(seed=1, effects={residual: 6.0}, n=400, nt=800)
    study = study_of(world, STARTS)
    with desk_in(tmp_path / "run", world, 35) as desk:
        frozen = run_campaign(study, desk)
        judged = judge_campaign(study, desk, frozen, world.labels[world.n :])
        trials, pilots = desk.ledger.trials(), desk.ledger.trials("pilot")
        searched, probed = desk.ledger.trials("search"), desk.ledger.trials("probe")
    assert frozen.start.name == "residual"
    assert {trial.names[0] for trial in probed} >= {"residual", "frozen"}
    assert trials[0].role == "pilot"
    assert searched[0].recipe == frozen.start.recipe
    assert searched[0].names == ()
    first, *others = judged.verdicts
    assert first.name == "start: residual"
    assert first.low <= 6.0 <= first.high
    assert first.trials == len(searched) + len([trial for trial in trials if trial.role == "final"])
    assert [verdict.name for verdict in others] == [candidate.name for candidate in frozen.candidates]
    assert all(trial.recipe == study.baseline for trial in pilots)
    assert len({trial.seed for trial in trials}) == len(trials)


def test_a_better_network_that_leaves_no_time_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    world = World(seed=1, effects={residual: 6.0}, n=400, nt=800)
    study = study_of(world, STARTS)
    monkeypatch.setattr("convlift.campaign.start.has_room", lambda _study, _desk, recipe: not residual(recipe))
    with desk_in(tmp_path / "run", world, 35) as desk:
        start = choose_start(study, desk)
        kept = desk.ledger.recall("passed over")
    assert start.name != "residual"
    name, score, chosen, each, _ = kept
    assert (name, score > chosen, each > 0) == ("residual", True, True)
    assert "did not start from residual" in passed_over_in_words(kept)


def test_nothing_is_passed_over_where_the_best_is_taken(tmp_path: Path) -> None:
    world = World(seed=1, effects={residual: 6.0}, n=400, nt=800)
    study = study_of(world, STARTS)
    with desk_in(tmp_path / "run", world, 35) as desk:
        choose_start(study, desk)
        assert desk.ledger.recall("passed over") is None


def test_without_other_starts_the_baseline_is_searched_and_may_ship_unchanged(tmp_path: Path) -> None:
    """Everything harms: no change ships, and the campaign ends in good order with a gain about zero."""
    world = World(seed=2, effects={lambda recipe: recipe != BASELINE: -12.0})
    study = study_of(world)
    with desk_in(tmp_path / "run", world, 24) as desk:
        frozen = run_campaign(study, desk)
        judged = judge_campaign(study, desk, frozen, world.labels[world.n :])
    assert frozen.start.name == "baseline"
    assert frozen.names == ()
    assert frozen.recipe == BASELINE
    assert not judged.final.proven
    assert judged.final.gain_points.low <= 0 <= judged.final.gain_points.high
    assert not any(verdict.shipped for verdict in judged.verdicts)


def test_failed_probes_leave_the_baseline(tmp_path: Path) -> None:
    world = World(fate=lambda job: None if job.recipe == BASELINE else OSError("no weights here"))
    study = study_of(world, STARTS)
    with desk_in(tmp_path / "run", world, 60) as desk:
        assert choose_start(study, desk).name == "baseline"
        assert {trial.status for trial in desk.ledger.trials("probe")} == {"failed"}


@pytest.mark.parametrize(("error", "word"), [(OSError("disk full"), "disk full"), (diverges, "became nan")])
def test_a_baseline_that_cannot_be_trained_is_said(tmp_path: Path, error: object, word: str) -> None:
    world = World(fate=diverges if error is diverges else lambda job: error)  # type: ignore[arg-type, return-value]
    with (
        desk_in(tmp_path / "run", world, 60) as desk,
        pytest.raises(DataError, match=f"the baseline could not be trained: .*{word}"),
    ):
        choose_start(study_of(world, STARTS), desk)


@pytest.mark.parametrize(
    ("hours", "words"),
    [(1.5, "one training of the baseline takes more than"), (3.5, "a training takes .* 3 must fit; allow at least")],
)
def test_too_little_time_is_said_and_leaves_nothing_half_done(tmp_path: Path, hours: float, words: str) -> None:
    world = World()
    study = study_of(world)
    with desk_in(tmp_path / "run", world, hours) as desk, pytest.raises(BudgetError, match=words):
        run_campaign(study, desk)
    with desk_in(tmp_path / "run", world, hours) as desk:
        assert desk.running == 0
        assert all(trial.outcome is not None for trial in desk.ledger.trials())
        assert desk.ledger.recall("freeze") is None


def test_what_too_little_time_asks_for_is_enough(tmp_path: Path) -> None:
    world = World(seconds_noise=0.0)
    study = study_of(world)
    with desk_in(tmp_path / "short", world, 3.5) as desk, pytest.raises(BudgetError, match="at least 4h6m1s"):
        run_campaign(study, desk)
    with desk_in(tmp_path / "run", world, 4 + 6.1 / 60) as desk:
        run_campaign(study, desk)
        assert [trial.status for trial in desk.ledger.trials("final")] == ["finished"]
        assert desk.ledger.trials("search")


def test_many_workers_do_not_stretch_the_wall_clock_of_a_probe_or_of_a_campaign(tmp_path: Path) -> None:
    """With 16 workers a training from scratch could have 16 times the time, but only beside the others."""
    slow = built_in("residual").at(32).edit(training={"epochs": 150})
    starts = (StartingPoint("residual", slow, ""), STARTS[1])
    world = World(effects={residual: 9.0})
    study = study_of(world, starts)
    with desk_in(tmp_path / "run", world, 20, workers=16) as desk:
        start = choose_start(study, desk)
        probe = next(trial for trial in desk.ledger.trials("probe") if trial.names == ("residual",))
        assert probe.status == "finished"
        assert probe.outcome is not None
        assert probe.outcome.seconds <= 0.15 * desk.budget_seconds
        # the best by far, but 16 at once are no campaign where three after each other do not fit
        assert start.name != "residual"
        with pytest.raises(BudgetError, match="3 must fit"):
            divide(study, desk, starts[0])


@pytest.mark.parametrize("hours", [12, 30, 45, 55, 70])
def test_no_start_is_probed_that_the_time_could_not_search_from(tmp_path: Path, hours: float) -> None:
    world = World(n=100, nt=100, seconds_noise=0.0)
    study = study_of(world, STARTS)
    with desk_in(tmp_path / "run", world, hours, workers=8) as desk:
        choose_start(study, desk)
        probed = {trial.names[0]: trial for trial in desk.ledger.trials("probe")}
        assert ("transfer" in probed) == (hours >= 55)  # twelve hours each
        if "transfer" in probed:
            assert probed["transfer"].status == "finished"
            assert has_room(study, desk, probed["transfer"].recipe)


def test_dear_baselines_leave_the_time_to_the_search(tmp_path: Path) -> None:
    """A baseline ten times as dear as the start: five pilots would cost half of all trainings."""
    dear = BASELINE.edit(training={"epochs": 300})
    world = World(effects={residual: 9.0}, n=100, nt=100)
    study = study_of(world, STARTS[:1], dear)
    with desk_in(tmp_path / "run", world, 150, baseline=dear) as desk:
        start = choose_start(study, desk)
        division = divide(study, desk, start)
        cost = study.seconds(dear, desk.ledger.trials()) / study.seconds(start.recipe, desk.ledger.trials())
    assert start.name == "residual"
    assert cost > 3
    assert (division.pilots - 1) * cost <= 0.2 * division.trainings


def test_another_backbone_cannot_continue_a_campaign(tmp_path: Path) -> None:
    world = World(effects={pretrained: 9.0}, n=100, nt=100)
    with desk_in(tmp_path / "run", world, 60) as desk:
        assert choose_start(study_of(world, STARTS), desk).name == "frozen"
        before = outline(desk.ledger)
    with desk_in(tmp_path / "run", world, 60) as desk:
        assert choose_start(study_of(world, STARTS), desk).name == "frozen"
        assert outline(desk.ledger) == before
    with desk_in(tmp_path / "run", world, 60) as desk, pytest.raises(LedgerError, match="the same --backbone"):
        choose_start(study_of(world, starting_points(FACTS, backbone="resnet18")), desk)


def test_pilots_fill_the_time_of_workers_that_would_wait_for_a_long_probe(tmp_path: Path) -> None:
    world = World(n=100, nt=100, seconds_noise=0.0)
    study = study_of(world, STARTS)
    with desk_in(tmp_path / "run", world, 70, workers=2) as desk:
        start = choose_start(study, desk)
        pilots, probes = desk.ledger.trials("pilot"), desk.ledger.trials("probe")
        ends = desk.ledger.seconds_used()
        assert {probe.names[0] for probe in probes} == {"residual", "frozen", "transfer"}
        assert len(pilots) > 1
        assert all(pilot.status == "finished" for pilot in pilots)
        assert divide(study, desk, start).pilots >= len(pilots)
        assert choose_start(study, desk) == start
        assert len(desk.ledger.trials("pilot")) == len(pilots)
    with desk_in(tmp_path / "alone", world, 70) as desk:
        choose_start(study, desk)
        assert len(desk.ledger.trials("pilot")) == 1
        assert ends < desk.ledger.seconds_used()
