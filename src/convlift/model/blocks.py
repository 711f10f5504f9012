"""The blocks of a stage: plain, residual, bottleneck, inverted residual, ConvNeXt."""

import torch
from torch import Tensor, nn

from convlift.model.attention import ChannelAndPositionAttention, EfficientChannelAttention, SqueezeExcitation
from convlift.model.convolutions import BlurPool, activation, convolution, normalization, strided
from convlift.recipe.architecture import BOTTLENECK, ConvNet

CONVNEXT = 4  # channels within a block over those that it is given (Liu et al. 2022, section 2.4)


class ResidualBlock(nn.Module):
    """A branch beside a shortcut, added before the last activation (He et al. 2016, figure 2).

    branch, gate: what is learned, and the attention that weighs it.
    shortcut: empty for the identity.
    skipped: probability that the branch is left out for an image in training.
    """

    def __init__(
        self, branch: nn.Module, gate: nn.Module, shortcut: nn.Module, activation: nn.Module, skipped: float = 0.0
    ) -> None:
        super().__init__()
        self.branch, self.gate, self.shortcut, self.activation = branch, gate, shortcut, activation
        self.depth = StochasticDepth(skipped) if skipped else nn.Identity()

    def start_as_identity(self) -> None:
        """Set the scale (or without normalization the kernel) that ends the branch to zero; a layer scale is small
        already."""
        last = list(self.branch.children())[-1]
        if not isinstance(last, LayerScale):
            assert isinstance(last, nn.Conv2d | nn.BatchNorm2d | nn.GroupNorm | nn.LayerNorm)
            nn.init.zeros_(last.weight)

    def forward(self, map_NCHW: Tensor) -> Tensor:
        return self.activation(self.depth(self.gate(self.branch(map_NCHW))) + self.shortcut(map_NCHW))


class StochasticDepth(nn.Module):
    """Leave a branch out for an image with this probability in training, and scale up what stays, so that its
    expectation is that of prediction (Huang et al. 2016, section 3; scaled as dropout is)."""

    def __init__(self, skipped: float) -> None:
        super().__init__()
        self.skipped = skipped

    def forward(self, map_NCHW: Tensor) -> Tensor:
        if not self.training:
            return map_NCHW
        stays_N111 = map_NCHW.new_empty(len(map_NCHW), 1, 1, 1).bernoulli_(1 - self.skipped)
        return map_NCHW * stays_N111 / (1 - self.skipped)


class LayerScale(nn.Module):
    """Scale each channel by a learned number that starts at 1e-6 (Touvron et al. 2021; Liu et al. 2022, A.1)."""

    START = 1e-6

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.scale_C = nn.Parameter(torch.full((channels,), self.START))

    def forward(self, map_NCHW: Tensor) -> Tensor:
        return map_NCHW * self.scale_C[:, None, None]


def block_outputs(architecture: ConvNet, width: int) -> int:
    """Channels that the blocks of a stage of this width give."""
    return BOTTLENECK * width if architecture.block == "bottleneck" else width


def block(architecture: ConvNet, inputs: int, width: int, *, halves: bool, skipped: float) -> list[nn.Module]:
    """One block, map_NCHW of `inputs` channels -> map_NCHW of `block_outputs(architecture, width)` channels.

    halves: whether it has a stride of 2; skipped: see `ResidualBlock`.
    """
    match architecture.block:
        case "plain" if not architecture.residual:
            return [*_spatial(architecture, inputs, width, halves), *_gates(architecture, width)]
        case "plain":
            # a residual block of the usual form has two convolutions (He et al. 2016, figure 5, left)
            first = _spatial(architecture, inputs, width, halves)
            branch = [*first, *convolution(architecture, width, width)]
            return [_residual(architecture, branch, (inputs, width), halves, skipped)]
        case "bottleneck":
            outputs = block_outputs(architecture, width)
            branch = [
                *convolution(architecture, inputs, width, kernel=1),
                activation(architecture),
                *_spatial(architecture, width, width, halves),  # the stride is here in v1.5 (Goyal et al. 2017, 5.1)
                *convolution(architecture, width, outputs, kernel=1),
            ]
            return [_residual(architecture, branch, (inputs, outputs), halves, skipped)]
        case "inverted_residual":
            return _inverted_residual(architecture, inputs, width, halves=halves, skipped=skipped)
        case "convnext":
            return _convnext(architecture, inputs, width, halves=halves, skipped=skipped)


