"""Memory that really runs out: the kernel kills a worker, which is told from a kill by a person, and fewer go on."""

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest

LIMIT_BYTES = 700_000_000
GROUPS = (
    (Path("/sys/fs/cgroup/memory"), "memory.limit_in_bytes"),  # version 1
    (Path("/sys/fs/cgroup"), "memory.max"),  # version 2
)

PROGRAM = """
import sys
from pathlib import Path
Path(sys.argv[3]).write_text("0")  # this process and its workers enter the group
sys.path.insert(0, sys.argv[2])
import executor_fakes as fakes
from convlift.execute.processes import ProcessExecutor
from convlift.console.resources import usable_memory

print(usable_memory())
with ProcessExecutor(fakes.run, fakes.prepare_in(Path(sys.argv[1])), workers=2) as executor:
    for number, kind in enumerate((fakes.EATS, fakes.KILLED, fakes.FINE)):
        executor.submit(fakes.job(number, kind))
        for ended in executor.wait(600.0):
            print(ended.cause, executor.capacity, ended.outcome.status)
"""


@pytest.fixture
def group() -> Iterator[Path]:
    """The list of processes of a control group with little memory, made for this test."""
    for root, limit in GROUPS:
        made = root / f"convlift-test-{os.getpid()}"
        try:
            made.mkdir()
        except OSError:
            continue
        try:
            (made / limit).write_text(str(LIMIT_BYTES))
            with suppress(OSError):  # no swap, where it is counted
                (made / "memory.swap.max").write_text("0")
            yield made / "cgroup.procs"
            return
        except OSError:
            continue
        finally:
            made.rmdir()
    pytest.skip("this system lets nobody make control groups")


def test_a_worker_killed_for_want_of_memory_is_told_from_one_killed_by_a_person(tmp_path: Path, group: Path) -> None:
    fakes = Path(__file__).parents[1] / "execute"
    command = [sys.executable, "-c", PROGRAM, str(tmp_path), str(fakes), str(group)]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=600)
    left, *ended = done.stdout.splitlines()
    assert 0 < int(left) < LIMIT_BYTES
    assert ended == ["memory 1 failed", "outside 1 failed", "itself 1 finished"], done.stderr
