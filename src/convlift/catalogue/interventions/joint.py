"""Changes that pay together: each moves levers of several areas at once, because the one needs the other.

A search that switches changes on one by one finds such pairs only where it draws them together. So the few that the
literature names are candidates of their own, levels of one factor, and never on beside one of their parts.
"""

from convlift.catalogue.intervention import Edit, Intervention, cached_features
from convlift.catalogue.interventions.architecture import wider
from convlift.catalogue.interventions.data import has_detail, resized
from convlift.catalogue.interventions.training import decayed
from convlift.catalogue.symptoms import Symptom
from convlift.catalogue.unfit import Unfit, Unmet
from convlift.recipe.recipe import Recipe
from convlift.records.facts import Facts

_ONE_OF = "joint"
_EPOCHS = ("epochs", "fine-tuning epochs")
_AUGMENTATION = ("shift", "zoom", "views", "augmentation strength")
_FEW = (Symptom.OVERFIT, Symptom.DATA_LIMITED)
_AGAINST = (Symptom.UNDERFIT, Symptom.OVER_AUGMENTED)


def _then(*edits: Edit) -> Edit:
    def edit(recipe: Recipe) -> Recipe:
        for each in edits:
            recipe = each(recipe)
        return recipe

    return edit


def _longer(factor: float) -> Edit:
    """More epochs in every phase that there is."""

    def edit(recipe: Recipe) -> Recipe:
        tuned = recipe.training.fine_tuning
        more = {"fine_tuning": {"epochs": round(tuned.epochs * factor)}} if tuned else {}
        return recipe.edit(training={"epochs": round(recipe.training.epochs * factor), **more})

    return edit


def _shifted_and_zoomed(recipe: Recipe) -> Recipe:
    """Shifts and zooms of at least the catalogue's weaker strengths; as stored views where features are cached.

    No mirror images and no turns: those are right for some data only, and have candidates of their own.
    """
    old = recipe.data.augmentation
    stored = cached_features(recipe)
    strengths = {"translation": max(old.translation, 0.1 if stored else 0.125), "zoom": max(old.zoom, 0.15)}
    views = {"views": max(recipe.data.views, 3)} if stored else {}
    return recipe.edit(data={"augmentation": strengths, **views})


def _trained(**fields: object) -> Edit:
    return lambda recipe: recipe.edit(training=fields)


def _regularized(recipe: Recipe) -> Recipe:
    return decayed(0.05)(recipe.edit(training={"label_smoothing": 0.1}))


def _is_regularized(recipe: Recipe, facts: Facts) -> Unfit | None:
    """Then it would be the same as longer training on shifted and zoomed images."""
    return Unmet("regularized") if _regularized(recipe) == recipe else None


def _thinned(recipe: Recipe) -> Recipe:
    network = recipe.architecture
    return recipe.edit(architecture={"dropout": round(min(network.dropout + 0.1, 0.7), 10)})


def _with_resolution(*edits: Edit) -> Edit:
    return _then(resized(1.25), *edits)


JOINT: tuple[Intervention, ...] = (
    Intervention(
        name="longer training on shifted and zoomed images",
        area="data",
        claim="More varied images take longer to learn, and can be learned longer before they are known by heart.",
        source="Steiner et al. 2022 (How to train your ViT), section 4.1 (vision transformers)",
        helps=_FEW,
        edit=_then(_shifted_and_zoomed, _longer(2)),
        prior=0.6,
        group=_ONE_OF,
        repeats=True,
        hurts=(*_AGAINST, Symptom.LABEL_NOISE),
        parts=(*_AUGMENTATION, *_EPOCHS),
    ),
    Intervention(
        name="wider, trained longer on shifted and zoomed images",
        area="architecture",
        claim=(
            "A larger network pays where augmentation keeps it from learning the images by heart, and it has the time."
        ),
        source="Bello et al. 2021 (Revisiting ResNets), sections 5 and 6",
        helps=(Symptom.DATA_LIMITED, Symptom.WEAK_CLASS),
        edit=_then(wider(1.25), _shifted_and_zoomed, _longer(1.5)),
        prior=0.6,
        group=_ONE_OF,
        networks=("convnet",),
        repeats=True,
        hurts=(Symptom.OVER_AUGMENTED, Symptom.LABEL_NOISE),
        parts=("width", *_AUGMENTATION, *_EPOCHS),
        reported="+3.2 on ImageNet for the training methods together (ResNet-200, 79.0 to 82.2)",
    ),
    Intervention(
        name="longer, augmented and regularized training",
        area="training",
        claim="Long training wants augmentation, label smoothing and weight decay together.",
        source="Wightman et al. 2021 (ResNet strikes back), section 4",
        helps=(Symptom.OVERFIT, Symptom.OVERCONFIDENT),
        edit=_then(_shifted_and_zoomed, _longer(2), _regularized),
        prior=0.7,
        group=_ONE_OF,
        unfit=_is_regularized,
        repeats=True,
        hurts=_AGAINST,
        parts=(*_AUGMENTATION, *_EPOCHS, "label smoothing", "weight penalty"),
        reported="+4.3 on ImageNet for the whole procedure (ResNet-50, 76.1 to 80.4)",
    ),
    Intervention(
        name="higher resolution with more dropout and shifts",
        area="data",
        claim="Larger images let a network learn more by heart, so regularization has to rise with them.",
        source="Tan and Le 2021 (EfficientNetV2), section 4",
        helps=(Symptom.WEAK_CLASS, Symptom.OVERFIT),
        edit=_with_resolution(_thinned, _shifted_and_zoomed),
        prior=0.5,
        group=_ONE_OF,
        unfit=has_detail,
        repeats=True,
        hurts=_AGAINST,
        parts=("resolution", "dropout", *_AUGMENTATION),
    ),
    Intervention(
        name="wider at a higher resolution",
        area="architecture",
        claim="Larger images hold finer patterns, and more channels are needed to hold those.",
        source="Tan and Le 2019, section 3.2, observation 2",
        helps=(Symptom.UNDERFIT, Symptom.WEAK_CLASS),
        edit=_with_resolution(wider(1.25)),
        prior=0.5,
        group=_ONE_OF,
        networks=("convnet",),
        unfit=has_detail,
        repeats=True,
        hurts=(Symptom.OVERFIT, Symptom.DATA_LIMITED),
        parts=("resolution", "width"),
        reported="+0.7 on ImageNet over scaling a ResNet-50 in one way alone (table 3)",
    ),
    Intervention(
        name="longer training with cosine, warm-up and label smoothing",
        area="training",
        claim="A schedule that ends at zero has use for more epochs, and smooth targets keep them from overconfidence.",
        source="He et al. 2019 (Bag of tricks), section 5",
        helps=(Symptom.UNDER_TRAINED, Symptom.OVERCONFIDENT),
        edit=_then(_longer(1.5), _trained(schedule="cosine", warmup=0.1, label_smoothing=0.1)),
        prior=0.6,
        group=_ONE_OF,
        repeats=True,
        hurts=(Symptom.LABEL_NOISE,),
        parts=(*_EPOCHS, "schedule", "label smoothing"),
        reported="+1.2 on ImageNet for cosine and label smoothing (table 6)",
    ),
)
