"""The process that works on a campaign: who listens to it, who may stop it, and when its clock began."""

import os
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from convlift.records.events import Listener, unheard

LOADING_SECONDS = 6.0  # imports and worker processes: 4 to 8 s were measured
STARTUP_SECONDS = 30.0  # a process that is older did something else before: a notebook, a server


def seconds_of_startup() -> float:
    """Wall clock since this process began, for the budget counts from there; 0 in one that had done other work."""
    try:
        ticks = int(Path("/proc/self/stat").read_text().rsplit(")", 1)[1].split()[19])
        age = time.clock_gettime(time.CLOCK_BOOTTIME) - ticks / os.sysconf("SC_CLK_TCK")
    except (OSError, AttributeError, IndexError, ValueError):
        age = time.process_time()
    return age if 0.0 <= age <= STARTUP_SECONDS else 0.0


@dataclass(frozen=True)
class Session:
    """A process at work on a campaign.

    listen: told of everything that happens.
    stop: gives the number of the signal that asked to stop, or 0.
    began: the instant of time.monotonic() from which the budget counts; by default when this process began.
    """

    listen: Listener = unheard
    stop: Callable[[], int] = lambda: 0
    began: float = field(default_factory=lambda: time.monotonic() - seconds_of_startup())
