"""What may be used: affinity, quotas and limits of both versions of control groups, built as files."""

import ast
import os
import resource
import subprocess
import sys
from pathlib import Path

import pytest

import convlift
from convlift.console.resources import (
    PARENT_BYTES,
    UNLIMITED,
    WORKER_BYTES,
    oom_kills,
    usable_cpus,
    usable_memory,
    usable_workers,
)

GIGABYTE = 10**9
ALLOWED = len(os.sched_getaffinity(0))
MANY = str(1000 * ALLOWED * 100_000)  # a quota that does not bind on any machine


class Machine:
    """Files of a made-up machine under `root`."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.write("proc/meminfo", "MemTotal:  64000000 kB\nMemAvailable:   32000000 kB\n")

    def write(self, path: str, text: str | int) -> None:
        (self.root / path).parent.mkdir(parents=True, exist_ok=True)
        (self.root / path).write_text(f"{text}\n")

    def version_2(self, path: str) -> None:
        self.write("proc/self/cgroup", f"0::{path}")
        self.write("proc/self/mountinfo", "30 23 0:26 / /sys/fs/cgroup rw,nosuid - cgroup2 cgroup2 rw,nsdelegate")
        (self.root / "sys/fs/cgroup").mkdir(parents=True)

    def version_1(self, path: str) -> None:
        self.write("proc/self/cgroup", f"9:name=systemd:{path}\n4:memory:{path}\n2:cpu,cpuacct:{path}")
        mounts = (
            "33 30 0:29 / /sys/fs/cgroup/memory rw - cgroup cgroup rw,memory\n"
            "34 30 0:30 / /sys/fs/cgroup/cpu,cpuacct rw - cgroup cgroup rw,cpu,cpuacct\n"
            "35 30 0:31 / /sys/fs/cgroup/systemd rw - cgroup cgroup rw,xattr,name=systemd"
        )
        self.write("proc/self/mountinfo", mounts)


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    return Machine(tmp_path)


def test_without_limits_it_is_what_the_machine_allows(machine: Machine) -> None:
    assert usable_cpus(machine.root) == ALLOWED
    assert usable_memory(machine.root) == 32_000_000 * 1024
    assert oom_kills(machine.root) == 0


def test_nothing_is_known_where_there_is_no_proc(tmp_path: Path) -> None:
    assert usable_cpus(tmp_path / "nowhere") == ALLOWED
    assert usable_memory(tmp_path / "nowhere") == UNLIMITED


@pytest.mark.parametrize(
    ("quota", "cores"), [("100000 100000", 1), ("50000 100000", 1), ("1000 100000", 1), (f"{MANY} 100000", ALLOWED)]
)
def test_a_quota_of_version_2_counts_in_whole_cores(quota: str, cores: int, machine: Machine) -> None:
    machine.version_2("/job")
    machine.write("sys/fs/cgroup/job/cpu.max", quota)
    assert usable_cpus(machine.root) == cores


@pytest.mark.parametrize("text", ["max 100000", "max", "", "nonsense", "100000 0", "-1 100000"])
def test_no_quota_is_no_limit(text: str, machine: Machine) -> None:
    machine.version_2("/job")
    machine.write("sys/fs/cgroup/job/cpu.max", text)
    assert usable_cpus(machine.root) == ALLOWED


def test_the_tightest_group_up_to_the_root_counts(machine: Machine) -> None:
    machine.version_2("/slice/user/job")
    machine.write("sys/fs/cgroup/slice/user/job/cpu.max", "max 100000")
    machine.write("sys/fs/cgroup/slice/cpu.max", "100000 100000")
    machine.write("sys/fs/cgroup/slice/user/job/memory.max", 9 * GIGABYTE)
    machine.write("sys/fs/cgroup/slice/user/memory.max", 4 * GIGABYTE)
    machine.write("sys/fs/cgroup/slice/memory.max", "max")
    assert usable_cpus(machine.root) == 1
    assert usable_memory(machine.root) == 4 * GIGABYTE


def test_a_container_that_sees_its_own_group_as_the_top(machine: Machine) -> None:
    machine.version_2("/docker/0123456789ab")  # what the kernel says; under the mount there is no such folder
    machine.write("sys/fs/cgroup/cpu.max", "100000 100000")
    machine.write("sys/fs/cgroup/memory.max", 2 * GIGABYTE)
    assert usable_cpus(machine.root) == 1
    assert usable_memory(machine.root) == 2 * GIGABYTE


def test_a_path_outside_the_namespace_leads_nowhere_else(machine: Machine) -> None:
    machine.version_2("/../../elsewhere")
    machine.write("elsewhere/cpu.max", "100000 100000")
    assert usable_cpus(machine.root) == ALLOWED


def test_quota_and_limit_of_version_1(machine: Machine) -> None:
    machine.version_1("/docker/ab")
    machine.write("sys/fs/cgroup/cpu,cpuacct/docker/ab/cpu.cfs_quota_us", 150_000)
    machine.write("sys/fs/cgroup/cpu,cpuacct/docker/ab/cpu.cfs_period_us", 100_000)
    machine.write("sys/fs/cgroup/memory/docker/ab/memory.limit_in_bytes", 3 * GIGABYTE)
    machine.write("sys/fs/cgroup/memory/memory.limit_in_bytes", 9223372036854771712)
    assert usable_cpus(machine.root) == 1
    assert usable_memory(machine.root) == 3 * GIGABYTE


def test_no_limits_of_version_1(machine: Machine) -> None:
    machine.version_1("/")
    machine.write("sys/fs/cgroup/cpu,cpuacct/cpu.cfs_quota_us", -1)
    machine.write("sys/fs/cgroup/cpu,cpuacct/cpu.cfs_period_us", 100_000)
    machine.write("sys/fs/cgroup/memory/memory.limit_in_bytes", 9223372036854771712)
    assert usable_cpus(machine.root) == ALLOWED
    assert usable_memory(machine.root) == 32_000_000 * 1024


def test_what_the_group_uses_is_gone_but_its_cache_is_not(machine: Machine) -> None:
    machine.version_2("/job")
    machine.write("sys/fs/cgroup/job/memory.max", 8 * GIGABYTE)
    machine.write("sys/fs/cgroup/job/memory.current", 6 * GIGABYTE)
    machine.write("sys/fs/cgroup/job/memory.stat", f"anon {2 * GIGABYTE}\ninactive_file {4 * GIGABYTE}")
    assert usable_memory(machine.root) == 6 * GIGABYTE
    machine.write("sys/fs/cgroup/job/memory.current", 20 * GIGABYTE)  # a limit that was lowered since
    assert usable_memory(machine.root) == 0


def test_memory_decides_beside_the_cores() -> None:
    plenty = PARENT_BYTES + 64 * WORKER_BYTES
    assert usable_workers(8, plenty) == 8
    assert usable_workers(8, UNLIMITED) == 8
    assert usable_workers(8, PARENT_BYTES + 3 * WORKER_BYTES) == 3
    assert usable_workers(8, 0) == 1


@pytest.mark.parametrize("version", [1, 2])
def test_kills_for_want_of_memory_are_counted_in_the_own_group(version: int, machine: Machine) -> None:
    machine.write("proc/vmstat", "nr_free_pages 5\noom_kill 40")  # the whole host's
    assert oom_kills(machine.root) == 40
    if version == 2:
        machine.version_2("/job")
        machine.write("sys/fs/cgroup/job/memory.events", "low 0\noom 3\noom_kill 2\noom_group_kill 1")
    else:
        machine.version_1("/job")
        machine.write("sys/fs/cgroup/memory/job/memory.oom_control", "oom_kill_disable 0\nunder_oom 0\noom_kill 2")
    assert oom_kills(machine.root) == 2


ASK = "from convlift.console.resources import usable_cpus, usable_memory; print(usable_cpus(), usable_memory())"


def test_a_process_on_one_core_has_one() -> None:
    def one_core() -> None:
        os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})

    done = subprocess.run([sys.executable, "-c", ASK], preexec_fn=one_core, capture_output=True, text=True, check=True)
    assert done.stdout.split()[0] == "1"


def test_a_process_with_limited_memory_has_no_more() -> None:
    def two_gigabytes() -> None:
        resource.setrlimit(resource.RLIMIT_AS, (2 * GIGABYTE, 2 * GIGABYTE))

    command = [sys.executable, "-c", ASK]
    done = subprocess.run(command, preexec_fn=two_gigabytes, capture_output=True, text=True, check=True)
    assert int(done.stdout.split()[1]) <= 2 * GIGABYTE


def test_nobody_asks_for_the_size_of_the_machine() -> None:
    package = Path(convlift.__file__).parent
    asked = [
        path.relative_to(package).as_posix()
        for path in sorted(package.rglob("*.py"))
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.Attribute) and node.attr == "cpu_count"
    ]
    assert asked == ["console/resources.py"]
