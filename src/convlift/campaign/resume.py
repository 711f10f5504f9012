"""What the same command does in a folder where a campaign lies already: go on, read it, or refuse."""

import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from convlift.campaign.request import Request
from convlift.console.duration import format_duration
from convlift.errors import LedgerError
from convlift.ledger.ledger import LEDGER_FILE, read_ledger
from convlift.records.result import Result


def check_measure(folder: Path, earlier: Mapping[str, Any], request: Request) -> None:
    """Refuse to go on by time with what is counted in trainings, or the other way round: what was drawn from what would
    no longer be the same on every machine. Raises LedgerError."""
    counted = earlier.get("trainings", 0)
    if not earlier or (not counted and not request.trainings) or counted == request.trainings:
        return
    began = f"--trainings {counted}" if counted else f"--budget {format_duration(earlier['budget_seconds'])}"
    asked = f"--trainings {request.trainings}" if request.trainings else "--budget"
    raise LedgerError(
        f"the campaign in {folder} was begun with {began}, and its length is not changed to {asked}; give {began} "
        "again, or name another folder with --out."
    )


def goes_on(result: Result, earlier: Mapping[str, Any], request: Request) -> bool:
    """Whether a campaign that ended with its test still sealed is given more time."""
    return not result.judged and _is_longer(earlier, request)


def is_budget_unused(result: Result, earlier: Mapping[str, Any], request: Request) -> bool:
    """Whether a longer budget changes nothing, since the sealed test was opened."""
    return result.judged and _is_longer(earlier, request)


def _is_longer(earlier: Mapping[str, Any], request: Request) -> bool:
    return not request.trainings and request.budget_seconds > (earlier.get("budget_seconds") or 0.0)


def has_trained(folder: Path) -> bool:
    """Whether there is something to continue from, or to look into."""
    try:
        with read_ledger(folder) as ledger:
            return any(record.has_trained for record in ledger.trials())
    except LedgerError:
        return False


def forget(folder: Path, *, whole: bool) -> None:
    """Remove a campaign that trained nothing; of a folder that was there before, its ledger alone."""
    if whole:
        shutil.rmtree(folder, ignore_errors=True)
    for file in folder.glob(f"{LEDGER_FILE}*"):
        file.unlink(missing_ok=True)
