"""What predicts the class without the subject: format, mode, size, shape, quality or border of the files. A network
learns that first (Geirhos et al. 2020, "Shortcut learning in deep neural networks")."""

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from convlift.audit.traits import Traits
from convlift.records.finding import Finding

LEAST = 10  # images of a class, and of the rest: fewer prove nothing
APART = 0.8  # by which a property's share in the class differs from that in the rest
RANKED = 0.95  # chance that an image of the class has more of it than one of the rest, or less: area under the curve
_LISTED = 100


@dataclass(frozen=True)
class _Property:
    """What may give a class away.

    word: its value in words, "" for one that is not worth a mention, None where it is not known.
    number: its value as one that can be ranked.
    """

    kind: str
    word: Callable[[Traits], str | None]
    number: Callable[[Traits], float | None]
    remedy: str


_PROPERTIES = (
    _Property("format", lambda t: f"are {t.format}", lambda t: None, "Save all classes in one format."),
    _Property("mode", lambda t: f"are of mode {t.mode}", lambda t: None, "Save all classes in one mode, such as RGB."),
    _Property(
        "size",
        lambda t: f"are {t.width} x {t.height} pixels",
        lambda t: t.width * t.height,
        "Bring all classes to one size.",
    ),
    _Property("shape", lambda t: None, lambda t: t.width / t.height, "Crop all classes to one shape."),
    _Property(
        "quality",
        lambda t: f"have JPEG quality {t.quality}" if t.quality else None,
        lambda t: t.quality,
        "Save all classes from originals in one quality.",
    ),
    _Property(
        "border",
        lambda t: f"have a border {t.frame}" if t.frame else "",
        lambda t: None,
        "Cut the borders off, or give all classes the same.",
    ),
)


def shortcut_findings(
    traits: Sequence[Traits | None], keys: Sequence[str], labels: NDArray[np.int64], classes: Sequence[str]
) -> list[Finding]:
    """A warning for each property of the files that tells a class of at least LEAST images from all others.

    traits (N,): None of an image that is no file; keys (N,); labels (N,).
    """
    found = []
    for each in _PROPERTIES:
        told = {
            **_by_number([each.number(one) if one else None for one in traits], labels, len(classes)),
            **_by_word([each.word(one) if one else None for one in traits], labels, len(classes)),
        }
        if told and np.unique(labels).size == 2:  # what tells one of two classes tells the other
            told = dict([min(told.items())])
        if told:
            parts = [text.format(repr(classes[label])) for label, text in sorted(told.items())]
            message = f"the files' {each.kind} tells the class: {'; '.join(parts[:3])}."
            items = [key for key, label in zip(keys, labels.tolist(), strict=True) if label in told]
            remedy = f"{each.remedy} A network may learn it instead of the subject."
            found.append(Finding(each.kind, "warning", message, tuple(items[:_LISTED]), remedy))
    return found


def _by_word(words: Sequence[str | None], labels: NDArray[np.int64], k: int) -> dict[int, str]:
    """By class, what most of it is and the rest is not, or the other way round."""
    is_known = np.array([word is not None for word in words], bool)
    counts = Counter(word for word in words if word)
    names = sorted(word for word, count in counts.items() if count >= APART * LEAST)
    if not names or (len(names) == 1 == len(counts) and counts[names[0]] == is_known.sum()):
        return {}
    number, table = {word: index for index, word in enumerate(names)}, np.zeros((len(names), k))
    for word, label in zip(words, labels.tolist(), strict=True):
        if word in number:
            table[number[word], label] += 1
    ours = np.bincount(labels[is_known], minlength=k)
    within = table / np.maximum(ours, 1)
    beyond = (table.sum(axis=1, keepdims=True) - table) / np.maximum(ours.sum() - ours, 1)
    # of two words as far apart, such as JPEG and PNG, the one that the class has
    best = (np.round(np.abs(within - beyond), 6) + 1e-9 * within).argmax(axis=0)
    return {
        label: f"{within[row, label]:.0%} of {{}} {names[row]}, {beyond[row, label]:.0%} of the others"
        for label, row in enumerate(best.tolist())
        if _is_enough(ours, label) and abs(within[row, label] - beyond[row, label]) >= APART
    }


def _by_number(values: Sequence[float | None], labels: NDArray[np.int64], k: int) -> dict[int, str]:
    """By class, whether it has more or less than the rest in nearly all pairs of one of its images and another."""
    known = np.array([value is not None for value in values], bool)
    numbers, owners = np.array([value for value in values if value is not None], float), labels[known]
    if not numbers.size or numbers.min() == numbers.max():
        return {}
    ours = np.bincount(owners, minlength=k)
    # the Mann-Whitney statistic over the number of pairs, ties counted half: they share the mean of their ranks
    _, place, ties = np.unique(numbers, return_inverse=True, return_counts=True)
    ranks = np.bincount(owners, (np.cumsum(ties) - (ties - 1) / 2)[place], minlength=k)
    area = (ranks - ours * (ours + 1) / 2) / np.maximum(ours * (ours.sum() - ours), 1)
    told = {}
    for label in np.flatnonzero((area >= RANKED) | (area <= 1 - RANKED)).tolist():
        if _is_enough(ours, label):
            typical = [float(np.median(numbers[members])) for members in (owners == label, owners != label)]
            more = "higher" if area[label] > 0.5 else "lower"
            told[label] = f"it is {more} in {{}} (typically {typical[0]:.4g}, else {typical[1]:.4g})"
    return told


def _is_enough(ours: NDArray[np.int64], label: int) -> bool:
    return bool(ours[label] >= LEAST and ours.sum() - ours[label] >= LEAST)
