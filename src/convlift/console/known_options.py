"""Options that a caller gave by name."""

from collections.abc import Mapping
from typing import Any


def check_options(options: Mapping[str, Any], known: frozenset[str]) -> None:
    """Raise TypeError, as Python does, for an option that there is not."""
    if unknown := sorted(options.keys() - known):
        raise TypeError(f"there is no option {unknown[0]!r}; there are {', '.join(sorted(known))}.")
