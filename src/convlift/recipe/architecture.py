"""The networks: a convolutional family of our own, pretrained backbones, and what a user's own code makes."""

from itertools import count
from typing import Annotated, Literal

from pydantic import Field

from convlift.recipe.section import Section, lever

Pooling = Literal["max", "average", "strided"]
Norm = Literal["none", "batch", "group", "layer"]
Block = Literal["plain", "bottleneck", "inverted_residual", "convnext"]
Activation = Literal["relu", "leaky_relu", "very_leaky_relu", "gelu", "silu"]

LARGEST_ATTENTION_SIDE = 32
BOTTLENECK = 4  # the outputs of a bottleneck over its width (He et al. 2016, figure 5)


class ConvNet(Section):
    """Stages of convolutions, each followed by a halving of the image; width doubles from stage to stage."""

    kind: Literal["convnet"] = "convnet"
    stem: Literal["small", "large", "whitened", "resnet", "deep", "patch"] = lever(
        "small",
        "small: first convolution keeps the size; large: 7x7 with stride 2, then pooling; whitened: 2x2, set from the "
        "training images so that its outputs are uncorrelated, and kept; resnet: 7x7 with stride 2, then 3x3 max "
        "pooling with stride 2; deep: three 3x3 in place of that 7x7; patch: 4x4 with stride 4",
        "He et al. 2016, sections 3.4, 4.2; Jordan 2024, section 3.2; He et al. 2019, figure 2 (ResNet-C); Liu et al. "
        "2022, section 2.2",
    )
    stages: int = lever(1, "how often the image is halved", "Simonyan and Zisserman 2015", ge=1, le=5)
    blocks: int = lever(
        1,
        "depth: blocks per stage (a residual block has two convolutions)",
        "Simonyan and Zisserman 2015",
        ge=1,
        le=6,
    )
    extra_blocks: tuple[Annotated[int, Field(ge=0, le=33)], ...] = lever(
        (),
        "blocks that stages have beyond that, from the first stage on; ResNet-50 has blocks 3 and [0, 1, 3, 0]",
        "He et al. 2016, table 1",
        later=True,
    )
    block: Block = lever(
        "plain",
        "plain: one convolution, or two where residual; with shortcuts of their own, bottleneck: 1x1, 3x3 and 1x1 to "
        "four times the width; inverted_residual: 1x1 to more channels, depthwise, 1x1 back; convnext: depthwise, "
        "norm, 1x1 to four times the channels, activation, 1x1 back, layer scale",
        "He et al. 2016, figure 5; Sandler et al. 2018, section 3; Liu et al. 2022 (ConvNeXt), figure 4",
        later=True,
    )
    expansion: int = lever(
        6,
        "channels within an inverted residual over those that it is given",
        "Sandler et al. 2018, section 3.3; Howard et al. 2019, table 1",
        later=True,
        ge=2,
        le=8,
    )
    width: int = lever(32, "channels of the first stage", "Zagoruyko and Komodakis 2016", ge=8, le=512, multiple_of=8)
    kernel_size: Literal[1, 3, 5, 7] = lever(
        3, "side of the convolution kernels", "Simonyan and Zisserman 2015, section 2.3"
    )
    pooling: Pooling = lever("max", "how a stage halves the image", "Springenberg et al. 2015")
    halving: Literal["last", "first", "within"] = lever(
        "last",
        "where a stage halves the image: after its blocks; right after a convolution of its own before them; or within "
        "its first block by a stride, in all stages but the first",
        "He et al. 2016, section 3.3; Page 2018",
    )
    shortcut: Literal["strided", "pooled"] = lever(
        "strided",
        "of a block with a stride: a 1x1 convolution with that stride, or average pooling before a 1x1 convolution",
        "He et al. 2019, figure 2 (ResNet-D)",
        later=True,
    )
    blur_pool: bool = lever(
        False,
        "halve by a 3-tap blur in place of the stride of pooling and convolutions, but for a stem's convolution",
        "Zhang 2019, section 3.2",
        later=True,
    )
    normalization: Norm = lever(
        "none",
        "after each convolution (convnext: after the depthwise one); layer: over the channels of each position",
        "Ioffe and Szegedy 2015; Wu and He 2018; Ba et al. 2016",
    )
    weight_standardization: bool = lever(
        False,
        "kernels of mean 0 and variance 1 for each output, in every convolution that a normalization follows",
        "Qiao et al. 2019, section 3",
        later=True,
    )
    activation: Activation = lever(
        "relu",
        "after each normalization; leaky: a slope of 0.01 for negative values, very leaky: 1/5.5",
        "Nair and Hinton 2010; Xu et al. 2015; Hendrycks and Gimpel 2016",
    )
    residual: bool = lever(False, "identity shortcuts around blocks", "He et al. 2016")
    squeeze_excitation: bool = lever(False, "channel attention in each block", "Hu et al. 2018")
    attention: Literal["none", "eca", "cbam"] = lever(
        "none",
        "in each block, eca: each channel by its neighbours' means; cbam: channels by means and maxima, then positions",
        "Wang et al. 2020, section 3; Woo et al. 2018, section 3",
        later=True,
    )
    stochastic_depth: float = lever(
        0.0,
        "probability that the last block is skipped in training, falling to the first in proportion",
        "Huang et al. 2016, section 3",
        later=True,
        ge=0,
        lt=1,
    )
    self_attention: bool = lever(False, "self-attention over the last feature map", "Bello et al. 2019")
    summary: Literal["flatten", "average", "gem"] = lever(
        "flatten",
        "how the last feature map becomes a vector; gem: generalized mean, whose learned power starts at 3",
        "Lin et al. 2014, section 3.2; Radenovic et al. 2019, section 3.2",
    )
    head_units: int = lever(
        128, "units of the hidden dense layer; 0 leaves it out", "Krizhevsky et al. 2012", ge=0, le=4096
    )
    stage_dropout: float = lever(0.0, "dropout after each stage", "Srivastava et al. 2014", ge=0, lt=1)
    dropout: float = lever(0.0, "dropout before the last layer", "Srivastava et al. 2014", ge=0, lt=1)

    @property
    def depths(self) -> tuple[int, ...]:
        """How many blocks each stage has."""
        extra = (*self.extra_blocks, *(0,) * self.stages)
        return tuple(self.blocks + extra[stage] for stage in range(self.stages))

    @property
    def has_shortcuts(self) -> bool:
        """Whether its blocks correct what they are given: all but plain ones do."""
        return self.residual or self.block != "plain"


