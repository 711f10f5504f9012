"""A heat map lies where the class is, whatever the network is made of."""

import numpy as np
import pytest
import torch
from torch import nn

from convlift.data.square import square
from convlift.deploy.heat_map import heat_maps, on_image, places_of
from convlift.errors import ConvliftError
from convlift.model.build import build_network
from convlift.model.together import Together
from convlift.recipe.data import Preparation
from convlift.recipe.recipe import Recipe

SIDE, PATCH = 24, 6


def striped(count, seed):
    """Grey noise (N, 1, 24, 24) with a patch of stripes somewhere: lying ones are class 0, standing ones class 1; and
    the patch's upper left corner."""
    rng = np.random.default_rng(seed)
    images = rng.normal(0, 0.3, (count, 1, SIDE, SIDE)).astype(np.float32)
    labels, corners = rng.integers(0, 2, count), rng.integers(0, SIDE - PATCH, (count, 2))
    stripes = np.where(np.arange(PATCH)[:, None] % 2, 1.0, -1.0) * np.ones(PATCH)
    for image, label, (top, left) in zip(images, labels, corners, strict=True):
        image[0, top : top + PATCH, left : left + PATCH] += stripes.T if label else stripes
    return torch.from_numpy(images), torch.from_numpy(labels), corners


@pytest.fixture(scope="module")
def network():
    """A small network that was trained to name the stripes."""
    torch.manual_seed(0)
    recipe = Recipe().edit(
        architecture={"width": 8, "stages": 2, "summary": "average", "head_units": 0, "normalization": "batch"}
    )
    made = build_network(recipe.architecture, classes=2, channels=1, resolution=SIDE)
    images, labels, _ = striped(512, 0)
    optimizer = torch.optim.AdamW(made.parameters(), 0.01)
    for step in range(40):
        rows = torch.arange(64 * step, 64 * step + 64) % 512
        optimizer.zero_grad()
        nn.functional.cross_entropy(made(images[rows]), labels[rows]).backward()
        optimizer.step()
    return made.eval()


def test_the_map_of_a_trained_network_lies_on_what_gives_the_class(network):
    images, labels, corners = striped(64, 1)
    with torch.inference_mode():
        right = network(images).argmax(1) == labels
    assert right.float().mean() > 0.9
    maps = heat_maps(network, places_of(network, images[:1]), images, labels)
    assert (maps.shape, maps.dtype) == ((64, SIDE, SIDE), np.float32)
    assert maps.min() >= 0
    assert maps.max() <= 1
    shares = []
    for each, (top, left) in zip(maps, corners, strict=True):
        around = each[max(0, top - 2) : top + PATCH + 2, max(0, left - 2) : left + PATCH + 2]
        shares.append(around.sum() / max(each.sum(), 1e-9))
    # it covers a sixth of the image at most
    assert np.median(shares) > 0.6


def test_of_several_networks_and_mirror_images_it_is_the_mean(network):
    images, labels, _ = striped(4, 2)
    alone = lambda seen: heat_maps(network, places_of(network, seen[:1]), seen, labels)  # noqa: E731
    both = Together([network, network], mirrored=True)
    found = heat_maps(both, places_of(both, images[:1]), images, labels)
    expected = (alone(images) + alone(images.flip(3))[:, :, ::-1]) / 2
    np.testing.assert_allclose(found, expected, atol=1e-5)


def test_a_pretrained_backbone_has_one(small_backbone):
    name, weights = small_backbone
    recipe = Recipe().edit(architecture={"kind": "pretrained", "backbone": name, "weights": str(weights)})
    made = build_network(recipe.architecture, classes=3, channels=1, resolution=64).eval()
    images = torch.rand(2, 1, 64, 64).to(memory_format=torch.channels_last)
    maps = heat_maps(made, places_of(made, images[:1]), images, torch.tensor([0, 2]))
    assert (maps.shape, float(maps.max())) == ((2, 64, 64), pytest.approx(1, abs=0.2))


def test_a_network_without_maps_is_refused_in_a_sentence():
    vectors = nn.Sequential(nn.Flatten(), nn.Linear(SIDE * SIDE, 2))
    with pytest.raises(ConvliftError, match=r"^this network has no layer that keeps where .*; leave out .*\.$"):
        places_of(vectors, torch.rand(1, 1, SIDE, SIDE))


@pytest.mark.parametrize("resize", ["squash", "crop", "letterbox"])
@pytest.mark.parametrize("shape", [(40, 80), (90, 40)])
def test_a_map_is_laid_back_where_the_square_came_from(resize, shape):
    image = np.zeros((*shape, 1), np.uint8)
    centre = (shape[0] // 2, shape[1] // 2 + 5)
    image[centre[0] - 3 : centre[0] + 3, centre[1] - 3 : centre[1] + 3] = 255
    seen = square(image, 1, 32, Preparation(resize))[:, :, 0].astype(np.float32) / 255
    back = on_image(seen, shape, resize)
    assert back.shape == shape
    rows, columns = np.nonzero(back > 0.5 * back.max())
    assert abs(rows.mean() + 0.5 - centre[0]) < 1.5
    assert abs(columns.mean() + 0.5 - centre[1]) < 1.5
    # of what the network did not see it says nothing
    assert (back[0, 0] == 0) or resize != "crop"
