import copy

import pytest
import torch

from convlift.model.pretrained import Classifier, Tail
from convlift.recipe.architecture import Pretrained

TINY = Pretrained(backbone="resnet10t", weights="random", head_units=16, dropout=0.5)


@pytest.fixture(scope="module")
def network():
    torch.manual_seed(0)
    return Classifier(TINY, classes=3).eval()


def test_logits_are_the_head_on_pooled_features(network):
    images = torch.rand(2, 3, 64, 64)
    with torch.inference_mode():
        features = network.features(images)
        assert features.shape == (2, 512)
        assert torch.equal(network(images), network.head(features))
        assert network(images).shape == (2, 3)


def test_grey_images_are_seen_as_three_equal_channels(network):
    grey = torch.rand(2, 1, 64, 64)
    with torch.inference_mode():
        torch.testing.assert_close(network(grey), network(grey.expand(-1, 3, -1, -1)))


@pytest.mark.parametrize(
    ("units", "layers"), [(16, ["hidden", "relu", "dropout", "output"]), (0, ["dropout", "output"])]
)
def test_the_head_has_the_layers_of_the_recipe(units, layers):
    head = Classifier(TINY.model_copy(update={"head_units": units}), classes=3).head
    assert [name for name, _ in head.named_children()] == layers
    assert head.dropout.p == 0.5
    assert head.output.out_features == 3


def test_a_tail_shares_weights_and_modes_with_its_classifier(network):
    network = copy.deepcopy(network)
    tail = Tail(network, stages=2).eval()
    images = torch.rand(2, 3, 64, 64)
    with torch.inference_mode():
        lower = network.backbone.network
        activations = lower.layer2(lower.layer1(lower.maxpool(lower.act1(lower.bn1(lower.conv1(images))))))
        assert torch.equal(tail(activations), network(images))
    torch.nn.init.zeros_(tail.head.output.weight)
    assert not network.head.output.weight.any()


@pytest.mark.parametrize("stages", [2, 3, 4])
def test_a_head_on_several_stages_reads_their_maps_side_by_side(stages):
    torch.manual_seed(0)
    network = Classifier(TINY.model_copy(update={"pooled_stages": stages}), classes=3).eval()
    images, lower = torch.rand(2, 3, 64, 64), network.backbone.network
    widths = [64, 128, 256, 512][-stages:]
    with torch.inference_mode():
        value, maps = lower.maxpool(lower.act1(lower.bn1(lower.conv1(images)))), []
        for layer in (lower.layer1, lower.layer2, lower.layer3, lower.layer4):
            value = layer(value)
            maps.append(value.mean((2, 3)))
        features = network.features(images)
        assert features.shape == (2, sum(widths)) == (2, network.width)
        blocks = features.split(widths, dim=1)
        assert torch.equal(blocks[-1], maps[-1])
        for block, pooled in zip(blocks, maps[-stages:], strict=True):
            torch.testing.assert_close(block.norm(dim=1) / block.shape[1] ** 0.5, maps[-1].norm(dim=1) / 512**0.5)
            torch.testing.assert_close(torch.cosine_similarity(block, pooled), torch.ones(2))
        activations = lower.layer1(lower.maxpool(lower.act1(lower.bn1(lower.conv1(images)))))
        if stages < 4:
            assert torch.equal(Tail(network, 3).eval()(activations), network(images))
    assert len(copy.deepcopy(network).state_dict()) == len(Classifier(TINY, classes=3).state_dict())


def test_of_fewer_stages_a_head_reads_those_that_there_are():
    assert Classifier(TINY.model_copy(update={"pooled_stages": 5}), classes=3).width == 64 + 128 + 256 + 512


def test_stages_that_hand_on_more_than_a_map_are_read_as_a_whole():
    selecsls = Pretrained(backbone="selecsls42b", weights="random", head_units=0, pooled_stages=4)
    network = Classifier(selecsls, classes=3).eval()
    with torch.inference_mode():
        assert network(torch.rand(1, 3, 64, 64)).shape == (1, 3)
    assert network.width < sum(network.backbone.widths[-4:]) or 0 in network.backbone.widths[-4:]


def test_weights_can_be_saved_and_loaded(network):
    torch.manual_seed(1)
    other = Classifier(TINY, classes=3).eval()
    other.load_state_dict(network.state_dict())
    images = torch.rand(1, 3, 64, 64)
    with torch.inference_mode():
        assert torch.equal(other(images), network(images))
