"""Why a recipe does not ship, and what of a training there was no time for."""

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True)
class NotShipped:
    """Why the searched recipe does not ship, or why nothing was judged; reason: of runs that failed, "" for none."""

    why: Literal[
        "final runs failed",
        "below the baseline",
        "no change helps",
        "no time to search",
        "baseline failed",
        "no time for the baseline",
        "final runs failed, unjudged",
        "no time for final runs",
        "start is better",
        "another start is better",
        "no second run",
        "only the start learned",
    ]
    reason: str = ""

    @property
    def wants_time(self) -> bool:
        """Whether more time would have the result judged."""
        return self.why in ("no time for the baseline", "no time for final runs")


@dataclass(frozen=True)
class Shortened:
    """How much of its training the baseline had.

    epochs: of `planned` ones.
    fine_tuning: whether they are of its fine-tuning.
    """

    epochs: float
    planned: int
    fine_tuning: bool = False
