"""Training images beside what a recipe's augmentation makes of them."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

# how a network meets its augmentation: anew in every epoch, in stored copies, or never, as its features are stored
Way = Literal["afresh", "views", "never"]


@dataclass(frozen=True)
class Draw:
    """One draw. picture: PNG; levers: what was drawn, see `augment.told.drawn_levers`."""

    picture: bytes
    levers: Mapping[str, tuple[float, ...]]


@dataclass(frozen=True)
class Sheet:
    """What a network sees. data: its name; side: of its images, pixels; rows: of each image its key, its class, the
    image as it is without augmentation (PNG), and its draws; strengths: the levers that are on; settings: how they
    change images; way: how the network meets them; views: how many copies are stored; mixes: whether images are mixed
    with others on top, which is not shown; channels: of the images, of which pictures show the first three.
    """

    data: str
    recipe: str
    side: int
    rows: tuple[tuple[str, str, bytes, tuple[Draw, ...]], ...]
    strengths: Mapping[str, float]
    settings: Mapping[str, str | float]
    way: Way
    views: int
    mixes: bool
    channels: int = 3
