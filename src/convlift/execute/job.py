"""What every executor is handed and what it hands back: one contract, whether trials run here or elsewhere."""

import time
import traceback
from collections.abc import Callable
from dataclasses import dataclass, replace
from types import TracebackType
from typing import Any, NamedTuple, Protocol, Self

from convlift.console.disk import refusal_behind
from convlift.errors import ConvliftError, Diverged
from convlift.recipe.combination import Combination
from convlift.recipe.trial_spec import NO_LIMITS, Limits, TrialSpec
from convlift.records.compute_device import CPU, Device
from convlift.records.outcome import NO_PROBABILITIES, Cause, EpochReport, Outcome, Status


@dataclass(frozen=True)
class Job:
    """One trial to run.

    id: the ledger's.
    limits: kept by the trial itself; its owner may `cancel`, the executor enforces nothing.
    device: where it runs, which the executor settles as the job begins.
    combination: of trained networks of the spec's recipe, which is made instead of a training.
    """

    id: int
    spec: TrialSpec
    limits: Limits = NO_LIMITS
    device: Device = CPU
    combination: Combination | None = None


class Ended(NamedTuple):
    """How a job ended.

    crashed: its process died, and another attempt may succeed.
    traceback: for the log, or "".
    cause: of the crash.
    """

    job: Job
    outcome: Outcome
    crashed: bool = False
    traceback: str = ""
    cause: Cause = "itself"


class Running(NamedTuple):
    """A job that was submitted and has not come back. seconds: since it began; 0 while it waits for its turn."""

    job: Job
    seconds: float


Report = Callable[[EpochReport], None]
Run = Callable[[Job, Any, Report], Outcome]
Prepare = Callable[[], Any]


class Executor(Protocol):
    """Runs jobs. Made from `run(job, context, report)` and `prepare() -> context`, the data that all jobs share.

    Both are importable functions (or functools.partial of one) where jobs run in other processes. An executor belongs
    to the thread that made it.
    """

    @property
    def capacity(self) -> int:
        """How many jobs run at the same time; fewer than at first where memory ran out."""

    def submit(self, job: Job) -> None:
        """Hand a job over; beyond the capacity it waits for its turn, and its time runs. Ids are distinct among the
        running jobs."""

    def running(self) -> tuple[Running, ...]:
        """Every job that was submitted and that `wait` has not yet returned; empty exactly when all have come back."""

    def progress(self) -> tuple[tuple[Job, EpochReport], ...]:
        """The epochs reported since the last call, in order."""

    def wait(self, timeout: float | None = None) -> tuple[Ended, ...]:
        """The jobs that ended: as soon as there is one, at the latest after `timeout` seconds; () when nothing runs.

        A job's exception, divergence or death is its outcome. What `prepare` raised is raised here, once all that ended
        before was handed over: without the data no job can run. So is a disk that refuses what a job writes, as
        DiskError: no job is to blame for it, and the next would fare no better.
        """

    def cancel(self, job: Job, reason: str) -> None:
        """Stop a job at once; `wait` returns it with status "stopped" and the reason. Nothing, where it has ended."""

    def close(self, kill: bool = False) -> tuple[Ended, ...]:
        """Let the running jobs end, or kill them; drop the waiting ones. What ended and was not returned yet."""

    def __enter__(self) -> Self: ...

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Close; after an exception, kill."""


def after(job: Job, seconds: float, device: Device | None = None) -> Job:
    """The job as it is so many seconds after it was handed over. device: where it begins, if it does."""
    return replace(job, limits=replace(job.limits, seconds=job.limits.seconds - seconds), device=device or job.device)


def attempt(run: Run, job: Job, context: Any, report: Report) -> Ended:
    """Run a job in this process; an exception becomes its outcome, in one line, with the traceback for the log.

    Raises DiskError where the exception came of a disk that is full or failing.
    """
    began = time.monotonic()
    try:
        return Ended(job, run(job, context, report))
    except Diverged as error:
        return lost(job, "diverged", str(error), time.monotonic() - began)
    except Exception as error:
        if refusal := refusal_behind(error):
            raise refusal from error
        reason = str(error) if isinstance(error, ConvliftError) else f"{type(error).__name__}: {error}"
        ended = lost(job, "failed", reason, time.monotonic() - began)
        return ended._replace(traceback=traceback.format_exc())


def lost(
    job: Job, status: Status, reason: str, seconds: float, *, crashed: bool = False, cause: Cause = "itself"
) -> Ended:
    """A job that left no probabilities. reason: made one line."""
    outcome = Outcome(status, NO_PROBABILITIES, NO_PROBABILITIES, seconds=seconds, reason=" ".join(reason.split()))
    return Ended(job, outcome, crashed, cause=cause)
