"""The sealed test is opened, once: the total gain, the share and verdict of every change, the result to show."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from convlift.campaign.loop import Frozen
from convlift.campaign.study import BASELINE, Study
from convlift.errors import LedgerError
from convlift.evidence import posterior
from convlift.evidence.changes import ChangeTests, start_effect, test_changes
from convlift.evidence.final import FinalJudgement, judge
from convlift.evidence.shares import Shares, shares
from convlift.evidence.verdicts import Subject, start_verdict, verdicts
from convlift.execute.desk import Desk
from convlift.ledger.records import TrialRecord
from convlift.outcome import START, Verdict
from convlift.study.candidates import priors

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Judgement:
    """What the sealed test said. optimism_points: validation minus test score of the shipped recipe's runs."""

    final: FinalJudgement
    verdicts: tuple[Verdict, ...]
    unexplained_points: float
    warning: str
    optimism_points: float


def judge_campaign(study: Study, desk: Desk, frozen: Frozen, test_labels: NDArray[np.int64]) -> Judgement:
    """Score every run on the test whose labels were just opened. Raises LedgerError where no final left any."""
    pilots, finals = _usable(desk.ledger.trials("pilot")), final_runs(desk)
    if not finals:
        raise LedgerError("the time was over before the shipped recipe had trained at all; allow a longer budget.")
    runs = _usable(desk.ledger.trials("search")) + finals
    if frozen.start.name == BASELINE:
        runs = pilots + runs
    on = _switches(frozen, runs)
    correct = _matrix(runs, test_labels)
    tests = test_changes(on, correct)
    final = judge(_matrix(pilots, test_labels), _matrix(finals, test_labels), tests.seed_variance)
    belief = _belief(study, frozen, runs, on, correct)
    found: list[Verdict] = []
    start_points = 0.0
    if frozen.start.name != BASELINE:
        effect = start_effect(_matrix(pilots, test_labels), on, correct)
        start_points = effect.value
        found.append(start_verdict(_start_subject(frozen, runs), effect, len(runs)))
    split = shares(belief, frozen.on, final.gain_points.value, start_points)
    found += _changes(frozen, runs, on, split, tests, belief.probability)
    validation = np.mean([study.score_points(run) for run in finals])
    return Judgement(
        final, tuple(found), split.unexplained, split.warning, float(validation) - 100.0 * final.final.value
    )


def final_runs(desk: Desk) -> list[TrialRecord]:
    """The final runs that count: those that ended, else those that the deadline cut short, which is what would ship."""
    records = desk.ledger.trials("final")
    cut_short = [r for r in records if r.outcome is not None and len(r.outcome.test_probabilities)]
    return _usable(records) or cut_short


def _usable(records: Iterable[TrialRecord]) -> list[TrialRecord]:
    """The trials that ran to their end."""
    return [record for record in records if record.status == "finished"]


def _matrix(records: Sequence[TrialRecord], labels: NDArray[np.int64]) -> Floats:
    """(R, nt): 1 where a trial named a test image right, else 0."""
    rows = [r.outcome.test_probabilities.argmax(axis=1) == labels for r in records if r.outcome is not None]
    return np.array(rows, np.float64).reshape(len(records), len(labels))


def _switches(frozen: Frozen, records: Sequence[TrialRecord]) -> NDArray[np.bool_]:
    """(R, K): which candidates each trial had on."""
    rows = [[candidate.name in record.names for candidate in frozen.candidates] for record in records]
    return np.array(rows, bool).reshape(len(records), len(frozen.candidates))


def _belief(
    study: Study, frozen: Frozen, runs: Sequence[TrialRecord], on: NDArray[np.bool_], correct: Floats
) -> posterior.Belief:
    """The regression again, on validation and test images of all runs together."""
    n, nt = len(study.validation_labels), correct.shape[1]
    validation = np.array([study.score_points(run) for run in runs])
    scores = (n * validation + 100.0 * correct.sum(axis=1)) / (n + nt)
    accuracy = float(np.clip(scores.mean() / 100.0, 0.05, 0.995))
    trials = posterior.Trials(on, scores, n + nt, accuracy)
    return posterior.believe(
        trials, priors(frozen.candidates), np.random.default_rng([study.seed, len(runs)]), sweeps=400
    )


def _changes(
    frozen: Frozen,
    runs: Sequence[TrialRecord],
    on: NDArray[np.bool_],
    split: Shares,
    tests: ChangeTests,
    chance: Floats,
) -> tuple[Verdict, ...]:
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
    return verdicts(subjects, on, frozen.on, split, tests, chance)


def _start_subject(frozen: Frozen, runs: Sequence[TrialRecord]) -> Subject:
    seconds = sum(run.outcome.seconds for run in runs if run.outcome)
    return Subject(
        f"{START}{frozen.start.name}",
        "architecture",
        seconds,
        frozen.start.reason,
        "probed before the search",
    )
