"""As many threads as this process may keep busy."""

from collections.abc import Iterator
from contextlib import contextmanager

import torch


def keep_to(cpus: int) -> None:
    """Let torch use no more than `cpus` threads in this process; never more than it does already.

    torch follows the CPU affinity by itself, but not the quota of a container, where 64 threads on two cores wait for
    each other most of the time.
    """
    if cpus < torch.get_num_threads():
        torch.set_num_threads(cpus)


@contextmanager
def one_thread_for(images: int) -> Iterator[None]:
    """A single image is computed by one thread: its layers are too small for more, which mostly wait for each other.

    On two busy cores a photo of 224 px takes EfficientNet-Lite0 50 ms of a core so, and 1,000 ms with two threads.
    """
    before = torch.get_num_threads()
    if images > 1 or before == 1:
        yield
        return
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)
