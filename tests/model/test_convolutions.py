"""What blocks are made of: blurs, norms and standardized kernels against timm's and against their formulas."""

import pytest
import torch
from torch import nn

from convlift.model.convolutions import BlurPool, ChannelNorm, StandardizedConvolution
from convlift.model.operators import declare_missing_operators

declare_missing_operators()
from timm.layers import BlurPool2d, LayerNorm2d, StdConv2d  # noqa: E402 - what timm imports needs them


@pytest.mark.parametrize(("height", "width"), [(8, 8), (7, 9), (2, 3)])
def test_blur_is_timms(height: int, width: int) -> None:
    map_NCHW = torch.randn(2, 6, height, width)
    torch.testing.assert_close(BlurPool()(map_NCHW), BlurPool2d(6)(map_NCHW), atol=1e-6, rtol=1e-5)


def test_a_single_position_is_left_as_it_is() -> None:
    assert torch.equal(BlurPool()(torch.full((1, 2, 1, 1), 3.0)), torch.full((1, 2, 1, 1), 3.0))


def test_standardized_kernels_are_timms() -> None:
    torch.manual_seed(0)
    mine, theirs = StandardizedConvolution(6, 4, 3, 2, 1, bias=True), StdConv2d(6, 4, 3, 2, bias=True)
    theirs.load_state_dict(mine.state_dict())
    images = torch.randn(2, 6, 9, 9)
    torch.testing.assert_close(mine(images), theirs(images), atol=1e-5, rtol=1e-5)
    with torch.no_grad():
        scaled = StandardizedConvolution(6, 4, 3, 2, 1, bias=True)
        scaled.weight.copy_(5 * mine.weight + 3)
        scaled.bias.copy_(mine.bias)
    torch.testing.assert_close(scaled(images), mine(images), atol=1e-3, rtol=1e-3)


def test_norm_over_channels_is_timms() -> None:
    mine, theirs = ChannelNorm(6), LayerNorm2d(6)
    for norm in (mine, theirs):
        nn.init.constant_(norm.weight, 2)
    map_NCHW = torch.randn(2, 6, 4, 4)
    torch.testing.assert_close(mine(map_NCHW), theirs(map_NCHW), atol=1e-5, rtol=1e-5)
