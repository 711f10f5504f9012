"""Less augmentation, or for less of the training, for recipes that came with too much of it: the training images then
look unlike the others.

Gontijo-Lopes et al. 2021 (Tradeoffs in data augmentation, section 4): an augmentation that moves images out of the
distribution costs accuracy, however diverse it makes them.
"""

from convlift.catalogue.intervention import (
    Edit,
    Intervention,
    augmented_afresh,
    augments,
    cached_features,
    multiplied,
    unaugmented,
)
from convlift.catalogue.symptoms import Symptom
from convlift.catalogue.unfit import Unfit, Unmet
from convlift.recipe.recipe import Recipe
from convlift.records.facts import Facts

_TOO_MUCH = (Symptom.OVER_AUGMENTED, Symptom.UNDERFIT)
_TOO_LITTLE = (Symptom.OVERFIT, Symptom.DATA_LIMITED)
_SOURCE = "Gontijo-Lopes et al. 2021, section 4"

# strength -> its factor in augmentation.py
FACTORS = {
    "horizontal_flip": "horizontal flip",
    "vertical_flip": "vertical flip",
    "rotation": "rotation",
    "zoom": "zoom",
    "translation": "shift",
    "brightness": "brightness",
    "contrast": "contrast",
    "saturation": "saturation",
    "hue": "hue",
    "noise": "noise",
    "quarter_turns": "quarter turns",
    "aspect": "distortion",
    "shear": "distortion",
    "crop": "zoom",
    "perspective": "perspective",
    "elastic": "elastic distortion",
    "erase": "erasing",
    "cutout": "erasing",
    "gamma": "gamma",
    "channel_gain": "channel gain",
    "greyscale": "greyscale",
    "equalize": "equalize",
    "solarize": "solarize",
    "posterize": "posterize",
    "sharpness": "sharpness",
    "blur": "blur",
    "shot_noise": "noise",
    "jpeg": "JPEG",
    "rand_augment": "policy",
    "trivial_augment": "policy",
    "aug_mix": "policy",
    "haze": "haze and fog",
    "fog": "haze and fog",
    "clouds": "clouds",
    "cloud_shadow": "clouds",
    "low_sun": "daylight",
    "night": "daylight",
}
_DISTORTIONS = ("aspect", "shear", "perspective", "elastic")
_COLOURS = ("brightness", "contrast", "saturation", "hue")
_TONES = ("gamma", "channel_gain", "greyscale", "equalize", "solarize", "posterize")
_WEATHER = ("haze", "fog", "clouds", "cloud_shadow", "low_sun", "night")
_QUALITY = ("sharpness", "blur", "shot_noise", "jpeg")


def _times(factor: float, *strengths: str) -> Edit:
    def edit(recipe: Recipe) -> Recipe:
        old = recipe.data.augmentation.strengths
        return recipe.edit(data={"augmentation": {name: multiplied(old[name], factor) for name in strengths}})

    return edit


def _no_augmentation(recipe: Recipe) -> Recipe:
    return unaugmented(recipe).edit(data={"views": 0})


def _augmented(recipe: Recipe, facts: Facts) -> Unfit | None:
    seen = recipe.data.augmentation.active and (recipe.data.views or not cached_features(recipe))
    return None if seen else Unmet("no augmentation")


def _augmented_in_epochs(recipe: Recipe, facts: Facts) -> Unfit | None:
    return augmented_afresh(recipe, facts) or _augmented(recipe, facts)


def _augmented_afresh(recipe: Recipe, facts: Facts) -> Unfit | None:
    return Unmet("augmented alike") if cached_features(recipe) else None


def _weaker(name: str, claim: str, factor: float, *strengths: str, prior: float = 0.0) -> Intervention:
    factors = tuple(dict.fromkeys(FACTORS[strength] for strength in strengths))
    return Intervention(
        name=name,
        area="data",
        claim=claim,
        source=_SOURCE,
        helps=_TOO_MUCH,
        edit=_times(factor, *strengths),
        prior=prior,
        group=factors[0] if len(factors) == 1 else "",
        unfit=_augmented_afresh,
        repeats=factor > 0,
        hurts=_TOO_LITTLE,
        parts=factors if len(factors) > 1 else (),
    )


WEAKER: tuple[Intervention, ...] = (
    _weaker("no vertical flip", "Most photos have an up and a down.", 0.0, "vertical_flip", prior=0.1),
    _weaker("half the rotation", "Smaller turns leave the images as they will be met.", 0.5, "rotation"),
    _weaker("no quarter turns", "Most photos have an up and a down.", 0.0, "quarter_turns", prior=0.1),
    _weaker("half the zoom", "Objects at more alike sizes.", 0.5, "zoom"),
    _weaker("half the crop", "More of each object is seen.", 0.5, "crop"),
    _weaker("half the distortions", "Shapes nearer to those of the images.", 0.5, *_DISTORTIONS),
    _weaker("half the erasing", "More of each image is seen.", 0.5, "erase", "cutout"),
    _weaker("half the shift", "Objects nearer to where they will be met.", 0.5, "translation"),
    _weaker("half the colour changes", "Light and colour nearer to those of the images.", 0.5, *_COLOURS),
    _weaker("half the changes of tones", "Tones nearer to those of the images.", 0.5, *_TONES),
    _weaker("half the weather", "Light and air nearer to those of the images.", 0.5, *_WEATHER),
    _weaker("half the loss of quality", "Pictures nearer to those of the images.", 0.5, *_QUALITY),
    _weaker("half the pixel noise", "Clearer images to learn from.", 0.5, "noise"),
    Intervention(
        name="all augmentation at half strength",
        area="data",
        claim=(
            "A network that is wrong about its augmented images still learns what the plain ones would teach "
            "it at once."
        ),
        source=_SOURCE,
        helps=_TOO_MUCH,
        edit=_times(0.5, *FACTORS),
        prior=0.0,
        group="augmentation strength",
        unfit=_augmented,
        repeats=True,
        hurts=_TOO_LITTLE,
        parts=(*dict.fromkeys(FACTORS.values()), "views"),
    ),
    Intervention(
        name="no augmentation",
        area="data",
        claim="Where the budget is short, plain images are learned soonest.",
        source=_SOURCE,
        helps=_TOO_MUCH,
        edit=_no_augmentation,
        prior=-0.3,
        group="augmentation strength",
        unfit=_augmented,
        hurts=_TOO_LITTLE,
        parts=(*dict.fromkeys(FACTORS.values()), "views", "augmentation timing"),
    ),
    Intervention(
        name="no augmentation at the end",
        area="data",
        claim="The last epochs on images as they are, once the network has learned from the others.",
        source="Ge et al. 2021, section 2.1 (YOLOX); Gontijo-Lopes et al. 2021",
        helps=(Symptom.OVER_AUGMENTED,),
        edit=augments(off_for_last=0.15),
        prior=-0.1,  # the figures are of detection, and of augmentation far stronger
        group="augmentation timing",
        unfit=_augmented_in_epochs,
    ),
    Intervention(
        name="augmentation that grows",
        area="data",
        claim="Plain images first, which are learned soonest; changed ones when there is something to unlearn.",
        source="Tan and Le 2021, section 4 (EfficientNetV2, with growing images)",
        helps=_TOO_MUCH,
        edit=augments(grows_until=0.5),
        prior=-0.2,  # the paper has no figure of it alone
        group="augmentation timing",
        unfit=_augmented_in_epochs,
    ),
)
