"""Which images are trained on, which choose, and which judge: train, validation, and the sealed test."""

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from convlift.audit.findings import duplicate_groups
from convlift.data.group_deals import deal_groups, together
from convlift.data.store import ImageStore
from convlift.errors import DataError

SEALED_SHARE = 0.25  # of all images, whatever their number: a share that fell as a data set grows would unseal images
CARVED_VALIDATION = 0.15  # of the official training part, where there is no official validation part
SHIPPED_VALIDATION = 0.10  # of all images, where none is left for a test: enough to stop a training by
LEAST_FOR_FOLDS = 4  # distinct images of a class: with fewer, half of them may not do for training and validation

_STREAM = 0x5EA1  # sets these draws apart from the same seed's other uses


@dataclass(frozen=True, eq=False)
class Splits:
    """Indices into the store, int64, each sorted; together every image exactly once."""

    train: NDArray[np.int64]
    validation: NDArray[np.int64]
    test: NDArray[np.int64]

    @property
    def counts(self) -> dict[str, int]:
        """Images in each part."""
        return {"train": len(self.train), "validation": len(self.validation), "test": len(self.test)}


@dataclass(frozen=True)
class Fold:
    """Which part of a nested cross-validation a campaign has as its sealed test.

    number: 1 to `of`; 0 for none of them, in the training of the shipped recipe on all images, which leaves none to
        test.
    """

    number: int
    of: int

    def __str__(self) -> str:
        return f"fold {self.number} of {self.of}" if self.number else f"no fold of {self.of}"


def shares(n: int) -> tuple[float, float]:
    """(validation, test) shares of n images that have no official split.

    The test takes 25% whatever n is, so that a sealed image stays sealed when images are added. Validation only ranks
    recipes, over many trials: 400 images are the aim, within 15% to 20%. See decision 0016.
    """
    return float(np.clip(400 / n, 0.15, 0.20)), SEALED_SHARE


def make_splits(
    store: ImageStore, seed: int, groups: NDArray[np.int64] | None = None, fold: Fold | None = None
) -> Splits:
    """Honour official splits, and make what is missing, copies and near copies of an image kept together.

    Nothing official: an image is in the test where a hash of what it shows, with the seed, falls under SEALED_SHARE,
    so that images that are added later never unseal it, but for near copies of it, with which it may change the part.
    Every class has an image in each part. With an official test but no validation part, 15% of the training part
    validates, by the same hash.
    groups (N,): images of one group, and exact copies, stay together, and the hash is that of the group's number
    (`read_groups`).
    fold: the test is this one of `fold_numbers`, and the rest is split as usual.
    The same store, seed and groups give the same splits.
    Raises DataError where a class has fewer groups than there are parts to be made.
    """
    if fold is not None:
        return _around(fold, store, seed, groups)
    everything = np.arange(len(store.labels), dtype=np.int64)
    if not (store.official != "").any():
        return _from_nothing(store, everything, seed, groups)
    train, validated, tested = (everything[store.official == part] for part in ("train", "validation", "test"))
    if not len(validated):
        validated, train = _validating(store, train, CARVED_VALIDATION, seed, groups)
    return Splits(train, validated, tested)


def sealed_hashes(store: ImageStore, splits: Splits) -> tuple[str, ...]:
    """What the test images show, by hash, sorted: the same for the same sealed images, however the data set grew."""
    return tuple(sorted(set(store.hashes[splits.test].tolist())))


def fold_numbers(store: ImageStore, seed: int, of: int, groups: NDArray[np.int64] | None = None) -> NDArray[np.int64]:
    """(N,): the fold of every image, 1 to `of`: stratified by class, copies and groups kept together.

    Raises DataError where a class has too few distinct images, or groups, for as many folds.
    """
    rng = np.random.default_rng([seed, _STREAM, of])
    everything = np.arange(len(store.labels), dtype=np.int64)
    copies, owners = duplicate_groups(store.scenes, store.labels)
    counts = np.bincount(owners, minlength=len(store.classes))
    least = max(of, LEAST_FOR_FOLDS)
    if scarce := [label for label in np.unique(store.labels) if counts[label] < least]:
        raise DataError(
            f"class {store.classes[scarce[0]]!r} of {store.name} has {counts[scarce[0]]} distinct images; {of} folds "
            f"need at least {least} of every class. Add images, take fewer folds, or leave out --cv."
        )
    if groups is not None:
        parts = deal_groups(store, everything, (1.0 / of,) * (of - 1), rng, groups)
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
    validation, train = _validating(store, rest, share, seed, groups, f"{fold.number} of {fold.of}")
    return Splits(train, validation, test)


