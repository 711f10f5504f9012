"""What a worker process does: open the data once, then run one job after another."""

import math
import time
from pathlib import Path
from typing import NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

from convlift.data.dataset import Dataset
from convlift.data.splits import Fold, make_splits
from convlift.data.store import reopen_store
from convlift.outcome import Outcome
from convlift.recipe import Recipe
from convlift.trial.order import Order, Report


class Context(NamedTuple):
    """What all jobs of a worker share. cache: where features of frozen backbones are kept."""

    dataset: Dataset
    cache: Path


class Job(Protocol):
    """What is asked of a job; deadline: instant of time.monotonic(), or None."""

    @property
    def recipe(self) -> Recipe: ...
    @property
    def seed(self) -> int: ...
    @property
    def fidelity(self) -> float: ...
    @property
    def deadline(self) -> float | None: ...
    @property
    def save_to(self) -> str: ...
    @property
    def gives_up(self) -> bool: ...


def prepare(
    store: Path, seed: int, cache: Path, groups: NDArray[np.int64] | None = None, fold: Fold | None = None
) -> Context:
    """Open the image store and make its splits again; test labels are masked from then on. groups: see `Dataset`;
    fold: see `make_splits`."""
    whole = reopen_store(store)
    return Context(Dataset(whole, make_splits(whole, seed, groups, fold), groups), cache)


def run_job(job: Job, context: Context, report: Report) -> Outcome:
    """Run one job in this process."""
    # torch takes seconds to import, and the process that only names this function need not wait for it
    from convlift.trial.run import run_trial

    seconds = math.inf if job.deadline is None else job.deadline - time.monotonic()
    order = Order(job.recipe, job.seed, job.fidelity, seconds, job.save_to, job.gives_up)
    return run_trial(order, context.dataset, context.cache, report)
