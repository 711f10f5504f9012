"""The campaign's memory: one append-only SQLite file per run folder, written by one process at a time.

Whatever is killed whenever: what was recorded stays recorded, and what had not ended is tried again.
"""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import Any

from convlift.console.atomic import sweep
from convlift.errors import LedgerError
from convlift.ledger import lock
from convlift.ledger.attempts import MAX_CRASHES, MAX_KILLS, count_attempt, deaths_of, worker_deaths
from convlift.ledger.clock import SessionClock
from convlift.ledger.database import Database, open_to_read, open_to_write
from convlift.ledger.fact_table import fact_history, write_fact
from convlift.ledger.filesystem import refuse_remote
from convlift.ledger.fingerprint import Identity, to_json
from convlift.ledger.identity import enter, identity_in, refuse_other_versions
from convlift.ledger.migrations import now
from convlift.ledger.trials import (
    CAMPAIGN_ENDED,
    COMBINED,
    SELECT_TRIAL,
    Plan,
    Role,
    TrialRecord,
    outcome_row,
    trial_record,
)
from convlift.recipe.recipe import Recipe
from convlift.records.outcome import NO_PROBABILITIES, Cause, Outcome, Status

LEDGER_FILE = "ledger.sqlite"


def open_ledger(
    folder: Path, identity: Identity, settings: Mapping[str, Any] | None = None, *, heartbeat: float = 2.0
) -> "Ledger":
    """Start the run folder's campaign, or continue it; nobody else can meanwhile.

    settings: what may change between resumes (the budget, the workers): the fact "settings", each version with its
    time; None keeps those in force.
    heartbeat: seconds between two notes of the time used, which is what a SIGKILL can lose.
    Raises LedgerError: folder held by another process, on a network file system, not writable, damaged, or of another
    campaign.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise LedgerError(f"{folder} cannot be made ({error.strerror}); name another folder with --out.") from error
    refuse_remote(folder)
    held = lock.acquire(folder)
    try:
        sweep(folder)
        database = open_to_write(folder / LEDGER_FILE)
        try:
            enter(database, identity)
            session = SessionClock(database, heartbeat)
        except BaseException:
            database.close()
            raise
    except BaseException:
        lock.release(held)
        raise
    ledger = Ledger(database, held, session)
    try:
        ledger.note_settings(settings or ledger.settings)
    except BaseException:
        ledger.close()
        raise
    return ledger


def read_ledger(folder: Path) -> "Ledger":
    """The ledger of a run folder to read from, also while its campaign runs.

    Raises LedgerError: absent, damaged, or of a version of convlift that wrote other records.
    """
    path = folder / LEDGER_FILE
    if not path.is_file():
        raise LedgerError(f"{folder} holds no {LEDGER_FILE}; give the folder of a run.")
    database = open_to_read(path)
    try:
        refuse_other_versions(database)
    except BaseException:
        database.close()
        raise
    return Ledger(database)


@contextmanager
def understood(ledger: "Ledger") -> Iterator[None]:
    """Turn what breaks in the block, which only reads a ledger's contents, into a LedgerError: somebody wrote
    nonsense there, or another version of convlift something else."""
    try:
        yield
    except (AttributeError, IndexError, KeyError, OverflowError, TypeError, ValueError) as error:
        words = " ".join(f"{type(error).__name__}: {error}".split())[:200]
        raise LedgerError(
            f"the ledger of {ledger.folder} cannot be understood ({words}); it is damaged or of another version of "
            "convlift, see `convlift salvage`."
        ) from error


class Ledger:
    """The open handle of a ledger; close it, or use it in a `with` block. Made by open_ledger and read_ledger.

    What writes raises DiskError where the disk refuses, and LedgerError where the ledger was opened to be read.
    """

    def __init__(self, database: Database, held: int | None = None, session: SessionClock | None = None) -> None:
        self.folder = database.path.parent
        self._database = database
        self._held = held
        self._session = session
        self._ended: dict[int, TrialRecord] = {}  # can never change again, so decoded once
        self._claimed: set[int] = set()  # by this process, without an outcome so far

    def claim(self, plan: Plan) -> TrialRecord:
        """Append a trial and begin its first attempt.

        Raises LedgerError for any but a final trial, a refit, a combination of such or one of the baseline once the
        shipped recipe is frozen, and for these, too, once the test is open.
        """
        if plan.role not in ("final", "refit", "baseline", *COMBINED) and self.recall("freeze") is not None:
            raise LedgerError(f"a {plan.role} trial was claimed after the shipped recipe was frozen.")
        if self.test_is_open:
            raise LedgerError(f"a {plan.role} trial was claimed after the sealed test was opened.")
        row = (
            plan.role,
            plan.role,
            to_json(plan.spec.recipe.identity()),
            plan.spec.recipe.fingerprint(),
            to_json(plan.names),
            plan.spec.seed,
            plan.spec.fidelity,
            now(),
        )
        with self._database.write() as writer:
            cursor = writer.execute(
                "INSERT INTO trials (role, number, recipe, fingerprint, names, seed, fidelity, at) VALUES "
                "(?, (SELECT COUNT(*) + 1 FROM trials WHERE role = ?), ?, ?, ?, ?, ?, ?)",
                row,
            )
            trial = int(cursor.lastrowid or 0)
            count_attempt(writer, trial, 1)
        self._claimed.add(trial)
        return self.trial(trial)

    def finish(self, trial: int, outcome: Outcome) -> TrialRecord:
        """Append how a trial ended: once, for good. Raises LedgerError for an unknown or already ended trial."""
        self._refuse_ended(trial)
        with self._database.write() as writer:
            row = outcome_row(trial, outcome, now())
            writer.execute("INSERT INTO outcomes VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)", row)
        self._claimed.discard(trial)
        return self.trial(trial)

    def retry(self, trial: int, reason: str, cause: Cause = "itself") -> TrialRecord:
        """Begin the next attempt of a trial whose process died, with the same seed.

        reason: how the attempt before ended; cause: whose fault that was. After MAX_CRASHES of its own the trial has
        failed instead, and after MAX_KILLS by others it is stopped, which is no verdict on it: see the record's status.
        """
        self._refuse_ended(trial)
        deaths = deaths_of(self._database, trial).after(cause)
        if deaths.own >= MAX_CRASHES:
            return self._give_up(trial, "failed", f"{deaths.own} attempts ended without an outcome; the last: {reason}")
        if deaths.outside >= MAX_KILLS:
            return self._give_up(trial, "stopped", f"killed from outside {deaths.outside} times; the last: {reason}")
        with self._database.write() as writer:
            count_attempt(writer, trial, 1, reason, cause)
        self._claimed.add(trial)
        return self.trial(trial)

    def resume(self) -> tuple[TrialRecord, ...]:
        """Begin again every trial that an earlier process left without an outcome; those that are to be run now."""
        left = [trial for trial in self.trials() if trial.outcome is None and trial.id not in self._claimed]
        again = [self.retry(trial.id, CAMPAIGN_ENDED, "outside") for trial in left]
        return tuple(trial for trial in again if trial.outcome is None)

    def worker_deaths(self) -> Counter[Cause]:
        """How many workers died in the middle of a trial, by cause."""
        return worker_deaths(self._database)

    def trial(self, trial: int) -> TrialRecord:
        """One trial by its id. Raises LedgerError where there is none."""
        if trial not in self._ended:
            rows = self._database.rows(SELECT_TRIAL, trial)
            if not rows:
                raise LedgerError(f"the ledger has no trial {trial}.")
            record = trial_record(rows[0])
            if record.outcome is None:
                return record
            self._ended[trial] = record
        return self._ended[trial]

    def trials(self, role: Role | None = None) -> tuple[TrialRecord, ...]:
        """All trials, or those of one role, in the order in which they were claimed."""
        rows = self._database.rows("SELECT id FROM trials WHERE role = ? OR ? IS NULL ORDER BY id", role, role)
        return tuple(self.trial(row["id"]) for row in rows)

    def record(self, key: str, value: Any, *, replace: bool = False) -> None:
        """Write down a fact (any JSON value) once; the same value again changes nothing.

        replace: append a new value; the old ones stay in `history`.
        Raises LedgerError where the key already holds another value.
        """
        write_fact(self._database, key, value, replace=replace)

    def recall(self, key: str, default: Any = None) -> Any:
        """The newest value of a fact, or the default."""
        values = self.history(key)
        return values[-1][1] if values and values[-1][1] is not None else default

    def unsettle(self, keys: Iterable[str]) -> None:
        """Make facts as if they had never been recorded; what they were stays in `history`.

        Raises LedgerError once the sealed test was opened: what was settled before is what it judged.
        """
        if self.test_is_open:
            raise LedgerError("the sealed test was opened, so nothing is settled anew; start a new campaign.")
        for key in keys:
            if self.recall(key) is not None:
                self.record(key, None, replace=True)

    def history(self, key: str) -> tuple[tuple[str, Any], ...]:
        """Every value that a fact has had, oldest first: (wall-clock time in ISO 8601 UTC, value)."""
        return fact_history(self._database, key)

    def freeze(self, recipe: Recipe, names: tuple[str, ...]) -> str:
        """Fix the shipped recipe and its changes before the test is opened; returns its SHA-256.

        The fact "freeze" holds sha256, recipe and names. Raises LedgerError where another recipe is already frozen.
        """
        sha256 = recipe.fingerprint()
        self.record("freeze", {"sha256": sha256, "recipe": recipe.model_dump(), "names": names})
        return sha256

    def open_test(self) -> None:
        """Write down, as the fact "test opened", that the sealed test is opened for the frozen recipe and no other.

        A resumed campaign does so again, and nothing changes. Raises LedgerError where no recipe is frozen yet.
        """
        frozen = self.recall("freeze")
        if frozen is None:
            raise LedgerError("the sealed test stays closed until the shipped recipe is frozen.")
        self.record("test opened", frozen["sha256"])

    @property
    def test_is_open(self) -> bool:
        """Whether the sealed test was opened."""
        return self.recall("test opened") is not None

    @property
    def identity(self) -> Identity:
        """What the campaign compares: data, baseline, seed, metric, software."""
        return identity_in(self._database)

    @property
    def settings(self) -> dict[str, Any]:
        """The settings now in force; `history("settings")` has every change of them."""
        found = self.recall("settings", {})
        if not isinstance(found, dict):
            raise LedgerError(f"the settings of {self.folder} are damaged; see `convlift salvage`.")
        return dict(found)

    def note_settings(self, settings: Mapping[str, Any]) -> None:
        """Write down the settings that are in force from now on."""
        self.record("settings", dict(settings), replace=True)

    def seconds_used(self) -> float:
        """Wall-clock seconds of all processes that have worked on this campaign, this one up to now."""
        if self._session is not None:
            return self._session.seconds()
        rows = self._database.rows("SELECT COALESCE(SUM(seconds), 0) AS seconds FROM sessions")
        return float(rows[0]["seconds"])

    def add_seconds(self, seconds: float) -> None:
        """Count time that this process spent on the campaign before its ledger was open."""
        if self._session is not None:
            self._session.add(seconds)

    def close(self) -> None:
        """Let go of the run folder. Claims without an outcome are given back: an orderly end is no failed attempt."""
        held, self._held = self._held, None
        try:
            if held is not None and self._session is not None:
                self._session.stop()
                with self._database.write() as writer:
                    for trial in sorted(self._claimed):
                        count_attempt(writer, trial, -1, "given back", "outside")
        finally:
            self._database.close()
            if held is not None:
                lock.release(held)

    def __enter__(self) -> "Ledger":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _give_up(self, trial: int, status: Status, reason: str) -> TrialRecord:
        return self.finish(trial, Outcome(status, NO_PROBABILITIES, NO_PROBABILITIES, reason=reason))

    def _refuse_ended(self, trial: int) -> TrialRecord:
        record = self.trial(trial)
        if record.outcome is not None:
            raise LedgerError(f"trial {trial} has already ended ({record.status}); it is not run again.")
        return record
