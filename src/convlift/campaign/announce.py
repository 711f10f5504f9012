"""From what the dispatcher hears to events: trials begun and ended, epochs, and every second what is going on."""

import math
import time
from collections.abc import Iterable
from dataclasses import dataclass

from convlift.ledger.trials import COUNTED, TrialRecord
from convlift.records.events import EpochEnded, Listener, Moment, TrialBegan, TrialEnded
from convlift.records.outcome import EpochReport
from convlift.search.decisions import decided
from convlift.search.dispatcher import Dispatcher
from convlift.search.problem import BASELINE
from convlift.search.scores import Scores
from convlift.search.start_decisions import Start

TOLD_EVERY = 1.0  # seconds


@dataclass
class Announcer:
    """Called at every poll of the dispatcher; owns the time of the last moment that it told of."""

    scores: Scores
    listen: Listener
    _next: float = 0.0
    _epoch: EpochReport | None = None

    def __call__(self, dispatcher: Dispatcher) -> None:
        for record in dispatcher.begun:
            self.listen(TrialBegan(record.id, record.role, record.names))
        for job, epoch in dispatcher.heard:
            self._epoch = epoch
            self.listen(EpochEnded(job.id, epoch))
        for record in dispatcher.ended:
            self.listen(self._ended(record))
        if time.monotonic() >= self._next:
            self._next = time.monotonic() + TOLD_EVERY
            self.listen(moment(self.scores, dispatcher, self._epoch))

    def _ended(self, record: TrialRecord) -> TrialEnded:
        assert record.outcome is not None, "it has come back"
        clean, shifted = self.scores.clean_score_points(record), self.scores.shifted_score_points(record)
        status, seconds = record.outcome.status, record.outcome.seconds
        return TrialEnded(record.id, record.role, record.names, status, clean / 100.0, seconds, shifted / 100.0)


def moment(scores: Scores, dispatcher: Dispatcher, epoch: EpochReport | None) -> Moment:
    """What is going on right now; epoch: the last that was heard of."""
    problem, trials = scores.problem, dispatcher.ledger.trials()
    ended = [record for record in trials if record.outcome is not None]
    started = decided(dispatcher.ledger, Start)
    of_the_start = [r for r in ended if started and r.fingerprint == started.fingerprint and r.role != "baseline"]
    running = [record for record in trials if record.outcome is None]
    return Moment(
        role=trials[-1].role if trials else "",
        trying=running[-1].names if running and running[-1].role in ("search", "start") else (),
        epoch=epoch if dispatcher.running else None,
        metric=problem.metric.name,
        baseline=_best(scores, (record for record in ended if record.role == "baseline")),
        start_name=started.name if started and started.name != BASELINE else "",
        start=_best(scores, of_the_start),
        left_seconds=dispatcher.left(),
        budget_seconds=dispatcher.budget_seconds,
        trainings_done=sum(record.role in COUNTED for record in ended),
        trainings=problem.trainings,
        goal=problem.goal,
    )


def _best(scores: Scores, records: Iterable[TrialRecord]) -> float | None:
    # what was stopped before its first epoch has nothing but guesses
    found = [scores.score_points(record) / 100.0 for record in records if record.has_trained]
    return max((score for score in found if not math.isnan(score)), default=None)
