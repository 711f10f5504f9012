"""What every settled choice is."""

from dataclasses import dataclass
from typing import ClassVar


@dataclass(frozen=True)
class Decision:
    """What every record here is; key: of its fact in the ledger."""

    key: ClassVar[str]
