"""Pretrained networks, and those of our own, for images of bands."""

import numpy as np
import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor

from convlift.cost.multiply_adds import cost
from convlift.errors import RecipeError, WeightsError
from convlift.model.backbone import create_backbone, over_bands
from convlift.model.build import build_network
from convlift.model.convnet import WhitenedConvolution
from convlift.model.pretrained import Classifier
from convlift.recipe.architecture import Pretrained
from convlift.recipe.built_in import BUILT_IN

TINY = "resnet10t"


@pytest.fixture(scope="module")
def weights(tmp_path_factory: pytest.TempPathFactory) -> str:
    """Those of a network for colour images, as a file."""
    torch.manual_seed(0)
    path = tmp_path_factory.mktemp("weights") / "colour.safetensors"
    state = create_backbone(TINY, "random").network.state_dict()
    for name, tensor in state.items():
        if name.endswith("running_mean"):
            tensor.normal_(0, 0.1)
    save_file({name: tensor.contiguous() for name, tensor in state.items()}, path)
    return str(path)


def first_of(weights: str, channels: int) -> Tensor:
    first: Tensor = create_backbone(TINY, weights, channels).network.state_dict()["conv1.0.weight"]
    return first


@pytest.mark.parametrize("channels", [2, 4, 6, 13, 16])
def test_the_three_planes_are_repeated_in_their_order_at_three_over_the_number_of_bands(
    weights: str, channels: int
) -> None:
    planes, found = first_of(weights, 3), first_of(weights, channels)
    assert found.shape == (planes.shape[0], channels, *planes.shape[2:])
    for band in range(channels):
        torch.testing.assert_close(found[:, band], planes[:, band % 3] * (3 / channels))
    if channels % 3 == 0:
        torch.testing.assert_close(found.sum(1), planes.sum(1))


def test_all_other_weights_are_those_of_the_file(weights: str) -> None:
    colour, bands = (create_backbone(TINY, weights, channels).state_dict() for channels in (3, 6))
    assert [name for name in colour if not torch.equal(colour[name], bands[name])] == ["network.conv1.0.weight"]
    grey = create_backbone(TINY, weights, 1).state_dict()
    assert all(torch.equal(colour[name], grey[name]) for name in colour)


def test_equal_bands_are_seen_as_grey_is(weights: str) -> None:
    grey = torch.rand(2, 1, 64, 64)
    features = []
    for channels in (1, 3, 6, 12):
        network = Classifier(Pretrained(backbone=TINY, weights=weights), 3, channels).eval()
        with torch.inference_mode():
            features.append(network.features(grey.expand(-1, channels, -1, -1)))
    for other in features[1:]:
        torch.testing.assert_close(other, features[0], rtol=1e-4, atol=1e-5)


def test_weights_of_a_network_for_as_many_bands_are_taken_as_they_are(weights: str, tmp_path) -> None:
    torch.manual_seed(1)
    state = {name: each.contiguous() for name, each in create_backbone(TINY, "random", 6).network.state_dict().items()}
    path = str(tmp_path / "six.safetensors")
    save_file(state, path)
    assert torch.equal(first_of(path, 6), state["conv1.0.weight"])
    with pytest.raises(WeightsError, match=r"'conv1.0.weight' has shape \(\d+, 6, 3, 3\)"):
        create_backbone(TINY, path, 4)


def test_a_network_that_folds_pixels_into_channels_is_refused() -> None:
    state, own = {"stem.weight": torch.ones(8, 48, 3, 3)}, {"stem.weight": torch.ones(8, 96, 3, 3)}
    with pytest.raises(RecipeError, match=r"the weights of folded are for three channels, .* the 6 bands"):
        over_bands(state, own, name="folded", channels=6)
    assert over_bands(state, own, name="folded", channels=3) == state


@pytest.mark.parametrize("channels", [2, 13])
@pytest.mark.parametrize("recipe", [each.recipe for each in BUILT_IN], ids=[each.name for each in BUILT_IN])
def test_every_built_in_network_takes_bands(recipe, channels: int) -> None:
    if recipe.architecture.kind == "pretrained":
        recipe = recipe.edit(architecture={"backbone": TINY, "weights": "random"})
    network = build_network(recipe.architecture, classes=4, channels=channels, resolution=64).eval()
    with torch.inference_mode():
        assert network(torch.rand(2, channels, 64, 64)).shape == (2, 4)
    one, more = (cost(recipe.architecture, classes=4, channels=each, resolution=64) for each in (3, channels))
    assert (more.multiply_adds > one.multiply_adds) == (channels > 3)
    assert (more.parameters > one.parameters) == (channels > 3)


def test_a_whitened_convolution_of_bands_makes_its_outputs_uncorrelated() -> None:
    rng = np.random.default_rng(0)
    mixed = rng.normal(size=(40, 16, 16, 6)) @ (np.eye(6) + 0.2 * rng.normal(size=(6, 6)))
    images, stem = torch.from_numpy(mixed).float().permute(0, 3, 1, 2), WhitenedConvolution(6)
    stem.whiten(images)
    patches = torch.nn.functional.conv2d(images, stem.weight[:24], stride=2)
    covariance = patches.transpose(0, 1).flatten(1).cov()
    torch.testing.assert_close(covariance, torch.eye(24), rtol=0.02, atol=0.02)