def _from_nothing(
    store: ImageStore, everything: NDArray[np.int64], seed: int, groups: NDArray[np.int64] | None
) -> Splits:
    share = shares(len(everything))[0]
    is_test = _sealed(store, seed) if groups is None else _sealed_groups(store, seed, groups)
    if is_test is not None:
        rest, test = everything[~is_test], everything[is_test]
        try:
            validation, train = _validating(store, rest, share * len(everything) / len(rest), seed, groups)
            return Splits(train, validation, test)
        except DataError:
            pass  # possible with few groups only, which are then dealt out evenly
    assert groups is not None
    rng = np.random.default_rng([seed, _STREAM])
    test, validation, train = deal_groups(store, everything, (SEALED_SHARE, share), rng, groups)
    return Splits(train, validation, test)


def _places(names: Iterable[str], seed: int, draw: str = "") -> NDArray[np.float64]:
    """Where each name falls in [0, 1), by SHA-256: as if at random, and the same whatever other names there are."""
    salt = f"{_STREAM:x} {seed} {draw} ".encode()
    digests = b"".join(hashlib.sha256(salt + name.encode()).digest()[:8] for name in names)
    return (np.frombuffer(digests, ">u8") >> np.uint64(11)).astype(np.float64) / 2.0**53


def _sealed(store: ImageStore, seed: int) -> NDArray[np.bool_]:
    """(N,): whether each image is in the test. Decided class by class over images that show different things.

    A class of which no image falls under the share lends the one that falls lowest, and two are left to train and
    validate. An image whose copies are most of its class stays out.
    """
    scenes, units = np.unique(store.scenes, return_inverse=True)
    owners = duplicate_groups(store.scenes, store.labels)[1]
    place, sizes, is_sealed = _places(scenes.tolist(), seed), np.bincount(units), np.zeros(len(scenes), bool)
    for label in np.unique(owners):
        members = np.flatnonzero(owners == label)
        members = members[np.argsort(place[members], kind="stable")]
        small = members[2 * sizes[members] <= sizes[members].sum()]
        small = small if len(small) else members
        under = int((place[small] < SEALED_SHARE).sum())
        is_sealed[small[: max(1, min(under, len(members) - 2))]] = True
    sealed: NDArray[np.bool_] = is_sealed[units]
    return sealed


def _sealed_groups(store: ImageStore, seed: int, groups: NDArray[np.int64]) -> NDArray[np.bool_] | None:
    """The same for whole groups; None where that left a class without two groups to train and validate, or sealed most
    of a class: with so few groups they must be dealt out evenly."""
    copies, owners = duplicate_groups(store.hashes, store.labels)
    units = together(groups, copies)
    place = np.full(int(units.max()) + 1, np.inf)
    np.minimum.at(place, units, _places((str(group) for group in groups.tolist()), seed))
    table = np.zeros((len(place), len(store.classes)))
    np.add.at(table, (units, owners[copies]), 1.0)
    table = table[:, table.any(axis=0)]
    is_sealed = place < SEALED_SHARE
    for label in range(table.shape[1]):
        if not table[is_sealed, label].any():
            having = np.flatnonzero(table[:, label] > 0)
            is_sealed[having[place[having].argmin()]] = True
    left = (table[~is_sealed] > 0).sum(axis=0)
    if (left < 2).any() or (2 * table[is_sealed].sum(axis=0) > table.sum(axis=0)).any():
        return None
    sealed: NDArray[np.bool_] = is_sealed[units]
    return sealed


def _validating(
    store: ImageStore,
    inside: NDArray[np.int64],
    share: float,
    seed: int,
    groups: NDArray[np.int64] | None,
    draw: str = "",
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """`inside` cut in two, a share of each class to validate and the rest to train."""
    if groups is not None:
        rng = np.random.default_rng([seed, _STREAM, *draw.encode()])
        validation, train = deal_groups(store, inside, (share,), rng, groups[inside])
        return validation, train
    everywhere, all_units = np.unique(store.scenes, return_inverse=True)
    here, units = np.unique(all_units[inside], return_inverse=True)
    # whose a disputed image is follows from all images: from a part of them it could be another class's than before
    scenes, owners = everywhere[here], duplicate_groups(store.scenes, store.labels)[1][here]
    place, sizes, is_drawn = _places(scenes.tolist(), seed, draw), np.bincount(units), np.zeros(len(scenes), bool)
    for label in np.unique(owners):
        members = np.flatnonzero(owners == label)
        members = members[np.argsort(place[members], kind="stable")]
        room = max(1, round(share * int(sizes[members].sum())))
        for unit in members[:-1]:  # one is left to train
            if sizes[unit] <= room:
                is_drawn[unit] = True
                room -= int(sizes[unit])
        if not is_drawn[members].any() and len(members) > 1:
            is_drawn[members[sizes[members].argmin()]] = True
    return inside[is_drawn[units]], inside[~is_drawn[units]]
