"""Further turns, crops, distortions, erasing, and policies: what helps some kinds of images, and harms most others.

Figures are known for crops, erasing and policies alone, of long trainings. So their priors are low: where neither a
symptom calls for one nor past campaigns speak for it, the common changes come first, and on a short list there are none
of these. The label guard asks about each before it is tried.
"""

from convlift.catalogue.intervention import Intervention, augmented_afresh, augmented_in_views, augments, views_of
from convlift.catalogue.symptoms import Symptom
from convlift.recipe.recipe import Recipe

_FEW = (Symptom.OVERFIT, Symptom.DATA_LIMITED)
_AGAINST = (Symptom.UNDERFIT, Symptom.OVER_AUGMENTED)
_ALL_DIRECTIONS = 0.75  # of quarter turns: none, one, two and three are equally likely


def _aug_mix(recipe: Recipe) -> Recipe:
    return recipe.edit(data={"augmentation": {"aug_mix": 3.0}}, training={"consistency": 12.0})


GEOMETRIC: tuple[Intervention, ...] = (
    Intervention(
        name="rotation 72 degrees",
        area="data",
        claim="Turns up to a fifth of a circle, as in many tutorials, help where what is seen has hardly an upright.",
        source="Chollet 2021, section 8.2 (Keras' RandomRotation), at twice its strength",
        helps=_FEW,
        edit=augments(rotation=0.2),
        prior=-0.2,  # photos lose their upright beyond about 45 degrees; where that harms, the guard weakens it
        group="rotation",
        unfit=augmented_afresh,
        hurts=_AGAINST,
    ),
    Intervention(
        name="full turns",
        area="data",
        claim="Every angle is as likely as any other, as in galaxies, cells, and pictures taken from above.",
        source="Dieleman et al. 2015, section 6.2 (galaxies)",
        helps=_FEW,
        edit=augments(rotation=0.5),
        prior=-0.3,  # right for some kinds of images and wrong for photos, where the guard weakens it
        group="rotation",
        unfit=augmented_afresh,
        hurts=_AGAINST,
    ),
    Intervention(
        name="eight symmetries of the square",
        area="data",
        claim="Quarter turns and mirror images together: the usual set for microscopes and pictures taken from above.",
        source="Veeling et al. 2018 (pathology)",
        helps=_FEW,
        edit=augments(horizontal_flip=0.5, quarter_turns=_ALL_DIRECTIONS),
        prior=-0.2,  # above the vertical flip: the guard leaves both out of photos, and this one holds more
        group="quarter turns",
        unfit=augmented_afresh,
        hurts=_AGAINST,
        parts=("horizontal flip",),
    ),
    Intervention(
        name="random resized crop, 35% and more",
        area="data",
        claim="Parts of an image, enlarged, make place, size and proportions irrelevant at once.",
        source="Szegedy et al. 2015, section 6, with larger parts, as short trainings have them",
        helps=_FEW,
        edit=augments(crop=0.65),
        prior=0.2,  # below zoom and shift, which keep the whole object more often
        group="zoom",
        unfit=augmented_afresh,
        hurts=_AGAINST,
    ),
    Intervention(
        name="random resized crop, 8% and more",
        area="data",
        claim="The crops of ImageNet: a network that sees small parts alone learns from all of them, given time.",
        source="Szegedy et al. 2015, section 6",
        helps=_FEW,
        edit=augments(crop=0.92),
        prior=-0.3,  # made for a hundred epochs and more: in few, the object is too often out of sight
        group="zoom",
        unfit=augmented_afresh,
        hurts=_AGAINST,
    ),
    Intervention(
        name="stretch and shear",
        area="data",
        claim="Proportions and slants vary with the camera's place, and with the hand in handwriting.",
        source="Cubuk et al. 2019, table 6; Szegedy et al. 2015, section 6",
        helps=_FEW,
        edit=augments(aspect=0.2, shear=0.15),
        prior=-0.3,  # known only as parts of larger sets
        group="distortion",
        unfit=augmented_afresh,
        hurts=_AGAINST,
    ),
    Intervention(
        name="perspective",
        area="data",
        claim="A tilted camera sees the same thing from another side.",
        source="DeTone et al. 2016, section 3, for the way it is drawn",
        helps=_FEW,
        edit=augments(perspective=0.1),
        prior=-0.3,  # no figure known
        group="perspective",
        unfit=augmented_afresh,
        hurts=_AGAINST,
    ),
    Intervention(
        name="elastic distortion",
        area="data",
        claim="Smooth random bends stand for the uneven movements of a hand, and for soft tissue.",
        source="Simard et al. 2003, section 2",
        helps=_FEW,
        edit=augments(elastic=0.03),
        prior=-0.3,  # the figure is of handwriting; rigid things do not bend
        group="elastic distortion",
        unfit=augmented_afresh,
        hurts=_AGAINST,
        reported="+0.2 on MNIST over affine distortions (Simard et al. 2003, table 1)",
    ),
    Intervention(
        name="random erasing",
        area="data",
        claim="Where parts are hidden at random, the network cannot lean on one of them alone.",
        source="Zhong et al. 2020, section 3",
        helps=(Symptom.OVERFIT,),
        edit=augments(erase=0.4),
        prior=-0.1,  # the figures are of 300 epochs, and of no fewer than 50,000 images
        group="erasing",
        unfit=augmented_afresh,
        hurts=_AGAINST,
        reported="+0.5 on CIFAR-10, +0.9 on CIFAR-100 (ResNet-20), +0.4 on Fashion-MNIST (Zhong et al. 2020)",
    ),
    Intervention(
        name="cutout",
        area="data",
        claim="A square hidden in every image teaches the network to use all of what is left.",
        source="DeVries and Taylor 2017, section 3",
        helps=(Symptom.OVERFIT,),
        edit=augments(cutout=0.5),
        prior=-0.2,  # stronger than random erasing, and the figures are of 200 epochs and more
        group="erasing",
        unfit=augmented_afresh,
        hurts=_AGAINST,
        reported="+0.7 on CIFAR-10, +1.5 on STL-10 (DeVries and Taylor 2017)",
    ),
    Intervention(
        name="RandAugment",
        area="data",
        claim="Two of fourteen operations an image, at nearly a third of their ranges: a policy that needs no search.",
        source="Cubuk et al. 2020, section 4 (N = 2, M = 9 for ResNet-50)",
        helps=_FEW,
        edit=augments(rand_augment=9.0),
        prior=-0.2,  # the figures are of 180 epochs and more; in short trainings so much variety costs
        group="policy",
        unfit=augmented_afresh,
        hurts=_AGAINST,
        reported="+1.2 on CIFAR-10 (WRN-28-10), +1.3 on ImageNet (ResNet-50) over flips and crops (Cubuk et al. 2020)",
    ),
    Intervention(
        name="TrivialAugment",
        area="data",
        claim="One of fourteen operations an image, at any strength: nothing to be tuned.",
        source="Mueller and Hutter 2021, section 3",
        helps=_FEW,
        edit=augments(trivial_augment=1.0),
        prior=-0.2,  # as RandAugment
        group="policy",
        unfit=augmented_afresh,
        hurts=_AGAINST,
        reported="+0.3 on ImageNet, in torchvision's training of 600 epochs (Vryniotis 2021)",
    ),
    Intervention(
        name="AugMix",
        area="data",
        claim="Predictions that agree on an image and on its mixes with changed copies hold when images are corrupted.",
        source="Hendrycks et al. 2020, section 3 (severity 3, weight 12)",
        helps=_FEW,
        edit=_aug_mix,
        prior=-0.3,  # made for corrupted images, which an accuracy on clean ones does not see; a step costs three
        group="policy",
        unfit=augmented_afresh,
        hurts=_AGAINST,
        parts=("consistency",),
        reported="ResNeXt-29 errs on 10.9% of CIFAR-10-C in place of 27.5%, AllConvNet on 15.0% of 30.8% (Hendrycks et "
        "al. 2020, table 1); ResNet-50 has 77.5% on ImageNet (the authors' code)",
    ),
    Intervention(
        name="cropped and mirrored views",
        area="data",
        claim="Cached features of parts of each image and of their mirror images.",
        source="Chatfield et al. 2014, section 4 (crops and flips of features)",
        helps=_FEW,
        edit=views_of(3, horizontal_flip=0.5, crop=0.5),
        prior=0.1,  # a quarter of what zoomed and shifted views are given: smaller parts than there
        group="views",
        unfit=augmented_in_views,
        hurts=_AGAINST,
        reported="about +3 of mean average precision on VOC 2007, for larger parts (Chatfield et al. 2014)",
    ),
    Intervention(
        name="views in the eight symmetries",
        area="data",
        claim="Cached features of turned and mirrored images, for what is seen from above or through a microscope.",
        source="Veeling et al. 2018 (pathology)",
        helps=_FEW,
        edit=views_of(3, horizontal_flip=0.5, quarter_turns=_ALL_DIRECTIONS),
        prior=-0.3,  # as the vertical flip; the guard leaves the mirror images out where they harm
        group="views",
        unfit=augmented_in_views,
        hurts=_AGAINST,
    ),
)
