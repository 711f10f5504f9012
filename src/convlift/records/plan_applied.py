"""What a plan changed of a data set that was then learned from."""

from dataclasses import dataclass
from typing import Any

from convlift.records.data_plan import Entry

ORIGIN = "data of the plan"  # under which a run folder keeps `PlanApplied.origin`


@dataclass(frozen=True)
class AsFiled:
    """The two networks on the test with the labels as they were filed, not as the plan has them: scores by the
    campaign's metric, 1 at best. changed: test labels that the plan changed; images: of the test."""

    changed: int
    images: int
    baseline: float | None
    final: float | None


@dataclass(frozen=True)
class PlanApplied:
    """A plan as it was obeyed.

    name: of its file; digest: SHA-256 of what it changes, "" where it changes nothing.
    entries: those that were accepted, and near copies that were rejected: these may be cut.
    waiting, rejected: entries that changed nothing, since nobody has decided on them or somebody was against.
    as_filed: where the test was opened and the plan changed labels of it.
    data: fingerprint of the data that the plan is for, read with `alpha` and `value_range`, before anything of it was
        changed; "" of results that are older than this.
    """

    name: str
    digest: str
    entries: tuple[Entry, ...]
    waiting: int = 0
    rejected: int = 0
    as_filed: AsFiled | None = None
    data: str = ""
    alpha: str = "white"
    value_range: str = "bits"

    def of(self, kind: str) -> tuple[Entry, ...]:
        """The accepted entries of a kind."""
        return tuple(each for each in self.entries if each.kind == kind and each.state == "accepted")

    @property
    def origin(self) -> dict[str, Any]:
        """What whoever meets the data again, without the plan, must know: which they are, and whether their official
        parts were put aside."""
        scale = {"value_range": self.value_range} if self.value_range != "bits" else {}
        return {"data": self.data, "alpha": self.alpha, "resplit": bool(self.of("resplit")), **scale}

    @property
    def cut(self) -> tuple[Entry, ...]:
        """Near copies that were rejected, so that a split may cut them."""
        return tuple(each for each in self.entries if each.state == "rejected")
