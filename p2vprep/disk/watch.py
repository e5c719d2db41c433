"""Watching a call into C that knows no time limit: its console, its processes, and an end to it."""

from __future__ import annotations

import os
import signal
import threading
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

_CONSOLE_LINES = 400
_NOISE = ("supermin:", "+ ", "guestfsd:", "mdadm:", "libguestfs: trace", "commandrvf", "Failed to resolve")


def last_words(lines: Sequence[str]) -> str:
    """The last line of a console that may tell why it ended; empty where there is none."""
    useful = [line.strip() for line in lines if line.strip() and not line.strip().startswith(_NOISE)]
    telling = [
        line for line in useful if any(word in line.lower() for word in ("error", "fail", "panic", "qemu"))
    ]
    return (telling or useful or [""])[-1][:300]


class Console:
    """The last lines of the appliance's console, and all of them in a file where one is asked for."""

    def __init__(self, log: Path | None) -> None:
        self.lines: deque[str] = deque(maxlen=_CONSOLE_LINES)
        self._rest = ""
        self._file = None if log is None else log.open("w", encoding="utf-8", errors="replace")

    def __call__(self, _event: int, _handle: int, text: object, _array: object) -> None:
        chunk = text.decode(errors="replace") if isinstance(text, bytes) else str(text)
        if self._file is not None:
            self._file.write(chunk)
        *whole, self._rest = (self._rest + chunk.replace("\r", "\n")).split("\n")
        self.lines.extend(whole)

    def close(self) -> None:
        if self._file is not None:
            self._file.close()
            self._file = None


class Watchdog:
    """Kills processes when the time that was set for the current call is over."""

    def __init__(self, kill: Callable[[], None]) -> None:
        self._kill = kill
        self._changed = threading.Condition()
        self._deadline: float | None = None
        self._ended = False
        self.barked = False
        threading.Thread(target=self._watch, name="appliance-watchdog", daemon=True).start()

    @contextmanager
    def limit(self, seconds: float) -> Iterator[None]:
        with self._changed:
            self._deadline = time.monotonic() + seconds
            self._changed.notify()
        try:
            yield
        finally:
            with self._changed:
                self._deadline = None

    def end(self) -> None:
        with self._changed:
            self._ended = True
            self._changed.notify()

    def _watch(self) -> None:
        with self._changed:
            while not self._ended:
                if self._deadline is None:
                    self._changed.wait()
                elif (left := self._deadline - time.monotonic()) > 0:
                    self._changed.wait(left)
                else:
                    self.barked, self._deadline = True, None
                    self._kill()


def children(thread: int) -> list[int]:
    """The processes that a thread of this process started and that still run."""
    try:
        return [int(pid) for pid in Path(f"/proc/self/task/{thread}/children").read_text().split()]
    except (OSError, ValueError):
        return []


def kill(processes: Iterable[int]) -> None:
    """Kills processes at once; those that are gone already are no fault."""
    for process in processes:
        if process > 0:
            with suppress(OSError):
                os.kill(process, signal.SIGKILL)


def alive(process: int) -> bool:
    """Whether a process runs; one that ended and was not waited for does not."""
    try:
        state = Path(f"/proc/{process}/stat").read_text().rsplit(")", 1)[1].split()[0]
    except (OSError, IndexError):
        return False
    return state not in ("Z", "X")
