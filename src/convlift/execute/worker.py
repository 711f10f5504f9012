"""The other end of the pipe: a process that loads the data once and then runs one job after another.

Started by processes.py as `python -m convlift.execute.worker DESCRIPTOR PARENT`, never by a person.
"""

import ctypes
import faulthandler
import os
import pickle
import signal
import sys
import threading
import traceback
from contextlib import suppress
from dataclasses import dataclass
from multiprocessing.connection import Connection
from pathlib import Path
from queue import SimpleQueue
from time import monotonic
from typing import Any

from convlift.console.interrupt import STOPPING
from convlift.errors import ConvliftError, DiskError
from convlift.execute.job import Ended, Prepare, Run, after, attempt
from convlift.records.compute_device import CPU, Device
from convlift.records.outcome import EpochReport


@dataclass(frozen=True)
class Task:
    """What a worker is for; the first message to it. Every later one is a Job with the instant of its submission, of
    time.monotonic(), which all processes of a machine share."""

    run: Run
    prepare: Prepare
    threads: int
    device: Device = CPU


@dataclass(frozen=True)
class Began:
    """The job begins now. at: time.monotonic()."""

    at: float


@dataclass(frozen=True)
class Broken:
    """`prepare` raised, or the disk refuses: no job can run here. error: the sentence for the user, if there is one."""

    error: ConvliftError | None
    traceback: str


Message = Began | EpochReport | Ended | Broken


def main() -> None:
    """Serve jobs until the parent closes the pipe or dies."""
    descriptor, parent = int(sys.argv[1]), int(sys.argv[2])
    os.set_inheritable(descriptor, False)  # a child of ours that outlives us must not hold the pipe open
    faulthandler.enable()
    _leave_signals_to_the_parent()
    _die_with(parent)
    _be_killed_first()
    connection: Connection[Message, Any] = Connection(descriptor)
    inbox: SimpleQueue[bytes] = SimpleQueue()
    threading.Thread(target=_receive, args=(connection, inbox), daemon=True).start()
    try:
        task: Task = pickle.loads(inbox.get())
        _limit_threads(task.threads)
        context = task.prepare()
    except BaseException as error:
        told = error if isinstance(error, ConvliftError) else None
        connection.send(Broken(told, traceback.format_exc()))
        return
    while True:
        job, submitted = pickle.loads(inbox.get())
        _limit_threads(task.threads)  # again: the last job may have imported a library
        connection.send(Began(monotonic()))
        try:
            ended = attempt(task.run, after(job, monotonic() - submitted, task.device), context, connection.send)
            connection.send(ended._replace(job=job))
        except DiskError as error:  # the parent has nothing more for us
            connection.send(Broken(error, traceback.format_exc()))
            return


def _receive(connection: "Connection[Message, Any]", inbox: "SimpleQueue[bytes]") -> None:
    # in a thread of its own, so that the parent's death is noticed in the middle of a job, on every system
    with suppress(EOFError, OSError):
        while True:
            inbox.put(connection.recv_bytes())
    os._exit(0)


def _leave_signals_to_the_parent() -> None:
    # Ctrl-C and most supervisors signal the whole group, but only the parent knows whether a job may still end
    for number in STOPPING:
        signal.signal(number, signal.SIG_IGN)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, STOPPING)


def _die_with(parent: int) -> None:
    if sys.platform == "linux":
        set_parent_death_signal = 1  # PR_SET_PDEATHSIG of prctl(2): works even while C code holds the interpreter
        ctypes.CDLL(None).prctl(set_parent_death_signal, signal.SIGKILL)
    if os.getppid() != parent:  # it died before this was set
        os._exit(0)


def _be_killed_first() -> None:
    # when memory runs out, a lost worker costs one trial, a lost parent the evening
    with suppress(OSError):
        Path("/proc/self/oom_score_adj").write_text("500")


def _limit_threads(threads: int) -> None:
    # the environment limits what is imported later; this, what is imported already
    if torch := sys.modules.get("torch"):
        torch.set_num_threads(threads)
    if cv2 := sys.modules.get("cv2"):
        cv2.setNumThreads(threads)


if __name__ == "__main__":
    # under its importable name, so that the parent can unpickle what this process sends
    from convlift.execute import worker

    worker.main()
