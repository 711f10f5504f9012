"""Who trains, who chooses, who judges; and that the judge stays sealed."""

import pickle
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from convlift.audit.findings import check_classes, duplicate_groups
from convlift.data.dataset import Dataset
from convlift.data.sealed import SealedLabels, seal
from convlift.data.splits import Splits, fold_numbers, make_splits, shares
from convlift.data.store import ImageStore
from convlift.errors import DataError, LedgerError


def store_of(labels: list[int], hashes: list[str] | None = None, official: list[str] | None = None) -> ImageStore:
    """A store without pixels: splitting looks at labels, hashes and official splits alone."""
    n = len(labels)
    return ImageStore(
        name="made",
        classes=tuple(str(k) for k in range(max(labels) + 1)),
        keys=tuple(str(i) for i in range(n)),
        labels=np.array(labels, np.int64),
        official=np.array(official or [""] * n, dtype="U10"),
        hashes=np.array(hashes or [str(i) for i in range(n)]),
        channels=1,
        native_resolution=8,
        findings=(),
        fingerprint="",
        folder=Path(),
        shapes=np.ones((n, 3), np.int64),
    )


def test_near_copies_stay_in_one_part_and_nothing_else_moves() -> None:
    alone = store_of([row % 3 for row in range(300)])
    scenes = alone.hashes.copy()
    for row in range(0, 90, 9):  # three of each, of one class
        scenes[[row, row + 3, row + 6]] = alone.hashes[row]
    together = replace(alone, scenes=scenes)
    assert np.array_equal(replace(alone, scenes=alone.hashes.copy()).scenes, alone.scenes)
    for seed in range(3):
        found, before = make_splits(together, seed), make_splits(alone, seed)
        part, old = np.zeros(300, int), np.zeros(300, int)
        for number, (rows, old_rows) in enumerate(zip(parts(found), parts(before), strict=True)):
            part[rows], old[old_rows] = number, number
        for row in range(0, 90, 9):
            assert len(set(part[[row, row + 3, row + 6]].tolist())) == 1
        free = np.setdiff1d(np.arange(300), np.arange(0, 90, 3))
        assert ((part == 2) == (old == 2))[free].all()  # the sealed stay sealed
        folds = fold_numbers(together, seed, 5)
        assert all(len(set(folds[[row, row + 3, row + 6]].tolist())) == 1 for row in range(0, 90, 9))


def parts(splits: Splits) -> list[np.ndarray]:
    return [splits.train, splits.validation, splits.test]


def test_a_quarter_is_sealed_and_validation_aims_at_400_images() -> None:
    assert shares(1797) == (0.20, 0.25)
    assert shares(2400) == (pytest.approx(400 / 2400), 0.25)
    assert shares(4317) == (0.15, 0.25)
    assert shares(20) == (0.20, 0.25)


def test_strata_have_the_shares_of_the_whole() -> None:
    store = store_of([0] * 900 + [1] * 90 + [2] * 10)
    splits = make_splits(store, 0)
    # validation to the image, the test as a hash falls: within three standard deviations
    assert np.bincount(store.labels[splits.validation]).tolist() == [180, 18, 2]
    sealed = np.bincount(store.labels[splits.test])
    for count, size in zip(sealed, (900, 90, 10), strict=True):
        assert abs(count - 0.25 * size) <= 3 * (0.25 * 0.75 * size) ** 0.5
    assert splits.train.dtype == np.int64


def test_the_seed_decides() -> None:
    store = store_of([0, 1] * 50)
    same, again, other = make_splits(store, 1), make_splits(store, 1), make_splits(store, 2)
    assert all(np.array_equal(a, b) for a, b in zip(parts(same), parts(again), strict=True))
    assert not np.array_equal(same.test, other.test)


@settings(max_examples=60, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 3), st.integers(0, 30)), min_size=6, max_size=80), st.integers(0, 5))
def test_splits_are_whole_never_cut_copies_and_give_every_class_a_place(rows: list[tuple[int, int]], seed: int) -> None:
    labels, hashes = [label for label, _ in rows], [str(image) for _, image in rows]
    store = store_of(labels, hashes)
    try:
        check_classes("made", store.classes, store.labels, store.official, store.hashes)
    except DataError:
        return
    splits = make_splits(store, seed)
    assert sorted(np.concatenate(parts(splits)).tolist()) == list(range(len(rows)))
    groups, owners = duplicate_groups(store.hashes, store.labels)
    seen = [set(groups[part].tolist()) for part in parts(splits)]
    assert sum(map(len, seen)) == len(owners)  # no group lies in two parts
    for part in seen:
        assert {owners[group] for group in part} == set(labels)


def test_a_large_group_does_not_flood_the_test() -> None:
    store = store_of([0] * 40 + [1] * 20, ["same"] * 30 + [str(i) for i in range(30)])
    for seed in range(10):
        splits = make_splits(store, seed)
        assert set(range(30)) <= set(splits.train.tolist())
        assert len(splits.test) > 0
        assert len(splits.validation) > 0


def test_a_disputed_image_belongs_to_most_then_to_the_rarer_class() -> None:
    _, owners = duplicate_groups(np.array(list("xxxyyz")), np.array([0, 0, 1, 0, 1, 0]))
    assert owners.tolist() == [0, 1, 0]


def test_official_splits_are_honoured() -> None:
    official = ["train"] * 6 + ["validation"] * 2 + ["test"] * 2
    splits = make_splits(store_of([0, 1] * 5, official=official), 0)
    assert [part.tolist() for part in parts(splits)] == [[0, 1, 2, 3, 4, 5], [6, 7], [8, 9]]


def test_missing_validation_is_carved_out_of_train() -> None:
    store = store_of([0] * 100 + [1] * 4 + [0, 1], official=["train"] * 104 + ["test"] * 2)
    splits = make_splits(store, 0)
    assert splits.test.tolist() == [104, 105]
    assert np.bincount(store.labels[splits.validation]).tolist() == [15, 1]
    assert not set(splits.validation) & set(splits.train)
    assert len(splits.validation) + len(splits.train) == 104


def test_test_labels_are_sealed_in_the_data_set_and_its_store() -> None:
    store = store_of([0, 1] * 20)
    splits = make_splits(store, 0)
    dataset, sealed = seal(store, splits)
    for labels in (dataset.labels, dataset.store.labels, pickle.loads(pickle.dumps(dataset)).labels):
        assert (labels[splits.test] == -1).all()
        assert np.array_equal(labels[splits.train], store.labels[splits.train])
    assert (store.labels >= 0).all()
    assert (Dataset(store, splits).labels[splits.test] == -1).all()
    assert (dataset.name, dataset.classes, dataset.channels) == ("made", ("0", "1"), 1)
    assert np.array_equal(sealed.open(), store.labels[splits.test])


def test_the_seal_breaks_once() -> None:
    labels = np.array([1, 0, 1])
    sealed = SealedLabels(labels)
    labels[:] = 5  # what the caller does to its array is no business of the seal
    assert sealed.open().tolist() == [1, 0, 1]
    with pytest.raises(LedgerError, match="opened already"):
        sealed.open()
