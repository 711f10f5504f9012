"""What the audit found about the data."""

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True)
class Finding:
    """One thing that the audit found about the data.

    kind: a short fixed name such as "unreadable".
    items: the paths concerned.
    remedy: what the user can do.
    """

    kind: str
    severity: Literal["note", "warning", "error"]
    message: str
    items: tuple[str, ...] = ()
    remedy: str = ""
