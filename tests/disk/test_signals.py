"""Signals: raised at once, remembered, given back."""

from __future__ import annotations

import signal
import threading
from pathlib import Path
from typing import Any

import pytest

from p2vprep.disk import image, nbd
from p2vprep.disk.signals import STOP_SIGNALS, deferred, interruptible, undisturbed
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


@pytest.mark.parametrize("fails", [False, True])
def test_an_undisturbed_block_ends_before_its_signal_is_obeyed(fails: bool) -> None:
    steps: list[str] = []

    def work() -> None:
        with undisturbed():
            signal.raise_signal(signal.SIGTERM)
            steps.append("ended")
            if fails:
                raise OSError
        steps.append("went on")

    with pytest.raises(Interrupted), interruptible():
        work()
    assert steps == ["ended"]


def test_within_a_deferred_block_an_undisturbed_one_defers_too() -> None:
    with deferred() as late:
        with undisturbed():
            signal.raise_signal(signal.SIGTERM)
        assert late.signal == signal.SIGTERM
        with undisturbed():
            pass
    assert late.signal == signal.SIGTERM


def test_a_signal_in_a_callback_out_of_a_library_is_not_lost(tmp_path: Path) -> None:
    path = tmp_path / "disk.raw"
    path.write_bytes(bytes(510) + b"\x55\xaa" + bytes(1 << 20))
    with nbd.connect(image.probe(path), read_only=True) as disk:
        honest = disk._handle.block_status

        class Handle:
            def block_status(self, count: int, offset: int, note: Any) -> Any:
                def disturbed(*found: Any) -> Any:
                    signal.raise_signal(signal.SIGTERM)
                    return note(*found)

                return honest(count, offset, disturbed)

            def __getattr__(self, name: str) -> Any:
                return getattr(handle, name)

        handle = disk._handle
        disk._handle = Handle()
        with pytest.raises(Interrupted), interruptible():
            list(disk.allocated())
        disk._handle = handle
