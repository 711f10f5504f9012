"""What the corruptions are called, and what `--shift` may say."""

from collections.abc import Sequence

from convlift.errors import ConvliftError
from convlift.robustness.strengths import LARGE

NAMES = tuple(LARGE)
ALL = "all"


def named_corruptions(given: str) -> tuple[str, ...]:
    """What `--shift` says: names with commas between them, or all. Raises ConvliftError where one is not known, or
    is named twice, or there is none."""
    if given == ALL:
        return tuple(NAMES)
    names = [name.strip() for name in given.split(",")]
    check_names(names)
    return tuple(names)


def check_names(names: Sequence[str]) -> None:
    """Raises ConvliftError where one is no corruption, or stands twice."""
    unknown = [name for name in names if name not in NAMES]
    if unknown:
        raise ConvliftError(f"there is no corruption {unknown[0]!r}; it is {ALL}, or some of {', '.join(NAMES)}.")
    if len(set(names)) < len(names):
        twice = next(name for name in names if names.count(name) > 1)
        raise ConvliftError(f"corruption {twice!r} is named twice; name it once.")
