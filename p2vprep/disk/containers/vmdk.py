"""VMDK (VMware: Virtual Disk Format 5.0): sparse files and text descriptors with extents.

Binary numbers are little-endian and count sectors. QEMU reads a descriptor laxly (any
white space, any order, unknown extents skipped, the first occurrence of a key anywhere);
so whatever could be read in two ways is refused here.
"""

from __future__ import annotations

import re
import sys
from array import array
from dataclasses import dataclass

from p2vprep.disk.containers.base import (
    LARGEST_READ,
    SECTOR,
    Container,
    Extent,
    Source,
    check_size,
    damaged,
    delta,
    is_power_of_two,
    refused,
    truncated,
    unpack,
)

SPARSE_MAGIC = b"KDMV"
DESCRIPTOR_MAGIC = b"# Disk DescriptorFile"
LARGEST_DESCRIPTOR = 1 << 20
_NEWLINES_VALID, _COMPRESSED = 1, 1 << 16
_DEFLATE = 1
_AT_END = 0xFFFFFFFFFFFFFFFF
_SMALLEST_DESCRIPTOR = 20 * SECTOR
_TABLE_ENTRIES = 512
_EXTENT_LINE = re.compile(
    rb'RW[ \t]+([0-9]{1,15})[ \t]+(FLAT|VMFS|SPARSE)[ \t]+"([^"\r\n]{1,255})"(?:[ \t]+([0-9]{1,15}))?[ \t\r]*'
)
_EXTENT_START = re.compile(rb"(RW|RDONLY|NOACCESS)(\s|$)", re.IGNORECASE)
_SEVERAL_FILES = ("monolithicFlat", "vmfs", "twoGbMaxExtentSparse", "twoGbMaxExtentFlat")
_DEVICES = ("fullDevice", "partitionedDevice", "vmfsRaw", "vmfsRDM", "vmfsRawDeviceMap",
            "vmfsPassthroughRawDeviceMap", "vmfsRDMP")  # fmt: skip
_DELTAS = ("vmfsSparse", "seSparse")
_MERGE = "delete all snapshots in VMware, or `vmware-vdiskmanager -r`"
_READ_ONLY = "stream-optimised VMDKs can be read, but not changed in place"


@dataclass(frozen=True)
class _Header:
    version: int
    flags: int
    capacity: int
    grain: int
    descriptor_offset: int
    descriptor_size: int
    table_entries: int
    directory: int
    compression: int

    @property
    def compressed(self) -> bool:
        return bool(self.flags & _COMPRESSED)


@dataclass(frozen=True)
class _Descriptor:
    create_type: str
    extents: tuple[Extent, ...]


def is_descriptor(head: bytes) -> bool:
    """True where the first line of the file is that of a VMDK descriptor."""
    return head.lstrip()[: len(DESCRIPTOR_MAGIC)].lower() == DESCRIPTOR_MAGIC.lower()


def is_sparse(head: bytes) -> bool:
    """True where the file begins as a sparse VMDK (or as a sparse extent of a split one)."""
    return head.startswith(SPARSE_MAGIC)


def read(source: Source) -> Container:
    """What a VMDK says about itself; the file is a descriptor or begins with ``KDMV``.

    The extents of a descriptor are named but not looked at.
    """
    if is_sparse(source.up_to(0, 4)):
        return _read_sparse(source)
    return _read_descriptor_file(source)


def sparse_extent_size(source: Source) -> int:
    """The bytes of the disk that a sparse extent of a split VMDK holds (its tables are checked)."""
    if not is_sparse(source.up_to(0, 4)):
        raise damaged("An extent that should be sparse does not begin as one")
    header = _parse_header(source.exactly(0, SECTOR, "header of the VMDK extent"))
    if header.compressed:
        raise damaged("An extent of a split VMDK is compressed")
    _check_tables(source, header)
    return header.capacity * SECTOR


# --- sparse files --------------------------------------------------------------------------------


