"""Which runs are compared on the test: what lost a close choice, what learned nothing, the network that ships."""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from convlift.campaign.judge import Judgement, judge_campaign, judge_networks
from convlift.catalogue.starting_points import FINE_TUNE, starting_points
from convlift.errors import LedgerError
from convlift.ledger.trials import Plan, Role, TrialRecord
from convlift.recipe.recipe import Recipe
from convlift.recipe.trial_spec import TrialSpec
from convlift.records.not_shipped import Shortened
from convlift.records.notes import CloseChoice, OneRun, RunsFailedToLearn
from convlift.records.outcome import Outcome, Status
from convlift.records.result import NetworkGain
from convlift.search.compared_runs import best_final, lost_a_close_choice
from convlift.search.context import Search
from convlift.search.decisions import note
from convlift.search.dispatcher import Dispatcher
from convlift.search.problem import Problem
from convlift.search.shipment import Shipment
from convlift.search.space import Configuration, SearchSpace
from convlift.search.start_decisions import Length
from made_up import BASELINE, CLASSES, FACTS, World, desk_in, problem_of

WORLD = World(n=300, nt=600)
START = next(point for point in starting_points(FACTS) if point.name == "residual")


@pytest.fixture
def problem() -> Problem:
    return problem_of(WORLD, (START,))


@pytest.fixture
def desk(tmp_path: Path) -> Iterator[Dispatcher]:
    with desk_in(tmp_path / "run", WORLD, 20) as opened:
        yield opened


def ran(
    desk: Dispatcher, role: Role, scores: Sequence[float], recipe: Recipe, names: tuple[str, ...] = (), *,
    status: Status = "finished", fidelity: float = 1.0,
) -> list[TrialRecord]:  # fmt: skip
    """Trials whose networks name these shares of the images right; at .25 by chance alone."""
    rng, records, labels = np.random.default_rng(len(desk.ledger.trials())), [], WORLD.labels
    for score in scores:
        wrong = (labels + rng.integers(1, CLASSES, len(labels))) % CLASSES
        right = np.concatenate([np.arange(k) < round(score * k) for k in (WORLD.n, WORLD.nt)])
        named = np.where(right, labels, wrong)
        said = (0.1 + 0.6 * np.eye(CLASSES, dtype=np.float32)[named]).astype(np.float32)
        record = desk.ledger.claim(Plan(role, TrialSpec(recipe, int(rng.integers(1 << 30)), fidelity), names))
        outcome = Outcome(status, said[: WORLD.n], said[WORLD.n :], seconds=1.0)
        records.append(desk.ledger.finish(record.id, outcome))
    return records


def judged(search: Search, **given: object) -> Judgement:
    frozen = Configuration(SearchSpace(START, ()), START.recipe, np.zeros(0, bool))
    return judge_campaign(search, frozen, WORLD.labels[WORLD.n :], **given)  # type: ignore[arg-type]


def campaign(desk: Dispatcher, baselines: Sequence[float], start_run: float, finals: Sequence[float]) -> None:
    ran(desk, "baseline", baselines, BASELINE)
    ran(desk, "start", [start_run], START.recipe, ("residual",))
    ran(desk, "search", [0.9, 0.9, 0.91], START.recipe)
    ran(desk, "final", finals, START.recipe)


@pytest.mark.parametrize(
    ("baselines", "start_run", "close"),
    [
        ([0.80, 0.80, 0.81, 0.80, 0.81], 0.83, True),
        ([0.80, 0.80, 0.81, 0.80, 0.81], 0.92, False),
        ([0.60, 0.80, 0.70, 0.66, 0.80], 0.85, True),  # noisy runs: a lead of 25 points may be luck
    ],
)
def test_the_run_that_lost_a_close_choice_is_left_out(
    problem: Problem, desk: Dispatcher, baselines: list[float], start_run: float, close: bool
) -> None:
    campaign(desk, baselines, start_run, [0.9, 0.9])
    assert lost_a_close_choice(Search(problem, desk), "residual", desk.ledger.trials("baseline")) == close
    found = judged(Search(problem, desk))
    counted = baselines[1:] if close else baselines
    assert found.arms == (len(counted), 2)
    assert found.final.baseline.value == pytest.approx(np.mean(counted), abs=0.002)
    assert (CloseChoice(left_out=True) in found.notes) == close


