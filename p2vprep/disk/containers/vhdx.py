"""VHDX, the format of Hyper-V since 2012 (Microsoft open specification MS-VHDX).

All numbers are little-endian. Two headers and two region tables carry CRC-32C; the
header with the larger sequence number is the current one. A log GUID that is not zero
says that the last writes are only in the log.
"""

from __future__ import annotations

import sys
from array import array
from collections.abc import Iterator
from dataclasses import dataclass
from uuid import UUID

from p2vprep.disk.containers.base import (
    Concern,
    Container,
    Source,
    check_size,
    damaged,
    delta,
    is_power_of_two,
    refused,
    truncated,
    unpack,
)

SIGNATURE = b"vhdxfile"
_KIB, _MIB = 1 << 10, 1 << 20
_HEADERS = (64 * _KIB, 128 * _KIB)
_REGION_TABLES = (192 * _KIB, 256 * _KIB)
_BAT = UUID("2dc27766-f623-4200-9d64-115e9bfd4a08")
_METADATA = UUID("8b7ca206-4790-4b9a-b8fe-575f050f886e")
_FILE_PARAMETERS = UUID("caa16737-fa36-4d43-b3b6-33f0aa44e76b")
_DISK_SIZE = UUID("2fa54224-cd1b-4876-b211-5dbed83bf4b8")
_LOGICAL_SECTOR = UUID("8141bf1d-a96f-4709-ba47-f233a8faab5f")
_PARENT_LOCATOR = UUID("a8d35f2d-b30b-454d-abf7-d3d84834ab0c")
_PHYSICAL_SECTOR = UUID("cda348c7-445d-4471-9cc9-e9885251c556")
_DISK_ID = UUID("beca12ab-b2e6-4523-93ef-c309e000c746")
_KNOWN_ITEMS = {_FILE_PARAMETERS, _DISK_SIZE, _LOGICAL_SECTOR, _PHYSICAL_SECTOR, _DISK_ID, _PARENT_LOCATOR}
_REQUIRED_ITEM = 4
_TABLE_PIECE = 8 * _MIB
_FIRST_PRESENT_STATE = 6

_DIRTY_LOG = Concern(
    "vhdx-dirty-log",
    "The VHDX was not closed cleanly: its last writes are only in its log, and reading it "
    "means replaying the log, which changes the file before any undo exists.",
    "Attach and detach it once on the Hyper-V host, or copy the file and run "
    "`qemu-img check -r all` on the copy; `--allow vhdx-dirty-log` replays the log in this file.",
)


def crc32c(data: bytes) -> int:
    """CRC-32C (Castagnoli), as MS-VHDX uses it."""
    value = 0xFFFFFFFF
    for byte in data:
        value = _CRC_TABLE[(value ^ byte) & 0xFF] ^ (value >> 8)
    return value ^ 0xFFFFFFFF


def _crc_table() -> list[int]:
    table = []
    for byte in range(256):
        value = byte
        for _ in range(8):
            value = value >> 1 ^ (0x82F63B78 if value & 1 else 0)
        table.append(value)
    return table


_CRC_TABLE = _crc_table()


@dataclass(frozen=True)
class _Region:
    offset: int
    length: int


@dataclass(frozen=True)
class _Metadata:
    block_size: int
    has_parent: bool
    disk_size: int
    logical_sector: int


def read(source: Source) -> Container:
    """What a VHDX says about itself; the file begins with ``vhdxfile``."""
    dirty = _read_header(source)
    regions = _read_regions(source)
    metadata = _read_metadata(source, regions[_METADATA])
    if metadata.has_parent:
        raise delta("a differencing VHDX", "Merge-VHD, or Inspect Disk > Merge in Hyper-V Manager")
    if metadata.logical_sector != 512:
        raise refused(
            "image-sector-size",
            f"The VHDX has logical sectors of {metadata.logical_sector} bytes; only 512 can be opened.",
            "Convert it with Convert-VHD / Set-VHD to 512-byte sectors, or image the volume again.",
        )
    if not dirty:
        _check_blocks(source, regions[_BAT], metadata)
    creator = source.up_to(8, 512).decode("utf-16-le", "replace").split("\0")[0]
    return Container(
        format="vhdx",
        kind="VHDX (dynamic or fixed)",
        virtual_size=metadata.disk_size,
        concerns=(_DIRTY_LOG,) if dirty else (),
        dirty_log=dirty,
        details={"created_by": creator, "block_size": metadata.block_size},
    )


def _read_header(source: Source) -> bool:
    """True where the current header names a log."""
    best: bytes | None = None
    for offset in _HEADERS:
        header = source.exactly(offset, 4096, "header of the VHDX")
        if not _is_whole(header, b"head"):
            continue
        if best is None or unpack("<Q", header, 8) > unpack("<Q", best, 8):
            best = header
    if best is None:
        raise damaged("Both headers of the VHDX are damaged")
    log_version, version, log_length, log_offset = unpack("<HHIQ", best, 64)
    if version != 1 or log_version != 0:
        raise damaged(f"The VHDX has format version {version} and log version {log_version}")
    if log_offset % _MIB or log_length % _MIB or log_offset < _MIB:
        raise damaged("The log of the VHDX is not aligned to 1 MiB")
    dirty = best[48:64] != bytes(16)
    if dirty and log_offset + log_length > source.size:
        raise truncated("The log of the VHDX lies behind the end of the file")
    return dirty


def _is_whole(block: bytes, signature: bytes) -> bool:
    (checksum,) = unpack("<I", block, 4)
    return block.startswith(signature) and checksum == crc32c(block[:4] + bytes(4) + block[8:])


