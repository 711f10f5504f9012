"""Images whose labels stand in a table: a path and a label a row, and where there are any a part and a group."""

import re
import unicodedata
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path, PurePosixPath

from convlift.data.readers.class_folders import FolderSource
from convlift.data.readers.columns import Role, choose_columns, parse_columns
from convlift.data.readers.named_files import NamedFiles
from convlift.data.readers.part_names import part_of
from convlift.data.readers.source import Item, Split, in_order, official_part, printable, validation_as_test
from convlift.data.readers.table import Row, Table, read_table
from convlift.data.readers.tree import Tree
from convlift.errors import ConvliftError
from convlift.records.finding import Finding

_LISTED = 5  # faulty rows in the sentence
_NUMBER = re.compile(r"(-?\d+)(?:\.0+)?")
_ITEMS = 100  # images that a finding lists


@dataclass(frozen=True)
class Listing:
    """A table, where its paths lead from, and the part that all of its rows belong to, if the table itself is one's."""

    table: Table
    files: NamedFiles
    split: Split | None = None


@dataclass(frozen=True)
class _Image:
    path: Path
    label: str
    split: Split | None
    group: str


def open_manifest(path: Path, columns: str | None = None, images: Path | None = None) -> FolderSource:
    """The images that a table lists (`readers/table.py`), their classes by name.

    columns: which column is what, see `choose_columns`. images: the folder that paths lead from, by default the
    table's own.
    Raises ConvliftError with the numbers of all faulty rows, or where a column or the folder is missing.
    """
    root = Path(images).expanduser() if images else path.parent
    if not root.is_dir():
        raise ConvliftError(f"--images {printable(str(root))} is no folder; name the one that the paths lead from.")
    tree = Tree(root.resolve())
    return read_listings(printable(path.stem), tree.root, [Listing(read_table(path), NamedFiles(tree))], columns)


def read_listings(name: str, root: Path, listings: Sequence[Listing], columns: str | None) -> FolderSource:
    """The images of some tables, as one data set. Keys are paths from `root`, or absolute where they lead out of it."""
    found: list[_Image] = []
    findings: list[Finding] = []
    for listing in listings:
        chosen = choose_columns(listing.table, columns)
        images = _checked(listing, chosen)
        has_split = any(image.split for image in images) or listing.split or "split" in parse_columns(columns)
        in_folders = {} if has_split else _parts(root, images)
        found += [
            _Image(image.path, image.label, in_folders.get(image.path, image.split or listing.split), image.group)
            for image in images
        ]
        findings += [*listing.table.findings, _columns_finding(listing.table, chosen, bool(in_folders))]
        findings += _left_out(listing, [image.path for image in images], root)
    if (twice := len(found) - len({image.path for image in found})) > 0:
        raise ConvliftError(f"{twice} images are listed in two tables of {name}; remove them from one.")
    found.sort(key=lambda image: image.path)  # so that the order of rows changes nothing
    found = _whole(found)
    classes = in_order(image.label for image in found)
    numbers, splits = {known: index for index, known in enumerate(classes)}, {image.split for image in found}
    items = tuple(
        Item(_key(image.path, root), numbers[image.label], official_part(image.split, splits), image.group)
        for image in found
    )
    as_test = validation_as_test(splits, name)
    findings += [as_test] if as_test else []
    findings += _alike(classes)
    return FolderSource(name, classes, items, tuple(findings), tuple(image.path for image in found))


def _key(path: Path, root: Path) -> str:
    return printable((path.relative_to(root) if path.is_relative_to(root) else path).as_posix())


def _checked(listing: Listing, chosen: dict[Role, str]) -> list[_Image]:
    """The images of all rows. Raises ConvliftError that lists what is wrong with which."""
    table = listing.table
    if not table.rows:
        raise ConvliftError(f"{table.name} has no row below its header; a row an image is needed.")
    images, faults, is_lost = list[_Image](), list[str](), False
    first: dict[Path, tuple[int, str]] = {}
    has_parts = "split" in chosen and any(row.cells[chosen["split"]] for row in table.rows)
    for row in table.rows:
        cells = {role: row.cells[column] for role, column in chosen.items()}
        where = listing.files.find(cells["path"]) if cells["path"] else "has no path"
        fault = _fault(row, cells, where, has_parts) or (
            _repeated(row, cells, where, first) if isinstance(where, Path) else ""
        )
        if fault:
            faults.append(f"row {row.number} {fault}")
            is_lost = is_lost or isinstance(where, str)
        elif isinstance(where, Path):
            split = part_of(cells["split"]) if has_parts else None
            images.append(_Image(where, _plain(cells["label"]), split[0] if split else None, cells.get("group", "")))
    if not faults:
        faults = _moved_apart(listing, [(row.number, row.cells[chosen["path"]]) for row in table.rows], images)
        is_lost = bool(faults)
    if faults:
        raise _faulty(listing, faults, is_lost)
    return images


