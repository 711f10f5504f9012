"""A saved network: its weights, and what it needs beside them."""

import numpy as np
import pytest
import torch
from safetensors.torch import load_file
from torch import nn

from convlift.errors import DiskError
from convlift.model.checkpoint import save_network, saved_normalization, saved_padding

NORMAL = np.float32([0.5, 0.25]), np.float32([0.125, 2.0])


def test_what_was_saved_is_read_again(tmp_path):
    network, path = nn.Conv2d(2, 3, 3).to(memory_format=torch.channels_last), tmp_path / "new" / "1.safetensors"
    save_network(path, network, NORMAL, padding="same")
    assert saved_normalization(path) == ((0.5, 0.25), (0.125, 2.0))
    assert saved_padding(path) == "same"
    assert all(torch.equal(network.state_dict()[name], tensor) for name, tensor in load_file(path).items())
    assert [each.name for each in path.parent.iterdir()] == ["1.safetensors"]


def test_equal_networks_leave_equal_files(tmp_path):
    network = nn.Linear(2, 3)
    for name in ("one", "other"):
        save_network(tmp_path / name, network, NORMAL)
    assert (tmp_path / "one").read_bytes() == (tmp_path / "other").read_bytes()


def test_a_folder_that_cannot_be_made_is_named(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(DiskError, match="file cannot be written"):
        save_network(tmp_path / "file" / "1.safetensors", nn.Linear(2, 3), NORMAL)


class Twice(nn.Module):
    """Its layers have two names each, its last weight is also the first's."""

    def __init__(self):
        super().__init__()
        self.first, self.bn = nn.Conv2d(4, 4, 3), nn.BatchNorm2d(4)
        self.both = nn.Sequential(self.first, self.bn)
        self.last = nn.Conv2d(4, 4, 3)
        self.last.weight = self.first.weight


def test_layers_with_two_names_are_saved_under_both(tmp_path):
    network, path = Twice().to(memory_format=torch.channels_last), tmp_path / "1.safetensors"
    network.bn(torch.rand(2, 4, 3, 3))  # its running figures move
    save_network(path, network, NORMAL)
    saved, other = load_file(path), Twice()
    assert saved.keys() == network.state_dict().keys()
    other.load_state_dict(saved)
    for name, tensor in network.state_dict().items():
        assert torch.equal(other.state_dict()[name], tensor), name
    assert other.last.weight is other.first.weight
