"""Which folders are classes and which are official parts: train, validation, test."""

import unicodedata
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

from convlift.data.readers.part_names import part_of
from convlift.data.readers.source import Split, printable
from convlift.data.readers.tree import Entry, Tree, entries, folders, has_images, key_of
from convlift.errors import ConvliftError, DataError
from convlift.records.finding import Finding

# auto: parts by their names, else the first folder is the class; class: the first folder is the class, whatever its
# name; folder/class: the second one is, and the first only a place, such as a fold or a camera
Layout = Literal["auto", "class", "folder/class"]
LAYOUTS: tuple[Layout, ...] = ("auto", "class", "folder/class")

_SPELLED = {"train", "training", "val", "valid", "validation", "test", "testing"}  # needs no explanation
_DEEPEST = 3  # folders around the parts, such as archive/dataset/train


@dataclass(frozen=True)
class Branch:
    """A folder whose images all belong to one class and one official part."""

    folder: Path
    split: Split | None
    name: str


@dataclass(frozen=True)
class Reading:
    """How the folders of a data set were read.

    branches: the class folders.
    beside: what lies beside them.
    findings: what a reader should know of how they were told apart.
    """

    branches: tuple[Branch, ...]
    beside: tuple[Entry, ...]
    findings: tuple[Finding, ...] = ()


def read_layout(tree: Tree, layout: Layout) -> Reading:
    """Tell classes from parts below the root.

    Raises ConvliftError where `layout` is none of LAYOUTS, DataError where the folders can be read in two ways, OSError
    where one cannot be listed.
    """
    if layout not in LAYOUTS:
        raise ConvliftError(f"layout {layout!r} is not known; it is one of {', '.join(LAYOUTS)}.")
    if layout == "class":
        return _classes(tree)
    if (parts := _find_parts(tree)) is not None:
        trained = [branch.folder for branch in parts.branches if branch.split == "train"]
        return replace(parts, findings=parts.findings + _nested(tree, trained))
    tops = folders(tree, tree.root)
    if layout == "folder/class":
        return _pooled(tree, tops)
    if len(tops) > 1 and not any(has_images(tree, top) for top in tops):
        if (inside := _parts_in_classes(tree, tops)) is not None:
            return inside
        _check_one_reading(tree, tops)
    return replace(_classes(tree), findings=_nested(tree, tops) if len(tops) > 1 else ())


def _classes(tree: Tree) -> Reading:
    top = list(entries(tree, tree.root))
    branches = tuple(_branch(entry.path, None) for entry in top if entry.kind == "folder")
    return Reading(branches, tuple(entry for entry in top if entry.kind != "folder"))


def _branch(folder: Path, split: Split | None, name: str = "") -> Branch:
    # macOS writes accents as two characters, everybody else as one: the same class in train/ and test/ all the same
    return Branch(folder, split, printable(unicodedata.normalize("NFC", name or folder.name)))


def _find_parts(tree: Tree) -> Reading | None:
    """Official parts in the root, or in the one folder that holds all images, and so on for some levels."""
    here, beside = tree.root, list[Entry]()
    for _ in range(_DEEPEST + 1):
        top = list(entries(tree, here))
        named = {entry.path: entry.name for entry in top if entry.kind == "folder"}
        if parts := _parts(named) or _unlike_parts(tree, named):
            beside += [entry for entry in top if entry.path not in parts]
            if (reading := _named_by_both(parts, tree)) is not None:
                return Reading(reading, tuple(beside), (_parts_finding(tree, parts),))
            return _below(tree, here, parts, beside)
        if len(inner := folders(tree, here)) != 1 or any(entry.kind == "image" for entry in top):
            return None
        beside += [entry for entry in top if entry.path != inner[0]]
        here = inner[0]
    return None


