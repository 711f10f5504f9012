"""As many threads as this process may keep busy."""

import torch


def keep_to(cpus: int) -> None:
    """Let torch use no more than `cpus` threads in this process; never more than it does already.

    torch follows the CPU affinity by itself, but not the quota of a container, where 64 threads on two cores wait for
    each other most of the time.
    """
    if cpus < torch.get_num_threads():
        torch.set_num_threads(cpus)
