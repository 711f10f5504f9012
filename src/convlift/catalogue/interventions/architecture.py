"""Changes to a convnet's body: its size, its layers, its shortcuts, its attention."""

from convlift.catalogue.intervention import Edit, Intervention, sets
from convlift.catalogue.symptoms import Symptom
from convlift.catalogue.unfit import CoarseStem, Unfit, Unmet
from convlift.recipe.architecture import ConvNet
from convlift.recipe.recipe import Recipe
from convlift.records.facts import Facts

_WEAK = (Symptom.UNDERFIT,)
_HARD_TO_TRAIN = (Symptom.UNDERFIT, Symptom.UNDER_TRAINED, Symptom.UNSTABLE)
_FREE = (Symptom.OVERFIT, Symptom.DATA_LIMITED)


def wider(factor: float) -> Edit:
    """The edit that multiplies a convnet's channels, to a multiple of 8."""

    def edit(recipe: Recipe) -> Recipe:
        network = recipe.architecture
        assert isinstance(network, ConvNet), "widening holds for convnets alone"
        return recipe.edit(architecture={"width": round(network.width * factor / 8) * 8})

    return edit


def _more(field: str) -> Edit:
    return lambda recipe: recipe.edit(architecture={field: getattr(recipe.architecture, field) + 1})


def _small_images(recipe: Recipe, facts: Facts) -> Unfit | None:
    side = recipe.data.resolution or facts.native_resolution
    return CoarseStem(side) if side < 96 else None


def _normalized(recipe: Recipe, facts: Facts) -> Unfit | None:
    network = recipe.architecture
    bare = isinstance(network, ConvNet) and network.normalization == "none"
    return Unmet("no normalization") if bare else None


