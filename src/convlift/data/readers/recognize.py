"""Where images come from: a folder, an .npz file, or a data set by name."""

import difflib
from pathlib import Path

import numpy as np

from convlift.audit.findings import check_classes
from convlift.data.readers.arrays import open_idx, open_npz
from convlift.data.readers.class_folders import open_folder
from convlift.data.readers.layout import Layout
from convlift.data.readers.named_data_sets import BUILTIN, open_builtin
from convlift.data.readers.source import Item, Source
from convlift.errors import ConvliftError

__all__ = ["Item", "Source", "open_source"]


def open_source(where: str, *, root: Path | None = None, layout: Layout = "auto", follow_links: bool = False) -> Source:
    """The reader for `where`: a folder path, an .npz path, or a built-in name ("digits", "fashion-mnist").

    A name wins over a folder of the same name; write ./digits for the folder. root: where the files of a built-in
    data set lie, if not at their usual place. layout, follow_links: of a folder, see `open_folder`.
    Raises ConvliftError where there is nothing at `where`, DataError where its images or labels are at fault.
    """
    source = open_images(where, root=root, layout=layout, follow_links=follow_links)
    labels = np.array([item.label for item in source.items], np.int64)
    official = np.array([item.split or "" for item in source.items], dtype="U10")
    # nothing is decoded yet, so each image counts as distinct here; the store checks again on what it could read
    check_classes(source.name, source.classes, labels, official, np.arange(len(labels)).astype(str))
    return source


def open_images(where: str, *, root: Path | None = None, layout: Layout = "auto", follow_links: bool = False) -> Source:
    """The same for images that nothing is to be learned from: of any number of classes, and of any number in each."""
    if where in BUILTIN:
        return open_builtin(where, root)
    path = Path(where).expanduser()
    if path.is_dir():
        has_idx = any(path.glob("train-images-idx3-ubyte*"))
        return open_idx(path.resolve().name, path, classes=None) if has_idx else open_folder(path, layout, follow_links)
    if path.is_file() and path.suffix.lower() == ".npz":
        return open_npz(path)
    valid = f"give a folder of class folders, an .npz file, or one of {', '.join(BUILTIN)}"
    if path.exists():
        raise ConvliftError(f"data {where!r} is neither a folder nor an .npz file; {valid}.")
    near = difflib.get_close_matches(where, BUILTIN, n=1, cutoff=0.6) or _near(path)
    hint = f"did you mean '{near[0]}'?" if near else f"{valid}."
    raise ConvliftError(f"there is no data at {where!r}; {hint}")


def _near(path: Path) -> list[str]:
    """The folder or .npz file beside a path where nothing is whose name is closest to it, in a list."""
    try:
        beside = [other.name for other in path.parent.iterdir() if other.is_dir() or other.suffix.lower() == ".npz"]
    except OSError:
        return []
    return [str(path.parent / name) for name in difflib.get_close_matches(path.name, beside, n=1, cutoff=0.6)]
