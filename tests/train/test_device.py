"""Which device a user's word means, and what is said where there is none."""

import subprocess
import sys
from unittest.mock import Mock

import pytest
import torch

from convlift.campaign import request
from convlift.errors import ConvliftError
from convlift.records.compute_device import CPU, Device, names_of
from convlift.train.device import (
    UNTOLD,
    choose_devices,
    compute_in_half,
    free_bytes,
    release_memory,
    settle_on,
    synchronize,
    trainings_at_once,
)

MAC = Device("mps", 0, "Apple GPU")
ONE, TWO, ODD = (("NVIDIA L4",), ("NVIDIA L4", "NVIDIA L4"), ("NVIDIA L4", "NVIDIA T400", "NVIDIA L4"))


def chosen(asked, gpus=(), mac=False):
    return choose_devices(asked, lambda: gpus, lambda: mac, lambda: True)


def l4(*numbers):
    return tuple(Device("cuda", number, "NVIDIA L4") for number in numbers)


@pytest.mark.parametrize(
    ("asked", "gpus", "mac", "devices"),
    [
        ("cpu", TWO, True, (CPU,)),
        ("auto", (), False, (CPU,)),
        ("auto", (), True, (MAC,)),
        ("auto", ONE, True, l4(0)),
        ("auto", TWO, False, l4(0, 1)),
        ("auto", ODD, False, l4(0, 2)),
        ("cuda", ONE, False, l4(0)),
        ("cuda", ODD, False, l4(0, 2)),
        ("cuda:1", TWO, False, l4(1)),
        ("mps", ONE, True, (MAC,)),
    ],
)
def test_a_word_means_these_devices(asked, gpus, mac, devices):
    assert chosen(asked, gpus, mac) == devices


@pytest.mark.parametrize(
    ("asked", "gpus", "said"),
    [
        ("gpu", TWO, "device 'gpu' is none that convlift knows; give auto, cpu, cuda, cuda:0 .* or mps."),
        ("cuda:", TWO, "'cuda:' is none"),
        ("CUDA", TWO, "'CUDA' is none"),
        ("", TWO, "'' is none"),
        (0, TWO, "'0' is none"),
        (None, TWO, "'None' is none"),
        ("cuda", (), "device 'cuda' is a GPU, and torch sees none; install"),
        ("cuda:0", (), "device 'cuda:0' is a GPU, and torch sees none; install"),
        ("cuda:1", ONE, "'cuda:1' is not there: torch sees cuda:0 alone; name"),
        ("cuda:7", TWO, "'cuda:7' is not there: torch sees cuda:0 to cuda:1; name"),
        ("mps", TWO, "device 'mps' is the GPU of a Mac, and torch sees none; install"),
    ],
)
def test_another_word_is_refused_in_a_sentence(asked, gpus, said):
    with pytest.raises(ConvliftError, match=said) as raised:
        chosen(asked, gpus)
    assert raised.value.exit_code == 2


def test_where_nothing_speaks_for_a_gpu_torch_is_not_loaded():
    def never():
        raise AssertionError("looked for a GPU")

    assert choose_devices("auto", never, never, lambda: False) == (CPU,)
    assert choose_devices("cpu", never, never, never) == (CPU,)
    code = "import sys, convlift.train.device, convlift.campaign.request; print('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "False\n"


def test_a_record_knows_its_place_and_its_model():
    assert [each.place for each in (CPU, MAC, *l4(1))] == ["cpu", "mps", "cuda:1"]
    assert torch.device(l4(1)[0].place) == torch.device("cuda", 1)
    assert CPU.model == ""
    assert l4(0)[0].model == l4(1)[0].model != MAC.model
    assert (names_of((CPU,)), names_of(l4(0, 1))) == ("CPU", "2 x NVIDIA L4")


def test_on_a_cpu_nothing_is_asked_of_torch():
    here = torch.device("cpu")
    settle_on(here)
    with compute_in_half(here):
        assert not torch.is_autocast_enabled("cpu")
    synchronize(here)
    release_memory(here)
    assert free_bytes(here) == UNTOLD


@pytest.mark.parametrize(("gigabytes", "at_once"), [(8, 1), (16, 2), (24, 4), (80, 4)])
def test_a_gpu_with_room_for_them_has_several_trainings_at_once(monkeypatch, gigabytes, at_once):
    monkeypatch.setattr(torch.cuda, "get_device_properties", lambda index: Mock(total_memory=gigabytes * 10**9))
    assert trainings_at_once(l4(0)[0]) == at_once
    assert trainings_at_once(MAC) == trainings_at_once(CPU) == 1


@pytest.mark.parametrize(
    ("devices", "cores", "memory", "workers"),
    [
        (l4(0), 16, 64e9, 4),
        (l4(0), 2, 64e9, 2),
        (l4(0), 16, 8e9, 2),
        (l4(0, 1), 16, 64e9, 8),
        (l4(0, 1), 1, 64e9, 2),
        ((MAC,), 8, 64e9, 1),
        ((CPU,), 8, 64e9, 8),
    ],
)
def test_so_many_workers_share_the_devices(monkeypatch, devices, cores, memory, workers):
    monkeypatch.setattr(request, "usable_cpus", lambda: cores)
    monkeypatch.setattr(request, "usable_memory", lambda: int(memory))
    monkeypatch.setattr(request, "trainings_at_once", lambda device: 4 if device.kind == "cuda" else 1)
    assert request._usual_workers(devices) == workers
