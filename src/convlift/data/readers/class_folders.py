"""Images in class folders, with or without train/, val/ and test/ folders around them."""

import re
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from convlift.data.formats import FORMATS
from convlift.data.readers.layout import Branch, Layout, data_set_below, did_you_mean, read_layout
from convlift.data.readers.source import Item, official_part, validation_as_test
from convlift.data.readers.table import is_table
from convlift.data.readers.tree import Kind, Tree, entries, key_of
from convlift.errors import DataError
from convlift.records.finding import Finding

MAX_BYTES = 512 * 1024 * 1024  # a larger file is no picture, and is never read into memory


@dataclass(frozen=True)
class _Found:
    kind: Kind
    path: Path
    branch: Branch | None = None


@dataclass(frozen=True, eq=False)
class FolderSource:
    """Files below one root. paths[i] is the file of items[i]; its key is the printable path relative to the root."""

    name: str
    classes: tuple[str, ...]
    items: tuple[Item, ...]
    findings: tuple[Finding, ...]
    paths: tuple[Path, ...]
    value_range: None = None

    def read(self, index: int) -> bytes:
        """The file's bytes. Raises OSError where it cannot be read."""
        path = self.paths[index]
        if (size := path.stat().st_size) > MAX_BYTES:
            raise OSError(f"{size / 1e6:.0f} MB; at most {MAX_BYTES / 1e6:.0f} MB are read")
        return path.read_bytes()


def open_folder(tree: Tree, layout: Layout = "auto") -> FolderSource:
    """Class folders, or train/ + test/ (+ val/) folders of them; classes are sorted by name.

    layout: which folders are classes, see `readers/layout.py`.
    An empty class folder keeps its index, so that the numbering never depends on which photos are there.
    Raises DataError where no image is found, the folders can be read in two ways, or one cannot be listed.
    """
    try:
        reading = read_layout(tree, layout)
        found = [_Found(entry.kind, entry.path) for entry in reading.beside] + list(_walk(tree, reading.branches))
        images = sorted(((f.path, f.branch) for f in found if f.branch and f.kind == "image"), key=lambda pair: pair[0])
        if not images:
            raise _no_images(tree, found)
        if len({branch.name for _, branch in images}) == 1:
            _check_deeper(tree, images[0][1].name)
    except OSError as error:
        raise DataError(f"{tree.shown} cannot be listed ({error}); check its permissions.") from error
    name, classes = tree.name, tuple(sorted({branch.name for branch in reading.branches}))
    numbers = {known: index for index, known in enumerate(classes)}
    splits = {branch.split for _, branch in images}
    as_test = validation_as_test(splits, name)
    items = tuple(
        Item(key_of(tree, path), numbers[branch.name], official_part(branch.split, splits)) for path, branch in images
    )
    findings = [*reading.findings, *([as_test] if as_test else [])]
    findings += [_empty_class(known) for known in sorted(set(classes) - {branch.name for _, branch in images})]
    findings += _passed_over(tree, found)
    return FolderSource(name, classes, items, tuple(findings), tuple(path for path, _ in images))


def _check_deeper(tree: Tree, only: str) -> None:
    """Raise DataError where the one class that there is holds folders of images: they may be the classes."""
    if below := data_set_below(tree, tree.root):
        raise DataError(
            f"{tree.shown} has images of one class ({only!r}) only; at least 2 classes are needed. "
            f"{did_you_mean(tree, below)}"
        )


def _walk(tree: Tree, branches: Iterable[Branch]) -> Iterator[_Found]:
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
        for entry in entries(tree, branch.folder):
            if entry.kind == "folder":
                deeper = links if entry.path.is_symlink() else queue
                deeper.append(Branch(entry.path, branch.split, branch.name))
            else:
                yield _Found(entry.kind, entry.path, branch)


def _empty_class(name: str) -> Finding:
    return Finding(
        kind="empty class",
        severity="warning",
        message=f"class {name!r} has no image; it keeps its number, and nothing can be learned of it.",
        items=(name,),
        remedy="Add images or remove the folder.",
    )


def _passed_over(tree: Tree, found: list[_Found]) -> list[Finding]:
    groups: tuple[tuple[str, list[_Found], str, str], ...] = (
        ("ignored", [f for f in found if f.kind == "junk"], "hidden or system file[s were| was] ignored", ""),
        (
            "not an image",
            [f for f in found if f.kind == "other"],
            "file[s are| is] neither named nor built like [|an ]image[s|]",
            "",
        ),
        ("left out", [f for f in found if f.kind == "folder"], "folder[s lie| lies] beside the split folders", ""),
        (
            "outside class folders",
            [f for f in found if f.kind == "image" and not f.branch],
            "image[s lie| lies] in no class folder and [were|was] left out",
            "Move them into the folder of their class.",
        ),
        (
            "outside the root",
            [f for f in found if f.kind == "outside"],
            "link[s lead| leads] out of the folder and [were|was] not followed",
            "Follow them with --follow-links, or copy what they point to into the folder.",
        ),
    )
    return [
        Finding(
            kind,
            "warning" if remedy else "note",
            f"{len(those)} {_in_number(what, len(those))}.",
            _keys(tree, those),
            remedy,
        )
        for kind, those, what, remedy in groups
        if those
    ]


def _in_number(words: str, count: int) -> str:
    """The words for so many: of "[several|one]" the one that fits."""
    return re.sub(r"\[([^|]*)\|([^\]]*)\]", r"\2" if count == 1 else r"\1", words)


def _keys(tree: Tree, found: list[_Found]) -> tuple[str, ...]:
    return tuple(key_of(tree, f.path) for f in found)


def _no_images(tree: Tree, found: list[_Found]) -> DataError:
    where = tree.shown
    if loose := [f for f in found if f.kind == "image"]:
        tables = [f.path for f in found if f.kind == "other" and is_table(f.path)]
        hint = f" {did_you_mean(tree, tables)}" if tables else ""
        return DataError(
            f"{where} holds {len(loose)} images but none in a class folder; make one folder per class and sort them "
            f"in.{hint}"
        )
    if links := [f for f in found if f.kind == "outside"]:
        return DataError(
            f"{where} holds no image but {len(links)} links that lead out of it, such as "
            f"{key_of(tree, links[0].path)}; follow them with --follow-links, or copy what they point to into it."
        )
    if arrays := [f for f in found if f.path.suffix.lower() == ".npz"]:
        beside = Counter(f.path.parent for f in arrays if f.path.parent != tree.root)
        if len(beside) > 1 and max(beside.values()) > 1:
            return DataError(
                f"{where} holds {len(arrays)} .npz files in folders; one .npz file an image is not read. Save each "
                "image as .npy, or all of them in one .npz file as train_images and train_labels."
            )
        return DataError(f"{where} holds no image, but arrays. {did_you_mean(tree, [f.path for f in arrays])}")
    others = [f for f in found if f.kind != "junk"]
    seen = f"{len(others)} other files or links, such as {key_of(tree, others[0].path)}" if others else "nothing else"
    return DataError(
        f"{where} holds no image in any class folder (found {seen}); "
        f"one folder per class with {', '.join(FORMATS)} files is needed."
    )
