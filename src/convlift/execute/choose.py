"""Which executor runs a campaign's trials: the only place that picks one."""

from pathlib import Path

from convlift.execute.inline import InlineExecutor
from convlift.execute.job import Executor, Prepare, Run
from convlift.execute.processes import ProcessExecutor


def executor_for(run: Run, prepare: Prepare, *, workers: int, log: Path | None = None) -> Executor:
    """An executor with room for `workers` trials at a time; see `Executor` for `run` and `prepare`.

    0 workers: the calling process runs them itself, one after another. log: file that takes what workers print.
    """
    if not workers:
        return InlineExecutor(run, prepare)
    return ProcessExecutor(run, prepare, workers=workers, log=log)
