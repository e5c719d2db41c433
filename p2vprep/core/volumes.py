"""What a volume is, by its first bytes, and the state that Windows left an NTFS volume in.

Sources: the NTFS boot sector, MFT record, ``$Volume`` and ``$LogFile`` layouts as
documented by the Linux-NTFS project and used by ntfs-3g; FAT by Microsoft's
"FAT: General Overview of On-Disk Format"; BitLocker's two signatures as seen on
real volumes (Vista, 7, 10, To Go).
"""

from __future__ import annotations

import struct
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

Fetch = Callable[[int, int], bytes]
"""Bytes of a volume: offset, length; shorter at its end."""

VolumeKind = Literal["ntfs", "fat", "exfat", "refs", "bitlocker", "linux", "empty", "unknown"]

FIRST_BYTES = 8192
"""How many of a volume's first bytes :func:`identify` wants to see."""

WORDS: dict[VolumeKind, str] = {
    "ntfs": "NTFS",
    "fat": "FAT",
    "exfat": "exFAT",
    "refs": "ReFS",
    "bitlocker": "encrypted by BitLocker",
    "linux": "a Linux file system, LVM or swap",
    "empty": "no file system (zeros)",
    "unknown": "no file system that is known",
}
"""The kinds in words for people."""

_TO_GO = bytes.fromhex("3bd66749292ed84a8399f6a339e3d001")
"""The GUID 4967D63B-2E29-4AD8-8399-F6A339E3D001 that BitLocker writes into boot sectors."""

_LINUX = ((1080, b"\x53\xef"), (512, b"LABELONE"), (4086, b"SWAPSPACE2"), (0, b"XFSB"), (0, b"LUKS\xba\xbe"))


def identify(first: bytes) -> VolumeKind:
    """What a volume is. BitLocker To Go looks like FAT otherwise, so BitLocker is asked first."""
    if first[3:11] == b"-FVE-FS-" or _TO_GO in (first[160:176], first[424:440]):
        return "bitlocker"
    if first[3:11] == b"NTFS    ":
        return "ntfs"
    if first[3:7] == b"ReFS":
        return "refs"
    if first[3:11] == b"EXFAT   ":
        return "exfat"
    if _is_fat(first):
        return "fat"
    if any(first[place : place + len(magic)] == magic for place, magic in _LINUX):
        return "linux"
    return "unknown" if first.strip(b"\0") else "empty"


def _is_fat(first: bytes) -> bool:
    if len(first) < 512 or first[510:512] != b"\x55\xaa":
        return False
    sector, cluster, reserved, fats = struct.unpack_from("<HBHB", first, 11)
    return (
        sector in (512, 1024, 2048, 4096)
        and cluster in (1, 2, 4, 8, 16, 32, 64, 128)
        and reserved > 0
        and fats in (1, 2)
        and (first[21] == 0xF0 or first[21] >= 0xF8)
    )


@dataclass(frozen=True)
class NtfsState:
    """The state of an NTFS volume.

    ``dirty``: Windows wants to check it (flag 1 of ``$Volume``). ``log`` is ``clean``, ``unclean`` (not
    unmounted: crash, or a copy of a running system), ``cached`` (``$LogFile`` 2.0: Windows keeps
    metadata in a saved session, as Fast Startup does; ntfs-3g mounts it read-only) or ``unknown``.
    """

    dirty: bool
    log: Literal["clean", "unclean", "cached", "unknown"]


def ntfs_state(fetch: Fetch) -> NtfsState:
    """Reads the state from a volume's ``$Volume`` and ``$LogFile``. Raises ValueError where it cannot."""
    try:
        shape = NtfsShape.of(fetch(0, 512))
        information = _attribute(shape.record(fetch, 3), 0x70)
        start, size = (
            struct.unpack_from("<HxxI", information, 20)[0],
            struct.unpack_from("<I", information, 16)[0],
        )
        if size < 12:
            raise ValueError("$VOLUME_INFORMATION is too short")
        (flags,) = struct.unpack_from("<H", information, start + 10)
        log = _attribute(shape.record(fetch, 2), 0x80)
        return NtfsState(bool(flags & 1), _log_state(fetch, shape, log))
    except (struct.error, IndexError) as problem:
        raise ValueError(f"NTFS structures that end too early ({problem})") from problem


