"""Attention over channels and over positions."""

import pytest
import torch
from torch import nn

from convlift.model.attention import (
    ChannelAndPositionAttention,
    EfficientChannelAttention,
    SelfAttention,
    SqueezeExcitation,
)
from convlift.model.build import build_network
from convlift.model.operators import declare_missing_operators
from convlift.recipe.architecture import ConvNet

declare_missing_operators()
from timm.layers import EcaModule, SEModule  # noqa: E402 - what timm imports needs them
from timm.layers.cbam import CbamModule  # noqa: E402


@pytest.mark.parametrize("channels", [32, 256])
def test_attention_over_channels_is_timms(channels: int) -> None:
    """With the same weights; those of timm's linear layers are 1x1 convolutions."""
    torch.manual_seed(0)
    units = max(8, channels // 16)
    for mine, theirs in (
        (SqueezeExcitation(channels), SEModule(channels, rd_channels=units)),
        (EfficientChannelAttention(channels), EcaModule(channels)),
        (ChannelAndPositionAttention(channels, batch_norm=True), CbamModule(channels, rd_channels=units)),
    ):
        for tensor, copy in zip(mine.state_dict().values(), theirs.state_dict().values(), strict=True):
            tensor.copy_(copy.reshape(tensor.shape))
        features = torch.randn(2, channels, 5, 6)
        torch.testing.assert_close(mine.eval()(features), theirs.eval()(features), atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("block", ["plain", "bottleneck", "inverted_residual", "convnext"])
def test_attention_levers_put_one_of_each_in_each_block(block: str) -> None:
    levers = {"block": block, "stages": 2, "blocks": 2, "squeeze_excitation": True, "normalization": "batch"}
    for name, kind in (("eca", EfficientChannelAttention), ("cbam", ChannelAndPositionAttention)):
        architecture = ConvNet.model_validate(levers | {"attention": name, "width": 16})
        found = list(build_network(architecture, classes=2, channels=1, resolution=8).modules())
        for wanted in (kind, SqueezeExcitation):
            assert sum(isinstance(module, wanted) for module in found) == 4


def test_squeeze_excitation_scales_whole_channels() -> None:
    torch.manual_seed(0)
    features = torch.rand(2, 32, 4, 4) + 0.1
    gates = SqueezeExcitation(32)(features) / features
    torch.testing.assert_close(gates, gates[:, :, :1, :1].expand_as(gates))
    assert ((gates > 0) & (gates < 1)).all()
    assert gates.flatten(2).mean(2).std() > 0, "all channels have the same gate"


def test_squeeze_excitation_gates_see_the_whole_image() -> None:
    torch.manual_seed(0)
    features = torch.rand(1, 32, 4, 4)
    changed = features.clone()
    changed[:, :, 3, 3] += 5
    gate = SqueezeExcitation(32)
    assert not torch.equal(gate(features)[..., 0, 0], gate(changed)[..., 0, 0])


def test_squeeze_excitation_lever_puts_one_in_each_block() -> None:
    for residual in (False, True):
        built = build_network(
            ConvNet(stages=2, blocks=2, residual=residual, squeeze_excitation=True),
            classes=2,
            channels=1,
            resolution=8,
        )
        assert sum(isinstance(module, SqueezeExcitation) for module in built.modules()) == 4


def test_self_attention_sees_across_the_map() -> None:
    torch.manual_seed(0)
    attention = SelfAttention(32, 8)
    features = torch.randn(1, 32, 8, 8)
    torch.testing.assert_close(attention(features), features, msg="it must start as the identity")
    nn.init.xavier_uniform_(attention.project.weight)
    changed = features.clone()
    changed[:, 0, 7, 7] += 3
    assert not torch.equal(attention(features)[..., 0, 0], attention(changed)[..., 0, 0])


def test_self_attention_lever_lets_one_corner_see_the_other() -> None:
    """A 3x3 network's corner position sees only its neighbourhood; attention alone carries news from afar."""
    for self_attention in (False, True):
        torch.manual_seed(0)
        architecture = ConvNet(self_attention=self_attention)
        built = build_network(architecture, classes=2, channels=1, resolution=16).eval()
        for module in built.modules():
            if isinstance(module, SelfAttention):
                nn.init.xavier_uniform_(module.project.weight)
        image = torch.rand(1, 1, 16, 16)
        changed = image.clone()
        changed[..., 15, 15] += 3
        corner, other = (built.get_submodule("features")(x)[..., 0, 0] for x in (image, changed))
        assert torch.equal(corner, other) is not self_attention


def test_self_attention_learns_positions() -> None:
    """Without the embedding attention could not tell one order of the positions from another."""
    torch.manual_seed(0)
    attention = SelfAttention(32, 4)
    nn.init.xavier_uniform_(attention.project.weight)
    features = torch.randn(1, 32, 4, 4)
    rolled = features.roll(1, 3)
    torch.testing.assert_close(attention(features).roll(1, 3), attention(rolled))
    nn.init.normal_(attention.position_LC)
    assert not torch.allclose(attention(features).roll(1, 3), attention(rolled), atol=1e-3)


def test_self_attention_equals_its_formula() -> None:
    torch.manual_seed(0)
    attention = SelfAttention(64, 2)
    nn.init.xavier_uniform_(attention.project.weight)
    features = torch.randn(1, 64, 2, 2)
    tokens = features.flatten(2).transpose(1, 2)
    query, key, value = attention.to_query_key_value(attention.norm(tokens)).split(64, dim=2)
    heads = []
    for head in (slice(0, 32), slice(32, 64)):
        weights = (query[..., head] @ key[..., head].transpose(1, 2) / 32**0.5).softmax(2)
        heads.append(weights @ value[..., head])
    expected = tokens + attention.project(torch.cat(heads, 2))
    torch.testing.assert_close(attention(features).flatten(2).transpose(1, 2), expected)
