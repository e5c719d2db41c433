"""The base block: the first 4096 bytes of a hive, whose first 512 bytes also head its logs.

Layout and rules: the regf format specification (M. Suhanov), confirmed on real
hives from Windows XP to 10. Everything is little-endian. Times are FILETIMEs:
100 ns ticks since 1601, UTC.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from enum import IntEnum

from p2vprep.errors import HiveError

SIGNATURE = b"regf"
BIN_SIGNATURE = b"hbin"
SIZE = 4096
"""Bytes of the base block; the hive bins begin here, and offsets inside a hive count from here."""
SECTOR = 512
"""Bytes of the base block that the checksum covers and that a log repeats."""
BIN_HEADER = 32
PAGE = 4096
"""Hive bins, and so the size of all bins, are multiples of this."""
MAX_BINS = 0x7FFFF000
"""An offset's top bit marks volatile storage, so no hive can hold more bytes of bins."""

_LAYOUT = struct.Struct("<4s I I Q I I I I I I I 64s")
_CHECKSUM_AT = 508
_RM_ID = slice(112, 128)
_FLAGS_AT = 144
_GUID_MARK = slice(164, 168)
_FIELDS_AT = {
    "primary_sequence": (4, "<I"),
    "secondary_sequence": (8, "<I"),
    "last_written": (12, "<Q"),
    "minor": (24, "<I"),
    "type": (28, "<I"),
    "root": (36, "<I"),
    "bins_size": (40, "<I"),
    "flags": (_FLAGS_AT, "<I"),
}


class FileType(IntEnum):
    """The base block's type field: what the file is."""

    PRIMARY = 0
    LOG = 1
    LOG_2000 = 2
    LOG_ENTRIES = 6


def checksum(sector: bytes | bytearray) -> int:
    """The checksum of a base block: XOR of its first 127 words, never 0 or 0xFFFFFFFF.

    Windows stores 1 for 0 and 0xFFFFFFFE for 0xFFFFFFFF (regf specification).
    """
    total = 0
    for word in struct.unpack_from("<127I", sector):
        total ^= word
    return {0: 1, 0xFFFFFFFF: 0xFFFFFFFE}.get(total, total)


@dataclass(frozen=True, slots=True)
class BaseBlock:
    """A base block as found; nothing in it is believed until :meth:`problems` was asked.

    ``raw`` holds the bytes it was made from, 512 to 4096 of them.
    """

    raw: bytes
    signature: bytes
    primary_sequence: int
    secondary_sequence: int
    last_written: int
    major: int
    minor: int
    type: int
    format: int
    root: int
    bins_size: int
    cluster: int
    name_field: bytes

    @staticmethod
    def parse(data: bytes | bytearray | memoryview) -> BaseBlock:
        """The base block at the start of a hive or a log, whatever it holds.

        Raises HiveError ``not-a-hive`` where there are fewer than 512 bytes.
        """
        raw = bytes(data[:SIZE])
        if len(raw) < SECTOR:
            raise HiveError(
                f"it is {len(raw)} bytes long, too short for a registry hive",
                code="not-a-hive",
                hint="Check that this is the right file and that it was copied whole.",
            )
        return BaseBlock(raw, *_LAYOUT.unpack_from(raw))

    @property
    def flags(self) -> int:
        """The flags: bit 0 is set while transactions keep the hive locked (Vista and later)."""
        return int(struct.unpack_from("<I", self.raw, _FLAGS_AT)[0])

    @property
    def file_name(self) -> str:
        """The tail of the path Windows knew the file by; only for people, never for decisions."""
        text = self.name_field.decode("utf-16-le", errors="replace")
        return text.split("\0", 1)[0]

    @property
    def identity(self) -> bytes | None:
        """The GUID of the hive's resource manager (RmId), or None where it has none.

        Windows Vista and later give every hive one and repeat it in the logs. Older hives
        have remnants of memory there, so the mark ``rmtm`` behind it is asked for.
        """
        guid = self.raw[_RM_ID]
        return guid if self.raw[_GUID_MARK] == b"rmtm" and any(guid) else None

    @property
    def checksum_valid(self) -> bool:
        """Whether it is a base block whose first 512 bytes are what was written."""
        stored = int(struct.unpack_from("<I", self.raw, _CHECKSUM_AT)[0])
        return self.signature == SIGNATURE and stored == checksum(self.raw)

    @property
    def dirty(self) -> bool:
        """Whether Windows would recover the hive: bad checksum or unequal sequence numbers."""
        return not self.checksum_valid or self.primary_sequence != self.secondary_sequence

    def problems(self) -> tuple[str, ...]:
        """Why Windows 2000 and later would not take this block, apart from being dirty; else empty."""
        expectations = (
            (self.signature == SIGNATURE, "it does not begin with 'regf'"),
            (self.checksum_valid, "its checksum is wrong"),
            (self.major == 1 and 3 <= self.minor <= 6, f"its version {self.major}.{self.minor} is not known"),
            (self.format == 1, f"its format field is {self.format} where 1 is expected"),
            (_plausible_bins_size(self.bins_size), f"its hive bins size {self.bins_size} is impossible"),
            (self.root < self.bins_size, f"its root cell 0x{self.root:X} lies outside the hive"),
        )
        return tuple(text for holds, text in expectations if not holds)

    def with_(self, **fields: int) -> bytes:
        """The block's bytes with fields set and the checksum made to match.

        Known fields: primary_sequence, secondary_sequence, last_written, minor, type, root,
        bins_size, flags. Raises KeyError for another, struct.error for a number too large.
        """
        changed = bytearray(self.raw)
        for name, number in fields.items():
            at, layout = _FIELDS_AT[name]
            struct.pack_into(layout, changed, at, number)
        struct.pack_into("<I", changed, _CHECKSUM_AT, checksum(changed))
        return bytes(changed)

    def with_sequence(self, number: int, **fields: int) -> bytes:
        """As :meth:`with_`, both sequence numbers being ``number``: the block of a clean hive."""
        return self.with_(primary_sequence=number, secondary_sequence=number, **fields)


def _plausible_bins_size(size: int) -> bool:
    return PAGE <= size <= MAX_BINS and size % PAGE == 0


@dataclass(frozen=True, slots=True)
class FirstBin:
    """What the header of the first hive bin tells: a second copy of the last-written time."""

    last_written: int

    @staticmethod
    def parse(head: bytes | bytearray | memoryview) -> FirstBin | None:
        """From the first 4128 bytes of a hive; None where no first bin begins there."""
        header = bytes(head[SIZE : SIZE + BIN_HEADER])
        if len(header) < BIN_HEADER or header[:4] != BIN_SIGNATURE or header[4:8] != bytes(4):
            return None
        return FirstBin(int(struct.unpack_from("<Q", header, 20)[0]))
