"""Running something in a child process that is killed with SIGKILL at a chosen point or moment."""

from __future__ import annotations

import os
import signal
import sys
import time
import traceback
import warnings
from collections.abc import Callable
from dataclasses import dataclass

Hook = Callable[[str], None]
Action = Callable[[Hook], object]


@dataclass(frozen=True)
class Ended:
    """How the child ended: by the kill, or by itself with an exit status."""

    killed: bool
    status: int


def at_point(action: Action, number: int) -> Ended:
    """Kills the child when it comes to its ``number``-th crash point (from 0)."""
    passed = 0

    def hook(_name: str) -> None:
        nonlocal passed
        if passed == number:
            os.kill(os.getpid(), signal.SIGKILL)
        passed += 1

    return wait(_fork(action, hook))


def after(
    action: Action,
    seconds: float,
    *,
    from_point: str | None = None,
    number: signal.Signals = signal.SIGKILL,
) -> Ended:
    """Kills the child some time after its start, or after it came to a crash point; or signals it."""
    reader, writer = os.pipe()

    def hook(name: str) -> None:
        if name == from_point:
            os.write(writer, b"x")

    child = _fork(action, hook)
    os.close(writer)
    if from_point is not None:
        os.read(reader, 1)  # or its end, if the child never came there
    os.close(reader)
    time.sleep(seconds)
    os.kill(child, number)
    return wait(child)


def start(action: Action) -> int:
    """Starts a child that is not killed; returns its id."""
    return _fork(action, lambda _name: None)


def _fork(action: Action, hook: Hook) -> int:
    sys.stdout.flush()
    sys.stderr.flush()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # a runner's own threads do no harm here
        child = os.fork()
    if child:
        return child
    try:
        action(hook)
    except BaseException:  # noqa: BLE001 - told and turned into the child's exit status
        traceback.print_exc()
        os._exit(1)
    os._exit(0)


def wait(child: int) -> Ended:
    """Waits for a child and tells how it ended."""
    _pid, status = os.waitpid(child, 0)
    if os.WIFSIGNALED(status):
        return Ended(os.WTERMSIG(status) == signal.SIGKILL, -os.WTERMSIG(status))
    return Ended(killed=False, status=os.WEXITSTATUS(status))
