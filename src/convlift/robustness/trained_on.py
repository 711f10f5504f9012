"""Which corruptions a recipe trains on: a network that has seen them is not judged by them."""

from collections.abc import Collection, Mapping

from convlift.recipe.recipe import Recipe
from convlift.robustness.names import NAMES

NOISES = ("gaussian_noise", "shot_noise", "impulse_noise")
BLURS = ("defocus_blur", "glass_blur", "motion_blur", "zoom_blur")
LIGHT = ("brightness", "contrast")

# lever of an augmentation -> corruptions of the same kind
KINDS: Mapping[str, tuple[str, ...]] = {
    "noise": NOISES,
    "shot_noise": NOISES,
    "blur": BLURS,
    "sharpness": BLURS,
    "brightness": ("brightness",),
    "gamma": ("brightness",),
    "night": ("brightness",),
    "channel_gain": ("brightness",),  # of a grey image that is all it changes
    "low_sun": LIGHT,
    "cloud_shadow": LIGHT,
    "contrast": ("contrast",),
    "equalize": ("contrast",),
    "haze": ("fog", "contrast"),
    "fog": ("fog", "contrast"),
    "clouds": ("fog",),
    "elastic": ("elastic_transform",),
    "jpeg": ("jpeg_compression",),
    "rand_augment": (*LIGHT, *BLURS),
    "trivial_augment": (*LIGHT, *BLURS),
    "aug_mix": ("contrast",),  # by stretch and equalize, which its authors count as no corruption's kind
}
# levers that are of no corruption's kind: they move, cut, or change colours alone, or say how others are drawn
OTHERS = frozenset({
    "horizontal_flip", "vertical_flip", "rotation", "zoom", "translation", "saturation", "hue", "quarter_turns",
    "aspect", "shear", "crop", "perspective", "fill_mode", "erase", "erase_chance", "cutout",
    "greyscale", "solarize", "posterize", "effect_chance", "rand_augment_operations", "grows_until", "off_for_last",
})  # fmt: skip
# what none of them is like: no change of a recipe trains on such images
TRAINED_BY_NONE = tuple(name for name in NAMES if not any(name in names for names in KINDS.values()))


def levers_like(corruptions: Collection[str]) -> tuple[str, ...]:
    """The levers that train on images such as one of these corruptions makes."""
    return tuple(lever for lever, names in KINDS.items() if set(names) & set(corruptions))


def trained_on(recipe: Recipe) -> frozenset[str]:
    """The corruptions of whose kind one of the recipe's augmentations is, at whatever strength.

    A noise in training helps against every noise (Rusak et al. 2020, "A simple way to make neural networks robust
    against diverse image corruptions", section 4), and so it is taken of blurs; AugMix leaves contrast, brightness and
    sharpness out of training for the same reason (Hendrycks et al. 2020, section 3).
    """
    used = recipe.data.augmentation
    return frozenset(name for lever, names in KINDS.items() if getattr(used, lever) for name in names)
