"""The ledger's tables, as an ordered tuple of migrations; each is applied once, in one transaction."""

import sqlite3
from dataclasses import dataclass
from datetime import UTC, datetime

from convlift.errors import LedgerError


@dataclass(frozen=True)
class Migration:
    """One step of the schema; its number is its place in MIGRATIONS, counted from 1, and never changes."""

    name: str
    statements: tuple[str, ...]


def append_only(table: str) -> tuple[str, ...]:
    """Triggers that refuse to change or delete a row: what was once recorded stays."""
    return tuple(
        f"CREATE TRIGGER {table}_no_{verb} BEFORE {verb} ON {table} "
        f"BEGIN SELECT RAISE(ABORT, '{table} is append-only'); END"
        for verb in ("UPDATE", "DELETE")
    )


MIGRATIONS: tuple[Migration, ...] = (
    Migration(
        "first tables",
        (
            """CREATE TABLE campaign (
                id INTEGER PRIMARY KEY CHECK (id = 1),
                identity TEXT NOT NULL,      -- JSON
                at TEXT NOT NULL)""",
            """CREATE TABLE trials (
                id INTEGER PRIMARY KEY,
                role TEXT NOT NULL,
                number INTEGER NOT NULL,     -- within its role, from 1
                recipe TEXT NOT NULL,        -- JSON
                fingerprint TEXT NOT NULL,
                names TEXT NOT NULL,         -- JSON list: the candidates that are on
                seed INTEGER NOT NULL,
                fidelity REAL NOT NULL,
                at TEXT NOT NULL,
                UNIQUE (role, number))""",
            """CREATE TABLE claims (
                id INTEGER PRIMARY KEY,
                trial INTEGER NOT NULL REFERENCES trials (id),
                change INTEGER NOT NULL CHECK (change IN (1, -1)),  -- an attempt begun; one given back unharmed
                reason TEXT NOT NULL,
                at TEXT NOT NULL)""",
            "CREATE INDEX claims_of_trial ON claims (trial)",
            """CREATE TABLE outcomes (
                trial INTEGER PRIMARY KEY REFERENCES trials (id),
                status TEXT NOT NULL CHECK (status IN ('finished', 'diverged', 'stopped', 'failed')),
                reason TEXT NOT NULL,
                seconds REAL NOT NULL,
                validation BLOB NOT NULL,    -- zlib of an npy file: float32 probabilities
                test BLOB NOT NULL,
                curve TEXT NOT NULL,         -- JSON list of epoch reports
                weights TEXT NOT NULL,
                at TEXT NOT NULL)""",
            """CREATE TABLE facts (
                key TEXT NOT NULL,
                version INTEGER NOT NULL,
                value TEXT NOT NULL,         -- JSON
                at TEXT NOT NULL,
                PRIMARY KEY (key, version))""",
            # the one table whose rows change: each process keeps the seconds that it has used up to date
            """CREATE TABLE sessions (
                id INTEGER PRIMARY KEY,
                pid INTEGER NOT NULL,
                host TEXT NOT NULL,
                seconds REAL NOT NULL,
                at TEXT NOT NULL)""",
            *append_only("campaign"),
            *append_only("trials"),
            *append_only("claims"),
            *append_only("outcomes"),
            *append_only("facts"),
        ),
    ),
    Migration(
        "whose fault an attempt's end was",
        ("ALTER TABLE claims ADD COLUMN cause TEXT NOT NULL DEFAULT 'itself'",),  # itself, outside or memory
    ),
    Migration(
        "what networks make of corrupted validation images",
        ("ALTER TABLE outcomes ADD COLUMN shifted BLOB",),  # as validation; NULL where the campaign asks for none
    ),
)


def migrate(connection: sqlite3.Connection, migrations: tuple[Migration, ...] = MIGRATIONS) -> None:
    """Bring the schema up to date; the connection is in autocommit mode.

    Raises LedgerError where the file was written by a newer convlift.
    """
    connection.execute(
        "CREATE TABLE IF NOT EXISTS migrations (number INTEGER PRIMARY KEY, name TEXT NOT NULL, at TEXT NOT NULL)"
    )
    done = schema_version(connection)
    if done > len(migrations):
        raise newer(done, migrations)
    for number, migration in enumerate(migrations[done:], start=done + 1):
        connection.execute("BEGIN EXCLUSIVE")
        try:
            for statement in migration.statements:
                connection.execute(statement)
            connection.execute("INSERT INTO migrations VALUES (?, ?, ?)", (number, migration.name, now()))
        except BaseException:
            connection.rollback()
            raise
        connection.commit()


def newer(found: int, migrations: tuple[Migration, ...]) -> LedgerError:
    """The error for a ledger from the future."""
    return LedgerError(
        f"the ledger has schema {found}; this convlift reads schemas up to {len(migrations)}. Install a newer convlift."
    )


def schema_version(connection: sqlite3.Connection) -> int:
    """How many migrations the file has seen."""
    row = connection.execute("SELECT COALESCE(MAX(number), 0) FROM migrations").fetchone()
    return int(row[0])


def now() -> str:
    """The wall clock in ISO 8601, UTC: for people to read; nothing is ever ordered or measured by it."""
    return datetime.now(UTC).isoformat(timespec="milliseconds")
