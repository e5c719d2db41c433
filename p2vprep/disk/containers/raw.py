"""Raw disks, and the formats that are known well enough to say that they are no raw disk."""

from __future__ import annotations

from dataclasses import dataclass

from p2vprep.disk.containers.base import SECTOR, Concern, Container, Source, check_size

_BOOT_SIGNATURE = b"\x55\xaa"
_GPT_SIGNATURE = b"EFI PART"


@dataclass(frozen=True)
class Foreign:
    """A format that is recognised by ``magic`` at ``offset`` (from the end where negative)."""

    offset: int
    magic: bytes
    name: str
    hint: str


_MERGE = "Merge it into its base disk in VMware first."
_CONVERT = "Convert it first: qemu-img convert -O qcow2 OLD NEW."
_UNPACK = "Unpack it first and use the disk image inside."
_RESTORE = "Restore it to a disk image with the program that made it."

FOREIGN = (
    Foreign(0x40, b"\x7f\x10\xda\xbe", "a VirtualBox disk (VDI)", _CONVERT),
    Foreign(0, b"QED\0", "a QED image", _CONVERT),
    Foreign(0, b"WithoutFreeSpace", "a Parallels disk", _CONVERT),
    Foreign(0, b"WithouFreSpacExt", "a Parallels disk", _CONVERT),
    Foreign(0, b"Bochs Virtual HD Image", "a Bochs disk", _CONVERT),
    Foreign(0, b"COWD", "an ESXi copy-on-write disk", _MERGE),
    Foreign(0, b"\xbe\xba\xfe\xca\0\0\0\0", "an ESXi SEsparse disk", _MERGE),
    Foreign(0, b"LUKS\xba\xbe", "a LUKS-encrypted volume", "Decrypt it to an image first."),
    Foreign(0, b"MSWIM\0\0\0", "a Windows image file (WIM)", "Apply it to a disk first."),
    Foreign(0, b"EVF\x09\x0d\x0a\xff\0", "an EnCase image (E01)", "Export it to raw first (ewfexport)."),
    Foreign(0, b"EVF2\x0d\x0a\x81\0", "an EnCase image (Ex01)", "Export it to raw first (ewfexport)."),
    Foreign(0, b"AFF10\x0d\x0a\0", "an AFF image", _RESTORE),
    Foreign(0, b"\xfe\xef\x01", "a Norton Ghost image", _RESTORE),
    Foreign(0, b"partclone-image", "a Partclone image", _RESTORE),
    Foreign(0, b"PK\x03\x04", "a ZIP archive", _UNPACK),
    Foreign(0, b"7z\xbc\xaf\x27\x1c", "a 7-Zip archive", _UNPACK),
    Foreign(0, b"Rar!\x1a\x07", "a RAR archive", _UNPACK),
    Foreign(0, b"\x1f\x8b\x08", "a gzip-compressed file", _UNPACK),
    Foreign(0, b"\xfd7zXZ\0", "an xz-compressed file", _UNPACK),
    Foreign(0, b"\x28\xb5\x2f\xfd", "a zstd-compressed file", _UNPACK),
    Foreign(0, b"BZh", "a bzip2-compressed file", _UNPACK),
    Foreign(257, b"ustar", "a tar archive (an OVA?)", _UNPACK),
    Foreign(-512, b"koly", "an Apple disk image", _CONVERT),
    Foreign(0x8001, b"CD001", "an optical disc image", "Name the disk of the machine instead."),
)  # fmt: skip


def foreign(source: Source) -> Foreign | None:
    """The format that the file is in, of those that are recognised only to be refused."""
    for entry in FOREIGN:
        offset = entry.offset if entry.offset >= 0 else source.size + entry.offset
        if source.up_to(offset, len(entry.magic)) == entry.magic:
            return entry
    return None


def looks_like_a_disk(source: Source) -> bool:
    """True where the file begins with an MBR, a GPT or the boot sector of a volume."""
    head = source.up_to(0, 4096 + len(_GPT_SIGNATURE))
    return (
        head[510:512] == _BOOT_SIGNATURE
        or head[SECTOR : SECTOR + 8] == _GPT_SIGNATURE
        or head[4096:4104] == _GPT_SIGNATURE
    )


def read(source: Source, *, named_raw: bool) -> Container:
    """A raw disk of the file's size; a concern where neither content nor name says that it is one.

    QEMU works in sectors, so an incomplete last sector counts as a whole one.
    """
    concerns: tuple[Concern, ...] = ()
    if not named_raw and not looks_like_a_disk(source):
        concerns = (
            Concern(
                "image-format-unknown",
                "This is in no known format and does not begin like a disk.",
                "Look whether it is the right file; to treat it as a raw disk, name it *.raw or *.img "
                "or pass `--allow image-format-unknown`.",
            ),
        )
    return Container(
        format="raw",
        kind="raw disk",
        virtual_size=check_size(-(-source.size // SECTOR) * SECTOR),
        concerns=concerns,
    )
