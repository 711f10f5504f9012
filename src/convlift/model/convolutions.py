"""What blocks and stems are made of: convolutions with their normalization, activations, and how a map is halved."""

import torch
from torch import Tensor, nn
from torch.nn import functional

from convlift.recipe.architecture import ConvNet

CHANNELS_PER_GROUP = 8
VERY_LEAKY = 1 / 5.5  # slope of negative values (Xu et al. 2015, section 4)


class StandardizedConvolution(nn.Conv2d):
    """A convolution whose kernels have mean 0 and variance 1 for each output (Qiao et al. 2019, equation 5)."""

    SMALLEST = 1e-6  # added to the variance

    def forward(self, map_NCHW: Tensor) -> Tensor:
        variance, mean = torch.var_mean(self.weight, (1, 2, 3), correction=0, keepdim=True)
        weight = (self.weight - mean) * (variance + self.SMALLEST).rsqrt()
        return functional.conv2d(map_NCHW, weight, self.bias, self.stride, self.padding, self.dilation, self.groups)


class ChannelNorm(nn.LayerNorm):
    """Layer normalization over the channels of each position of a map_NCHW, as ConvNeXt has it (Ba et al. 2016)."""

    def __init__(self, channels: int) -> None:
        super().__init__(channels, eps=1e-6)

    def forward(self, map_NCHW: Tensor) -> Tensor:
        return super().forward(map_NCHW.permute(0, 2, 3, 1)).permute(0, 3, 1, 2)


class BlurPool(nn.Module):
    """Halve a map_NCHW after a blur by [1, 2, 1] / 4 in both directions, so that no detail is aliased.

    Zhang 2019, section 3.2, with its reflected edge. The blur is that of two neighbours, twice; a side is rounded up.
    """

    def forward(self, map_NCHW: Tensor) -> Tensor:
        edge = "reflect" if min(map_NCHW.shape[2:]) > 1 else "replicate"  # one position has no neighbour to reflect
        padded = functional.pad(map_NCHW, (1, 1, 1, 1), mode=edge)
        return functional.avg_pool2d(functional.avg_pool2d(padded, 2, 1), 2, 2)


def convolution(
    architecture: ConvNet, inputs: int, width: int, *, kernel: int | None = None, stride: int = 1, groups: int = 1
) -> list[nn.Module]:
    """A padded convolution and its normalization; kernel: None for the recipe's."""
    kernel = kernel or architecture.kernel_size
    # batch and group norm subtract the mean of a channel, or of a group, and learn a shift: a bias before them does
    # next to nothing
    bias = architecture.normalization in ("none", "layer")
    kind = StandardizedConvolution if architecture.weight_standardization else nn.Conv2d
    layer = kind(inputs, width, kernel, stride, padding=kernel // 2, groups=groups, bias=bias)
    return [layer, *normalization(architecture, width)]


def normalization(architecture: ConvNet, width: int) -> list[nn.Module]:
    """The recipe's normalization of so many channels, if it has one."""
    match architecture.normalization:
        case "batch":
            return [nn.BatchNorm2d(width)]
        case "group":
            # groups of 8 divide every allowed width; Wu and He 2018, table 3, find the size of little matter
            return [nn.GroupNorm(width // CHANNELS_PER_GROUP, width)]
        case "layer":
            return [ChannelNorm(width)]
        case "none":
            return []


def activation(architecture: ConvNet) -> nn.Module:
    """The recipe's activation."""
    match architecture.activation:
        case "relu":
            return nn.ReLU(inplace=True)
        case "leaky_relu":
            return nn.LeakyReLU(inplace=True)
        case "very_leaky_relu":
            return nn.LeakyReLU(VERY_LEAKY, inplace=True)
        case "gelu":
            return nn.GELU()
        case "silu":
            return nn.SiLU()


def halving(architecture: ConvNet, width: int) -> list[nn.Module]:
    """How a stage halves its map. A blur takes the stride of what is before it (Zhang 2019, equations 1 and 2)."""
    blurred = architecture.blur_pool
    match architecture.pooling:
        case "max":
            return [nn.MaxPool2d(2, 1), BlurPool()] if blurred else [nn.MaxPool2d(2)]
        case "average":
            return [BlurPool()] if blurred else [nn.AvgPool2d(2)]
        case "strided":
            # a 3x3 convolution whatever the kernel lever is (Springenberg et al. 2015, section 2.1): a strided
            # 1x1 one would never see three pixels in four
            return strided(architecture, width, width, kernel=3)


def strided(architecture: ConvNet, inputs: int, width: int, *, kernel: int, groups: int = 1) -> list[nn.Module]:
    """A convolution with stride 2, normalized, and its activation; or without a stride, and a blur after them."""
    stride = 1 if architecture.blur_pool else 2
    layers = [*convolution(architecture, inputs, width, kernel=kernel, stride=stride, groups=groups)]
    return [*layers, activation(architecture), *([BlurPool()] if architecture.blur_pool else [])]
