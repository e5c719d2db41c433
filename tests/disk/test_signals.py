"""Signals: raised at once, remembered, given back."""

from __future__ import annotations

import signal
import threading

import pytest

from p2vprep.disk.signals import STOP_SIGNALS, deferred, interruptible
from p2vprep.errors import Interrupted


@pytest.mark.parametrize("number", STOP_SIGNALS)
def test_the_first_signal_raises_and_the_second_does_not(number: signal.Signals) -> None:
    steps: list[str] = []

    def work() -> None:
        try:
            signal.raise_signal(number)
            steps.append("went on")
        finally:
            signal.raise_signal(number)
            steps.append("cleaned up")

    with pytest.raises(Interrupted) as caught, interruptible():
        work()
    assert steps == ["cleaned up"]
    assert caught.value.signal_number == number
    assert number.name in caught.value.message


@pytest.mark.parametrize("number", STOP_SIGNALS)
def test_a_deferred_signal_is_remembered(number: signal.Signals) -> None:
    with interruptible(), deferred() as late:
        assert late.signal is None
        signal.raise_signal(number)
        signal.raise_signal(signal.SIGINT)
    assert late.signal == number


def test_handlers_are_given_back() -> None:
    before = [signal.getsignal(number) for number in STOP_SIGNALS]
    with interruptible(), deferred():
        assert [signal.getsignal(number) for number in STOP_SIGNALS] != before
    assert [signal.getsignal(number) for number in STOP_SIGNALS] == before


def test_other_threads_are_left_alone() -> None:
    seen: list[bool] = []

    def work() -> None:
        before = signal.getsignal(signal.SIGINT)
        with interruptible(), deferred() as late:
            seen.append(signal.getsignal(signal.SIGINT) is before and late.signal is None)

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert seen == [True]
