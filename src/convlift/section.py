"""What every section of a recipe is: a frozen record that refuses unknown keys."""

from pydantic import BaseModel, ConfigDict


class Section(BaseModel):
    """Frozen, `extra="forbid"`, no NaN or infinity: a recipe means exactly what it says."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)
