"""Strengths of the random changes made to training images; 0 switches a change off."""

from convlift.recipe.section import Section, lever

MIRRORS = ("horizontal_flip", "vertical_flip")  # the levers that are probabilities, not strengths


class Augmentation(Section):
    """Each field is one lever. Ranges are uniform and symmetric unless stated otherwise.

    Validation, test and prediction never augment.
    """

    horizontal_flip: float = lever(
        0.0, "probability of a mirror image, left to right", "Krizhevsky et al. 2012, section 4.1", ge=0, le=1
    )
    vertical_flip: float = lever(
        0.0,
        "probability of a mirror image, top to bottom",
        "Cohen and Welling 2016 (aerial and medical images)",
        ge=0,
        le=1,
    )
    rotation: float = lever(
        0.0,
        "largest rotation either way, as a fraction of a full turn (0.2 is 72 degrees, as Keras' RandomRotation(0.2))",
        "Simard et al. 2003",
        ge=0,
        le=0.5,
    )
    zoom: float = lever(
        0.0,
        "scale drawn log-uniformly from [1 - zoom, 1 / (1 - zoom)]",
        "Szegedy et al. 2015, section 6",
        ge=0,
        lt=1,
    )
    translation: float = lever(
        0.0,
        "largest shift along each axis, as a fraction of the side (a random crop of a reflected border)",
        "He et al. 2016, section 4.2",
        ge=0,
        le=0.5,
    )
    brightness: float = lever(
        0.0,
        "amount added to all pixels, from [-b, b] with pixels in [0, 1]",
        "Howard 2013, section 2",
        ge=0,
        le=1,
    )
    contrast: float = lever(0.0, "factor around mid-grey, from [1 - c, 1 + c]", "Howard 2013, section 2", ge=0, lt=1)
    saturation: float = lever(
        0.0,
        "blend with the grey image, factor from [1 - s, 1 + s]; colour images only",
        "Howard 2013, section 2",
        ge=0,
        le=1,
    )
    hue: float = lever(
        0.0,
        "rotation of the chroma plane, as a fraction of a turn; colour images only",
        "Chen et al. 2020, section 3",
        ge=0,
        le=0.5,
    )
    noise: float = lever(
        0.0, "standard deviation of Gaussian pixel noise, with pixels in [0, 1]", "Bishop 1995", ge=0, le=0.5
    )

    @property
    def active(self) -> bool:
        """Whether any change is switched on."""
        return any(self.model_dump().values())
