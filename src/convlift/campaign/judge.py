"""The sealed test is opened, once: what the network gains, and its recipe; the share and verdict of every change."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from convlift.catalogue.candidates import priors
from convlift.errors import LedgerError
from convlift.evidence import posterior
from convlift.evidence.attribution import Shares, shares
from convlift.evidence.group_testing import suspect
from convlift.evidence.image_variance import effective_number, run_variance
from convlift.evidence.network_gain import compare_networks
from convlift.evidence.single_changes import ChangeTests, start_effect, test_changes
from convlift.evidence.temperature import at_temperature
from convlift.evidence.total_gain import FEWEST_RUNS, ArmScores, FinalJudgement, judge, one_network
from convlift.evidence.verdicts import Subject, start_verdict, verdicts
from convlift.ledger.trials import TrialRecord
from convlift.records.notes import Arm, CloseChoice, Note, OneRun, RunsFailedToLearn
from convlift.records.result import START, Estimate, NetworkGain, Verdict
from convlift.records.verdict_grounds import Unexplained
from convlift.search.compared_runs import baseline_arm, best_final, final_runs, lost_a_close_choice, lost_runs
from convlift.search.context import Search
from convlift.search.fit_confidence import confidence_of
from convlift.search.problem import BASELINE
from convlift.search.shipment import Shipment
from convlift.search.space import Configuration, floored, switches

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Judgement:
    """What the sealed test said. optimism_points: validation minus test score of the shipped recipe's runs; unit: how
    many points of the metric a point of accuracy is worth (`metrics.Metric.unit`); search_seed_variance: what the
    search's runs say of the seeds (`single_changes.ChangeTests.seed_variance`); notes: what a reader must know of the
    runs that were compared; arms: how many they were, of the baseline and of what ships. `final.shipped` is the score
    of the network that ships."""

    final: FinalJudgement
    verdicts: tuple[Verdict, ...]
    unexplained_points: float
    unexplained: Unexplained | None
    optimism_points: float
    unit: float = 1.0
    search_seed_variance: float = 0.0
    notes: tuple[Note, ...] = ()
    arms: tuple[int, int] = (0, 0)


def judge_campaign(
    search: Search,
    frozen: Configuration,
    test_labels: NDArray[np.int64],
    *,
    before: Sequence[TrialRecord] | None = None,
    after: Sequence[TrialRecord] | None = None,
    ships: TrialRecord | None = None,
) -> Judgement:
    """Score every run on the test whose labels were just opened.

    before, after: the runs that are compared, of the baseline and of what ships; None for all of the baseline that
    ended (less the first, see `lost_a_close_choice`) and `final_runs`. ships: which of `after` does; None for
    `best_final`. The recipe's gain is proven only where every run of both arms learned something, none of the
    baseline was shortened and each arm has two; of the start it is where the same holds, with the search's runs beside
    the final ones. Raises LedgerError where an arm has no run."""
    arms = _arms(search, frozen, before, after)
    ended, fell = _searched(search)
    # decided on validation images, which the test does not share; a run at chance, 60 points down, would drown the rest
    lost = [record for record, collapsed in zip(ended, fell, strict=True) if collapsed]
    nothing = {record.id for record in lost} | arms.unlearned
    from_start = [*arms.before, *ended] if frozen.start.name == BASELINE else ended
    once = {record.id: record for record in [*from_start, *arms.after]}  # a run of the search may ship
    runs = [record for record in once.values() if record.id not in nothing]
    metric, groups = search.problem.metric, search.problem.test_groups
    unit = metric.unit(_said_of_the_test(search, runs), test_labels)
    on = switches(frozen, runs)
    baseline, shipped, scores = (_matrix(search, each, test_labels) for each in (arms.before, arms.after, runs))
    tests = test_changes(on, scores, groups, asked=frozen.on, unit=unit)
    final = judge(
        ArmScores(baseline, shipped, _place(search, arms.after, ships)), tests.seed_variance, groups,
        same_start=frozen.start.name == BASELINE, lowest=metric.lowest,
    )  # fmt: skip
    if ships and ships.id not in [record.id for record in arms.after]:
        final = replace(final, shipped=_score_of(search, ships, test_labels))
    # the interval knows no seeds that learn nothing, and takes the baseline's runs for a fair sample of whole trainings
    whole = all(run.is_whole for run in arms.before)
    sound = whole and not arms.unlearned and not lost_runs(search.ledger, frozen.recipe) and not arms.lucky
    final = replace(final, proven=final.proven and sound)
    belief = _belief(search, frozen, runs, lost, scores, unit)
    found: list[Verdict] = []
    start_points = 0.0
    if frozen.start.name != BASELINE:
        effect = start_effect(baseline, on, scores, groups, unit=unit)
        start_points, provable = effect.value, sound and min(len(arms.before), len(runs)) >= FEWEST_RUNS
        subject = _start_subject(frozen, runs + lost)
        found.append(start_verdict(subject, effect, len(runs + lost), provable=provable))
    split = shares(belief, frozen.on, final.gain_points.value, start_points, unit=unit)
    ruinous = suspect(switches(frozen, ended), fell).culprits
    found += _changes(frozen, runs + lost, split, tests, ruinous)
    optimism = float(np.mean([search.scores.clean_score_points(run) for run in arms.after])) - 100.0 * final.final.value
    return Judgement(
        final, tuple(found), split.unexplained, split.warning, optimism, unit, tests.seed_variance,
        _notes_of_arms(arms), (len(arms.before), len(arms.after)),
    )  # fmt: skip


def judge_networks(search: Search, shipment: Shipment, test_labels: NDArray[np.int64]) -> NetworkGain:
    """The network that ships against the baseline's, both settled before these labels were opened.

    However large, the gain is not proven over a baseline that was shortened, or whose network learned nothing: it says
    what the time was too short for. Raises LedgerError where there is no network of the baseline."""
    before, after = shipment.baseline_network, shipment.network
    if before is None:
        raise LedgerError("no run of the baseline left a network, so there is nothing to compare with; start anew.")
    problem = search.problem
    scores = _matrix(search, [before, after], test_labels)
    found = compare_networks(scores[0], scores[1], problem.test_groups, lowest=problem.metric.lowest)
    if before.role == "given":  # neither shortened nor one of several runs
        learned = not search.scores.collapsed([before, *shipment.after])[0]
        return replace(found, proven=found.proven and bool(learned))
    learned = before.id not in _arms(search, shipment.frozen, shipment.before, shipment.after).unlearned
    return replace(found, proven=found.proven and learned and before.is_whole and not shipment.shortened)


@dataclass(frozen=True)
class _Arms:
    """The runs that are compared. unlearned: the ids of those among them that ended, and learned nothing; lucky:
    whether the baseline's run that lost a close choice of the start is among them, or left_out."""

    before: list[TrialRecord]
    after: list[TrialRecord]
    unlearned: set[int]
    lucky: bool = False
    left_out: bool = False


