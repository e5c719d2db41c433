"""Partition tables written by hand: quick, the same every time, and independent of our reader."""

from __future__ import annotations

import struct
import uuid
import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import BinaryIO

SECTOR = 512


@dataclass(frozen=True)
class Slot:
    """One partition. Places in sectors; ``type`` is an MBR type or a GPT type GUID."""

    start: int
    sectors: int
    type: int | str
    active: bool = False
    logical: bool = False


def write_mbr(file: BinaryIO, slots: Sequence[Slot], signature: int = 0x50325650) -> None:
    """Primary partitions first; logical ones follow in one extended partition, a gap before each."""
    primaries = [slot for slot in slots if not slot.logical]
    logicals = [slot for slot in slots if slot.logical]
    entries = [_entry(slot, slot.start) for slot in primaries]
    if logicals:
        base = logicals[0].start - 1
        end = logicals[-1].start + logicals[-1].sectors
        entries.append(_entry(Slot(base, end - base, 0x0F), base))
        for slot, following in zip(logicals, [*logicals[1:], None], strict=True):
            chain = [_entry(slot, 1)]
            if following is not None:
                link = Slot(following.start - 1 - base, following.sectors + 1, 0x05)
                chain.append(_entry(link, link.start))
            _write(file, slot.start - 1, _boot_record(chain))
    _write(file, 0, _boot_record(entries, signature))


def _entry(slot: Slot, start: int) -> bytes:
    assert isinstance(slot.type, int)
    beyond = b"\xfe\xff\xff"
    status = 0x80 if slot.active else 0
    return struct.pack("<B3sB3sII", status, beyond, slot.type, beyond, start, slot.sectors)


def _boot_record(entries: Sequence[bytes], signature: int = 0) -> bytes:
    assert len(entries) <= 4
    return bytes(440) + struct.pack("<IH", signature, 0) + b"".join(entries).ljust(64, b"\0") + b"\x55\xaa"


def write_gpt(file: BinaryIO, slots: Sequence[Slot], total_sectors: int) -> None:
    """A protective MBR and both copies of the table."""
    _write(file, 0, _boot_record([_entry(Slot(1, total_sectors - 1, 0xEE), 1)]))
    table = b"".join(_gpt_entry(number, slot) for number, slot in enumerate(slots)).ljust(128 * 128, b"\0")
    last = total_sectors - 1
    for here, other, entries in ((1, last, 2), (last, 1, last - 32)):
        _write(file, entries, table)
        _write(file, here, _gpt_header(here, other, entries, total_sectors, zlib.crc32(table)))


def _gpt_entry(number: int, slot: Slot) -> bytes:
    assert isinstance(slot.type, str)
    kind = uuid.UUID(slot.type).bytes_le
    own = uuid.uuid5(uuid.NAMESPACE_OID, f"partition {number}").bytes_le
    name = f"partition {number + 1}".encode("utf-16-le").ljust(72, b"\0")
    return struct.pack("<16s16sQQQ72s", kind, own, slot.start, slot.start + slot.sectors - 1, 0, name)


def _gpt_header(here: int, other: int, entries: int, total: int, checksum: int) -> bytes:
    own = uuid.uuid5(uuid.NAMESPACE_OID, "disk").bytes_le
    layout = "<8sIIIIQQQQ16sQIII"
    fields = [b"EFI PART", 0x10000, 92, 0, 0, here, other, 34, total - 34, own, entries, 128, 128, checksum]
    fields[3] = zlib.crc32(struct.pack(layout, *fields))
    return struct.pack(layout, *fields)


def _write(file: BinaryIO, sector: int, content: bytes) -> None:
    file.seek(sector * SECTOR)
    file.write(content)
