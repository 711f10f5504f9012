"""The sealed test: opened once, blind until then, and what it says is true in most of twenty campaigns."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pytest
from numpy.typing import NDArray

from convlift.campaign.judge import Judgement, judge_campaign
from convlift.data.dataset import SEALED, Dataset
from convlift.data.readers.arrays import array_source
from convlift.data.sealed import SealedLabels, seal
from convlift.data.splits import make_splits
from convlift.data.store import open_store
from convlift.errors import LedgerError
from convlift.evidence.metrics import metric_named
from convlift.evidence.temperature import at_temperature, fit_temperature
from convlift.execute.job import Job, Report
from convlift.ledger.fingerprint import Identity
from convlift.ledger.ledger import open_ledger
from convlift.records.outcome import Outcome
from convlift.search.allocate import MOST_LAST
from convlift.search.compared_runs import final_runs, lost_runs
from convlift.search.context import Search
from convlift.search.dispatcher import Dispatcher
from convlift.search.loop import run_search
from convlift.search.scores import Scores
from convlift.search.space import Configuration
from made_up import (
    CLASSES,
    HARMS,
    HELPS,
    HOUR,
    Holds,
    World,
    desk_in,
    flipped,
    normalized,
    outline,
    problem_of,
    scheduled,
    shifted,
    train,
    zoomed,
)
from timeline import Timeline

CAMPAIGNS = 20


class Campaign(NamedTuple):
    world: World
    frozen: Configuration
    judged: Judgement
    true_gain: float
    luck: float  # validation minus test score of the baseline's runs, in points: what the images alone do


@pytest.fixture(scope="module")
def campaigns(tmp_path_factory: pytest.TempPathFactory) -> list[Campaign]:
    """Twenty campaigns of 14 trainings of the baseline each."""
    return [campaign(World(seed=seed), tmp_path_factory.mktemp("run")) for seed in range(CAMPAIGNS)]


def campaign(world: World, folder: Path, trainings: float = 14) -> Campaign:
    problem = problem_of(world)
    with desk_in(folder, world, trainings) as desk:
        frozen = run_search(Search(problem, desk)).frozen
        desk.ledger.open_test()
        judged = judge_campaign(Search(problem, desk), frozen, world.labels[world.n :])
        baselines = [baseline_run.outcome for baseline_run in desk.ledger.trials("baseline") if baseline_run.outcome]
    said = np.array([np.concatenate([p.validation_probabilities, p.test_probabilities]).argmax(1) for p in baselines])
    right = 100.0 * (said == world.labels)
    luck = float(right[:, : world.n].mean() - right[:, world.n :].mean())
    return Campaign(world, frozen, judged, world.points(frozen.recipe) - world.points(problem.baseline), luck)


def shipped(campaigns: list[Campaign], holds: Holds) -> float:
    """Among the campaigns that could, the share that ships a change with this property."""

    def offers(frozen: Configuration) -> bool:
        return any(holds(each.intervention.edit(frozen.start.recipe)) for each in frozen.candidates)

    could = [each for each in campaigns if offers(each.frozen)]
    assert len(could) >= 0.8 * len(campaigns)
    return float(np.mean([holds(c.frozen.recipe) for c in could]))


def test_what_helps_is_mostly_shipped_and_what_harms_mostly_not(campaigns: list[Campaign]) -> None:
    assert set(HELPS) == {flipped, normalized, scheduled}
    assert set(HARMS) == {shifted, zoomed}
    assert np.mean([shipped(campaigns, holds) for holds in HELPS]) >= 0.6
    harmful, carried = 0, 0
    for each in campaigns:
        start = each.frozen.start.recipe
        for candidate, on in zip(each.frozen.candidates, each.frozen.on, strict=True):
            if each.world.points(candidate.intervention.edit(start)) < each.world.points(start):
                harmful, carried = harmful + 1, carried + bool(on)
    assert carried <= 0.2 * harmful
    assert np.mean([each.true_gain for each in campaigns]) >= 3.0


def test_the_interval_of_the_gain_covers_the_truth(campaigns: list[Campaign]) -> None:
    gains = [each.judged.final.gain_points for each in campaigns]
    covered = [gain.low <= each.true_gain <= gain.high for gain, each in zip(gains, campaigns, strict=True)]
    assert sum(covered) >= 17  # below that lies 1.6% of the binomial at .95
    assert abs(np.mean([g.value - each.true_gain for g, each in zip(gains, campaigns, strict=True)])) <= 1.5


def test_no_useless_change_is_proven_and_harm_is_seen(campaigns: list[Campaign]) -> None:
    false = harmful_praised = 0
    for each in campaigns:
        edited = {c.name: c.intervention.edit(each.frozen.start.recipe) for c in each.frozen.candidates}
        for verdict in each.judged.verdicts:
            truth = each.world.points(edited[verdict.name]) - 100 * each.world.accuracy
            false += verdict.label == "proven" and truth <= 0
            harmful_praised += verdict.label == "likely" and truth < 0
    assert false <= 2
    assert harmful_praised <= CAMPAIGNS // 4


def test_the_validation_score_of_what_ships_is_hardly_optimistic(campaigns: list[Campaign]) -> None:
    """Beside what the two sets of images do to the baseline as well, the search has had no chance to fit them."""
    optimism = np.array([each.judged.optimism_points - each.luck for each in campaigns])
    assert abs(optimism.mean()) <= 1.2


def test_every_candidate_gets_one_verdict_that_says_what_shipped(campaigns: list[Campaign]) -> None:
    for each in campaigns:
        assert [verdict.name for verdict in each.judged.verdicts] == [c.name for c in each.frozen.candidates]
        assert [verdict.shipped for verdict in each.judged.verdicts] == each.frozen.on.tolist()
        shares = sum(verdict.points for verdict in each.judged.verdicts if verdict.shipped)
        gain = each.judged.final.gain_points.value
        assert each.judged.unexplained_points == pytest.approx(gain - shares)


@dataclass(frozen=True)
class Learner:
    """What a worker has: the data set as trials see it, and a world to imitate."""

    dataset: Dataset
    world: World


def learn(job: Job, context: Learner, report: Report) -> Outcome:
    labels, splits = context.dataset.labels, context.dataset.splits
    assert (labels[splits.test] == SEALED).all()
    assert (labels[splits.validation] == context.world.labels[: context.world.n]).all()
    return train(job, context.world, report)


def sealed_campaign(
    folder: Path, shuffled: bool, metric: str = "accuracy"
) -> tuple[Dispatcher, Configuration, SealedLabels]:
    world = World(seed=8, n=120, nt=160)
    images = np.random.default_rng(0).integers(0, 256, (40 + 120 + 160, 8, 8), np.uint8)
    test = world.labels[world.n :]
    parts = {
        "train": (images[:40], np.arange(40) % CLASSES),
        "validation": (images[40:160], world.labels[: world.n]),
        "test": (images[160:], np.random.default_rng(1).permutation(test) if shuffled else test),
    }
    store = open_store(array_source("noise", parts, None), folder / "cache")  # type: ignore[arg-type]
    dataset, sealed = seal(store, make_splits(store, 0))
    problem = replace(problem_of(world), metric=metric_named(metric))
    # the data's fingerprint differs, as it must; everything else of the two campaigns may not
    ledger = open_ledger(folder / "run", Identity(store.fingerprint, problem.baseline, 0, metric), heartbeat=600.0)
    desk = Dispatcher(ledger, Timeline(learn, Learner(dataset, world), ledger), 9 * HOUR)
    return desk, run_search(Search(problem, desk)).frozen, sealed


class Blind(NamedTuple):
    desk: Dispatcher
    frozen: Configuration
    sealed: SealedLabels


@pytest.fixture(scope="module")
def pair(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Blind, Blind]]:
    """The same campaign twice, with the test labels as they are and shuffled."""
    both = [Blind(*sealed_campaign(tmp_path_factory.mktemp("blind"), shuffled)) for shuffled in (False, True)]
    yield both[0], both[1]
    for each in both:
        each.desk.ledger.close()


def test_nothing_before_the_freeze_knows_the_test_labels(pair: tuple[Blind, Blind]) -> None:
    plain, shuffled = pair
    assert outline(plain.desk.ledger) == outline(shuffled.desk.ledger)
    assert plain.desk.ledger.recall("freeze") == shuffled.desk.ledger.recall("freeze")
    assert plain.desk.ledger.recall("test opened") is None


def test_nor_does_it_with_a_metric_that_compares_images(tmp_path: Path) -> None:
    plain, shuffled = (Blind(*sealed_campaign(tmp_path / str(mixed), mixed, "auroc")) for mixed in (False, True))
    assert outline(plain.desk.ledger) == outline(shuffled.desk.ledger)
    assert plain.desk.ledger.recall("freeze") == shuffled.desk.ledger.recall("freeze")
    for each in (plain, shuffled):
        each.desk.ledger.close()


def skill(points: float) -> float:
    """Points of log-loss skill of networks of this accuracy whose confidences are true: in this world each is as sure
    of every image."""
    right = points / 100
    return float(100 * (1 + (right * np.log(right) + (1 - right) * np.log((1 - right) / 3)) / np.log(4)))


@pytest.mark.parametrize("metric", ["balanced-accuracy", "log-loss", "kappa"])
def test_other_metrics_and_groups_are_judged_by(tmp_path: Path, metric: str) -> None:
    """The same campaign by another metric, its images in groups of five: the gain in its own points, more doubt. By
    log-loss every network is judged at the temperature that its own validation images give it."""
    world, by = World(seed=3), metric_named(metric)
    groups, labels = np.arange(300) // 5, world.labels[world.n :]
    problem = replace(problem_of(world), metric=by, validation_groups=groups, test_groups=groups)
    with desk_in(tmp_path / "run", world, 10) as desk:
        frozen = run_search(Search(problem, desk)).frozen
        judged = judge_campaign(Search(problem, desk), frozen, labels)
        alone = judge_campaign(Search(replace(problem, test_groups=None), desk), frozen, labels)
        finals = [(run.unseen, run.outcome.test_probabilities) for run in final_runs(desk.ledger) if run.outcome]
    fitted = [fit_temperature(seen, world.labels[: world.n], groups) if by.of_confidence else 1.0 for seen, _ in finals]
    scores = [by.score(at_temperature(said, each), labels) for (_, said), each in zip(finals, fitted, strict=True)]
    assert judged.final.final.value == pytest.approx(np.mean(scores))
    assert judged.final.gain_points.value == pytest.approx(alone.final.gain_points.value)
    after, before = world.points(frozen.recipe), world.points(problem.baseline)
    truths = {"balanced-accuracy": after - before, "kappa": 4 / 3 * (after - before)}
    true_gain = truths.get(metric, skill(after) - skill(before))
    assert judged.final.gain_points.low <= true_gain <= judged.final.gain_points.high
    assert {v.name for v in judged.verdicts} == {candidate.name for candidate in frozen.candidates}
    unit = {"balanced-accuracy": 1.0, "kappa": 4 / 3}.get(metric, float(np.log(3 * 0.85 / 0.15) / np.log(4)))
    assert judged.unit == pytest.approx(unit, rel=0.05 if metric != "log-loss" else 0.15)


def test_the_test_is_opened_once_and_its_labels_matter_then(pair: tuple[Blind, Blind]) -> None:
    problem = problem_of(World(seed=8, n=120, nt=160))
    gains = []
    for each in pair:
        each.desk.ledger.open_test()
        labels: NDArray[np.int64] = each.sealed.open()
        with pytest.raises(LedgerError, match="opened already"):
            each.sealed.open()
        judged = judge_campaign(Search(problem, each.desk), each.frozen, labels)
        gains.append(judged.final)
        assert each.desk.ledger.recall("test opened") == each.desk.ledger.recall("freeze")["sha256"]
    assert gains[0].final.value > 0.7
    assert abs(gains[1].final.value - 1 / CLASSES) < 0.15


def final_seeds(world: World) -> set[int]:
    problem = problem_of(world)
    return {problem.plan("final", problem.baseline, number).spec.seed for number in range(MOST_LAST)}


def test_without_a_final_run_nothing_is_judged(tmp_path: Path) -> None:
    finals = final_seeds(World(seed=1))
    world = World(
        seed=1, n=80, nt=80, fate=lambda job: RuntimeError("out of memory") if job.spec.seed in finals else None
    )
    problem = problem_of(world)
    with desk_in(tmp_path / "run", world, 6) as desk:
        frozen = run_search(Search(problem, desk)).frozen
        assert final_runs(desk.ledger) == []
        with pytest.raises(LedgerError, match=r"no final run left a network .failed: RuntimeError: out of memory"):
            judge_campaign(Search(problem, desk), frozen, world.labels[world.n :])


def test_finals_that_the_deadline_cut_short_count_where_no_other_is_there(tmp_path: Path) -> None:
    finals = final_seeds(World(seed=1))
    world = World(seed=1, n=80, nt=80, slow=lambda job: 2.5 if job.spec.seed in finals else 1.0)
    problem = problem_of(world)
    with desk_in(tmp_path / "run", world, 6) as desk:
        frozen = run_search(Search(problem, desk)).frozen
        (ran,) = final_runs(desk.ledger)
        judged = judge_campaign(Search(problem, desk), frozen, world.labels[world.n :])
        assert desk.ledger.seconds_used() <= desk.budget_seconds
    assert ran.status == "stopped"
    assert ran.outcome is not None
    assert ran.outcome.curve
    assert judged.final.final.value > 0.5


def test_no_gain_is_proven_where_a_final_run_came_to_nothing(tmp_path: Path) -> None:
    """The others are scored, but a recipe that fails with one seed in two is worth less than they say."""
    problem = problem_of(World(seed=8))
    lost = problem.plan("final", problem.baseline, 1).spec.seed
    for fate in (None, OSError("out of memory")):
        world = World(seed=8, fate=lambda job, fate=fate: fate if job.spec.seed == lost else None)  # type: ignore[misc]
        with desk_in(tmp_path / str(fate), world, 24) as desk:
            frozen = run_search(Search(problem, desk)).frozen
            judged = judge_campaign(Search(problem, desk), frozen, world.labels[world.n :])
            assert len(final_runs(desk.ledger)) + (fate is not None) == len(desk.ledger.trials("final")) >= 2
            assert judged.final.gain_points.low > 0
            assert judged.final.proven == (fate is None)
            assert len(lost_runs(desk.ledger, frozen.recipe)) == (fate is not None)


def test_a_network_that_names_few_images_of_a_rare_class_has_not_come_to_nothing(tmp_path: Path) -> None:
    """2% are of class 1. What never names it, but ranks it well, learned; what says the same of every image did not."""
    labels = (np.arange(500) % 50 == 0).astype(np.int64)
    problem = replace(problem_of(World()), validation_labels=labels)
    rng = np.random.default_rng(0)
    ranks = np.clip(0.05 + 0.1 * labels + 0.02 * rng.normal(size=500), 0.01, 0.4)
    weighted = np.clip(0.5 + 0.3 * (2 * labels - 1) + 0.2 * rng.normal(size=500), 0.01, 0.99)
    constant = np.full(500, 0.02)
    with desk_in(tmp_path / "run", World(), 5) as desk:
        records = []
        for number, chance in enumerate((ranks, weighted, constant)):
            said = np.stack([1 - chance, chance], axis=1).astype(np.float32)
            record = desk.ledger.claim(problem.plan("search", problem.baseline, number))
            records.append(desk.ledger.finish(record.id, Outcome("finished", said, said)))
        assert Scores(problem).collapsed(records).tolist() == [False, False, True]
