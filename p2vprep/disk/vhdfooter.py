"""Puts back the footer of a dynamic VHD that a cut-off write took away.

To add a block QEMU first writes the block's bitmap over the footer at the end of
the file, then the footer behind the new block, then the block table's entry
(seen in its source, block/vpc.c, and in files of killed writers). Stopped after
the first of these, it leaves a file without a footer, which QEMU still opens
because of the copy at the beginning, and Hyper-V need not.

Layout: Microsoft, Virtual Hard Disk Image Format Specification 1.0; all numbers big-endian.
"""

from __future__ import annotations

import os
import struct
from pathlib import Path

from p2vprep.disk.image import Image, shown
from p2vprep.errors import FailedError

_COOKIE = b"conectix"
_SECTOR = 512
_UNUSED = 0xFFFFFFFF
_LARGEST_TABLE = 64 << 20


def mend(image: Image) -> bool:
    """Writes the footer again where a dynamic VHD has lost it; True if that was needed.

    Durable when it returns. All other images are left alone. Raises FailedError
    ``image-damaged`` where the block table makes no sense.
    """
    if image.format != "vpc":
        return False
    with image.path.open("r+b") as stream:
        descriptor = stream.fileno()
        size = os.fstat(descriptor).st_size
        copy = os.pread(descriptor, _SECTOR, 0)
        if not copy.startswith(_COOKIE) or _has_footer(descriptor, size):
            return False
        end = _end_of_blocks(descriptor, copy, image.path)
        os.pwrite(descriptor, copy, end)
        os.ftruncate(descriptor, end + _SECTOR)
        os.fsync(descriptor)
    return True


def _has_footer(descriptor: int, size: int) -> bool:
    tail = os.pread(descriptor, _SECTOR, max(size - _SECTOR, 0))
    return _COOKIE in (tail[: len(_COOKIE)], tail[1 : 1 + len(_COOKIE)])


def _end_of_blocks(descriptor: int, copy: bytes, path: Path) -> int:
    """Where the last block ends, or the table where there is no block (bytes)."""
    header_offset = int.from_bytes(copy[16:24], "big")
    header = os.pread(descriptor, 1024, header_offset)
    if not header.startswith(b"cxsparse"):
        raise _damaged(path, "the dynamic header is missing")
    table_offset, _version, entries, block_size = struct.unpack_from(">QIII", header, 16)
    if block_size < _SECTOR or entries * 4 > _LARGEST_TABLE:
        raise _damaged(path, "the dynamic header makes no sense")
    table = os.pread(descriptor, entries * 4, table_offset)
    if len(table) != entries * 4:
        raise _damaged(path, "the block table is cut off")
    bitmap = _rounded(-(-block_size // (_SECTOR * 8)))
    blocks = (entry for entry in struct.unpack(f">{entries}I", table) if entry != _UNUSED)
    last: int = max((entry * _SECTOR + bitmap + block_size for entry in blocks), default=0)
    return max(_rounded(table_offset + len(table)), last)


def _rounded(length: int) -> int:
    return (length + _SECTOR - 1) & ~(_SECTOR - 1)


def _damaged(path: Path, why: str) -> FailedError:
    return FailedError(
        f"The VHD has lost its footer and it cannot be put back: {why}.",
        code="image-damaged",
        subject=shown(path),
        changed="Unknown.",
        hint="Restore the image from a backup.",
    )
