"""What all container readers share: bounded reading, the result, and the errors."""

from __future__ import annotations

import struct
from collections.abc import Callable
from dataclasses import dataclass, field

from p2vprep.errors import CannotOpenError, RefusedError

SECTOR = 512
LARGEST_DISK = 64 << 40
"""64 TiB: the limit of VHDX, the largest any of the formats promises."""
LARGEST_READ = 64 << 20
"""No table that a sane image needs is larger than this (bytes)."""


@dataclass(frozen=True)
class Source:
    """The bytes of one host file: its size and a function that reads (offset, length).

    ``read`` may return fewer bytes at the end of the file, never more.
    """

    size: int
    read: Callable[[int, int], bytes]

    def up_to(self, offset: int, length: int) -> bytes:
        """Those of the bytes that exist; empty where the range lies outside the file."""
        if offset < 0 or offset >= self.size:
            return b""
        return self.read(offset, min(length, self.size - offset, LARGEST_READ))

    def exactly(self, offset: int, length: int, what: str) -> bytes:
        """The bytes asked for, or CannotOpenError (``image-truncated``) that names ``what``."""
        if length > LARGEST_READ:
            raise damaged(f"The {what} claims to be {length} bytes long, which cannot be true")
        data = self.up_to(offset, length)
        if len(data) != length:
            raise truncated(f"The {what} should lie at byte {offset}, but the file ends at {self.size}")
        return data


@dataclass(frozen=True)
class Concern:
    """A reason to refuse that a person may lift by naming its code."""

    code: str
    message: str
    hint: str


@dataclass(frozen=True)
class Extent:
    """A further file of a split image, as the image names it (not yet checked).

    ``offset`` and ``length`` (bytes) say where its part begins in that file and how much
    of the disk it holds; ``sparse`` that the file has its own tables.
    """

    name: bytes
    sparse: bool
    offset: int
    length: int


@dataclass(frozen=True)
class Container:
    """What a header says: QEMU's driver name, words for people, the guest-visible size in bytes."""

    format: str
    kind: str
    virtual_size: int
    read_only: str | None = None
    """Why the format cannot be written in place; None where it can."""
    extents: tuple[Extent, ...] = ()
    concerns: tuple[Concern, ...] = ()
    dirty_log: bool = False
    details: dict[str, str | int] = field(default_factory=dict)


def damaged(message: str) -> CannotOpenError:
    """The header contradicts itself or its format."""
    return CannotOpenError(
        f"{message}.",
        code="image-damaged",
        hint="Copy or convert the image again from its source; this one cannot be trusted.",
    )


def truncated(message: str) -> CannotOpenError:
    """Something the header promises lies behind the end of the file."""
    return CannotOpenError(
        f"{message}.",
        code="image-truncated",
        hint="The copy is probably incomplete: compare its size with the original and copy it again.",
    )


def refused(code: str, message: str, hint: str) -> RefusedError:
    """A refusal that cannot be lifted."""
    return RefusedError(message, code=code, hint=hint)


def delta(what: str, how: str) -> RefusedError:
    """Differences to another image: QEMU would show a disk with the parent's data missing."""
    return refused(
        "image-is-delta",
        f"This is {what}: it holds only the differences to another image.",
        f"Merge it into its parent first ({how}) and use the merged image.",
    )


def check_size(size: int) -> int:
    """The size, if it is that of a disk: whole sectors, more than none, at most 64 TiB."""
    if not 0 < size <= LARGEST_DISK:
        raise CannotOpenError(
            f"The image claims a virtual size of {size} bytes; only 1 sector to 64 TiB makes sense.",
            code="image-size-absurd",
            hint="The header is damaged or forged. Convert the image again from its source.",
        )
    if size % SECTOR:
        raise damaged(f"The virtual size of {size} bytes is not a whole number of sectors")
    return size


def unpack(layout: str, data: bytes, offset: int = 0) -> tuple[int, ...]:
    """``struct.unpack_from`` for layouts that hold only numbers."""
    return struct.unpack_from(layout, data, offset)


def is_power_of_two(number: int) -> bool:
    """True for 1, 2, 4, …"""
    return number > 0 and number & (number - 1) == 0
