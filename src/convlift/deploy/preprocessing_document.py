"""What a model folder or an exported file says of the preprocessing: from decoded pixels to inputs."""

from typing import TYPE_CHECKING, Annotated, Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

from convlift.data.decode import SHORTER_SIDE, Alpha
from convlift.data.depth import range_document
from convlift.recipe.data import MOST_BANDS, Contrast, Resize

if TYPE_CHECKING:
    from convlift.deploy.model_folder import ModelConfig

Positive = Annotated[float, Field(gt=0)]
TRANSPARENCY: dict[Alpha, str] = {"white": "on white", "black": "on black", "ignore": "ignored"}


class _Stretch(BaseModel):
    """A scale that the user chose; see `data.stretch.Stretch`."""

    model_config = ConfigDict(strict=True, allow_inf_nan=False, extra="forbid")

    low: tuple[float, ...] = Field(min_length=1)
    high: tuple[float, ...]
    asked: str

    @model_validator(mode="after")
    def _rises(self) -> Self:
        if len(self.low) != len(self.high) or any(a >= b for a, b in zip(self.low, self.high, strict=True)):
            raise ValueError("high needs as many numbers as low, each above that of low")
        return self


class Preprocessing(BaseModel):
    """What `preprocessing_document` wrote, checked; further keys are passed over."""

    model_config = ConfigDict(strict=True, allow_inf_nan=False)

    channels: int
    resolution: int = Field(ge=1, le=4096)
    resize: Resize
    mean: tuple[float, ...]
    std: tuple[Positive, ...] | None
    grey: bool = False  # older models have neither this nor the next
    contrast: Contrast = "none"
    value_range: Positive | tuple[Positive, ...] | _Stretch | None = None  # of each band where there are such
    transparency: Literal["on white", "on black", "ignored"] = "on white"
    most_side: int = Field(SHORTER_SIDE, ge=SHORTER_SIDE, le=4096)  # older models have none

    @model_validator(mode="after")
    def _fits(self) -> Self:
        if not 1 <= self.channels <= MOST_BANDS:
            raise ValueError(f"channels are 1 to {MOST_BANDS}")
        if isinstance(self.value_range, tuple) and len(self.value_range) != self.channels:
            raise ValueError(f"value_range needs {self.channels} numbers, or one for all")
        if isinstance(self.value_range, _Stretch) and len(self.value_range.low) not in (1, self.channels):
            raise ValueError(f"value_range needs {self.channels} numbers each of low and high, or one for all")
        if len(self.mean) != self.channels or (self.std is not None and len(self.std) != self.channels):
            raise ValueError(f"mean and std need {self.channels} numbers each")
        return self


def preprocessing_document(config: "ModelConfig") -> dict[str, Any]:
    """From decoded pixels to inputs, as a model folder or an exported file says it; `parse_config` reads it."""
    return {
        "channels": config.channels,
        "resolution": config.resolution,
        "resize": config.resize,
        "grey": config.grey,
        "contrast": config.contrast,
        "mean": config.mean,
        "std": config.std,
        "transparency": TRANSPARENCY[config.alpha],
        "value_range": range_document(config.value_range),
        "most_side": config.side,
    }
