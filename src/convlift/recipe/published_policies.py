"""Published policies: operations drawn for each image from a list, rather than one strength a lever."""

from convlift.recipe.section import Section, lever

OPERATIONS = (
    "identity", "stretch", "equalize", "rotate", "solarize", "colour", "posterize", "contrast", "brightness",
    "sharpness", "shear x", "shear y", "shift x", "shift y",
)  # fmt: skip


class Policies(Section):
    """The first two draw among the same fourteen operations, all equally likely; `augment/policies.py` has their ranges
    and how they differ from those published. AugMix draws among nine of them: see `augment/aug_mix.py`."""

    rand_augment: float = lever(
        0.0,
        "RandAugment of this magnitude, of 30: every image gets some operations, each that strong in either direction",
        "Cubuk et al. 2020, section 3 (9 for ResNet-50 on ImageNet, 5 for WRN-28-10 on CIFAR-10)",
        later=True,
        ge=0,
        le=30,
    )
    rand_augment_operations: int = lever(
        2,
        "how many operations RandAugment draws for an image, where it is on; the same may come twice",
        "Cubuk et al. 2020, section 3 (N: 2 on ImageNet, 3 on CIFAR-10)",
        later=True,
        ge=1,
        le=5,
    )
    trivial_augment: float = lever(
        0.0,
        "probability that an image gets one operation of TrivialAugment Wide, at any strength; 1 in the paper",
        "Mueller and Hutter 2021, section 3",
        later=True,
        ge=0,
        le=1,
    )
    aug_mix: float = lever(
        0.0,
        "AugMix of this severity, of 10: every image, as the other levers leave it, is mixed with what three chains of "
        "one to three operations make of it",
        "Hendrycks et al. 2020, section 3 (AugMix: 3)",
        later=True,
        ge=0,
        le=10,
    )