ARCHITECTURE: tuple[Intervention, ...] = (
    Intervention(
        "width x1.5",
        "architecture",
        "More channels a stage hold more features.",
        "Zagoruyko and Komodakis 2016, section 3",
        _WEAK,
        wider(1.5),
        0.3,
        group="width",
        networks=("convnet",),
        repeats=True,
        hurts=(Symptom.OVERFIT,),
    ),
    Intervention(
        "width x2",
        "architecture",
        "Twice the channels: wide networks beat thin deep ones at equal cost.",
        "Zagoruyko and Komodakis 2016, section 3",
        _WEAK,
        wider(2.0),
        0.4,
        group="width",
        networks=("convnet",),
        repeats=True,
        hurts=(Symptom.OVERFIT,),
        reported="+1.5 on CIFAR-10 (WRN-40-1 to WRN-40-2, table 4)",
    ),
    Intervention(
        "one more block a stage",
        "architecture",
        "Deeper stacks of 3x3 convolutions see more and separate better.",
        "Simonyan and Zisserman 2015, section 4",
        _WEAK,
        _more("blocks"),
        0.3,
        group="blocks",
        networks=("convnet",),
        repeats=True,
        hurts=(Symptom.OVERFIT,),
        reported="+0.9 on ImageNet (11 to 13 layers, table 3)",
    ),
    Intervention(
        "one more stage",
        "architecture",
        "Another halving and doubling: larger parts, seen by richer features.",
        "Simonyan and Zisserman 2015, section 4",
        _WEAK,
        _more("stages"),
        0.5,
        networks=("convnet",),
        repeats=True,
        hurts=(Symptom.OVERFIT,),
    ),
    Intervention(
        "batch norm",
        "architecture",
        "Normalized activations train faster and bear higher learning rates.",
        "Ioffe and Szegedy 2015, section 4",
        _HARD_TO_TRAIN,
        sets("architecture", normalization="batch"),
        0.5,
        group="normalization layers",
        networks=("convnet",),
        reported="+0.5 on ImageNet at the same learning rate, +2.6 at thirty times it (figure 3)",
    ),
    Intervention(
        "group norm",
        "architecture",
        "Normalization that does not depend on the batch.",
        "Wu and He 2018, section 4",
        (Symptom.UNSTABLE,),
        sets("architecture", normalization="group"),
        0.1,
        group="normalization layers",
        networks=("convnet",),
    ),
    Intervention(
        "residual connections",
        "architecture",
        "Blocks learn a correction to the identity, so that depth helps.",
        "He et al. 2016, section 4",
        _HARD_TO_TRAIN,
        sets("architecture", residual=True),
        0.3,
        networks=("convnet",),
        reported="+0.1 with 18 layers, +3.5 with 34, on ImageNet (table 2)",
    ),
    Intervention(
        "squeeze-and-excitation",
        "architecture",
        "Channels are weighed by what the whole image shows.",
        "Hu et al. 2018, section 6",
        _WEAK,
        sets("architecture", squeeze_excitation=True),
        0.3,
        networks=("convnet",),
        hurts=(Symptom.OVERFIT,),
        reported="+1.5 on ImageNet (ResNet-50, table 2)",
    ),
    Intervention(
        "self-attention",
        "architecture",
        "Every place of the last feature map looks at every other.",
        "Bello et al. 2019, section 4",
        _WEAK,
        sets("architecture", self_attention=True),
        0.1,
        networks=("convnet",),
        hurts=(Symptom.OVERFIT,),
        reported="+1.3 on ImageNet (ResNet-50)",
    ),
    Intervention(
        "kernel 5x5",
        "architecture",
        "Larger kernels see further in each layer.",
        "Liu et al. 2022 (ConvNeXt), section 2.5",
        _WEAK,
        sets("architecture", kernel_size=5),
        0.1,
        group="kernel",
        networks=("convnet",),
        hurts=(Symptom.OVERFIT,),
        reported="+0.7 on ImageNet, depthwise from 3x3 to 7x7",
    ),
    Intervention(
        "average pooling",
        "architecture",
        "The mean of a neighbourhood, steadier than its maximum where features are dense.",
        "Boureau et al. 2010",
        (Symptom.OVERFIT,),
        sets("architecture", pooling="average"),
        0.0,
        group="pooling",
        networks=("convnet",),
    ),
    Intervention(
        "strided convolution",
        "architecture",
        "Halving is learned instead of fixed.",
        "Springenberg et al. 2015, section 2",
        _WEAK,
        sets("architecture", pooling="strided"),
        0.0,
        group="pooling",
        networks=("convnet",),
        reported="-0.5 to +0.7 on CIFAR-10 (table 3)",
    ),
    Intervention(
        "max pooling",
        "architecture",
        "The strongest response of a neighbourhood, wherever it is.",
        "Scherer et al. 2010, section 4",
        _WEAK,
        sets("architecture", pooling="max"),
        0.0,
        group="pooling",
        networks=("convnet",),
    ),
    Intervention(
        "GELU",
        "architecture",
        "A smooth activation that lets small negative values through.",
        "Hendrycks and Gimpel 2016, section 3",
        _WEAK,
        sets("architecture", activation="gelu"),
        0.1,
        group="activation",
        networks=("convnet",),
        reported="+0.3 on CIFAR-10 (section 3.5)",
    ),
    Intervention(
        "SiLU",
        "architecture",
        "A smooth, self-gated activation (Swish).",
        "Ramachandran et al. 2017, section 5",
        _WEAK,
        sets("architecture", activation="silu"),
        0.1,
        group="activation",
        networks=("convnet",),
        reported="+0.6 to +0.9 on ImageNet",
    ),
    Intervention(
        "leaky ReLU",
        "architecture",
        "A small slope keeps units from dying, most on small data sets.",
        "Xu et al. 2015, section 4",
        (Symptom.UNDERFIT, Symptom.DATA_LIMITED),
        sets("architecture", activation="leaky_relu"),
        0.0,
        group="activation",
        networks=("convnet",),
        reported="-0.2 at this slope, +1.3 at a steeper one, on CIFAR-10",
    ),
    Intervention(
        "large stem",
        "architecture",
        "A 7x7 stride-2 convolution and pooling bring large images down cheaply.",
        "He et al. 2016, table 1",
        _FREE,
        sets("architecture", stem="large"),
        -0.2,
        group="stem",
        networks=("convnet",),
        unfit=_small_images,
    ),
    Intervention(
        "small stem",
        "architecture",
        "A 3x3 stem keeps every pixel of a small image.",
        "He et al. 2016, section 4.2",
        _WEAK,
        sets("architecture", stem="small"),
        0.5,
        group="stem",
        networks=("convnet",),
    ),
    Intervention(
        "no dropout between stages",
        "architecture",
        "Dropout before batch normalization shifts the variances it counts on.",
        "Li et al. 2019, section 3 (variance shift)",
        (Symptom.UNDERFIT, Symptom.UNSTABLE),
        sets("architecture", stage_dropout=0.0),
        0.1,
        networks=("convnet",),
        unfit=_normalized,
    ),
)
