"""Which images are trained on, which choose, and which judge: train, validation, and the sealed test."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from convlift.data.findings import duplicate_groups
from convlift.data.store import ImageStore
from convlift.errors import DataError, LedgerError

CARVED_VALIDATION = 0.15  # of the official training part, where there is no official validation part
SHIPPED_VALIDATION = 0.10  # of all images, where none is left for a test: enough to stop a training by
LEAST_FOR_FOLDS = 4  # distinct images of a class: with fewer, half of them may not do for training and validation

_STREAM = 0x5EA1  # sets these draws apart from the same seed's other uses
_ORDERS, _MOST_DEALT = 20, 20_000  # orders in which groups are dealt out, fewer where that were more deals than this


@dataclass(frozen=True, eq=False)
class Splits:
    """Indices into the store, int64, each sorted; together every image exactly once."""

    train: NDArray[np.int64]
    validation: NDArray[np.int64]
    test: NDArray[np.int64]


@dataclass(frozen=True)
class Fold:
    """Which part of a nested cross-validation a campaign has as its sealed test. number: 1 to `of`; 0: none of them,
    for the training of what ships, which no image is left to test."""

    number: int
    of: int

    def __str__(self) -> str:
        return f"fold {self.number} of {self.of}" if self.number else f"no fold of {self.of}"


class SealedLabels:
    """The test labels (nt,), which can be read exactly once. Owns the one thing that must not be looked at early."""

    def __init__(self, labels_nt: NDArray[np.int64]) -> None:
        self._labels: NDArray[np.int64] | None = labels_nt.copy()

    def open(self) -> NDArray[np.int64]:
        """The labels, in the order of `Splits.test`. Raises LedgerError at the second call."""
        if self._labels is None:
            raise LedgerError(
                "the sealed test was opened already; it is scored once, start a new campaign to score again."
            )
        labels, self._labels = self._labels, None
        return labels


def shares(n: int) -> tuple[float, float]:
    """(validation, test) shares of n images that have no official split.

    The test must be able to prove a gain. Two models that disagree on a fraction d of the images differ in score with
    standard error sqrt(d / n_test) at most, so d = 0.05 gives 0.9 points at 600 test images and 1.6 at 200: 600 is
    the aim, within 15% to 30% of the images. Validation only ranks recipes, over many trials: 400 is the aim, within
    15% to 20%. Small data sets thus give half their images to judging, large ones 30%.
    """
    return float(np.clip(400 / n, 0.15, 0.20)), float(np.clip(600 / n, 0.15, 0.30))


def make_splits(
    store: ImageStore, seed: int, groups: NDArray[np.int64] | None = None, fold: Fold | None = None
) -> Splits:
    """Honour official splits, and make what is missing: stratified by class, copies of an image kept together.

    With an official test but no validation part, 15% of the training part validates. Every class that has images to
    split gets at least one in each part. The same store, seed and groups give the same splits.
    groups (N,): images of one group stay together too; classes are then as even as that allows. fold: the test is this
    one of `fold_numbers`, and the rest is split as usual.
    Raises DataError where a class has fewer groups than there are parts to be made.
    """
    if fold is not None:
        return _around(fold, store, seed, groups)
    rng = np.random.default_rng([seed, _STREAM])
    everything = np.arange(len(store.labels), dtype=np.int64)
    if not (store.official != "").any():
        validation, test = shares(len(everything))
        parts = _cut(store, everything, (test, validation), rng, groups)
        return Splits(train=parts[2], validation=parts[1], test=parts[0])
    train, validated, tested = (everything[store.official == part] for part in ("train", "validation", "test"))
    if not len(validated):
        validated, train = _cut(store, train, (CARVED_VALIDATION,), rng, groups)
    return Splits(train, validated, tested)


def fold_numbers(store: ImageStore, seed: int, of: int, groups: NDArray[np.int64] | None = None) -> NDArray[np.int64]:
    """(N,): the fold of every image, 1 to `of`: stratified by class, copies and groups kept together.

    Raises DataError where a class has too few distinct images, or groups, for as many folds.
    """
    rng = np.random.default_rng([seed, _STREAM, of])
    everything = np.arange(len(store.labels), dtype=np.int64)
    copies, owners = duplicate_groups(store.hashes, store.labels)
    counts = np.bincount(owners, minlength=len(store.classes))
    least = max(of, LEAST_FOR_FOLDS)
    if scarce := [label for label in np.unique(store.labels) if counts[label] < least]:
        raise DataError(
            f"class {store.classes[scarce[0]]!r} of {store.name} has {counts[scarce[0]]} distinct images; {of} folds "
            f"need at least {least} of every class. Add images, take fewer folds, or leave out --cv."
        )
    if groups is not None:
        parts = _stratified_by_group(store, everything, (1.0 / of,) * (of - 1), rng, groups)
        return _numbered(parts)
    number_of, sizes, totals = np.zeros(len(owners), np.int64), np.bincount(copies), np.zeros(of, np.int64)
    for label in np.unique(owners):
        members = rng.permutation(np.flatnonzero(owners == label))
        held = np.zeros(of, np.int64)
        for unit in members[np.argsort(-sizes[members], kind="stable")]:
            fold = min(range(of), key=lambda each: (held[each], totals[each]))
            number_of[unit] = fold + 1
            held[fold] += sizes[unit]
            totals[fold] += sizes[unit]
    numbers: NDArray[np.int64] = number_of[copies]
    return numbers


def _numbered(parts: list[NDArray[np.int64]]) -> NDArray[np.int64]:
    numbers = np.zeros(sum(map(len, parts)), np.int64)
    for number, part in enumerate(parts, 1):
        numbers[part] = number
    return numbers


def _around(fold: Fold, store: ImageStore, seed: int, groups: NDArray[np.int64] | None) -> Splits:
    numbers = fold_numbers(store, seed, fold.of, groups)
    rest, test = np.flatnonzero(numbers != fold.number), np.flatnonzero(numbers == fold.number)
    share = shares(len(rest))[0] if fold.number else SHIPPED_VALIDATION
    rng = np.random.default_rng([seed, _STREAM, fold.of, fold.number])
    validation, train = _cut(store, rest, (share,), rng, groups)
    return Splits(train, validation, test)


def _cut(
    store: ImageStore,
    inside: NDArray[np.int64],
    fractions: tuple[float, ...],
    rng: np.random.Generator,
    groups: NDArray[np.int64] | None,
) -> list[NDArray[np.int64]]:
    if groups is None:
        return _stratified(store, inside, fractions, rng)
    return _stratified_by_group(store, inside, fractions, rng, groups[inside])


def _stratified_by_group(
    store: ImageStore,
    inside: NDArray[np.int64],
    fractions: tuple[float, ...],
    rng: np.random.Generator,
    groups: NDArray[np.int64],
) -> list[NDArray[np.int64]]:
    """`inside` cut into one part a fraction, then the rest, whole groups at a time.

    Groups are dealt out, the largest first, each to the part whose classes it brings closest to their shares; of
    several orders the evenest deal counts. Unlike scikit-learn's StratifiedGroupKFold, whose parts are equal folds, the
    shares are free, copies of an image never part groups, and no class is missing anywhere.
    Raises DataError where a class has fewer groups than there are parts.
    """
    copies, owners = duplicate_groups(store.hashes[inside], store.labels[inside])
    units = _together(groups, copies)
    table = np.zeros((int(units.max()) + 1, len(store.classes)))
    np.add.at(table, (units, owners[copies]), 1.0)
    table = table[:, table.any(axis=0)]
    shares = np.array([*fractions, 1.0 - sum(fractions)])
    if (scarce := np.flatnonzero((table > 0).sum(axis=0) < len(shares))).size:
        present = np.unique(owners)
        raise DataError(
            f"class {store.classes[present[scarce[0]]]!r} of {store.name} has images of "
            f"{int((table[:, scarce[0]] > 0).sum())} groups; no group is cut, so {len(shares)} parts need at least "
            f"{len(shares)} groups of every class. Add images of more groups, or leave out --group-from."
        )
    orders = max(1, min(_ORDERS, _MOST_DEALT // len(table)))
    deals = [_deal_groups(table, shares, rng) for _ in range(orders)]
    part = min(deals, key=lambda deal: _unevenness(table, shares, deal))
    if _absent(table, part, len(shares)):
        raise DataError(
            f"no way was found to cut the groups of {store.name} into {len(shares)} parts with every class in each; "
            "add images of more groups, try another --seed, or leave out --group-from."
        )
    return [inside[part[units] == number] for number in range(len(shares))]


def _together(groups: NDArray[np.int64], copies: NDArray[np.int64]) -> NDArray[np.int64]:
    """(n,): images are one unit where they share a group, or are copies, or a chain of both links them."""
    _, ours = np.unique(groups, return_inverse=True)
    count = int(ours.max()) + 1
    size = count + int(copies.max()) + 1
    links = coo_array((np.ones(len(ours)), (ours, count + copies)), shape=(size, size))
    units: NDArray[np.int64] = connected_components(links, directed=False)[1][ours].astype(np.int64)
    return np.unique(units, return_inverse=True)[1].astype(np.int64)


def _deal_groups(
    table: NDArray[np.float64], shares: NDArray[np.float64], rng: np.random.Generator
) -> NDArray[np.int64]:
    """The part of each group; table (G, C): its images by class. Ties in size fall to the random order."""
    order = rng.permutation(len(table))
    order = order[np.argsort(-table[order].sum(axis=1), kind="stable")]
    wanted = shares[:, None] * table.sum(axis=0)
    missing, part = wanted.copy(), np.zeros(len(table), np.int64)
    for group in order:
        # what the sum over parts of (missing / wanted)^2 * wanted loses where the group goes to each part
        relief = ((2.0 * missing - table[group]) * table[group] / wanted).sum(axis=1)
        part[group] = int(relief.argmax())
        missing[part[group]] -= table[group]
    for _ in range(len(shares) * table.shape[1]):
        if not (absent := _absent(table, part, len(shares))):
            break
        _lend(table, part, *absent[0])
    return part


def _absent(table: NDArray[np.float64], part: NDArray[np.int64], parts: int) -> list[tuple[int, int]]:
    """(part, class) where a part holds no image of a class."""
    return [(p, c) for p in range(parts) for c in np.flatnonzero(table[part == p].sum(axis=0) == 0).tolist()]


def _lend(table: NDArray[np.float64], part: NDArray[np.int64], to: int, label: int) -> None:
    """Give a part without a class the smallest group with it whose own part can spare all its classes, in place."""
    for group in sorted(np.flatnonzero(table[:, label] > 0), key=lambda g: table[g].sum()):
        left = table[(part == part[group]) & (np.arange(len(part)) != group)].sum(axis=0)
        if (left[table[group] > 0] > 0).all():
            part[group] = to
            return


def _unevenness(table: NDArray[np.float64], shares: NDArray[np.float64], part: NDArray[np.int64]) -> tuple[int, float]:
    """How many classes are absent somewhere, then chi-square of the parts' classes against their shares."""
    counts = np.array([table[part == number].sum(axis=0) for number in range(len(shares))])
    wanted = shares[:, None] * table.sum(axis=0)
    return int((counts == 0).sum()), float(((counts - wanted) ** 2 / wanted).sum())


