"""The list of changes is revised once, from validation images alone; nothing leaves it, and a resumption agrees."""

from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from convlift.catalogue.candidates import MOST, limit_for
from convlift.catalogue.diagnose import Diagnosis
from convlift.catalogue.starting_points import StartingPoint
from convlift.catalogue.symptoms import Symptom
from convlift.errors import LedgerError
from convlift.records.evidence_of_symptoms import AccuracyGap
from convlift.records.outcome import EpochReport
from convlift.search.allocate import divide
from convlift.search.context import Search
from convlift.search.decisions import Allocation, AskedAbout, GuardReport, Revision, Shortlist, made, note
from convlift.search.dispatcher import Dispatcher
from convlift.search.revise import known, revise_candidates, revised, revision_is_due
from convlift.search.shortlist import choose_candidates
from convlift.search.space import Configuration, SearchSpace, switched
from convlift.search.start import choose_start
from made_up import HOUR, World, desk_in, problem_of

WORLD = World(seed=3, seconds_noise=0.0)
PROBLEM = problem_of(WORLD)
HOURS = 60.0


def overfitting(desk: Dispatcher, number: int) -> None:
    """End the search's trial with a curve whose accuracy in training is far above that in validation."""
    record = desk.ledger.claim(PROBLEM.plan("search", PROBLEM.baseline, number, ("batch norm",)))
    said = WORLD.says(_job(record))
    last = EpochReport("train", 9, 10, 0.1, 0.99, 0.9, 0.7, 1e-3, 360.0)
    shown = desk.ledger.trials("baseline")[0].outcome
    assert shown is not None
    n = WORLD.n
    desk.ledger.finish(
        record.id, replace(shown, validation_probabilities=said[:n], test_probabilities=said[n:], curve=(last,))
    )


def _job(record):
    from convlift.execute.job import Job

    return Job(record.id, record.spec)


def begun(desk: Dispatcher):
    start = choose_start(Search(PROBLEM, desk))
    division = divide(Search(PROBLEM, desk), start)
    return start, division, choose_candidates(Search(PROBLEM, desk), start, division)


def revise(desk: Dispatcher, start, chosen, probability=None):
    chance = np.full(len(chosen), 0.6) if probability is None else probability
    return revise_candidates(
        Search(PROBLEM, desk),
        start,
        chosen,
        SimpleNamespace(mean=np.zeros(len(chosen)), probability=chance),
        desk.ledger.trials("search"),
    )


def test_a_symptom_that_the_search_shows_brings_changes_that_answer_it(tmp_path: Path) -> None:
    with desk_in(tmp_path / "run", WORLD, HOURS) as desk:
        start, division, chosen = begun(desk)
        assert len(chosen) <= MOST - MOST // 8
        overfitting(desk, 0)
        more = revise(desk, start, chosen)
        kept = made(desk.ledger, Revision)
    assert more[: len(chosen)] == chosen, "nothing leaves the list"
    new = more[len(chosen) :]
    assert new
    assert len(more) <= limit_for(division.trainings)
    for each in new:
        assert each.why is not None
        assert Symptom.OVERFIT in each.why.called
        assert not each.why.warned
    assert {each.name for each in new}.isdisjoint(each.name for each in chosen)
    assert kept.symptoms == (Diagnosis(Symptom.OVERFIT, AccuracyGap(0.99, 0.7)),)
    everything_on = np.zeros(len(more), bool)
    everything_on[-1] = True
    assert switched(Configuration(SearchSpace(start, more), start.recipe, everything_on), everything_on).names == (
        more[-1].name,
    )


def test_a_level_of_a_factor_that_is_probably_harmful_is_not_added(tmp_path: Path) -> None:
    with desk_in(tmp_path / "a", WORLD, HOURS) as desk:
        start, _, chosen = begun(desk)
        overfitting(desk, 0)
        free = revise(desk, start, chosen)[len(chosen) :]
    factors = {factor for each in chosen for factor in each.intervention.factors}
    shared = [each for each in free if set(each.intervention.factors) & factors]
    if not shared:
        pytest.skip("no level of a factor already on the list is free in this catalogue")
    with desk_in(tmp_path / "b", WORLD, HOURS) as desk:
        start, _, chosen = begun(desk)
        overfitting(desk, 0)
        doubted = revise(desk, start, chosen, np.full(len(chosen), 0.05))[len(chosen) :]
        kept = made(desk.ledger, Revision)
    assert not {each.name for each in shared} & {each.name for each in doubted}
    assert kept.doubted == tuple(each.name for each in chosen)


