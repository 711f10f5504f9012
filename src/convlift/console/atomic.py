"""Files and folders that appear on disk whole or not at all, whoever is killed while writing them."""

import contextlib
import os
import secrets
import shutil
import socket
from collections.abc import Callable, Iterator
from pathlib import Path

from convlift.console.disk import writing_into
from convlift.errors import ConvliftError


def temporary_beside(path: Path) -> Path:
    """A name beside `path` that tells who writes there, so that what a killed process left can be swept."""
    return path.with_name(f".{path.name}~{socket.gethostname()}~{os.getpid()}~{secrets.token_hex(4)}")


def flush(path: Path) -> None:
    """Have a file, or the names in a folder, survive a power cut from now on."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def write_text(path: Path, text: str) -> Path:
    """Write a text file, whole or not at all; its path. Raises DiskError."""
    beside = path.with_name(f".{path.name}.part")
    with writing_into(path.parent):
        beside.write_text(text, encoding="utf-8")
        os.replace(beside, path)
    return path


def publish(temporary: Path, folder: Path, is_whole: Callable[[Path], bool]) -> None:
    """Give a finished folder its name. Another process may have been first, or an old folder may be damaged."""
    for path in temporary.iterdir():  # before the folder gets its name, or a power cut could leave it half-written
        flush(path)
    try:
        os.replace(temporary, folder)
    except OSError:
        if is_whole(folder):
            return
        damaged = temporary_beside(folder)
        os.replace(folder, damaged)
        os.replace(temporary, folder)
        shutil.rmtree(damaged, ignore_errors=True)


def sweep(folder: Path) -> None:
    """Remove what processes of this machine that are no longer alive left unfinished under `folder`."""
    for path in [*folder.rglob(".*~*~*~*")]:
        _, host, pid, _ = path.name.rsplit("~", 3)
        if host != socket.gethostname() or not pid.isdecimal() or _is_alive(int(pid)):
            continue
        if path.is_dir():
            shutil.rmtree(path, ignore_errors=True)
        else:
            path.unlink(missing_ok=True)


def _is_alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except OSError:  # alive, but somebody else's
        return True
    return True


@contextlib.contextmanager
def writing_to(folder: Path) -> Iterator[None]:
    """Turn a full disk or a read-only folder into a ConvliftError that names it."""
    try:
        yield
    except OSError as error:
        reason = error.strerror or str(error)
        raise ConvliftError(
            f"cannot write images under {folder} ({reason}); free space or choose another folder."
        ) from error
