"""Why an intervention does not fit a recipe on given data: what has no figure is a condition, the rest a record each.

`kind` tells the records apart once they are plain data; `report/wording/choice_of_changes.py` has the sentences.
"""

from dataclasses import dataclass
from typing import Literal

Condition = Literal[
    "augmented alike",
    "augmented in views",
    "augmented afresh",
    "no augmentation",
    "no mixing",
    "no colour",
    "colour statistics",
    "colours of bands",
    "tones not measured",
    "even ground",
    "square images",
    "open resolution",
    "not fine-tuned",
    "fine-tuned",
    "averaged",
    "not averaged",
    "early stopping",
    "two phases",
    "one stage",
    "few stages trained",
    "no penalty",
    "adam",
    "warmed up",
    "no normalization",
    "no 7x7 stem",
    "no strided shortcut",
    "few blocks",
    "regularized",
    "images counted",
    "no change",
]


@dataclass(frozen=True)
class Unmet:
    """A condition of the recipe or of the data under which the intervention is pointless.

    augmented alike, augmented in views: features are cached, so that all strengths change together, and only through
        views.
    augmented afresh: they are not cached.
    colour statistics: they are of no use to grey images, nor to bands.
    colours of bands: which are defined on red, green and blue alone.
    even ground: many pixels have one and the same tone, as in drawings, and equalizing would act on these.
    averaged, not averaged: the weights of fine-tuning, at a learning rate that stays.
    early stopping: the best epoch's own weights ship, so that none are averaged.
    two phases: the batches of fine-tuning decide more.
    one stage: too few channels for an average.
    few stages trained: a head reads only stages that are.
    adam: what it differs in from AdamW is a factor of its own.
    regularized: so that what is left of the change is another one.
    no normalization: without it the dropout does no such harm.
    few blocks: that have shortcuts, and so can be skipped.
    images counted: by the score, which so gains from common classes.
    """

    condition: Condition
    kind: Literal["unmet"] = "unmet"


@dataclass(frozen=True)
class OtherNetwork:
    """networks: the kinds that it is meant for."""

    networks: tuple[str, ...]
    kind: Literal["other network"] = "other network"


@dataclass(frozen=True)
class InvalidRecipe:
    """message: of the error that its edit ends in."""

    message: str
    kind: Literal["invalid recipe"] = "invalid recipe"


@dataclass(frozen=True)
class TooManyHalvings:
    """Pixels a side, and how often the network halves them."""

    side: int
    halvings: int
    kind: Literal["too many halvings"] = "too many halvings"


@dataclass(frozen=True)
class DearAttention:
    """Pixels a side of the map that self-attention would be over."""

    side: int
    kind: Literal["dear attention"] = "dear attention"


@dataclass(frozen=True)
class FewBatches:
    """Training images, and the batches an epoch that they would leave fewer than."""

    images: int
    batches: int
    kind: Literal["few batches"] = "few batches"


@dataclass(frozen=True)
class CoarseStem:
    """Pixels a side, of which the stem would leave a quarter."""

    side: int
    kind: Literal["coarse stem"] = "coarse stem"


@dataclass(frozen=True)
class NoMoreDetail:
    """Pixels a side, beyond which the images show nothing new."""

    side: int
    kind: Literal["no more detail"] = "no more detail"


@dataclass(frozen=True)
class FewPixels:
    """Pixels a side, which are few already."""

    side: int
    kind: Literal["few pixels"] = "few pixels"


@dataclass(frozen=True)
class EvenClasses:
    """Images of the largest class over those of the smallest, and the ratio that would be uneven."""

    ratio: float
    uneven: float
    kind: Literal["even classes"] = "even classes"


@dataclass(frozen=True)
class EnoughContrast:
    """Brightness and spread of the luma of colour images, see `Tones`, neither of which is low."""

    brightness: float
    spread: float
    kind: Literal["enough contrast"] = "enough contrast"


@dataclass(frozen=True)
class OneSize:
    """Pixels a side of the only images that the user's own network takes."""

    side: int
    kind: Literal["one size"] = "one size"


@dataclass(frozen=True)
class NotInNetwork:
    """change: of the user's own network, which has no layer that it could be made at, or has it already."""

    change: Literal["dropout", "activation", "normalization"]
    kind: Literal["not in network"] = "not in network"


@dataclass(frozen=True)
class JudgedBy:
    """lever: an augmentation that the change switches on, and by whose like the campaign compares recipes."""

    lever: str
    kind: Literal["judged by"] = "judged by"


Misfit = TooManyHalvings | DearAttention | OneSize | NotInNetwork
Unfit = (
    Unmet | OtherNetwork | InvalidRecipe | TooManyHalvings | DearAttention | OneSize | NotInNetwork | FewBatches
    | CoarseStem | NoMoreDetail | FewPixels | EvenClasses | EnoughContrast | JudgedBy
)  # fmt: skip
