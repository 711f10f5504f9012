"""Refinements of a convnet: how it halves an image, and which of its blocks a training step has."""

from convlift.catalogue.intervention import Intervention, sets
from convlift.catalogue.symptoms import Symptom
from convlift.catalogue.unfit import FewPixels, Unfit, Unmet
from convlift.recipe.architecture import ConvNet
from convlift.recipe.recipe import Recipe
from convlift.records.facts import Facts

_FEWEST_PIXELS = 64  # a side: what is published of blurs is of photos, and small images have little to alias
_FEWEST_BLOCKS = 8  # those of ResNet-18: shallower networks gain nothing from skipping some (Huang et al. 2016, 5)


def _few_pixels(recipe: Recipe, facts: Facts) -> Unfit | None:
    side = recipe.data.resolution or facts.native_resolution
    return FewPixels(side) if side < _FEWEST_PIXELS else None


def _no_wide_stem(recipe: Recipe, facts: Facts) -> Unfit | None:
    network = recipe.architecture
    wide = isinstance(network, ConvNet) and network.stem in ("large", "resnet", "deep")
    return None if wide else Unmet("no 7x7 stem")


def _no_strided_shortcut(recipe: Recipe, facts: Facts) -> Unfit | None:
    network = recipe.architecture
    strides = isinstance(network, ConvNet) and network.halving == "within" and network.stages > 1
    has_them = isinstance(network, ConvNet) and network.has_shortcuts and network.block in ("plain", "bottleneck")
    return None if strides and has_them else Unmet("no strided shortcut")


def _few_blocks(recipe: Recipe, facts: Facts) -> Unfit | None:
    network = recipe.architecture
    many = isinstance(network, ConvNet) and network.has_shortcuts and sum(network.depths) >= _FEWEST_BLOCKS
    return None if many else Unmet("few blocks")


REFINEMENTS: tuple[Intervention, ...] = (
    Intervention(
        name="blurred halving",
        area="architecture",
        claim="A blur before pixels are dropped keeps a small shift from changing what is seen.",
        source="Zhang 2019, section 3.2",
        helps=(Symptom.OVERFIT, Symptom.DATA_LIMITED),
        edit=sets("architecture", blur_pool=True),
        prior=0.3,
        networks=("convnet",),
        unfit=_few_pixels,
        reported="+2.0, +0.9 and +0.7 on ImageNet (ResNet-18, ResNet-50, VGG16)",
    ),
    Intervention(
        name="deep stem",
        area="architecture",
        claim="Three 3x3 convolutions see what a 7x7 one sees, with two activations more.",
        source="He et al. 2019, section 4.2 (ResNet-C)",
        helps=(Symptom.UNDERFIT,),
        edit=sets("architecture", stem="deep"),
        prior=0.1,
        group="stem",
        networks=("convnet",),
        unfit=_no_wide_stem,
        reported="+0.2 on ImageNet (ResNet-50, table 5)",
    ),
    Intervention(
        name="pooled shortcuts",
        area="architecture",
        claim="A shortcut that averages before its stride throws no position away.",
        source="He et al. 2019, section 4.2 (ResNet-D)",
        helps=(Symptom.UNDERFIT,),
        edit=sets("architecture", shortcut="pooled"),
        prior=0.1,
        networks=("convnet",),
        unfit=_no_strided_shortcut,
        reported="+0.3 on ImageNet (ResNet-50, table 5)",
    ),
    Intervention(
        name="stochastic depth 0.1",
        area="architecture",
        claim="Blocks that are skipped at random in training must not rely on each other.",
        source="Huang et al. 2016, section 4",
        helps=(Symptom.OVERFIT,),
        edit=sets("architecture", stochastic_depth=0.1),
        prior=0.1,
        networks=("convnet",),
        unfit=_few_blocks,
        hurts=(Symptom.UNDERFIT, Symptom.UNDER_TRAINED),
        reported="+1.2 on CIFAR-10 (110 layers, at 0.5)",
    ),
)
