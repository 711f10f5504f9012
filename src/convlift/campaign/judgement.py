"""The sealed test is opened, once: the total gain, the share and verdict of every change, the result to show."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from convlift.campaign.loop import Frozen, floored, switches
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
        raise LedgerError(f"no final run left a network ({_fates(desk)}); start anew in another folder.")
    searched = desk.ledger.trials("search")
    runs = _usable(searched) + finals
    if frozen.start.name == BASELINE:
        runs = pilots + runs
    lost = [record for record in searched if record.status in ("diverged", "failed")]
    on, correct = switches(frozen, runs), _matrix(runs, test_labels)
    tests = test_changes(on, correct)
    final = judge(_matrix(pilots, test_labels), _matrix(finals, test_labels), tests.seed_variance)
    belief = _belief(study, frozen, runs, lost, correct)
    found: list[Verdict] = []
    start_points = 0.0
    if frozen.start.name != BASELINE:
        effect = start_effect(_matrix(pilots, test_labels), on, correct)
        start_points = effect.value
        found.append(start_verdict(_start_subject(frozen, runs + lost), effect, len(runs + lost)))
    split = shares(belief, frozen.on, final.gain_points.value, start_points)
    found += _changes(frozen, runs + lost, split, tests, belief.probability)
    validation = np.mean([study.score_points(run) for run in finals])
    return Judgement(
        final, tuple(found), split.unexplained, split.warning, float(validation) - 100.0 * final.final.value
    )


def final_runs(desk: Desk) -> list[TrialRecord]:
    """The final runs that count: those that ended, else those that the deadline cut short, which is what would ship."""
    records = desk.ledger.trials("final")
    cut_short = [r for r in records if r.status == "stopped" and r.outcome is not None and r.outcome.curve]
    return _usable(records) or cut_short


def _fates(desk: Desk) -> str:
    ended = [record.outcome for record in desk.ledger.trials("final") if record.outcome is not None]
    return "; ".join(dict.fromkeys(f"{outcome.status}: {outcome.reason}" for outcome in ended))


def _usable(records: Iterable[TrialRecord]) -> list[TrialRecord]:
    """The trials that ran to their end."""
    return [record for record in records if record.status == "finished"]


def _matrix(records: Sequence[TrialRecord], labels: NDArray[np.int64]) -> Floats:
    """(R, nt): 1 where a trial named a test image right, else 0."""
    rows = [r.outcome.test_probabilities.argmax(axis=1) == labels for r in records if r.outcome is not None]
    return np.array(rows, np.float64).reshape(len(records), len(labels))


def _belief(
    study: Study, frozen: Frozen, runs: Sequence[TrialRecord], lost: Sequence[TrialRecord], correct: Floats
) -> posterior.Belief:
    """The regression again, on validation and test images of all runs together; `lost` ones came to nothing."""
    n, nt = len(study.validation_labels), correct.shape[1]
    validation = np.array([study.score_points(run) for run in runs])
    scores = (n * validation + 100.0 * correct.sum(axis=1)) / (n + nt)
    accuracy = float(np.clip(scores.mean() / 100.0, 0.05, 0.995))
    scores = floored(np.concatenate([scores, np.full(len(lost), np.nan)]))
    trials = posterior.Trials(switches(frozen, [*runs, *lost]), scores, n + nt, accuracy)
    return posterior.believe(
        trials, priors(frozen.candidates), np.random.default_rng([study.seed, len(scores)]), sweeps=400
    )


def _changes(
    frozen: Frozen, runs: Sequence[TrialRecord], split: Shares, tests: ChangeTests, chance: Floats
) -> tuple[Verdict, ...]:
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
