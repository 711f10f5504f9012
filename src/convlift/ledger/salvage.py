"""What is whole in a damaged ledger, copied into a new run folder; the damaged one is only read.

SQLite finds damage page by page, so each row is read by itself, and what comes back is checked by what the ledger
wrote beside it: the recipe's SHA-256, the checksum of the arrays, JSON that parses.
"""

import shutil
import sqlite3
from collections.abc import Iterator
from contextlib import closing, suppress
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, NamedTuple

from convlift.errors import LedgerError
from convlift.ledger.database import Database, open_to_write
from convlift.ledger.identity import refuse_version
from convlift.ledger.ledger import LEDGER_FILE, Ledger
from convlift.ledger.migrations import now
from convlift.ledger.trials import SELECT_TRIAL, from_json, trial_record

Row = dict[str, Any]
BESIDE = ("trials", "model", "log.txt")  # what else of a run folder is copied
HEADER_BYTES = 100  # https://sqlite.org/fileformat.html, section 1.3
MISSES = 1_000  # so many row numbers without a row, and there are no more


class Salvaged(NamedTuple):
    """What was saved into the new folder.

    trials: how many.
    ended: those with their outcome.
    lost: what was not saved, in words.
    """

    folder: Path
    trials: int
    ended: int
    lost: tuple[str, ...]


def salvage(folder: Path, out: Path) -> Salvaged:
    """Copy what is whole of a run folder's ledger into the new folder `out`, with the weights and the model beside it.

    A trial whose outcome is lost is kept as one that had not ended, so that the campaign runs it again with its seed.
    Raises LedgerError: no ledger there, `out` exists, nothing tells whose campaign it was, or it is of another version.
    """
    if not (folder / LEDGER_FILE).is_file():
        raise LedgerError(f"{folder} holds no {LEDGER_FILE}; give the folder of a run.")
    if out.exists():
        raise LedgerError(f"{out} exists already; name a new folder with --out.")
    with TemporaryDirectory() as place:
        rows, lost = _read_all(_copy(folder, Path(place)))
    if not rows["campaign"]:
        raise LedgerError(
            f"{folder / LEDGER_FILE} has lost which data and which recipe it was of, so nothing can be saved: "
            f"{'; '.join(lost) or 'it is empty'}."
        )
    refuse_version(_software(rows["campaign"][0]), folder)
    out.mkdir(parents=True)
    with closing(open_to_write(out / LEDGER_FILE)) as database:
        database.rows("PRAGMA synchronous = OFF")  # nobody but us knows the new file yet
        lost += _write_all(database, rows)
        database.rows("PRAGMA synchronous = FULL")
        if lost:
            _note(database, rows, lost)
        trials, ended = (database.rows(f"SELECT * FROM {table}") for table in ("trials", "outcomes"))
    for name in BESIDE:
        with suppress(FileNotFoundError):
            source = folder / name
            shutil.copytree(source, out / name) if source.is_dir() else shutil.copy2(source, out / name)
    return Salvaged(out, len(trials), len(ended), tuple(lost))


def _software(campaign: Row) -> object:
    """The version in the campaign's identity; None where that cannot be read."""
    try:
        identity = from_json(campaign["identity"])
    except (ValueError, TypeError):
        return None
    return identity.get("software") if isinstance(identity, dict) else None


