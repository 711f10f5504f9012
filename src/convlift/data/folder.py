"""Images in class folders, with or without train/, val/ and test/ folders around them."""

import os
import unicodedata
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from convlift.data.decode import FORMATS, sniff
from convlift.data.items import Item, Split, printable, validation_as_test
from convlift.errors import DataError
from convlift.outcome import Finding

SPLIT_NAMES: dict[str, Split] = {
    "train": "train",
    "training": "train",
    "val": "validation",
    "valid": "validation",
    "validation": "validation",
    "test": "test",
    "testing": "test",
}
MAX_BYTES = 512 * 1024 * 1024  # a larger file is no picture, and is never read into memory
# files that are meant to be images, readable here or not, so that no photo is passed over in silence
_SUFFIXES = (
    "jpg jpeg jpe jfif png apng gif bmp dib tif tiff webp ppm pgm pbm pnm "
    "heic heif avif jp2 j2k jxl svg eps psd pdf fits fit dcm raw cr2 nef arw dng ico tga"
)
_IMAGE_SUFFIXES = frozenset(_SUFFIXES.split())
_JUNK = frozenset({"__macosx", "thumbs.db", "ehthumbs.db", "desktop.ini", "@eadir", "$recycle.bin", "lost+found"})

Kind = Literal["image", "folder", "junk", "other", "outside"]


@dataclass(frozen=True)
class _Branch:
    """A folder whose images all belong to one class and one official split."""

    folder: Path
    split: Split | None
    name: str


@dataclass(frozen=True)
class _Found:
    kind: Kind
    path: Path
    branch: _Branch | None = None


@dataclass(frozen=True, eq=False)
class FolderSource:
    """Files below one root. paths[i] is the file of items[i]; its key is the printable path relative to the root."""

    name: str
    classes: tuple[str, ...]
    items: tuple[Item, ...]
    findings: tuple[Finding, ...]
    paths: tuple[Path, ...]

    def read(self, index: int) -> bytes:
        """The file's bytes. Raises OSError where it cannot be read."""
        path = self.paths[index]
        if (size := path.stat().st_size) > MAX_BYTES:
            raise OSError(f"{size / 1e6:.0f} MB; at most {MAX_BYTES / 1e6:.0f} MB are read")
        return path.read_bytes()


def open_folder(folder: Path) -> FolderSource:
    """Class folders, or train/ + test/ (+ val/) folders of them; classes are sorted by name.

    An empty class folder keeps its index, so that the numbering never depends on which photos are there.
    Raises DataError where no image is found, or a folder cannot be listed.
    """
    root = folder.resolve()
    try:
        branches, beside = _layout(root)
        found = beside + list(_walk(root, branches))
    except OSError as error:
        raise DataError(f"{printable(str(root))} cannot be listed ({error}); check its permissions.") from error
    images = sorted(((f.path, f.branch) for f in found if f.branch and f.kind == "image"), key=lambda pair: pair[0])
    if not images:
        raise _no_images(root, found)
    name, classes = printable(root.name), tuple(sorted({branch.name for branch in branches}))
    numbers = {known: index for index, known in enumerate(classes)}
    splits = {branch.split for _, branch in images}
    as_test = validation_as_test(splits, name)

    def official(split: Split | None) -> Split | None:
        if len(splits) == 1:  # train/ alone leaves everything to be split
            return None
        return "test" if as_test and split == "validation" else split

    items = tuple(Item(_key(root, path), numbers[branch.name], official(branch.split)) for path, branch in images)
    findings = [as_test] if as_test else []
    findings += [_empty_class(known) for known in sorted(set(classes) - {branch.name for _, branch in images})]
    findings += _passed_over(root, found)
    return FolderSource(name, classes, items, tuple(findings), tuple(path for path, _ in images))


def _layout(root: Path) -> tuple[list[_Branch], list[_Found]]:
    """The class folders, and what lies beside them."""
    top = list(_entries(root, root))
    splits = {entry.path: SPLIT_NAMES.get(entry.path.name.lower()) for entry in top if entry.kind == "folder"}
    known = set(splits.values())
    # a class may be called "train" (beside "car" and "plane"): only a second split folder makes it a split
    if not splits or not (None not in known or ("train" in known and len(known - {None}) > 1)):
        return [_branch(path, None) for path in splits], [e for e in top if e.kind != "folder"]
    beside = [entry for entry in top if not splits.get(entry.path)]
    branches = []
    for path, split in splits.items():
        for entry in _entries(path, root) if split else ():
            if entry.kind == "folder":
                branches.append(_branch(entry.path, split))
            else:
                beside.append(entry)
    return branches, beside


