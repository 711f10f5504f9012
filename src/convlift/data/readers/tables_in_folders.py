"""Tables that lie beside the images which they list: metadata files of an ImageFolder, and what an archive holds."""

from pathlib import Path

from convlift.data.readers.class_folders import FolderSource
from convlift.data.readers.columns import has_columns
from convlift.data.readers.manifest import Listing, read_listings
from convlift.data.readers.named_files import NamedFiles
from convlift.data.readers.part_names import part_of
from convlift.data.readers.source import Split
from convlift.data.readers.table import TABLES, Table, is_table, read_table
from convlift.data.readers.tree import Tree, entries
from convlift.errors import ConvliftError, DataError


def open_metadata(tree: Tree, columns: str | None) -> FolderSource | None:
    """The images that metadata.csv, .jsonl or .parquet lists, as Hugging Face's ImageFolder has it: in the root, or in
    each of its parts (train/metadata.csv, test/metadata.csv). None where no such table names files and labels.

    Raises ConvliftError as `open_manifest` does; DataError where only some of the parts have one.
    """
    if table := _metadata(tree, tree.root, columns):
        return _listed(tree, table, columns)
    parts: dict[Path, Split] = {}
    for entry in entries(tree, tree.root):
        if entry.kind == "folder" and (part := part_of(entry.name)):
            parts[entry.path] = part[0]
    tables = {place: table for place in parts if (table := _metadata(tree, place, columns))}
    if not tables:
        return None
    if without := [place for place in parts if place not in tables]:
        raise DataError(
            f"{tree.told(min(tables))} has a table of labels, and {tree.told(without[0])} has none; add one to every "
            "part."
        )
    listings = [
        Listing(table, NamedFiles(Tree(place, title=tree.told(place)), is_alone=True), parts[place])
        for place, table in tables.items()
    ]
    return read_listings(tree.name, tree.root, listings, columns)


def open_table_inside(tree: Tree, columns: str | None) -> FolderSource | None:
    """The images of the one table in a folder that names files and labels; None where there is none.

    Raises DataError where there are several.
    """
    tables = {path: table for path in tables_of(tree) if (table := _readable(tree, path))}
    found = [path for path, table in tables.items() if has_columns(table, columns)]
    if not found:
        return None
    if len(found) > 1:
        raise DataError(
            f"{tree.shown} holds {len(found)} tables of labels; name one of them, such as {tree.told(found[0])}."
        )
    return _listed(tree, tables[found[0]], columns)


def open_listed(tree: Tree, path: Path, columns: str | None) -> FolderSource:
    """The images of one table in a folder. Raises ConvliftError as `open_manifest` does."""
    return _listed(tree, read_table(path, tree.told(path)), columns)


def _listed(tree: Tree, table: Table, columns: str | None) -> FolderSource:
    return read_listings(tree.name, tree.root, [Listing(table, NamedFiles(tree, is_alone=True))], columns)


def tables_of(tree: Tree) -> list[Path]:
    """The tables in the root itself, sorted by name."""
    return [entry.path for entry in entries(tree, tree.root) if entry.kind == "other" and is_table(entry.path)]


def _readable(tree: Tree, path: Path) -> Table | None:
    """None where it cannot be read: whatever lies there need not be of the images."""
    try:
        return read_table(path, tree.told(path))
    except ConvliftError:
        return None


def innermost(tree: Tree) -> Tree:
    """The folder that holds more than one folder alone: the top of an archive that was packed with folders around."""
    while True:
        there = [entry for entry in entries(tree, tree.root) if entry.kind != "junk"]
        if len(there) != 1 or there[0].kind != "folder":
            return tree
        below = Tree(there[0].path, title=tree.told(there[0].path))
        if all(entry.kind != "folder" and not is_table(entry.path) for entry in entries(below, below.root)):
            return tree
        tree = below


def _metadata(tree: Tree, folder: Path, columns: str | None) -> Table | None:
    for ending in TABLES:
        path = folder / f"metadata{ending}"
        if path.is_file() and has_columns(table := read_table(path, tree.told(path)), columns):
            return table
    return None
