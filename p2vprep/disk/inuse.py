"""Whether another process on this host has an image open in a way that conflicts with writing to it.

Two independent questions to the kernel, neither of which changes anything: does
anybody hold a record lock on the file (QEMU locks its images, also read-only
ones), and has anybody opened it for writing (a read lease cannot be had then;
that finds programs that do not lock). Where a file system or a missing right
does not let us ask, the answer counts as no. A machine that runs on another host
is seen only where the file system passes locks on.
"""

from __future__ import annotations

import fcntl
import os
import signal
import struct
import time
from collections.abc import Callable, Iterable
from pathlib import Path

from p2vprep.errors import RefusedError

_LOCK_LAYOUT = "hhqqi4x"
_WAIT = 0.1


def in_use(file: Path) -> str | None:
    """Why a file must not be written to now, in words; None where nothing speaks against it."""
    descriptor = os.open(file, os.O_RDONLY | os.O_CLOEXEC)
    try:
        if _is_locked(descriptor):
            return "another program has locked it"
        if _has_writer(descriptor):
            return "another program has opened it for writing"
    finally:
        os.close(descriptor)
    return None


def refuse_in_use(
    files: Iterable[Path], *, patience: float = 0.0, pause: Callable[[float], None] = time.sleep
) -> None:
    """Raises RefusedError ``image-in-use`` where a file stays in use for ``patience`` seconds."""
    attempts = round(patience / _WAIT)
    for file in files:
        why = in_use(file)
        for _attempt in range(attempts):
            if why is None:
                break
            pause(_WAIT)
            why = in_use(file)
        if why is not None:
            raise RefusedError(
                f"The image is in use: {why}.",
                code="image-in-use",
                subject=str(file),
                hint="Shut the machine down, and end other programs that work with the image.",
            )


def _is_locked(descriptor: int) -> bool:
    """Whether a write lock on the whole file would meet another lock."""
    question = struct.pack(_LOCK_LAYOUT, fcntl.F_WRLCK, os.SEEK_SET, 0, 0, 0)
    try:
        answer = fcntl.fcntl(descriptor, fcntl.F_OFD_GETLK, question)
    except OSError:  # no record locks on this file system
        return False
    kind: int = struct.unpack(_LOCK_LAYOUT, answer)[0]
    return kind != fcntl.F_UNLCK


def _has_writer(descriptor: int) -> bool:
    """Whether a read lease is refused because somebody has the file open for writing."""
    try:
        # Should somebody open it in this very moment, the kernel tells us; by default that signal kills.
        fcntl.fcntl(descriptor, fcntl.F_SETSIG, signal.SIGURG)
        fcntl.fcntl(descriptor, fcntl.F_SETLEASE, fcntl.F_RDLCK)
    except BlockingIOError:
        return True
    except OSError:  # not our file, or no leases on this file system
        return False
    fcntl.fcntl(descriptor, fcntl.F_SETLEASE, fcntl.F_UNLCK)
    return False
