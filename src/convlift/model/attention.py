"""Attention for convolutional networks: over channels (squeeze-and-excitation, ECA), positions, or both (CBAM)."""

import math

import torch
from torch import Tensor, nn
from torch.nn import functional

CHANNELS_PER_HEAD = 32


class SqueezeExcitation(nn.Module):
    """Scale every channel by a gate in (0, 1) that sees the whole image (Hu et al. 2018, section 3).

    features_NCHW -> features_NCHW. The bottleneck is a sixteenth of the channels (section 6.1), but at least 8 units:
    the narrow networks for small images would be left with one or two.
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        units = max(8, channels // 16)
        self.squeeze = nn.Linear(channels, units)
        self.excite = nn.Linear(units, channels)

    def forward(self, features_NCHW: Tensor) -> Tensor:
        means_NC = features_NCHW.mean((2, 3))
        gates_NC = torch.sigmoid(self.excite(functional.relu(self.squeeze(means_NC))))
        return features_NCHW * gates_NC[:, :, None, None]


class EfficientChannelAttention(nn.Module):
    """Scale every channel by a gate in (0, 1) that sees the means of it and its neighbours (ECA; Wang et al. 2020).

    features_NCHW -> features_NCHW. It sees (log2(channels) + 1) / 2 means, rounded to an odd number (equation 12), at
    least 3.
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        neighbours = int((math.log2(channels) + 1) / 2)
        neighbours = max(3, neighbours + (neighbours + 1) % 2)
        self.mix = nn.Conv1d(1, 1, neighbours, padding=neighbours // 2, bias=False)

    def forward(self, features_NCHW: Tensor) -> Tensor:
        gates_N1C = torch.sigmoid(self.mix(features_NCHW.mean((2, 3))[:, None]))
        return features_NCHW * gates_N1C[:, 0, :, None, None]


class ChannelAndPositionAttention(nn.Module):
    """Scale every channel by a gate in (0, 1), then every position by another (CBAM; Woo et al. 2018, section 3).

    features_NCHW -> features_NCHW. The gates of channels see their means and maxima over the image through a shared
    bottleneck (equation 2) as wide as that of squeeze-and-excitation; those of positions see mean and maximum over the
    channels within 7x7 (equation 3), normalized as in the authors' code where the network has batch norm.
    """

    def __init__(self, channels: int, *, batch_norm: bool) -> None:
        super().__init__()
        units = max(8, channels // 16)
        self.squeeze = nn.Linear(channels, units, bias=False)
        self.excite = nn.Linear(units, channels, bias=False)
        self.look = nn.Conv2d(2, 1, 7, padding=3, bias=False)
        self.norm = nn.BatchNorm2d(1) if batch_norm else nn.Identity()

    def forward(self, features_NCHW: Tensor) -> Tensor:
        means_NC, maxima_NC = features_NCHW.mean((2, 3)), features_NCHW.amax((2, 3))
        both_NC = self._through(means_NC) + self._through(maxima_NC)
        weighed_NCHW = features_NCHW * torch.sigmoid(both_NC)[:, :, None, None]
        seen_N2HW = torch.cat((weighed_NCHW.mean(1, keepdim=True), weighed_NCHW.amax(1, keepdim=True)), 1)
        return weighed_NCHW * torch.sigmoid(self.norm(self.look(seen_N2HW)))

    def _through(self, values_NC: Tensor) -> Tensor:
        return self.excite(functional.relu(self.squeeze(values_NC)))


class SelfAttention(nn.Module):
    """Every position of a feature map looks at every other one, and what it gathers is added to it.

    features_NCHW -> features_NCHW, with H = W = side. Multi-head dot-product attention over positions as in Bello et
    al. 2019, section 3.1; layer norm first, and positions told apart by a learned embedding. The last layer starts at
    zero, so that the block starts as the identity (Wang et al. 2018, section 4.1) and can be added to any network.
    """

    def __init__(self, channels: int, side: int) -> None:
        super().__init__()
        self.heads = max(1, channels // CHANNELS_PER_HEAD)
        while channels % self.heads:
            self.heads -= 1
        self.norm = nn.LayerNorm(channels)
        self.position_LC = nn.Parameter(torch.zeros(side * side, channels))
        self.to_query_key_value = nn.Linear(channels, 3 * channels)
        self.project = nn.Linear(channels, channels)
        self.start_as_identity()

    def start_as_identity(self) -> None:
        """Set the last layer to zero."""
        nn.init.zeros_(self.project.weight)
        nn.init.zeros_(self.project.bias)

    def forward(self, features_NCHW: Tensor) -> Tensor:
        N, C, H, W = features_NCHW.shape
        tokens_NLC = features_NCHW.permute(0, 2, 3, 1).reshape(N, H * W, C)
        mixed_NL3C = self.to_query_key_value(self.norm(tokens_NLC) + self.position_LC)
        split = mixed_NL3C.view(N, H * W, 3, self.heads, C // self.heads).permute(2, 0, 3, 1, 4)
        query_NhLc, key_NhLc, value_NhLc = split.unbind(0)
        seen_NhLc = functional.scaled_dot_product_attention(query_NhLc, key_NhLc, value_NhLc)
        seen_NLC = self.project(seen_NhLc.transpose(1, 2).reshape(N, H * W, C))
        return (tokens_NLC + seen_NLC).view(N, H, W, C).permute(0, 3, 1, 2)

    def multiply_adds(self) -> int:
        """Of the two products between positions, for one image; the linear layers count their own."""
        positions, channels = self.position_LC.shape
        return 2 * positions * positions * channels
