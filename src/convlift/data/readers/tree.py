"""What lies in a folder: images, folders, system files, links. Nothing is decoded here."""

import os
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

from convlift.data.formats import DICOM, FORMATS, sniff
from convlift.data.readers.source import printable

# files that are meant to be images, readable here or not, so that no photo is passed over in silence
_SUFFIXES = (
    "jpg jpeg jpe jfif png apng gif bmp dib tif tiff webp ppm pgm pbm pnm "
    "heic heif avif jp2 j2k jxl svg eps psd pdf fits fit dcm raw cr2 nef arw dng ico tga"
)
_IMAGE_SUFFIXES = frozenset(_SUFFIXES.split())
_HEAD = 132  # bytes that tell what a file is
_JUNK = frozenset({"__macosx", "thumbs.db", "ehthumbs.db", "desktop.ini", "@eadir", "$recycle.bin", "lost+found"})

Kind = Literal["image", "folder", "junk", "other", "outside"]


@dataclass(frozen=True)
class Tree:
    """Everything below one resolved folder. follow_links: whether links may lead out of it; title: what a user calls
    the folder, where that is not its path; arrays: whether NumPy arrays are its images, see `with_arrays`."""

    root: Path
    follow_links: bool = False
    title: str = ""
    arrays: bool = False

    @property
    def shown(self) -> str:
        """The folder as sentences name it."""
        return self.title or printable(str(self.root))

    @property
    def name(self) -> str:
        """The last part of that."""
        return printable(Path(self.title or self.root).name)

    def told(self, path: Path) -> str:
        """A path below the root, as sentences name it."""
        return f"{self.shown}/{key_of(self, path)}" if path != self.root else self.shown


@dataclass(frozen=True)
class Entry:
    """One thing in a folder. outside: a link that leads out of the root and may not be followed."""

    kind: Kind
    path: Path

    @property
    def name(self) -> str:
        return self.path.name


def entries(tree: Tree, folder: Path) -> Iterator[Entry]:
    """What lies in `folder`, sorted by name. Raises OSError where it cannot be listed."""
    with os.scandir(folder) as scan:
        found = sorted(scan, key=lambda entry: entry.name)
    for entry in found:
        yield Entry(_kind(entry, tree), Path(entry.path))


def folders(tree: Tree, folder: Path) -> list[Path]:
    """The folders in `folder` that hold an image anywhere below them, sorted by name."""
    return [entry.path for entry in entries(tree, folder) if entry.kind == "folder" and _holds_images(tree, entry.path)]


def has_images(tree: Tree, folder: Path) -> bool:
    """Whether an image lies in `folder` itself."""
    return any(entry.kind == "image" for entry in entries(tree, folder))


def with_arrays(tree: Tree) -> Tree:
    """The same, whose images are NumPy arrays where there are no others: beside images a .npy file is something
    else that somebody keeps of them. Raises OSError where a folder cannot be listed."""
    as_arrays = replace(tree, arrays=True)
    is_so = not _holds_images(tree, tree.root) and _holds_images(as_arrays, tree.root)
    return as_arrays if is_so else tree


def key_of(tree: Tree, path: Path) -> str:
    """The printable path relative to the root, with slashes."""
    return printable(path.relative_to(tree.root).as_posix())


def is_junk(name: str) -> bool:
    """Whether a file or folder of this name is hidden or the system's."""
    return name.startswith(".") or name.lower() in _JUNK or name.lower() == "icon\r"


def _holds_images(tree: Tree, folder: Path) -> bool:
    queue, seen = [folder], set()
    while queue:
        here = queue.pop()
        status = here.stat()
        if (status.st_dev, status.st_ino) in seen:
            continue
        seen.add((status.st_dev, status.st_ino))
        for entry in entries(tree, here):
            if entry.kind == "image":
                return True
            if entry.kind == "folder":
                queue.append(entry.path)
    return False


def _kind(entry: "os.DirEntry[str]", tree: Tree) -> Kind:
    name, is_link = entry.name.lower(), entry.is_symlink()
    if is_junk(name):
        return "junk"
    if is_link:
        target = Path(os.path.realpath(entry.path))
        if tree.root.is_relative_to(target):  # would turn the whole data set, and what lies above it, into one class
            return "junk"
        if not tree.follow_links and not target.is_relative_to(tree.root):
            return "outside"
    # os.path answers False for a link to itself, where DirEntry raises
    if os.path.isdir(entry.path) if is_link else entry.is_dir():
        return "folder"
    ending = os.path.splitext(name)[1][1:]
    is_named = ending in _IMAGE_SUFFIXES or (tree.arrays and ending == "npy")
    if not os.path.isfile(entry.path):  # a pipe is never opened; a dangling link is listed as unreadable
        return "image" if is_named and is_link else "other"
    if is_named:
        return "image"
    try:
        with open(entry.path, "rb") as file:
            return "image" if sniff(file.read(_HEAD)) in (*FORMATS, DICOM) else "other"
    except OSError:
        return "other"
