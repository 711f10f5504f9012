"""Images that belong together: one patient, one camera, one day. No split may cut them, and no interval may count them
as independent."""

import csv
import hashlib
import re
import unicodedata
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from convlift.data.readers.source import Source, printable
from convlift.data.store import ImageStore
from convlift.errors import ConvliftError, DataError
from convlift.records.finding import Finding

PATH_COLUMNS = ("path", "file")
MAX_BYTES = 256 * 1024 * 1024  # of a table; it is held in memory
LEFT_OUT = "--group-from (of a table: --columns group=; of a plan: reject the entry)"
_LISTED = 100

_TABLE = re.compile(r"(?P<file>.+\.csv):(?P<column>[^:/\\]+)", re.IGNORECASE | re.DOTALL)


def read_groups(group_from: str, keys: Sequence[str]) -> NDArray[np.int64]:
    """The group's number of every image (N,): a hash of the group's name, so that it stays when other groups are added.

    group_from: FILE.csv:COLUMN is a table, anything else a regular expression with one capture group that is searched
    for in each image's path. keys: the images' paths relative to the data folder.
    Raises ConvliftError where that names no group for every image.
    """
    return _numbers(name_groups(group_from, keys))


def _numbers(names: Sequence[str]) -> NDArray[np.int64]:
    numbers = {name: int.from_bytes(hashlib.sha256(name.encode()).digest()[:8], "big") >> 2 for name in {*names}}
    return np.array([numbers[name] for name in names], np.int64)


def find_groups(source: Source, group_from: str | None, keys: Sequence[str]) -> NDArray[np.int64] | None:
    """The same for images of a source: by `group_from` where it is given, else by the groups that the source names
    itself, as a table does. None where there are neither."""
    names = names_of_groups(source, group_from, keys)
    return None if names is None else _numbers(names)


def names_of_groups(source: Source, group_from: str | None, keys: Sequence[str]) -> list[str] | None:
    """The names of these groups."""
    if group_from is not None:
        return name_groups(group_from, keys)
    known = {item.key: item.group for item in source.items if item.group}
    if known and (lost := [key for key in keys if key not in known]):
        raise ConvliftError(
            f"{len(lost)} of {len(keys)} images have no group, such as {lost[0]}; name one for each, or use none with "
            "--columns group=."
        )
    return [known[key] for key in keys] if known else None


def name_groups(group_from: str, keys: Sequence[str]) -> list[str]:
    """The group's name of every image; see `read_groups`."""
    table = _TABLE.fullmatch(group_from)
    if table is None and group_from.lower().endswith(".csv"):
        raise ConvliftError(
            f"--group-from {group_from} names no column; write {group_from}:COLUMN, such as {group_from}:patient."
        )
    find = _from_table(Path(table["file"]), table["column"]) if table else _from_path(group_from)
    names = [find(key) for key in keys]
    if lost := [key for key, name in zip(keys, names, strict=True) if not name]:
        remedy = (
            "Add rows for them, with paths relative to the data folder."
            if table
            else "Mend the expression, or use a table: FILE.csv:COLUMN."
        )
        raise ConvliftError(
            f"{len(lost)} of {len(keys)} images have no group by --group-from {printable(group_from)}, such as "
            f"{lost[0]}; every image needs one. {remedy}"
        )
    return names


def _from_path(expression: str) -> Callable[[str], str]:
    try:
        pattern = re.compile(expression)
    except (re.error, OverflowError, RecursionError) as error:
        raise ConvliftError(
            f"--group-from {printable(expression)} is neither FILE.csv:COLUMN nor a regular expression ({error})."
        ) from error
    if pattern.groups != 1:
        raise ConvliftError(
            f"--group-from {printable(expression)} has {pattern.groups} capture groups; exactly one is needed, around "
            "what names the group, such as 'patient_([0-9]+)'."
        )

    def find(key: str) -> str:
        match = pattern.search(key)
        return (match[1] or "") if match else ""

    return find


def _from_table(path: Path, column: str) -> Callable[[str], str]:
    path = path.expanduser()
    try:
        if path.exists() and not path.is_file():  # a pipe would be waited for
            raise OSError("it is no file")
        if path.is_file() and path.stat().st_size > MAX_BYTES:
            raise OSError(f"it takes {path.stat().st_size / 1e6:.0f} MB; at most {MAX_BYTES / 1e6:.0f} MB are read")
        with path.open(encoding="utf-8-sig", newline="") as file:
            rows = list(csv.reader(file))
    except (OSError, ValueError, csv.Error, RuntimeError) as error:
        reason = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
        raise ConvliftError(f"the table of groups {path} cannot be read ({reason}); give a CSV file.") from error
    header = [name.strip() for name in rows[0]] if rows else []
    if column not in header:
        raise ConvliftError(
            f"{path} has no column {column!r}; its first line names {', '.join(map(repr, header)) or 'none'}."
        )
    place = header.index(column)
    image = next((header.index(name) for name in PATH_COLUMNS if name in header), 0)
    if image == place:
        raise ConvliftError(
            f"column {column!r} of {path} holds the images' paths; name the column that holds their groups."
        )
    known: dict[str, str] = {}
    for row in rows[1:]:
        if len(row) > max(image, place):
            key, name = _plain(row[image]), row[place].strip()
            if known.setdefault(key, name) != name:
                raise ConvliftError(f"{path} names two groups for {key}: {known[key]!r} and {name!r}; keep one.")
    return lambda key: known.get(_plain(key), "")


def _plain(path: str) -> str:
    """As images are named: with slashes, relative, printable; accents as one character, for macOS writes two."""
    return unicodedata.normalize("NFC", printable(path.strip().replace("\\", "/").removeprefix("./")))


def check_official(store: ImageStore, groups: NDArray[np.int64]) -> tuple[Finding, ...]:
    """Findings where the data set brings its own parts: a group in training and validation is a warning.

    Raises ConvliftError where a group of the test part lies in another part too: images of one
    group are not independent, so such a test would flatter every recipe.
    """
    seen = {part: set(groups[store.official == part].tolist()) for part in ("train", "validation", "test")}
    if both := sorted(seen["test"] & (seen["train"] | seen["validation"])):
        shown = next(
            key
            for key, group, part in zip(store.keys, groups, store.official, strict=True)
            if group == both[0] and part == "test"
        )
        raise ConvliftError(
            f"{len(both)} of {len(seen['test'])} groups of the test part have images in another part too, such as the "
            f"group of {shown}; a test is honest on groups of its own only. Move each group into one part, or leave "
            f"out {LEFT_OUT}."
        )
    if not (both := sorted(seen["train"] & seen["validation"])):
        return ()
    first = dict(zip(groups[::-1].tolist(), store.keys[::-1], strict=True))
    message = f"{len(both)} groups lie in both the training and the validation part, so validation scores may flatter."
    items = tuple(first[group] for group in both[:_LISTED])
    return (Finding("leak", "warning", message, items, "Move each group into one part."),)


def check_number(name: str, groups: NDArray[np.int64]) -> None:
    """Raise DataError where a test on images of these groups (nt,) proves nothing: one group has no spread."""
    if (count := len(np.unique(groups))) < 2:
        raise DataError(
            f"the test part of {name} holds {count} group; at least 2 are needed, because intervals count groups. Add "
            f"images of more groups, or leave out {LEFT_OUT}."
        )
