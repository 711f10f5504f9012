"""A campaign whose pool is placebos: it ships the baseline, tries nothing else, and asks no diagnosis."""

from dataclasses import replace
from pathlib import Path

import pytest

from convlift.campaign.judge import judge_campaign
from convlift.catalogue.placebos import placebos
from convlift.search.context import Search
from convlift.search.decisions import Shortlist, made
from convlift.search.loop import run_search
from made_up import BASELINE, World, desk_in, problem_of


@pytest.mark.parametrize("seed", range(3))
def test_whatever_is_drawn_every_training_is_of_the_baseline(tmp_path: Path, seed: int) -> None:
    world = World(seed=seed)
    problem = replace(problem_of(world), pool=placebos())
    with desk_in(tmp_path, world, 20) as desk:
        shipment = run_search(Search(problem, desk))
        frozen = shipment.frozen
        runs = {"before": shipment.before, "after": shipment.after}
        judged = (
            judge_campaign(Search(problem, desk), frozen, world.labels[world.n :], **runs) if shipment.judged else None
        )
        trials = desk.ledger.trials()
        assert made(desk.ledger, Shortlist) == Shortlist(tuple(each.name for each in placebos()))
    assert frozen.recipe == BASELINE
    assert {trial.recipe for trial in trials} == {BASELINE}
    assert {trial.role for trial in trials} <= {"baseline", "low-fidelity", "search", "final"}
    assert len({trial.seed for trial in trials}) == len(trials)
    assert any(trial.names for trial in trials)
    if judged is None:
        assert shipment.ships == "baseline"
        return
    assert {verdict.name for verdict in judged.verdicts} == {each.name for each in placebos()}
    assert judged.final.gain_points.low <= 0.0 <= judged.final.gain_points.high
