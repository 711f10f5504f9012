"""Random changes to the training images.

Where the lower stages of a backbone stay frozen, its features are cached, so augmentation comes as whole sets of
cached copies (`data.views`): a handful of sets, because each one costs an extraction. Everywhere else images are
augmented afresh in every epoch and each strength is a lever of its own.
"""

from convlift.catalogue.intervention import Edit, Intervention, sets
from convlift.catalogue.intervention import augmented_afresh as _fresh
from convlift.catalogue.intervention import augmented_in_views as _cached
from convlift.catalogue.symptoms import Symptom
from convlift.catalogue.unfit import Unfit, Unmet
from convlift.recipe.recipe import Recipe
from convlift.records.facts import Facts

_FEW = (Symptom.OVERFIT, Symptom.DATA_LIMITED)


def _fresh_colour(recipe: Recipe, facts: Facts) -> Unfit | None:
    return Unmet("no colour") if facts.channels == 1 else _fresh(recipe, facts)


def _cached_colour(recipe: Recipe, facts: Facts) -> Unfit | None:
    return Unmet("no colour") if facts.channels == 1 else _cached(recipe, facts)


def _augments(**strengths: float) -> Edit:
    return sets("data", augmentation=strengths)


def _views(count: int, **strengths: float) -> Edit:
    return sets("data", views=count, augmentation=strengths)


