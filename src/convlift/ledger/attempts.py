"""Attempts of trials that ended without an outcome: whose fault each was, and when it is not tried again."""

import sqlite3
from collections import Counter
from typing import NamedTuple

from convlift.ledger.database import Database
from convlift.ledger.migrations import now
from convlift.ledger.trials import CAMPAIGN_ENDED
from convlift.records.outcome import Cause

MAX_CRASHES = 3  # a trial that takes its process down three times is at fault itself
MAX_KILLS = 50  # by others: far above bad luck, so that a trial that only seems unlucky ends as well


class Deaths(NamedTuple):
    """How often processes died under a trial.

    own: by its doing, or for want of memory.
    outside: by somebody else's.
    """

    own: int
    outside: int

    def after(self, cause: Cause) -> "Deaths":
        """With one more."""
        return Deaths(self.own, self.outside + 1) if cause == "outside" else Deaths(self.own + 1, self.outside)


def count_attempt(
    writer: sqlite3.Connection, trial: int, change: int, reason: str = "", cause: Cause = "itself"
) -> None:
    """Write down that an attempt begins (change 1) or is given back (-1); reason, cause: how the one before ended."""
    row = (trial, change, reason, cause, now())
    writer.execute("INSERT INTO claims (trial, change, reason, cause, at) VALUES (?, ?, ?, ?, ?)", row)


def deaths_of(database: Database, trial: int) -> Deaths:
    """What the ledger knows of a trial; an attempt that was given back in an orderly end was no death."""
    query = (
        "SELECT COALESCE(SUM(change), 1) - 1 AS deaths, "
        "COUNT(*) FILTER (WHERE change = 1 AND cause != 'outside' AND reason NOT IN ('', ?)) AS own "
        "FROM claims WHERE trial = ?"
    )
    (row,) = database.rows(query, CAMPAIGN_ENDED, trial)
    return Deaths(row["own"], max(0, row["deaths"] - row["own"]))


def worker_deaths(database: Database) -> Counter[Cause]:
    """How many workers died in the middle of a trial, by cause; the ends of the campaign's own process are not counted,
    nor is a ledger that knows no causes."""
    if not any(row["name"] == "cause" for row in database.rows("PRAGMA table_info(claims)")):
        return Counter()
    query = (
        "SELECT cause, COUNT(*) AS deaths FROM claims WHERE change = 1 AND reason NOT IN ('', ?) GROUP BY cause "
        "UNION ALL SELECT 'itself', COUNT(*) FROM outcomes WHERE status = 'failed' AND reason LIKE '% attempts ended %'"
    )
    found: Counter[Cause] = Counter()
    for row in database.rows(query, CAMPAIGN_ENDED):
        found[row["cause"]] += row["deaths"]
    return +found
