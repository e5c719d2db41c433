"""One worker thread in which the machine is open: whatever touches a disk happens there, in order.

The screen never waits for it: every request is answered by a future.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from concurrent.futures import TimeoutError as FutureTimeoutError
from contextlib import ExitStack
from typing import TypeVar

from p2vprep.console.ports import Backend, Browsing, Done
from p2vprep.core.model import Edit, Plan
from p2vprep.errors import CannotOpenError
from p2vprep.events import Sink

Answer = TypeVar("Answer")
MOMENT = 0.5
"""Seconds."""


class Session:
    """The machine behind the console. Its methods return at once; futures raise P2vprepError."""

    def __init__(self, backend: Backend, sink: Sink) -> None:
        """``sink`` is told of the engine's steps, in the worker's thread."""
        self._backend = backend
        self._sink = sink
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="p2vprep-machine")
        self._held = ExitStack()
        self._browsing: Browsing | None = None

    def open(self) -> Future[None]:
        """Opens the machine, after closing it where it is open: so it is seen as it is now."""
        return self._thread.submit(self._open)

    def ask(self, work: Callable[[Browsing], Answer]) -> Future[Answer]:
        """Does ``work`` with the open machine. Raises CannotOpenError ``not-open`` where it is not."""
        return self._thread.submit(self._ask, work)

    def apply(self, edits: Sequence[Edit], reviewed: Plan) -> Future[Done]:
        """Closes the machine and carries the edits out. It has to be opened again afterwards."""
        return self._thread.submit(self._changing, lambda: self._backend.apply(edits, reviewed, self._sink))

    def rollback(self) -> Future[str]:
        """Closes the machine and takes the newest run back. It has to be opened again afterwards."""
        return self._thread.submit(self._changing, lambda: self._backend.rollback(self._sink))

    def end(self, waiting: Callable[[], None] = lambda: None) -> None:
        """Closes the machine and waits for that; ``waiting`` is called where it takes more than a moment."""
        closed = self._thread.submit(self._close)
        try:
            try:
                closed.result(timeout=MOMENT)
            except FutureTimeoutError:
                waiting()
                closed.result()
        finally:
            self._thread.shutdown(wait=True, cancel_futures=True)

    def _open(self) -> None:
        self._close()
        self._browsing = self._held.enter_context(self._backend.browse(self._sink))

    def _close(self) -> None:
        self._browsing = None
        held, self._held = self._held, ExitStack()
        held.close()

    def _ask(self, work: Callable[[Browsing], Answer]) -> Answer:
        if self._browsing is None:
            raise CannotOpenError("the machine is not open", code="not-open")
        return work(self._browsing)

    def _changing(self, work: Callable[[], Answer]) -> Answer:
        self._close()
        return work()
