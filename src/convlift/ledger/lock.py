"""One process per run folder: a lock that the kernel releases when its owner dies, however it dies."""

import errno
import fcntl
import os
import socket
from pathlib import Path

from convlift.errors import LedgerError


def acquire(folder: Path) -> int:
    """Lock the run folder for this process; the file descriptor to give to `release`.

    Raises LedgerError naming the process that holds the folder, or why the folder cannot be written.
    """
    path = folder / "lock"
    try:
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o644)  # not inherited by child processes
    except OSError as error:
        raise LedgerError(f"{folder} cannot be written ({error.strerror}); name another folder with --out.") from error
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        # the file's text only tells whom to wait for; whether the lock is held, the kernel alone knows
        holder = os.pread(descriptor, 200, 0).decode(errors="replace") or "another process"
        os.close(descriptor)
        if error.errno not in (errno.EACCES, errno.EAGAIN):
            raise LedgerError(f"{path} cannot be locked ({error.strerror}); put the run on a local disk.") from error
        raise LedgerError(
            f"{folder} is held by {holder}; wait until it has ended or name another folder with --out."
        ) from None
    os.ftruncate(descriptor, 0)
    os.pwrite(descriptor, f"pid {os.getpid()} on host {socket.gethostname()}".encode(), 0)
    return descriptor


def release(descriptor: int) -> None:
    """Give the run folder back."""
    os.ftruncate(descriptor, 0)
    os.close(descriptor)
