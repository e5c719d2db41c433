"""Writes transaction logs as Windows leaves them beside a hive when it stops in the middle.

Given how a hive was and how it became, it makes the dirty primary file and its
logs in either format, and says what Windows would have after loading them. It
shares no code with the replay, so that an error there cannot hide behind the
same error here. The layout follows the public description by Maxim Suhanov
("Windows registry file format specification") and logs of Windows XP and 10.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import pairwise

from testdata.kit.hivewriter import BASE_BLOCK, header_checksum

PAGE = 4096
SECTOR = 512
SECOND = 10_000_000
"""One second in units of 100 ns."""

Pages = Sequence[tuple[int, bytes]]
"""Offsets inside the hive bins with the bytes there."""


@dataclass(frozen=True)
class DirtyHive:
    """A hive as found on a disk: the primary file, its logs, and what loading them gives."""

    primary: bytes
    logs: dict[str, bytes]
    recovered: bytes


def with_header(
    hive: bytes,
    *,
    sequences: tuple[int, int] | None = None,
    last_written: int | None = None,
    file_type: int | None = None,
    bins_size: int | None = None,
    flags: int | None = None,
) -> bytes:
    """The hive or log with fields of its base block set and the checksum made to match."""
    changed = bytearray(hive)
    for at, layout, value in (
        (12, "<Q", last_written),
        (28, "<I", file_type),
        (40, "<I", bins_size),
        (144, "<I", flags),
    ):
        if value is not None:
            struct.pack_into(layout, changed, at, value)
    if sequences is not None:
        struct.pack_into("<II", changed, 4, *sequences)
    struct.pack_into("<I", changed, 508, header_checksum(changed))
    return bytes(changed)


def marvin32(data: bytes) -> int:
    """The hash of log entries: Microsoft's Marvin32 with the seed of the format description."""
    low, high, full = 0x7A4E55C5, 0x82EF4D88, 0xFFFFFFFF
    padded = data + b"\x80" + bytes(-(len(data) + 1) % 4) + bytes(4)
    for word in struct.unpack(f"<{len(padded) // 4}I", padded):
        low = (low + word) & full
        high ^= low
        low = (((low << 20) | (low >> 12)) + high) & full
        high = (((high << 9) & full) | (high >> 23)) ^ low
        low = (((low << 27) | (low >> 5)) + high) & full
        high = ((high << 19) & full) | (high >> 13)
    return high << 32 | low


def changed_pages(before: bytes, after: bytes) -> list[tuple[int, bytes]]:
    """The pages of the hive bins that differ, or are new, with their bytes in ``after``."""
    return [
        (at - BASE_BLOCK, after[at : at + PAGE])
        for at in range(BASE_BLOCK, BASE_BLOCK + bins_size(after), PAGE)
        if before[at : at + PAGE] != after[at : at + PAGE]
    ]


def bins_size(hive: bytes) -> int:
    """The size of the hive bins that a hive's base block names."""
    return int(struct.unpack_from("<I", hive, 40)[0])


def _sequence(hive: bytes) -> int:
    return int(struct.unpack_from("<I", hive, 4)[0])


# --- the new format ----------------------------------------------------------------------------


def log_entry(
    sequence: int, hive_bins_size: int, pages: Pages, *, flags: int = 0, first: bool = False
) -> bytes:
    """One entry of a new-format log, both hashes right.

    As Windows does, it is padded to end at a multiple of 4096 bytes in the file;
    the ``first`` entry stands behind the 512 bytes of the base block.
    """
    references = b"".join(struct.pack("<II", offset, len(data)) for offset, data in pages)
    body = references + b"".join(data for _, data in pages)
    body += bytes(-(40 + len(body) + (SECTOR if first else 0)) % PAGE)
    header = struct.pack(
        "<4s5IQ", b"HvLE", 40 + len(body), flags, sequence, hive_bins_size, len(pages), marvin32(body)
    )
    return header + struct.pack("<Q", marvin32(header)) + body


def new_log(hive: bytes, sequence: int, entries: Iterable[bytes]) -> bytes:
    """A new-format log of a hive that begins with this sequence number."""
    sector = with_header(hive[:SECTOR], sequences=(sequence, sequence), file_type=6)
    return sector + b"".join(entries)