AUGMENTATION: tuple[Intervention, ...] = (
    Intervention(
        name="horizontal flip",
        area="data",
        claim="Mirror images double the data where left and right mean the same.",
        source="Krizhevsky et al. 2012, section 4.1",
        helps=_FEW,
        edit=_augments(horizontal_flip=0.5),
        prior=0.5,
        group="horizontal flip",
        unfit=_fresh,
        hurts=(Symptom.UNDERFIT, Symptom.OVER_AUGMENTED),
        reported="+1.6 on Caltech-101 (Taylor and Nitschke 2017)",
    ),
    Intervention(
        name="no horizontal flip",
        area="data",
        claim="Mirror images harm where the hand matters, as in text and digits.",
        source="Shorten and Khoshgoftaar 2019, section on flipping",
        helps=(Symptom.OVER_AUGMENTED,),
        edit=_augments(horizontal_flip=0.0),
        prior=-0.3,
        group="horizontal flip",
        unfit=_fresh,
        hurts=_FEW,
    ),
    Intervention(
        name="vertical flip",
        area="data",
        claim="Upside-down images help where up and down mean the same, as seen from above.",
        source="Veeling et al. 2018 (pathology)",
        helps=_FEW,
        edit=_augments(vertical_flip=0.5),
        prior=-0.3,
        group="vertical flip",
        unfit=_fresh,
        hurts=(Symptom.UNDERFIT, Symptom.OVER_AUGMENTED),
    ),
    Intervention(
        name="rotation 10 degrees",
        area="data",
        claim="Small turns stand for the tilt of hand and camera.",
        source="Simard et al. 2003, section 2",
        helps=_FEW,
        edit=_augments(rotation=0.028),
        prior=0.3,
        group="rotation",
        unfit=_fresh,
        hurts=(Symptom.UNDERFIT, Symptom.OVER_AUGMENTED),
        reported="+2.7 on Caltech-101, for 30 degrees (Taylor and Nitschke 2017)",
    ),
    Intervention(
        name="rotation 25 degrees",
        area="data",
        claim="Larger turns help where objects have no fixed upright.",
        source="Taylor and Nitschke 2017",
        helps=_FEW,
        edit=_augments(rotation=0.07),
        prior=0.2,
        group="rotation",
        unfit=_fresh,
        hurts=(Symptom.UNDERFIT, Symptom.OVER_AUGMENTED),
        reported="+2.7 on Caltech-101, for 30 degrees (Taylor and Nitschke 2017)",
    ),
    Intervention(
        name="no rotation",
        area="data",
        claim="Turns harm where the angle tells classes apart.",
        source="Shorten and Khoshgoftaar 2019, section on rotation",
        helps=(Symptom.OVER_AUGMENTED,),
        edit=_augments(rotation=0.0),
        prior=-0.2,
        group="rotation",
        unfit=_fresh,
        hurts=_FEW,
    ),
    Intervention(
        name="zoom 15%",
        area="data",
        claim="Objects at several sizes teach the network that size does not matter.",
        source="Szegedy et al. 2015, section 6",
        helps=_FEW,
        edit=_augments(zoom=0.15),
        prior=0.4,
        group="zoom",
        unfit=_fresh,
        hurts=(Symptom.UNDERFIT, Symptom.OVER_AUGMENTED),
    ),
    Intervention(
        name="zoom 30%",
        area="data",
        claim="Strong changes of size, as in photos taken from any distance.",
        source="Szegedy et al. 2015, section 6",
        helps=_FEW,
        edit=_augments(zoom=0.3),
        prior=0.3,
        group="zoom",
        unfit=_fresh,
        hurts=(Symptom.UNDERFIT, Symptom.OVER_AUGMENTED),
    ),
    Intervention(
        name="shift 1/8",
        area="data",
        claim="Random crops of a padded image (4 of 32 pixels) make place irrelevant.",
        source="He et al. 2016, section 4.2",
        helps=_FEW,
        edit=_augments(translation=0.125),
        prior=0.4,
        group="shift",
        unfit=_fresh,
        hurts=(Symptom.UNDERFIT, Symptom.OVER_AUGMENTED),
        reported="+1.8 on CIFAR-10, with flips (Springenberg et al. 2015, tables 3 and 4); +13.8 on Caltech-101, for "
        "five stored crops (Taylor and Nitschke 2017)",
    ),
    Intervention(
        name="brightness",
        area="data",
        claim="Light and exposure vary from photo to photo.",
        source="Howard 2013, section 2",
        helps=_FEW,
        edit=_augments(brightness=0.15),
        prior=0.1,
        group="brightness",
        unfit=_fresh,
        hurts=(Symptom.UNDERFIT, Symptom.OVER_AUGMENTED),
        reported="+1.4 on Caltech-101, all colour changes together (Taylor and Nitschke 2017)",
    ),
    Intervention(
        name="contrast",
        area="data",
        claim="Contrast varies with light and camera.",
        source="Howard 2013, section 2",
        helps=_FEW,
        edit=_augments(contrast=0.25),
        prior=0.1,
        group="contrast",
        unfit=_fresh,
        hurts=(Symptom.UNDERFIT, Symptom.OVER_AUGMENTED),
        reported="+1.4 on Caltech-101, all colour changes together (Taylor and Nitschke 2017)",
    ),
    Intervention(
        name="saturation",
        area="data",
        claim="How vivid colours are depends more on the camera than on the class.",
        source="He et al. 2019, section 2.1",
        helps=_FEW,
        edit=_augments(saturation=0.3),
        prior=0.1,
        group="saturation",
        unfit=_fresh_colour,
        hurts=(Symptom.UNDERFIT, Symptom.OVER_AUGMENTED),
        reported="+1.4 on Caltech-101, all colour changes together (Taylor and Nitschke 2017)",
    ),
    Intervention(
        name="hue",
        area="data",
        claim="A small turn of the colours stands for the colour of the light.",
        source="He et al. 2019, section 2.1",
        helps=_FEW,
        edit=_augments(hue=0.03),
        prior=0.0,
        group="hue",
        unfit=_fresh_colour,
        hurts=(Symptom.UNDERFIT, Symptom.OVER_AUGMENTED),
        reported="+1.4 on Caltech-101, all colour changes together (Taylor and Nitschke 2017)",
    ),
    Intervention(
        name="pixel noise",
        area="data",
        claim="Noise on the input acts as a smoothness penalty.",
        source="Bishop 1995, section 2",
        helps=(Symptom.OVERFIT,),
        edit=_augments(noise=0.03),
        prior=-0.1,
        group="noise",
        unfit=_fresh,
        hurts=(Symptom.UNDERFIT, Symptom.OVER_AUGMENTED),
    ),
    Intervention(
        name="mirrored views",
        area="data",
        claim="Cached features of mirror images double the head's data.",
        source="Chatfield et al. 2014, section 4 (flip augmentation of features)",
        helps=_FEW,
        edit=_views(2, horizontal_flip=0.5, translation=0.03),
        prior=0.3,
        group="views",
        unfit=_cached,
        hurts=(Symptom.UNDERFIT, Symptom.OVER_AUGMENTED),
    ),
    Intervention(
        name="zoomed and shifted views",
        area="data",
        claim="Cached features of crops teach the head that place and size do not matter.",
        source="Chatfield et al. 2014, section 4 (crop augmentation of features)",
        helps=_FEW,
        edit=_views(3, zoom=0.15, translation=0.1),
        prior=0.4,
        group="views",
        unfit=_cached,
        hurts=(Symptom.UNDERFIT, Symptom.OVER_AUGMENTED),
    ),
    Intervention(
        name="mirrored, zoomed and shifted views",
        area="data",
        claim="Crops and mirror images together: the usual set, as features.",
        source="Chatfield et al. 2014, section 4 (flips and crops of features)",
        helps=_FEW,
        edit=_views(3, horizontal_flip=0.5, zoom=0.15, translation=0.1),
        prior=0.7,
        group="views",
        unfit=_cached,
        hurts=(Symptom.UNDERFIT, Symptom.OVER_AUGMENTED),
        reported="about +3 of mean average precision on VOC 2007 (Chatfield et al. 2014)",
    ),
    Intervention(
        name="mirrored, zoomed, shifted and coloured views",
        area="data",
        claim="The usual set, and light and colour vary too.",
        source="Howard 2013, section 2",
        helps=_FEW,
        edit=_views(3, horizontal_flip=0.5, zoom=0.15, translation=0.1, brightness=0.1, contrast=0.2, saturation=0.2),
        prior=0.6,
        group="views",
        unfit=_cached_colour,
        hurts=(Symptom.UNDERFIT, Symptom.OVER_AUGMENTED),
    ),
)
