"""Data sets of Hugging Face's library `datasets`: objects of it, and folders that it saved."""

import threading
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from convlift.console.extras import require
from convlift.data.encode import encoded
from convlift.data.readers.columns import USUAL, parse_columns
from convlift.data.readers.joined import join
from convlift.data.readers.part_names import part_of
from convlift.data.readers.source import Item, Source, Split, in_order, is_missing, printable
from convlift.errors import ConvliftError, DataError, UnreadableImage

_STATE, _PARTS = "state.json", "dataset_dict.json"


@dataclass(frozen=True, eq=False)
class HuggingFaceSource:
    """rows: of the images' column alone, which gives files rather than decoded images where it can."""

    name: str
    classes: tuple[str, ...]
    items: tuple[Item, ...]
    rows: Any
    column: str
    findings: tuple[()] = ()
    value_range: None = None
    lock: Any = field(default_factory=threading.Lock)

    def read(self, index: int) -> bytes | NDArray[np.uint8]:
        """See `Source`."""
        with self.lock:
            try:
                cell = self.rows[index][self.column]
            except Exception as error:  # whatever the library raises
                raise OSError(f"{type(error).__name__}: {printable(str(error))}") from error
        if isinstance(cell, Mapping):
            content = cell.get("bytes")
            return bytes(content) if content else Path(str(cell.get("path"))).read_bytes()
        if isinstance(cell, Image.Image):
            try:
                return encoded(cell)
            except UnreadableImage as error:
                raise OSError(str(error)) from error
        raise OSError(f"a {type(cell).__name__} is no image")


def is_hugging_face(data: object) -> bool:
    """Whether an object is a data set of that library, or behaves like one."""
    return isinstance(getattr(data, "features", None), Mapping) and hasattr(data, "column_names")


def is_saved(folder: Path) -> bool:
    """Whether `save_to_disk` made a folder."""
    return (folder / _PARTS).is_file() or ((folder / _STATE).is_file() and any(folder.glob("*.arrow")))


def open_saved(folder: Path, columns: str | None = None) -> Source:
    """The data set that `save_to_disk` left in a folder. Raises ConvliftError where the library is missing or fails."""
    shown = printable(str(folder))
    require("datasets", "huggingface", f"{shown} was saved by Hugging Face's datasets, and reading it")
    import datasets

    try:
        loaded = datasets.load_from_disk(str(folder))
    except Exception as error:
        reason = " ".join(printable(str(error)).split())
        raise ConvliftError(f"{shown} cannot be read as a saved data set ({reason}); save it anew.") from error
    name = printable(folder.name)
    if not isinstance(loaded, Mapping):
        return open_hugging_face(loaded, columns, name)
    parts: dict[Split, Source] = {}
    for key, part in loaded.items():
        known = part_of(str(key))
        if known is None or known[0] in parts:
            raise ConvliftError(f"{shown} has a part '{printable(str(key))}', none of train, validation and test.")
        parts[known[0]] = open_hugging_face(part, columns, name)
    return join(parts, name)


def open_hugging_face(data: Any, columns: str | None = None, name: str = "") -> HuggingFaceSource:
    """The images and labels of one `Dataset`.

    columns: which column has the images (path=COLUMN), the labels and the groups; by default the only one of type
    Image, the only one of type ClassLabel or one of a usual name, and one of a usual name.
    Raises ConvliftError where a column is not plain, DataError where an image has no label.
    """
    name = name or printable(str(getattr(getattr(data, "info", None), "dataset_name", None) or "dataset"))
    if not hasattr(data, "__len__"):
        raise ConvliftError(f"{name} is streamed, and images are read more than once; load it without streaming.")
    given = parse_columns(columns)
    if lost := [column for column in given.values() if column and column not in data.features]:
        raise ConvliftError(f"{name} has no column {lost[0]!r}; it has {_listed(data)}.")
    image = given.get("path") or _one(name, data, "Image", (), "path")
    label = given.get("label") or _one(name, data, "ClassLabel", USUAL["label"], "label")
    group = given["group"] if "group" in given else _usual(data, USUAL["group"])
    names, values = getattr(data.features[label], "names", None), list(data[label])
    classes = tuple(map(str, names)) if names else in_order(str(value) for value in values if not is_missing(value))
    numbers = {each: number for number, each in enumerate(classes)}
    found = [-1 if is_missing(each) else int(each) if names else numbers.get(str(each), -1) for each in values]
    if without := [row for row, number in enumerate(found) if not 0 <= number < len(classes)]:
        raise DataError(
            f"{len(without)} of {len(found)} images of {name} have no label, the first in row {without[0]}."
        )
    groups = ["" if is_missing(value) else str(value) for value in data[group]] if group else [""] * len(found)
    if group and "" in groups:
        raise DataError(
            f"{groups.count('')} of {len(groups)} images of {name} have no {printable(group)}, the first in row "
            f"{groups.index('')}; name one for each, or use none with columns='group='."
        )
    items = tuple(
        Item(f"image/{row}", number, None, each) for row, (number, each) in enumerate(zip(found, groups, strict=True))
    )
    return HuggingFaceSource(name, tuple(map(printable, classes)), items, _files(data, image), image)


def _files(data: Any, column: str) -> Any:
    """The same data set with the images' column alone, as the files that they are."""
    for method, arguments in (("with_format", (None,)), ("select_columns", ([column],))):
        if hasattr(data, method):
            data = getattr(data, method)(*arguments)
    kind = type(data.features[column])
    if kind.__name__ == "Image" and hasattr(data, "cast_column"):
        return data.cast_column(column, kind(decode=False))
    return data


def _one(name: str, data: Any, kind: str, usual: tuple[str, ...], role: str) -> str:
    typed = [column for column, feature in data.features.items() if type(feature).__name__ == kind]
    if len(typed) == 1:
        return str(typed[0])
    if found := _usual(data, usual, typed):
        return found
    many = f"{len(typed)} columns" if typed else "no column"
    raise ConvliftError(
        f"{name} has {many} of type {kind} among {_listed(data)}; say which one it is with columns, such as "
        f"{role}=COLUMN."
    )


def _usual(data: Any, names: tuple[str, ...], among: list[str] | None = None) -> str:
    plain = {column.lower().replace("_", ""): column for column in among or data.column_names}
    return next((plain[name] for name in names if name in plain), "")


def _listed(data: Any) -> str:
    return ", ".join(repr(printable(column)) for column in list(data.column_names)[:12]) or "none"
