"""The facts of a campaign: a JSON value under a key, of which every version is kept."""

from typing import Any

from convlift.errors import LedgerError
from convlift.ledger.database import Database
from convlift.ledger.fingerprint import to_json
from convlift.ledger.migrations import now
from convlift.ledger.trials import from_json

UNSETTLED = "null"  # the value of a fact that is open again


def write_fact(database: Database, key: str, value: Any, *, replace: bool) -> None:
    """Append a value, unless it is the newest already. Raises LedgerError where another one is settled, without
    `replace`."""
    text = to_json(value)
    newest = "SELECT version, value FROM facts WHERE key = ? ORDER BY version DESC LIMIT 1"
    with database.write() as writer:
        row = writer.execute(newest, (key,)).fetchone()
        if row is not None and row["value"] == text:
            return
        if row is not None and row["value"] != UNSETTLED and not replace:
            raise LedgerError(f"'{key}' is already recorded with another value; a fact is written once.")
        version = 1 if row is None else row["version"] + 1
        writer.execute("INSERT INTO facts VALUES (?, ?, ?, ?)", (key, version, text, now()))


def fact_history(database: Database, key: str) -> tuple[tuple[str, Any], ...]:
    """Every value that a fact has had, oldest first, with its time."""
    rows = database.rows("SELECT at, value FROM facts WHERE key = ? ORDER BY version", key)
    return tuple((row["at"], _value(database, key, row["value"])) for row in rows)


def _value(database: Database, key: str, text: Any) -> Any:
    try:
        return from_json(text)
    except (ValueError, TypeError) as error:
        raise LedgerError(
            f"'{key}' in the ledger of {database.path.parent} is damaged; see `convlift salvage`."
        ) from error
