"""Ctrl-C, SIGTERM and a closed terminal as a question of the loop, so that nothing is cut in the middle of a write."""

import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType

STOPPING = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
AT_ONCE = 0.1  # seconds: `timeout` sends its signal twice


@contextmanager
def interruptible(at_once: float = AT_ONCE) -> Iterator[Callable[[], int]]:
    """Give a callable that returns the stop signal that came, 0 for none.

    The first signal only sets that number; a second one, `at_once` seconds later or more, stops at once. One that is
    ignored stays so, as nohup wants it.
    Off the main thread, where Python allows no handlers, it is always 0.
    """
    received, when = 0, 0.0

    def note(number: int, _frame: FrameType | None) -> None:
        nonlocal received, when
        if received:
            if time.monotonic() - when < at_once:
                return
            raise KeyboardInterrupt
        received, when = number, time.monotonic()

    if threading.current_thread() is not threading.main_thread():
        yield lambda: 0
        return
    old = {number: signal.signal(number, note) for number in STOPPING if signal.getsignal(number) != signal.SIG_IGN}
    try:
        yield lambda: received
    finally:
        for number, handler in old.items():
            signal.signal(number, signal.SIG_DFL if handler is None else handler)  # None: not set from Python