def _copy(folder: Path, place: Path) -> Path:
    """The ledger and its write-ahead log elsewhere, so that nothing touches the damaged ones; with a header again."""
    for name in (LEDGER_FILE, f"{LEDGER_FILE}-wal"):
        if (folder / name).is_file():
            shutil.copyfile(folder / name, place / name)
    copy, fresh = place / LEDGER_FILE, place / "fresh.sqlite"
    with copy.open("r+b") as file:
        header, size = bytearray(file.read(HEADER_BYTES)), copy.stat().st_size
        if not header.startswith(b"SQLite format 3\0"):
            open_to_write(fresh).close()
            header = bytearray(fresh.read_bytes()[:HEADER_BYTES])
            header[32:40] = bytes(8)  # no list of free pages: a ledger deletes nothing
        page = int.from_bytes(header[16:18], "big")
        if (
            page >= 512 and int.from_bytes(header[28:32], "big") != size // page
        ):  # it ends too early, or is a new header
            header[28:32] = (size // page).to_bytes(4, "big")
        file.seek(0)
        file.write(header)
    return copy


def _read_all(path: Path) -> tuple[dict[str, list[Row]], list[str]]:
    """Every row of every table that can be read, and what could not be."""
    rows: dict[str, list[Row]] = {}
    lost: list[str] = []
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        connection.row_factory = sqlite3.Row
        connection.execute("PRAGMA trusted_schema = OFF")
        for table in ("campaign", "trials", "claims", "outcomes", "facts", "sessions"):
            found = list(_rows(connection, table)) if _is_table(connection, table) else [None]
            rows[table] = [row for row in found if row is not None]
            if missing := len(found) - len(rows[table]):
                lost.append(f"{missing} {'row' if missing == 1 else 'rows'} of {table}")
        lost += _lost_facts(connection, rows["facts"])
    return rows, lost


def _is_table(connection: sqlite3.Connection, name: str) -> bool:
    """Whether it is one, and no view of somebody else's, which might never end."""
    try:
        found = connection.execute("SELECT type FROM sqlite_master WHERE name = ?", (name,)).fetchall()
    except (sqlite3.DatabaseError, UnicodeDecodeError):  # a damaged name cannot even be looked up
        return False
    return [row["type"] for row in found] == ["table"]


def _rows(connection: sqlite3.Connection, table: str) -> Iterator[Row | None]:
    """The table's rows, one query each; None for one that is there and cannot be read, and for an unknown end."""
    number, misses, last = 0, 0, _last(connection, table)
    while number < last if last is not None else misses < MISSES:
        number += 1
        try:
            row = connection.execute(f"SELECT rowid, * FROM {table} WHERE rowid = ?", (number,)).fetchone()
        except (sqlite3.DatabaseError, MemoryError, UnicodeDecodeError):
            misses += 1
            if last is not None:
                yield None
            continue
        misses = 0 if row is not None else misses + 1
        if row is not None:
            yield dict(row)
        elif last is not None and table != "outcomes":  # else nothing is ever deleted, and every number was given
            yield None
    if last is None:
        yield None


def _last(connection: sqlite3.Connection, table: str) -> int | None:
    """The largest row number; None where even that cannot be read."""
    try:
        found = connection.execute(f"SELECT MAX(rowid) FROM {table}").fetchone()[0]
    except (sqlite3.DatabaseError, UnicodeDecodeError):  # a damaged name cannot even be looked up
        return None
    return min(int(found or 0), 10_000_000) if isinstance(found, int | None) else None


def _lost_facts(connection: sqlite3.Connection, whole: list[Row]) -> list[str]:
    """Names of facts that the index still knows."""
    known = {(row["key"], row["version"]) for row in whole}
    if not _is_table(connection, "facts"):
        return []
    try:
        found = connection.execute("SELECT key, version FROM facts INDEXED BY sqlite_autoindex_facts_1").fetchall()
    except (sqlite3.DatabaseError, UnicodeDecodeError):  # a damaged name cannot even be looked up
        return []
    return [f"the fact '{row['key']}'" for row in found if (row["key"], row["version"]) not in known]


def _write_all(database: Database, rows: dict[str, list[Row]]) -> list[str]:
    """Write what is whole, trial by trial; what is not, in words."""
    lost: list[str] = []
    outcomes = {row["trial"]: row for row in rows["outcomes"]}
    _insert(database, "campaign", rows["campaign"][0])
    for row in rows["trials"]:
        kept = _keep_trial(database, row, [claim for claim in rows["claims"] if claim["trial"] == row["id"]])
        if not kept:
            lost.append(f"trial {row['id']}")
        elif (outcome := outcomes.pop(row["id"], None)) and not _keep_outcome(database, outcome):
            lost.append(f"the outcome of trial {row['id']}")
    planned = {row["id"] for row in rows["trials"]}
    lost += [f"trial {trial}, whose outcome is whole" for trial in outcomes if trial not in planned]
    for row in rows["facts"]:
        try:
            from_json(row["value"])
            _insert(database, "facts", row)
        except (ValueError, TypeError, LedgerError):
            lost.append(f"the fact '{row['key']}'")
    for row in rows["sessions"]:
        with suppress(LedgerError):
            _insert(database, "sessions", row)
    return lost


def _keep_trial(database: Database, row: Row, claims: list[Row]) -> bool:
    """Write a trial as begun, where it is whole; whether it is."""
    try:
        with database.write():
            _insert(database, "trials", row)
            begun = {"trial": row["id"], "change": 1, "reason": "", "at": row["at"]}
            _insert(database, "claims", begun)
            for claim in [claim for claim in claims if claim["reason"]]:
                _insert(database, "claims", {name: claim[name] for name in claim if name != "id"})
            trial_record(database.rows(SELECT_TRIAL, row["id"])[0])
    except (LedgerError, sqlite3.Error, KeyError, UnicodeDecodeError):
        return False
    return True


def _keep_outcome(database: Database, row: Row) -> bool:
    try:
        with database.write():
            _insert(database, "outcomes", row)
            trial_record(database.rows(SELECT_TRIAL, row["trial"])[0])
    except (LedgerError, sqlite3.Error, UnicodeDecodeError):
        return False
    return True


def _insert(database: Database, table: str, row: Row) -> None:
    names = [name for name in row if name != "rowid"]
    query = f"INSERT INTO {table} ({', '.join(names)}) VALUES ({', '.join('?' * len(names))})"
    database.rows(query, *(row[name] for name in names))


def _note(database: Database, rows: dict[str, list[Row]], lost: list[str]) -> None:
    """Write down what was lost. Where a final run is there and what was frozen is not, the test counts as opened: it
    may have been, and no other recipe may be judged by it."""
    ledger = Ledger(database)
    ledger.record("salvaged", {"lost": lost, "at": now()})
    if any(row["role"] == "final" for row in rows["trials"]) and ledger.recall("freeze") is None:
        ledger.record("test opened", "unknown")
