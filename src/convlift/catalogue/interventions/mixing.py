"""Training images that are made of two."""

from convlift.catalogue.intervention import Edit, Intervention, sets
from convlift.catalogue.symptoms import Symptom
from convlift.catalogue.unfit import Unfit, Unmet
from convlift.recipe.recipe import Recipe
from convlift.records.facts import Facts

_TOO_MUCH = (Symptom.UNDERFIT, Symptom.OVER_AUGMENTED)
_TOO_LITTLE = (Symptom.OVERFIT, Symptom.OVERCONFIDENT)
# mixup: of .1 to .4, which Zhang et al. 2018, section 3.1, find best on ImageNet; CutMix: Yun et al. 2019, section 4.1
MIXUP, CUTMIX = 0.4, 1.0


def mixes(mixup: float, cutmix: float) -> Edit:
    """The edit that mixes images so, and leaves how many as it is."""
    return sets("data", mixing={"mixup": mixup, "cutmix": cutmix})


def _mixed(recipe: Recipe, facts: Facts) -> Unfit | None:
    return None if recipe.data.mixing.active else Unmet("no mixing")


MIXING: tuple[Intervention, ...] = (
    Intervention(
        name="mixup",
        area="data",
        claim="Images shown through each other teach smooth steps from one class to the next.",
        source="Zhang et al. 2018, section 3",
        helps=_TOO_LITTLE,
        edit=mixes(MIXUP, 0.0),
        prior=0.1,
        group="mixing",
        hurts=_TOO_MUCH,
        reported="+0.8 on ImageNet (He et al. 2019, table 6); little under 80 epochs",
    ),
    Intervention(
        name="CutMix",
        area="data",
        claim="A patch of another image keeps the network from looking at one part alone.",
        source="Yun et al. 2019, section 4.1",
        helps=_TOO_LITTLE,
        edit=mixes(0.0, CUTMIX),
        prior=0.1,
        group="mixing",
        hurts=_TOO_MUCH,
        reported="+2.3 on ImageNet, +2.2 on CIFAR-100, in 300 epochs (Yun et al. 2019, tables 3 and 5)",
    ),
    Intervention(
        name="mixup and CutMix",
        area="data",
        claim="Mixed either way, no image is seen twice alike.",
        source="Wightman et al. 2021 (ResNet strikes back), section 4",
        helps=_TOO_LITTLE,
        edit=mixes(MIXUP, CUTMIX),
        prior=0.2,
        group="mixing",
        hurts=_TOO_MUCH,
    ),
    Intervention(
        name="no mixing",
        area="data",
        claim="Where the budget is short, whole images are learned soonest.",
        source="Yun et al. 2019, section 4.1 (mixed images are learned over 300 epochs)",
        helps=_TOO_MUCH,
        edit=mixes(0.0, 0.0),
        prior=-0.2,
        group="mixing",
        unfit=_mixed,
        hurts=_TOO_LITTLE,
    ),
)
