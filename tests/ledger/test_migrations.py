"""Migrations: in order, each once, each whole or not at all."""

import sqlite3
from collections.abc import Iterator

import pytest

from convlift.errors import LedgerError
from convlift.ledger.migrations import MIGRATIONS, Migration, migrate, schema_version


@pytest.fixture
def connection() -> Iterator[sqlite3.Connection]:
    made = sqlite3.connect(":memory:", isolation_level=None)
    yield made
    made.close()


def tables(connection: sqlite3.Connection) -> set[str]:
    return {row[0] for row in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")}


def test_each_is_applied_once(connection: sqlite3.Connection) -> None:
    migrate(connection)
    migrate(connection)
    names = [row[0] for row in connection.execute("SELECT name FROM migrations ORDER BY number")]
    assert names == [migration.name for migration in MIGRATIONS]


def test_a_later_one_keeps_what_is_there(connection: sqlite3.Connection) -> None:
    migrate(connection)
    connection.execute("INSERT INTO facts VALUES ('start', 1, '1', 'now')")
    later = (*MIGRATIONS, Migration("a column", ("ALTER TABLE trials ADD COLUMN note TEXT",)))
    migrate(connection, later)
    assert schema_version(connection) == len(later)
    assert connection.execute("SELECT value FROM facts").fetchone() == ("1",)


def test_one_that_fails_leaves_nothing_behind(connection: sqlite3.Connection) -> None:
    migrate(connection)
    before = tables(connection)
    broken = (*MIGRATIONS, Migration("broken", ("CREATE TABLE half (a)", "CREATE TABLE campaign (a)")))
    with pytest.raises(sqlite3.OperationalError, match="already exists"):
        migrate(connection, broken)
    assert tables(connection) == before
    assert schema_version(connection) == len(MIGRATIONS)


def test_a_newer_schema_is_refused(connection: sqlite3.Connection) -> None:
    migrate(connection, (*MIGRATIONS, Migration("the future", ())))
    with pytest.raises(LedgerError, match=r"schema 4; .* up to 3\. Install a newer convlift"):
        migrate(connection)
