"""The few NTFS structures that tell a volume's state, made by hand: boot sector, two MFT records, a log."""

from __future__ import annotations

import struct
from pathlib import Path
from typing import BinaryIO

CLUSTER = 4096
_TABLE = 4
"""The cluster of the MFT."""
_LOG = 8
"""The cluster of ``$LogFile``'s data."""
SIZE = 16 * CLUSTER
"""How many bytes :func:`ntfs_head` returns."""


def ntfs_head(*, dirty: bool = False, log: str = "clean", size: int = 64 << 20) -> bytes:
    """The first bytes of an NTFS volume; ``log`` is clean, emptied, unclean or cached."""
    image = bytearray(SIZE)
    boot = struct.pack("<3s8sHB", b"\xeb\x52\x90", b"NTFS    ", 512, CLUSTER // 512)
    image[: len(boot)] = boot
    struct.pack_into("<B", image, 21, 0xF8)
    struct.pack_into("<QQQ", image, 40, size // 512 - 1, _TABLE, 2)
    struct.pack_into("<b", image, 64, -10)  # records of 2 to the 10th bytes
    image[510:512] = b"\x55\xaa"
    information = struct.pack("<8xBBH", 3, 1, int(dirty))
    _put_record(image, 2, _non_resident(0x80, _LOG, 4))
    _put_record(image, 3, _resident(0x60, b"") + _resident(0x70, information))
    place = _LOG * CLUSTER
    image[place : place + 2 * CLUSTER] = _log(log)
    return bytes(image)


def fat_head() -> bytes:
    """The boot sector of a FAT32 volume."""
    sector = bytearray(512)
    sector[:3], sector[3:11] = b"\xeb\x58\x90", b"MSWIN4.1"
    struct.pack_into("<HBHB", sector, 11, 512, 8, 32, 2)
    sector[21], sector[82:90], sector[510:512] = 0xF8, b"FAT32   ", b"\x55\xaa"
    return bytes(sector)


def _put_record(image: bytearray, number: int, attributes: bytes) -> None:
    record = bytearray(1024)
    content = attributes + b"\xff\xff\xff\xff"
    struct.pack_into("<4sHHQHHHHII", record, 0, b"FILE", 48, 3, 0, 1, 1, 56, 1, 56 + len(content), 1024)
    record[56 : 56 + len(content)] = content
    check = b"\x07\x00"
    record[48:50] = check
    for index, end in ((1, 512), (2, 1024)):
        record[48 + 2 * index : 50 + 2 * index] = record[end - 2 : end]
        record[end - 2 : end] = check
    place = _TABLE * CLUSTER + number * 1024
    image[place : place + 1024] = record


def _resident(kind: int, content: bytes) -> bytes:
    padded = content.ljust(-(-len(content) // 8) * 8, b"\0")
    return struct.pack("<IIBBHHHIHH", kind, 24 + len(padded), 0, 0, 24, 0, 0, len(content), 24, 0) + padded


def _non_resident(kind: int, cluster: int, clusters: int) -> bytes:
    size = clusters * CLUSTER
    head = struct.pack(
        "<IIBBHHHQQHH4xQQQ", kind, 72, 1, 0, 64, 0, 0, 0, clusters - 1, 64, 0, size, size, size
    )
    return head + bytes([0x11, clusters, cluster, 0, 0, 0, 0, 0])


def _log(state: str) -> bytes:
    if state == "emptied":
        return b"\xff" * (2 * CLUSTER)
    page = bytearray(CLUSTER)
    major = 2 if state == "cached" else 1
    minor = 0 if state == "cached" else 1
    struct.pack_into("<4sHHQIIHhh", page, 0, b"RSTR", 30, 9, 0, CLUSTER, CLUSTER, 64, minor, major)
    in_use, flags = (0xFFFF, 2) if state == "clean" else (0, 0)
    older = bytearray(page)
    struct.pack_into("<QHHHH", page, 64, 2000, 1, 0xFFFF, in_use, flags)
    struct.pack_into("<hh", older, 26, 1, 1)
    struct.pack_into("<QHHHH", older, 64, 1000, 1, 0xFFFF, 0xFFFF, 2)
    return bytes(page) + bytes(older)


def mark_dirty(path: Path, start: int) -> None:
    """Sets the dirty flag of the real NTFS volume at an offset of a raw disk, in the MFT and its mirror."""
    with path.open("r+b") as file:
        file.seek(start)
        boot = file.read(512)
        cluster = struct.unpack_from("<H", boot, 11)[0] * boot[13]
        for table in struct.unpack_from("<qq", boot, 48):
            _mark_record_dirty(file, start + table * cluster + 3 * 1024)


def _mark_record_dirty(file: BinaryIO, record_at: int) -> None:
    file.seek(record_at)
    record = file.read(1024)
    place = struct.unpack_from("<H", record, 20)[0]
    while struct.unpack_from("<I", record, place)[0] != 0x70:
        place += struct.unpack_from("<I", record, place + 4)[0]
    flags_at = place + struct.unpack_from("<H", record, place + 20)[0] + 10
    assert flags_at < 510
    file.seek(record_at + flags_at)
    file.write(bytes([record[flags_at] | 1]))


def mark_cached(path: Path) -> None:
    """Makes the real ``$LogFile`` on a raw disk one of version 2.0, as Fast Startup leaves it."""
    content = bytearray(path.read_bytes())
    pages = [place for place in range(0, len(content), 512) if content[place : place + 4] == b"RSTR"]
    assert pages, "a volume that Windows made has restart pages"
    for place in pages:
        struct.pack_into("<hh", content, place + 26, 0, 2)
    path.write_bytes(content)
