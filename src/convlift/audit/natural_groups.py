"""Images that belong together by their names: frames of a video, crops of a photo, images of a patient. A random split
would cut them, and test a network on what it has seen."""

import re
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from convlift.records.finding import SAME, Finding

NATURAL_GROUPS = "natural groups"  # the kind of this finding; one who gave groups is not told of them
FEWEST = 10  # groups of two images or more
FEWEST_OF_A_CLASS = 4  # groups: with fewer no split by groups has the class in every part
COVERED = 0.5  # of the images that must lie in such groups
ALIKE, DEVIATIONS = 0.05, 5.0  # by how much images of a group must be more alike than others of their class
_KEEP = "Keep them together: --group-from '"
_SAMPLE = 2000  # pairs that tell
_LISTED = 100

_WORDS = "patient|subject|subj|person|case|study|slide|specimen|animal|plant|video|clip|scene|sequence|session"
# the group is what the word and its number name, wherever they stand in the path
_BY_WORD = rf"(?i)((?<![a-z])(?:{_WORDS})[-_ ]?[a-z]?[0-9]+)"
# the group is a name that ends with a number, before a further number of its own: 00012_00007.jpg, IMG_0123_crop4.png
_LAST = r"(?:(?<=[0-9])[-_ ]+(?:[A-Za-z]{1,8}[-_]?)?[0-9]+)?\.[^./]+$"
_BY_NUMBER = rf"([^/]+?){_LAST}"
_BY_NUMBER_IN_FOLDER = rf"^(.+?){_LAST}"
_BY_FOLDER = r"^(.+)/[^/]+$"


@dataclass(frozen=True)
class _Way:
    """A way to read groups from paths. expression: for --group-from; is_said: the name itself says that it is a group,
    so that images need not look alike; what: the groups in words."""

    expression: str
    is_said: bool
    what: str


_NUMBERED = "Images are numbered within groups, such as {example}, and those of a group are alike"
_WAYS = (
    _Way(_BY_WORD, True, "The file names say which images belong together, such as {example}"),
    _Way(_BY_NUMBER, False, _NUMBERED),
    _Way(_BY_NUMBER_IN_FOLDER, False, _NUMBERED),
    _Way(_BY_FOLDER, False, "Images of one folder, such as {example}, are more alike than others of their class"),
)


def group_findings(
    keys: Sequence[str], labels: NDArray[np.int64], official: NDArray[np.str_], greys: NDArray[np.uint8]
) -> list[Finding]:
    """At most one warning: how files are grouped, with the option that keeps groups together.

    A number in a name may count images, days or batches; where no word such as "patient" stands before it, images of a
    group must also be more alike than other images of their class. greys: (N, 32, 32).
    """
    for way in _WAYS:
        names = _names(way.expression, keys)
        if names and (way.expression != _BY_FOLDER or _is_below_classes(keys)) and _are_groups(names, labels):
            numbers = np.unique(names, return_inverse=True)[1]
            if _mixes(way, names, labels) or not (way.is_said or _are_alike(numbers, labels, greys)):
                continue
            return [_finding(way, names, keys, official)]
    return []


def expression_of(finding: Finding) -> str:
    """The expression for `--group-from` that such a finding names."""
    return finding.remedy.removeprefix(_KEEP).removesuffix("'")


def _names(expression: str, keys: Sequence[str]) -> list[str]:
    """The group of every image; [] where one has none, as `--group-from` would refuse."""
    matches = [re.search(expression, key) for key in keys]
    return [match[1] for match in matches if match] if all(matches) else []


def _are_groups(names: Sequence[str], labels: NDArray[np.int64]) -> bool:
    _, numbers, sizes = np.unique(names, return_inverse=True, return_counts=True)
    several = int((sizes > 1).sum())
    per_class = [len(set(numbers[labels == label].tolist())) for label in np.unique(labels)]
    return several >= FEWEST and sizes[sizes > 1].sum() >= COVERED * len(names) and min(per_class) >= FEWEST_OF_A_CLASS


def _mixes(way: _Way, names: Sequence[str], labels: NDArray[np.int64]) -> bool:
    """Whether groups of several classes have one name, as where tracks are counted anew in every class folder."""
    if way.expression != _BY_NUMBER:
        return False
    classes = defaultdict(set)
    for name, label in zip(names, labels.tolist(), strict=True):
        classes[name].add(label)
    return sum(len(each) > 1 for each in classes.values()) > 0.2 * len(classes)


def _is_below_classes(keys: Sequence[str]) -> bool:
    """Whether all images lie in a folder below that of their class."""
    return min(key.count("/") for key in keys) >= 2


def _are_alike(groups: NDArray[np.int64], labels: NDArray[np.int64], greys: NDArray[np.uint8]) -> bool:
    """Whether two images of a group are more alike than two of a class and different groups, as greys correlate."""
    rng = np.random.default_rng(len(groups))
    order = rng.permutation(len(groups))
    inside = _neighbours(order[np.argsort(groups[order], kind="stable")], groups)
    across = _neighbours(order[np.argsort(labels[order], kind="stable")], labels)
    across = across[groups[across[:, 0]] != groups[across[:, 1]]]
    if min(len(inside), len(across)) < FEWEST:
        return False
    one, other = (
        (_standardized(greys[pairs[:, 0]]) * _standardized(greys[pairs[:, 1]])).sum(axis=1)
        for pairs in (rng.permutation(inside)[:_SAMPLE], rng.permutation(across)[:_SAMPLE])
    )
    error = np.sqrt(one.var() / len(one) + other.var() / len(other))
    return bool(one.mean() - other.mean() > max(ALIKE, DEVIATIONS * error))


def _standardized(greys: NDArray[np.uint8]) -> NDArray[np.float32]:
    flat = greys.reshape(len(greys), -1).astype(np.float32)
    flat -= flat.mean(axis=1, keepdims=True)
    found: NDArray[np.float32] = flat / np.maximum(np.linalg.norm(flat, axis=1, keepdims=True), 1e-6)
    return found


def _neighbours(order: NDArray[np.int64], of: NDArray[np.int64]) -> NDArray[np.int64]:
    """Pairs that are neighbours in this order and share a number."""
    pairs = np.stack([order[:-1], order[1:]], axis=1)
    found: NDArray[np.int64] = pairs[of[pairs[:, 0]] == of[pairs[:, 1]]]
    return found


def _finding(way: _Way, names: Sequence[str], keys: Sequence[str], official: NDArray[np.str_]) -> Finding:
    rows = defaultdict(list)
    for row, name in enumerate(names):
        rows[name].append(row)
    several = {name: members for name, members in rows.items() if len(members) > 1}
    first = next(iter(several.values()))
    example = " and ".join(keys[row] for row in first[:2])
    message = (
        f"{way.what.format(example=example)}: {len(rows)} groups, {len(several)} of them of 2 to "
        f"{max(map(len, several.values()))} images. A split by single images would cut them, and scores would flatter."
    )
    if cut := sum(len({official[row] for row in members}) > 1 for members in several.values()):
        message += f" {cut} of them lie in more than one official part."
    remedy = f"{_KEEP}{way.expression}'"
    items = tuple(SAME.join(keys[row] for row in members[:4]) for members in list(several.values())[:_LISTED])
    return Finding(NATURAL_GROUPS, "warning", message, items, remedy)
