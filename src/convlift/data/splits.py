"""Which images are trained on, which choose, and which judge: train, validation, and the sealed test."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from convlift.data.findings import duplicate_groups
from convlift.data.store import ImageStore
from convlift.errors import LedgerError

CARVED_VALIDATION = 0.15  # of the official training part, where there is no official validation part

_STREAM = 0x5EA1  # sets these draws apart from the same seed's other uses


@dataclass(frozen=True, eq=False)
class Splits:
    """Indices into the store, int64, each sorted; together every image exactly once."""

    train: NDArray[np.int64]
    validation: NDArray[np.int64]
    test: NDArray[np.int64]


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


def make_splits(store: ImageStore, seed: int) -> Splits:
    """Honour official splits, and make what is missing: stratified by class, copies of an image kept together.

    With an official test but no validation part, 15% of the training part validates. Every class that has images to
    split gets at least one in each part. The same store and seed give the same splits.
    """
    rng = np.random.default_rng([seed, _STREAM])
    everything = np.arange(len(store.labels), dtype=np.int64)
    if not (store.official != "").any():
        validation, test = shares(len(everything))
        parts = _stratified(store, everything, (test, validation), rng)
        return Splits(train=parts[2], validation=parts[1], test=parts[0])
    train, validated, tested = (everything[store.official == part] for part in ("train", "validation", "test"))
    if not len(validated):
        validated, train = _stratified(store, train, (CARVED_VALIDATION,), rng)
    return Splits(train, validated, tested)


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
