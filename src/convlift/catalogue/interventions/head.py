"""Changes to the head: how the last feature map becomes a vector, and the vector classes."""

from convlift.catalogue.intervention import Edit, Intervention, sets
from convlift.catalogue.symptoms import Symptom
from convlift.catalogue.unfit import Unfit, Unmet
from convlift.recipe.architecture import ConvNet, Pretrained
from convlift.recipe.recipe import Recipe
from convlift.records.facts import Facts

_WEAK = (Symptom.UNDERFIT,)
_FREE = (Symptom.OVERFIT, Symptom.DATA_LIMITED)
THREE = 3  # of seven stages have nearly all of what all of them add (docs/LOG.md)


def _dropout(change: float) -> Edit:
    # the share kept is what counts: 0.7 is as far as a head is worth thinning
    return lambda recipe: recipe.edit(
        architecture={"dropout": round(min(max(recipe.architecture.dropout + change, 0.0), 0.7), 10)}
    )


def _deep_enough(recipe: Recipe, facts: Facts) -> Unfit | None:
    network = recipe.architecture
    shallow = isinstance(network, ConvNet) and network.stages < 2
    return Unmet("one stage") if shallow else None


def _reads_one(recipe: Recipe, facts: Facts) -> Unfit | None:
    """A head reads only stages that are trained, where only the last ones are."""
    network, tuned = recipe.architecture, recipe.training.fine_tuning
    if tuned and tuned.stages and tuned.stages < THREE:
        return Unmet("few stages trained")
    return Unmet("no change") if isinstance(network, Pretrained) and network.pooled_stages > 1 else None


HEAD: tuple[Intervention, ...] = (
    Intervention(
        name="features of three stages",
        area="architecture",
        claim="Earlier features, which the last stage has given up for ImageNet's classes, tell other classes apart.",
        source="Evci et al. 2022, section 4",
        helps=(Symptom.UNDERFIT, Symptom.OVERFIT),
        edit=sets("architecture", pooled_stages=THREE),
        prior=1.0,
        group="pooled stages",
        networks=("pretrained",),
        unfit=_reads_one,
    ),
    Intervention(
        name="features of the last stage",
        area="architecture",
        claim="The fewest and most general features have the least to overfit.",
        source="Donahue et al. 2014 (DeCAF), section 3",
        helps=(Symptom.OVERFIT, Symptom.DATA_LIMITED),
        edit=sets("architecture", pooled_stages=1),
        prior=-0.5,
        group="pooled stages",
        networks=("pretrained",),
        hurts=(Symptom.UNDERFIT,),
    ),
    Intervention(
        name="average summary",
        area="architecture",
        claim="Averaging each feature map leaves no dense layer to overfit.",
        source="Lin et al. 2014, section 3.2",
        helps=_FREE,
        edit=sets("architecture", summary="average"),
        prior=0.1,
        group="summary",
        networks=("convnet",),
        unfit=_deep_enough,
        hurts=(Symptom.UNDERFIT,),
        reported="+0.5 on CIFAR-10, over dense layers with dropout",
    ),
    Intervention(
        name="flattened summary",
        area="architecture",
        claim="The head sees where each feature was found.",
        source="LeCun et al. 1998, Gradient-based learning, section II",
        helps=_WEAK,
        edit=sets("architecture", summary="flatten"),
        prior=-0.2,
        group="summary",
        networks=("convnet",),
        hurts=_FREE,
    ),
    Intervention(
        name="no hidden dense layer",
        area="architecture",
        claim="A linear head on good features has the least to overfit.",
        source="Kornblith et al. 2019, section 4 (logistic regression on features)",
        helps=_FREE,
        edit=sets("architecture", head_units=0),
        prior=0.1,
        group="head",
        networks=("convnet", "pretrained"),
        hurts=(Symptom.UNDERFIT,),
    ),
    Intervention(
        name="head of 512 units",
        area="architecture",
        claim="A hidden layer of middle size recombines the features.",
        source="Simonyan and Zisserman 2015, section 2.1",
        helps=_WEAK,
        edit=sets("architecture", head_units=512),
        prior=0.1,
        group="head",
        networks=("convnet", "pretrained"),
        hurts=(Symptom.OVERFIT,),
    ),
    Intervention(
        name="head of 2048 units",
        area="architecture",
        claim="A wide hidden layer separates classes that features leave mixed.",
        source="Simonyan and Zisserman 2015, section 2.1",
        helps=_WEAK,
        edit=sets("architecture", head_units=2048),
        prior=0.1,
        group="head",
        networks=("convnet", "pretrained"),
        hurts=_FREE,
    ),
    Intervention(
        name="less dropout",
        area="architecture",
        claim="A network that underfits cannot spare its units.",
        source="Srivastava et al. 2014, section 7.3",
        helps=(Symptom.UNDERFIT, Symptom.UNDER_TRAINED),
        edit=_dropout(-0.2),
        prior=0.2,
        group="dropout",
        repeats=True,
        hurts=(Symptom.OVERFIT, Symptom.OVERCONFIDENT),
    ),
    Intervention(
        name="more dropout",
        area="architecture",
        claim="Thinning the head keeps its units from relying on each other.",
        source="Srivastava et al. 2014, section 7.3",
        helps=(Symptom.OVERFIT, Symptom.OVERCONFIDENT),
        edit=_dropout(0.2),
        prior=0.0,
        group="dropout",
        repeats=True,
        hurts=(Symptom.UNDERFIT, Symptom.UNDER_TRAINED),
        reported="+0.7 on CIFAR-10, in the dense layers of a network without any (table 4)",
    ),
)