class Pretrained(Section):
    """A backbone by its timm name, under a new head: average pooling, Dense(head_units, relu), dropout, Dense."""

    kind: Literal["pretrained"] = "pretrained"
    backbone: str = lever(
        "tf_efficientnet_lite0", "any timm network with convolutional features", "Yosinski et al. 2014"
    )
    weights: str = lever(
        "auto",
        "auto: from the installed package, else timm's hub; random: none; else a .safetensors, .pt or .pth file",
        "Kornblith et al. 2019",
    )
    pooled_stages: int = lever(
        1,
        "how many of the backbone's last stages the head reads, where it has so many: the map of each is pooled, and "
        "all lie side by side",
        "Evci et al. 2022, section 4",
        ge=1,
        le=16,
    )
    head_units: int = lever(
        1024, "units of the head's hidden layer; 0 leaves it out", "Chollet 2018, section 5.3", ge=0, le=4096
    )
    dropout: float = lever(
        0.2,
        "dropout before the last layer",
        "Srivastava et al. 2014; Tan and Le 2019, section 5.2",
        ge=0,
        lt=1,
    )


class Own(Section):
    """A network that the user's own code makes, and what was found of it when it was looked into."""

    kind: Literal["own"] = "own"
    code: str = lever(
        ...,
        "FILE.py:NAME or PACKAGE.MODULE:NAME, a function or class that makes a torch module, called with the number of "
        "classes where it takes one",
        "the user's",
        min_length=3,
    )
    digest: str = lever("", "SHA-256 of that code; written down by convlift", "the user's")
    channels: Literal[0, 1, 3] = lever(
        0, "of the images that it takes, 0 for those of the data; written down by convlift", "the user's"
    )
    side: int = lever(
        0, "of the only images that it takes, in pixels, 0 for any; written down by convlift", "the user's", ge=0
    )
    memory: Literal["channels_last", "plain"] = lever(
        "channels_last", "order of the images in memory; plain where it takes no other", "the user's"
    )
    outputs: Literal["logits", "inner_logits", "probabilities", "sigmoids", "one_logit", "one_probability"] = lever(
        "logits",
        "what it ends with; inner: in an object's .logits, or in more dimensions; sigmoids: one a class; one: of the "
        "second of two classes alone",
        "the user's",
    )
    last_layer: str = lever("", "the linear layer that gives its outputs; written down by convlift", "the user's")
    new_last_layer: bool = lever(
        False, "whether that is replaced by one with an output a class", "Yosinski et al. 2014"
    )
    dropout: float = lever(0.0, "dropout put before the last layer", "Srivastava et al. 2014", ge=0, lt=1)
    activation: Literal["own", "relu", "leaky_relu", "very_leaky_relu", "gelu", "silu"] = lever(
        "own", "what takes the place of its activation layers", "Nair and Hinton 2010; Hendrycks and Gimpel 2016"
    )
    normalization: Literal["own", "batch"] = lever(
        "own", "batch: after each convolution, in a network that normalizes nothing", "Ioffe and Szegedy 2015"
    )
    changes: tuple[Literal["dropout", "activation", "normalization"], ...] = lever(
        (), "which of these three it can have; written down by convlift", "the user's"
    )


