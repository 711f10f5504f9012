"""Worker processes: they die alone, are replaced, and never outlive their parent."""

import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import executor_fakes as fakes
import pytest
from executor_fakes import job

from convlift.execute.processes import ProcessExecutor

HERE = Path(__file__).parent


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("workers")


@pytest.fixture(scope="module")
def executor(folder: Path) -> Iterator[ProcessExecutor]:
    with ProcessExecutor(fakes.run, fakes.prepare_in(folder), workers=1) as made:
        yield made


def alive(pid: int) -> bool:
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0]
    except FileNotFoundError:
        return False
    return state != "Z"


def until(condition: object, seconds: float = 600.0) -> None:
    assert callable(condition)
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "waited in vain"
        time.sleep(0.005)


def hanging(folder: Path) -> list[int]:
    return [int(path.name.removeprefix("hangs-")) for path in folder.glob("hangs-*")]


def test_a_dead_worker_costs_its_job_and_is_replaced(executor: ProcessExecutor) -> None:
    executor.submit(job(1, fakes.KILLED))
    executor.submit(job(2, fakes.EXITS))
    executor.submit(job(3))
    ended = [executor.wait(timeout=600.0)[0] for _ in range(3)]
    assert [each.job.id for each in ended] == [1, 2, 3]
    assert [each.outcome.status for each in ended] == ["failed", "failed", "finished"]
    assert [each.crashed for each in ended] == [True, True, False]
    assert [each.cause for each in ended] == ["outside", "itself", "itself"]
    assert ended[0].outcome.reason == "worker was killed by signal 9 (SIGKILL), sent from outside"
    assert ended[1].outcome.reason == "worker ended with exit code 3 in the middle of the trial"


def test_a_crash_of_its_own_is_told_from_a_kill(executor: ProcessExecutor) -> None:
    for number, kind in enumerate((fakes.ABORTS, fakes.SEGFAULTS)):
        executor.submit(job(number, kind))
        (ended,) = executor.wait(timeout=600.0)
        assert (ended.crashed, ended.cause) == (True, "itself")
        assert re.fullmatch(r"worker was killed by signal \d+ \(SIG(ABRT|SEGV)\)", ended.outcome.reason)


def test_where_memory_ran_out_fewer_workers_go_on(tmp_path: Path) -> None:
    counts = iter([5, 6, 6, 7, 7, 7])  # what the kernel says when asked: at the start, after each death
    with ProcessExecutor(
        fakes.run, fakes.prepare_in(tmp_path), workers=4, count_oom_kills=lambda: next(counts)
    ) as executor:
        found = []
        for number in range(4):
            executor.submit(job(number, fakes.KILLED))
            (ended,) = executor.wait(timeout=600.0)
            found.append((ended.cause, executor.capacity, ended.outcome.reason.partition("(SIGKILL)")[2]))
        assert found == [
            ("memory", 2, ": memory ran out; 2 of 4 workers go on"),
            ("outside", 2, ", sent from outside"),
            ("memory", 1, ": memory ran out; 1 of 2 workers go on"),
            ("outside", 1, ", sent from outside"),
        ]
        for number in range(3):
            executor.submit(job(number))
        ended_ids = []
        while executor.running():
            assert sum(worker.job is not None for worker in executor._workers) <= 1
            ended_ids += [ended.job.id for ended in executor.wait(timeout=600.0)]
        assert sorted(ended_ids) == [0, 1, 2]
        assert len(executor._workers) == 1  # the others have given their memory back


def test_a_worker_killed_while_it_loads_is_killed_from_outside(tmp_path: Path) -> None:
    with ProcessExecutor(fakes.run, fakes.prepare_in(tmp_path), workers=1) as executor:
        executor.submit(job(1))
        executor._workers[0].process.kill()
        (ended,) = executor.wait(timeout=600.0)
        assert (ended.crashed, ended.cause) == (True, "outside")


def test_a_worker_that_died_idle_costs_nothing(executor: ProcessExecutor, folder: Path) -> None:
    executor.submit(job(0))
    executor.wait(timeout=600.0)
    pid = int((folder / "prepared").read_text().split()[-1])
    os.kill(pid, signal.SIGKILL)
    until(lambda: not alive(pid))
    executor.submit(job(1))
    assert executor.wait(timeout=600.0)[0].outcome.status == "finished"


def test_cancelling_kills_only_that_worker(tmp_path: Path) -> None:
    with ProcessExecutor(fakes.run, fakes.prepare_in(tmp_path), workers=2) as executor:
        executor.submit(job(1, fakes.HANGS))
        until(lambda: hanging(tmp_path))
        (pid,) = hanging(tmp_path)
        assert executor.running()[0].seconds > 0
        assert executor.wait(timeout=0.01) == ()
        executor.cancel(job(1, fakes.HANGS), "past its deadline")
        assert not alive(pid)
        executor.submit(job(2))
        ended = {each.job.id: each for _ in range(2) for each in executor.wait(timeout=600.0)}
        assert (ended[1].outcome.status, ended[1].outcome.reason) == ("stopped", "past its deadline")
        assert ended[1].outcome.seconds > 0
        assert not ended[1].crashed
        assert ended[2].outcome.status == "finished"


