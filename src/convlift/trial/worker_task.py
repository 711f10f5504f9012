"""What a worker process does: open the data once, then run one job after another."""

from pathlib import Path
from typing import NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

from convlift.data.dataset import Dataset
from convlift.data.splits import Fold, Splits, make_splits
from convlift.data.store import reopen_store
from convlift.recipe.combination import Combination
from convlift.recipe.trial_spec import Limits, TrialSpec
from convlift.records.compute_device import Device
from convlift.records.goal import ShiftedCopies
from convlift.records.outcome import Outcome
from convlift.trial.trial_clock import Report


class Context(NamedTuple):
    """What all jobs of a worker share. cache: where features of frozen backbones are kept."""

    dataset: Dataset
    cache: Path


class Job(Protocol):
    """What a worker is given."""

    @property
    def spec(self) -> TrialSpec: ...
    @property
    def limits(self) -> Limits: ...
    @property
    def device(self) -> Device: ...
    @property
    def combination(self) -> Combination | None: ...


def prepare(
    store: Path,
    seed: int,
    cache: Path,
    groups: NDArray[np.int64] | None = None,
    fold: Fold | None = None,
    copies: ShiftedCopies | None = None,
) -> Context:
    """Open the image store and make its splits again; test labels are masked from then on. groups, copies: see
    `Dataset`; fold: see `make_splits`."""
    whole = reopen_store(store)
    return Context(Dataset(whole, make_splits(whole, seed, groups, fold), groups, copies=copies), cache)


def prepare_all(store: Path, seed: int, cache: Path, groups: NDArray[np.int64] | None = None) -> Context:
    """The same once the test was opened: its images are at the end of the validation images, which a refit learns from,
    and nothing is sealed."""
    whole = reopen_store(store)
    splits = make_splits(whole, seed, groups)
    known = np.concatenate([splits.validation, splits.test])
    return Context(Dataset(whole, Splits(splits.train, known, splits.test[:0]), groups), cache)


def run_job(job: Job, context: Context, report: Report) -> Outcome:
    """Run one job in this process."""
    # torch takes seconds to import, and the process that only names this function need not wait for it
    from convlift.trial.combine_networks import combine_networks
    from convlift.trial.run_trial import run_trial

    if job.combination:
        return combine_networks(job.spec, job.combination, context.dataset, job.limits, job.device)
    return run_trial(job.spec, context.dataset, context.cache, report, job.limits, job.device)
