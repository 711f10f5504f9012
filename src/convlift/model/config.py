"""The networks: a convolutional family of our own, and pretrained backbones."""

from typing import Annotated, Literal

from pydantic import Field

from convlift.section import Section

Pooling = Literal["max", "average", "strided"]
Norm = Literal["none", "batch", "group"]
Activation = Literal["relu", "leaky_relu", "gelu", "silu"]


class ConvNet(Section):
    """Stages of convolutions, each followed by a halving of the image; width doubles from stage to stage."""

    kind: Literal["convnet"] = "convnet"
    stem: Literal["small", "large"] = Field(
        "small", description="small: first convolution keeps the size; large: 7x7 with stride 2, then pooling (He et al. 2016)"
    )
    stages: int = Field(1, ge=1, le=5, description="how often the image is halved")
    blocks: int = Field(1, ge=1, le=6, description="depth: blocks per stage (a residual block has two convolutions)")
    width: int = Field(32, ge=8, le=512, multiple_of=8, description="channels of the first stage")
    kernel_size: Literal[1, 3, 5, 7] = Field(3, description="side of the convolution kernels")
    pooling: Pooling = Field("max", description="how a stage halves the image")
    normalization: Norm = Field("none", description="after each convolution")
    activation: Activation = Field("relu", description="after each normalization")
    residual: bool = Field(False, description="identity shortcuts around blocks (He et al. 2016)")
    squeeze_excitation: bool = Field(False, description="channel attention in each block (Hu et al. 2018)")
    self_attention: bool = Field(False, description="self-attention over the last feature map (Bello et al. 2019)")
    summary: Literal["flatten", "average"] = Field("flatten", description="how the last feature map becomes a vector")
    head_units: int = Field(128, ge=0, le=4096, description="units of the hidden dense layer; 0 leaves it out")
    stage_dropout: float = Field(0.0, ge=0, lt=1, description="dropout after each stage")
    dropout: float = Field(0.0, ge=0, lt=1, description="dropout before the last layer")


class Pretrained(Section):
    """A backbone by its timm name, under a new head: global average pooling, Dense(head_units, relu), dropout, Dense."""

    kind: Literal["pretrained"] = "pretrained"
    backbone: str = Field("tf_efficientnet_lite0", description="any timm network that has convolutional features")
    weights: str = Field(
        "auto",
        description="auto: from the installed package, else timm's hub; random: none; else the path of a .safetensors file",
    )
    head_units: int = Field(1024, ge=0, le=4096, description="units of the head's hidden layer; 0 leaves it out")
    dropout: float = Field(0.2, ge=0, lt=1, description="dropout before the last layer")


Architecture = Annotated[ConvNet | Pretrained, Field(discriminator="kind")]