def _residual(
    architecture: ConvNet, branch: list[nn.Module], channels: tuple[int, int], halves: bool, skipped: float
) -> ResidualBlock:
    gate = nn.Sequential(*_gates(architecture, channels[1]))
    return ResidualBlock(
        nn.Sequential(*branch),
        gate[0] if len(gate) == 1 else gate,
        nn.Sequential(*_shortcut(architecture, *channels, halves)),
        activation(architecture),
        skipped,
    )


def _shortcut(architecture: ConvNet, inputs: int, outputs: int, halves: bool) -> list[nn.Module]:
    """The identity, or a 1x1 projection where channels or sides differ (option B of He et al. 2016, section 3.3)."""
    if not halves:
        return [] if inputs == outputs else convolution(architecture, inputs, outputs, kernel=1)
    if architecture.shortcut == "pooled":
        pooled = nn.AvgPool2d(2, 2, ceil_mode=True, count_include_pad=False)
        return [pooled, *convolution(architecture, inputs, outputs, kernel=1)]
    if architecture.blur_pool:
        return [BlurPool(), *convolution(architecture, inputs, outputs, kernel=1)]
    return convolution(architecture, inputs, outputs, kernel=1, stride=2)


def _spatial(
    architecture: ConvNet, inputs: int, width: int, halves: bool, *, depthwise: bool = False
) -> list[nn.Module]:
    """The recipe's convolution, normalized, and its activation; a strided one is at least 3x3, see `halving`."""
    kernel, groups = architecture.kernel_size, inputs if depthwise else 1
    if halves:
        return strided(architecture, inputs, width, kernel=max(kernel, 3), groups=groups)
    return [*convolution(architecture, inputs, width, groups=groups), activation(architecture)]


def _inverted_residual(
    architecture: ConvNet, inputs: int, width: int, *, halves: bool, skipped: float
) -> list[nn.Module]:
    """Attention is within, after the depthwise convolution (Howard et al. 2019, figure 4), and nothing is activated at
    the end; where channels or sides differ there is no shortcut (Sandler et al. 2018, figure 4)."""
    inner = architecture.expansion * inputs
    branch = nn.Sequential(
        *convolution(architecture, inputs, inner, kernel=1),
        activation(architecture),
        *_spatial(architecture, inner, inner, halves, depthwise=True),
        *_gates(architecture, inner),
        *convolution(architecture, inner, width, kernel=1),
    )
    if halves or inputs != width:
        return [branch]
    return [ResidualBlock(branch, nn.Identity(), nn.Sequential(), nn.Identity(), skipped)]


def _convnext(architecture: ConvNet, inputs: int, width: int, *, halves: bool, skipped: float) -> list[nn.Module]:
    """Halving is a layer of its own, normalization and a 2x2 convolution with stride 2 (Liu et al. 2022, section 2.6);
    where the channels alone differ that convolution is 1x1."""
    before: list[nn.Module] = []
    if halves:
        stride = 1 if architecture.blur_pool else 2
        blur = [BlurPool()] if architecture.blur_pool else []
        before = [*normalization(architecture, inputs), nn.Conv2d(inputs, width, 2, stride), *blur]
    elif inputs != width:
        before = [*normalization(architecture, inputs), nn.Conv2d(inputs, width, 1)]
    branch = nn.Sequential(
        *convolution(architecture, width, width, groups=width),
        nn.Conv2d(width, CONVNEXT * width, 1),
        activation(architecture),
        nn.Conv2d(CONVNEXT * width, width, 1),
        *_gates(architecture, width),
        LayerScale(width),
    )
    return [*before, ResidualBlock(branch, nn.Identity(), nn.Sequential(), nn.Identity(), skipped)]


def _gates(architecture: ConvNet, channels: int) -> list[nn.Module]:
    """The attention that a recipe has in each block, one after the other."""
    gates: list[nn.Module] = [SqueezeExcitation(channels)] if architecture.squeeze_excitation else []
    match architecture.attention:
        case "eca":
            gates.append(EfficientChannelAttention(channels))
        case "cbam":
            gates.append(ChannelAndPositionAttention(channels, batch_norm=architecture.normalization == "batch"))
    return gates
