"""The plan under review: every decision is in its file before it is answered, and the last ones can be taken back."""

import threading
from dataclasses import replace
from pathlib import Path

from convlift.data.plan_file import read_plan, write_plan
from convlift.errors import ConvliftError
from convlift.records.data_plan import STATES, DataPlan, Entry


class ChangedMeanwhile(ConvliftError):
    """Somebody else has changed the file so that its entries are no longer those that are shown."""


class Decisions:
    """Owns a plan's file while it is reviewed. Its methods may be called by several threads."""

    def __init__(self, path: Path, classes: tuple[str, ...]) -> None:
        self._path, self._classes = path, classes
        self._lock = threading.Lock()
        self._undone: list[tuple[int, Entry]] = []
        self._plan, self._seen = self._read()

    @property
    def plan(self) -> DataPlan:
        """As it stands in the file, edits by others among it. Raises ConvliftError where it is no plan any more."""
        with self._lock:
            self._refresh(keeps_entries=False)
            return self._plan

    def decide(self, number: int, state: str, suggested: str = "") -> Entry:
        """Write down a decision on an entry; suggested: the class to give it instead. Raises ConvliftError where there
        is no such entry, state or class, and ChangedMeanwhile."""
        with self._lock:
            self._refresh(keeps_entries=True)
            if not 0 <= number < len(self._plan.entries):
                raise ConvliftError(f"there is no entry {number}; there are {len(self._plan.entries)}.")
            entry = self._plan.entries[number]
            if state not in STATES:
                raise ConvliftError(f"there is no such state; it is {', '.join(STATES[:-1])} or {STATES[-1]}.")
            if suggested and (entry.kind != "relabel" or suggested not in self._classes or suggested == entry.label):
                raise ConvliftError("the image cannot be given that class; give one of the others.")
            decided = replace(entry, state=state, suggested=suggested or entry.suggested)
            self._write(number, decided)
            self._undone.append((number, entry))
            return decided

    def undo(self) -> tuple[int, Entry] | None:
        """Take the last decision back: which entry that was, as it is now; None where there is nothing to take back.
        Raises ChangedMeanwhile."""
        with self._lock:
            self._refresh(keeps_entries=True)
            if not self._undone:
                return None
            number, entry = self._undone[-1]
            self._write(number, entry)
            self._undone.pop()
            return number, entry

    def _write(self, number: int, entry: Entry) -> None:
        entries = list(self._plan.entries)
        entries[number] = entry
        plan = replace(self._plan, entries=tuple(entries))
        write_plan(self._path, plan)
        self._plan, self._seen = plan, self._stamp()

    def _refresh(self, *, keeps_entries: bool) -> None:
        if self._stamp() == self._seen:
            return
        before = [each.about for each in self._plan.entries]
        self._plan, self._seen = self._read()
        if before != [each.about for each in self._plan.entries]:
            self._undone.clear()
            if keeps_entries:
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
