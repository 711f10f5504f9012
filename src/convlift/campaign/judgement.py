"""The sealed test is opened, once: the total gain, the share and verdict of every change, the result to show."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from convlift.campaign.space import Frozen, floored, switches
from convlift.campaign.study import BASELINE, Study
from convlift.errors import LedgerError
from convlift.evidence import posterior
from convlift.evidence.changes import ChangeTests, start_effect, test_changes
from convlift.evidence.collapse import suspect
from convlift.evidence.final import FinalJudgement, judge
from convlift.evidence.images import effective_number, run_variance
from convlift.evidence.shares import Shares, shares
from convlift.evidence.verdicts import Subject, start_verdict, verdicts
from convlift.execute.desk import Desk
from convlift.ledger.ledger import Ledger
from convlift.ledger.records import TrialRecord
from convlift.outcome import START, Verdict
from convlift.study.candidates import priors

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Judgement:
    """What the sealed test said. optimism_points: validation minus test score of the shipped recipe's runs; unit: how
    many points of the metric a point of accuracy is worth (`metrics.Metric.unit`); search_seed_variance: what the
    search's runs say of the seeds (`changes.ChangeTests.seed_variance`)."""

    final: FinalJudgement
    verdicts: tuple[Verdict, ...]
    unexplained_points: float
    warning: str
    optimism_points: float
    unit: float = 1.0
    search_seed_variance: float = 0.0


def judge_campaign(
    study: Study,
    desk: Desk,
    frozen: Frozen,
    test_labels: NDArray[np.int64],
    *,
    before: Sequence[TrialRecord] | None = None,
    after: Sequence[TrialRecord] | None = None,
) -> Judgement:
    """Score every run on the test whose labels were just opened. Raises LedgerError where no final left any."""
    pilots = list(_usable(desk.ledger.trials("pilot")) if before is None else before)
    finals = list(final_runs(desk.ledger) if after is None else after)
    if not finals:
        raise LedgerError(f"no final run left a network ({_fates(desk)}); start anew in another folder.")
    searched = desk.ledger.trials("search")
    ended = [record for record in searched if record.is_evidence and record not in finals]
    fell = study.collapsed(ended)
    # decided on validation images, which the test does not share; a run at chance, 60 points down, would drown the rest
    lost = [record for record, collapsed in zip(ended, fell, strict=True) if collapsed]
    runs = [record for record, collapsed in zip(ended, fell, strict=True) if not collapsed] + finals
    if frozen.start.name == BASELINE:
        runs = pilots + runs
    metric, groups = study.metric, study.test_groups
    unit = metric.unit([run.outcome.test_probabilities for run in runs if run.outcome], test_labels)
    on = switches(frozen, runs)
    first, last, scores = (_matrix(study, records, test_labels) for records in (pilots, finals, runs))
    tests = test_changes(on, scores, groups, unit=unit)
    final = judge(first, last, tests.seed_variance, groups, unit=unit, lowest=metric.lowest)
    if lost_runs(desk.ledger):  # the interval knows nothing of seeds with which nothing is learned
        final = replace(final, proven=False)
    belief = _belief(study, frozen, runs, lost, (scores, unit))
    found: list[Verdict] = []
    start_points = 0.0
    if frozen.start.name != BASELINE:
        effect = start_effect(first, on, scores, groups, unit=unit)
        start_points = effect.value
        found.append(start_verdict(_start_subject(frozen, runs + lost), effect, len(runs + lost)))
    split = shares(belief, frozen.on, final.gain_points.value, start_points, unit=unit)
    ruinous = suspect(switches(frozen, ended), fell).culprits
    found += _changes(frozen, runs + lost, split, tests, (belief.probability, ruinous))
    optimism = float(np.mean([study.score_points(run) for run in finals])) - 100.0 * final.final.value
    return Judgement(final, tuple(found), split.unexplained, split.warning, optimism, unit, tests.seed_variance)


def final_runs(ledger: Ledger) -> list[TrialRecord]:
    """The final runs that count: those that ended, else those that the deadline cut short, which is what would ship."""
    records = ledger.trials("final")
    cut_short = [r for r in records if r.status == "stopped" and r.outcome is not None and r.outcome.curve]
    return _usable(records) or cut_short


def lost_runs(ledger: Ledger) -> list[TrialRecord]:
    """The baseline's and the final runs that came to nothing by themselves."""
    return [r for role in ("pilot", "final") for r in ledger.trials(role) if r.status in ("diverged", "failed")]


def _fates(desk: Desk) -> str:
    ended = [record.outcome for record in desk.ledger.trials("final") if record.outcome is not None]
    return "; ".join(dict.fromkeys(f"{outcome.status}: {outcome.reason}" for outcome in ended))


def _usable(records: Iterable[TrialRecord]) -> list[TrialRecord]:
    """The trials that ran to their end."""
    return [record for record in records if record.status == "finished"]


def _matrix(study: Study, records: Sequence[TrialRecord], labels: NDArray[np.int64]) -> Floats:
    """(R, nt): every trial's score on every test image, 1 at best; right or wrong where the metric is accuracy."""
    said = [record.outcome.test_probabilities for record in records if record.outcome is not None]
    return study.metric.matrix(said, labels) / 100.0


def _belief(
    study: Study,
    frozen: Frozen,
    runs: Sequence[TrialRecord],
    lost: Sequence[TrialRecord],
    tested: tuple[Floats, float],
) -> posterior.Belief:
    """The regression again, on validation and test images of all runs together; `lost` ones came to nothing.

    tested: what `_matrix` has of the runs, and the metric's unit. The model thinks in points of accuracy's size.
    """
    correct, unit = tested
    validation = [study.image_points(run.outcome.validation_probabilities) for run in runs if run.outcome]
    images = np.concatenate([np.array(validation), 100.0 * correct], axis=1) / unit
    n = len(study.validation_labels)
    effective = effective_number(images[:, :n], study.validation_groups)
    effective += effective_number(images[:, n:], study.test_groups)
    seen = [*runs, *lost]
    collapsed = np.arange(len(seen)) >= len(runs)
    scores = floored(np.concatenate([images.mean(axis=1), np.full(len(lost), np.nan)]), collapsed)
    trials = posterior.Trials(
        switches(frozen, seen), scores, round(effective), run_variance(images), collapsed=collapsed
    )
    rng = np.random.default_rng([study.seed, len(scores)])
    belief = posterior.believe(trials, priors(frozen.candidates), rng, sweeps=400)
    return replace(belief, mean=unit * belief.mean, sd=unit * belief.sd)


def _changes(
    frozen: Frozen,
    runs: Sequence[TrialRecord],
    split: Shares,
    tests: ChangeTests,
    believed: tuple[Floats, NDArray[np.bool_]],
) -> tuple[Verdict, ...]:
    """believed (K,) each: the chance of helping, and whether trainings with it come to nothing."""
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
    return verdicts(subjects, on, frozen.on, split, tests, *believed)


def _start_subject(frozen: Frozen, runs: Sequence[TrialRecord]) -> Subject:
    seconds = sum(run.outcome.seconds for run in runs if run.outcome)
    return Subject(
        f"{START}{frozen.start.name}",
        "architecture",
        seconds,
        frozen.start.reason,
        "probed before the search",
    )
