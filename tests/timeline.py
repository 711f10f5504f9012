"""An executor on a simulated clock: nobody waits, and the ledger is told of the seconds that would have passed."""

from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from types import TracebackType
from typing import Any

from convlift.execute.job import Ended, Job, Run, Running, attempt, lost
from convlift.ledger.ledger import Ledger
from convlift.records.outcome import EpochReport
from convlift.trial.phase import HURRIED

IMAGES = 1000  # for training, in the made-up world


class Timeline:
    """Keeps the contract of execute/job.py, deadlines included. `seconds` of a job's outcome are what it takes.

    crashes: whether this attempt (counted from 1) of a job dies with its worker, half-way through.
    begun: how often each seed was begun.
    """

    def __init__(
        self,
        run: Run,
        context: Any,
        ledger: Ledger,
        workers: int = 1,
        crashes: Callable[[Job, int], bool] = lambda job, number: False,
    ) -> None:
        self.capacity = workers
        self.begun: Counter[int] = Counter()
        self._run, self._context, self._ledger, self._crashes = run, context, ledger, crashes
        self._now = 0.0
        self._waiting: list[tuple[Job, float]] = []
        self._running: list[tuple[float, Ended]] = []
        self._cancelled: list[Ended] = []

    def submit(self, job: Job) -> None:
        """See Executor."""
        self._waiting.append((job, self._now + job.limits.seconds))
        self._fill()

    def running(self) -> tuple[Running, ...]:
        """See Executor."""
        jobs = [ended.job for _, ended in self._running] + [job for job, _ in self._waiting]
        return tuple(Running(job, 0.0) for job in jobs)

    def progress(self) -> tuple[tuple[Job, EpochReport], ...]:
        """See Executor."""
        return ()

    def wait(self, timeout: float | None = None) -> tuple[Ended, ...]:
        """See Executor: the job that ends first, and the clock goes there."""
        if not self._running:
            return ()
        first = min(self._running, key=lambda entry: entry[0])
        self._running.remove(first)
        end, ended = first
        self._ledger.add_seconds(end - self._now)
        self._now = end
        self._fill()
        return (ended,)

    def cancel(self, job: Job, reason: str) -> None:
        """See Executor."""
        for entry in [entry for entry in self._running if entry[1].job == job]:
            self._running.remove(entry)
            self._running.append((self._now, lost(job, "stopped", reason, 0.0)))

    def close(self, kill: bool = False) -> tuple[Ended, ...]:
        """See Executor."""
        self._waiting, self._running = [], []
        return ()

    def __enter__(self) -> "Timeline":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _fill(self) -> None:
        while self._waiting and len(self._running) < self.capacity:
            job, deadline = self._waiting.pop(0)
            self.begun[job.spec.seed] += 1
            ended = attempt(self._run, job, self._context, lambda report: None)
            allowed = max(0.0, deadline - self._now)
            if self._crashes(job, self.begun[job.spec.seed]):
                half = min(allowed, ended.outcome.seconds / 2)
                ended = lost(job, "failed", "worker was killed by signal 9", half, crashed=True)
            elif ended.outcome.seconds > allowed:
                ended = self._cut_short(ended, allowed)
            self._running.append((self._now + ended.outcome.seconds, ended))

    def _cut_short(self, ended: Ended, allowed: float) -> Ended:
        """As a trial does that hurries: it ends with the epoch that it is in, having seen a part of the images. In the
        last tenth of a training it is finished all the same."""
        outcome = ended.outcome
        passed = len(outcome.curve) * allowed / outcome.seconds
        whole = int(passed)
        curve = outcome.curve[:whole]
        if passed > whole and whole < len(outcome.curve):
            part = passed - whole
            images = outcome.curve[whole].images or IMAGES
            partial = replace(outcome.curve[whole], images=int(images * part), seconds=part * outcome.curve[0].seconds)
            curve = (*curve, partial)
        cut = replace(outcome, curve=curve, seconds=allowed)
        if allowed < (1.0 - HURRIED) * outcome.seconds:
            cut = replace(cut, status="stopped", reason="out of time")
        return ended._replace(outcome=cut)
