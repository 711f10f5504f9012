"""Processes of their own for tests that kill, stop and crowd them."""

import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

LEDGER = """
import sys, time
from pathlib import Path
import numpy as np
from convlift.recipe.trial_spec import TrialSpec
from convlift.errors import ConvliftError
from convlift.ledger.fingerprint import Identity
from convlift.ledger.ledger import open_ledger, read_ledger
from convlift.ledger.trials import Plan
from convlift.records.outcome import NO_PROBABILITIES, Outcome
from convlift.recipe.recipe import Recipe

IDENTITY = Identity("data", Recipe(), 0, "accuracy")
ENDED = Outcome("finished", np.full((400, 10), 0.1, np.float32), NO_PROBABILITIES)


def finish_one(ledger, seed):
    return ledger.finish(ledger.claim(Plan("search", TrialSpec(Recipe(), seed))).id, ENDED)
"""


def start(program: str, *arguments: object, wrapped: tuple[str, ...] = ()) -> "subprocess.Popen[str]":
    """A Python process of `program`, whose lines can be read. wrapped: a command before it."""
    command = [*wrapped, sys.executable, "-c", program, *map(str, arguments)]
    pipe = subprocess.PIPE
    return subprocess.Popen(command, stdin=pipe, stdout=pipe, stderr=pipe, text=True)


def until(condition: Callable[[], object], seconds: float = 600.0) -> None:
    """Wait for what another process does."""
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "waited in vain"
        time.sleep(0.005)


def line_of(process: "subprocess.Popen[str]") -> str:
    assert process.stdout is not None
    return process.stdout.readline().strip()


def state_of(pid: int) -> str:
    """R, S, T (stopped), Z, ... of proc(5); "" where it is gone."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0]
    except (FileNotFoundError, ProcessLookupError):
        return ""


def own_mounts() -> tuple[str, ...] | None:
    """The command that gives a process mounts that nobody else sees; None where that is not allowed."""
    for command in (("unshare", "--mount"), ("unshare", "--map-root-user", "--mount")):
        try:
            trial = [*command, "mount", "-t", "tmpfs", "-o", "size=64k", "none", "/mnt"]
            if subprocess.run(trial, capture_output=True, check=False, timeout=20).returncode == 0:
                return command
        except (OSError, subprocess.TimeoutExpired):
            continue
    return None
