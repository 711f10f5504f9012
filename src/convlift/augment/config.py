"""Strengths of the random changes made to training images; 0 switches a change off."""

from pydantic import Field

from convlift.section import Section


class Augmentation(Section):
    """Each field is one lever. Ranges are uniform and symmetric unless said otherwise.

    Validation, test and prediction never augment.
    """

    horizontal_flip: float = Field(0.0, ge=0, le=1, description="probability of a mirror image, left to right")
    vertical_flip: float = Field(0.0, ge=0, le=1, description="probability of a mirror image, top to bottom")
    rotation: float = Field(
        0.0, ge=0, le=0.5,
        description="largest rotation either way, as a fraction of a full turn (0.2 is 72 degrees, as in Keras' RandomRotation(0.2))",
    )
    zoom: float = Field(0.0, ge=0, lt=1, description="scale drawn log-uniformly from [1 - zoom, 1 / (1 - zoom)]")
    translation: float = Field(
        0.0, ge=0, le=0.5, description="largest shift along each axis, as a fraction of the side (a random crop of a reflected border)"
    )
    brightness: float = Field(0.0, ge=0, le=1, description="amount added to all pixels, from [-b, b] with pixels in [0, 1]")
    contrast: float = Field(0.0, ge=0, lt=1, description="factor around mid-grey, from [1 - c, 1 + c]")
    saturation: float = Field(0.0, ge=0, le=1, description="blend with the grey image, factor from [1 - s, 1 + s]; colour images only")
    hue: float = Field(0.0, ge=0, le=0.5, description="rotation of the chroma plane, as a fraction of a turn; colour images only")
    noise: float = Field(0.0, ge=0, le=0.5, description="standard deviation of Gaussian pixel noise, with pixels in [0, 1]")

    @property
    def active(self) -> bool:
        """Whether any change is switched on."""
        return any(self.model_dump().values())
