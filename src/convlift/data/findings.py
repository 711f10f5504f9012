"""What is said of a data set's images and labels, and the rules without which nothing can be learned."""

from collections import Counter, defaultdict
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from convlift.errors import DataError
from convlift.outcome import Finding

MAX_UNREADABLE = 0.05
_LISTED = 100  # keys listed of a note; unreadable files are all listed

_NOTES = {
    "cmyk": "are CMYK and were converted to RGB without a colour profile",
    "alpha": "are transparent and were laid on white",
    "16 bit": "have 16 bits a pixel and were scaled by 257",
    "float": "hold floats in [0, 1] and were scaled by 255",
    "first frame": "have several frames, of which the first was taken",
    "rotated": "were turned upright as their EXIF block says",
    "odd shape": "are under 8 pixels or more than 8 times as long as wide",
    "grey": "are grey among colour images",
}


def check_classes(
    name: str,
    classes: Sequence[str],
    labels: NDArray[np.int64],
    official: NDArray[np.str_],
    hashes: NDArray[np.str_],
) -> None:
    """Raise DataError where nothing can be learned or measured: one class, too few images in one, no training part.

    labels (N,), official (N,) "" or a split, hashes (N,) equal for equal images. Copies of one image count once,
    since no split may cut them.
    """
    present = np.unique(labels)
    if len(present) < 2:
        only = f"one class ({classes[present[0]]!r})" if len(present) else "no image"
        raise DataError(f"{name} has images of {only} only; at least 2 classes are needed. Give one folder per class.")
    if len(np.unique(hashes)) == 1:
        raise DataError(f"all {len(labels)} images of {name} are identical; nothing can be learned from them.")
    if not (official != "").any():
        _check_counts(name, classes, duplicate_groups(hashes, labels)[1], present, ("train", "validation", "test"))
        return
    is_train = official == "train"
    if not is_train.any():
        raise DataError(f"{name} has official splits but no training images; add a train part.")
    if missing := sorted(set(present.tolist()) - set(labels[is_train].tolist())):
        raise DataError(
            f"{_classes(classes, missing)} only in the validation or test part of {name}; "
            "every class needs training images. Add some or remove the class."
        )
    # where there is no official validation part, it is carved out of the training part
    shares = ("train",) if "validation" in official else ("train", "validation")
    owners = duplicate_groups(hashes[is_train], labels[is_train])[1]
    _check_counts(f"the training part of {name}", classes, owners, present, shares)


def _check_counts(
    name: str,
    classes: Sequence[str],
    owners: NDArray[np.int64],
    present: NDArray[np.int64],
    shares: tuple[str, ...],
) -> None:
    counts = np.bincount(owners, minlength=len(classes))
    for label in present:
        if (count := counts[label]) < len(shares):
            images = "distinct image" if count == 1 else "distinct images"
            raise DataError(
                f"class {classes[label]!r} has {count} {images} in {name}; every class needs at least {len(shares)} "
                f"({', '.join(shares)}). Add images or remove the class."
            )


def _classes(classes: Sequence[str], labels: Sequence[int]) -> str:
    names = ", ".join(repr(classes[label]) for label in labels[:5])
    return (
        f"class {names} is" if len(labels) == 1 else f"{len(labels)} classes ({names}{', ...' * (len(labels) > 5)}) are"
    )


