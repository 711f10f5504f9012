"""The cheap tier: asked before the search where recipes fine-tune, believed as another kind of run, never claimed."""

from pathlib import Path

import pytest

from convlift.campaign.judge import judge_campaign
from convlift.catalogue.starting_points import starting_points
from convlift.errors import Interrupted
from convlift.ledger.ledger import Ledger
from convlift.recipe.recipe import Recipe
from convlift.records.verdict_grounds import Estimated, NeverOn
from convlift.search.context import Search
from convlift.search.decisions import LowFidelity, made
from convlift.search.loop import believe, run_search, seen_trials
from convlift.search.low_fidelity import MOST
from made_up import FACTS, World, desk_in, outline, problem_of

TRANSFER = next(point.recipe for point in starting_points(FACTS) if point.name == "transfer")
TRAININGS = 15 * 12.3  # a training of TRANSFER is 12.3 of the made-up baseline's


def smoothed(recipe: Recipe) -> bool:
    return recipe.training.label_smoothing > 0


def dropping_less(recipe: Recipe) -> bool:
    return recipe.architecture.kind == "pretrained" and recipe.architecture.dropout < 0.4


TRUE = World(seed=4, effects={smoothed: 3.0, dropping_less: -3.0}, n=400, nt=400)


def test_scouts_come_first_in_one_phase_and_only_point_the_way(tmp_path: Path) -> None:
    problem = problem_of(TRUE, baseline=TRANSFER)
    with desk_in(tmp_path / "run", TRUE, TRAININGS, baseline=TRANSFER) as desk:
        frozen = run_search(Search(problem, desk)).frozen
        judged = judge_campaign(Search(problem, desk), frozen, TRUE.labels[TRUE.n :])
        low_fidelity, searched = desk.ledger.trials("low-fidelity"), desk.ledger.trials("search")
        asked = set(made(desk.ledger, LowFidelity).names)
        saved = [desk.weights_of(trial).exists() for trial in low_fidelity]
        seen = seen_trials(Search(problem, desk), frozen)
        belief = believe(Search(problem, desk), frozen)
        used = sum(trial.outcome.seconds for trial in low_fidelity if trial.outcome)
        budget = desk.budget_seconds
        counted = judged.verdicts[0].reason
    assert 5 <= len(low_fidelity) <= MOST
    assert low_fidelity[0].names == ()
    assert all(trial.recipe.training.fine_tuning is None for trial in low_fidelity)
    assert all(set(trial.names) <= asked for trial in low_fidelity)
    assert max(trial.id for trial in low_fidelity) < min(trial.id for trial in searched)
    assert not any(saved)
    assert used <= 0.12 * budget
    assert seen.low_fidelity is not None
    assert seen.low_fidelity.on.shape == (len(low_fidelity), len(frozen.candidates))
    assert 0 < belief.agreement <= 1
    names = [candidate.name for candidate in frozen.candidates]
    assert belief.probability[names.index("label smoothing 0.1")] > belief.probability[names.index("less dropout")]
    runs = [t for t in (*searched, *desk_trials(tmp_path)) if t.status == "finished"]
    assert counted in (Estimated(len(runs)), NeverOn())


def desk_trials(folder: Path) -> list[object]:
    from convlift.ledger.ledger import read_ledger

    with read_ledger(folder / "run") as ledger:
        return [*ledger.trials("baseline"), *ledger.trials("final")]


def test_a_campaign_stopped_among_its_scouts_continues_as_if_it_had_not_been(tmp_path: Path) -> None:
    def stopped(ledger: Ledger) -> int:
        return 2 if len([t for t in ledger.trials("low-fidelity") if t.outcome]) >= 5 else 0

    problem = problem_of(TRUE, baseline=TRANSFER)
    with desk_in(tmp_path / "whole", TRUE, TRAININGS, baseline=TRANSFER) as desk:
        run_search(Search(problem, desk))
        whole = outline(desk.ledger)
    broken = desk_in(tmp_path / "broken", TRUE, TRAININGS, baseline=TRANSFER, stop=stopped)
    with broken as desk, pytest.raises(Interrupted):
        run_search(Search(problem, desk))
    with desk_in(tmp_path / "broken", TRUE, TRAININGS, baseline=TRANSFER) as desk:
        run_search(Search(problem, desk))
        assert outline(desk.ledger) == whole


def test_there_is_no_cheap_tier_without_a_second_phase_or_without_time(tmp_path: Path) -> None:
    frozen = TRANSFER.edit(training={"fine_tuning": None})
    for name, baseline, trainings in (("frozen", frozen, 20.0), ("short", TRANSFER, 5 * 12.3)):
        with desk_in(tmp_path / name, TRUE, trainings, baseline=baseline) as desk:
            run_search(Search(problem_of(TRUE, baseline=baseline), desk))
            assert not desk.ledger.trials("low-fidelity")