def interrupted(folder: Path) -> None:
    with ProcessExecutor(fakes.run, fakes.prepare_in(folder), workers=1) as executor:
        executor.submit(job(1, fakes.HANGS))
        until(lambda: hanging(folder))
        raise KeyboardInterrupt


def test_an_exception_kills_what_runs(tmp_path: Path) -> None:
    with pytest.raises(KeyboardInterrupt):
        interrupted(tmp_path)
    assert not alive(hanging(tmp_path)[0])


def test_workers_leave_signals_threads_and_stdout_alone(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    log = tmp_path / "log.txt"
    prepare = fakes.prepare_in(tmp_path)
    with ProcessExecutor(fakes.describe, prepare, workers=1, log=log) as executor:
        executor.submit(job(1))
        ended = executor.wait(timeout=600.0)[0]
    told = json.loads(ended.outcome.reason)
    assert told.pop("main").endswith("worker.py")
    assert told == {"threads": "1", "cv2": 1, "ignored": [True, True, True], "blocked": []}
    assert capfd.readouterr().out == ""
    assert "a line that no user is to see on stdout" in log.read_text()


def test_a_suspended_worker_goes_on_where_it_was(tmp_path: Path) -> None:
    with ProcessExecutor(fakes.run, fakes.prepare_in(tmp_path), workers=1) as executor:
        pid = executor._workers[0].process.pid
        os.kill(pid, signal.SIGSTOP)
        executor.submit(job(1))
        until(lambda: Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] == "T")
        assert executor.wait(timeout=0.01) == ()
        assert len(executor.running()) == 1
        os.kill(pid, signal.SIGCONT)
        (ended,) = executor.wait(timeout=600.0)
        assert (ended.outcome.status, ended.crashed) == ("finished", False)


def test_a_bug_in_prepare_shows_its_traceback() -> None:
    with ProcessExecutor(fakes.run, fakes.prepare_with_a_bug, workers=1) as executor:
        executor.submit(job(1))
        with pytest.raises(RuntimeError, match=r"(?s)could not load its data.*prepare_with_a_bug.*KeyError"):
            executor.wait(timeout=600.0)


SCRIPT = f"""
import sys
sys.path.insert(0, {str(HERE)!r})
from pathlib import Path
import executor_fakes as fakes
from convlift.execute.processes import ProcessExecutor

print("the main module runs")
folder = Path(sys.argv[1])
kind = int(sys.argv[2])
with ProcessExecutor(fakes.run, fakes.prepare_in(folder), workers=2) as executor:
    executor.submit(fakes.job(1, kind))
    executor.submit(fakes.job(2, kind))
    while executor.running():
        for ended in executor.wait(1.0):
            print(ended.job.id, ended.outcome.status)
"""


def test_a_script_without_a_guard_runs_once(tmp_path: Path) -> None:
    script = tmp_path / "script.py"
    script.write_text(SCRIPT)
    command = [sys.executable, str(script), str(tmp_path), str(fakes.FINE)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=600, check=True)
    assert sorted(done.stdout.splitlines()) == ["1 finished", "2 finished", "the main module runs"]
    assert done.stderr == ""


def test_no_worker_outlives_a_killed_parent(tmp_path: Path) -> None:
    # also the check that workers start from `python -c`, where there is no main file
    command = [sys.executable, "-c", SCRIPT, str(tmp_path), str(fakes.HANGS)]
    with subprocess.Popen(command, stdout=subprocess.DEVNULL) as parent:
        until(lambda: len(hanging(tmp_path)) == 2)
        parent.kill()
    until(lambda: not any(alive(pid) for pid in hanging(tmp_path)))


def test_ctrl_c_reaches_the_parent_alone(tmp_path: Path) -> None:
    with ProcessExecutor(fakes.run, fakes.prepare_in(tmp_path), workers=1) as executor:
        # while it imports, the signal is blocked; from then on, ignored
        pid = executor._workers[0].process.pid
        os.kill(pid, signal.SIGINT)
        executor.submit(job(1))
        assert executor.wait(timeout=600.0)[0].outcome.status == "finished"
        os.kill(pid, signal.SIGINT)
        executor.submit(job(2))
        assert executor.wait(timeout=600.0)[0].outcome.status == "finished"


def test_a_lost_parent_is_noticed_without_its_signal(tmp_path: Path) -> None:
    """The pipe's end alone ends a worker in the middle of a job: the only sign on systems without prctl."""
    executor = ProcessExecutor(fakes.run, partial(fakes.prepare, str(tmp_path)), workers=1)
    executor.submit(job(1, fakes.HANGS))
    until(lambda: hanging(tmp_path))
    worker = executor._workers[0]
    worker.connection.close()
    assert worker.process.wait(timeout=600.0) == 0
    executor._workers.clear()
    executor.close()
