"""Trials in the calling process, one at a time: for debuggers, tests and machines where processes are unwelcome."""

import time
from functools import partial
from types import TracebackType
from typing import Any

from convlift.execute.job import Ended, Job, Prepare, Run, Running, after, attempt, lost
from convlift.records.compute_device import CPU, Device
from convlift.records.outcome import EpochReport


class InlineExecutor:
    """An Executor whose jobs run inside `wait`, oldest first, whatever the timeout. `prepare` runs at the first.

    device: where they run.
    """

    capacity = 1

    def __init__(self, run: Run, prepare: Prepare, device: Device = CPU) -> None:
        self._run = run
        self._device = device
        self._prepare = prepare
        self._context: Any = None
        self._prepared = False
        self._waiting: list[Job] = []
        self._submitted: dict[int, float] = {}
        self._cancelled: list[Ended] = []
        self._reports: list[tuple[Job, EpochReport]] = []

    def submit(self, job: Job) -> None:
        """See Executor."""
        self._waiting.append(job)
        self._submitted[job.id] = time.monotonic()

    def running(self) -> tuple[Running, ...]:
        """See Executor; no job is observed while it runs, so all have 0 seconds."""
        return tuple(Running(job, 0.0) for job in (*(each.job for each in self._cancelled), *self._waiting))

    def progress(self) -> tuple[tuple[Job, EpochReport], ...]:
        """See Executor; the epochs of a job are seen after it has ended."""
        reports, self._reports = self._reports, []
        return tuple(reports)

    def wait(self, timeout: float | None = None) -> tuple[Ended, ...]:
        """See Executor."""
        if self._waiting and not self._cancelled:
            if not self._prepared:
                self._context, self._prepared = self._prepare(), True
            job = self._waiting[0]  # stays among the running ones when Ctrl-C interrupts it
            now = after(job, time.monotonic() - self._submitted[job.id], self._device)
            ended = attempt(self._run, now, self._context, partial(self._report, job))
            self._waiting.remove(job)
            return (ended._replace(job=job),)
        cancelled, self._cancelled = self._cancelled, []
        return tuple(cancelled)

    def cancel(self, job: Job, reason: str) -> None:
        """See Executor; a job that has begun cannot be stopped from within its own process."""
        if job in self._waiting:
            self._waiting.remove(job)
            self._cancelled.append(lost(job, "stopped", reason, 0.0))

    def close(self, kill: bool = False) -> tuple[Ended, ...]:
        """See Executor."""
        self._waiting, self._context, self._prepared = [], None, False
        cancelled, self._cancelled = self._cancelled, []
        return tuple(cancelled)

    def __enter__(self) -> "InlineExecutor":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _report(self, job: Job, report: EpochReport) -> None:
        self._reports.append((job, report))
