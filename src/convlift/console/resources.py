"""What this process may use: the cores and the memory that its container and its user leave it, not the machine's.

Sources: cgroups(7); the kernel's Documentation/admin-guide/cgroup-v2.rst and cgroup-v1/memory.rst; proc(5).
"""

import os
import re
import resource
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

ROOT = Path("/")
WORKER_BYTES = 1_700_000_000
"""Fine-tuning EfficientNet-Lite0 on 256 px photos took a worker 1.65 GB of its own at its peak, one on digits .6 GB."""
PARENT_BYTES = 600_000_000  # the process that plans, with torch loaded, had .5 GB
GPU_WORKER_BYTES = 3_500_000_000  # of the machine's memory, of a worker with CUDA's libraries loaded
UNLIMITED = 1 << 60  # cgroup v1 writes "no limit" as the largest number of whole pages


class Group(NamedTuple):
    """One control group that holds this process.

    version: 1 or 2.
    folder: where its files lie.
    """

    version: int
    folder: Path


def usable_cpus(root: Path = ROOT) -> int:
    """Cores that this process may keep busy, at least 1: its affinity, and the CPU quota of every group it is in.

    A quota of two and a half cores counts as 2: a worker that gets half of a core makes all others wait for it.
    root: the folder in which proc/ and the control groups are looked for.
    """
    quotas = [quota for group in _groups("cpu", root) if (quota := _quota(group)) is not None]
    return max(1, int(min([float(_allowed()), *quotas])))


def usable_memory(root: Path = ROOT) -> int:
    """Bytes that may still be taken: what the machine has available, what every control group leaves, RLIMIT_AS.

    A group's page cache counts as free, for the kernel takes it back. Unknown everywhere: UNLIMITED.
    """
    most = _available(root)
    for group in _groups("memory", root):
        most = min(most, _left(group))
    soft = resource.getrlimit(resource.RLIMIT_AS)[0]
    return max(0, most if soft == resource.RLIM_INFINITY else min(most, soft))


def usable_workers(cpus: int, memory: int, each: int = WORKER_BYTES) -> int:
    """How many workers of one thread each fit, at least 1: one a core, as long as each has so much memory."""
    return max(1, min(cpus, (memory - PARENT_BYTES) // each))


def oom_kills(root: Path = ROOT) -> int:
    """How many processes the kernel has killed for want of memory so far, in this process's group or, where that is
    not counted, on this machine; 0 where the kernel does not count them.

    A process that died by SIGKILL while this number rose was not killed by a person.
    """
    names = {1: "memory.oom_control", 2: "memory.events"}
    places = [group.folder / names[group.version] for group in _groups("memory", root)]
    for place in (*places, root / "proc/vmstat"):
        if found := re.search(r"^oom_kill (\d+)$", _text(place), re.MULTILINE):
            return int(found[1])
    return 0


def _allowed() -> int:
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1  # macOS has neither affinity nor control groups


def _quota(group: Group) -> float | None:
    """Cores that a group's quota of time is worth; None without one."""
    if group.version == 2:
        quota, _, period = _text(group.folder / "cpu.max").partition(" ")
    else:
        quota, period = _text(group.folder / "cpu.cfs_quota_us"), _text(group.folder / "cpu.cfs_period_us")
    has_one = quota.isdecimal() and period.isdecimal() and int(period) > 0  # else "max", "-1", or no file
    return int(quota) / int(period) if has_one else None


def _left(group: Group) -> int:
    """Bytes that a group may still take."""
    names = ("memory.max", "memory.current", "inactive_file")
    if group.version == 1:
        names = ("memory.limit_in_bytes", "memory.usage_in_bytes", "total_inactive_file")
    limit, used = _text(group.folder / names[0]), _text(group.folder / names[1])
    if not limit.isdecimal() or int(limit) >= UNLIMITED:
        return UNLIMITED
    cached = re.search(rf"^{names[2]} (\d+)$", _text(group.folder / "memory.stat"), re.MULTILINE)
    taken = int(used) if used.isdecimal() else 0
    return int(limit) - max(0, taken - (int(cached[1]) if cached else 0))


def _available(root: Path) -> int:
    found = re.search(r"^MemAvailable:\s+(\d+) kB$", _text(root / "proc/meminfo"), re.MULTILINE)
    return 1024 * int(found[1]) if found else UNLIMITED


def _groups(controller: str, root: Path) -> Iterator[Group]:
    """The groups of this process that may limit it, from its own up to the topmost that can be seen.

    A container often sees its own group as the top: then the path that the kernel tells is not there, and is skipped.
    """
    mounts = dict(_mounts(root))
    for line in _text(root / "proc/self/cgroup").splitlines():
        _, _, rest = line.partition(":")
        names, _, path = rest.partition(":")
        mount = mounts.get(controller if controller in names.split(",") else names)
        if mount is None or (names and controller not in names.split(",")):
            continue
        parts = [part for part in path.split("/") if part not in ("", "..")]
        for depth in range(len(parts), -1, -1):
            folder = mount.joinpath(*parts[:depth])
            if folder.is_dir():
                yield Group(1 if names else 2, folder)


def _mounts(root: Path) -> Iterator[tuple[str, Path]]:
    """(controller, where its groups are mounted); "" for version 2, which has one tree for all."""
    for line in _text(root / "proc/self/mountinfo").splitlines():
        before, separator, after = line.partition(" - ")
        kind = after.split(" ")
        if separator and kind[0] in ("cgroup", "cgroup2"):
            mount = root / before.split(" ")[4].lstrip("/")
            yield from ((name, mount) for name in ([""] if kind[0] == "cgroup2" else kind[-1].split(",")))


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8", errors="replace").strip()
    except OSError:
        return ""
