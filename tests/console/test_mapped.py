"""What was read of a map does not stay in this process's memory, and is the same when it is read again."""

import mmap

import numpy as np
import pytest

from convlift.console.mapped import let_go, taken
from resident_pages import needs_proc, resident

COUNT = 64  # rows of a page of 4 KB each


@pytest.fixture
def stored(tmp_path):
    values = np.random.default_rng(0).integers(0, 256, (COUNT, 4096), np.uint8)
    np.save(tmp_path / "values.npy", values)
    return tmp_path / "values.npy", values


@needs_proc
def test_what_was_read_of_a_map_is_let_go(stored):
    path, values = stored
    array = np.load(path, mmap_mode="r")
    assert np.array_equal(array[::-1], values[::-1])
    assert resident(path) >= 4 * COUNT
    let_go(np.asarray(array)[3:])  # a view of it
    assert resident(path) == 0
    assert np.array_equal(taken(array, np.array([5, 1])), values[[5, 1]])
    assert np.array_equal(taken(array, slice(2, 4)), values[2:4])
    assert resident(path) == 0


def test_what_was_taken_is_a_copy(stored):
    path, values = stored
    for array in (np.load(path, mmap_mode="r"), values):
        found = taken(array, slice(0, COUNT))
        assert type(found) is np.ndarray
        assert not np.shares_memory(found, array)
        assert np.array_equal(found, values)


def test_what_was_written_is_not_undone(stored):
    path, values = stored
    own = np.load(path, mmap_mode="c")
    own[:] = 7
    let_go(own)
    let_go(values)
    assert (own == 7).all()
    assert isinstance(own.base, mmap.mmap)