def test_a_run_above_the_start_that_was_expected_to_pass_it_had_no_bad_luck(problem: Problem, desk: Dispatcher) -> None:
    campaign(desk, [0.85, 0.80, 0.81, 0.80, 0.81], 0.83, [0.9])
    assert not lost_a_close_choice(Search(problem, desk), "residual", desk.ledger.trials("baseline"))


@pytest.mark.parametrize(("start_run", "close"), [(0.83, True), (0.92, False)])
def test_of_fine_tuning_without_a_first_run_the_best_first_run_decided(
    problem: Problem, desk: Dispatcher, start_run: float, close: bool
) -> None:
    campaign(desk, [0.80, 0.80, 0.81, 0.80, 0.81], start_run, [0.9])
    note(desk.ledger, Length(20, 1))
    assert lost_a_close_choice(Search(problem, desk), FINE_TUNE, desk.ledger.trials("baseline")) == close


def test_where_few_runs_are_left_it_stays_and_nothing_is_proven(problem: Problem, desk: Dispatcher) -> None:
    campaign(desk, [0.70, 0.72], 0.75, [0.95, 0.95])
    found = judged(Search(problem, desk))
    assert found.arms == (2, 2)
    assert found.final.gain_points.low > 0
    assert not found.final.proven
    assert found.notes[-1] == CloseChoice(left_out=False)
    assert not any(verdict.label == "proven" for verdict in found.verdicts)


@pytest.mark.parametrize("baselines", [[0.1], [0.1, 0.12]])
def test_a_baseline_below_chance_is_judged_too(problem: Problem, desk: Dispatcher, baselines: list[float]) -> None:
    campaign(desk, baselines, 0.6, [0.6, 0.61])
    records = desk.ledger.trials("baseline")
    search = Search(problem, desk)
    assert search.scores.collapsed(records).all()
    assert not lost_a_close_choice(search, "residual", records)
    assert judged(search).final.shipped.value == pytest.approx(0.6, abs=0.02)


def test_of_the_baseline_as_start_no_run_lost_a_choice(problem: Problem, desk: Dispatcher) -> None:
    (*baselines,) = ran(desk, "baseline", [0.8, 0.8, 0.8, 0.8], BASELINE)
    assert not lost_a_close_choice(Search(problem, desk), "baseline", baselines)
    assert not lost_a_close_choice(Search(problem, desk), "residual", baselines)  # no first run of it was made


@pytest.mark.parametrize(
    ("baselines", "finals", "note"),
    [
        ([0.7, 0.7, 0.25, 0.7], [0.9, 0.9], RunsFailedToLearn("baseline", 1, 4)),
        ([0.7] * 4, [0.95, 0.26], RunsFailedToLearn("shipped", 1, 2)),
    ],
)
def test_runs_that_learned_nothing_count_and_nothing_is_proven(
    problem: Problem, desk: Dispatcher, baselines: list[float], finals: list[float], note: RunsFailedToLearn
) -> None:
    """Left out of the scores they would flatter the arm that they belong to."""
    campaign(desk, baselines, 0.92, finals)
    found = judged(Search(problem, desk))
    assert found.final.final.value == pytest.approx(np.mean(finals), abs=0.002)
    assert found.final.baseline.value == pytest.approx(np.mean(baselines), abs=0.002)
    assert not found.final.proven
    assert found.notes[0] == note


def test_a_weak_baseline_has_learned_what_its_kind_learns(problem: Problem, desk: Dispatcher) -> None:
    """Its runs are measured by each other, not by a network that names three times as many images right."""
    campaign(desk, [0.40, 0.41, 0.40, 0.42], 0.92, [0.95, 0.95])
    found = judged(Search(problem, desk))
    assert found.final.proven
    assert found.notes == ()


def test_the_final_that_validation_likes_best_ships(problem: Problem, desk: Dispatcher) -> None:
    campaign(desk, [0.7] * 4, 0.92, [0.6, 0.93, 0.90])
    finals = list(desk.ledger.trials("final"))
    cut = ran(desk, "final", [0.97], START.recipe, status="stopped")
    assert best_final(Search(problem, desk), finals) is finals[1]
    assert best_final(Search(problem, desk), [*finals, *cut]) is finals[1]
    assert best_final(Search(problem, desk), cut) is cut[0]
    assert judged(Search(problem, desk)).final.shipped.value == pytest.approx(0.93, abs=0.002)
    assert judged(Search(problem, desk), ships=finals[0]).final.shipped.value == pytest.approx(0.6, abs=0.002)


