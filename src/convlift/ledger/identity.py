"""Whose campaign a ledger holds: written down once, and compared by everybody who goes on with it."""

from pathlib import Path
from typing import Any

from convlift.errors import ConvliftError, LedgerError
from convlift.ledger.database import Database
from convlift.ledger.fingerprint import Identity, differences, to_json
from convlift.ledger.migrations import now
from convlift.ledger.trials import from_json
from convlift.recipe.recipe import parse_recipe
from convlift.records.software import software_version


def enter(database: Database, identity: Identity) -> None:
    """Begin the campaign in the ledger, or make sure that it is this one. Raises LedgerError with the differences."""
    document = identity.document()
    stored = _stored_identity(database)
    if stored is None:
        with database.write() as writer:
            writer.execute("INSERT INTO campaign VALUES (1, ?, ?)", (to_json(document), now()))
        return
    refuse_other_versions(database)
    changes = differences(stored, document)
    if changes:
        raise LedgerError(
            f"{database.path.parent} belongs to another campaign: {'; '.join(changes)}. Run the command that began "
            "it, or name another folder with --out."
        )


def _stored_identity(database: Database) -> dict[str, Any] | None:
    rows = database.rows("SELECT identity FROM campaign")
    if not rows:
        return None
    try:
        found = from_json(rows[0]["identity"])
    except (ValueError, TypeError):
        found = None
    if not isinstance(found, dict):
        raise LedgerError(f"the campaign in {database.path.parent} cannot be read; see `convlift salvage`.")
    return found


def refuse_other_versions(database: Database) -> None:
    """Raise LedgerError where the ledger was begun by a convlift that wrote other records."""
    refuse_version((_stored_identity(database) or {}).get("software"), database.path.parent)


def refuse_version(software: object, folder: Path) -> None:
    """Raise LedgerError where a run folder is of another major or minor version; before 1.0 a minor one may change
    anything (semver.org). software: the version, as its identity has it."""
    known, ours = str(software or ""), software_version()
    if known and known.split(".")[:2] != ours.split(".")[:2]:
        raise LedgerError(
            f"{folder} was made by convlift {known}, and convlift {ours} cannot read it; use that "
            "version, or run the campaign again in another folder."
        )


def identity_in(database: Database) -> Identity:
    """The identity of the ledger's campaign. Raises LedgerError where it never began or cannot be read."""
    folder, document = database.path.parent, _stored_identity(database)
    if document is None:
        raise LedgerError(f"{folder} holds a campaign that never began; start it again.")
    try:
        baseline = parse_recipe(document.pop("baseline"), where=f"baseline of {folder}")
        return Identity(baseline=baseline, **document)
    except (KeyError, TypeError, ConvliftError) as error:
        raise LedgerError(f"the campaign in {folder} cannot be read ({error}); see `convlift salvage`.") from error
