"""A line on stderr that says how far a command is, while its answers go to stdout untouched."""

import sys
import time

from convlift.console.progress import PLAIN_SECONDS

_CLEARED = "\r\x1b[K"


class StatusLine:
    """On a terminal a line that the next one replaces, else a line every PLAIN_SECONDS.

    What `Progress` shows passes everything that is printed on to stderr, which is right where that is all there is.
    """

    def __init__(self, *, quiet: bool = False) -> None:
        self._quiet, self._is_live = quiet, sys.stderr.isatty()
        self._is_shown = False
        self._last = time.monotonic()

    def show(self, text: str) -> None:
        """Say it, unless quiet."""
        if self._quiet:
            return
        if self._is_live:
            sys.stderr.write(f"{_CLEARED}{text}")
            sys.stderr.flush()
            self._is_shown = True
        elif time.monotonic() - self._last >= PLAIN_SECONDS:
            self._last = time.monotonic()
            sys.stderr.write(f"{text}\n")
            sys.stderr.flush()

    def clear(self) -> None:
        """Take the line away, before something that stays is written."""
        if self._is_shown:
            sys.stderr.write(_CLEARED)
            sys.stderr.flush()
            self._is_shown = False
