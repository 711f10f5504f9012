"""Random changes to the training images.

Where the lower stages of a backbone stay frozen, its features are cached, so augmentation comes as whole sets of
cached copies (`data.views`): a handful of sets, because each one costs an extraction. Everywhere else images are
augmented afresh in every epoch and each strength is a lever of its own.
"""

from convlift.catalogue.intervention import Edit, Intervention, cached_features, sets
from convlift.catalogue.symptoms import Symptom
from convlift.catalogue.unfit import Unfit, Unmet
from convlift.recipe.recipe import Recipe
from convlift.records.facts import Facts

_FEW = (Symptom.OVERFIT, Symptom.DATA_LIMITED)


def _fresh(recipe: Recipe, facts: Facts) -> Unfit | None:
    return Unmet("augmented in views") if cached_features(recipe) else None


def _fresh_colour(recipe: Recipe, facts: Facts) -> Unfit | None:
    return Unmet("no colour") if facts.channels == 1 else _fresh(recipe, facts)


def _cached(recipe: Recipe, facts: Facts) -> Unfit | None:
    return None if cached_features(recipe) else Unmet("augmented afresh")


def _cached_colour(recipe: Recipe, facts: Facts) -> Unfit | None:
    return Unmet("no colour") if facts.channels == 1 else _cached(recipe, facts)


def _augments(**strengths: float) -> Edit:
    return sets("data", augmentation=strengths)


def _views(count: int, **strengths: float) -> Edit:
    return sets("data", views=count, augmentation=strengths)


