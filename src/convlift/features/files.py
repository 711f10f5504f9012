"""Files of cached features: written once, whole or not at all, and shared by every process that maps them."""

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import Any, BinaryIO, Self

import numpy as np
from filelock import FileLock, Timeout
from numpy.typing import NDArray

from convlift.errors import ConvliftError

WAIT_SECONDS = 0.2


def open_features(path: Path) -> NDArray[Any] | None:
    """The array in a .npy file as a read-only memory map; None where there is none, or no whole one."""
    try:
        found: NDArray[Any] = np.load(path, mmap_mode="r", allow_pickle=False)
    except (OSError, ValueError, EOFError):
        return None
    return found


@contextmanager
def locked(path: Path, stop: Callable[[], bool]) -> Iterator[bool]:
    """Hold the lock file `path` (the kernel frees it if this process dies); False where `stop` became true first.

    Raises ConvliftError where the folder cannot be written.
    """
    lock = FileLock(path)
    held = False
    while not held and not stop():
        try:
            lock.acquire(timeout=WAIT_SECONDS)
            held = True
        except Timeout:
            continue
        except OSError as error:
            raise ConvliftError(f"cache folder {path.parent} cannot be written ({error}); name another one.") from error
    try:
        yield held
    finally:
        if held:
            lock.release()


class FeatureWriter:
    """A .npy file that grows by batches of rows and appears under its name only when complete.

    Owns the open file. Written with plain writes: a full disk is then an error, not the SIGBUS of a memory map.
    Only the holder of the lock may write, so the unfinished file has a fixed name, which the next holder overwrites.
    """

    def __init__(self, path: Path, rows: int) -> None:
        self._path = path
        self._partial = path.with_suffix(".partial")
        self._rows = rows
        self._written = 0
        self._file: BinaryIO | None = None

    def __enter__(self) -> Self:
        self._file = self._partial.open("wb")
        return self

    def append(self, rows: NDArray[Any]) -> None:
        """Write the next rows. Raises ConvliftError where the disk is full."""
        assert self._file is not None
        try:
            if not self._written:
                header = {
                    "descr": rows.dtype.str,
                    "fortran_order": False,
                    "shape": (self._rows, *rows.shape[1:]),
                }
                np.lib.format.write_array_header_1_0(self._file, header)
            self._file.write(np.ascontiguousarray(rows).data)
        except OSError as error:
            raise ConvliftError(
                f"{self._path} cannot be written ({error}); free space or name another cache folder."
            ) from error
        self._written += len(rows)

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        assert self._file is not None
        complete = kind is None and self._written == self._rows
        try:
            if complete:
                self._file.flush()
                os.fsync(self._file.fileno())
        finally:
            self._file.close()
        if complete:
            os.replace(self._partial, self._path)
        else:
            self._partial.unlink(missing_ok=True)