def _branch(folder: Path, split: Split | None) -> _Branch:
    # macOS writes accents as two characters, everybody else as one: the same class in train/ and test/ all the same
    return _Branch(folder, split, printable(unicodedata.normalize("NFC", folder.name)))


def _walk(root: Path, branches: list[_Branch]) -> Iterator[_Found]:
    """Everything below the class folders. Each folder is visited once, by inode, and links only after real folders:
    a loop ends, and a link never takes a folder away from the class that it lies in."""
    queue = [branch for branch in branches if not branch.folder.is_symlink()]
    links = [branch for branch in branches if branch.folder.is_symlink()]
    seen: set[tuple[int, int]] = set()
    while queue or links:
        branch = queue.pop() if queue else links.pop(0)
        status = branch.folder.stat()
        if (status.st_dev, status.st_ino) in seen:
            continue
        seen.add((status.st_dev, status.st_ino))
        for entry in _entries(branch.folder, root):
            if entry.kind == "folder":
                deeper = links if entry.path.is_symlink() else queue
                deeper.append(_Branch(entry.path, branch.split, branch.name))
            else:
                yield _Found(entry.kind, entry.path, branch)


def _entries(folder: Path, root: Path) -> Iterator[_Found]:
    with os.scandir(folder) as scan:
        entries = sorted(scan, key=lambda entry: entry.name)
    for entry in entries:
        yield _Found(_kind(entry, root), Path(entry.path))


def _kind(entry: "os.DirEntry[str]", root: Path) -> Kind:
    name, is_link = entry.name.lower(), entry.is_symlink()
    if name.startswith(".") or name in _JUNK or name == "icon\r":
        return "junk"
    if is_link and not Path(os.path.realpath(entry.path)).is_relative_to(root):
        return "outside"
    # os.path answers False for a link to itself, where DirEntry raises
    if os.path.isdir(entry.path) if is_link else entry.is_dir():
        return "folder"
    is_named = os.path.splitext(name)[1][1:] in _IMAGE_SUFFIXES
    if not os.path.isfile(entry.path):  # a pipe is never opened; a dangling link is listed as unreadable
        return "image" if is_named and is_link else "other"
    if is_named:
        return "image"
    try:
        with open(entry.path, "rb") as file:
            return "image" if sniff(file.read(64)) in FORMATS else "other"
    except OSError:
        return "other"


def _key(root: Path, path: Path) -> str:
    return printable(path.relative_to(root).as_posix())


def _empty_class(name: str) -> Finding:
    return Finding(
        kind="empty class",
        severity="warning",
        message=f"class {name!r} has no image; it keeps its number, and nothing can be learned of it.",
        items=(name,),
        remedy="Add images or remove the folder.",
    )


def _passed_over(root: Path, found: list[_Found]) -> list[Finding]:
    groups: tuple[tuple[str, list[_Found], str, str], ...] = (
        ("ignored", [f for f in found if f.kind == "junk"], "hidden or system files were ignored", ""),
        (
            "not an image",
            [f for f in found if f.kind == "other"],
            "files are neither named nor built like images",
            "",
        ),
        ("left out", [f for f in found if f.kind == "folder"], "folders lie beside the split folders", ""),
        (
            "outside class folders",
            [f for f in found if f.kind == "image" and not f.branch],
            "images lie in no class folder and were left out",
            "Move them into the folder of their class.",
        ),
        (
            "outside the root",
            [f for f in found if f.kind == "outside"],
            f"links lead out of {printable(str(root))} and were not followed",
            "Copy what they point to into the folder.",
        ),
    )
    return [
        Finding(kind, "warning" if remedy else "note", f"{len(those)} {what}.", _keys(root, those), remedy)
        for kind, those, what, remedy in groups
        if those
    ]


def _keys(root: Path, found: list[_Found]) -> tuple[str, ...]:
    return tuple(_key(root, f.path) for f in found)


def _no_images(root: Path, found: list[_Found]) -> DataError:
    where = printable(str(root))
    if loose := [f for f in found if f.kind == "image"]:
        return DataError(
            f"{where} holds {len(loose)} images but none in a class folder; make one folder per class and sort them in."
        )
    others = [f for f in found if f.kind != "junk"]
    seen = f"{len(others)} other files or links, such as {_key(root, others[0].path)}" if others else "nothing else"
    return DataError(
        f"{where} holds no image in any class folder (found {seen}); "
        f"one folder per class with {', '.join(FORMATS)} files is needed."
    )
