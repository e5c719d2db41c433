"""The old transaction log (Windows 2000 to 8 and 2012, ReactOS): a bitmap and the dirty pages.

After the base block comes ``DIRT`` and one bit for every 512 bytes of hive bins;
from the next sector on, the pages whose bit is set, in order. Windows XP and later
set bits in groups of eight; 2000 may set single ones (regf specification).
"""

from __future__ import annotations

from dataclasses import dataclass

from p2vprep.core.regf.baseblock import PAGE, SECTOR, BaseBlock

_MARK = b"DIRT"
_BITMAP_AT = SECTOR + len(_MARK)


@dataclass(frozen=True, slots=True)
class OldLog:
    """An old-format log whose base block is sound; ``sectors`` are the dirty ones, in order.

    ``problem`` says why the pages cannot be used; empty where all are there.
    """

    base: BaseBlock
    raw: bytes
    sectors: tuple[int, ...]
    pages_at: int
    problem: str

    @staticmethod
    def parse(base: BaseBlock, raw: bytes) -> OldLog:
        """The log; ``base`` is its base block, already found sound."""
        length = base.bins_size // PAGE
        pages_at = -(-(_BITMAP_AT + length) // SECTOR) * SECTOR
        if raw[SECTOR:_BITMAP_AT] != _MARK:
            return OldLog(base, raw, (), pages_at, "it holds no dirty pages ('DIRT' is missing)")
        bitmap = raw[_BITMAP_AT : _BITMAP_AT + length]
        sectors = tuple(
            8 * index + bit
            for index, byte in enumerate(bitmap)
            if byte
            for bit in range(8)
            if byte >> bit & 1
        )
        return OldLog(base, raw, sectors, pages_at, _problem(raw, len(bitmap) < length, sectors, pages_at))

    @property
    def held(self) -> int:
        """How many of the dirty sectors the log holds whole."""
        return min(len(self.sectors), max(0, len(self.raw) - self.pages_at) // SECTOR)

    def writes(self) -> dict[int, memoryview]:
        """What the log writes: offsets inside the bins, each with its 512 bytes."""
        view = memoryview(self.raw)
        starts = range(self.pages_at, self.pages_at + SECTOR * len(self.sectors), SECTOR)
        return {
            SECTOR * sector: view[at : at + SECTOR] for sector, at in zip(self.sectors, starts, strict=True)
        }


def _problem(raw: bytes, bitmap_cut: bool, sectors: tuple[int, ...], pages_at: int) -> str:
    if bitmap_cut:
        return "its bitmap of dirty pages is cut off"
    if not sectors:
        return "it holds no dirty pages"
    if pages_at + SECTOR * len(sectors) > len(raw):
        missing = pages_at + SECTOR * len(sectors) - len(raw)
        return f"its dirty pages are cut off ({missing} bytes are missing)"
    return ""
