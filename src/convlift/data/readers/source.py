"""What every reader of images gives: a list of labelled items, and the raw content of each."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Literal, Protocol

import numpy as np
from numpy.typing import NDArray

from convlift.data.depth import Range
from convlift.records.finding import Finding

Split = Literal["train", "validation", "test"]


@dataclass(frozen=True)
class Item:
    """One labelled image.

    key: its printable name.
    label: index into the classes.
    split: the official one, or None.
    group: the name of what it shares with other images, such as a patient; "" where the data set names none.
    """

    key: str
    label: int
    split: Split | None
    group: str = ""


class Source(Protocol):
    """A data set that can be read image by image. Every reader passes the same contract suite."""

    @property
    def name(self) -> str: ...
    @property
    def classes(self) -> tuple[str, ...]: ...
    @property
    def items(self) -> tuple[Item, ...]: ...
    @property
    def findings(self) -> tuple[Finding, ...]: ...
    @property
    def value_range(self) -> Range:
        """The value that became 255, of each band where there are such, where the reader scaled deeper values itself;
        None where files are as they are."""
        ...

    def read(self, index: int) -> bytes | NDArray[Any]:
        """The file's bytes, or the pixels (H, W) or (H, W, C): uint8, but of arrays that were opened as they are.

        Raises OSError where a file has vanished."""
        ...


def is_missing(value: Any) -> bool:
    """Whether a label or a group is none: nothing, not a number, or blank."""
    is_nan = isinstance(value, float | np.floating) and bool(np.isnan(value))
    return value is None or is_nan or not str(value).strip()


def printable(name: str) -> str:
    """The name on one line: control characters, line breaks and undecodable bytes are written as escapes."""
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in name)


def in_order(classes: Iterable[str]) -> tuple[str, ...]:
    """Class names as they are numbered: by name, or by value where all are whole numbers."""
    names = set(classes)
    if all(name.removeprefix("-").isdecimal() for name in names):
        return tuple(sorted(names, key=lambda name: (int(name), name)))
    return tuple(sorted(names))


def official_part(split: Split | None, splits: set[Split | None]) -> Split | None:
    """The part that an image is in, of a data set with these: one part alone is split as if there was none, and a
    validation part without a test part is the test (`validation_as_test`)."""
    if len(splits) == 1:
        return None
    return "test" if split == "validation" and "test" not in splits else split


def validation_as_test(splits: set[Any], where: str) -> Finding | None:
    """A note where a data set has train and validation parts but no test part: validation becomes the sealed test."""
    if "validation" not in splits or "test" in splits:
        return None
    return Finding(
        kind="validation as test",
        severity="note",
        message=f"{where} has a validation part but no test part, so the validation part is the sealed test; "
        "models are selected on images taken from the training part.",
        remedy="Add a test part if you have one.",
    )
