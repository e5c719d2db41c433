"""File steps that survive a crash, and the seam through which tests break them.

Everything the transaction writes goes through :class:`Durable`. Each step has a
name and passes two *crash points*, ``NAME:before`` and ``NAME:after``; where a
step has a visible middle (written but not yet renamed) there is a third one.
A test passes a hook that raises, kills the process or takes a picture of what
would survive a loss of power; in real use the hook does nothing.

A document is written beside its final name, fsynced, renamed over the old one,
and the folder is fsynced: after a crash at any moment either the old document or
the new one is there, whole.
"""

from __future__ import annotations

import contextlib
import errno
import json
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

FILE_MODE = 0o600
FOLDER_MODE = 0o700
PART_SUFFIX = ".new"
_PORTION = 1 << 20

PointHook = Callable[[str], None]


def no_hook(_name: str) -> None:
    """The hook of real use: nothing happens at a crash point."""


class Durable:
    """Durable file steps; every one names its crash points. OSErrors pass through."""

    def __init__(self, hook: PointHook = no_hook) -> None:
        self._hook = hook

    @contextmanager
    def step(self, name: str) -> Iterator[None]:
        """The crash points around one step that must happen or not happen."""
        self._hook(f"{name}:before")
        yield
        self._hook(f"{name}:after")

    def make_folder(self, path: Path) -> bool:
        """Creates a folder for its owner alone and makes its entry durable; False if it was there."""
        try:
            path.mkdir(mode=FOLDER_MODE)
        except FileExistsError:
            return False
        self.sync_folder(path.parent)
        return True

    def write_document(self, path: Path, document: dict[str, object], name: str) -> None:
        """Replaces a JSON document, whole or not at all, and makes it durable."""
        text = json.dumps(document, indent=1, ensure_ascii=False) + "\n"
        self.write_file(path, text.encode("utf-8", errors="surrogateescape"), name)

    def write_file(self, path: Path, content: bytes, name: str) -> None:
        """Replaces a file, whole or not at all, and makes it durable."""
        part = path.with_name(path.name + PART_SUFFIX)
        with self.step(name):
            try:
                with open_private(part) as stream:
                    stream.write(content)
                    self.sync_open_file(stream, part)
            except OSError:
                with contextlib.suppress(OSError):  # the first fault is the one to report
                    part.unlink()
                raise
            self._hook(f"{name}:written")
            self.rename(part, path)

    def rename(self, old: Path, new: Path) -> None:
        """Renames within one folder and makes it durable."""
        old.replace(new)
        self.sync_folder(new.parent)

    def remove(self, path: Path, name: str) -> None:
        """Removes a file if it is there and makes that durable."""
        with self.step(name):
            path.unlink(missing_ok=True)
            self.sync_folder(path.parent)

    def sync_open_file(self, stream: IO[bytes], _path: Path) -> None:
        """Flushes an open file to the storage."""
        stream.flush()
        os.fsync(stream.fileno())

    def sync_file(self, path: Path) -> None:
        """Flushes to the storage what any process wrote to a file."""
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)

    def sync_folder(self, path: Path) -> None:
        """Flushes a folder's entries (names) to the storage."""
        descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


def open_private(path: Path) -> IO[bytes]:
    """Opens a new or emptied file for writing that only its owner may read.

    A symbolic link in its place is an error: a stranger who may write to the
    folder must not be able to point us at another file.
    """
    flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC | os.O_NOFOLLOW
    return os.fdopen(os.open(path, flags, FILE_MODE), "wb")


def copy_sparse(source: Path, copy: Path) -> None:
    """Copies a file to a new private one without filling its holes."""
    with source.open("rb") as reader, open_private(copy) as writer:
        size = os.fstat(reader.fileno()).st_size
        writer.truncate(size)
        position = 0
        while position < size:
            try:
                start = os.lseek(reader.fileno(), position, os.SEEK_DATA)
            except OSError as problem:
                if problem.errno != errno.ENXIO:  # no more data, only a hole up to the end
                    raise
                break
            position = os.lseek(reader.fileno(), start, os.SEEK_HOLE)
            while start < position:
                portion = os.pread(reader.fileno(), min(_PORTION, position - start), start)
                if not portion:
                    raise OSError(errno.EIO, "the file became shorter while it was copied", str(source))
                os.pwrite(writer.fileno(), portion, start)
                start += len(portion)
