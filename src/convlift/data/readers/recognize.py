"""Where images come from: a folder, a table, an archive, an .npz file, a data set by name, or one in memory."""

import difflib
from dataclasses import replace
from pathlib import Path
from typing import TypedDict, Unpack

import numpy as np

from convlift.audit.findings import check_classes
from convlift.console.cache_folder import cache_folder
from convlift.data.readers.archives import ARCHIVES, is_archive, stem_of, unpacked
from convlift.data.readers.array_pixels import Known
from convlift.data.readers.arrays import open_idx, open_npz
from convlift.data.readers.class_folders import FolderSource, open_folder
from convlift.data.readers.columns import parse_columns
from convlift.data.readers.hugging_face import is_saved, open_saved
from convlift.data.readers.in_memory import open_in_memory
from convlift.data.readers.layout import Layout
from convlift.data.readers.manifest import open_manifest
from convlift.data.readers.named_data_sets import BUILTIN, open_builtin
from convlift.data.readers.source import Item, Source, printable
from convlift.data.readers.table import TABLES, is_table
from convlift.data.readers.tables_in_folders import innermost, open_listed, open_metadata, open_table_inside
from convlift.data.readers.tree import Tree, with_arrays
from convlift.errors import ConvliftError

__all__ = ["Item", "Source", "open_source"]

_FORMS = (
    "a folder of class folders, a table of paths and labels (.csv, .tsv, .parquet), an archive (.zip, .tar), an .npz "
    f"file, or one of {', '.join(BUILTIN)}"
)


class _ArrayOptions(TypedDict):
    as_they_are: bool
    known: Known


class ReadingOptions(TypedDict, total=False):
    """How images are found. root: where the files of a built-in data set lie, if not at their usual place; layout and
    follow_links: of a folder, see `read_layout` and `Tree`; columns and images: of a table, see `open_manifest`; cache:
    where archives are unpacked, by default `cache_folder`; as_they_are, known: of arrays, see
    `array_source`."""

    root: Path | None
    layout: Layout
    follow_links: bool
    columns: str | None
    images: Path | None
    cache: Path
    as_they_are: bool
    known: Known


def open_source(where: object, **options: Unpack[ReadingOptions]) -> Source:
    """The reader for `where`: the path of a folder, table, archive or .npz file, a built-in name ("digits",
    "fashion-mnist"), or a data set in memory (`open_in_memory`).

    A name wins over a folder of the same name; write ./digits for the folder.
    Raises ConvliftError where there is nothing at `where`, DataError where its images or labels are at fault.
    """
    source = open_images(where, **options)
    labels = np.array([item.label for item in source.items], np.int64)
    official = np.array([item.split or "" for item in source.items], dtype="U10")
    # nothing is decoded yet, so each image counts as distinct here; the store checks again on what it could read
    check_classes(source.name, source.classes, labels, official, np.arange(len(labels)).astype(str))
    return source


def open_images(where: object, **options: Unpack[ReadingOptions]) -> Source:
    """The same for images that nothing is to be learned from: of any number of classes, and of any number in each."""
    columns, images = options.get("columns"), options.get("images")
    parse_columns(columns)  # before anything is read
    if not isinstance(where, str | Path):
        _refuse(images is not None, "--images", "a data set in memory")
        return open_in_memory(where, columns, **_of_arrays(options))
    if str(where) in BUILTIN:
        _refuse(columns is not None, "--columns", str(where))
        _refuse(images is not None, "--images", str(where))
        return open_builtin(str(where), options.get("root"))
    path = Path(where).expanduser()
    if path.is_file() and is_table(path):
        return open_manifest(path, columns, images)
    _refuse(images is not None, "--images", printable(str(path)))
    if path.is_dir():
        return _in_folder(Tree(path.resolve(), options.get("follow_links", False)), options)
    archive = next((each for each in (path, *path.parents) if is_archive(each) and each.is_file()), None)
    if archive is not None:
        return _in_archive(archive, path.relative_to(archive), options)
    if path.is_file() and path.suffix.lower() == ".npz":
        _refuse(columns is not None, "--columns", printable(str(path)))
        return open_npz(path, **_of_arrays(options))
    raise _nothing_to_read(str(where), path)