def test_the_start_is_not_proven_where_the_gain_cannot_be(problem: Problem, desk: Dispatcher) -> None:
    """Points ahead, but over half a training of the baseline, or by one training: both are reported, neither proven."""
    ran(desk, "baseline", [0.6] * 3, BASELINE, fidelity=0.5)
    ran(desk, "start", [0.95], START.recipe, ("residual",))
    first = ran(desk, "final", [0.95], START.recipe)
    found = judged(Search(problem, desk))
    assert found.final.gain_points.low > 20
    assert not found.final.proven
    assert found.verdicts[0].label == "likely"
    ran(desk, "final", [0.95], START.recipe)
    assert (judged(Search(problem, desk)).final.proven, judged(Search(problem, desk)).verdicts[0].label) == (
        False,
        "likely",
    )
    whole = ran(desk, "baseline", [0.6] * 3, BASELINE)
    assert judged(Search(problem, desk), before=whole, after=first).verdicts[0].label == "likely"
    found = judged(Search(problem, desk), before=whole)
    assert (found.final.proven, found.verdicts[0].label) == (True, "proven")


def settled(desk: Dispatcher, **more: object) -> Shipment:
    """What validation would settle: the best final run beside the best of the baseline."""
    frozen = Configuration(SearchSpace(START, ()), START.recipe, np.zeros(0, bool))
    before, after = desk.ledger.trials("baseline"), desk.ledger.trials("final")
    shipment = Shipment(frozen, "recipe", after[0], before, after, True, baseline_network=before[0])
    return replace(shipment, **more)  # type: ignore[arg-type]


def compared(problem: Problem, desk: Dispatcher, **more: object) -> NetworkGain:
    return judge_networks(Search(problem, desk), settled(desk, **more), WORLD.labels[WORLD.n :])


def test_one_run_of_each_proves_a_gain_of_the_network_and_none_of_the_recipe(
    problem: Problem, desk: Dispatcher
) -> None:
    campaign(desk, [0.7], 0.92, [0.9])
    found, recipes = compared(problem, desk), judged(Search(problem, desk))
    assert found.gain_points.value == pytest.approx(20, abs=0.5)
    assert (found.proven, recipes.final.proven, recipes.arms) == (True, False, (1, 1))
    assert found.won is not None
    assert found.lost is not None
    assert found.gain_points.value == pytest.approx(100 * (found.won - found.lost) / WORLD.nt)


def test_what_other_seeds_did_has_no_part_in_the_networks_gain(problem: Problem, desk: Dispatcher) -> None:
    campaign(desk, [0.7], 0.92, [0.9])
    alone = compared(problem, desk)
    ran(desk, "baseline", [0.35, 0.55], BASELINE)
    ran(desk, "final", [0.5], START.recipe)
    assert compared(problem, desk) == alone


def test_over_a_baseline_that_was_shortened_no_gain_is_proven(problem: Problem, desk: Dispatcher) -> None:
    """Reported all the same."""
    campaign(desk, [0.7], 0.92, [0.9])
    (half,) = ran(desk, "baseline", [0.6], BASELINE, fidelity=0.5)
    for why in ({"shortened": Shortened(2.0, 10)}, {"baseline_network": half}):
        found = compared(problem, desk, **why)
        assert found.gain_points.low > 10
        assert not found.proven


def test_without_a_network_of_the_baseline_there_is_nothing_to_compare(problem: Problem, desk: Dispatcher) -> None:
    campaign(desk, [0.7], 0.92, [0.9])
    with pytest.raises(LedgerError, match="no run of the baseline left a network"):
        compared(problem, desk, baseline_network=None)


def test_the_runs_to_compare_can_be_named(problem: Problem, desk: Dispatcher) -> None:
    """The bare start ships, for instance, or the baseline was shortened: one run an arm is judged, proves nothing."""
    campaign(desk, [0.7] * 4, 0.92, [0.95, 0.95])
    baselines, starts = desk.ledger.trials("baseline"), desk.ledger.trials("search")[:1]
    found = judged(Search(problem, desk), before=baselines[1:2], after=starts, ships=starts[0])
    assert found.arms == (1, 1)
    assert found.final.final.value == found.final.shipped.value == pytest.approx(0.9, abs=0.002)
    assert not found.final.proven
    assert found.notes == (OneRun("baseline"), OneRun("shipped"))
    with pytest.raises(LedgerError, match="no run of the baseline left a network"):
        judged(Search(problem, desk), before=[])