def _arms(
    search: Search,
    frozen: Configuration,
    before: Sequence[TrialRecord] | None,
    after: Sequence[TrialRecord] | None,
) -> _Arms:
    left_out = False
    if before is None:
        before, left_out = baseline_arm(search, frozen.start.name)
    finals = final_runs(search.ledger) if after is None else list(after)
    if not finals:
        raise LedgerError(f"no final run left a network ({_fates(search)}); start anew in another folder.")
    if not before:
        raise LedgerError("no run of the baseline left a network, so there is nothing to compare with; start anew.")
    lucky = lost_a_close_choice(search, frozen.start.name, before)
    beside = _searched(search)[0]
    same = frozen.start.name == BASELINE
    unlearned = _unlearned(search, before, [*beside, *finals] if same else [])
    unlearned |= _unlearned(search, finals, [*beside, *before] if same else beside)
    return _Arms(list(before), finals, unlearned, lucky, left_out)


def _unlearned(search: Search, arm: Sequence[TrialRecord], beside: Sequence[TrialRecord]) -> set[int]:
    """The ids of an arm's runs that learned nothing, by the measure of their own kind."""
    fell = search.scores.collapsed([*arm, *beside])[: len(arm)]
    return {record.id for record, collapsed in zip(arm, fell, strict=True) if collapsed}


def _searched(search: Search) -> tuple[list[TrialRecord], NDArray[np.bool_]]:
    """The search runs that say something, and which of them came to nothing."""
    ended = [record for record in search.ledger.trials("search") if record.is_evidence]
    return ended, search.scores.collapsed(ended)


def _notes_of_arms(arms: _Arms) -> tuple[Note, ...]:
    """What a reader must know of the runs that were compared."""
    notes: list[Note] = []
    both: tuple[tuple[Arm, list[TrialRecord]], ...] = (("baseline", arms.before), ("shipped", arms.after))
    for arm, runs in both:
        if failed := sum(record.id in arms.unlearned for record in runs):
            notes.append(RunsFailedToLearn(arm, failed, len(runs)))
        elif len(runs) < FEWEST_RUNS:
            notes.append(OneRun(arm))
    if arms.lucky or arms.left_out:
        notes.append(CloseChoice(arms.left_out))
    return tuple(notes)


