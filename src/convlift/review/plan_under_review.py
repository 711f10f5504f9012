"""The plan under review: every decision is in its file before it is answered, and the last ones can be taken back."""

import hashlib
import json
import threading
from dataclasses import replace
from pathlib import Path

from convlift.data.plan_file import read_plan, write_plan
from convlift.errors import ConvliftError
from convlift.records.data_plan import STATES, DataPlan, Entry


class ChangedMeanwhile(ConvliftError):
    """Somebody else has changed the file so that its entries are no longer those that are shown."""


def edition(plan: DataPlan) -> str:
    """Which entries a plan has, in which order, whatever was decided on them: a page speaks of entries and images by
    their numbers, which mean something else once one of them came or went."""
    entries = [[each.about, each.label, each.beside] for each in plan.entries]
    return hashlib.sha256(json.dumps(entries).encode()).hexdigest()[:16]


class Decisions:
    """Owns a plan's file while it is reviewed. Its methods may be called by several threads."""

    def __init__(self, path: Path, classes: tuple[str, ...]) -> None:
        self._path, self._classes = path, classes
        self._lock = threading.Lock()
        self._made: list[tuple[int, Entry, Entry]] = []  # which entry, as it was and as it was decided
        self._plan, self._seen = self._read()

    @property
    def plan(self) -> DataPlan:
        """As it stands in the file, edits by others among it. Raises ConvliftError where it is no plan any more."""
        with self._lock:
            self._refresh()
            return self._plan

    def decide(self, of: str, number: int, state: str, suggested: str = "") -> Entry:
        """Write down a decision on an entry; of: the `edition` that it was made on; suggested: the class that the image
        is given. Raises ConvliftError where there is no such entry, state or class, and ChangedMeanwhile."""
        with self._lock:
            self._refresh(of)
            if not 0 <= number < len(self._plan.entries):
                raise ConvliftError(f"there is no entry {number}; there are {len(self._plan.entries)}.")
            entry = self._plan.entries[number]
            if state not in STATES:
                raise ConvliftError(f"there is no such state; it is {', '.join(STATES[:-1])} or {STATES[-1]}.")
            if suggested and (entry.kind != "relabel" or suggested not in self._classes or suggested == entry.label):
                raise ConvliftError("the image cannot be given that class; give one of the others.")
            decided = replace(entry, state=state, suggested=suggested or entry.suggested)
            self._write(number, decided)
            self._made.append((number, entry, decided))
            return decided

    def undo(self, of: str) -> tuple[int, Entry] | None:
        """Take the last decision back that still stands: which entry that was, as it is now; None where there is none.
        of: see `decide`. Raises ChangedMeanwhile."""
        with self._lock:
            self._refresh(of)
            while self._made:
                number, entry, decided = self._made[-1]
                if self._plan.entries[number] == decided:
                    self._write(number, entry)
                    self._made.pop()
                    return number, entry
                self._made.pop()  # decided anew by somebody else, which stays
            return None

    def _write(self, number: int, entry: Entry) -> None:
        entries = list(self._plan.entries)
        entries[number] = entry
        plan = replace(self._plan, entries=tuple(entries))
        write_plan(self._path, plan)
        self._plan, self._seen = plan, self._stamp()

    def _refresh(self, of: str | None = None) -> None:
        """Read the file again where it was changed. of: the edition that somebody looks at; ChangedMeanwhile where the
        file holds another one by now."""
        if self._stamp() != self._seen:
            before = edition(self._plan)
            self._plan, self._seen = self._read()
            if before != edition(self._plan):
                self._made.clear()
        if of is not None and of != edition(self._plan):
            raise ChangedMeanwhile("the plan's file was changed meanwhile; load the page again.")

    def _read(self) -> tuple[DataPlan, tuple[int, int]]:
        stamp = self._stamp()
        return read_plan(self._path), stamp

    def _stamp(self) -> tuple[int, int]:
        try:
            status = self._path.stat()
        except OSError:
            return 0, 0
        return status.st_mtime_ns, status.st_ino
