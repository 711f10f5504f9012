"""What predicts the class without the subject: format, mode, size, shape, quality or border of the files. A network
learns that first (Geirhos et al. 2020, "Shortcut learning in deep neural networks")."""

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.stats import rankdata

from convlift.data.intake import Taken
from convlift.data.traits import Traits
from convlift.outcome import Finding

LEAST = 10  # images of a class, and of the rest: fewer prove nothing
APART = 0.8  # by which a property's share in the class differs from that in the rest
RANKED = 0.95  # chance that an image of the class has more of it than one of the rest, or less: area under the curve
_LISTED = 100


@dataclass(frozen=True)
class _Property:
    """What may give a class away. word: its value in words; number: its value as one that can be ranked."""

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
        lambda t: f"have a border {t.frame}" if t.frame else None,
        lambda t: None,
        "Cut the borders off, or give all classes the same.",
    ),
)


def shortcut_findings(
    taken: Sequence[Taken], keys: Sequence[str], labels: NDArray[np.int64], classes: Sequence[str]
) -> list[Finding]:
    """A warning for each property of the files that tells a class of at least LEAST images from all others."""
    traits = [one.traits for one in taken]
    counts = np.bincount(labels, minlength=len(classes))
    large = [label for label in np.flatnonzero(counts >= LEAST).tolist() if counts[label] <= len(labels) - LEAST]
    if (counts > 0).sum() == 2:
        large = large[:1]  # what tells one of two classes tells the other
    found = []
    for each in _PROPERTIES:
        words = [each.word(one) if one else None for one in traits]
        numbers = np.array([_or_nan(each.number(one)) if one else np.nan for one in traits])
        told = {}
        for label in large:
            is_class = labels == label
            if text := _by_word(words, is_class) or _by_number(numbers, is_class):
                told[label] = f"{text.format(repr(classes[label]))}"
        if told:
            message = f"the files' {each.kind} tells the class: {'; '.join([*told.values()][:3])}."
            items = [key for key, label in zip(keys, labels.tolist(), strict=True) if label in told]
            remedy = f"{each.remedy} A network may learn it instead of the subject."
            found.append(Finding(each.kind, "warning", message, tuple(items[:_LISTED]), remedy))
    return found


def _or_nan(number: float | None) -> float:
    return np.nan if number is None else float(number)


def _by_word(words: Sequence[str | None], is_class: NDArray[np.bool_]) -> str:
    """What most of the class is and the rest is not, or the other way round; "" where there is no such word."""
    inside = Counter(word for word, member in zip(words, is_class.tolist(), strict=True) if member and word)
    outside = Counter(word for word, member in zip(words, is_class.tolist(), strict=True) if not member and word)
    most, n = "", int(is_class.sum())
    largest = APART
    for word in sorted({*inside, *outside}):
        within, beyond = inside[word] / n, outside[word] / (len(words) - n)
        if abs(within - beyond) >= largest:
            largest = abs(within - beyond)
            most = f"{within:.0%} of {{}} {word}, {beyond:.0%} of the others"
    return most


def _by_number(numbers: NDArray[np.float64], is_class: NDArray[np.bool_]) -> str:
    known = ~np.isnan(numbers)
    ours, n = int((known & is_class).sum()), int(known.sum())
    if min(ours, n - ours) < LEAST:
        return ""
    # the Mann-Whitney statistic over the number of pairs, ties counted half
    ranks = rankdata(numbers[known])[is_class[known]].sum()
    area = (ranks - ours * (ours + 1) / 2) / (ours * (n - ours))
    if RANKED > area > 1 - RANKED:
        return ""
    typical = [float(np.median(numbers[known & members])) for members in (is_class, ~is_class)]
    return f"it is {'higher' if area > 0.5 else 'lower'} in {{}} (typically {typical[0]:.4g}, else {typical[1]:.4g})"
