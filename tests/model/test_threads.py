import pytest
import torch

from convlift.model.threads import keep_to, one_thread_for


@pytest.fixture(autouse=True)
def four():
    """Four threads, and afterwards as many as before."""
    before = torch.get_num_threads()
    torch.set_num_threads(4)
    yield
    torch.set_num_threads(before)


@pytest.mark.parametrize(("cpus", "threads"), [(1, 1), (3, 3), (4, 4), (64, 4)])
def test_threads_are_lowered_and_never_raised(cpus, threads):
    keep_to(cpus)
    assert torch.get_num_threads() == threads


def test_one_image_has_one_thread_and_the_next_ones_have_all():
    with one_thread_for(1):
        assert torch.get_num_threads() == 1
    assert torch.get_num_threads() == 4
    with one_thread_for(2):
        assert torch.get_num_threads() == 4
