"""Trials in persistent worker processes of this machine.

Workers are fresh interpreters that never import the parent's main module, so an executor can be made in a script
without the `if __name__ == "__main__"` guard, in a notebook or in `python -c`; `run` and `prepare` must be importable.
"""

import os
import pickle
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from multiprocessing.connection import Connection, Pipe
from multiprocessing.connection import wait as wait_for_any
from pathlib import Path
from types import TracebackType
from typing import Any

from convlift.console.interrupt import STOPPING
from convlift.console.resources import oom_kills
from convlift.execute.job import Ended, Job, Prepare, Run, Running, lost
from convlift.execute.worker import Began, Broken, Message, Task
from convlift.records.compute_device import CPU, Device
from convlift.records.outcome import Cause, EpochReport

THREAD_VARIABLES = (
    "OMP_NUM_THREADS",
    "MKL_NUM_THREADS",
    "OPENBLAS_NUM_THREADS",
    "VECLIB_MAXIMUM_THREADS",
    "NUMEXPR_NUM_THREADS",
    "OPENCV_FOR_THREADS_NUM",
)
THREADS = 1  # of a worker
PATIENCE = 5.0  # seconds that a worker gets to end by itself, once nothing keeps it
OWN_SIGNALS = (
    signal.SIGSEGV,
    signal.SIGABRT,
    signal.SIGBUS,
    signal.SIGFPE,
    signal.SIGILL,
    signal.SIGTRAP,
    signal.SIGSYS,
)
"""What the kernel or the C library sends to a process for what it did itself; all others were sent by somebody."""


@dataclass
class _Worker:
    process: "subprocess.Popen[bytes]"
    connection: "Connection[Any, Message]"
    device: Device
    job: Job | None = None
    began: float | None = None
    served: bool = False

    def seconds(self) -> float:
        return 0.0 if self.began is None else time.monotonic() - self.began


