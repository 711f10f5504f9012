"""Who picks an executor, and what is picked."""

from pathlib import Path

import executor_fakes as fakes
import pytest
from executor_fakes import job

import convlift
from convlift.execute.choose import executor_for


@pytest.mark.parametrize(("workers", "capacity"), [(0, 1), (1, 1), (2, 2)])
def test_as_many_trials_at_a_time_as_workers(tmp_path: Path, workers: int, capacity: int) -> None:
    with executor_for(fakes.run, fakes.prepare_in(tmp_path), workers=workers, log=tmp_path / "log") as executor:
        assert executor.capacity == capacity
        executor.submit(job(1))
        (ended,) = executor.wait(600.0)
    assert ended.outcome.status == "finished"
    assert (tmp_path / "log").exists() == (workers > 0)


def test_nobody_else_picks_one() -> None:
    package = Path(convlift.__file__).parent
    made = ("ProcessExecutor(", "InlineExecutor(")
    places = [path for path in package.rglob("*.py") if any(call in path.read_text() for call in made)]
    assert [str(path.relative_to(package)) for path in places] == ["execute/choose.py"]