def test_a_resumed_campaign_gets_the_same_list_whatever_it_believes_by_then(tmp_path: Path) -> None:
    with desk_in(tmp_path / "run", WORLD, HOURS) as desk:
        start, _, chosen = begun(desk)
        assert revised(desk.ledger, chosen) == chosen
        overfitting(desk, 0)
        more = revise(desk, start, chosen)
    with desk_in(tmp_path / "run", WORLD, HOURS) as desk:
        start, _, again = begun(desk)
        assert [each.name for each in again] == [each.name for each in chosen]
        later = revise(desk, start, again, np.zeros(len(again)))
        assert [(c.name, c.prior, c.cost, c.why) for c in later] == [(c.name, c.prior, c.cost, c.why) for c in more]
        assert later == revised(desk.ledger, again)


def test_a_change_that_is_no_more_is_one_sentence(tmp_path: Path) -> None:
    with pytest.raises(LedgerError, match="tried 'leaky ReLU', which this version of convlift has no more"):
        known("leaky ReLU", tmp_path)


def test_nothing_new_adds_nothing(tmp_path: Path) -> None:
    with desk_in(tmp_path / "run", WORLD, HOURS) as desk:
        start, _, chosen = begun(desk)
        desk.complete([PROBLEM.plan("search", PROBLEM.baseline, 0)], lambda plan: 9 * HOUR)
        assert revise(desk, start, chosen) == chosen
        assert made(desk.ledger, Revision).added == ()


def test_what_the_guard_refused_is_not_added_in_another_shape(tmp_path: Path) -> None:
    entry = AskedAbout("zoom 15%", "data", "left out", None, ({"strengths": {"zoom": 0.15}},), None)
    with desk_in(tmp_path / "run", WORLD, HOURS) as desk:
        start, _, chosen = begun(desk)
        note(desk.ledger, GuardReport(asked=(entry,)))
        overfitting(desk, 0)
        new = revise(desk, start, chosen)[len(chosen) :]
    assert new
    for each in new:
        old, edited = start.recipe.data.augmentation, each.intervention.edit(start.recipe).data.augmentation
        assert edited == old, f"{each.name} augments, and the guard passed no augmentation"


def test_a_shortened_probe_is_no_witness_for_too_little_training(tmp_path: Path) -> None:
    """The world's trainings are as good as they are on new images, and 80%: underfit, where they were whole."""
    whole = StartingPoint("other", PROBLEM.baseline.edit(architecture={"width": 64}), "wider")
    for fidelity, found in ((1.0, [Symptom.UNDERFIT]), (0.4, [])):
        with desk_in(tmp_path / str(fidelity), WORLD, HOURS) as desk:
            start_run = PROBLEM.plan("start", whole.recipe, 1, (whole.name,), fidelity)
            desk.complete([PROBLEM.plan("baseline", PROBLEM.baseline, 0), start_run], lambda plan: 9 * HOUR)
            choose_candidates(Search(PROBLEM, desk), whole, Allocation(30, 2, 2))
            shown = made(desk.ledger, Shortlist).symptoms
        assert [diagnosis.symptom for diagnosis in shown] == found


def test_it_is_due_once_after_a_third_of_the_search(tmp_path: Path) -> None:
    with desk_in(tmp_path / "run", WORLD, HOURS) as desk:
        start, _, chosen = begun(desk)
        division = Allocation(17, 3, 2, before=1)  # 13 search runs
        for number in range(5):
            assert not revision_is_due(Search(PROBLEM, desk), division, desk.ledger.trials("search"))
            overfitting(desk, number)
        assert revision_is_due(Search(PROBLEM, desk), division, desk.ledger.trials("search"))
        revise(desk, start, chosen)
        assert not revision_is_due(Search(PROBLEM, desk), division, desk.ledger.trials("search"))


def test_a_pool_of_its_own_is_never_revised(tmp_path: Path) -> None:
    with desk_in(tmp_path / "run", WORLD, HOURS) as desk:
        _, _, chosen = begun(desk)
        for number in range(5):
            overfitting(desk, number)
        assert revision_is_due(Search(PROBLEM, desk), Allocation(17, 1, 2), desk.ledger.trials("search"))
        assert not revision_is_due(
            Search(replace(PROBLEM, pool=chosen[:5]), desk), Allocation(17, 1, 2), desk.ledger.trials("search")
        )
