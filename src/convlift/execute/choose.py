"""Which executor runs a campaign's trials: the only place that picks one."""

from collections.abc import Sequence
from pathlib import Path

from convlift.execute.inline import InlineExecutor
from convlift.execute.job import Executor, Prepare, Run
from convlift.execute.processes import ProcessExecutor
from convlift.records.compute_device import CPU, Device


def executor_for(
    run: Run, prepare: Prepare, *, workers: int, devices: Sequence[Device] = (CPU,), log: Path | None = None
) -> Executor:
    """An executor with room for `workers` trials at a time; see `Executor` for `run` and `prepare`.

    0 workers: the calling process runs them itself, one after another. devices: over which the workers are dealt out,
    so that several share one where there are more workers. log: file that takes what workers print.
    """
    if not workers:
        return InlineExecutor(run, prepare, devices[0])
    return ProcessExecutor(run, prepare, workers=workers, devices=devices, log=log)
