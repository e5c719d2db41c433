"""Container headers built byte by byte, so that every field can be made to lie."""

from __future__ import annotations

import struct
from collections.abc import Callable
from uuid import UUID

from p2vprep.disk.containers.base import Source
from p2vprep.disk.containers.vhdx import crc32c

MIB = 1 << 20


def source(data: bytes) -> Source:
    """Bytes in memory as the readers see a file."""
    return Source(len(data), lambda offset, length: data[offset : offset + length])


# --- VHD -----------------------------------------------------------------------------------------


def vhd_footer(size: int, kind: int, *, creator: bytes = b"win ", header_offset: int = 512) -> bytes:
    """A footer with a right checksum; kind 2 is fixed, 3 dynamic, 4 differencing."""
    body = struct.pack(
        ">8sIIQI4sI4sQQHBBI", b"conectix", 2, 0x10000, header_offset, 0, creator, 0x60001, b"Wi2k",
        size, size, 16, 4, 17, kind,
    )  # fmt: skip
    raw = bytearray((body + bytes(4) + bytes(range(16))).ljust(512, b"\0"))
    raw[64:68] = struct.pack(">I", ~sum(raw) & 0xFFFFFFFF)
    return bytes(raw)


def vhd_dynamic(
    size: int = 8 * MIB,
    *,
    kind: int = 3,
    block_size: int = 2 * MIB,
    entries: int | None = None,
    table: tuple[int, ...] = (),
    table_offset: int = 1536,
) -> bytes:
    """A dynamic VHD without blocks; ``table`` are the first entries of its block table."""
    entries = entries if entries is not None else -(-size // max(block_size, 1))
    footer = vhd_footer(size, kind)
    body = struct.pack(
        ">8sQQIII", b"cxsparse", 0xFFFFFFFFFFFFFFFF, table_offset, 0x10000, entries & 0xFFFFFFFF, block_size
    )
    header = bytearray(body.ljust(1024, b"\0"))
    header[36:40] = struct.pack(">I", ~sum(header) & 0xFFFFFFFF)
    real = -(-size // block_size) if block_size else 1
    words = list(table) + [0xFFFFFFFF] * (min(real, 4096) - len(table))
    blocks = struct.pack(f">{len(words)}I", *words)
    return footer + bytes(header) + blocks.ljust(-(-len(blocks) // 512) * 512, b"\xff") + footer


# --- qcow2 ---------------------------------------------------------------------------------------


def qcow2(
    *,
    version: int = 3,
    size: int = 8 * MIB,
    cluster_bits: int = 16,
    backing: bytes = b"",
    encryption: int = 0,
    l1_entries: int = 1,
    l1_offset: int = 0x30000,
    refcount_offset: int = 0x10000,
    refcount_clusters: int = 1,
    snapshots: int = 0,
    features: int = 0,
    header_length: int = 104,
    extensions: tuple[tuple[int, bytes], ...] = (),
    l1: tuple[int, ...] = (),
) -> bytes:
    """The metadata of an empty qcow2; every argument is written as it is."""
    tail = b""
    for kind, content in extensions:
        tail += struct.pack(">II", kind, len(content)) + content.ljust(-(-len(content) // 8) * 8, b"\0")
    tail += bytes(8)
    start = header_length if version == 3 else 72
    backing_offset = start + len(tail) if backing else 0
    raw = b"QFI\xfb" + struct.pack(
        ">IQIIQIIQQIIQ", version, backing_offset, len(backing), cluster_bits, size, encryption, l1_entries,
        l1_offset, refcount_offset, refcount_clusters, snapshots, 0x50000 if snapshots else 0,
    )  # fmt: skip
    if version == 3:
        raw += struct.pack(">QQQII", features, 0, 0, 4, header_length)
    raw = raw.ljust(start, b"\0") + tail + backing
    image = bytearray(0x40000)
    image[: len(raw)] = raw
    image[0x10000:0x10008] = struct.pack(">Q", 0x20000)
    image[0x20000:0x20008] = struct.pack(">4H", 1, 1, 1, 1)
    image[0x30000 : 0x30000 + 8 * len(l1)] = struct.pack(f">{len(l1)}Q", *l1)
    return bytes(image)


# --- VHDX ----------------------------------------------------------------------------------------


def vhdx(
    *,
    size: int = 8 * MIB,
    block_size: int = 32 * MIB,
    has_parent: bool = False,
    sector: int = 512,
    log_guid: bytes = bytes(16),
    bat: tuple[int, ...] = (),
    bat_region: tuple[int, int] = (3 * MIB, MIB),
    extra_region: tuple[bytes, int] | None = None,
    version: int = 1,
    log: tuple[int, int] = (MIB, MIB),
    region_count: int | None = None,
    spoil: Callable[[bytearray], None] = lambda _image: None,
) -> bytes:
    """The metadata of an empty VHDX of 4 MiB; ``spoil`` may change it after the checksums were made."""
    image = bytearray(4 * MIB)
    image[:8] = b"vhdxfile"
    creator = "test".encode("utf-16-le")
    image[8 : 8 + len(creator)] = creator
    for number, offset in enumerate((64 << 10, 128 << 10)):
        header = bytearray(4096)
        header[:4] = b"head"
        struct.pack_into("<Q", header, 8, 5 + number)
        header[48:64] = log_guid
        struct.pack_into("<HHIQ", header, 64, 0, version, log[1], log[0])
        image[offset : offset + 4096] = _summed(header)
    regions = [
        (UUID("2dc27766-f623-4200-9d64-115e9bfd4a08").bytes_le, bat_region[0], bat_region[1], 1),
        (UUID("8b7ca206-4790-4b9a-b8fe-575f050f886e").bytes_le, 2 * MIB, MIB, 1),
    ]
    if extra_region is not None:
        regions.append((extra_region[0], 3 * MIB, MIB, extra_region[1]))
    table = bytearray(64 << 10)
    table[:4] = b"regi"
    struct.pack_into("<I", table, 8, len(regions) if region_count is None else region_count)
    for number, region in enumerate(regions):
        struct.pack_into("<16sQII", table, 16 + 32 * number, *region)
    for offset in (192 << 10, 256 << 10):
        image[offset : offset + len(table)] = _summed(table)
    items = (
        ("caa16737-fa36-4d43-b3b6-33f0aa44e76b", struct.pack("<II", block_size, 2 if has_parent else 0)),
        ("2fa54224-cd1b-4876-b211-5dbed83bf4b8", struct.pack("<Q", size)),
        ("8141bf1d-a96f-4709-ba47-f233a8faab5f", struct.pack("<I", sector)),
        ("cda348c7-445d-4471-9cc9-e9885251c556", struct.pack("<I", 4096)),
        ("beca12ab-b2e6-4523-93ef-c309e000c746", bytes(range(16))),
    )
    base, place = 2 * MIB, 64 << 10
    struct.pack_into("<8sHH", image, base, b"metadata", 0, len(items))
    for number, (guid, content) in enumerate(items):
        entry = struct.pack("<16sIII", UUID(guid).bytes_le, place, len(content), 4)
        image[base + 32 + 32 * number : base + 32 + 32 * number + len(entry)] = entry
        image[base + place : base + place + len(content)] = content
        place += len(content)
    struct.pack_into(f"<{len(bat)}Q", image, 3 * MIB, *bat)
    spoil(image)
    return bytes(image)


def _summed(block: bytearray) -> bytes:
    block[4:8] = bytes(4)
    struct.pack_into("<I", block, 4, crc32c(bytes(block)))
    return bytes(block)


# --- VMDK ----------------------------------------------------------------------------------------

DESCRIPTOR = b"""# Disk DescriptorFile
version=1
CID=fffffffe
parentCID=%(parent)s
createType="%(kind)s"

# Extent description
%(extents)s
# The Disk Data Base
#DDB

ddb.virtualHWVersion = "4"
"""


def descriptor(
    *extents: bytes, kind: bytes = b"monolithicFlat", parent: bytes = b"ffffffff", more: bytes = b""
) -> bytes:
    """A text descriptor with the extent lines given."""
    lines = b"".join(line + b"\n" for line in extents)
    return DESCRIPTOR % {b"parent": parent, b"kind": kind, b"extents": lines} + more


def vmdk_sparse(
    *,
    capacity: int = 16384,
    grain: int = 128,
    table_entries: int = 512,
    flags: int = 1,
    version: int = 1,
    compression: int = 0,
    text: bytes | None = None,
    directory: int = 21,
    newlines: bytes = b"\n \r\n",
    tables: tuple[int, ...] = (),
    with_descriptor: bool = True,
) -> bytes:
    """A sparse VMDK without data: header, descriptor (sectors 1-20), grain directory (sector 21)."""
    raw = b"KDMV" + struct.pack(
        "<IIQQQQIQQQB4sH", version, flags, capacity, grain, 1 if with_descriptor else 0,
        20 if with_descriptor else 0, table_entries, 0, directory, 128, 0, newlines, compression,
    )  # fmt: skip
    image = bytearray(128 * 512)
    image[: len(raw)] = raw
    if with_descriptor:
        content = (
            text if text is not None else descriptor(b'RW 16384 SPARSE "x.vmdk"', kind=b"monolithicSparse")
        )
        image[512 : 512 + len(content)] = content
    struct.pack_into(f"<{len(tables)}I", image, 21 * 512, *tables)
    return bytes(image)
