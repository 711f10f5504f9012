"""What a campaign ends with, in its ledger: the result, and the story that its page is made of."""

from dataclasses import asdict
from typing import Any

from convlift.errors import LedgerError
from convlift.ledger.ledger import Ledger
from convlift.records.result import Result
from convlift.search.decisions import RESULT, STORY, adapter_of


def story(ledger: Ledger) -> dict[str, Any] | None:
    """What the page needs and the trials do not hold; None where nothing was judged or handed over yet."""
    found: dict[str, Any] | None = ledger.recall(STORY)
    return found


def note_story(ledger: Ledger, told: dict[str, Any]) -> None:
    """Write the story down, also over another one."""
    ledger.record(STORY, told, replace=True)


def result_so_far(ledger: Ledger) -> Result | None:
    """The result of a campaign that has ended; None of one that has not. Raises ValueError for nonsense."""
    found = ledger.recall(RESULT)
    return None if found is None else adapter_of(Result).validate_python(found)


def result_of(ledger: Ledger) -> Result:
    """The result of a finished campaign. Raises LedgerError where it is not finished."""
    found = result_so_far(ledger)
    if found is None:
        raise LedgerError(f"{ledger.folder} holds a campaign that is not finished; run improve again to continue it.")
    return found


def note_result(ledger: Ledger, found: Result, *, replace: bool = True) -> None:
    """Write the result down. Raises LedgerError where another one is there that is not to be replaced."""
    ledger.record(RESULT, asdict(found), replace=replace)