def _parts(names: dict[Path, str]) -> dict[Path, tuple[Split, str]]:
    """The folders that are parts, with the rest of their names; none where their names may as well be classes."""
    found = {path: part for path, name in names.items() if (part := part_of(name))}
    kinds: dict[str, set[Split]] = defaultdict(set)
    for split, rest in found.values():
        kinds[rest].add(split)
    # a class may be called "train" (beside "car" and "plane"): only a second part makes it a part
    whole = {rest for rest, splits in kinds.items() if "train" in splits and len(splits) > 1}
    if whole:
        return {path: part for path, part in found.items() if part[1] in whole}
    is_all = len(found) == len(names) and set(kinds) == {""}
    return found if is_all else {}


def _unlike_parts(tree: Tree, names: dict[Path, str]) -> dict[Path, tuple[Split, str]]:
    """train_augmented and test: one folder a part, with folders of images in each, though their names do not match."""
    found = {path: (part[0], "") for path, name in names.items() if (part := part_of(name))}
    kinds = {split for split, _ in found.values()}
    if len(found) < len(names) or len(kinds) < len(found) or len(kinds) < 2 or "train" not in kinds:
        return {}
    return {} if any(has_images(tree, path) or len(folders(tree, path)) < 2 for path in found) else found


def _named_by_both(parts: dict[Path, tuple[Split, str]], tree: Tree) -> tuple[Branch, ...] | None:
    """cats_train, cats_test, dogs_train, dogs_test: each folder is one part of one class."""
    if len({rest for _, rest in parts.values()}) < 2:
        return None
    nested = [path for path in parts if folders(tree, path)]
    if nested:
        raise DataError(
            f"{tree.shown} holds several sets of parts ({_shown(path.name for path in parts)}), each "
            f"with folders of its own; name one of them, or {_OPTIONS}."
        )
    return tuple(_branch(path, split, rest) for path, (split, rest) in parts.items())


def _below(tree: Tree, here: Path, parts: dict[Path, tuple[Split, str]], beside: list[Entry]) -> Reading:
    branches, wrapped = [], []
    for path, (split, _) in parts.items():
        inner = _unwrapped(tree, path, split)
        wrapped += [inner] if inner != path else []
        for entry in entries(tree, inner):
            if entry.kind == "folder":
                branches.append(_branch(entry.path, split))
            else:
                beside.append(entry)
    plain = here == tree.root and not wrapped and {path.name.lower() for path in parts} <= _SPELLED
    finding = () if plain else (_parts_finding(tree, parts, wrapped),)
    return Reading(tuple(branches), tuple(beside), finding)


def _unwrapped(tree: Tree, part: Path, split: Split) -> Path:
    """seg_train/seg_train/cats, train/images/cats: the one folder in a part that holds the class folders."""
    for _ in range(_DEEPEST):
        inner = folders(tree, part)
        if len(inner) != 1 or has_images(tree, part):
            return part
        named = part_of(inner[0].name)
        is_same = named is not None and named[0] == split
        if not is_same and (has_images(tree, inner[0]) or len(folders(tree, inner[0])) < 2):
            return part
        part = inner[0]
    return part


def _parts_finding(tree: Tree, parts: dict[Path, tuple[Split, str]], wrapped: Iterable[Path] = ()) -> Finding:
    by_split: dict[str, list[str]] = defaultdict(list)
    for path, (split, _) in parts.items():
        by_split[split].append(key_of(tree, path))
    words = {"train": "training", "validation": "validation", "test": "test"}
    named = [f"{_shown(by_split[split])} as the {word} part" for split, word in words.items() if by_split[split]]
    items = tuple(key_of(tree, path) for path in [*parts, *wrapped])
    remedy = "If these are classes, give --layout class."
    return Finding("parts", "note", f"read {', '.join(named)}.", items, remedy)