def _read_sparse(source: Source) -> Container:
    header = _parse_header(source.exactly(0, SECTOR, "header of the VMDK"))
    if not header.descriptor_offset:
        raise refused(
            "image-is-extent",
            "This is one extent of a split VMDK, not the whole disk.",
            "Name the small descriptor file (without -s001) instead.",
        )
    descriptor = _embedded_descriptor(source, header)
    if header.directory == _AT_END:
        header = _footer(source)
    _check_tables(source, header)
    read_only = _READ_ONLY if header.compressed else None
    if header.compressed and descriptor.create_type != "streamOptimized":
        raise damaged("The VMDK is compressed, but its descriptor does not say so")
    return Container(
        format="vmdk",
        kind=f"VMDK ({descriptor.create_type})",
        virtual_size=check_size(header.capacity * SECTOR),
        read_only=read_only,
        details={"subformat": descriptor.create_type, "version": header.version},
    )


def _parse_header(raw: bytes) -> _Header:
    version, flags, capacity, grain, descriptor, descriptor_size = unpack("<IIQQQQ", raw, 4)
    entries, _backup, directory = unpack("<IQQ", raw, 44)
    (compression,) = unpack("<H", raw, 77)
    header = _Header(
        version, flags, capacity, grain, descriptor, descriptor_size, entries, directory, compression
    )
    if flags & _NEWLINES_VALID and raw[73:77] != b"\n \r\n":
        raise damaged("The VMDK was damaged by a transfer in text mode")
    if not 1 <= version <= 3:
        raise damaged(f"The VMDK has version {version}, only 1 to 3 are known")
    # A capacity of zero makes QEMU look for a second descriptor, which may name any file.
    check_size(capacity * SECTOR)
    if not is_power_of_two(grain) or not 8 <= grain <= 1 << 17:
        raise damaged(f"The VMDK claims grains of {grain} sectors")
    if entries != _TABLE_ENTRIES:
        raise damaged(f"The VMDK claims grain tables of {entries} entries, only {_TABLE_ENTRIES} exist")
    if header.compressed and compression != _DEFLATE:
        raise refused(
            "image-feature-unknown",
            f"The VMDK is compressed in a way that is not known here ({compression}).",
            "Convert it with the VMware product that made it.",
        )
    return header


def _footer(source: Source) -> _Header:
    """The header at the end of a file whose first header says that it was not yet known."""
    raw = source.up_to(source.size - 2 * SECTOR, SECTOR)
    if not is_sparse(raw):
        raise truncated("The VMDK should end with a second header, but it does not")
    header = _parse_header(raw)
    if header.directory == _AT_END:
        raise damaged("The VMDK's last header does not say where its tables are")
    return header