def write_new(
    states: Sequence[bytes],
    *,
    cut: int | None = None,
    earlier: str = "LOG1",
    flags: int = 0,
    sequence: int | None = None,
) -> DirtyHive:
    """A dirty hive of Windows 8.1 or later that went through these states, one log entry for each step.

    The primary file holds the first state. The entries before number ``cut`` are in the log
    named by ``earlier``, the others in the other one; without ``cut`` all are in one log.
    ``sequence`` numbers the first entry (else the first state's number does).
    """
    before, after = states[0], states[-1]
    begin = _sequence(before) if sequence is None else sequence
    count = len(states) - 1
    cut = count if cut is None else cut
    logs = {earlier: _chain(states[: cut + 1], begin, flags)}
    if cut < count:
        logs["LOG1" if earlier == "LOG2" else "LOG2"] = _chain(states[cut:], (begin + cut) % (1 << 32), flags)
    kept = before[:BASE_BLOCK] + after[BASE_BLOCK : BASE_BLOCK + bins_size(after)]
    kept += before[len(kept) :]
    number = (begin + count) % (1 << 32)
    locked = struct.unpack_from("<I", before, 144)[0] & ~1 | flags & 1
    recovered = with_header(kept, sequences=(number, number), bins_size=bins_size(after), flags=locked)
    primary = with_header(before, sequences=(_sequence(before) + 1, _sequence(before)))
    return DirtyHive(primary, logs, recovered)


def _chain(states: Sequence[bytes], begin: int, flags: int) -> bytes:
    """The log whose entries lead from the first to the last of these states."""
    entries = [
        log_entry(
            (begin + step) % (1 << 32), bins_size(new), changed_pages(old, new), flags=flags, first=not step
        )
        for step, (old, new) in enumerate(pairwise(states))
    ]
    return new_log(states[0], begin, entries)


def steps(before: bytes, after: bytes, count: int) -> list[bytes]:
    """States between two hives, the changed pages shared out over ``count`` steps in turn.

    Only the first and the last are whole hives; the size changes with the first step.
    """
    pages = changed_pages(before, after)
    states = [before]
    current = bytearray(before.ljust(len(after), b"\0"))
    struct.pack_into("<I", current, 40, bins_size(after))
    for step in range(count):
        for offset, data in pages[step::count]:
            current[BASE_BLOCK + offset : BASE_BLOCK + offset + PAGE] = data
        states.append(bytes(current))
    return states


# --- the old format ----------------------------------------------------------------------------


def old_log(hive: bytes, pages: Pages, *, sequence: int, file_type: int = 1) -> bytes:
    """An old-format log: the hive's base block, the bitmap of dirty sectors, and the sectors.

    ``pages`` are multiples of 512 bytes, sorted by offset.
    """
    sector = with_header(hive[:SECTOR], sequences=(sequence, sequence), file_type=file_type)
    bitmap = bytearray(bins_size(hive) // PAGE)
    for offset, data in pages:
        for number in range(offset // SECTOR, (offset + len(data)) // SECTOR):
            bitmap[number // 8] |= 1 << number % 8
    vector = b"DIRT" + bytes(bitmap)
    vector += bytes(-len(vector) % SECTOR)
    return sector + vector + b"".join(data for _, data in pages)


def write_old(
    before: bytes,
    after: bytes,
    *,
    name: str = "LOG",
    file_type: int = 1,
    written: int = 0,
    flags: int | None = None,
) -> DirtyHive:
    """A hive whose changes Windows 2000 to 8 had in the log, but only partly in the primary file.

    ``written`` of the changed pages had reached it. The base block and the first bin carry the
    time of the write. With the one log of 2000 to 2003 the primary's number is one above the
    log's; with LOG1 or LOG2 of Vista and later they are the same.
    """
    number, (now,) = _sequence(before), struct.unpack_from("<Q", before, 12)
    now += SECOND
    target = bytearray(with_header(after, last_written=now, flags=flags))
    struct.pack_into("<Q", target, BASE_BLOCK + 20, now)
    pages = changed_pages(before, bytes(target))
    log = old_log(bytes(target), pages, sequence=number + 1, file_type=file_type)
    number += 2 if name == "LOG" else 1
    primary = bytearray(target[:BASE_BLOCK] + before[BASE_BLOCK:].ljust(len(target) - BASE_BLOCK, b"\0"))
    for offset, data in pages[:written]:
        primary[BASE_BLOCK + offset : BASE_BLOCK + offset + PAGE] = data
    end = BASE_BLOCK + bins_size(after)
    recovered = bytes(target[:end]) + bytes(primary[end:])
    return DirtyHive(
        with_header(bytes(primary), sequences=(number, number - 1)),
        {name: log},
        with_header(recovered, sequences=(number, number)),
    )
