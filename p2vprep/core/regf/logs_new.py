"""The new transaction log (Windows 8.1, 2012 R2 and later): a chain of hashed entries.

After the base block come entries, each a multiple of 512 bytes long::

    0 "HvLE"  4 size  8 flags  12 sequence  16 hive bins size  20 number of pages
    24 hash of bytes 40 to the end  32 hash of bytes 0 to 31
    40 (offset inside the bins, size) of every page, then the pages' bytes

The first entry carries the base block's sequence number and each next one the
number after; behind the last one lie remnants of earlier use (regf specification;
every rule seen to hold on logs written by Windows 8.1 and 10).
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass

from p2vprep.core.regf.baseblock import MAX_BINS, PAGE, SECTOR, BaseBlock
from p2vprep.core.regf.marvin32 import marvin32

_MARK = b"HvLE"
_HEADER = struct.Struct("<4s I I I I I Q Q")
_REFERENCE = struct.Struct("<II")
_HASHED_HEADER = 32
_SEQUENCES = 1 << 32


class _Stop(Exception):  # noqa: N818 - it ends a walk, it is no fault
    """The walk over the entries ends here; the text says why, empty at the ordinary end."""


@dataclass(frozen=True, slots=True)
class LogEntry:
    """One entry with both hashes right: it applies whole or not at all."""

    sequence: int
    flags: int
    bins_size: int
    pages: tuple[tuple[int, memoryview], ...]
    """Offsets inside the bins with their bytes, both multiples of 512."""

    def writes(self) -> Iterator[tuple[int, memoryview]]:
        """The pages cut into sectors: offsets inside the bins, each with 512 bytes."""
        for offset, data in self.pages:
            for at in range(0, len(data), SECTOR):
                yield offset + at, data[at : at + SECTOR]


@dataclass(frozen=True, slots=True)
class EntryChain:
    """The entries Windows would take from one log, in order, and why it would stop there."""

    entries: tuple[LogEntry, ...]
    stop: str
    """Empty where the entries simply end."""


def next_sequence(number: int) -> int:
    """The sequence number after this one; they wrap at 32 bits."""
    return (number + 1) % _SEQUENCES


def read_chain(base: BaseBlock, raw: bytes) -> EntryChain:
    """The chain of entries that starts behind the base block of a log, every hash checked."""
    entries: list[LogEntry] = []
    at, expected = SECTOR, base.primary_sequence
    view = memoryview(raw)
    while True:
        try:
            entry, size = _entry(view[at:], expected)
        except _Stop as stop:
            return EntryChain(tuple(entries), str(stop))
        entries.append(entry)
        at, expected = at + size, next_sequence(expected)


def _entry(view: memoryview, expected: int) -> tuple[LogEntry, int]:
    if len(view) < _HEADER.size or view[:4] != _MARK:
        raise _Stop
    _, size, flags, sequence, bins_size, count, body_hash, header_hash = _HEADER.unpack_from(view)
    if marvin32(view[:_HASHED_HEADER]) != header_hash:
        raise _Stop(f"the entry where {expected} is expected has a wrong header hash")
    if sequence != expected:
        raise _Stop(f"entry {expected} is expected, but {sequence} follows")
    if size < SECTOR or size % SECTOR or not PAGE <= bins_size <= MAX_BINS or bins_size % PAGE:
        raise _Stop(f"entry {sequence} has an impossible size")
    if size > len(view):
        raise _Stop(f"entry {sequence} is cut off")
    if marvin32(view[_HEADER.size : size]) != body_hash:
        raise _Stop(f"entry {sequence} has a wrong hash")
    return LogEntry(sequence, flags, bins_size, _pages(view[:size], sequence, bins_size, count)), size


def _pages(view: memoryview, sequence: int, bins_size: int, count: int) -> tuple[tuple[int, memoryview], ...]:
    """The pages of an entry whose hashes are right; they can still be nonsense made on purpose."""
    at = _HEADER.size + count * _REFERENCE.size
    if not count or at > len(view):
        raise _Stop(f"entry {sequence} cannot hold the {count} pages it names")
    pages: list[tuple[int, memoryview]] = []
    for offset, size in _REFERENCE.iter_unpack(view[_HEADER.size : at]):
        fits = 0 < size <= len(view) - at and offset + size <= bins_size
        if not fits or offset % SECTOR or size % SECTOR:
            raise _Stop(f"entry {sequence} names an impossible page at 0x{offset:X}")
        pages.append((offset, view[at : at + size]))
        at += size
    return tuple(pages)


def sequences(raw: bytes) -> tuple[int, ...]:
    """The sequence numbers of all whole entry headers in a log, remnants of earlier use included."""
    found = []
    view = memoryview(raw)
    for at in range(SECTOR, len(raw) - _HEADER.size + 1, SECTOR):
        if view[at : at + 4] == _MARK:
            fields = _HEADER.unpack_from(view, at)
            if marvin32(view[at : at + _HASHED_HEADER]) == fields[7]:
                found.append(fields[3])
    return tuple(found)
