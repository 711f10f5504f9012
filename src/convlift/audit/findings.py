"""What is found of a data set's images and labels, and the rules without which nothing can be learned."""

import math
import re
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from convlift.audit.told_ranges import CHOOSE
from convlift.errors import DataError
from convlift.records.finding import SAME, Finding

MAX_UNREADABLE = 0.05
_LISTED = 100  # keys listed of a note; unreadable files are all listed
_NAMED = 3  # of them in the message itself

_NOTES = {
    "cmyk": "are CMYK and were converted to RGB without a colour profile",
    "alpha": "are transparent in places and were laid on the background",
    "alpha ignored": "are transparent, which was ignored",
    "clear": "are transparent everywhere, so that nothing but the background is left of them",
    "fourth band": "have a fourth band that is marked as transparency but looks like a picture, and was left out",
    "flat": "are one flat colour once decoded",
    "16 bit": "have more than 8 bits a value",
    "float": "hold floats",
    "unit float": "hold floats up to 1 among images of larger values, and were scaled on their own",
    "outside range": "hold values above the range of the data set, which were cut",
    "pages": "have several grey pages of one size, each of which is a band",
    "missing": "have pixels of the value that marks what is missing (GDAL_NODATA), which was read as any other value",
    "first frame": "have several frames, of which the first was taken",
    "rotated": "were turned upright, as their EXIF block requires",
    "odd shape": "are under 8 pixels or more than 8 times as long as wide",
    "grey": "are grey among colour images",
}
# what is a warning whether it goes with the class or not, and what can be done
_REMEDIES = {
    "clear": "Read what lies behind with --alpha ignore.",
    "fourth band": "Save colour alone if it is no picture.",
    "flat": "Look at them, and remove what shows nothing.",
    "unit float": "Save all images on one scale.",
    "missing": "Fill them, or leave these images out.",
}
_ONE_FORMAT = "Save all classes in one format, or a network may learn the format."


def check_classes(
    name: str,
    classes: Sequence[str],
    labels: NDArray[np.int64],
    official: NDArray[np.str_],
    hashes: NDArray[np.str_],
    notes: Sequence[tuple[str, ...]] = (),
) -> None:
    """Raise DataError where nothing can be learned or measured: one class, too few images in one, no training part.

    labels (N,), official (N,) "" or a split, hashes (N,) equal for equal images, notes: of decoding, for the reason why
    images are alike. Copies of one image count once, since no split may cut them.
    """
    present = np.unique(labels)
    if len(present) < 2:
        only = f"one class ({classes[present[0]]!r})" if len(present) else "no image"
        raise DataError(f"{name} has images of {only} only; at least 2 classes are needed. Give one folder per class.")
    if len(np.unique(hashes)) == 1:
        raise DataError(
            f"all {len(labels)} images of {name} are identical{_why_alike(notes)}; nothing can be learned from them."
        )
    if not (official != "").any():
        _check_counts(name, classes, labels, hashes, notes, ("train", "validation", "test"))
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
    there = [those for those, is_there in zip(notes, is_train.tolist(), strict=False) if is_there]
    _check_counts(f"the training part of {name}", classes, labels[is_train], hashes[is_train], there, shares)


def _check_counts(
    name: str,
    classes: Sequence[str],
    labels: NDArray[np.int64],
    hashes: NDArray[np.str_],
    notes: Sequence[tuple[str, ...]],
    shares: tuple[str, ...],
) -> None:
    counts = np.bincount(duplicate_groups(hashes, labels)[1], minlength=len(classes))
    for label in np.unique(labels):
        if (count := counts[label]) < len(shares):
            members = np.flatnonzero(labels == label)
            images = "distinct image" if count == 1 else "distinct images"
            alike = _why_few(members, classes, labels, hashes)
            why = _why_alike([notes[member] for member in members.tolist()]) if notes else ""
            raise DataError(
                f"class {classes[label]!r} has {count} {images} in {name}{alike}{why}; every class needs at least "
                f"{len(shares)} ({', '.join(shares)}). Add images or remove the class."
            )


def _why_few(
    members: NDArray[np.int64], classes: Sequence[str], labels: NDArray[np.int64], hashes: NDArray[np.str_]
) -> str:
    """What became of a class's images: filed under another class too, or copies of one another; "" where neither."""
    own, elsewhere = set(hashes[members].tolist()), labels != labels[members[0]]
    also = Counter(labels[elsewhere & np.isin(hashes, list(own))].tolist())
    if also:
        other = also.most_common(1)[0][0]
        shared = int(np.isin(hashes[members], hashes[labels == other]).sum())
        many = f"all {shared}" if shared == len(members) else f"{shared} of {len(members)}"
        return f", for {many} images of {classes[labels[members[0]]]!r} are also filed under {classes[other]!r}"
    return f", for its {len(members)} images are copies of {len(own)}" if len(own) < len(members) else ""


