"""How an image on disk becomes the array that a network sees."""

from typing import Literal, NamedTuple

from convlift.errors import RecipeError
from convlift.recipe.augmentation import Augmentation
from convlift.recipe.mixing import Mixing
from convlift.recipe.section import Section, lever

Resize = Literal["squash", "crop", "letterbox"]
Normalization = Literal["unit", "standardize", "imagenet", "pretrained", "image"]
Contrast = Literal["none", "equalize", "clahe"]

# what letterbox pads with, by number of channels: a mid grey, and ImageNet's mean colour.
# Fixed, so that the same image gives the same pixels in every run
LETTERBOX_FILL: dict[int, tuple[int, ...]] = {1: (118,), 3: (124, 116, 104)}
MOST_BANDS = 16  # of an image; Sentinel-2 has 13, Landsat 8 and 9 have 11


def letterbox_fill(channels: int) -> tuple[int, ...]:
    """What letterbox pads an image of so many channels with: the mid grey in every band where they are no colours."""
    return LETTERBOX_FILL.get(channels, LETTERBOX_FILL[1] * channels)


def is_bands(channels: int) -> bool:
    """Whether images of so many channels are of bands: neither grey nor colour."""
    return channels not in LETTERBOX_FILL


def refuse_tones_of_bands(data: "Data", channels: int) -> None:
    """Raise RecipeError where a recipe wants grey or another contrast of images of bands, which have no luma."""
    wanted = "data.grey is true" if data.grey else f"data.contrast is {data.contrast!r}"
    if is_bands(channels) and (data.grey or data.contrast != "none"):
        raise RecipeError(
            f"{wanted} and the images have {channels} bands; grey and contrast change the luma of grey and colour "
            "images, which bands have none of. Leave them out."
        )
    refuse_colours_of_bands(data.augmentation, channels)


def refuse_colours_of_bands(augmentation: Augmentation, channels: int) -> None:
    """Raise RecipeError where a recipe changes colours of images of bands as only colours can be."""
    if is_bands(channels) and (found := augmentation.of_colours):
        value = getattr(augmentation, found[0])
        raise RecipeError(
            f"'data.augmentation.{found[0]}' is {value:g} and the images have {channels} bands; it is defined on red, "
            f"green and blue as people see them; set {' and '.join(found)} to 0. brightness, contrast, gamma and "
            "channel_gain change bands too."
        )


class Preparation(NamedTuple):
    """From decoded pixels to the square that a network sees, but for its side; each image the same every time. See the
    levers of these names."""

    resize: Resize = "squash"
    grey: bool = False
    contrast: Contrast = "none"

    @property
    def name(self) -> str:
        """What its results are filed under, such as squash, or crop-grey-clahe."""
        more = [*(["grey"] if self.grey else []), *([self.contrast] if self.contrast != "none" else [])]
        return "-".join([self.resize, *more])


class Data(Section):
    """Preprocessing and augmentation."""

    resolution: int | None = lever(
        None,
        "side of the square image the network sees, in pixels; null: the images' own (median shorter side), "
        "at most 64 for a network trained from scratch, 96 to 224 for a pretrained one",
        "Touvron et al. 2019",
        ge=8,
        le=512,
    )
    resize: Resize = lever(
        "squash",
        "squash: both sides to the resolution; crop: shorter side to resolution / 0.875, then the centre; "
        "letterbox: longer side to the resolution, the rest filled",
        "He et al. 2016, section 3.4 (crop)",
    )
    normalization: Normalization = lever(
        "unit",
        "unit: [0, 1]; standardize: the training set's own mean and deviation per channel; "
        "imagenet: ImageNet's; pretrained: those the backbone was trained with; "
        "image: each image's own mean and deviation, over all its values",
        "LeCun et al. 1998, section 4.3",
    )
    grey: bool = lever(
        False,
        "colour images seen as grey, by their luma (ITU-R 601) in all three channels",
        "Kanan and Cottrell 2012",
        later=True,
    )
    contrast: Contrast = lever(
        "none",
        "equalize: an even histogram of each image's luma; clahe: one of each part of it, with a clip limit of 2",
        "Zuiderveld 1994",
        later=True,
    )
    augmentation: Augmentation = Augmentation()
    mixing: Mixing = Mixing()
    images: float = lever(
        1.0,
        "share of each class's training images that is used, always the same ones; less than 1 shows what more images "
        "would bring",
        "Cortes et al. 1994 (learning curves)",
        gt=0,
        le=1,
    )
    views: int = lever(
        0,
        "augmented copies of each training image whose features are cached while backbone stages are frozen",
        "Chollet 2018, section 5.3",
        ge=0,
        le=16,
    )

    @property
    def of_colours(self) -> tuple[str, ...]:
        """The levers that are on and mean nothing but for grey or colour images."""
        tones = [*(["grey"] if self.grey else []), *(["contrast"] if self.contrast != "none" else [])]
        return (*tones, *self.augmentation.of_colours)

    @property
    def preparation(self) -> Preparation:
        """What is done to an image before it is augmented and normalized."""
        return Preparation(self.resize, self.grey, self.contrast)
