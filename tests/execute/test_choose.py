"""Who picks an executor, and what is picked."""

from pathlib import Path

import executor_fakes as fakes
import pytest
from executor_fakes import job

import convlift
from convlift.execute.choose import executor_for
from convlift.execute.processes import ProcessExecutor
from convlift.records.compute_device import Device


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


GPUS = (Device("cuda", 0, "NVIDIA L4"), Device("cuda", 1, "NVIDIA L4"))


def test_one_process_has_the_first_device(tmp_path: Path) -> None:
    with executor_for(fakes.tell_device, fakes.prepare_in(tmp_path), workers=0, devices=GPUS) as executor:
        executor.submit(job(1))
        (ended,) = executor.wait()
    assert (ended.outcome.reason, ended.job) == ("cuda:0", job(1))


def test_workers_are_dealt_out_over_the_devices(tmp_path: Path) -> None:
    prepared = fakes.prepare_in(tmp_path)
    with executor_for(fakes.tell_device, prepared, workers=3, devices=GPUS, log=tmp_path / "log") as executor:
        assert isinstance(executor, ProcessExecutor)
        dealt = [worker.device.place for worker in executor._workers]
        for number in range(3):
            executor.submit(job(number))
        ended = []
        while executor.running():
            ended += executor.wait(600.0)
    assert dealt == ["cuda:0", "cuda:1", "cuda:0"]
    assert {each.outcome.reason for each in ended} <= {"cuda:0", "cuda:1"}
    assert sorted(each.job.id for each in ended) == [0, 1, 2]
    assert all(each.job == job(each.job.id) for each in ended)  # as it was submitted
