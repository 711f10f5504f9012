"""Changes to the head: how the last feature map becomes a vector, and the vector classes."""

from convlift.catalogue.intervention import Edit, Intervention, sets
from convlift.catalogue.symptoms import Symptom
from convlift.catalogue.unfit import Unfit, Unmet
from convlift.recipe.architecture import ConvNet
from convlift.recipe.recipe import Recipe
from convlift.records.facts import Facts

_WEAK = (Symptom.UNDERFIT,)
_FREE = (Symptom.OVERFIT, Symptom.DATA_LIMITED)


def _dropout(change: float) -> Edit:
    # the share kept is what counts: 0.7 is as far as a head is worth thinning
    return lambda recipe: recipe.edit(
        architecture={"dropout": round(min(max(recipe.architecture.dropout + change, 0.0), 0.7), 10)}
    )


def _deep_enough(recipe: Recipe, facts: Facts) -> Unfit | None:
    network = recipe.architecture
    shallow = isinstance(network, ConvNet) and network.stages < 2
    return Unmet("one stage") if shallow else None


HEAD: tuple[Intervention, ...] = (
    Intervention(
        "average summary",
        "architecture",
        "Averaging each feature map leaves no dense layer to overfit.",
        "Lin et al. 2014, section 3.2",
        _FREE,
        sets("architecture", summary="average"),
        0.1,
        group="summary",
        networks=("convnet",),
        unfit=_deep_enough,
        hurts=(Symptom.UNDERFIT,),
        reported="+0.5 on CIFAR-10, over dense layers with dropout",
    ),
    Intervention(
        "flattened summary",
        "architecture",
        "The head sees where each feature was found.",
        "LeCun et al. 1998, Gradient-based learning, section II",
        _WEAK,
        sets("architecture", summary="flatten"),
        -0.2,
        group="summary",
        networks=("convnet",),
        hurts=_FREE,
    ),
    Intervention(
        "no hidden dense layer",
        "architecture",
        "A linear head on good features has the least to overfit.",
        "Kornblith et al. 2019, section 4 (logistic regression on features)",
        _FREE,
        sets("architecture", head_units=0),
        0.1,
        group="head",
        hurts=(Symptom.UNDERFIT,),
    ),
    Intervention(
        "head of 512 units",
        "architecture",
        "A hidden layer of middle size recombines the features.",
        "Simonyan and Zisserman 2015, section 2.1",
        _WEAK,
        sets("architecture", head_units=512),
        0.1,
        group="head",
        hurts=(Symptom.OVERFIT,),
    ),
    Intervention(
        "head of 2048 units",
        "architecture",
        "A wide hidden layer separates classes that features leave mixed.",
        "Simonyan and Zisserman 2015, section 2.1",
        _WEAK,
        sets("architecture", head_units=2048),
        0.1,
        group="head",
        hurts=_FREE,
    ),
    Intervention(
        "less dropout",
        "architecture",
        "A network that underfits cannot spare its units.",
        "Srivastava et al. 2014, section 7.3",
        (Symptom.UNDERFIT, Symptom.UNDER_TRAINED),
        _dropout(-0.2),
        0.2,
        group="dropout",
        repeats=True,
        hurts=(Symptom.OVERFIT, Symptom.OVERCONFIDENT),
    ),
    Intervention(
        "more dropout",
        "architecture",
        "Thinning the head keeps its units from relying on each other.",
        "Srivastava et al. 2014, section 7.3",
        (Symptom.OVERFIT, Symptom.OVERCONFIDENT),
        _dropout(0.2),
        0.0,
        group="dropout",
        repeats=True,
        hurts=(Symptom.UNDERFIT, Symptom.UNDER_TRAINED),
        reported="+0.7 on CIFAR-10, in the dense layers of a network without any (table 4)",
    ),
)
