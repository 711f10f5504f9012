"""Several sources as the parts of one data set."""

import bisect
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from convlift.data.depth import Range
from convlift.data.readers.source import Item, Source, Split, in_order, official_part, validation_as_test
from convlift.errors import DataError
from convlift.records.finding import Finding


@dataclass(frozen=True, eq=False)
class JoinedSource:
    """parts: one after the other; ends: the running totals of their images."""

    name: str
    classes: tuple[str, ...]
    items: tuple[Item, ...]
    findings: tuple[Finding, ...]
    value_range: Range
    parts: tuple[Source, ...]
    ends: tuple[int, ...]

    def read(self, index: int) -> bytes | NDArray[Any]:
        """See `Source`."""
        part = bisect.bisect_right(self.ends, index)
        return self.parts[part].read(index - (self.ends[part - 1] if part else 0))


def join(parts: Mapping[Split, Source], name: str = "") -> JoinedSource:
    """Each source as one part, whatever parts it has itself; classes are matched by their names.

    name: by default the first source's. Raises DataError where their values are on different scales.
    """
    sources = tuple(parts.values())
    name, known = name or sources[0].name, {source.classes for source in sources}
    ranges = {source.value_range for source in sources}
    if len(ranges) > 1:
        raise DataError(f"the parts of {name} have values of different ranges; save all of them in one type.")
    classes = known.pop() if len(known) == 1 else in_order(each for source in sources for each in source.classes)
    numbers, splits = {each: number for number, each in enumerate(classes)}, set[Split | None](parts)
    items = tuple(
        Item(f"{split}/{row}", numbers[source.classes[item.label]], official_part(split, splits), item.group)
        for split, source in parts.items()
        for row, item in enumerate(source.items)
    )
    as_test = validation_as_test(splits, name)
    findings = [finding for source in sources for finding in source.findings] + ([as_test] if as_test else [])
    ends = tuple(int(end) for end in np.cumsum([len(source.items) for source in sources]))
    return JoinedSource(name, classes, items, tuple(findings), ranges.pop(), sources, ends)
