"""The convolutional family of our own: from the usual tutorial network to a residual network with attention."""

from collections import OrderedDict

import torch
from torch import Tensor, nn
from torch.nn import functional

from convlift.errors import RecipeError
from convlift.model.attention import SelfAttention
from convlift.model.blocks import ResidualBlock, block, block_outputs
from convlift.model.convolutions import BlurPool, activation, convolution, halving, normalization, strided
from convlift.recipe.architecture import ConvNet, map_sides, why_contradictory, why_impossible


def build_convnet(architecture: ConvNet, *, classes: int, channels: int, resolution: int) -> nn.Sequential:
    """The network of a recipe: `features` (images_NCHW -> map_NCHW), `summary` (-> vector_ND), `head` (-> logits_NK).

    With ConvNet's defaults and dropout 0.25 and 0.5 this is the network of the Keras tutorials. Weights come from
    torch's global generator. Raises RecipeError where levers contradict each other, the image cannot be halved so
    often, or is too large for self-attention.
    """
    if reason := why_contradictory(architecture) or why_impossible(architecture, resolution):
        raise RecipeError(f"{reason}.")
    side = map_sides(architecture, resolution)[-1]
    features, width = _features(architecture, channels)
    if architecture.self_attention:
        features.append(SelfAttention(width, side))
    width *= side * side if architecture.summary == "flatten" else 1
    summary = _summary(architecture, width)
    head = _head(architecture, width, classes)
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


class GeneralizedMean(nn.Module):
    """map_NCHW -> vector_NC, (mean of map^p)^(1/p), from the average (p = 1) towards the maximum.

    Radenovic et al. 2019, equation 3: p is learned and starts at 3; what is below 1e-6 counts as 1e-6.
    """

    SMALLEST = 1e-6

    def __init__(self) -> None:
        super().__init__()
        self.power = nn.Parameter(torch.full((1,), 3.0))

    def forward(self, map_NCHW: Tensor) -> Tensor:
        return map_NCHW.clamp(min=self.SMALLEST).pow(self.power).mean((2, 3)).pow(1 / self.power)


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
    layers, width = _stem(architecture, channels)
    done, depths = 0, architecture.depths
    for stage, depth in enumerate(depths):
        wider = architecture.width * 2**stage
        if architecture.halving == "first":
            layers += _halving_convolution(architecture, width, wider)
            width = wider
        for number in range(depth):
            done += 1
            skipped = architecture.stochastic_depth * done / sum(depths)
            halves = architecture.halving == "within" and stage > 0 and number == 0
            layers += block(architecture, width, wider, halves=halves, skipped=skipped)
            width = block_outputs(architecture, wider)
        if architecture.halving == "last":
            layers += halving(architecture, width)
        if architecture.stage_dropout:
            layers.append(nn.Dropout(architecture.stage_dropout))
    return layers, width


def _stem(architecture: ConvNet, channels: int) -> tuple[list[nn.Module], int]:
    """The layers before the first stage, and their channels."""
    width = architecture.width
    match architecture.stem:
        case "whitened":
            stem = WhitenedConvolution(channels)
            return [stem, activation(architecture)], stem.out_channels
        case "large":
            first = convolution(architecture, channels, width, kernel=7, stride=2)
            return [*first, activation(architecture), *halving(architecture, width)], width
        case "resnet":
            first = convolution(architecture, channels, width, kernel=7, stride=2)
            return [*first, activation(architecture), *_overlapping_maximum(architecture)], width
        case "deep":
            half = max(8, width // 16 * 8)  # He et al. 2019, section 4.2: 32, 32 and 64 channels
            layers = [
                *convolution(architecture, channels, half, kernel=3, stride=2),
                activation(architecture),
                *convolution(architecture, half, half, kernel=3),
                activation(architecture),
                *convolution(architecture, half, width, kernel=3),
                activation(architecture),
            ]
            return [*layers, *_overlapping_maximum(architecture)], width
        case "patch":
            return [nn.Conv2d(channels, width, 4, 4), *normalization(architecture, width)], width
        case "small" if architecture.has_shortcuts:
            # a residual block needs its input as wide as itself: the first convolution stands alone (He et al., 4.2)
            return [*convolution(architecture, channels, width), activation(architecture)], width
        case "small":
            return [], channels


def _overlapping_maximum(architecture: ConvNet) -> list[nn.Module]:
    """3x3 max pooling with stride 2 (He et al. 2016, table 1), or a blur for its stride."""
    blurred = architecture.blur_pool
    return [nn.MaxPool2d(3, 1, 1), BlurPool()] if blurred else [nn.MaxPool2d(3, 2, 1)]


def _halving_convolution(architecture: ConvNet, inputs: int, width: int) -> list[nn.Module]:
    """A convolution to the stage's width that is halved before it is normalized, which costs least."""
    if architecture.pooling == "strided":
        return strided(architecture, inputs, width, kernel=3)
    first, *norm = convolution(architecture, inputs, width)
    return [first, *halving(architecture, width), *norm, activation(architecture)]


def _summary(architecture: ConvNet, width: int) -> nn.Module:
    """What makes a vector of the last map; that of ConvNeXt blocks, which end in no normalization, is normalized (as in
    the authors' code)."""
    summary = {"flatten": FlattenChannelsLast, "average": GlobalAverage, "gem": GeneralizedMean}[architecture.summary]()
    if architecture.block != "convnext" or architecture.normalization == "none":
        return summary
    return nn.Sequential(summary, nn.LayerNorm(width, eps=1e-6))


def _head(architecture: ConvNet, inputs: int, classes: int) -> nn.Sequential:
    layers: list[nn.Module] = []
    if architecture.head_units:
        layers += [nn.Linear(inputs, architecture.head_units), activation(architecture)]
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
    if any(weight.is_meta for weight in network.parameters()):
        return  # of shapes alone; torch would load its compiler, for seconds, to draw numbers that are not kept
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
