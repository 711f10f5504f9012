"""What the audit found about the data."""

from dataclasses import dataclass
from typing import Literal

SAME = " = "  # between the paths of images that are copies or belong together, in one item


@dataclass(frozen=True)
class Finding:
    """One thing that the audit found about the data.

    kind: a short fixed name such as "unreadable".
    items: the paths concerned; of images that belong together all paths in one item, SAME between them.
    remedy: what the user can do.
    """

    kind: str
    severity: Literal["note", "warning", "error"]
    message: str
    items: tuple[str, ...] = ()
    remedy: str = ""

    @property
    def rows(self) -> tuple[tuple[str, ...], ...]:
        """The paths of each item."""
        return tuple(tuple(item.split(SAME)) for item in self.items)