@dataclass(frozen=True)
class NtfsShape:
    """Sizes in bytes, and where the MFT begins."""

    sector: int
    cluster: int
    table: int
    record_size: int

    @staticmethod
    def of(boot: bytes) -> NtfsShape:
        sector, clusters = struct.unpack_from("<HB", boot, 11)
        cluster = sector * clusters if clusters <= 0x80 else sector << (256 - clusters)
        (table,) = struct.unpack_from("<q", boot, 48)
        (record,) = struct.unpack_from("<b", boot, 64)
        size = record * cluster if record > 0 else 1 << -record
        if boot[3:11] != b"NTFS    " or sector not in (256, 512, 1024, 2048, 4096) or not cluster:
            raise ValueError("not an NTFS boot sector")
        if not 256 <= size <= 65536 or table <= 0:
            raise ValueError("an NTFS boot sector with absurd numbers")
        return NtfsShape(sector, cluster, table * cluster, size)

    def record(self, fetch: Fetch, number: int) -> bytes:
        """An MFT record; the first sixteen always lie together where the boot sector says."""
        raw = fetch(self.table + number * self.record_size, self.record_size)
        if raw[:4] != b"FILE" or len(raw) != self.record_size:
            raise ValueError(f"MFT record {number} is damaged")
        return unfixed(raw)


def unfixed(raw: bytes) -> bytes:
    """The record with the last two bytes of each 512 put back from the update sequence array."""
    start, count = struct.unpack_from("<HH", raw, 4)
    whole = bytearray(raw)
    for index in range(1, count):
        end = index * 512
        if end > len(raw) or raw[end - 2 : end] != raw[start : start + 2]:
            raise ValueError("a record torn in the middle of a write")
        whole[end - 2 : end] = raw[start + 2 * index : start + 2 * index + 2]
    return bytes(whole)


def _attribute(record: bytes, wanted: int) -> bytes:
    """The unnamed attribute of a type, from its header on."""
    (place,) = struct.unpack_from("<H", record, 20)
    while place + 8 <= len(record):
        kind, length = struct.unpack_from("<II", record, place)
        if kind == 0xFFFFFFFF or length < 16:
            break
        if kind == wanted and record[place + 9] == 0:
            return record[place : place + length]
        place += length
    raise ValueError(f"an MFT record without attribute 0x{wanted:X}")


def _log_state(
    fetch: Fetch, shape: NtfsShape, attribute: bytes
) -> Literal["clean", "unclean", "cached", "unknown"]:
    if attribute[8] == 0:
        return "unknown"
    (runs,) = struct.unpack_from("<H", attribute, 32)
    lengths = attribute[runs]
    lcn_at = runs + 1 + (lengths & 15)
    lcn = int.from_bytes(attribute[lcn_at : lcn_at + (lengths >> 4)], "little", signed=True)
    start = lcn * shape.cluster
    first = fetch(start, 4096)
    if not first.strip(b"\xff"):
        return "clean"  # as ntfs-3g and chkdsk leave it: emptied
    pages = [first]
    if first[:4] == b"RSTR":
        (page_size,) = struct.unpack_from("<I", first, 16)
        if 512 <= page_size <= 65536:
            pages.append(fetch(start + page_size, 4096))
    areas = [area for page in pages if (area := _restart_area(page)) is not None]
    if not areas:
        return "unknown"
    _, cached, clean = max(areas)
    return "cached" if cached else "clean" if clean else "unclean"


def _restart_area(page: bytes) -> tuple[int, bool, bool] | None:
    """LSN, whether the log is of version 2.0, whether it is clean; None where this is no restart page."""
    if page[:4] != b"RSTR":
        return None
    area, minor, major = struct.unpack_from("<Hhh", page, 24)
    lsn, _, _, in_use, flags = struct.unpack_from("<QHHHH", page, area)
    return lsn, (major, minor) == (2, 0), in_use == 0xFFFF or bool(flags & 2)


HIBERNATED_SIGNATURES = (b"hibr", b"HIBR", b"wake", b"WAKE")
"""How hiberfil.sys begins while it holds a session; a resumed or unused one is zeroed or says RSTR."""


def is_hibernated(first: bytes) -> bool:
    """Whether a hiberfil.sys with these first bytes holds a session."""
    return first[:4] in HIBERNATED_SIGNATURES
