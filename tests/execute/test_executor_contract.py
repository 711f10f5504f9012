"""Whatever runs the trials, it keeps the contract of execute/job.py."""

from collections.abc import Callable, Iterator
from pathlib import Path

import executor_fakes as fakes
import pytest
from executor_fakes import job

from convlift.errors import DataError, DiskError
from convlift.execute.inline import InlineExecutor
from convlift.execute.job import Ended, Executor
from convlift.execute.processes import ProcessExecutor

Make = Callable[..., Executor]


@pytest.fixture(scope="module", params=[InlineExecutor, ProcessExecutor])
def make(request: pytest.FixtureRequest) -> Make:
    return request.param  # type: ignore[no-any-return]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("executor")


@pytest.fixture(scope="module")
def shared(make: Make, folder: Path) -> Iterator[Executor]:
    (folder / "prepared").unlink(missing_ok=True)
    with make(fakes.run, fakes.prepare_in(folder)) as made:
        yield made


@pytest.fixture
def executor(shared: Executor) -> Iterator[Executor]:
    yield shared
    shared.progress()
    assert shared.running() == ()


def all_of(executor: Executor) -> dict[int, Ended]:
    ended: list[Ended] = []
    while executor.running():
        ended.extend(executor.wait(timeout=600.0))
    return {each.job.id: each for each in ended}


def test_runs_more_jobs_than_it_has_room_for(executor: Executor, folder: Path) -> None:
    jobs = [job(number, save_to=f"{number}.safetensors") for number in range(2 * executor.capacity + 1)]
    for each in jobs:
        executor.submit(each)
    assert {running.job for running in executor.running()} == set(jobs)
    ended = all_of(executor)
    assert sorted(ended) == [each.id for each in jobs]
    for each in jobs:
        outcome = ended[each.id].outcome
        assert (outcome.status, outcome.seconds, outcome.weights) == ("finished", 0.5, each.limits.save_to)
        assert outcome.validation_probabilities.tolist() == [[each.id] * 3] * 2
        assert not ended[each.id].crashed
    assert executor.running() == ()
    assert executor.wait(timeout=0.0) == ()
    # the data is loaded once per process, not once per job
    assert len((folder / "prepared").read_text().split()) <= executor.capacity


def test_reports_every_epoch_once_and_in_order(executor: Executor) -> None:
    executor.submit(job(7))
    all_of(executor)
    assert executor.progress() == ((job(7), fakes.epoch(1)), (job(7), fakes.epoch(2)))
    assert executor.progress() == ()


def test_an_exception_is_an_outcome_in_one_line(executor: Executor) -> None:
    executor.submit(job(1, fakes.RAISES))
    executor.submit(job(2, fakes.DIVERGES))
    executor.submit(job(3))
    ended = all_of(executor)
    failed = ended[1]
    assert (failed.outcome.status, failed.outcome.reason) == ("failed", "ValueError: first line second line")
    assert "executor_fakes.py" in failed.traceback
    assert not failed.crashed
    assert failed.outcome.validation_probabilities.shape == (0, 0)
    assert ended[2].outcome.status == "diverged"
    assert ended[2].outcome.reason == "loss is nan after 3 steps; lower the learning rate."
    assert ended[3].outcome.status == "finished"


def test_a_cancelled_job_is_stopped(executor: Executor) -> None:
    for number in range(executor.capacity + 1):
        executor.submit(job(number))
    last = job(executor.capacity)
    executor.cancel(last, "no time left")
    executor.cancel(job(99), "never submitted")
    assert last in {running.job for running in executor.running()}  # until it has been returned
    ended = all_of(executor)
    assert sorted(ended) == list(range(executor.capacity + 1))
    assert (ended[last.id].outcome.status, ended[last.id].outcome.reason) == ("stopped", "no time left")


def test_missing_data_is_the_campaigns_fault_not_the_trials(make: Make) -> None:
    with make(fakes.run, fakes.prepare_without_data) as executor:
        executor.submit(job(1))
        with pytest.raises(DataError, match="the images are gone from photos/"):
            executor.wait(timeout=600.0)


@pytest.mark.parametrize("kind", [fakes.FILLS, fakes.FULL])
def test_a_full_disk_is_no_trials_fault(make: Make, tmp_path: Path, kind: int) -> None:
    with make(fakes.run, fakes.prepare_in(tmp_path)) as executor:
        executor.submit(job(1))
        assert all_of(executor)[1].outcome.status == "finished"
        executor.submit(job(2, kind))
        with pytest.raises(DiskError, match=r"No space left|the features cannot be written; free space\.") as caught:
            executor.wait(timeout=600.0)
    assert caught.value.exit_code == 75


def test_closing_drops_what_waits(make: Make, tmp_path: Path) -> None:
    executor = make(fakes.run, fakes.prepare_in(tmp_path))
    for number in range(9):
        executor.submit(job(number))
    ended = executor.close()
    assert len(ended) <= executor.capacity
    assert all(each.outcome.status == "finished" for each in ended)
    assert executor.running() == ()
    executor.close()
