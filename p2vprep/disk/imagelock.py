"""A lock beside the image itself: whoever works on it for a wave holds it, on whichever host.

The state folder's own lock lies where ``--state-dir`` says, which may be another place on every
host; this one lies where the image lies. It is a ``flock``: the kernel gives it back however its
holder ends, and network file systems that pass locks on (NFS, CephFS, GPFS) do so between hosts.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import socket
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path

from p2vprep.disk.image import shown
from p2vprep.errors import RefusedError

SUFFIX = ".p2vprep-lock"
_PAUSE = 0.2
_ATTEMPTS = 8


@contextmanager
def held(images: Sequence[Path], *, patience: float = 0.0) -> Iterator[None]:
    """Holds the locks of all images for the length of the block; they are given by path, also missing ones.

    ``patience`` is how many seconds to wait for each. Raises RefusedError ``busy`` where another
    process holds one, ``image-lock-unusable`` where no lock can lie beside the image.
    """
    with ExitStack() as stack:
        for path in sorted({Path(os.path.realpath(image)) for image in images}):
            stack.enter_context(_held(path.with_name(path.name + SUFFIX), patience))
        yield


@contextmanager
def _held(path: Path, patience: float) -> Iterator[None]:
    descriptor = _open(path, patience)
    try:
        with contextlib.suppress(OSError):  # the text is for people only
            os.ftruncate(descriptor, 0)
            os.pwrite(descriptor, f"pid {os.getpid()} on {socket.gethostname()}\n".encode(), 0)
        yield
    finally:
        # Removed before it is given back: whoever waits for it finds that it is another file now.
        with contextlib.suppress(OSError):  # a lock file left behind locks nobody out
            path.unlink()
        os.close(descriptor)


def _open(path: Path, patience: float) -> int:
    deadline = time.monotonic() + patience
    for _attempt in range(_ATTEMPTS):
        try:
            descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
        except FileNotFoundError:  # the folder is not there: neither is the image, which is told better
            return os.open(os.devnull, os.O_RDWR | os.O_CLOEXEC)
        except OSError as problem:
            raise RefusedError(
                f"No lock can be made beside the image: {problem.strerror}.",
                code="image-lock-unusable",
                subject=shown(path),
                hint="A wave needs the right to create a file in the folder of every image.",
            ) from problem
        try:
            _take(descriptor, path, deadline)
            if _is_there(descriptor, path):
                return descriptor
        except BaseException:
            os.close(descriptor)
            raise
        os.close(descriptor)
    raise _busy(path, "")


def _take(descriptor: int, path: Path, deadline: float) -> None:
    while not _is_mine(descriptor):
        if time.monotonic() >= deadline:
            raise _busy(path, os.pread(descriptor, 200, 0).decode(errors="replace").strip())
        time.sleep(_PAUSE)


def _is_mine(descriptor: int) -> bool:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _is_there(descriptor: int, path: Path) -> bool:
    try:
        return path.stat().st_ino == os.fstat(descriptor).st_ino
    except FileNotFoundError:
        return False


def _busy(path: Path, holder: str) -> RefusedError:
    return RefusedError(
        "Another p2vprep is working on this image.",
        code="busy",
        subject=shown(path.with_name(path.name.removesuffix(SUFFIX))),
        hint="Wait until it has finished.",
        details=(holder,) if holder else (),
    )