AUGMENTATION: tuple[Intervention, ...] = (
    Intervention(
        "horizontal flip",
        "data",
        "Mirror images double the data where left and right mean the same.",
        "Krizhevsky et al. 2012, section 4.1",
        _FEW,
        _augments(horizontal_flip=0.5),
        0.5,
        group="horizontal flip",
        unfit=_fresh,
        hurts=(Symptom.UNDERFIT, Symptom.OVER_AUGMENTED),
        reported="+1.6 on Caltech-101 (Taylor and Nitschke 2017)",
    ),
    Intervention(
        "no horizontal flip",
        "data",
        "Mirror images harm where the hand matters, as in text and digits.",
        "Shorten and Khoshgoftaar 2019, section on flipping",
        (Symptom.OVER_AUGMENTED,),
        _augments(horizontal_flip=0.0),
        -0.3,
        group="horizontal flip",
        unfit=_fresh,
        hurts=_FEW,
    ),
    Intervention(
        "vertical flip",
        "data",
        "Upside-down images help where up and down mean the same, as seen from above.",
        "Shorten and Khoshgoftaar 2019, section on flipping",
        _FEW,
        _augments(vertical_flip=0.5),
        -0.3,
        group="vertical flip",
        unfit=_fresh,
        hurts=(Symptom.UNDERFIT, Symptom.OVER_AUGMENTED),
    ),
    Intervention(
        "rotation 10 degrees",
        "data",
        "Small turns stand for the tilt of hand and camera.",
        "Simard et al. 2003, section 2",
        _FEW,
        _augments(rotation=0.028),
        0.3,
        group="rotation",
        unfit=_fresh,
        hurts=(Symptom.UNDERFIT, Symptom.OVER_AUGMENTED),
        reported="+2.7 on Caltech-101, for 30 degrees (Taylor and Nitschke 2017)",
    ),
    Intervention(
        "rotation 25 degrees",
        "data",
        "Larger turns help where objects have no fixed upright.",
        "Taylor and Nitschke 2017, section 4",
        _FEW,
        _augments(rotation=0.07),
        0.2,
        group="rotation",
        unfit=_fresh,
        hurts=(Symptom.UNDERFIT, Symptom.OVER_AUGMENTED),
        reported="+2.7 on Caltech-101, for 30 degrees (Taylor and Nitschke 2017)",
    ),
    Intervention(
        "no rotation",
        "data",
        "Turns harm where the angle tells classes apart.",
        "Shorten and Khoshgoftaar 2019, section on rotation",
        (Symptom.OVER_AUGMENTED,),
        _augments(rotation=0.0),
        -0.2,
        group="rotation",
        unfit=_fresh,
        hurts=_FEW,
    ),
    Intervention(
        "zoom 15%",
        "data",
        "Objects at several sizes teach the network that size does not matter.",
        "Szegedy et al. 2015, section 6",
        _FEW,
        _augments(zoom=0.15),
        0.4,
        group="zoom",
        unfit=_fresh,
        hurts=(Symptom.UNDERFIT, Symptom.OVER_AUGMENTED),
        reported="+13.8 on Caltech-101, for cropping (Taylor and Nitschke 2017)",
    ),
    Intervention(
        "zoom 30%",
        "data",
        "Strong changes of size, as in photos taken from any distance.",
        "Szegedy et al. 2015, section 6",
        _FEW,
        _augments(zoom=0.3),
        0.3,
        group="zoom",
        unfit=_fresh,
        hurts=(Symptom.UNDERFIT, Symptom.OVER_AUGMENTED),
        reported="+13.8 on Caltech-101, for cropping (Taylor and Nitschke 2017)",
    ),
    Intervention(
        "shift 1/8",
        "data",
        "Random crops of a padded image (4 of 32 pixels) make place irrelevant.",
        "He et al. 2016, section 4.2",
        _FEW,
        _augments(translation=0.125),
        0.4,
        group="shift",
        unfit=_fresh,
        hurts=(Symptom.UNDERFIT, Symptom.OVER_AUGMENTED),
        reported="+1.8 on CIFAR-10, with flips (Springenberg et al. 2015, table 3)",
    ),
    Intervention(
        "brightness",
        "data",
        "Light and exposure vary from photo to photo.",
        "Howard 2013, section 2",
        _FEW,
        _augments(brightness=0.15),
        0.1,
        group="brightness",
        unfit=_fresh,
        hurts=(Symptom.UNDERFIT, Symptom.OVER_AUGMENTED),
        reported="+1.4 on Caltech-101, all colour changes together (Taylor and Nitschke 2017)",
    ),
    Intervention(
        "contrast",
        "data",
        "Contrast varies with light and camera.",
        "Howard 2013, section 2",
        _FEW,
        _augments(contrast=0.25),
        0.1,
        group="contrast",
        unfit=_fresh,
        hurts=(Symptom.UNDERFIT, Symptom.OVER_AUGMENTED),
        reported="+1.4 on Caltech-101, all colour changes together (Taylor and Nitschke 2017)",
    ),
    Intervention(
        "saturation",
        "data",
        "How vivid colours are says more of the camera than of the class.",
        "He et al. 2019, section 2.1",
        _FEW,
        _augments(saturation=0.3),
        0.1,
        group="saturation",
        unfit=_fresh_colour,
        hurts=(Symptom.UNDERFIT, Symptom.OVER_AUGMENTED),
        reported="+1.4 on Caltech-101, all colour changes together (Taylor and Nitschke 2017)",
    ),
    Intervention(
        "hue",
        "data",
        "A small turn of the colours stands for the colour of the light.",
        "He et al. 2019, section 2.1",
        _FEW,
        _augments(hue=0.03),
        0.0,
        group="hue",
        unfit=_fresh_colour,
        hurts=(Symptom.UNDERFIT, Symptom.OVER_AUGMENTED),
        reported="+1.4 on Caltech-101, all colour changes together (Taylor and Nitschke 2017)",
    ),
    Intervention(
        "pixel noise",
        "data",
        "Noise on the input acts as a smoothness penalty.",
        "Bishop 1995, section 2",
        (Symptom.OVERFIT,),
        _augments(noise=0.03),
        -0.1,
        group="noise",
        unfit=_fresh,
        hurts=(Symptom.UNDERFIT, Symptom.OVER_AUGMENTED),
    ),
    Intervention(
        "mirrored views",
        "data",
        "Cached features of mirror images double the head's data.",
        "Chatfield et al. 2014, section 4 (flip augmentation of features)",
        _FEW,
        _views(2, horizontal_flip=0.5, translation=0.03),
        0.3,
        group="views",
        unfit=_cached,
        hurts=(Symptom.UNDERFIT, Symptom.OVER_AUGMENTED),
    ),
    Intervention(
        "zoomed and shifted views",
        "data",
        "Cached features of crops teach the head that place and size do not matter.",
        "Chatfield et al. 2014, section 4 (crop augmentation of features)",
        _FEW,
        _views(3, zoom=0.15, translation=0.1),
        0.4,
        group="views",
        unfit=_cached,
        hurts=(Symptom.UNDERFIT, Symptom.OVER_AUGMENTED),
    ),
    Intervention(
        "mirrored, zoomed and shifted views",
        "data",
        "Crops and mirror images together: the usual set, as features.",
        "Chatfield et al. 2014, section 4 (flips and crops of features)",
        _FEW,
        _views(3, horizontal_flip=0.5, zoom=0.15, translation=0.1),
        0.7,
        group="views",
        unfit=_cached,
        hurts=(Symptom.UNDERFIT, Symptom.OVER_AUGMENTED),
        reported="about +3 of mean average precision on VOC 2007 (Chatfield et al. 2014)",
    ),
    Intervention(
        "mirrored, zoomed, shifted and coloured views",
        "data",
        "The usual set, and light and colour vary too.",
        "Howard 2013, section 2",
        _FEW,
        _views(3, horizontal_flip=0.5, zoom=0.15, translation=0.1, brightness=0.1, contrast=0.2, saturation=0.2),
        0.6,
        group="views",
        unfit=_cached_colour,
        hurts=(Symptom.UNDERFIT, Symptom.OVER_AUGMENTED),
    ),
)
