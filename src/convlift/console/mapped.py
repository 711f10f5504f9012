"""Files that are mapped into memory, and which of their pages count as memory of this process."""

import mmap
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

T = TypeVar("T", bound=np.generic)


def let_go(array: NDArray[Any]) -> None:
    """Take what was read of a mapped file off this process's memory; it stays in the kernel's cache of files, from
    where it is mapped again when it is read again (madvise(2), MADV_DONTNEED).

    Else all of a map that is read through once counts as memory of this process: 48 KB an image of 128 pixels.
    array: a read-only map, or a view of one. Nothing happens to any other array, nor where the system knows no such
    advice.
    """
    whole: Any = array
    while isinstance(whole, np.ndarray) and isinstance(whole.base, np.ndarray):
        whole = whole.base
    is_map = isinstance(whole, np.ndarray) and isinstance(whole.base, mmap.mmap)
    # of a private map that may be written to, this would undo what was written
    if is_map and not whole.flags.writeable and hasattr(mmap, "MADV_DONTNEED"):
        whole.base.madvise(mmap.MADV_DONTNEED)


def taken(array: NDArray[T], rows: NDArray[np.int64] | slice) -> NDArray[T]:
    """A copy of some rows of an array, for which no page of a map stays behind."""
    found = np.array(array[rows], order="C", copy=True, subok=False)
    let_go(array)
    return found
