"""VHD, the format of Virtual PC and Hyper-V (Microsoft: Virtual Hard Disk Image Format Specification 1.0).

All numbers are big-endian. A footer of 512 bytes ends the file (511 in images of
Virtual PC before 2004); dynamic and differencing disks also begin with a copy.
"""

from __future__ import annotations

import sys
from array import array
from dataclasses import dataclass

from p2vprep.disk.containers.base import (
    LARGEST_READ,
    SECTOR,
    Container,
    Source,
    check_size,
    damaged,
    delta,
    is_power_of_two,
    truncated,
    unpack,
)

COOKIE = b"conectix"
_HEADER_COOKIE = b"cxsparse"
_FIXED, _DYNAMIC, _DIFFERENCING = 2, 3, 4
_NAMES = {_FIXED: "fixed", _DYNAMIC: "dynamic", _DIFFERENCING: "differencing"}
_UNUSED_BLOCK = 0xFFFFFFFF
_LARGEST_BLOCK = 256 << 20
_CREATORS = {
    "win ": "Windows",
    "vpc ": "Virtual PC",
    "vs  ": "Virtual Server",
    "d2v": "Disk2vhd",
    "qemu": "QEMU",
    "qem2": "QEMU",
    "vbox": "VirtualBox",
    "tap": "XenServer",
    "wa": "Azure",
}


@dataclass(frozen=True)
class _Footer:
    kind: int
    current_size: int
    header_offset: int
    creator: str


def has_footer(source: Source) -> bool:
    """True where the file ends with a VHD footer."""
    return _tail(source).startswith(COOKIE)


def read(source: Source) -> Container:
    """What a VHD says about itself; the file begins or ends with ``conectix``."""
    head = source.up_to(0, SECTOR)
    if head.startswith(COOKIE):
        return _read_dynamic(source, _footer(head, "copy of the footer"))
    return _read_fixed(source, _footer(_tail(source), "footer"))


def _tail(source: Source) -> bytes:
    tail = source.up_to(source.size - SECTOR, SECTOR)
    old = tail[1:] + b"\0"
    return old if old.startswith(COOKIE) else tail


def _footer(raw: bytes, what: str) -> _Footer:
    if len(raw) < SECTOR:
        raise truncated(f"The {what} of the VHD is cut off")
    (checksum,) = unpack(">I", raw, 64)
    if checksum != ~(sum(raw) - sum(raw[64:68])) & 0xFFFFFFFF:
        raise damaged(f"The checksum of the VHD's {what} is wrong")
    version, header_offset = unpack(">IQ", raw, 12)
    if version >> 16 != 1:
        raise damaged(f"The VHD's {what} has version {version >> 16}, only 1 exists")
    (kind,) = unpack(">I", raw, 60)
    if kind not in _NAMES:
        raise damaged(f"The VHD's {what} has disk type {kind}, only 2, 3 and 4 exist")
    (current_size,) = unpack(">Q", raw, 48)
    creator = raw[28:32].decode("ascii", "replace").rstrip("\0")
    return _Footer(kind, check_size(current_size), header_offset, creator)


def _container(footer: _Footer, **details: int) -> Container:
    name = _NAMES[footer.kind]
    creator = _CREATORS.get(footer.creator, footer.creator.strip())
    return Container(
        format="vpc",
        kind=f"VHD ({name})",
        virtual_size=footer.current_size,
        details={"subformat": name, "created_by": creator, **details},
    )


def _read_fixed(source: Source, footer: _Footer) -> Container:
    if footer.kind == _DIFFERENCING:
        raise delta("a differencing VHD", "Merge-VHD, or Inspect Disk > Merge in Hyper-V Manager")
    if footer.kind == _DYNAMIC:
        raise damaged("The file ends as a dynamic VHD but does not begin as one")
    if source.size - SECTOR < footer.current_size - 1:
        raise truncated(
            f"A fixed VHD of {footer.current_size} bytes needs as many bytes and a footer, "
            f"but the file has {source.size}"
        )
    return _container(footer)


def _read_dynamic(source: Source, footer: _Footer) -> Container:
    if footer.kind == _DIFFERENCING:
        raise delta("a differencing VHD", "Merge-VHD, or Inspect Disk > Merge in Hyper-V Manager")
    if footer.kind == _FIXED:
        raise damaged("The file begins as a dynamic VHD, but its footer says fixed")
    if not has_footer(source):
        raise truncated("A dynamic VHD ends with a footer, but this file does not")
    last = _footer(_tail(source), "footer")
    if (last.kind, last.current_size) != (footer.kind, footer.current_size):
        raise damaged("The VHD's footer and the copy at its beginning contradict each other")
    header = source.exactly(footer.header_offset, 1024, "dynamic header of the VHD")
    block_size = _check_header(source, header, footer.current_size)
    return _container(footer, block_size=block_size)


def _check_header(source: Source, header: bytes, disk_size: int) -> int:
    if not header.startswith(_HEADER_COOKIE):
        raise damaged("The dynamic header of the VHD is missing")
    (checksum,) = unpack(">I", header, 36)
    if checksum != ~(sum(header) - sum(header[36:40])) & 0xFFFFFFFF:
        raise damaged("The checksum of the VHD's dynamic header is wrong")
    table_offset, _version, entries, block_size = unpack(">QIII", header, 16)
    if not is_power_of_two(block_size) or not 4096 <= block_size <= _LARGEST_BLOCK:
        raise damaged(f"The VHD claims a block size of {block_size} bytes")
    needed = -(-disk_size // block_size)
    if entries < needed:
        raise damaged(f"The VHD's block table has {entries} entries, but the disk needs {needed}")
    if entries * 4 > LARGEST_READ:
        raise damaged(f"The VHD's block table claims {entries} entries")
    _check_table(source, table_offset, needed, block_size)
    return block_size


def _check_table(source: Source, offset: int, entries: int, block_size: int) -> None:
    table = array("I", source.exactly(offset, entries * 4, "block table of the VHD"))
    if sys.byteorder == "little":
        table.byteswap()
    bitmap = -(-block_size // SECTOR // 8 // SECTOR) * SECTOR
    last = max((entry for entry in table if entry != _UNUSED_BLOCK), default=None)
    if last is not None and last * SECTOR + bitmap + block_size > source.size:
        raise truncated(f"A block of the VHD lies at byte {last * SECTOR}, behind the end of the file")