def _check_tables(source: Source, header: _Header) -> None:
    """The grain directory and every grain table it names lie inside the file."""
    entries = -(-header.capacity // (header.grain * header.table_entries))
    if entries * 4 > LARGEST_READ:
        raise damaged(f"The grain directory of the VMDK claims {entries} entries")
    offset = header.directory * SECTOR
    if not offset:
        raise damaged("The VMDK does not say where its grain directory is")
    table = array("I", source.exactly(offset, entries * 4, "grain directory of the VMDK"))
    if sys.byteorder == "big":
        table.byteswap()
    last = max(table)
    if last and last * SECTOR + header.table_entries * 4 > source.size:
        raise truncated(f"A grain table of the VMDK lies at byte {last * SECTOR}, behind the end of the file")


def _embedded_descriptor(source: Source, header: _Header) -> _Descriptor:
    length = header.descriptor_size * SECTOR
    if length > LARGEST_DESCRIPTOR:
        raise damaged(f"The VMDK claims a descriptor of {length} bytes")
    offset = header.descriptor_offset * SECTOR
    source.exactly(offset, length, "descriptor of the VMDK")
    text = source.up_to(offset, max(length, _SMALLEST_DESCRIPTOR))
    # QEMU takes size and data from the header; extents named in here are never opened.
    return _parse_descriptor(text.split(b"\0")[0], with_extents=False)


# --- descriptors ---------------------------------------------------------------------------------


def _read_descriptor_file(source: Source) -> Container:
    if source.size >= LARGEST_DESCRIPTOR:
        raise damaged(f"A VMDK descriptor of {source.size} bytes cannot be")
    text = source.exactly(0, source.size, "descriptor of the VMDK").split(b"\0")[0]
    descriptor = _parse_descriptor(text, with_extents=True)
    return Container(
        format="vmdk",
        kind=f"VMDK ({descriptor.create_type})",
        virtual_size=check_size(sum(extent.length for extent in descriptor.extents)),
        extents=descriptor.extents,
        details={"subformat": descriptor.create_type, "extents": len(descriptor.extents)},
    )


def _parse_descriptor(text: bytes, *, with_extents: bool) -> _Descriptor:
    parent = _only(text, b"parentCID", default=b"ffffffff")
    if parent.lower() != b"ffffffff" or b"parentFileNameHint" in text:
        raise delta("a VMDK with a parent (a snapshot or linked clone)", _MERGE)
    create_type = _only(text, b"createType").decode("ascii", "replace")
    if create_type in _DELTAS:
        raise delta(f"a VMDK of type {create_type}, as ESXi uses for snapshots", _MERGE)
    if create_type in _DEVICES:
        raise _outside(f"The VMDK stands for a device of its host ({create_type}).")
    if not with_extents:
        if create_type not in ("monolithicSparse", "streamOptimized"):
            raise damaged(f"A VMDK in one sparse file cannot be of type {create_type!r}")
        return _Descriptor(create_type, ())
    if create_type not in _SEVERAL_FILES:
        raise refused(
            "image-format-unsupported",
            f"A VMDK descriptor of type {create_type!r} is not supported.",
            "Convert it first: qemu-img convert -O qcow2 OLD NEW, or with vmkfstools.",
        )
    return _Descriptor(create_type, _parse_extents(text))


def _only(text: bytes, key: bytes, default: bytes | None = None) -> bytes:
    """The value of a key that may occur once only; QEMU takes the first occurrence anywhere."""
    values = re.findall(rb'(?m)^[ \t]*%s[ \t]*=[ \t]*"?([A-Za-z0-9]*)"?[ \t\r]*$' % key, text)
    if len(values) != text.count(key) or len(values) > 1:
        raise damaged(f"The VMDK's descriptor says {key.decode()} more than once or unclearly")
    if not values and default is None:
        raise damaged(f"The VMDK's descriptor does not say {key.decode()}")
    return values[0] if values else default or b""


def _parse_extents(text: bytes) -> tuple[Extent, ...]:
    extents: list[Extent] = []
    after_blank = False
    for line in text.split(b"\n"):
        stripped = line.strip()
        if _EXTENT_START.match(stripped):
            if after_blank:
                # QEMU would count such an extent twice: once for the blank line.
                raise damaged("A blank line precedes an extent in the VMDK's descriptor")
            extents.append(_parse_extent(line))
        after_blank = not stripped
    if not extents:
        raise damaged("The VMDK's descriptor names no extent")
    names = [extent.name for extent in extents]
    if len(set(names)) != len(names):
        raise damaged("The VMDK's descriptor names an extent twice")
    return tuple(extents)


def _parse_extent(line: bytes) -> Extent:
    match = _EXTENT_LINE.fullmatch(line)
    if match is None:
        shown = line.strip()[:80].decode("utf-8", "backslashreplace")
        raise damaged(f"An extent of the VMDK cannot be understood or is not writable: {shown}")
    sectors, kind, name, offset = match.groups()
    if b"/" in name or b"\\" in name or b":" in name or name in (b".", b".."):
        shown = name.decode("utf-8", "backslashreplace")
        raise _outside(f"The VMDK names an extent that is not plainly a file beside it: {shown}.")
    if (kind == b"SPARSE") == (offset is not None) and kind != b"VMFS":
        raise damaged("An extent of the VMDK has an offset that does not fit its kind")
    return Extent(name, kind == b"SPARSE", int(offset or 0) * SECTOR, check_size(int(sectors) * SECTOR))


def _outside(message: str) -> Exception:
    return refused(
        "vmdk-extent-outside",
        message,
        "Only files in the folder of the VMDK are opened. Put them there and correct the descriptor, "
        "or convert the disk where it came from.",
    )
