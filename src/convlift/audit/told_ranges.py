"""The ranges of bands in words."""

from collections.abc import Sequence
from itertools import groupby

CHOOSE = " Another one is chosen with --value-range."  # ends a remedy


def told_ranges(lows: Sequence[float], highs: Sequence[float]) -> str:
    """Such as "0 to 16383 (bands 1 to 12), 0 to 1023 (band 13)", and "0 to 10000" where one holds for all channels."""
    told, first = [], 1
    for (low, high), alike in groupby(zip(lows, highs, strict=True)):
        last = first + len(list(alike)) - 1
        where = f" ({f'band {first}' if first == last else f'bands {first} to {last}'})" if len(lows) > 1 else ""
        told.append(f"{low:.10g} to {high:.10g}{where}")
        first = last + 1
    return ", ".join(told)
