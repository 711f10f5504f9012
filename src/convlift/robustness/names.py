"""What the corruptions are called, and what `--shift` may say."""

from collections.abc import Sequence

from convlift.errors import ConvliftError
from convlift.recipe.data import is_bands
from convlift.robustness.strengths import LARGE

NAMES = tuple(LARGE)
OF_COLOURS = ("snow", "frost", "fog", "jpeg_compression")  # which have a colour, or a file of colours alone
ALL = "all"


def named_corruptions(given: str | Sequence[str]) -> tuple[str, ...]:
    """What `--shift` says, in the order of NAMES and each once: names with commas between them, a sequence of them, or
    all. "gaussian noise", as reports write it, is gaussian_noise.

    Raises ConvliftError where one is not known, or there is none, or all is not alone."""
    parts = given.split(",") if isinstance(given, str) else given
    if not isinstance(parts, list | tuple) or not all(isinstance(part, str) for part in parts):
        raise ConvliftError(
            f"shift {given!r} is neither a text nor a list of names; give such as 'fog,snow' or {ALL!r}."
        )
    names = {"_".join(part.split()) for part in parts}
    if names == {ALL}:
        return NAMES
    if ALL in names:
        raise ConvliftError(f"{ALL} stands alone, since it names every corruption; leave it or the other names out.")
    check_names(sorted(names or {""}))
    return tuple(name for name in NAMES if name in names)


def names_for(names: Sequence[str], channels: int, *, leave_out: bool = False) -> tuple[str, ...]:
    """The same for images of so many channels: of bands without those of colours.

    Raises ConvliftError where single ones were asked for that bands cannot have, not all, unless `leave_out`."""
    left_out = [name for name in names if name in OF_COLOURS] if is_bands(channels) else []
    if left_out and len(names) < len(NAMES) and not leave_out:
        others = [name for name in NAMES if name not in OF_COLOURS]
        raise ConvliftError(
            f"corruption {left_out[0]!r} is of colours, and the images have {channels} bands; name some of "
            f"{', '.join(others)}."
        )
    return tuple(name for name in names if name not in left_out)


def check_names(names: Sequence[str]) -> None:
    """Raises ConvliftError where one is no corruption."""
    unknown = [name for name in names if name not in NAMES]
    if unknown:
        raise ConvliftError(f"there is no corruption {unknown[0]!r}; it is {ALL}, or some of {', '.join(NAMES)}.")
