"""How an image on disk becomes the array that a network sees."""

from typing import Literal

from pydantic import Field

from convlift.augment.config import Augmentation
from convlift.section import Section

Resize = Literal["squash", "crop", "letterbox"]
Normalization = Literal["unit", "standardize", "imagenet", "pretrained"]


class Data(Section):
    """Preprocessing and augmentation.

    resolution: None stands for the images' own size (median shorter side, at most 64 pixels for a network
    trained from scratch and 224 for a pretrained one); a campaign writes the number down before its first trial.
    """

    resolution: int | None = Field(None, ge=8, le=512, description="side of the square image the network sees, in pixels")
    resize: Resize = Field(
        "squash",
        description="squash: both sides to the resolution; crop: shorter side to resolution / 0.875, then the centre; "
        "letterbox: longer side to the resolution, the rest filled with the training mean",
    )
    normalization: Normalization = Field(
        "unit",
        description="unit: [0, 1]; standardize: training set's own mean and deviation per channel; "
        "imagenet: ImageNet's; pretrained: those the backbone was trained with",
    )
    augmentation: Augmentation = Augmentation()
    views: int = Field(
        0, ge=0, le=16,
        description="augmented copies of each training image whose features are cached while a backbone is frozen",
    )
