"""The folds of a nested cross-validation: every image is tested once, and nothing that belongs together is cut."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from test_splits import store_of

from convlift.data.splits import SHIPPED_VALIDATION, Fold, fold_numbers, make_splits
from convlift.errors import DataError


@settings(deadline=None, max_examples=40)
@given(sizes=st.lists(st.integers(10, 40), min_size=2, max_size=4), of=st.integers(2, 10), seed=st.integers(0, 9))
def test_every_image_is_tested_once_and_folds_are_even_in_every_class(sizes: list[int], of: int, seed: int) -> None:
    labels = [label for label, size in enumerate(sizes) for _ in range(size)]
    store = store_of(labels)
    numbers = fold_numbers(store, seed, of)
    for label, size in enumerate(sizes):
        counts = np.bincount(numbers[store.labels == label], minlength=of + 1)[1:]
        assert {*counts.tolist()} <= {size // of, size // of + 1}
    totals = np.bincount(numbers, minlength=of + 1)[1:]
    assert totals.max() - totals.min() <= 1
    tested = np.concatenate([make_splits(store, seed, None, Fold(k, of)).test for k in range(1, of + 1)])
    assert sorted(tested.tolist()) == list(range(len(labels)))


def test_a_fold_is_split_as_usual_around_its_test() -> None:
    store = store_of([0, 1] * 60)
    for number in range(1, 4):
        splits = make_splits(store, 5, None, Fold(number, 3))
        together = np.concatenate([splits.train, splits.validation, splits.test])
        assert sorted(together.tolist()) == list(range(120))
        assert [len(splits.test), len(splits.validation)] == [40, 16]
        again = make_splits(store, 5, None, Fold(number, 3))
        assert np.array_equal(splits.train, again.train)


def test_what_ships_is_trained_on_all_but_a_small_validation_part() -> None:
    splits = make_splits(store_of([0, 1] * 60), 5, None, Fold(0, 3))
    assert len(splits.test) == 0
    assert len(splits.validation) == SHIPPED_VALIDATION * 120
    assert len(splits.train) + len(splits.validation) == 120


def test_copies_are_in_one_fold() -> None:
    hashes = [str(i // 3) for i in range(90)]
    numbers = fold_numbers(store_of([int(h) % 2 for h in hashes], hashes), 0, 5)
    assert all(len({*numbers[3 * i : 3 * i + 3].tolist()}) == 1 for i in range(30))


def test_no_group_is_cut() -> None:
    labels, groups = [0, 1] * 100, np.arange(200) // 8
    numbers = fold_numbers(store_of(labels), 0, 4, groups)
    assert {*numbers.tolist()} == {1, 2, 3, 4}
    assert all(len({*numbers[groups == group].tolist()}) == 1 for group in range(25))
    splits = make_splits(store_of(labels), 0, groups, Fold(2, 4))
    parts = [{*groups[part].tolist()} for part in (splits.train, splits.validation, splits.test)]
    assert sum(map(len, parts)) == len(set.union(*parts)) == 25


def test_too_few_images_of_a_class_are_said_before_any_training() -> None:
    store = store_of([0] * 30 + [1] * 4)
    with pytest.raises(DataError, match=r"class '1' of made has 4 distinct images; 5 folds need at least 5"):
        fold_numbers(store, 0, 5)
    assert len(fold_numbers(store, 0, 4)) == 34
    with pytest.raises(DataError, match=r"2 folds need at least 4 of every class"):
        fold_numbers(store_of([0] * 30 + [1] * 3), 0, 2)


def test_a_fold_says_what_it_is() -> None:
    assert [str(Fold(2, 5)), str(Fold(0, 5))] == ["fold 2 of 5", "no fold of 5"]