def _read_regions(source: Source) -> dict[UUID, _Region]:
    for offset in _REGION_TABLES:
        table = source.exactly(offset, 64 * _KIB, "region table of the VHDX")
        if _is_whole(table, b"regi"):
            return _parse_regions(source, table)
    raise damaged("Both region tables of the VHDX are damaged")


def _parse_regions(source: Source, table: bytes) -> dict[UUID, _Region]:
    (count,) = unpack("<I", table, 8)
    if count > 2047:
        raise damaged(f"The region table of the VHDX claims {count} entries")
    regions: dict[UUID, _Region] = {}
    for position in range(16, 16 + 32 * count, 32):
        guid = UUID(bytes_le=table[position : position + 16])
        offset, length, required = unpack("<QII", table, position + 16)
        if guid not in (_BAT, _METADATA):
            if required & 1:
                raise _unknown(f"region {guid}")
            continue
        if guid in regions or offset % _MIB or offset < _MIB or length % _MIB or not length:
            raise damaged("The regions of the VHDX are not where they can be")
        if offset + length > source.size:
            raise truncated("A region of the VHDX lies behind the end of the file")
        regions[guid] = _Region(offset, length)
    if len(regions) != 2:
        raise damaged("The VHDX lacks its block table or its metadata")
    return regions


def _unknown(what: str) -> Exception:
    return refused(
        "image-feature-unknown",
        f"The VHDX requires a feature that is not known here ({what}).",
        "Convert the image to another format with the product that made it.",
    )


def _read_metadata(source: Source, region: _Region) -> _Metadata:
    table = source.exactly(region.offset, 64 * _KIB, "metadata of the VHDX")
    if not table.startswith(b"metadata"):
        raise damaged("The metadata of the VHDX is damaged")
    (count,) = unpack("<H", table, 10)
    if count > 2047:
        raise damaged(f"The metadata of the VHDX claims {count} entries")
    places: dict[UUID, tuple[int, int]] = {}
    for position in range(32, 32 + 32 * count, 32):
        offset, length, flags = unpack("<III", table, position + 16)
        guid = UUID(bytes_le=table[position : position + 16])
        if guid not in _KNOWN_ITEMS and flags & _REQUIRED_ITEM:
            raise _unknown(f"metadata {guid}")
        if offset + length > region.length:
            raise damaged("A metadata item of the VHDX lies outside its region")
        places[guid] = (offset, length)

    def item(guid: UUID, layout: str, length: int) -> tuple[int, ...]:
        if guid not in places or places[guid][1] != length:
            raise damaged("A metadata item that every VHDX needs is missing")
        start = region.offset + places[guid][0]
        return unpack(layout, source.exactly(start, length, "metadata of the VHDX"))

    block_size, flags = item(_FILE_PARAMETERS, "<II", 8)
    if not is_power_of_two(block_size) or not _MIB <= block_size <= 256 * _MIB:
        raise damaged(f"The VHDX claims a block size of {block_size} bytes")
    (disk_size,) = item(_DISK_SIZE, "<Q", 8)
    (logical_sector,) = item(_LOGICAL_SECTOR, "<I", 4)
    has_parent = bool(flags & 2) or _PARENT_LOCATOR in places
    return _Metadata(block_size, has_parent, check_size(disk_size), logical_sector)


def stored_ranges(source: Source) -> tuple[tuple[int, int], ...]:
    """The (offset, length) of the disk that have a block in the file; everything else is zeros.

    The VHDX must have been read before and hold no dirty log. QEMU's own driver cannot tell
    (QEMU 7.2: no block status for VHDX), which makes large empty disks slow to compare.
    """
    regions = _read_regions(source)
    metadata = _read_metadata(source, regions[_METADATA])
    cycle = _blocks_per_bitmap(metadata) + 1
    found: list[tuple[int, int]] = []
    for index, entry in enumerate(_block_table(source, regions[_BAT], metadata)):
        if entry & 7 < _FIRST_PRESENT_STATE or index % cycle == cycle - 1:
            continue
        start = (index - index // cycle) * metadata.block_size
        found.append((start, min(metadata.block_size, metadata.disk_size - start)))
    return tuple(found)


def _blocks_per_bitmap(metadata: _Metadata) -> int:
    return (1 << 23) * metadata.logical_sector // metadata.block_size


def _block_table(source: Source, region: _Region, metadata: _Metadata) -> Iterator[int]:
    """Its entries; one sector bitmap follows a number of payload blocks that the sizes decide.

    A disk of 64 TiB in blocks of 1 MiB has a table of 512 MiB: it is read in pieces.
    """
    blocks = -(-metadata.disk_size // metadata.block_size)
    entries = blocks + (blocks - 1) // _blocks_per_bitmap(metadata)
    if entries * 8 > region.length:
        raise damaged(f"The block table of the VHDX is too small for its {blocks} blocks")
    for start in range(0, entries * 8, _TABLE_PIECE):
        length = min(_TABLE_PIECE, entries * 8 - start)
        table = array("Q", source.exactly(region.offset + start, length, "block table of the VHDX"))
        if sys.byteorder == "big":
            table.byteswap()
        yield from table


def _check_blocks(source: Source, region: _Region, metadata: _Metadata) -> None:
    """Every block that holds data lies inside the file."""
    table = _block_table(source, region, metadata)
    last = max((entry >> 20 for entry in table if entry & 7 >= _FIRST_PRESENT_STATE), default=0)
    if last and last * _MIB + _MIB > source.size:
        raise truncated(f"A block of the VHDX lies at byte {last * _MIB}, behind the end of the file")
