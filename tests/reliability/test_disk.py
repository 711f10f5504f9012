"""Disks that are really full: the kernel refuses, the campaign says so with exit code 75, and nothing is lost."""

import subprocess
from functools import cache
from pathlib import Path

import pytest
from real_processes import LEDGER, own_mounts, start

from convlift.errors import DiskError
from convlift.ledger.fingerprint import Identity
from convlift.ledger.ledger import read_ledger
from convlift.recipe.recipe import Recipe


@cache
def mounts() -> tuple[str, ...]:
    found = own_mounts()
    if found is None:
        pytest.skip("this system lets nobody mount a small disk of their own")
    return found


def on_a_small_disk(program: str, place: Path, kilobytes: int) -> "subprocess.CompletedProcess[str]":
    """Run a program whose folder sys.argv[1] is a disk of its own; what lies there is copied to sys.argv[2] after."""
    (place / "disk").mkdir()
    script = (
        'mount -t tmpfs -o size="$1"k none "$2" && "$3" -c "$4" "$2"; code=$?; cp -r "$2" "$5"; umount "$2"; exit $code'
    )
    command = ["bash", "-c", script, "-", str(kilobytes), str(place / "disk"), python(), program, str(place / "copy")]
    return subprocess.run([*mounts(), *command], capture_output=True, text=True, check=False, timeout=600)


def python() -> str:
    import sys

    return sys.executable


FILL = f"""{LEDGER}
done = 0
try:
    with open_ledger(Path(sys.argv[1]) / "run", IDENTITY, heartbeat=3600.0) as ledger:
        for seed in range(10_000):
            finish_one(ledger, seed)
            done += 1
except ConvliftError as error:
    print(done)
    print(error)
    raise SystemExit(error.exit_code)
"""


def test_a_ledger_on_a_full_disk_keeps_what_it_was_told(tmp_path: Path) -> None:
    done = on_a_small_disk(FILL, tmp_path, 400)
    said = done.stdout.splitlines()
    assert done.returncode == DiskError.exit_code == 75, done.stderr
    assert "cannot be written" in said[1]
    assert "free space" in said[1]
    # on the copy there is room again
    with read_ledger(tmp_path / "copy" / "run") as ledger:
        ended = [trial for trial in ledger.trials() if trial.outcome is not None]
        assert len(ended) == int(said[0]) > 0
        assert ledger.identity == Identity("data", Recipe(), 0, "accuracy")


WEIGHTS = """
import sys
from pathlib import Path
import numpy as np
from torch import nn
from convlift.errors import ConvliftError
from convlift.model.checkpoint import save_network

place, normal = Path(sys.argv[1]), (np.zeros(3, np.float32), np.ones(3, np.float32))
save_network(place / "1.safetensors", nn.Linear(200, 200), normal)
try:
    save_network(place / "2.safetensors", nn.Linear(400, 400), normal)
except ConvliftError as error:
    print(error)
    print(*sorted(path.name for path in place.iterdir()))
    raise SystemExit(error.exit_code)
"""


def test_weights_on_a_full_disk_leave_the_earlier_ones_and_nothing_half_written(tmp_path: Path) -> None:
    done = on_a_small_disk(WEIGHTS, tmp_path, 300)
    assert done.returncode == 75, done.stderr
    said = done.stdout.splitlines()
    assert "is full (No space left on device" in said[0]
    assert said[1] == "1.safetensors"


READ_ONLY = f"""{LEDGER}
import subprocess
place = sys.argv[1]
open_ledger(Path(place) / "run", IDENTITY).close()
subprocess.run(["mount", "-o", "remount,ro", place], check=True)
for folder in ("run", "other"):
    try:
        open_ledger(Path(place) / folder, IDENTITY)
    except ConvliftError as error:
        print(error)
with read_ledger(Path(place) / "run") as ledger:  # a finished run on a disk that nobody may write is still read
    print(len(ledger.trials()))
"""


def test_a_read_only_disk_is_named_before_anything_is_trained(tmp_path: Path) -> None:
    done = on_a_small_disk(READ_ONLY, tmp_path, 2000)
    assert done.returncode == 0, done.stderr
    first, second, third = done.stdout.splitlines()
    assert first.startswith(f"{tmp_path / 'disk' / 'run'} cannot be written (Read-only file system)")
    assert second.startswith(f"{tmp_path / 'disk' / 'other'} cannot be made (Read-only file system)")
    assert third == "0"


SHARED_MEMORY = """
import sys
from pathlib import Path
sys.path.insert(0, sys.argv[2])
import executor_fakes as fakes
from convlift.execute.processes import ProcessExecutor

with ProcessExecutor(fakes.run, fakes.prepare_in(Path(sys.argv[1])), workers=2) as executor:
    for number in range(4):
        executor.submit(fakes.job(number))
    while executor.running():
        for ended in executor.wait(600.0):
            print(ended.outcome.status)
    for worker in executor._workers:
        assert "/dev/shm/" not in Path(f"/proc/{worker.process.pid}/maps").read_text()
"""


def test_workers_need_no_shared_memory(tmp_path: Path) -> None:
    command = "mount -t tmpfs -o size=4k none /dev/shm && dd if=/dev/zero of=/dev/shm/full bs=4k count=1 status=none"
    fakes = Path(__file__).parents[1] / "execute"
    process = start(SHARED_MEMORY, tmp_path, fakes, wrapped=(*mounts(), "bash", "-c", f'{command}; exec "$@"', "-"))
    out, error = process.communicate(timeout=600)
    assert out.split() == ["finished"] * 4, error
