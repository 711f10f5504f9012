"""How much of a mapped file counts as memory of this process."""

import sys
from pathlib import Path

import pytest

needs_proc = pytest.mark.skipif(sys.platform != "linux", reason="resident pages are read from /proc/self/smaps")


def resident(path: Path) -> int:
    """Kilobytes of all maps of this file that this process holds."""
    lines = Path("/proc/self/smaps").read_text(encoding="utf-8").splitlines()
    found = [place for place, line in enumerate(lines) if line.endswith(str(path))]
    sizes = [next(line for line in lines[place:] if line.startswith("Rss:")) for place in found]
    return sum(int(size.split()[1]) for size in sizes)
