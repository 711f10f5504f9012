"""Where a network last keeps maps is found for any module, by what it does."""

from threading import Thread

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional

from convlift.model.build import build_network
from convlift.model.spatial_layer import Place, has_place, last_maps, listening_at, see_at
from convlift.recipe.recipe import Recipe

IMAGES = torch.rand(2, 3, 16, 16)


class Tutorial(nn.Module):
    """One pooling for both convolutions, computed in place after it, and an output that nobody reads."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.second = nn.Conv2d(3, 4, 3), nn.Conv2d(4, 5, 3)
        self.pool, self.linear = nn.MaxPool2d(2), nn.Linear(5 * 2 * 2, 3)
        self.auxiliary = nn.Conv2d(5, 2, 1)

    def forward(self, images: Tensor) -> Tensor:
        maps = self.pool(functional.relu(self.first(images)))
        maps = self.pool(functional.relu(self.second(maps)))
        self.auxiliary(maps)
        return self.linear(functional.relu(maps, inplace=True).flatten(1))


@pytest.mark.parametrize("summary", ["flatten", "average"])
def test_of_our_own_networks_it_is_what_is_summarized(summary):
    recipe = Recipe().edit(architecture={"width": 8, "summary": summary})
    network = build_network(recipe.architecture, classes=3, channels=3, resolution=16).eval()
    assert last_maps(network, IMAGES[:1]) == Place("features", 0)
    seen = see_at(network, Place("features", 0), IMAGES)
    assert (seen.maps.shape, seen.gradients.shape) == ((2, 8, 8, 8), (2, 8, 8, 8))
    assert torch.allclose(seen.logits, network(IMAGES), atol=1e-5)


def test_a_module_that_is_called_twice_counts_where_it_is_called_last():
    network = Tutorial().eval()
    assert last_maps(network, IMAGES[:1]) == Place("pool", 1)
    with listening_at(network, Place("pool", 1)) as maps, torch.inference_mode():
        network(IMAGES)
        network(IMAGES[:1])
    assert [tuple(each.shape) for each in maps] == [(2, 5, 2, 2), (1, 5, 2, 2)]


def test_another_thread_is_not_listened_to():
    network = Tutorial().eval()
    with listening_at(network, Place("pool", 1)) as maps, torch.inference_mode():
        other = Thread(target=network, args=(IMAGES,))
        other.start()
        other.join()
        network(IMAGES[:1])
    assert [len(each) for each in maps] == [1]


def test_the_gradients_are_those_of_the_class_that_is_asked_for():
    network = Tutorial().eval()
    classes = torch.tensor([2, 0])
    seen = see_at(network, Place("pool", 1), IMAGES, classes)
    alive = (seen.maps > 0).flatten(1)
    expected = network.linear.weight[classes] * alive
    assert torch.allclose(seen.gradients.flatten(1), expected)
    assert all(weight.requires_grad and weight.grad is None for weight in network.parameters())
    assert not any(module._forward_hooks or module._forward_pre_hooks for module in network.modules())


@pytest.mark.parametrize(
    "network",
    [
        nn.Sequential(nn.Flatten(), nn.Linear(768, 3)),
        nn.Sequential(nn.BatchNorm2d(3), nn.Dropout(0.5), nn.Flatten(), nn.Linear(768, 3)),
        nn.Sequential(nn.Conv2d(3, 8, 16), nn.ReLU(), nn.Flatten(), nn.Linear(8, 3)),
    ],
    ids=["vectors", "images, scaled", "one position"],
)
def test_a_network_without_maps_has_none(network):
    assert last_maps(network.eval(), IMAGES[:1]) is None


def test_a_place_is_of_one_network():
    assert has_place(Tutorial(), Place("pool", 1))
    assert not has_place(nn.Linear(2, 2), Place("pool", 1))
