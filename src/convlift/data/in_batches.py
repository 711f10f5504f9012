"""Work on all images of a data set: in threads, in order, and a few images at a time."""

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

from convlift.console.resources import usable_cpus

Progress = Callable[[int, int], None]
T = TypeVar("T")

_BATCH = 32  # images a thread works on at a time; at most 0.8 MB each
_THREADS = min(8, usable_cpus())  # Pillow decodes and resizes without holding the interpreter's lock


def in_order(work: Callable[[range], T], n: int) -> Iterator[tuple[range, T]]:
    """`work` on batches of 0..n-1 in threads, in order, and few at a time: the data set never lies in memory."""
    batches = [range(start, min(start + _BATCH, n)) for start in range(0, n, _BATCH)]
    with ThreadPoolExecutor(_THREADS) as pool:
        for start in range(0, len(batches), 2 * _THREADS):
            window = batches[start : start + 2 * _THREADS]
            yield from zip(window, pool.map(work, window), strict=True)