def _fates(search: Search) -> str:
    ended = [record.outcome for record in search.ledger.trials("final") if record.outcome is not None]
    return "; ".join(dict.fromkeys(f"{outcome.status}: {outcome.reason}" for outcome in ended))


def _place(search: Search, after: Sequence[TrialRecord], ships: TrialRecord | None) -> int:
    """Which of the runs ships; the best by validation where that is not said, or what ships is made of several."""
    ids = [record.id for record in after]
    return ids.index(ships.id if ships and ships.id in ids else best_final(search, after).id)


def _score_of(search: Search, record: TrialRecord, labels: NDArray[np.int64]) -> Estimate:
    problem = search.problem
    return one_network(_matrix(search, [record], labels)[0], problem.test_groups, lowest=problem.metric.lowest)


def _matrix(search: Search, records: Sequence[TrialRecord], labels: NDArray[np.int64]) -> Floats:
    """(R, nt): every trial's score on every test image, 1 at best; right or wrong where the metric is accuracy."""
    return search.problem.metric.matrix(_said_of_the_test(search, records), labels, search.problem.test_groups) / 100.0


def _said_of_the_test(search: Search, records: Sequence[TrialRecord]) -> list[NDArray[np.floating]]:
    """Every trial's probabilities (nt, K); at its own temperature, as it ships or would ship, where the metric judges
    how sure a network is. The temperature is of validation images alone, so nothing of the test is in it."""
    ended = [(record, record.outcome.test_probabilities) for record in records if record.outcome is not None]
    if not search.problem.metric.of_confidence:
        return [said for _, said in ended]
    return [
        at_temperature(said, confidence_of(search.problem, search.ledger, record).temperature) for record, said in ended
    ]


def _belief(
    search: Search,
    frozen: Configuration,
    runs: Sequence[TrialRecord],
    lost: Sequence[TrialRecord],
    correct: Floats,
    unit: float,
) -> posterior.Belief:
    """The regression again, on validation and test images of all runs together; `lost` ones came to nothing.

    correct: what `_matrix` has of the runs; unit: the metric's. The model thinks in points of accuracy's size.
    """
    validation = [search.scores.clean_points(run.outcome.validation_probabilities) for run in runs if run.outcome]
    images = np.concatenate([np.array(validation), 100.0 * correct], axis=1) / unit
    n = len(search.problem.validation_labels)
    effective = effective_number(images[:, :n], search.problem.validation_groups)
    effective += effective_number(images[:, n:], search.problem.test_groups)
    seen = [*runs, *lost]
    collapsed = np.arange(len(seen)) >= len(runs)
    scores = floored(np.concatenate([images.mean(axis=1), np.full(len(lost), np.nan)]), collapsed)
    trials = posterior.Trials(
        switches(frozen, seen), scores, round(effective), run_variance(images), collapsed=collapsed
    )
    rng = np.random.default_rng([search.problem.seed, len(scores)])
    belief = posterior.believe(trials, priors(frozen.candidates), rng, sweeps=400)
    return replace(belief, mean=unit * belief.mean, sd=unit * belief.sd)


def _changes(
    frozen: Configuration,
    runs: Sequence[TrialRecord],
    split: Shares,
    tests: ChangeTests,
    ruinous: NDArray[np.bool_],
) -> tuple[Verdict, ...]:
    """One verdict a change; ruinous (K,): changes to blame for trials that failed to learn."""
    on = switches(frozen, runs)
    seconds = np.array([run.outcome.seconds if run.outcome else 0.0 for run in runs])
    subjects = [
        Subject(
            candidate.name,
            candidate.area,
            float(seconds[on[:, k]].sum()),
            candidate.intervention.claim,
            candidate.intervention.source,
        )
        for k, candidate in enumerate(frozen.candidates)
    ]
    return verdicts(subjects, on, frozen.on, split, tests, ruinous)


def _start_subject(frozen: Configuration, runs: Sequence[TrialRecord]) -> Subject:
    seconds = sum(run.outcome.seconds for run in runs if run.outcome)
    return Subject(
        f"{START}{frozen.start.name}",
        "recipe",
        seconds,
        frozen.start.reason,
        "tried before the search",
    )
