"""SIGINT and SIGTERM: stop cleanly where that is possible, finish first where it is not.

Two blocks, which may be nested::

    with interruptible():      # a signal raises Interrupted here, at once
        edit()
        with deferred() as late:   # a signal is only remembered here
            commit()
        late.signal            # its number, or None

``interruptible`` raises at the first signal only; a second one during the clean-up
changes nothing (SIGKILL is always left, and ``recover`` after it). Both do nothing
outside the main thread, because Python delivers signals only there.
"""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from types import FrameType

from p2vprep.errors import Interrupted

STOP_SIGNALS = (signal.SIGINT, signal.SIGTERM)


@dataclass
class Deferred:
    """The signal that arrived during a deferred block; None where there was none."""

    signal: int | None = None


@contextmanager
def interruptible() -> Iterator[None]:
    """For the length of the block the first SIGINT or SIGTERM raises Interrupted."""
    raised = False

    def stop(number: int, _frame: FrameType | None) -> None:
        nonlocal raised
        if not raised:
            raised = True
            raise interrupted(number)

    with _handled(stop):
        yield


@contextmanager
def deferred() -> Iterator[Deferred]:
    """For the length of the block SIGINT and SIGTERM are only remembered.

    What to do with a remembered signal is the caller's decision: usually to raise
    :func:`interrupted` once everything is in order.
    """
    remembered = Deferred()

    def remember(number: int, _frame: FrameType | None) -> None:
        remembered.signal = remembered.signal or number

    with _handled(remember):
        yield remembered


@contextmanager
def undisturbed() -> Iterator[None]:
    """For calls of C libraries: a signal is obeyed as soon as the block has ended.

    An exception raised in a callback out of C would be lost, and the signal with it. Who
    handles signals outside of the block decides what happens.
    """
    late = Deferred()
    try:
        with deferred() as late:
            yield
    finally:
        if late.signal is not None:
            signal.raise_signal(late.signal)


def interrupted(number: int, *, changed: str | None = None) -> Interrupted:
    """The error for a signal; ``changed`` says what is on the disk if not nothing."""
    message = f"Stopped by {signal.Signals(number).name}."
    return Interrupted(number, message) if changed is None else Interrupted(number, message, changed=changed)


@contextmanager
def _handled(handler: signal._HANDLER) -> Iterator[None]:
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = {number: signal.signal(number, handler) for number in STOP_SIGNALS}
    try:
        yield
    finally:
        for number, old in before.items():
            signal.signal(number, old)
