"""The only home of libnbd: reading and writing the guest-visible disk, format by format the same.

``connect`` starts a private qemu-nbd for one image or overlay and ends it again.
"""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from typing import Any

from p2vprep.disk import qemu
from p2vprep.disk.image import Image, shown, stored_ranges
from p2vprep.disk.signals import undisturbed
from p2vprep.errors import CannotOpenError, FailedError

Range = tuple[int, int]
"""An offset and a length, in bytes."""
Progress = Callable[[int, int], None]
"""Told how many bytes of how many are done."""

_CHUNK = 8 << 20
_STATUS_SPAN = 2 << 30
_BLOCK = 64 << 10
_ZEROS = bytes(16 << 20)
_CONNECT_TIMEOUT = 60.0
_ALLOCATION = "base:allocation"
_DEPTH = "qemu:allocation-depth"
_ZERO_FLAG = 2
_TOP_LAYER = 1


class NbdDisk:
    """The disk as the guest sees it; all offsets and lengths are bytes.

    Every failure is a FailedError with code ``nbd-failed``.
    """

    def __init__(self, handle: Any, server: qemu.Server, target: qemu.Target, *, read_only: bool) -> None:
        self._handle = handle
        self._server = server
        self._subject = shown(target.path)
        self._is_base = isinstance(target, Image)
        self._base = target if isinstance(target, Image) else target.base
        self._base_changes = self._is_base and not read_only
        self.size: int = self._call(handle.get_size)
        # Some formats (VHDX) take whole sectors only.
        self._block: int = max(1, self._call(handle.get_block_size, _libnbd().SIZE_MINIMUM))

    def pread(self, offset: int, length: int) -> bytes:
        """Exactly the bytes asked for."""
        self._check(offset, length)
        first, last = self._whole_blocks(offset, length)
        pieces = [
            bytes(self._call(self._handle.pread, min(_CHUNK, last - start), start))
            for start in range(first, last, _CHUNK)
        ]
        return b"".join(pieces)[offset - first : offset - first + length]

    def pwrite(self, offset: int, data: bytes | memoryview) -> None:
        """Writes all of the data; it is on stable storage only after ``flush``."""
        self._check(offset, len(data))
        first, last = self._whole_blocks(offset, len(data))
        if (first, last) != (offset, offset + len(data)):
            around = bytearray(self.pread(first, last - first))
            around[offset - first : offset - first + len(data)] = data
            offset, data = first, bytes(around)
        view = memoryview(data)
        for start in range(0, len(data), _CHUNK):
            self._call(self._handle.pwrite, bytes(view[start : start + _CHUNK]), offset + start)

    def flush(self) -> None:
        """Everything written is on stable storage."""
        self._call(self._handle.flush)

    def allocated(self) -> Iterator[Range]:
        """The ranges that the topmost layer holds itself, in order, adjacent ones merged.

        For an overlay: all that was ever written to it, at the granularity of its clusters.
        """
        yield from _merged(
            (offset, length) for offset, length, depth in self._status(_DEPTH) if depth == _TOP_LAYER
        )

    def data(self) -> Iterator[Range]:
        """The ranges that may hold something else than zeros, in order, adjacent ones merged."""
        found = _merged(
            (offset, length) for offset, length, flags in self._status(_ALLOCATION) if not flags & _ZERO_FLAG
        )
        stored = None if self._base_changes else stored_ranges(self._base)
        if stored is None:
            return found
        own = () if self._is_base else self.allocated()
        return _common(found, _merged(sorted([*stored, *own])))

    def sha256(self, progress: Progress | None = None) -> str:
        """SHA-256 (hex) over the whole disk. Zeros need not be read, but do have to be hashed."""
        digest = hashlib.sha256()
        done = 0
        for offset, length in self.data():
            _hash_zeros(digest, done, offset, self.size, progress)
            for start in range(offset, offset + length, _CHUNK):
                digest.update(self.pread(start, min(_CHUNK, offset + length - start)))
                if progress:
                    progress(start, self.size)
            done = offset + length
        _hash_zeros(digest, done, self.size, self.size, progress)
        return digest.hexdigest()

    def fingerprint(self, progress: Progress | None = None) -> str:
        """A digest (hex) that is equal where size and content are, and quick on sparse disks.

        SHA-256 over the size and over position and content of every block of 64 KiB that is
        not all zeros; it does not depend on which format holds the disk, or how densely.
        """
        digest = hashlib.sha256(b"p2vprep.fingerprint/1" + self.size.to_bytes(8, "big"))
        for offset, length in _aligned(self.data(), self.size):
            for start in range(offset, offset + length, _CHUNK):
                chunk = self.pread(start, min(_CHUNK, offset + length - start))
                _hash_blocks(digest, start, chunk)
                if progress:
                    progress(start, self.size)
        return digest.hexdigest()

    def ranges_equal(self, other: NbdDisk, ranges: Iterable[Range]) -> bool:
        """True where both disks hold the same bytes in all the ranges."""
        return all(
            self.pread(start, count) == other.pread(start, count)
            for offset, length in ranges
            for start in range(offset, offset + length, _CHUNK)
            for count in (min(_CHUNK, offset + length - start),)
        )

    def _status(self, context: str) -> Iterator[tuple[int, int, int]]:
        """(offset, length, value) of a meta context over the whole disk."""
        offset = 0
        while offset < self.size:
            entries: list[int] = []

            def note(name: str, _start: int, found: list[int], _error: Any, into: list[int] = entries) -> int:
                if name == context:
                    into.extend(found)
                return 0

            self._call(self._handle.block_status, min(_STATUS_SPAN, self.size - offset), offset, note)
            if not entries or not entries[0]:
                raise self._failed(f"the server does not answer for {context}")
            for length, value in zip(entries[::2], entries[1::2], strict=True):
                usable = min(length, self.size - offset)
                if usable:
                    yield offset, usable, value
                offset += usable

    def _whole_blocks(self, offset: int, length: int) -> Range:
        """Beginning and end of the whole blocks around a range."""
        end = -(-(offset + length) // self._block) * self._block if length else offset
        return (offset // self._block * self._block if length else offset), end

    def _check(self, offset: int, length: int) -> None:
        if offset < 0 or length < 0 or offset + length > self.size:
            raise self._failed(f"bytes {offset} to {offset + length} are not on a disk of {self.size}")

    def _call(self, function: Callable[..., Any], *arguments: Any) -> Any:
        try:
            with undisturbed():
                return function(*arguments)
        except _libnbd().Error as error:
            raise self._failed(f"{error.string} {self._server.last_words()}".strip()) from error

    def _failed(self, reason: str) -> FailedError:
        return FailedError(
            f"The disk could not be read or written: {reason}.",
            code="nbd-failed",
            subject=self._subject,
            hint="Check the storage that the image lies on, and that nobody removed the image.",
        )


@contextmanager
def connect(target: qemu.Target, *, read_only: bool) -> Iterator[NbdDisk]:
    """The disk of an image or an overlay, served by a private qemu-nbd that ends with the context.

    CannotOpenError (``qemu-failed``) where QEMU cannot open it, or sees another size than
    our own reading of the header.
    """
    library = _libnbd()
    subject = shown(target.path)
    with qemu.serve(target, read_only=read_only) as server:
        handle = library.NBD()
        try:
            watchdog = threading.Timer(_CONNECT_TIMEOUT, server.kill)
            watchdog.daemon = True
            watchdog.start()
            try:
                handle.add_meta_context(_ALLOCATION)
                handle.add_meta_context(_DEPTH)
                handle.connect_unix(server.socket)
            except library.Error as error:
                raise _cannot_open(server.last_words() or error.string, subject) from error
            finally:
                watchdog.cancel()
            disk = NbdDisk(handle, server, target, read_only=read_only)
            expected = target.virtual_size if isinstance(target, Image) else target.base.virtual_size
            if disk.size != expected:
                raise _cannot_open(f"QEMU sees {disk.size} bytes, the header says {expected}", subject)
            yield disk
        finally:
            # The server ends when its client says good-bye; a broken connection needs none.
            with suppress(library.Error):
                handle.shutdown()


def _cannot_open(reason: str, subject: str) -> CannotOpenError:
    return CannotOpenError(
        f"QEMU cannot open the disk: {reason}.",
        code="qemu-failed",
        subject=subject,
        hint="The image may be damaged, in use, or its storage not reachable.",
    )


def _libnbd() -> Any:
    try:
        import nbd
    except ImportError as error:
        raise CannotOpenError(
            "The Python binding of libnbd is missing.",
            code="tool-missing",
            subject="libnbd",
            hint="Install python3-libnbd (Debian, Ubuntu, Fedora).",
        ) from error
    return nbd


def _merged(ranges: Iterable[Range]) -> Iterator[Range]:
    pending: Range | None = None
    for offset, length in ranges:
        if pending is not None and pending[0] + pending[1] >= offset:
            end = max(pending[0] + pending[1], offset + length)
            pending = (pending[0], end - pending[0])
            continue
        if pending is not None:
            yield pending
        pending = (offset, length)
    if pending is not None:
        yield pending


def _common(one: Iterable[Range], other: Iterable[Range]) -> Iterator[Range]:
    """What lies in both; each is in order and without overlaps."""
    left, right = iter(one), iter(other)
    a, b = next(left, None), next(right, None)
    while a is not None and b is not None:
        start, end = max(a[0], b[0]), min(a[0] + a[1], b[0] + b[1])
        if start < end:
            yield start, end - start
        if a[0] + a[1] == end:
            a = next(left, None)
        else:
            b = next(right, None)


def _aligned(ranges: Iterable[Range], size: int) -> Iterator[Range]:
    """The ranges widened to whole blocks, so that blocks are looked at as a whole."""

    def widened() -> Iterator[Range]:
        for offset, length in ranges:
            start = offset // _BLOCK * _BLOCK
            end = min(-(-(offset + length) // _BLOCK) * _BLOCK, size)
            yield start, end - start

    return _merged(widened())


def _hash_blocks(digest: Any, offset: int, chunk: bytes) -> None:
    for start in range(0, len(chunk), _BLOCK):
        block = chunk[start : start + _BLOCK]
        if block != _ZEROS[: len(block)]:
            digest.update((offset + start).to_bytes(8, "big"))
            digest.update(block)


def _hash_zeros(digest: Any, start: int, end: int, size: int, progress: Progress | None) -> None:
    zeros = memoryview(_ZEROS)
    for position in range(start, end, len(zeros)):
        digest.update(zeros[: min(len(zeros), end - position)])
        if progress:
            progress(position, size)
