"""The partition table of a disk, read by ourselves: MBR with logical partitions, GPT, or none at all.

libguestfs would ask parted, which takes a second per question under emulation.
Numbers are those of the Linux kernel, so ``/dev/sda5`` is the first logical
partition and a GPT partition has the number of its entry plus one.
"""

from __future__ import annotations

import struct
import uuid
import zlib
from dataclasses import dataclass
from typing import Literal

from p2vprep.core.volumes import FIRST_BYTES, Fetch, identify

Table = Literal["mbr", "gpt", "none"]

_SECTOR = 512
_EXTENDED = (0x05, 0x0F, 0x85)
_PROTECTIVE = 0xEE
_MAX_LOGICAL = 128
_MAX_GPT_BYTES = 1 << 20

LDM_MBR = "42"
LDM_GPT = ("5808C8AA-7E8F-42E0-85D2-E1E90434CFB3", "AF9B60A0-1431-4F62-BC68-3311714A69AD")
STORAGE_SPACES = "E75CAF8F-F680-4CEE-AFA3-B001E56EFC2D"
ESP = "C12A7328-F81F-11D2-BA4B-00A0C93EC93B"
MICROSOFT_RESERVED = "E3C9E316-0B5C-4DB8-817D-F92DF00215AE"
RECOVERY = ("27", "DE94BBA4-06D1-4D40-A16A-BFD50179D6AC")


@dataclass(frozen=True)
class Partition:
    """One partition; the whole disk, number 0, where there is no table. Places in bytes."""

    disk: int
    """The index of the disk."""
    number: int
    device: str
    start: int
    size: int
    """0 for a whole disk, whose size nobody needs."""
    type: str
    """The MBR type as two hex digits, or the GPT type GUID, in upper case; empty for a whole disk."""
    active: bool = False


@dataclass(frozen=True)
class Layout:
    """A disk's table. ``problem`` says what is wrong with it, or is empty."""

    table: Table
    partitions: tuple[Partition, ...]
    problem: str = ""


def device_name(index: int) -> str:
    """The device of the disk at an index: sda … sdz, sdaa …; libguestfs keeps these names for any bus."""
    letters = ""
    index += 1
    while index:
        index, rest = divmod(index - 1, 26)
        letters = chr(ord("a") + rest) + letters
    return f"/dev/sd{letters}"


def read_layout(fetch: Fetch, disk: int, device: str) -> Layout:
    """Reads a disk's table; damage never raises but is told in ``problem``."""
    first = fetch(0, FIRST_BYTES)
    if identify(first) not in ("unknown", "empty", "linux"):
        return Layout("none", (Partition(disk, 0, device, 0, 0, ""),))
    if first[510:512] != b"\x55\xaa":
        return Layout("none", (), "there is neither a partition table nor a file system")
    entries = [_MbrEntry.at(first, number) for number in range(4)]
    if any(entry.type == _PROTECTIVE for entry in entries):
        return _read_gpt(fetch, first, disk, device)
    return _read_mbr(fetch, entries, disk, device)


@dataclass(frozen=True)
class _MbrEntry:
    active: bool
    type: int
    start: int
    sectors: int

    @staticmethod
    def at(sector: bytes, number: int) -> _MbrEntry:
        status, kind, start, sectors = struct.unpack_from("<B3xB3xII", sector, 446 + 16 * number)
        return _MbrEntry(status == 0x80, kind, start, sectors)

    @property
    def used(self) -> bool:
        return self.type != 0 and self.sectors != 0

    def partition(self, disk: int, device: str, number: int, base: int = 0) -> Partition:
        place, size = (base + self.start) * _SECTOR, self.sectors * _SECTOR
        name = f"{device}{number}"
        return Partition(disk, number, name, place, size, f"{self.type:02X}", self.active)


def _read_mbr(fetch: Fetch, entries: list[_MbrEntry], disk: int, device: str) -> Layout:
    found, problem = [], ""
    for number, entry in enumerate(entries, 1):
        if entry.used and entry.type in _EXTENDED:
            logical, problem = _read_logical(fetch, entry.start, disk, device)
            found += logical
        elif entry.used:
            found.append(entry.partition(disk, device, number))
    if not found and not problem:
        problem = "the partition table is empty"
    return Layout("mbr", tuple(sorted(found, key=lambda partition: partition.number)), problem)


def _read_logical(fetch: Fetch, base: int, disk: int, device: str) -> tuple[list[Partition], str]:
    """The chain of logical partitions from an extended partition's start; bounded, loops end it."""
    found: list[Partition] = []
    here, seen = base, set[int]()
    while here not in seen and len(found) < _MAX_LOGICAL:
        seen.add(here)
        sector = fetch(here * _SECTOR, _SECTOR)
        if len(sector) < _SECTOR or sector[510:512] != b"\x55\xaa":
            return found, "the chain of logical partitions is broken"
        links = []
        for entry in (_MbrEntry.at(sector, number) for number in range(4)):
            if entry.used and entry.type in _EXTENDED:
                links.append(base + entry.start)
            elif entry.used:
                found.append(entry.partition(disk, device, 5 + len(found), here))
        if not links:
            return found, ""
        here = links[0]
    return found, "the chain of logical partitions has no end"


def _read_gpt(fetch: Fetch, first: bytes, disk: int, device: str) -> Layout:
    header = first[_SECTOR : 2 * _SECTOR]
    if header[:8] != b"EFI PART":
        if first[4096:4104] == b"EFI PART":
            return Layout("gpt", (), "the disk has sectors of 4096 bytes, which is not supported")
        return Layout("gpt", (), "the GPT is missing or damaged")
    (length, checksum) = struct.unpack_from("<II", header, 12)
    (entries_at, count, size, table_checksum) = struct.unpack_from("<QIII", header, 72)
    blank = header[:16] + bytes(4) + header[20:length]
    sane = 92 <= length <= _SECTOR and 128 <= size <= 4096 and 0 < count * size <= _MAX_GPT_BYTES
    if not sane or zlib.crc32(blank) != checksum:
        return Layout("gpt", (), "the GPT's header is damaged")
    table = fetch(entries_at * _SECTOR, count * size)
    if zlib.crc32(table) != table_checksum:
        return Layout("gpt", (), "the GPT's entries are damaged")
    found = []
    for index in range(count):
        kind, start, last = struct.unpack_from("<16s16xQQ", table, index * size)
        if kind.strip(b"\0") and start <= last:
            name = f"{device}{index + 1}"
            guid = str(uuid.UUID(bytes_le=kind)).upper()
            place, bytes_long = start * _SECTOR, (last - start + 1) * _SECTOR
            found.append(Partition(disk, index + 1, name, place, bytes_long, guid))
    return Layout("gpt", tuple(found), "" if found else "the partition table is empty")