Architecture = Annotated[ConvNet | Pretrained | Own, Field(discriminator="kind")]


def map_sides(network: ConvNet, resolution: int) -> tuple[int, ...]:
    """The side of the feature map after the stem and after each stage, in positions.

    Convolutions are padded, so that only halvings change it: a strided convolution and a blur round an odd side up,
    pooling and ConvNeXt's 2x2 convolution round it down. Ends before the first stage that finds a single position:
    there is nothing to halve.
    """

    def halved(side: int) -> int:
        rounds_up = network.pooling == "strided" or (network.blur_pool and network.pooling == "average")
        return (side + 1) // 2 if rounds_up else side // 2

    def after_stage(side: int, stage: int) -> int:
        if network.halving != "within":
            return halved(side)
        return side if stage == 1 else side // 2 if network.block == "convnext" else (side + 1) // 2

    half = (resolution + 1) // 2
    stem = {"small": resolution, "large": halved(half), "whitened": resolution - 1, "patch": resolution // 4}
    sides = [stem.get(network.stem, (half + 1) // 2)]
    while len(sides) <= network.stages and sides[-1] > 1:
        sides.append(after_stage(sides[-1], len(sides)))
    return tuple(sides)


def why_contradictory(network: ConvNet) -> str:
    """What of the network is asked for and would have no effect: value, rule and remedy, without a full stop; ""
    where all has one."""
    if len(network.extra_blocks) > network.stages:
        return (
            f"'architecture.extra_blocks' has {len(network.extra_blocks)} numbers, but 'architecture.stages' is "
            f"{network.stages}; give at most one number a stage"
        )
    if network.weight_standardization and network.normalization == "none":
        return (
            "'architecture.weight_standardization' is true, but 'architecture.normalization' is none, and kernels are "
            "standardized only before a normalization, which undoes their scale; add one, such as group"
        )
    if network.stochastic_depth and not network.has_shortcuts:
        return (
            f"'architecture.stochastic_depth' is {network.stochastic_depth:g}, but plain blocks have no shortcuts past "
            "them; set 'architecture.residual' or another 'architecture.block'"
        )
    passes_strides = network.halving == "within" and (network.block == "bottleneck" or network.residual)
    if network.shortcut == "pooled" and (not passes_strides or network.block not in ("plain", "bottleneck")):
        return (
            "'architecture.shortcut' is pooled, but no shortcut passes a stride; it does with 'architecture.halving' "
            "within and residual plain or bottleneck blocks"
        )
    return ""


def why_impossible(network: ConvNet, resolution: int) -> str:
    """Why the network cannot be built for images of this side: value, rule and remedy, without a full stop; "" where it
    can."""
    sides = map_sides(network, resolution)
    if (stages := len(sides) - 1) < network.stages:
        enough = next(side for side in count(resolution) if len(map_sides(network, side)) > network.stages)
        most = f"{stages} stage{'s' * (stages > 1)}"
        return (
            f"architecture.stages is {network.stages}, but with the {network.stem} stem an image of {resolution} x "
            f"{resolution} pixels is down to a single position after {most}; use {most} at most, or a data.resolution "
            f"of {enough} or more"
        )
    if network.self_attention and sides[-1] > LARGEST_ATTENTION_SIDE:
        return (
            f"architecture.self_attention would look over a map of {sides[-1]} x {sides[-1]} positions, and its cost "
            f"grows with the fourth power of the side, so that {LARGEST_ATTENTION_SIDE} is the most; use more "
            "architecture.stages or a smaller data.resolution"
        )
    return ""
