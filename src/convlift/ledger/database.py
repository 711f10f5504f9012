"""The SQLite file under the ledger: opened with care, written in transactions, its faults told in words."""

import os
import sqlite3
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from convlift.console.atomic import flush
from convlift.errors import DiskError, LedgerError
from convlift.ledger.migrations import MIGRATIONS, migrate, newer, schema_version
from convlift.ledger.trials import MOST_BYTES

TABLES = ("campaign", "trials", "claims", "outcomes", "facts", "sessions")


class Database:
    """Owns one connection; threads of this process take turns at it. Made by `open_to_write` and `open_to_read`."""

    def __init__(self, path: Path, connection: sqlite3.Connection) -> None:
        self.path = path
        self._connection = connection
        self._turn = threading.RLock()

    @contextmanager
    def write(self) -> Iterator[sqlite3.Connection]:
        """One transaction: everything that the block wrote, or nothing. Raises DiskError where the disk refuses."""
        with self._turn, _in_words(self.path):
            self._connection.execute("BEGIN IMMEDIATE")
            try:
                yield self._connection
                self._connection.commit()
            finally:
                if self._connection.in_transaction:
                    self._connection.rollback()

    def rows(self, query: str, *values: Any) -> list[sqlite3.Row]:
        """All rows of a query."""
        with self._turn, _in_words(self.path):
            return self._connection.execute(query, values).fetchall()

    def close(self) -> None:
        """Let go of the file."""
        with self._turn:
            self._connection.close()


def open_to_write(path: Path) -> Database:
    """Make or open the file, checked, with its schema up to date; the caller holds the run folder's lock.

    Raises LedgerError: damaged (left untouched), newer schema, not writable.
    """
    if path.exists():
        open_to_read(path).close()  # looks for damage before anything could be written
    with _in_words(path):
        connection = _connect(f"{path.absolute().as_uri()}?mode=rwc")
        try:
            # WAL: `convlift report` reads while the campaign writes. FULL: a trial that was called finished survives
            # a power cut; one flush costs milliseconds, and trials end at most a few times a second.
            connection.execute("PRAGMA journal_mode = WAL")
            connection.execute("PRAGMA synchronous = FULL")
            connection.execute("PRAGMA foreign_keys = ON")
            migrate(connection)
            flush(path.parent)  # the file's name must survive a power cut, too
        except BaseException:
            connection.close()
            raise
    return Database(path, connection)


def open_to_read(path: Path) -> Database:
    """Open an existing file without writing to it. Raises LedgerError where it is damaged or cannot be read."""
    # a finished run on a read-only disk has no write-ahead log, and SQLite could not make one
    frozen = not os.access(path.parent, os.W_OK) and not path.with_name(f"{path.name}-wal").exists()
    with _in_words(path):
        connection = _connect(f"{path.absolute().as_uri()}?mode=ro{'&immutable=1' if frozen else ''}")
        try:
            fault = connection.execute("PRAGMA quick_check(1)").fetchone()[0]
            if fault != "ok":
                raise _damaged(path, fault)
            _check_tables(path, connection)
        except BaseException:
            connection.close()
            raise
    return Database(path, connection)


def _connect(uri: str) -> sqlite3.Connection:
    # autocommit: transactions begin where `write` begins them
    connection = sqlite3.connect(uri, uri=True, isolation_level=None, check_same_thread=False, timeout=10)
    connection.row_factory = sqlite3.Row
    # somebody else's file may hold triggers and views that do what no ledger does, and values of any size
    connection.execute("PRAGMA trusted_schema = OFF")
    connection.setlimit(sqlite3.SQLITE_LIMIT_LENGTH, MOST_BYTES)
    return connection


def _check_tables(path: Path, connection: sqlite3.Connection) -> None:
    """Raise LedgerError for a file whose tables are not a ledger's. One that was hardly begun has fewer, or none."""
    kinds = dict(connection.execute("SELECT name, type FROM sqlite_master WHERE type IN ('table', 'view')"))
    if not kinds:
        return
    if kinds.get("migrations") != "table" or any(kinds.get(name, "table") != "table" for name in TABLES):
        raise LedgerError(f"{path} is no ledger of convlift; give the folder of a run.")
    if (found := schema_version(connection)) > len(MIGRATIONS):
        raise newer(found, MIGRATIONS)


@contextmanager
def _in_words(path: Path) -> Iterator[None]:
    try:
        yield
    except sqlite3.OperationalError as error:
        code = getattr(error, "sqlite_errorcode", sqlite3.SQLITE_CORRUPT) & 0xFF  # none for text that is no UTF-8
        if code in (sqlite3.SQLITE_ERROR, sqlite3.SQLITE_CORRUPT):  # a table or a column is not there
            raise _damaged(path, str(error)) from error
        if code in (sqlite3.SQLITE_FULL, sqlite3.SQLITE_IOERR):
            raise DiskError(
                f"{path} cannot be written or read ({error}); check the disk and free space on it, then run the same "
                "command again: it goes on."
            ) from error
        raise LedgerError(
            f"{path} cannot be used ({error}); check the disk's free space and the file's permissions, "
            "then run the same command again."
        ) from error
    except (sqlite3.DatabaseError, MemoryError, UnicodeDecodeError) as error:
        raise _damaged(path, str(error) or "a value larger than any") from error


def _damaged(path: Path, fault: str) -> LedgerError:
    return LedgerError(
        f"{path} is damaged ({' '.join(fault.split())}); it was left as it is. "
        "Restore a copy, or save what is whole into a new run folder with `convlift salvage`."
    )
