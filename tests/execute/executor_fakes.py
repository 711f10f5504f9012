"""Jobs of a millisecond for the executors' tests; the recipe's seed says what they do. Importable by workers."""

import json
import os
import signal
import sys
import time
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from convlift.errors import ConvliftError, DataError, Diverged
from convlift.execute.job import Job, Report
from convlift.recipe.recipe import Recipe
from convlift.recipe.trial_spec import Limits, TrialSpec
from convlift.records.outcome import NO_PROBABILITIES, EpochReport, Outcome

FINE, RAISES, DIVERGES, KILLED, EXITS, HANGS, ABORTS, SEGFAULTS, FILLS, FULL, EATS = range(11)


def job(number: int, kind: int = FINE, **fields: Any) -> Job:
    return Job(number, TrialSpec(Recipe(), seed=kind), Limits(**fields))


def prepare(folder: str) -> dict[str, Any]:
    """The context: who made it. Leaves a line for every time that it is loaded."""
    with (Path(folder) / "prepared").open("a") as file:
        file.write(f"{os.getpid()}\n")
    return {"folder": folder, "pid": os.getpid()}


def prepare_without_data() -> None:
    raise DataError("the images are gone from photos/; put them back.")


def prepare_with_a_bug() -> None:
    raise KeyError("nothing")


def run(job: Job, context: dict[str, Any], report: Report) -> Outcome:
    assert context["pid"] == os.getpid()
    report(epoch(1))
    if job.spec.seed == RAISES:
        raise ValueError("first line\nsecond line")
    if job.spec.seed == DIVERGES:
        raise Diverged("loss is nan after 3 steps; lower the learning rate.")
    if job.spec.seed == KILLED:
        os.kill(os.getpid(), signal.SIGKILL)
    if job.spec.seed in (ABORTS, SEGFAULTS):
        os.kill(os.getpid(), signal.SIGABRT if job.spec.seed == ABORTS else signal.SIGSEGV)
    if job.spec.seed in (FILLS, FULL):
        write_to_a_full_disk(in_words=job.spec.seed == FULL)
    if job.spec.seed == EATS:
        eaten = [bytearray(b"x") * 10_000_000 for _ in range(1000)]
        assert not eaten, "somebody should have ended this"
    if job.spec.seed == EXITS:
        os._exit(3)
    if job.spec.seed == HANGS:
        (Path(context["folder"]) / f"hangs-{os.getpid()}").touch()
        time.sleep(600)
    report(epoch(2))
    probabilities = np.full((2, 3), job.id, np.float32)
    return Outcome("finished", probabilities, NO_PROBABILITIES, seconds=0.5, weights=job.limits.save_to)


def write_to_a_full_disk(*, in_words: bool) -> None:
    try:
        with open("/dev/full", "w") as file:  # the kernel's own full disk
            file.write("features")
    except OSError as error:
        if in_words:
            raise ConvliftError("the features cannot be written; free space.") from error
        raise


def describe(job: Job, context: Any, report: Report) -> Outcome:
    """Tells about its process, as JSON in the reason."""
    import cv2

    facts = {
        "threads": os.environ["OMP_NUM_THREADS"],
        "cv2": cv2.getNumThreads(),
        "ignored": [signal.getsignal(s) == signal.SIG_IGN for s in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)],
        "blocked": sorted(signal.pthread_sigmask(signal.SIG_BLOCK, ())),
        "main": getattr(sys.modules["__main__"], "__file__", ""),
    }
    print("a line that no user is to see on stdout")
    return Outcome("finished", NO_PROBABILITIES, NO_PROBABILITIES, reason=json.dumps(facts))


def tell_device(job: Job, context: Any, report: Report) -> Outcome:
    """Tells where it was to run, in the reason."""
    return Outcome("finished", NO_PROBABILITIES, NO_PROBABILITIES, reason=job.device.place)


def epoch(number: int) -> EpochReport:
    return EpochReport("train", number, 2, 1.0, 0.5, 1.0, 0.5, 0.01, 0.1)


def prepare_in(folder: Path) -> Any:
    return partial(prepare, str(folder))