def _why_alike(notes: Sequence[tuple[str, ...]]) -> str:
    clear, flat = (sum(note in those for those in notes) for note in ("clear", "flat"))
    if clear > len(notes) / 2:
        return (
            f" ({clear} are transparent everywhere, so that nothing but the background is left of them; --alpha ignore "
            "reads what lies behind)"
        )
    return f" ({flat} are one flat colour once decoded)" if flat > len(notes) / 2 else ""


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
    shown = "; ".join(unreadable[:_NAMED]) + (f"; and {len(unreadable) - _NAMED} more" * (len(unreadable) > _NAMED))
    left = "was left out" if len(unreadable) == 1 else "were left out"
    message = f"{len(unreadable)} of {total} files cannot be read and {left}: {shown}."
    return [Finding("unreadable", "warning", message, tuple(unreadable), "Repair or remove them.")]


def range_findings(value_range: float | None, highs: Mapping[str, float], what: str = "files") -> list[Finding]:
    """How values of more than 8 bits were scaled, by the range over the data set. highs: the largest value of each of
    those files (or arrays), by key.

    A note where the range fills 16 bits; a warning where it was found to be less, or where half of the files stay under
    a sixteenth of it, so that few grey levels are left of them.
    """
    if value_range is None or not highs:
        return []
    top, middle = max(highs.values()), float(np.median([*highs.values()]))
    bits = round(math.log2(value_range + 1))
    message = (
        f"{len(highs)} {what} of more than 8 bits have values up to {top:g}; 0 to {value_range:g} ({bits} bits) became "
        "0 to 255, the same for all."
    )
    if middle >= value_range / 16:
        items = tuple([*highs][:_LISTED])
        remedy = "Check that this is the range that was meant; prediction applies it too."
        if what == "files" and bits < 16:
            remedy += CHOOSE
        return [Finding("value range", "note" if bits == 16 else "warning", message, items, remedy)]
    bright = sorted((key for key in highs if highs[key] > 16 * middle), key=lambda key: -highs[key])
    message += f" Half of them stay under {middle:g}, so few grey levels are left of those."
    remedy = "If the brightest hold markers or dead pixels, mend them, and the range follows."
    if what == "files":  # of arrays it is a finding of the source, which tells stores apart
        remedy += CHOOSE
    return [Finding("value range", "warning", message, tuple(bright[:_LISTED]), remedy)]


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
            said = _of_one(text) if len(indices) == 1 else text
            message = f"{len(indices)} of {len(notes)} images {said}.{tie}"
            remedy = _REMEDIES.get(note, _ONE_FORMAT if tie else "")
            items = tuple(keys[index] for index in indices[:_LISTED])
            findings.append(Finding(note, "warning" if remedy else "note", message, items, remedy))
    return findings


def _of_one(text: str) -> str:
    """The same of one image."""
    words = {"are": "is", "were": "was", "have": "has", "hold": "holds", "their": "its", "them": "it"}
    return re.sub(r"\b(are|were|have|hold|their|them)\b", lambda found: words[found[0]], text)


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
        message += _leaked(official, hashes)
        findings.append(Finding("leak", "warning", message, leaks, "Remove them from the training part."))
    if plain:
        message = f"{len(plain)} images are there more than once; no split made here cuts the copies apart."
        findings.append(Finding("duplicate", "note", message, plain[:_LISTED]))
    if "test" in official and (unmeasured := sorted(set(labels.tolist()) - set(labels[official == "test"].tolist()))):
        names = tuple(classes[label] for label in unmeasured)
        message = f"{len(names)} classes have no image in the official test part, so nothing is measured on them."
        findings.append(Finding("unmeasured class", "warning", message, names, "Add test images of them."))
    return findings


def _leaked(official: NDArray[np.str_], hashes: NDArray[np.str_]) -> str:
    """How much of the test part lies elsewhere too."""
    test, others = hashes[official == "test"], hashes[official != "test"]
    shared = int(np.isin(test, others).sum())
    return f" That is {shared} of the {len(test)} test images ({shared / len(test):.0%})." if shared else ""


def _lines(groups: Sequence[Sequence[int]], keys: Sequence[str]) -> tuple[str, ...]:
    return tuple(SAME.join(keys[index] for index in group) for group in groups)
