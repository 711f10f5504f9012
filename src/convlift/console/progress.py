"""What a long run shows while it works: a live line on a terminal, else a line every 30 seconds, and log.txt."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import Self, TextIO

from rich.console import Console
from rich.status import Status

PLAIN_SECONDS = 30.0


def clock_text(seconds: float) -> str:
    """Seconds as 1:02:03 or 4:05."""
    whole = max(0, round(seconds))
    hours, rest = divmod(whole, 3600)
    minutes, seconds_ = divmod(rest, 60)
    return f"{hours}:{minutes:02}:{seconds_:02}" if hours else f"{minutes}:{seconds_:02}"


class Progress:
    """Progress on stderr, and every lasting line in the log; owns the live line and the log file.

    quiet: nothing on stderr. The log can be named later, since the run folder is known only once the data are read.
    """

    def __init__(self, *, quiet: bool = False) -> None:
        self._console = Console(stderr=True, quiet=quiet, highlight=False)
        self._status: Status | None = None
        self._log: TextIO | None = None
        self._early: list[str] = []  # lines of the time before the log is named
        self._last_plain = -PLAIN_SECONDS
        self._started = time.monotonic()
        self._part = ""

    def __enter__(self) -> Self:
        if self._console.is_terminal and not self._console.quiet:
            self._status = self._console.status("")
            self._status.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._status is not None:
            self._status.stop()
            self._status = None
        if self._log is not None:
            self._log.close()
            self._log = None

    @contextmanager
    def part(self, name: str) -> Iterator[None]:
        """For one of several campaigns: every line begins with its name, and a log named within ends with it."""
        outer, self._log, self._part = self._log, None, f"{name}: "
        try:
            yield
        finally:
            if self._log is not None:
                self._log.close()
            self._log, self._part = outer, ""

    def keep_log(self, path: Path) -> None:
        """Append every line from now on to `path`."""
        self._log = path.open("a", encoding="utf-8")
        self._log.writelines(self._early)
        self._log.flush()
        self._early = []

    def clock(self) -> str:
        """How long this has been at work."""
        return clock_text(time.monotonic() - self._started)

    def say(self, text: str) -> None:
        """A line that stays."""
        self._console.print(self._part + text, markup=False)
        self.log(text)

    def log(self, text: str) -> None:
        """A line for the log alone."""
        line = f"{self.clock()} {text}\n"
        if self._log is None:
            self._early.append(line)
            return
        self._log.write(line)
        self._log.flush()

    def show(self, text: str) -> None:
        """A line that the next one replaces."""
        text = self._part + text
        if self._status is not None:
            self._status.update(text.replace("[", "\\["))
        elif time.monotonic() - self._last_plain >= PLAIN_SECONDS:
            self._last_plain = time.monotonic()
            self._console.print(text, markup=False)
