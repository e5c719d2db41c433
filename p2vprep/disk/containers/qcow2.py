"""qcow2 versions 2 and 3 (QEMU: docs/interop/qcow2). All numbers are big-endian."""

from __future__ import annotations

import sys
from array import array
from dataclasses import dataclass

from p2vprep.disk.containers.base import (
    SECTOR,
    Concern,
    Container,
    Source,
    check_size,
    damaged,
    refused,
    truncated,
    unpack,
)

MAGIC = b"QFI\xfb"
_DIRTY, _CORRUPT, _DATA_FILE, _COMPRESSION, _EXTENDED_L2 = 1, 2, 4, 8, 16
_KNOWN_FEATURES = _DIRTY | _CORRUPT | _DATA_FILE | _COMPRESSION | _EXTENDED_L2
_END_OF_EXTENSIONS = 0
_CRYPTO_HEADER = 0x0537BE77
_DATA_FILE_NAME = 0x44415441
_LARGEST_L1 = 32 << 20
_OFFSET_MASK = 0x00FFFFFFFFFFFE00


@dataclass(frozen=True)
class _Header:
    version: int
    backing_offset: int
    cluster_bits: int
    size: int
    encryption: int
    l1_entries: int
    l1_offset: int
    refcount_offset: int
    refcount_clusters: int
    snapshots: int
    features: int
    length: int


def read(source: Source) -> Container:
    """What a qcow2 says about itself; the file begins with its magic number."""
    header = _parse(source)
    _refuse_other_files(header, _extensions(source, header))
    _check_features(header)
    _check_tables(source, header)
    concerns: tuple[Concern, ...] = ()
    if header.snapshots:
        concerns = (
            Concern(
                "image-has-snapshots",
                f"The qcow2 holds {header.snapshots} internal snapshot(s); only the present state would "
                "be prepared, and a snapshot that is loaded later brings the old state back.",
                "Delete them with `qemu-img snapshot -d`, or pass `--allow image-has-snapshots`.",
            ),
        )
    return Container(
        format="qcow2",
        kind=f"qcow2 (version {header.version})",
        virtual_size=header.size,
        concerns=concerns,
        details={"version": header.version, "cluster_size": 1 << header.cluster_bits},
    )


def _parse(source: Source) -> _Header:
    raw = source.exactly(0, 72, "header of the qcow2")
    version, backing, _length, cluster_bits, size, crypt, l1_entries, l1, refcounts, clusters = unpack(
        ">IQIIQIIQQI", raw, 4
    )
    (snapshots,) = unpack(">I", raw, 60)
    if version == 1:
        raise refused(
            "image-format-unsupported",
            "This is a qcow image of version 1, which is not supported.",
            "Convert it first: qemu-img convert -f qcow -O qcow2 OLD NEW.",
        )
    if version not in (2, 3):
        raise refused(
            "image-feature-unknown",
            f"The qcow2 has version {version}; only 2 and 3 are known here.",
            "Convert it to version 3 with the program that made it.",
        )
    if not 9 <= cluster_bits <= 21:
        raise damaged(f"The qcow2 claims clusters of 2^{cluster_bits} bytes")
    features, length = 0, 72
    if version == 3:
        more = source.exactly(72, 32, "header of the qcow2")
        (features,) = unpack(">Q", more)
        refcount_order, length = unpack(">II", more, 24)
        if refcount_order > 6 or not 104 <= length <= 1 << cluster_bits:
            raise damaged("The qcow2 has an impossible header length or reference count width")
    size = check_size(-(-size // SECTOR) * SECTOR)
    return _Header(
        version, backing, cluster_bits, size, crypt, l1_entries, l1, refcounts, clusters, snapshots,
        features, length,
    )  # fmt: skip


def _extensions(source: Source, header: _Header) -> set[int]:
    """The types of the header extensions, which lie in the first cluster."""
    found: set[int] = set()
    position, end = header.length, 1 << header.cluster_bits
    if header.backing_offset:
        end = min(end, header.backing_offset)
    while position + 8 <= end:
        raw = source.up_to(position, 8)
        if len(raw) < 8:
            break
        kind, length = unpack(">II", raw)
        if kind == _END_OF_EXTENSIONS:
            break
        if length > end - position - 8:
            raise damaged("A header extension of the qcow2 is longer than its cluster")
        found.add(kind)
        position += 8 + -(-length // 8) * 8
    return found


def _refuse_other_files(header: _Header, extensions: set[int]) -> None:
    if header.backing_offset:
        raise refused(
            "image-has-backing-file",
            "The qcow2 is an overlay: it names a backing file, and such a file is never opened.",
            "Flatten it first: qemu-img convert -O qcow2 OVERLAY NEW, then use NEW.",
        )
    if header.features & _DATA_FILE or _DATA_FILE_NAME in extensions:
        raise refused(
            "image-has-data-file",
            "The qcow2 keeps its data in another file that it names itself; such a file is never opened.",
            "Bring both into one file first: qemu-img convert -O qcow2 OLD NEW, then use NEW.",
        )
    if header.encryption or _CRYPTO_HEADER in extensions:
        raise refused(
            "image-encrypted",
            "The qcow2 is encrypted.",
            "Convert it to an image without encryption first (qemu-img convert with its secret).",
        )


def _check_features(header: _Header) -> None:
    unknown = header.features & ~_KNOWN_FEATURES
    if unknown:
        raise refused(
            "image-feature-unknown",
            f"The qcow2 requires features that are not known here (bits {unknown:#x}).",
            "Convert it to plain qcow2 with the QEMU that made it.",
        )
    if header.features & _CORRUPT:
        raise refused(
            "image-marked-corrupt",
            "The qcow2 is marked as corrupt.",
            "Work on a copy and mend that: qemu-img check -r all COPY.",
        )
    if header.features & _DIRTY:
        raise refused(
            "image-marked-dirty",
            "The qcow2 was not closed cleanly: its reference counts may be wrong.",
            "Shut the machine down, or mend a copy: qemu-img check -r all COPY.",
        )


def _check_tables(source: Source, header: _Header) -> None:
    """The first-level table is large enough and it and all second-level tables lie inside the file."""
    cluster = 1 << header.cluster_bits
    entry = 16 if header.features & _EXTENDED_L2 else 8
    needed = -(-header.size // (cluster * (cluster // entry)))
    if header.l1_entries < needed:
        raise damaged(f"The first-level table has {header.l1_entries} entries, but the disk needs {needed}")
    if header.l1_entries * 8 > _LARGEST_L1:
        raise damaged(f"The first-level table claims {header.l1_entries} entries")
    if not header.l1_offset or header.l1_offset % cluster or header.refcount_offset % cluster:
        raise damaged("The tables of the qcow2 are not where tables can be")
    if not header.refcount_offset or not header.refcount_clusters:
        raise damaged("The qcow2 has no reference counts")
    refcounts_end = header.refcount_offset + header.refcount_clusters * cluster
    if refcounts_end > -(-source.size // cluster) * cluster:
        raise truncated("The reference counts of the qcow2 lie behind the end of the file")
    table = array("Q", source.exactly(header.l1_offset, needed * 8, "first-level table of the qcow2"))
    if sys.byteorder == "little":
        table.byteswap()
    last = max((word & _OFFSET_MASK for word in table), default=0)
    if last and last + cluster > -(-source.size // cluster) * cluster:
        raise truncated(f"A table of the qcow2 lies at byte {last}, behind the end of the file")
