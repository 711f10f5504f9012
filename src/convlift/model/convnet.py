"""The convolutional family of our own: from the usual tutorial network to a residual network with attention."""

from collections import OrderedDict

import torch
from torch import Tensor, nn
from torch.nn import functional

from convlift.errors import RecipeError
from convlift.model.attention import SelfAttention, SqueezeExcitation
from convlift.recipe.architecture import ConvNet, map_sides, why_impossible

CHANNELS_PER_GROUP = 8


def build_convnet(architecture: ConvNet, *, classes: int, channels: int, resolution: int) -> nn.Sequential:
    """The network of a recipe: `features` (images_NCHW -> map_NCHW), `summary` (-> vector_ND), `head` (-> logits_NK).

    With ConvNet's defaults and dropout 0.25 and 0.5 this is the network of the Keras tutorials. Weights come from
    torch's global generator. Raises RecipeError where the image cannot be halved so often, or is too large for
    self-attention.
    """
    if reason := why_impossible(architecture, resolution):
        raise RecipeError(f"{reason}.")
    side = map_sides(architecture, resolution)[-1]
    features, width = _features(architecture, channels)
    if architecture.self_attention:
        features.append(SelfAttention(width, side))
    flat = architecture.summary == "flatten"
    summary: nn.Module = FlattenChannelsLast() if flat else GlobalAverage()
    head = _head(architecture, width * side * side if flat else width, classes)
    network = nn.Sequential(OrderedDict[str, nn.Module](features=nn.Sequential(*features), summary=summary, head=head))
    _initialize(network)
    return network


class FlattenChannelsLast(nn.Module):
    """map_NCHW -> vector_ND in the order of NHWC: as in Keras, and no copy where the memory is channels-last."""

    def forward(self, map_NCHW: Tensor) -> Tensor:
        return map_NCHW.permute(0, 2, 3, 1).flatten(1)


class GlobalAverage(nn.Module):
    """map_NCHW -> means_NC (Lin et al. 2014, section 3.2)."""

    def forward(self, map_NCHW: Tensor) -> Tensor:
        return map_NCHW.mean((2, 3))


class ResidualBlock(nn.Module):
    """Two convolutions beside a shortcut, added before the last activation (He et al. 2016, figure 2).

    The shortcut is the identity, or a 1x1 projection where the widths differ (option B of section 3.3).
    """

    def __init__(self, architecture: ConvNet, inputs: int, width: int) -> None:
        super().__init__()
        first = [*_convolution(architecture, inputs, width), _activation(architecture)]
        self.branch = nn.Sequential(*first, *_convolution(architecture, width, width))
        self.gate = SqueezeExcitation(width) if architecture.squeeze_excitation else nn.Identity()
        same = inputs == width
        self.shortcut = nn.Sequential(*([] if same else _convolution(architecture, inputs, width, kernel=1)))
        self.activation = _activation(architecture)

    def start_as_identity(self) -> None:
        """Set the scale (or without normalization the kernel) that ends the branch to zero."""
        last = self.branch[-1]
        assert isinstance(last, nn.Conv2d | nn.BatchNorm2d | nn.GroupNorm)
        nn.init.zeros_(last.weight)

    def forward(self, map_NCHW: Tensor) -> Tensor:
        return self.activation(self.gate(self.branch(map_NCHW)) + self.shortcut(map_NCHW))


class WhitenedConvolution(nn.Conv2d):
    """A 2x2 convolution whose outputs are uncorrelated and of variance one over the training images, and not learned.

    Its kernels are the eigenvectors of the covariance of 2x2 patches over the roots of their eigenvalues, and their
    negatives, so that an activation loses neither sign (Jordan 2024, section 3.2, after Page 2018). Its biases learn.
    """

    SIDE = 2
    SMALLEST = 5e-4  # added to the eigenvalues: directions in which images hardly vary are noise (Jordan 2024)

    def __init__(self, channels: int) -> None:
        super().__init__(channels, self.outputs(channels), self.SIDE)
        self.weight.requires_grad_(False)

    @classmethod
    def outputs(cls, channels: int) -> int:
        """One output for each number of a patch, and for its negative."""
        return 2 * channels * cls.SIDE**2

    @torch.no_grad()
    def whiten(self, images_NCHW: Tensor) -> None:
        """Set the kernels from normalized images; done on the CPU in double precision, the same on every device."""
        patches_PD = functional.unfold(images_NCHW.cpu().double(), self.SIDE, stride=self.SIDE).transpose(1, 2)
        patches_PD = patches_PD.flatten(0, 1)
        values_D, vectors_DD = torch.linalg.eigh(patches_PD.T.cov())
        kernels = (vectors_DD / (values_D + self.SMALLEST).sqrt()).T.reshape(-1, *self.weight.shape[1:])
        self.weight.copy_(torch.cat((kernels, -kernels)))