def duplicate_groups(
    hashes: NDArray[np.str_], labels: NDArray[np.int64]
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Group number of each image (N,), and the class that owns each group (G,).

    Copies of one image form one group. One filed under several classes belongs to that with most of its copies, then
    to the class with fewest images, which needs it most.
    """
    _, first, groups = np.unique(hashes, return_index=True, return_inverse=True)
    owners = labels[first].astype(np.int64)
    class_sizes = Counter(labels.tolist())
    for group in copies(hashes):
        filed = Counter(labels[group].tolist())
        owners[groups[group[0]]] = min(filed, key=lambda label: (-filed[label], class_sizes[label], label))
    return groups.astype(np.int64), owners


def copies(hashes: NDArray[np.str_]) -> list[list[int]]:
    """The indices of each image that is there more than once, in order of first appearance."""
    found: dict[str, list[int]] = defaultdict(list)
    for index, value in enumerate(hashes.tolist()):
        found[value].append(index)
    return [group for group in found.values() if len(group) > 1]


def check_readable(name: str, unreadable: Sequence[str], total: int) -> list[Finding]:
    """The finding that lists unreadable files ("key: reason"). Raises DataError where they are more than 5%."""
    if not unreadable:
        return []
    if len(unreadable) > MAX_UNREADABLE * total:
        shown = "; ".join(unreadable[:3]) + ("; ..." if len(unreadable) > 3 else "")
        raise DataError(
            f"{len(unreadable)} of {total} images of {name} cannot be read, more than {MAX_UNREADABLE:.0%} ({shown}). "
            "Repair or remove them."
        )
    message = f"{len(unreadable)} of {total} files cannot be read and were left out."
    return [Finding("unreadable", "warning", message, tuple(unreadable), "Repair or remove them.")]


def note_findings(
    notes: Sequence[tuple[str, ...]], keys: Sequence[str], labels: NDArray[np.int64], classes: Sequence[str]
) -> list[Finding]:
    """One finding per kind of conversion; a warning where it goes with the class, since a network would learn that."""
    found: dict[str, list[int]] = defaultdict(list)
    for index, those in enumerate(notes):
        for note in those:
            found[note].append(index)
    if len(found["grey"]) == len(notes):  # all grey is a property of the data, nothing to report
        del found["grey"]
    findings = []
    for note, text in _NOTES.items():
        if indices := found.get(note):
            tie = _tie(indices, labels, classes)
            message = f"{len(indices)} of {len(notes)} images {text}.{tie}"
            remedy = "Save all classes in one format, or a network may learn the format." if tie else ""
            items = tuple(keys[index] for index in indices[:_LISTED])
            findings.append(Finding(note, "warning" if tie else "note", message, items, remedy))
    return findings


def _tie(indices: list[int], labels: NDArray[np.int64], classes: Sequence[str]) -> str:
    """A sentence where a property of at least ten images is half the time or more a mark of the class, else ""."""
    present, sizes = np.unique(labels, return_counts=True)
    rates = np.bincount(labels[indices], minlength=len(classes))[present] / sizes
    high, low = int(rates.argmax()), int(rates.argmin())
    if len(indices) < 10 or rates[high] - rates[low] < 0.5:
        return ""
    often, seldom = classes[present[high]], classes[present[low]]
    return f" That goes with the class: {rates[high]:.0%} of {often!r}, {rates[low]:.0%} of {seldom!r}."


def label_findings(
    keys: Sequence[str],
    classes: Sequence[str],
    labels: NDArray[np.int64],
    official: NDArray[np.str_],
    hashes: NDArray[np.str_],
) -> list[Finding]:
    """Exact copies: under two classes, across official splits, or merely twice; and classes that no test measures."""
    groups = [(group, len(set(labels[group])) > 1, len(set(official[group])) > 1) for group in copies(hashes)]
    conflicts = _lines([group for group, is_conflict, _ in groups if is_conflict], keys)
    leaks = _lines([group for group, _, is_leak in groups if is_leak], keys)
    plain = _lines([group for group, is_conflict, is_leak in groups if not is_conflict and not is_leak], keys)
    findings = []
    if conflicts:
        message = f"{len(conflicts)} images are filed under more than one class."
        findings.append(Finding("label conflict", "warning", message, conflicts, "Decide on one class for each."))
    if leaks:
        message = f"{len(leaks)} images lie in more than one official split, so scores may flatter."
        findings.append(Finding("leak", "warning", message, leaks, "Remove them from the training part."))
    if plain:
        message = f"{len(plain)} images are there more than once; no split made here cuts the copies apart."
        findings.append(Finding("duplicate", "note", message, plain[:_LISTED]))
    if "test" in official and (unmeasured := sorted(set(labels.tolist()) - set(labels[official == "test"].tolist()))):
        names = tuple(classes[label] for label in unmeasured)
        message = f"{len(names)} classes have no image in the official test part, so nothing is measured on them."
        findings.append(Finding("unmeasured class", "warning", message, names, "Add test images of them."))
    return findings


def _lines(groups: Sequence[Sequence[int]], keys: Sequence[str]) -> tuple[str, ...]:
    return tuple(" = ".join(keys[index] for index in group) for group in groups)
