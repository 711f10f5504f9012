"""The error of a full or read-only disk: one sentence that names the disk, before or while something is written."""

import errno
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from convlift.errors import ConvliftError, DiskError

PLENTY = 20e9  # bytes
_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
_FAILING = (errno.EIO, errno.EROFS, errno.ESTALE)  # a disk that broke, turned read-only or went away with its network


@contextmanager
def writing_into(folder: Path) -> Iterator[None]:
    """Turn an OSError while something is written under `folder` into a DiskError that names it and its disk."""
    try:
        yield
    except OSError as error:
        raise refusal(folder, error) from error


def check_room(folder: Path, needed_bytes: float) -> None:
    """Fail before any time is spent where `needed_bytes` do not fit. Raises DiskError."""
    free = free_bytes(folder)
    if free is not None and free < needed_bytes:
        raise DiskError(
            f"{folder} needs about {_megabytes(needed_bytes)}, but the disk at {disk_of(folder)} has "
            f"{_megabytes(free)} free; free space there or name another folder with --out."
        )


def is_disks_fault(error: OSError) -> bool:
    """Whether the disk is full, read-only or broken, rather than the path wrong."""
    return error.errno in (*_FULL, *_FAILING)


def has_plenty(*folders: Path) -> bool:
    """Whether so much is free that nobody need count what a campaign takes."""
    return all(free is None or free >= PLENTY for free in map(free_bytes, folders))


def refusal_behind(error: BaseException) -> DiskError | None:
    """The DiskError that an exception is, or that it came of: a full or failing disk somewhere among its causes."""
    cause: BaseException | None = error
    while cause is not None:
        if isinstance(cause, DiskError):
            return cause
        if isinstance(cause, OSError) and cause.errno in (*_FULL, *_FAILING):
            # whoever knew what was being written has the better sentence
            if isinstance(error, ConvliftError):
                return DiskError(str(error))
            if cause.filename is None:
                reason = cause.strerror or str(cause)
                return DiskError(f"a disk cannot be written ({reason}); free space, then run the same command again.")
            return refusal(Path(os.fsdecode(cause.filename)).parent, cause)
        cause = cause.__cause__ or cause.__context__
    return None


def refusal(folder: Path, error: OSError) -> DiskError:
    """The sentence for a folder that cannot be written."""
    reason = error.strerror or str(error)
    if error.errno not in _FULL:
        return DiskError(f"{folder} cannot be written ({reason}); check its permissions or name another folder.")
    free = free_bytes(folder)
    left = "" if free is None else f", {_megabytes(free)} free"
    return DiskError(
        f"{folder} cannot be written: the disk at {disk_of(folder)} is full ({reason}{left}); free space there or "
        "name another folder."
    )


def free_bytes(folder: Path) -> int | None:
    """On the disk where the folder lies, or will lie; None where nobody can tell."""
    try:
        return shutil.disk_usage(_existing(folder)).free
    except OSError:
        return None


def disk_of(folder: Path) -> Path:
    """The mount point under which the folder lies, or will lie."""
    found = _existing(folder).resolve()
    while not os.path.ismount(found) and found != found.parent:
        found = found.parent
    return found


def _existing(folder: Path) -> Path:
    return next((path for path in (folder, *folder.absolute().parents) if path.exists()), Path("/"))


def _megabytes(count: float) -> str:
    return f"{count / 1e6:.0f} MB" if count >= 1e6 else f"{count / 1e3:.0f} kB"
