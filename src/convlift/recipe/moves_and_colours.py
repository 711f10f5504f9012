"""Random changes that move images, erase parts of them, and change light and colour by one matrix."""

from typing import Literal

from convlift.recipe.section import Section, lever

FillMode = Literal["reflect", "edge", "constant"]


class MovesAndColours(Section):
    """What most recipes use: one map, one colour matrix, noise, and what is erased. See `Augmentation`."""

    horizontal_flip: float = lever(
        0.0, "probability of a mirror image, left to right", "Krizhevsky et al. 2012, section 4.1", ge=0, le=1
    )
    vertical_flip: float = lever(
        0.0,
        "probability of a mirror image, top to bottom",
        "Veeling et al. 2018 (pathology)",
        ge=0,
        le=1,
    )
    rotation: float = lever(
        0.0,
        "largest rotation either way, as a fraction of a full turn (0.2 is 72 degrees, as Keras' RandomRotation(0.2))",
        "Simard et al. 2003, section 2",
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

    quarter_turns: float = lever(
        0.0,
        "probability of a turn by one, two or three quarters, equally likely; .75 makes all four directions so, and "
        "with horizontal_flip .5 all eight symmetries of the square. An image that is not square is stretched to its "
        "frame again",
        "Veeling et al. 2018 (pathology)",
        later=True,
        ge=0,
        le=1,
    )
    aspect: float = lever(
        0.0,
        "width over height, as a factor drawn log-uniformly from [1 - aspect, 1 / (1 - aspect)] at the same area "
        "(.25 is 3/4 to 4/3)",
        "Szegedy et al. 2015, section 6",
        later=True,
        ge=0,
        lt=1,
    )
    shear: float = lever(
        0.0,
        "largest slope either way, along both axes: pixels a row or column slides for each pixel from the middle",
        "Cubuk et al. 2019, table 6 (ShearX, ShearY up to .3)",
        later=True,
        ge=0,
        le=0.5,
    )
    crop: float = lever(
        0.0,
        "largest share of the area that is cut away: a part of [1 - crop, 1] of the area and an aspect of 3/4 to 4/3, "
        "anywhere in the image, is enlarged to all of it (.92 is Szegedy's 8% to 100%)",
        "Szegedy et al. 2015, section 6",
        later=True,
        ge=0,
        lt=1,
    )
    perspective: float = lever(
        0.0,
        "largest shift of each corner along each axis, as a fraction of the side; the image follows by the homography",
        "DeTone et al. 2016, section 3 (four-point parametrization)",
        later=True,
        ge=0,
        le=0.2,
    )
    elastic: float = lever(
        0.0,
        "root mean square shift of a pixel along each axis, as a fraction of the side, by a random field that is "
        "smooth over 4/29 of it (.05 is Simard's alpha of 34)",
        "Simard et al. 2003, section 2",
        later=True,
        ge=0,
        le=0.1,
    )
    fill_mode: FillMode = lever(
        "reflect",
        "what lies beyond the border. reflect: the image mirrored, its outermost pixels once; edge: these repeated; "
        "constant: black",
        "Krizhevsky et al. 2012 (crops); Keras' fill_mode (reflect, nearest, constant)",
        later=True,
    )
    erase: float = lever(
        0.0,
        "largest share of the area that is erased: a rectangle of 2% up to it, of an aspect of .3 to 1/.3, gets the "
        "mean colour of the image",
        "Zhong et al. 2020, section 3 (.4); filled as in DeVries and Taylor 2017",
        later=True,
        ge=0,
        le=0.9,
    )
    erase_chance: float = lever(
        0.5,
        "probability that a rectangle is erased, where erase is on",
        "Zhong et al. 2020, section 4",
        later=True,
        gt=0,
        le=1,
    )
    cutout: float = lever(
        0.0,
        "side of a square that is erased from every image, as a fraction of the shorter side; its middle lies anywhere "
        "in the image, so that parts of it may lie outside",
        "DeVries and Taylor 2017, section 3.2 (16 of 32 pixels on CIFAR-10, 8 on CIFAR-100)",
        later=True,
        ge=0,
        le=1,
    )