def _features(architecture: ConvNet, channels: int) -> tuple[list[nn.Module], int]:
    layers: list[nn.Module] = []
    width = channels
    if architecture.stem == "large":
        layers += [*_convolution(architecture, channels, architecture.width, kernel=7, stride=2)]
        layers += [_activation(architecture), *_halving(architecture, architecture.width)]
        width = architecture.width
    elif architecture.stem == "whitened":
        layers += [WhitenedConvolution(channels), _activation(architecture)]
        width = WhitenedConvolution.outputs(channels)
    elif architecture.residual:
        # a residual block needs its input as wide as itself: the first convolution stands alone (He et al., 4.2)
        layers += [*_convolution(architecture, channels, architecture.width), _activation(architecture)]
        width = architecture.width
    for stage in range(architecture.stages):
        wider = architecture.width * 2**stage
        if architecture.halving == "first":
            layers += _halving_convolution(architecture, width, wider)
            width = wider
        for _ in range(architecture.blocks):
            layers += _block(architecture, width, wider)
            width = wider
        if architecture.halving == "last":
            layers += _halving(architecture, width)
        if architecture.stage_dropout:
            layers.append(nn.Dropout(architecture.stage_dropout))
    return layers, width


def _block(architecture: ConvNet, inputs: int, width: int) -> list[nn.Module]:
    if architecture.residual:
        return [ResidualBlock(architecture, inputs, width)]
    layers = [*_convolution(architecture, inputs, width), _activation(architecture)]
    return [*layers, SqueezeExcitation(width)] if architecture.squeeze_excitation else layers


def _convolution(
    architecture: ConvNet, inputs: int, width: int, *, kernel: int | None = None, stride: int = 1
) -> list[nn.Module]:
    kernel = kernel or architecture.kernel_size
    # batch and group norm subtract the mean or learn their own shift: a bias before them does nothing
    bias = architecture.normalization == "none"
    convolution = nn.Conv2d(inputs, width, kernel, stride, padding=kernel // 2, bias=bias)
    match architecture.normalization:
        case "batch":
            return [convolution, nn.BatchNorm2d(width)]
        case "group":
            # groups of 8 divide every allowed width; Wu and He 2018, table 3, find the size of little matter
            return [convolution, nn.GroupNorm(width // CHANNELS_PER_GROUP, width)]
        case "none":
            return [convolution]


def _halving_convolution(architecture: ConvNet, inputs: int, width: int) -> list[nn.Module]:
    """A convolution to the stage's width that is halved before it is normalized, which costs least."""
    if architecture.pooling == "strided":
        return [*_convolution(architecture, inputs, width, kernel=3, stride=2), _activation(architecture)]
    convolution, *normalization = _convolution(architecture, inputs, width)
    return [convolution, *_halving(architecture, width), *normalization, _activation(architecture)]


def _activation(architecture: ConvNet) -> nn.Module:
    match architecture.activation:
        case "relu":
            return nn.ReLU(inplace=True)
        case "leaky_relu":
            return nn.LeakyReLU(inplace=True)
        case "gelu":
            return nn.GELU()
        case "silu":
            return nn.SiLU()


def _halving(architecture: ConvNet, width: int) -> list[nn.Module]:
    match architecture.pooling:
        case "max":
            return [nn.MaxPool2d(2)]
        case "average":
            return [nn.AvgPool2d(2)]
        case "strided":
            # a 3x3 convolution whatever the kernel lever is (Springenberg et al. 2015, section 2.1): a strided
            # 1x1 one would never see three pixels in four
            return [*_convolution(architecture, width, width, kernel=3, stride=2), _activation(architecture)]


def _head(architecture: ConvNet, inputs: int, classes: int) -> nn.Sequential:
    layers: list[nn.Module] = []
    if architecture.head_units:
        layers += [nn.Linear(inputs, architecture.head_units), _activation(architecture)]
    if architecture.dropout:
        layers.append(nn.Dropout(architecture.dropout))
    return nn.Sequential(*layers, nn.Linear(architecture.head_units or inputs, classes))


def _initialize(network: nn.Sequential) -> None:
    """He normal for every layer under a rectifier, Glorot uniform for those that are not; biases zero.

    He et al. 2015, section 2.2: only the factor 2 / fan-in keeps the variance through many rectified layers, and
    without normalization our deepest network has thirty; Keras' default, Glorot uniform, halves it with each. The
    branch of every residual block starts at zero (Goyal et al. 2017, section 5.1; without norms Zhang et al. 2019),
    which makes a deep network start as a shallow one.
    """
    for module in network.modules():
        if isinstance(module, nn.Conv2d):
            nn.init.kaiming_normal_(module.weight, nonlinearity="relu")
        elif isinstance(module, nn.Linear):
            nn.init.xavier_uniform_(module.weight)
        if isinstance(module, nn.Conv2d | nn.Linear) and module.bias is not None:
            nn.init.zeros_(module.bias)
    *hidden, _last = network.get_submodule("head").children()
    for layer in hidden:
        if isinstance(layer, nn.Linear):
            nn.init.kaiming_normal_(layer.weight, nonlinearity="relu")
    for module in network.modules():
        if isinstance(module, ResidualBlock | SelfAttention):
            module.start_as_identity()
