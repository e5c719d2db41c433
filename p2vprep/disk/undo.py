"""Undo data: what a run changes on a disk, with the content before and a digest of the content after.

For every range of the virtual disk that a run writes, ``undo-N.json`` has its
offset and length (bytes), the SHA-256 of its content before and after, and where
the content before lies in ``undo-N.data`` (null where it was all zeros, which
needs no room). Nothing here knows containers: a disk is anything that reads and
writes at offsets of the virtual disk.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from p2vprep.disk.durable import Durable, open_private
from p2vprep.errors import FailedError

SCHEMA = "p2vprep.undo/1"
CHUNK = 1 << 20
"""No range is longer than this (bytes), so that memory stays bounded."""
SECTOR = 512


class Readable(Protocol):
    """The reading half of a disk."""

    def pread(self, offset: int, length: int, /) -> bytes: ...


class Writable(Readable, Protocol):
    """A disk that can be written to."""

    def pwrite(self, offset: int, data: bytes, /) -> None: ...

    def flush(self) -> None: ...


@dataclass(frozen=True, slots=True)
class Range:
    """One changed range; ``stored`` is where its content before lies in the data file, None for zeros."""

    offset: int
    length: int
    before: str
    after: str
    stored: int | None


@dataclass(frozen=True)
class Undo:
    """The undo data of one disk: the index in memory, the content in ``data``."""

    data: Path
    virtual_size: int
    ranges: tuple[Range, ...]

    @property
    def changed_bytes(self) -> int:
        """How many bytes of the virtual disk the run writes."""
        return sum(item.length for item in self.ranges)

    @property
    def stored_bytes(self) -> int:
        """How many bytes the data file has."""
        return sum(item.length for item in self.ranges if item.stored is not None)

    def contents(self) -> Iterator[tuple[Range, bytes]]:
        """Every range with its content before, proved by its digest.

        Raises FailedError ``undo-damaged`` where the data are not what was saved.
        """
        try:
            with self.data.open("rb") as stream:
                for item in self.ranges:
                    yield item, _content(item, stream.fileno(), self.data)
        except OSError as problem:
            raise undo_damaged(self.data, problem.strerror or str(problem)) from problem

    def verify(self) -> None:
        """Reads everything back. Raises FailedError ``undo-damaged``."""
        for _item, _before in self.contents():
            pass

    def differing(self, disk: Readable, *, after: bool) -> tuple[Range, ...]:
        """The ranges that do not hold the content after (or before) the run."""
        return tuple(
            item
            for item in self.ranges
            if _digest(disk.pread(item.offset, item.length)) != (item.after if after else item.before)
        )

    def write_back(self, disk: Writable) -> None:
        """Puts the content before back into every range and flushes. Can be repeated."""
        for item, before in self.contents():
            # What is as before is not written: in a hole of a full file system even zeros need room.
            if disk.pread(item.offset, item.length) != before:
                disk.pwrite(item.offset, before)
        disk.flush()

    def foreign(self, base: Readable, planned: Readable) -> tuple[Range, ...]:
        """The ranges in which the disk holds a sector that is neither as before nor as planned.

        A commit that was cut off leaves a mixture of the two, sector by sector;
        anything else was written by somebody since.
        """
        strange = []
        for item, before in self.contents():
            now = base.pread(item.offset, item.length)
            if now != before and not _mixture(now, before, planned.pread(item.offset, item.length)):
                strange.append(item)
        return tuple(strange)


def record(
    base: Readable,
    planned: Readable,
    virtual_size: int,
    ranges: Iterable[tuple[int, int]],
    index: Path,
    data: Path,
    durable: Durable,
) -> Undo:
    """Saves the undo data of a run that has not yet touched the base; durable when it returns.

    ``ranges`` are (offset, length) pairs of what the overlay holds, in any
    portions; ``planned`` is the disk seen through the overlay. OSErrors pass through.
    """
    items = []
    with durable.step(f"undo-data:{data.name}"), open_private(data) as stream:
        position = 0
        for offset, length in chunks(ranges, virtual_size):
            before, after = base.pread(offset, length), planned.pread(offset, length)
            zeros = before.count(0) == length
            items.append(Range(offset, length, _digest(before), _digest(after), None if zeros else position))
            if not zeros:
                stream.write(before)
                position += length
        durable.sync_open_file(stream, data)
    undo = Undo(data, virtual_size, tuple(items))
    durable.write_document(index, _to_json(undo), f"undo-index:{index.name}")
    _forget_cache(data)
    return undo


def load(index: Path, data: Path) -> Undo:
    """The undo data saved earlier. Raises FailedError ``undo-damaged``."""
    try:
        undo = _from_json(json.loads(index.read_bytes()), data)
    except OSError as problem:
        raise undo_damaged(index, problem.strerror or str(problem)) from problem
    except (ValueError, KeyError, TypeError) as problem:
        raise undo_damaged(index, f"{type(problem).__name__}: {problem}") from problem
    return undo


def chunks(ranges: Iterable[tuple[int, int]], virtual_size: int) -> Iterator[tuple[int, int]]:
    """The ranges cut to the size of the disk and into portions of at most :data:`CHUNK` bytes."""
    for offset, length in ranges:
        end = min(offset + length, virtual_size)
        while offset < end:
            portion = min(CHUNK, end - offset)
            yield offset, portion
            offset += portion


def undo_damaged(path: Path, why: str) -> FailedError:
    """The error for undo data that are missing or not what was saved."""
    return FailedError(
        "The undo data are missing or damaged.",
        code="undo-damaged",
        subject=str(path),
        hint="Restore the state folder from a backup, or restore the image itself.",
        details=(why,),
    )


def _content(item: Range, descriptor: int, data: Path) -> bytes:
    content = bytes(item.length) if item.stored is None else os.pread(descriptor, item.length, item.stored)
    if _digest(content) != item.before:
        raise undo_damaged(data, f"the content saved for offset {item.offset} is not what was saved")
    return content


def _mixture(now: bytes, before: bytes, planned: bytes) -> bool:
    """Whether every sector of ``now`` is the one before or the planned one."""
    return all(
        now[start : start + SECTOR] in (before[start : start + SECTOR], planned[start : start + SECTOR])
        for start in range(0, len(now), SECTOR)
    )


def _forget_cache(path: Path) -> None:
    """Lets the kernel drop its copy, so that reading back tests what is on the storage."""
    with path.open("rb") as stream:
        os.posix_fadvise(stream.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)


def _digest(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def _to_json(undo: Undo) -> dict[str, object]:
    return {
        "schema": SCHEMA,
        "virtual_size": undo.virtual_size,
        "columns": ["offset", "length", "before", "after", "stored"],
        "ranges": [[item.offset, item.length, item.before, item.after, item.stored] for item in undo.ranges],
    }


def _from_json(document: object, data: Path) -> Undo:
    if not isinstance(document, dict) or document["schema"] != SCHEMA:
        raise ValueError(f"not a {SCHEMA} document")
    virtual_size = document["virtual_size"]
    if not isinstance(virtual_size, int):
        raise TypeError("no virtual size")
    ranges = tuple(_range(entry) for entry in document["ranges"])
    if any(item.offset + item.length > virtual_size for item in ranges):
        raise ValueError("a range lies beyond the end of the disk")
    return Undo(data, virtual_size, ranges)


def _range(entry: object) -> Range:
    if not isinstance(entry, list) or len(entry) != 5:
        raise ValueError("a range has five columns")
    offset, length, before, after, stored = entry
    numbers = [offset, length, 0 if stored is None else stored]
    if not all(isinstance(number, int) and number >= 0 for number in numbers) or not 0 < length <= CHUNK:
        raise ValueError(f"not a range: {entry!r}")
    if not isinstance(before, str) or not isinstance(after, str):
        raise TypeError("no digests")
    return Range(offset, length, before, after, stored)
