"""Strengths of the random changes made to training images; 0 switches a change off."""

from typing import Self

from pydantic import model_validator

from convlift.recipe.image_effects import Effects
from convlift.recipe.moves_and_colours import FillMode, MovesAndColours
from convlift.recipe.published_policies import Policies
from convlift.recipe.section import lever

__all__ = ["MIRRORS", "OF_COLOURS", "PROBABILITIES", "SETTINGS", "SYMMETRIES", "Augmentation", "FillMode"]

MIRRORS = ("horizontal_flip", "vertical_flip")
SYMMETRIES = (*MIRRORS, "quarter_turns")
PROBABILITIES = (*SYMMETRIES, "greyscale", "trivial_augment")  # the levers that are probabilities, not strengths
# how other levers change images; they change nothing themselves
SETTINGS = ("fill_mode", "erase_chance", "effect_chance", "rand_augment_operations", "grows_until", "off_for_last")
# the levers that are defined on red, green and blue as people see them, and say nothing of other bands. Weather is
# among them, since each kind has a colour: what a cloud or haze is in near infrared is another matter
OF_COLOURS = (
    "saturation", "hue", "greyscale", "jpeg", "haze", "fog", "clouds", "cloud_shadow", "low_sun", "night",
)  # fmt: skip
ROUNDING = 1e-9  # of a share of the epochs


class Augmentation(Policies, Effects, MovesAndColours):
    """Each field is one lever. Ranges are uniform and symmetric unless stated otherwise.

    All that moves an image is one map, carried out by one resampling: it is turned by quarters, stretched, sheared,
    mirrored, turned, enlarged, shifted, cropped, seen in perspective and bent, in this order. Then come the effects
    (`Effects` has their order), colour and noise, and what is erased is erased last. Policies add to the other levers'
    draws. Validation, test and prediction never augment.
    """

    grows_until: float = lever(
        0.0,
        "share of the training at which it is at its full strength: it grows from 0, linearly, epoch by epoch; "
        "probabilities too; 0: full at once; without effect on stored views",
        "Tan and Le 2021, section 4 (progressive learning: with the images' size)",
        later=True,
        ge=0,
        le=1,
    )
    off_for_last: float = lever(
        0.0,
        "share of the training, its last whole epochs, without any of it; without effect on stored views",
        "Ge et al. 2021, section 2.1 (YOLOX: 15 of 300 epochs)",
        later=True,
        ge=0,
        lt=1,
    )

    @model_validator(mode="after")
    def _fits_the_training(self) -> Self:
        if self.grows_until + self.off_for_last > 1 + ROUNDING:
            raise ValueError(
                f"grows_until {self.grows_until:g} and off_for_last {self.off_for_last:g} are more than the whole "
                "training; their sum must be at most 1"
            )
        return self

    def at(self, done: float | None) -> "Augmentation":
        """What it is in an epoch before which this share of the training lies, in [0, 1); None: at its full strength.

        By shares of the planned training, so that a shorter one has the same course: early stopping may come before its
        last part.
        """
        if done is None or not (self.grows_until or self.off_for_last):
            return self
        if done >= 1 - self.off_for_last - ROUNDING:
            return Augmentation()
        grown = min(1.0, done / self.grows_until) if self.grows_until else 1.0
        return self.model_copy(update={name: grown * value for name, value in self.strengths.items()})

    @property
    def strengths(self) -> dict[str, float]:
        """All levers but SETTINGS: 0 where one is off."""
        return {name: value for name, value in self.model_dump().items() if name not in SETTINGS}

    @property
    def of_colours(self) -> tuple[str, ...]:
        """Those of OF_COLOURS that are on."""
        return tuple(name for name in OF_COLOURS if getattr(self, name))

    @property
    def settings(self) -> dict[str, str | float]:
        """How they change images."""
        return {name: getattr(self, name) for name in SETTINGS}

    @property
    def active(self) -> bool:
        """Whether any change is switched on."""
        return any(self.strengths.values())