def _in_folder(tree: Tree, options: ReadingOptions) -> Source:
    columns = options.get("columns")
    if any(tree.root.glob("train-images-idx3-ubyte*")):
        _refuse(columns is not None, "--columns", tree.shown)
        return open_idx(tree.root.name, tree.root, classes=None)
    if is_saved(tree.root):
        return open_saved(tree.root, columns)
    if _may_be_listed(options) and (listed := open_metadata(tree, columns)) is not None:
        return listed
    _refuse(columns is not None, "--columns", tree.shown)
    return open_folder(_with_arrays(tree), options.get("layout", "auto"))


def _of_arrays(options: ReadingOptions) -> _ArrayOptions:
    return {"as_they_are": options.get("as_they_are", False), "known": options.get("known")}


def _with_arrays(tree: Tree) -> Tree:
    try:
        return with_arrays(tree)
    except OSError:  # which whoever lists the folder says in words
        return tree


def _may_be_listed(options: ReadingOptions) -> bool:
    """Whether a table beside images is looked at: not where the user says which folders are the classes."""
    return options.get("layout", "auto") == "auto"


def _in_archive(archive: Path, inside: Path, options: ReadingOptions) -> Source:
    """inside: the path of something in it, "." for all of it."""
    columns, tree = options.get("columns"), _tree_of(archive, options)
    if inside == Path():
        tree = innermost(tree)
        listed = open_table_inside(tree, columns) if _may_be_listed(options) else None
        found = listed or _in_folder(tree, options)
        return replace(found, name=printable(stem_of(archive))) if isinstance(found, FolderSource) else found
    path = Path(tree.root, inside).resolve()
    if not path.is_relative_to(tree.root) or not path.exists():
        raise ConvliftError(f"there is no {printable(str(inside))} in {tree.shown}; check the path.")
    if path.is_dir():
        return _in_folder(Tree(path, title=tree.told(path)), options)
    if is_table(path):
        return open_listed(Tree(path.parent, title=tree.told(path.parent)), path, columns)
    if path.suffix.lower() == ".npz":
        return open_npz(path, **_of_arrays(options))
    raise ConvliftError(f"{tree.told(path)} is of no kind that is read; give {_FORMS}.")


def _tree_of(archive: Path, options: ReadingOptions) -> Tree:
    top = unpacked(archive, options["cache"] if "cache" in options else cache_folder())
    return Tree(top.resolve(), title=printable(str(archive)))


def _refuse(is_given: bool, option: str, what: str) -> None:
    if is_given:
        raise ConvliftError(f"{option} is for tables of paths and labels, and {what} is none; leave it out.")


def _nothing_to_read(where: str, path: Path) -> ConvliftError:
    if path.suffix.lower() in (".7z", ".rar", ".zst"):
        return ConvliftError(f"data {where!r} is an archive of a kind that is not read; unpack it and name the folder.")
    if path.exists():
        return ConvliftError(f"data {where!r} is of no kind that is read; give {_FORMS}.")
    near = difflib.get_close_matches(where, BUILTIN, n=1, cutoff=0.6) or _near(path)
    hint = f"did you mean '{near[0]}'?" if near else f"give {_FORMS}."
    return ConvliftError(f"there is no data at {where!r}; {hint}")


def _near(path: Path) -> list[str]:
    """The folder or file of images beside a path where nothing is whose name is closest to it, in a list."""
    endings = (".npz", *TABLES, *ARCHIVES)
    try:
        beside = [
            other.name for other in path.parent.iterdir() if other.is_dir() or other.name.lower().endswith(endings)
        ]
    except OSError:
        return []
    return [str(path.parent / name) for name in difflib.get_close_matches(path.name, beside, n=1, cutoff=0.6)]