def _parts_in_classes(tree: Tree, tops: list[Path]) -> Reading | None:
    """cats/train, cats/test, dogs/train, dogs/test: parts inside every class.

    Raises DataError where these are several data sets, each with parts of its own.
    """
    found = {top: _parts({path: path.name for path in folders(tree, top)}) for top in tops}
    with_parts = [top for top in tops if len({split for split, _ in found[top].values()}) > 1]
    if not with_parts:
        return None
    if deeper := [top for top in with_parts if any(len(folders(tree, part)) > 1 for part in found[top])]:
        raise DataError(
            f"{tree.shown} holds {len(deeper)} data sets with parts of their own, such as "
            f"{key_of(tree, deeper[0])}, and one at a time is read. {did_you_mean(tree, deeper)}"
        )
    if len(with_parts) < len(tops):
        return None
    branches = [_branch(path, split, top.name) for top in tops for path, (split, _) in found[top].items()]
    taken = {branch.folder for branch in branches}
    inside = [entry for top in tops for entry in entries(tree, top) if entry.path not in taken]
    beside = [entry for entry in entries(tree, tree.root) if entry.path not in tops]
    merged = {path: part for top in tops for path, part in found[top].items()}
    return Reading(tuple(branches), tuple(beside + inside), (_parts_finding(tree, merged),))


def _pooled(tree: Tree, tops: list[Path]) -> Reading:
    """The second folder is the class, the first one only a place."""
    beside = [entry for entry in entries(tree, tree.root) if entry.kind != "folder"]
    branches = []
    for top in tops:
        for entry in entries(tree, top):
            if entry.kind == "folder":
                branches.append(_branch(entry.path, None))
            else:
                beside.append(entry)
    return Reading(tuple(branches), tuple(beside))


_OPTIONS = "--layout class reads the first folder as the class, --layout folder/class the second"


def _check_one_reading(tree: Tree, tops: list[Path]) -> None:
    """Raise DataError where all "classes" hold the same folders of images: folds, cameras, or several data sets."""
    inner = {top: folders(tree, top) for top in tops}
    while all(len(those) == 1 for those in inner.values()):  # x/photos, y/photos: look one folder deeper
        deeper = {top: folders(tree, those[0]) for top, those in inner.items()}
        if any(has_images(tree, those[0]) for those in inner.values()):
            return
        inner = deeper
    names = {
        top: {unicodedata.normalize("NFC", path.name).casefold() for path in those} for top, those in inner.items()
    }
    every = set.union(*names.values())
    if any(len(those) < 2 or 2 * len(those) <= len(every) for those in names.values()):
        return
    outer, subfolders = _shown(top.name for top in tops), _shown(path.name for path in max(inner.values(), key=len))
    raise DataError(
        f"the folders of {tree.shown} can be read in two ways: either {outer} are the classes, or they "
        f"are parts, folds or cameras and {subfolders}, which all of them hold, are the classes. {_OPTIONS}; to read "
        f"one of them alone, name it, such as {tree.told(inner[tops[0]][0].parent)}."
    )


def _nested(tree: Tree, classes: Iterable[Path]) -> tuple[Finding, ...]:
    """A warning where class folders are made of further folders, which may be the classes that were meant."""
    inner = {each: folders(tree, each) for each in classes if not has_images(tree, each)}
    made = {each: those for each, those in inner.items() if len(those) > 1}
    if not made:
        return ()
    items = tuple(key_of(tree, path) for those in made.values() for path in those)
    message = (
        f"all images of {_shown(each.name for each in made)} lie in folders below, such as {items[0]}; the first "
        "folder is read as the class."
    )
    remedy = "If the second one is the class, give --layout folder/class; read several data sets one by one."
    return (Finding("nested", "warning", message, items, remedy),)


def data_set_below(tree: Tree, folder: Path) -> list[Path]:
    """The folder below `folder` that holds at least two folders of images, in a list; [] where there is none."""
    for _ in range(2 * _DEEPEST):
        inner = folders(tree, folder)
        if len(inner) != 1:
            return [folder] if len(inner) > 1 else []
        folder = inner[0]
    return []


def did_you_mean(tree: Tree, paths: list[Path]) -> str:
    return f"Did you mean {_shown(map(tree.told, paths), ' or ')}?" if paths else ""


def _shown(names: Iterable[str], last: str = " and ") -> str:
    """At most four names, as a sentence lists them."""
    known = [printable(name) for name in names]
    if len(known) > 4:
        return f"{', '.join(known[:3])} and {len(known) - 3} others"
    return last.join(known) if len(known) < 3 else f"{', '.join(known[:-1])}{last}{known[-1]}"