class ProcessExecutor:
    """An Executor with `workers` processes of one thread each; they start to load at once.

    devices: what they compute on, each on one, which is dealt out evenly.
    log: file that takes what workers print (their warnings, the stack of a crash); None: this process's stderr.
    A worker that died or was killed is replaced when a job needs it; where memory ran out, half as many go on. Workers
    end with this process, however it ends; on Linux also with the thread that made the executor.
    count_oom_kills: how many processes died for want of memory so far.
    """

    def __init__(
        self,
        run: Run,
        prepare: Prepare,
        *,
        workers: int = 2,
        devices: Sequence[Device] = (CPU,),
        log: Path | None = None,
        count_oom_kills: Callable[[], int] = oom_kills,
    ) -> None:
        self._tasks = {device: pickle.dumps(Task(run, prepare, THREADS, device)) for device in devices}
        self._capacity = workers
        self._log = log
        self._count_oom_kills, self._oom_kills = count_oom_kills, count_oom_kills()
        self._environment = _environment(THREADS)
        self._waiting: list[Job] = []
        self._submitted: dict[int, float] = {}
        self._ended: list[Ended] = []
        self._reports: list[tuple[Job, EpochReport]] = []
        self._broken: Broken | None = None
        self._workers: list[_Worker] = []
        try:
            for _ in range(workers):
                self._start()
        except BaseException:
            self.close(kill=True)
            raise

    @property
    def capacity(self) -> int:
        """See Executor."""
        return self._capacity

    def submit(self, job: Job) -> None:
        """See Executor."""
        self._waiting.append(job)
        self._submitted[job.id] = time.monotonic()
        self._assign()

    def running(self) -> tuple[Running, ...]:
        """See Executor."""
        self._listen(0.0)
        ended = [Running(each.job, each.outcome.seconds) for each in self._ended]
        begun = [Running(worker.job, worker.seconds()) for worker in self._workers if worker.job]
        return (*ended, *begun, *(Running(job, 0.0) for job in self._waiting))

    def progress(self) -> tuple[tuple[Job, EpochReport], ...]:
        """See Executor."""
        self._listen(0.0)
        reports, self._reports = self._reports, []
        return tuple(reports)

    def wait(self, timeout: float | None = None) -> tuple[Ended, ...]:
        """See Executor. Raises what `prepare` raised where it is a ConvliftError, and RuntimeError for our own bugs."""
        until = float("inf") if timeout is None else time.monotonic() + timeout
        self._listen(0.0)
        while not self._ended and not self._broken and self._has_jobs() and time.monotonic() < until:
            self._listen(until - time.monotonic())
        if self._broken and not self._ended:
            raise self._broken.error or RuntimeError(f"a worker could not load its data:\n{self._broken.traceback}")
        return self._take_ended()

    def cancel(self, job: Job, reason: str) -> None:
        """See Executor; the job's worker is killed."""
        self._listen(0.0)
        if job in self._waiting:
            self._waiting.remove(job)
            self._ended.append(lost(job, "stopped", reason, 0.0))
        for worker in [worker for worker in self._workers if worker.job == job]:
            worker.process.kill()
            self._remove(worker)
            self._ended.append(lost(job, "stopped", reason, worker.seconds()))

    def close(self, kill: bool = False) -> tuple[Ended, ...]:
        """See Executor."""
        self._waiting = []
        while not kill and not self._broken and self._has_jobs():
            self._listen(PATIENCE)
        for worker in self._workers:
            worker.process.kill() if kill else worker.connection.close()  # both before any is waited for
        for worker in list(self._workers):
            self._remove(worker)
        return self._take_ended()

    def __enter__(self) -> "ProcessExecutor":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close(kill=error is not None)

    def _has_jobs(self) -> bool:
        return bool(self._waiting) or any(worker.job for worker in self._workers)

    def _take_ended(self) -> tuple[Ended, ...]:
        ended, self._ended = self._ended, []
        return tuple(ended)

    def _assign(self) -> None:
        idle = [worker for worker in self._workers if worker.job is None]
        while idle and len(self._workers) > self._capacity:
            self._remove(idle.pop())
        while self._waiting and not self._broken:
            if sum(worker.job is not None for worker in self._workers) >= self._capacity:
                return
            worker = next((worker for worker in self._workers if worker.job is None), None) or self._start()
            try:
                worker.connection.send((self._waiting[0], self._submitted[self._waiting[0].id]))
            except OSError:  # it died while idle, and no job with it
                self._remove(worker)
                continue
            worker.job, worker.began = self._waiting.pop(0), None

    def _start(self) -> _Worker:
        ours, theirs = Pipe()
        device = min(self._tasks, key=lambda each: sum(worker.device == each for worker in self._workers))
        command = [sys.executable, "-P", "-m", "convlift.execute.worker"]
        # blocked until the worker ignores them: a Ctrl-C while it imports would end it with a traceback
        mask = signal.pthread_sigmask(signal.SIG_BLOCK, STOPPING)
        output = self._log.open("ab") if self._log else None
        try:
            process = subprocess.Popen(
                [*command, str(theirs.fileno()), str(os.getpid())],
                stdin=subprocess.DEVNULL,
                stdout=output or 2,  # stdout is the parent's own, where --json may write
                stderr=output,
                pass_fds=(theirs.fileno(),),
                env=self._environment,
            )
        finally:
            signal.pthread_sigmask(signal.SIG_SETMASK, mask)
            theirs.close()
            if output:
                output.close()
        worker = _Worker(process, ours, device)
        self._workers.append(worker)
        with suppress(OSError):  # where it is dead already, the next listening notices
            ours.send_bytes(self._tasks[device])
        return worker

    def _listen(self, timeout: float) -> None:
        """Take in what workers send within `timeout` seconds, at the first sign of life of any; then assign jobs."""
        # a second at most: a dead worker's own children might hold its pipe open, and only its exit code would tell
        wait_for_any([worker.connection for worker in self._workers], min(max(timeout, 0.0), 1.0))
        for worker in list(self._workers):
            exited = worker.process.poll() is not None  # before the pipe is emptied: it may have ended properly
            try:
                while worker.connection.poll():
                    self._hear(worker, worker.connection.recv())
            except (EOFError, OSError):
                exited = True
            if exited:
                self._remove(worker)
                self._account_for(worker)
        self._assign()

    def _account_for(self, worker: _Worker) -> None:
        """Decide what becomes of the job of a worker that is dead."""
        cause, reason = self._why(worker.process.returncode)
        if worker.job is None:
            return
        if worker.served and worker.began is None:
            # it died idle, just as it was given the job; one that never served might die of its data again and again
            self._waiting.insert(0, worker.job)
            return
        self._ended.append(lost(worker.job, "failed", reason, worker.seconds(), crashed=True, cause=cause))

    def _why(self, code: int) -> tuple[Cause, str]:
        """Whose fault a worker's death was, and in words. Where memory ran out, fewer workers go on."""
        if code >= 0:
            return "itself", f"worker ended with exit code {code} in the middle of the trial"
        known = {each.value: each.name for each in signal.Signals}
        killed = f"worker was killed by signal {-code} ({known.get(-code, 'a real-time signal')})"
        if -code in OWN_SIGNALS:
            return "itself", killed
        before, self._oom_kills = self._oom_kills, self._count_oom_kills()
        if -code != signal.SIGKILL or self._oom_kills <= before:
            return "outside", f"{killed}, sent from outside"
        had, self._capacity = self._capacity, max(1, self._capacity // 2)
        fewer = f"; {self._capacity} of {had} workers go on" if self._capacity < had else ""
        return "memory", f"{killed}: memory ran out{fewer}"

    def _hear(self, worker: _Worker, message: Message) -> None:
        match message:
            case Began():
                worker.began = message.at
            case EpochReport() if worker.job:
                self._reports.append((worker.job, message))
            case Ended():
                self._ended.append(message)
                worker.job, worker.served = None, True
            case Broken():
                self._broken = message

    def _remove(self, worker: _Worker) -> None:
        worker.connection.close()  # an idle worker ends at this
        try:
            worker.process.wait(PATIENCE)
        except subprocess.TimeoutExpired:
            worker.process.kill()
            worker.process.wait()
        self._workers.remove(worker)


def _environment(threads: int) -> dict[str, str]:
    # read when numpy, torch and OpenCV are loaded, thus set before the interpreter starts
    limits = dict.fromkeys(THREAD_VARIABLES, str(threads))
    path = os.pathsep.join(os.path.abspath(folder) for folder in sys.path)
    return {**os.environ, **limits, "PYTHONPATH": path, "PYTHONUNBUFFERED": "1"}