def _stratified(
    store: ImageStore, inside: NDArray[np.int64], fractions: tuple[float, ...], rng: np.random.Generator
) -> list[NDArray[np.int64]]:
    """`inside` cut into one part a fraction, then the rest."""
    groups, owners = duplicate_groups(store.hashes[inside], store.labels[inside])
    sizes = np.bincount(groups)
    part_of_group = np.full(len(owners), len(fractions))
    for label in np.unique(owners):
        members = np.flatnonzero(owners == label)
        part_of_group[members] = _deal(sizes[members], fractions, rng)
    part = part_of_group[groups]
    return [inside[part == number] for number in range(len(fractions) + 1)]


def _deal(sizes: NDArray[np.int64], fractions: tuple[float, ...], rng: np.random.Generator) -> NDArray[np.int64]:
    """The part of each of one class's groups: in random order, each to the first part that it still fits into."""
    rest = len(fractions)
    room = [max(1, round(fraction * int(sizes.sum()))) for fraction in fractions]
    parts = np.full(len(sizes), rest)
    for group in rng.permutation(len(sizes)):
        for part in range(rest):
            if sizes[group] <= room[part]:
                parts[group] = part
                room[part] -= int(sizes[group])
                break
    for part in range(rest + 1):
        # a part may be left empty where groups are large or few: it takes the smallest group of the fullest part
        if not (parts == part).any() and len(sizes) > rest:
            counts = np.bincount(parts, minlength=rest + 1)
            donors = np.flatnonzero(parts == counts.argmax())
            parts[donors[sizes[donors].argmin()]] = part
    return parts
