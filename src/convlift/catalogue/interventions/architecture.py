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


def _has_shortcuts(recipe: Recipe, facts: Facts) -> Unfit | None:
    network = recipe.architecture
    own = isinstance(network, ConvNet) and network.block != "plain"
    return Unmet("no change") if own else None


def _pools_nowhere(recipe: Recipe, facts: Facts) -> Unfit | None:
    network = recipe.architecture
    strides = isinstance(network, ConvNet) and network.halving == "within" and network.stem != "large"
    return Unmet("no change") if strides else None


ARCHITECTURE: tuple[Intervention, ...] = (
    Intervention(
        name="width x1.5",
        area="architecture",
        claim="More channels a stage hold more features.",
        source="Zagoruyko and Komodakis 2016, section 3",
        helps=_WEAK,
        edit=wider(1.5),
        prior=0.3,
        group="width",
        networks=("convnet",),
        repeats=True,
        hurts=(Symptom.OVERFIT,),
    ),
    Intervention(
        name="width x2",
        area="architecture",
        claim="Twice the channels: wide networks beat thin deep ones at equal cost.",
        source="Zagoruyko and Komodakis 2016, section 3",
        helps=_WEAK,
        edit=wider(2.0),
        prior=0.4,
        group="width",
        networks=("convnet",),
        repeats=True,
        hurts=(Symptom.OVERFIT,),
        reported="+1.5 on CIFAR-10 (WRN-40-1 to WRN-40-2, table 4)",
    ),
    Intervention(
        name="one more block a stage",
        area="architecture",
        claim="Deeper stacks of 3x3 convolutions see more and separate better.",
        source="Simonyan and Zisserman 2015, section 4",
        helps=_WEAK,
        edit=_more("blocks"),
        prior=0.3,
        group="blocks",
        networks=("convnet",),
        repeats=True,
        hurts=(Symptom.OVERFIT,),
        reported="+0.9 on ImageNet (11 to 13 layers, table 3)",
    ),
    Intervention(
        name="one more stage",
        area="architecture",
        claim="Another halving and doubling: larger parts, seen by richer features.",
        source="Simonyan and Zisserman 2015, section 2.1 (the form; all their networks have five stages)",
        helps=_WEAK,
        edit=_more("stages"),
        prior=0.5,
        networks=("convnet",),
        repeats=True,
        hurts=(Symptom.OVERFIT,),
    ),
    Intervention(
        name="batch norm",
        area="architecture",
        claim="Normalized activations train faster and bear higher learning rates.",
        source="Ioffe and Szegedy 2015, section 4",
        helps=_HARD_TO_TRAIN,
        edit=sets("architecture", normalization="batch"),
        prior=0.5,
        group="normalization layers",
        networks=("convnet", "own"),
        reported="+0.5 on ImageNet at the same learning rate, +2.6 at thirty times it (figure 3)",
    ),
    Intervention(
        name="group norm",
        area="architecture",
        claim="Normalization that does not depend on the batch.",
        source="Wu and He 2018, section 4",
        helps=(Symptom.UNSTABLE,),
        edit=sets("architecture", normalization="group"),
        prior=-0.4,
        group="normalization layers",
        networks=("convnet",),
        reported="-0.5 on ImageNet at 32 images a batch, +10.6 at 2, against batch norm",
    ),
    Intervention(
        name="residual connections",
        area="architecture",
        claim="Blocks learn a correction to the identity, so that depth helps.",
        source="He et al. 2016, section 4",
        helps=_HARD_TO_TRAIN,
        edit=sets("architecture", residual=True),
        prior=0.3,
        networks=("convnet",),
        unfit=_has_shortcuts,
        reported="+0.1 with 18 layers, +3.5 with 34, on ImageNet (table 2)",
    ),
    Intervention(
        name="squeeze-and-excitation",
        area="architecture",
        claim="Channels are weighed by what the whole image shows.",
        source="Hu et al. 2018, section 6",
        helps=_WEAK,
        edit=sets("architecture", squeeze_excitation=True),
        prior=0.3,
        networks=("convnet",),
        hurts=(Symptom.OVERFIT,),
        reported="+1.5 on ImageNet (ResNet-50, table 2)",
    ),
    Intervention(
        name="self-attention",
        area="architecture",
        claim="Every place of the last feature map looks at every other.",
        source="Wang et al. 2018, section 4.1",
        helps=_WEAK,
        edit=sets("architecture", self_attention=True),
        prior=0.1,
        networks=("convnet",),
        hurts=(Symptom.OVERFIT,),
        reported="+1.3 on ImageNet beside the convolutions of three stages (Bello et al. 2019)",
    ),
    Intervention(
        name="kernel 5x5",
        area="architecture",
        claim="Larger kernels see further in each layer.",
        source="Liu et al. 2022 (ConvNeXt), section 2.5",
        helps=_WEAK,
        edit=sets("architecture", kernel_size=5),
        prior=0.0,
        group="kernel",
        networks=("convnet",),
        hurts=(Symptom.OVERFIT,),
        reported="+0.7 on ImageNet for depthwise 7x7; -7 for 5x5 in place of two 3x3 (Simonyan and Zisserman 2015)",
    ),
    Intervention(
        name="average pooling",
        area="architecture",
        claim="The mean of a neighbourhood, steadier than its maximum where features are dense.",
        source="Boureau et al. 2010",
        helps=(Symptom.OVERFIT,),
        edit=sets("architecture", pooling="average"),
        prior=0.0,
        group="pooling",
        networks=("convnet",),
        unfit=_pools_nowhere,
    ),
    Intervention(
        name="strided convolution",
        area="architecture",
        claim="Halving is learned instead of fixed.",
        source="Springenberg et al. 2015, section 2",
        helps=_WEAK,
        edit=sets("architecture", pooling="strided"),
        prior=0.0,
        group="pooling",
        networks=("convnet",),
        unfit=_pools_nowhere,
        reported="-0.1 to +0.2 on CIFAR-10 against pooling in a network of the same size (table 3)",
    ),
    Intervention(
        name="max pooling",
        area="architecture",
        claim="The strongest response of a neighbourhood, wherever it is.",
        source="Scherer et al. 2010, section 4",
        helps=_WEAK,
        edit=sets("architecture", pooling="max"),
        prior=0.0,
        group="pooling",
        networks=("convnet",),
        unfit=_pools_nowhere,
    ),
    Intervention(
        name="GELU",
        area="architecture",
        claim="A smooth activation that lets small negative values through.",
        source="Hendrycks and Gimpel 2016, section 3",
        helps=_WEAK,
        edit=sets("architecture", activation="gelu"),
        prior=0.1,
        group="activation",
        networks=("convnet", "own"),
        reported="+0.3 on CIFAR-10 (section 3.5)",
    ),
    Intervention(
        name="SiLU",
        area="architecture",
        claim="A smooth, self-gated activation (Swish).",
        source="Ramachandran et al. 2017, section 5",
        helps=_WEAK,
        edit=sets("architecture", activation="silu"),
        prior=0.1,
        group="activation",
        networks=("convnet", "own"),
        reported="+0.6 to +0.9 on ImageNet",
    ),
    Intervention(
        name="very leaky ReLU",
        area="architecture",
        claim="A slope of 1/5.5 for negative values keeps units from dying, most on small data sets.",
        source="Xu et al. 2015, section 4",
        helps=(Symptom.UNDERFIT, Symptom.DATA_LIMITED),
        edit=sets("architecture", activation="very_leaky_relu"),
        prior=0.2,
        group="activation",
        networks=("convnet", "own"),
        reported="+1.3 on CIFAR-10; -0.2 at a slope of 0.01",
    ),
    Intervention(
        name="large stem",
        area="architecture",
        claim="A 7x7 stride-2 convolution and pooling bring large images down cheaply.",
        source="He et al. 2016, table 1",
        helps=_FREE,
        edit=sets("architecture", stem="large"),
        prior=-0.2,
        group="stem",
        networks=("convnet",),
        unfit=_small_images,
    ),
    Intervention(
        name="small stem",
        area="architecture",
        claim="A 3x3 stem keeps every pixel of a small image.",
        source="He et al. 2016, section 4.2",
        helps=_WEAK,
        edit=sets("architecture", stem="small"),
        prior=0.5,
        group="stem",
        networks=("convnet",),
    ),
    Intervention(
        name="no dropout between stages",
        area="architecture",
        claim="Dropout before batch normalization shifts the variances it counts on.",
        source="Li et al. 2019, section 3 (variance shift)",
        helps=(Symptom.UNDERFIT, Symptom.UNSTABLE),
        edit=sets("architecture", stage_dropout=0.0),
        prior=0.1,
        networks=("convnet",),
        unfit=_normalized,
    ),
)