def _moved_apart(listing: Listing, rows: Sequence[tuple[int, str]], images: Sequence[_Image]) -> list[str]:
    """What is wrong with rows whose path of another machine, after what others of its paths begin with, leads to no
    image here: the one that its end names is another one. rows: number and path of every image's."""
    begun = [listing.files.beginning(named, each.path) for (_, named), each in zip(rows, images, strict=True)]
    known, faults = {each for each in begun if each is not None}, list[str]()
    for (number, named), own in zip(rows, begun, strict=True):
        parents = [] if own is None else [parent.as_posix() for parent in PurePosixPath(own).parents]
        if outer := next((parent for parent in parents if parent in known), None):
            shown = printable(named[:200])
            faults.append(f"row {number} names '{shown}', which is not there, as others of '{printable(outer)}' are")
    return faults


def _fault(row: Row, cells: dict[Role, str], where: Path | str, has_parts: bool) -> str:
    """What is wrong with a row by itself, in words; "" where nothing is."""
    if row.extra:
        return f"has {len(row.cells) + row.extra} cells, more than the header"
    if isinstance(where, str):
        return f"{where}" if not cells["path"] else f"names '{printable(cells['path'][:200])}', which {where}"
    if not cells["label"]:
        return "has no label"
    if has_parts and part_of(cells["split"]) is None:
        shown = printable(cells["split"][:60])
        return f"has split {shown!r}, none of train, validation and test" if shown else "has no split"
    return "has no group" if "group" in cells and not cells["group"] else ""


def _repeated(row: Row, cells: dict[Role, str], where: Path, first: dict[Path, tuple[int, str]]) -> str:
    number, label = first.setdefault(where, (row.number, cells["label"]))
    if number == row.number:
        return ""
    if label == cells["label"]:
        return f"names the image of row {number} again"
    return f"labels '{printable(cells['label'])}' the image that row {number} labels '{printable(label)}'"


def _faulty(listing: Listing, faults: list[str], is_lost: bool) -> ConvliftError:
    table = listing.table
    shown = "; ".join(faults[:_LISTED]) + (f"; and {len(faults) - _LISTED} more" if len(faults) > _LISTED else "")
    if any(" split" in fault for fault in faults):
        mend_also = ", or use no such column with --columns split="
    elif any(fault.endswith("has no group") for fault in faults):
        mend_also = ", or use no groups with --columns group="
    else:
        mend_also = ", or read the folders as classes with --layout class" if listing.files.is_alone else ""
    verb = "row of {0} is" if len(table.rows) == 1 else "rows of {0} is" if len(faults) == 1 else "rows of {0} are"
    mend = "Mend or remove them" if len(faults) > 1 else "Mend or remove it"
    remedy = f"; paths lead from {listing.files.tree.shown}"
    remedy += "" if listing.files.is_alone else ", or from the folder that --images names"
    return ConvliftError(
        f"{len(faults)} of {len(table.rows)} {verb.format(table.name)} faulty, the header being row 1: {shown}. "
        f"{mend}{mend_also}{remedy if is_lost else ''}."
    )


def _parts(root: Path, images: Iterable[_Image]) -> dict[Path, Split]:
    """The part of every image by the first folder of its path, where all lie in parts and there are several."""
    found: dict[Path, Split] = {}
    for image in images:
        if not image.path.is_relative_to(root) or len(inside := image.path.relative_to(root).parts) < 2:
            return {}
        if (part := part_of(inside[0])) is None:
            return {}
        found[image.path] = part[0]
    return found if "train" in found.values() and len(set(found.values())) > 1 else {}


def _columns_finding(table: Table, chosen: dict[Role, str], by_folders: bool) -> Finding:
    words = {"path": "paths", "label": "labels", "split": "parts", "group": "groups"}
    what = [f"{words[role]} from column '{printable(column)}'" for role, column in chosen.items()]
    what += ["parts from the first folder of the paths"] if by_folders else []
    return Finding("columns", "note", f"{table.name} gave {', '.join(what[:-1])} and {what[-1]}.")


def _whole(found: list[_Image]) -> list[_Image]:
    """With labels such as 0.0 and 0 as one, where all are whole numbers: programs write a column of them either way."""
    numbers = [_NUMBER.fullmatch(image.label) for image in found]
    if not all(numbers):
        return found
    return [replace(image, label=number[1]) for image, number in zip(found, numbers, strict=True) if number]


def _left_out(listing: Listing, named: Sequence[Path], root: Path) -> list[Finding]:
    """A warning of the images beside a table that was found there, and that it does not name."""
    if not listing.files.is_alone or not (others := listing.files.others(named)):
        return []
    lies = "lies" if len(others) == 1 else "lie"
    message = f"{len(others)} images {lies} beside {listing.table.name}, which does not name them; they were left out."
    items = tuple(_key(path, root) for path in others[:_ITEMS])
    return [Finding("not in the table", "warning", message, items, "If folders are the classes, use --layout class.")]


def _alike(classes: Sequence[str]) -> list[Finding]:
    """A warning of classes whose names differ in case or spaces alone."""
    known: dict[str, list[str]] = {}
    for name in classes:
        known.setdefault(" ".join(name.casefold().split()), []).append(name)
    twins = [" = ".join(names) for names in known.values() if len(names) > 1]
    if not twins:
        return []
    message = f"Names of classes differ in case or spaces alone: {'; '.join(twins[:3])}. Each is a class of its own."
    return [Finding("alike classes", "warning", message, tuple(twins), "Write each class in one way.")]


def _plain(label: str) -> str:
    return printable(unicodedata.normalize("NFC", label))
