"""Ctrl-C and SIGTERM as a question; the second one is obeyed at once."""

import os
import signal
import threading

import pytest

from convlift.console.interrupt import interruptible


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_the_first_signal_is_only_noted(number: signal.Signals) -> None:
    with interruptible() as stop:
        assert stop() == 0
        os.kill(os.getpid(), number)
        assert stop() == number
        assert stop() == number


def interrupted_twice() -> None:
    with interruptible(at_once=0.0):
        os.kill(os.getpid(), signal.SIGTERM)
        os.kill(os.getpid(), signal.SIGINT)


def test_the_second_one_stops_at_once_and_the_old_handlers_are_back() -> None:
    before = [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)]
    with pytest.raises(KeyboardInterrupt):
        interrupted_twice()
    assert [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)] == before


def test_two_at_once_are_one() -> None:
    """`timeout -s INT` sends its signal to the process and to its group."""
    with interruptible() as stop:
        os.kill(os.getpid(), signal.SIGINT)
        os.kill(os.getpid(), signal.SIGINT)
        assert stop() == signal.SIGINT


def test_what_is_ignored_stays_so() -> None:
    old = signal.signal(signal.SIGHUP, signal.SIG_IGN)  # as nohup leaves it
    try:
        with interruptible() as stop:
            os.kill(os.getpid(), signal.SIGHUP)
            assert stop() == 0
        assert signal.getsignal(signal.SIGHUP) == signal.SIG_IGN
    finally:
        signal.signal(signal.SIGHUP, old)


def test_one_campaign_after_another_starts_with_a_clean_slate() -> None:
    with interruptible() as stop:
        os.kill(os.getpid(), signal.SIGINT)
        assert stop()
    with interruptible() as stop:
        assert stop() == 0


def test_off_the_main_thread_nothing_asks_and_nothing_breaks() -> None:
    answers: list[int] = []

    def work() -> None:
        with interruptible() as stop:
            answers.append(stop())

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert answers == [0]
