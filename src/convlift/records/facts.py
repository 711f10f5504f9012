"""What is known of a data set before any training."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Tones:
    """Of the luma of the median image, in [0, 1].

    brightness: its mean; spread: its standard deviation; even: the share of pixels that have its commonest value, large
        where a drawing has a ground.
    """

    brightness: float
    spread: float
    even: float


@dataclass(frozen=True)
class Facts:
    """What is known of the data before any training.

    native_resolution: median shorter side in pixels.
    channels: 1 of grey images, 3 of colour, else the number of bands.
    imbalance: images of the largest class over those of the smallest.
    aspect: median of longer over shorter side; None where nobody measured it.
    class_names: as they are shown, () where only numbers are known.
    classes_alike: whether the score counts every class alike, however many images it has.
    tones: how bright and contrasty the images are; None where nobody measured it.
    judged_by: augmentations that no change may switch on, since the campaign goes by the score on such images.
    """

    training_images: int
    classes: int
    channels: int = 3
    native_resolution: int = 32
    imbalance: float = 1.0
    aspect: float | None = None
    class_names: tuple[str, ...] = ()
    classes_alike: bool = False
    tones: Tones | None = None
    judged_by: tuple[str, ...] = ()
