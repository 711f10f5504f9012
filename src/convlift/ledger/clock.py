"""Seconds that a campaign has used, summed over all processes that ever worked on it."""

import os
import socket
import threading
import time

from convlift.errors import DiskError, LedgerError
from convlift.ledger.database import Database
from convlift.ledger.migrations import now


class SessionClock:
    """This process's row of the ledger's sessions, kept up to date by a thread until `stop`.

    Monotonic time only: a changed wall clock or a suspended machine uses no budget.
    interval: seconds between two notes, which is what a SIGKILL can lose.
    """

    def __init__(self, database: Database, interval: float) -> None:
        self._database = database
        self._started = time.monotonic()
        self._added = 0.0
        with database.write() as writer:
            cursor = writer.execute(
                "INSERT INTO sessions (pid, host, seconds, at) VALUES (?, ?, 0, ?)",
                (os.getpid(), socket.gethostname(), now()),
            )
            self._session = cursor.lastrowid
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._beat, args=(interval,), daemon=True)
        self._thread.start()

    def seconds(self) -> float:
        """Seconds of all processes, this one up to now."""
        query = "SELECT COALESCE(SUM(seconds), 0) AS seconds FROM sessions WHERE id != ?"
        return float(self._database.rows(query, self._session)[0]["seconds"]) + self._own()

    def add(self, seconds: float) -> None:
        """Count seconds that this process worked before its ledger was open."""
        self._added += seconds
        self._note()

    def stop(self) -> None:
        """Note the time used for the last time."""
        self._stopping.set()
        self._thread.join()
        self._note()

    def _own(self) -> float:
        return self._added + time.monotonic() - self._started

    def _note(self) -> None:
        with self._database.write() as writer:
            writer.execute("UPDATE sessions SET seconds = ? WHERE id = ?", (self._own(), self._session))

    def _beat(self, interval: float) -> None:
        while not self._stopping.wait(interval):
            try:
                self._note()
            except (DiskError, LedgerError):
                continue  # a full disk shows itself at the next outcome, where somebody can hear of it
