"""Parameters and multiply-adds, against counts made by hand and in the literature."""

from pathlib import Path

import pytest
import torch

from convlift.cost.multiply_adds import Cost, cost, measure
from convlift.errors import RecipeError
from convlift.model.build import build_network
from convlift.recipe.architecture import ConvNet, Pretrained
from own_networks import NONE_ALLOWED, looked_into, sequential, write


def test_tutorial_network_by_hand() -> None:
    convolution, hidden, last = 28 * 28 * 32 * 9, 14 * 14 * 32 * 128, 128 * 10
    parameters = 32 * (9 + 1) + 128 * (14 * 14 * 32 + 1) + 10 * (128 + 1)
    expected = Cost(parameters, convolution + hidden + last)
    assert cost(ConvNet(), classes=10, channels=1, resolution=28) == expected


def test_bottleneck_with_eca_by_hand() -> None:
    levers = {"block": "bottleneck", "width": 8, "attention": "eca", "summary": "average", "head_units": 0}
    stem, first, middle, last, projection = 8 * 9, 8 * 8, 8 * 8 * 9, 8 * 32, 8 * 32
    biases, eca = 8 + 8 + 8 + 32 + 32, 3
    found = cost(ConvNet.model_validate(levers), classes=10, channels=1, resolution=8)
    assert found.parameters == stem + first + middle + last + projection + biases + eca + 33 * 10
    assert found.multiply_adds == 64 * (stem + first + middle + last + projection) + 32 * eca + 32 * 10


def test_depthwise_convolutions_count_one_channel_each() -> None:
    levers = {"block": "inverted_residual", "width": 8, "expansion": 4, "summary": "average", "head_units": 0}
    found = cost(ConvNet.model_validate(levers), classes=10, channels=1, resolution=8)
    assert found.multiply_adds == 64 * (8 * 9 + 8 * 32 + 32 * 9 + 32 * 8) + 8 * 10


def test_attention_counts_the_products_between_positions() -> None:
    plain = cost(ConvNet(), classes=10, channels=1, resolution=16)
    attended = cost(ConvNet(self_attention=True), classes=10, channels=1, resolution=16)
    positions, width = 64, 32
    linear = positions * width * 4 * width
    assert attended.multiply_adds - plain.multiply_adds == linear + 2 * positions**2 * width


def test_it_is_per_image() -> None:
    network = build_network(ConvNet(self_attention=True), classes=3, channels=3, resolution=8)
    assert measure(network, torch.zeros(1, 3, 8, 8)) == measure(network, torch.zeros(5, 3, 8, 8))


def test_pretrained_backbone_matches_the_published_size_without_weights() -> None:
    """EfficientNet-Lite0: 4.65 million parameters, about 0.4 billion multiply-adds at 224 pixels."""
    found = cost(Pretrained(head_units=0), classes=1000, channels=3, resolution=224)
    assert found.parameters == 4_652_008
    assert 0.38e9 < found.multiply_adds < 0.42e9


@pytest.mark.parametrize("backbone", ["mobilenetv3_small_050", "regnety_002", "convnext_atto"])
def test_what_is_left_out_changes_no_count(backbone: str) -> None:
    """Activations and norms, also where they are part of a block that weighs channels."""
    network = Pretrained(backbone=backbone, weights="random")
    whole = build_network(network, classes=3, channels=3, resolution=64)
    assert cost(network, classes=3, channels=3, resolution=64) == measure(whole, torch.zeros(1, 3, 64, 64))


def test_random_generator_is_left_alone() -> None:
    before = torch.get_rng_state()
    cost.__wrapped__(ConvNet(residual=True), classes=4, channels=3, resolution=24)
    assert torch.equal(before, torch.get_rng_state())


def test_a_network_of_somebodys_own_is_measured_at_sizes_that_it_takes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(*NONE_ALLOWED)
    layers = ("nn.Conv2d(1, 4, 5, bias=False)", "nn.ReLU()", "nn.Conv2d(4, 4, 9)", "nn.AdaptiveAvgPool2d(1)")
    write(tmp_path, {"net.py": sequential(*layers, "nn.Flatten()", "nn.Linear(4, num_classes)")})
    own, side, *_ = looked_into(f"{tmp_path}/net.py:make", classes=3, channels=1, side=16)
    assert (side, own.side) == (16, 0)
    found = cost(own, classes=3, channels=1, resolution=16)
    assert found.parameters == 4 * 25 + (4 * 4 * 81 + 4) + (4 * 3 + 3)
    assert found.multiply_adds == 12 * 12 * 4 * 25 + 4 * 4 * 4 * 4 * 81 + 4 * 3
    with pytest.raises(
        RecipeError, match=r"takes no images of 12 x 12 pixels .RuntimeError: .* choose another 'data\.res"
    ):
        cost(own, classes=3, channels=1, resolution=12)
