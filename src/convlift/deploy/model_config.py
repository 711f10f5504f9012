"""What a network needs beside its weights, and the config.json that holds it."""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from convlift.data.decode import Alpha
from convlift.errors import ConvliftError
from convlift.recipe.data import Resize
from convlift.records.confidence import AS_GIVEN, Confidence, FittedOn, Target, Threshold

SCHEMA_VERSION = 1


@dataclass(frozen=True)
class ModelConfig:
    """What a network needs beside its weights.

    mean, std: per channel, of pixels in [0, 1].
    value_range: what stands for white in images of more than 8 bits; None where training saw none.
    alpha: what becomes of transparency.
    confidence: the temperature by which its logits are divided, and where its probabilities may be cut.
    """

    classes: tuple[str, ...]
    channels: int
    resolution: int
    resize: str
    mean: tuple[float, ...]
    std: tuple[float, ...]
    scores: dict[str, Any]
    value_range: float | None = None
    alpha: Alpha = "white"
    confidence: Confidence = AS_GIVEN


TRANSPARENCY: dict[Alpha, str] = {"white": "on white", "black": "on black", "ignore": "ignored"}


class _Preprocessing(BaseModel):
    model_config = ConfigDict(strict=True, allow_inf_nan=False)

    channels: int
    resolution: int = Field(ge=1, le=4096)
    resize: Resize
    mean: tuple[float, ...]
    std: tuple[Annotated[float, Field(gt=0)], ...]
    value_range: float | None = Field(None, gt=0)
    transparency: Literal["on white", "on black", "ignored"] = "on white"

    @model_validator(mode="after")
    def _fits(self) -> Self:
        if self.channels not in (1, 3):
            raise ValueError("channels are 1 or 3")
        if not len(self.mean) == len(self.std) == self.channels:
            raise ValueError(f"mean and std need {self.channels} numbers each")
        return self


class _Threshold(BaseModel):
    model_config = ConfigDict(strict=True, allow_inf_nan=False)

    positive: str
    target: Target
    threshold: float = Field(ge=0.0, le=1.0)


class _Confidence(BaseModel):
    model_config = ConfigDict(strict=True, allow_inf_nan=False)

    temperature: float = Field(1.0, ge=0.01, le=100.0)
    fitted_on: FittedOn = "nothing"
    thresholds: tuple[_Threshold, ...] = ()

    def known(self) -> Confidence:
        return Confidence(self.temperature, self.fitted_on, tuple(Threshold(**vars(each)) for each in self.thresholds))


class _Document(BaseModel):
    """What a config.json must hold; further keys, such as notes of its owner, are passed over."""

    model_config = ConfigDict(strict=True, allow_inf_nan=False)

    schema_version: int
    classes: tuple[str, ...] = Field(min_length=1)
    preprocessing: _Preprocessing
    scores: dict[str, Any]
    confidence: _Confidence = _Confidence()  # folders of before have none

    @model_validator(mode="after")
    def _names_each_class_once(self) -> Self:
        if len(set(self.classes)) < len(self.classes):
            raise ValueError("a class is named twice")
        return self


def parse_config(content: str | bytes, source: Path) -> ModelConfig:
    """The config that a document like config.json holds. Raises ConvliftError naming the source."""
    try:
        found = _Document.model_validate_json(content)
    except ValidationError as error:
        fault = error.errors(include_url=False, include_input=False)[0]
        where = ".".join(str(part) for part in fault["loc"])
        reason = f"{where}: {fault['msg']}" if where else fault["msg"]
        raise ConvliftError(f"{source} is damaged ({' '.join(reason.split())}); copy the folder again.") from None
    if found.schema_version > SCHEMA_VERSION:
        raise ConvliftError(
            f"{source} has schema version {found.schema_version}, and this convlift reads {SCHEMA_VERSION}; "
            "update convlift."
        )
    steps = found.preprocessing.model_dump(exclude={"transparency"})
    alpha = next(alpha for alpha, words in TRANSPARENCY.items() if words == found.preprocessing.transparency)
    return ModelConfig(
        classes=found.classes, scores=found.scores, alpha=alpha, confidence=found.confidence.known(), **steps
    )
