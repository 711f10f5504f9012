import ctypes
import resource

import pytest
import torch

from convlift.model.memory import keep_freed_memory


def page_faults(times: int) -> int:
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    for _ in range(times):
        torch.ones(16 << 20)  # 64 MB
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before


@pytest.mark.skipif(not hasattr(ctypes.CDLL(None), "mallopt"), reason="this C library has no mallopt")
def test_a_freed_block_is_used_again_without_page_faults():
    assert keep_freed_memory()
    page_faults(40)  # until the heap has grown to its working size
    # 64 MB are 16,384 pages, or 32 huge ones
    assert page_faults(10) < 100
