"""The cells of a hive that is being changed: read, write, allocate, free.

Offsets of cells count from the first bin, as everywhere inside a hive. Free
cells are never used again: what is new goes into new bins at the end, as hivex
does it, so that nothing that was there before is overwritten.
"""

from __future__ import annotations

from bisect import bisect_right
from struct import Struct

from p2vprep.core.regf.baseblock import BIN_HEADER, BIN_SIGNATURE, MAX_BINS, PAGE, SIZE, BaseBlock
from p2vprep.core.regf.reader import damaged
from p2vprep.errors import RefusedError

NO_CELL = 0xFFFFFFFF

_U16 = Struct("<H")
_U32 = Struct("<I")
_I32 = Struct("<i")
_BIN = Struct("<4sIIQQI")
_CELL_HEADER = 4


class Cells:
    """A copy of a hive's bytes with its cells. Raises HiveError wherever a cell is not one."""

    def __init__(self, data: bytes) -> None:
        self.block = BaseBlock.parse(data)
        self.data = bytearray(data)
        self.end = self.block.bins_size
        """Where the bins end, as an offset of a cell; grows with every new bin."""
        if SIZE + self.end > len(data):
            damaged("", "its bins are longer than the file", len(data))
        self._free_room = (0, 0)
        self._freed: set[int] = set()

    # --- reading and writing fields ------------------------------------------------------------

    def capacity(self, cell: int) -> int:
        """How many bytes fit into an allocated cell."""
        start = SIZE + cell
        if cell & 7 or not BIN_HEADER <= cell <= self.end - 8:
            damaged("", "an offset points outside the hive", start)
        size = -int(_I32.unpack_from(self.data, start)[0])
        if size < 8 or size & 7 or cell + size > self.end:
            damaged("", "a cell that is in use is free or has an impossible size", start)
        return size - _CELL_HEADER

    def read(self, cell: int, at: int, length: int) -> bytes:
        """``length`` bytes of an allocated cell from ``at`` on."""
        start = self._inside(cell, at, length)
        return bytes(self.data[start : start + length])

    def write(self, cell: int, at: int, content: bytes) -> None:
        start = self._inside(cell, at, len(content))
        self.data[start : start + len(content)] = content

    def u16(self, cell: int, at: int) -> int:
        return int(_U16.unpack_from(self.data, self._inside(cell, at, 2))[0])

    def u32(self, cell: int, at: int) -> int:
        return int(_U32.unpack_from(self.data, self._inside(cell, at, 4))[0])

    def put16(self, cell: int, at: int, number: int) -> None:
        _U16.pack_into(self.data, self._inside(cell, at, 2), number)

    def put32(self, cell: int, at: int, number: int) -> None:
        _U32.pack_into(self.data, self._inside(cell, at, 4), number)

    def words(self, cell: int, at: int, count: int) -> list[int]:
        """``count`` numbers of 32 bits from ``at`` on."""
        raw = self.read(cell, at, 4 * count)
        return [number for (number,) in _U32.iter_unpack(raw)]

    def put_words(self, cell: int, at: int, numbers: list[int]) -> None:
        self.write(cell, at, b"".join(_U32.pack(number) for number in numbers))

    def _inside(self, cell: int, at: int, length: int) -> int:
        if at + length > self.capacity(cell):
            damaged("", "a record is longer than its cell", SIZE + cell)
        return SIZE + cell + _CELL_HEADER + at

    # --- allocating and freeing ----------------------------------------------------------------

    def allocate(self, content: bytes, room: int = 0) -> int:
        """A new cell with the content and room for at least ``room`` bytes; the rest is zero."""
        size = (_CELL_HEADER + max(len(content), room, 4) + 7) & ~7
        start, left = self._free_room
        if size > left:
            start, left = self._add_bin(size)
        self._free_room = (start + size, left - size)
        at = SIZE + start
        self.data[at : at + size] = _I32.pack(-size) + content.ljust(size - _CELL_HEADER, b"\0")
        if left > size:
            _I32.pack_into(self.data, at + size, left - size)
        return start

    def _add_bin(self, size: int) -> tuple[int, int]:
        length = -(-(BIN_HEADER + size) // PAGE) * PAGE
        start = self.end
        if start + length > MAX_BINS:
            raise RefusedError("the registry hive cannot grow any more", code="hive-too-big")
        # What lies behind the bins is slack without a meaning; hivex grows over it in the same way.
        at = SIZE + start
        self.data[at : at + length] = bytes(length)
        _BIN.pack_into(self.data, at, BIN_SIGNATURE, start, length, 0, 0, 0)
        _I32.pack_into(self.data, at + BIN_HEADER, length - BIN_HEADER)
        self.end = start + length
        return start + BIN_HEADER, length - BIN_HEADER

    def free(self, cell: int) -> None:
        """Gives a cell up; its content stays, as it does under Windows."""
        size = self.capacity(cell) + _CELL_HEADER
        _I32.pack_into(self.data, SIZE + cell, size)
        self._freed.add(cell)

    def result(self) -> bytes:
        """The hive's bytes with the header's size and checksum set, free neighbours merged."""
        self._merge_free_neighbours()
        self.data[:SIZE] = self.block.with_(bins_size=self.end)
        return bytes(self.data)

    # --- bins ----------------------------------------------------------------------------------

    def _bins(self) -> list[int]:
        """The offsets of all bins, and where the last one ends."""
        starts = [0]
        while starts[-1] < self.end:
            at = SIZE + starts[-1]
            signature, offset, length, *_ = _BIN.unpack_from(self.data, at)
            if signature != BIN_SIGNATURE or offset != starts[-1] or length < PAGE or length % PAGE:
                damaged("", "a hive bin does not begin where it should", at)
            starts.append(starts[-1] + length)
        if starts[-1] != self.end:
            damaged("", "the last hive bin ends outside the hive", SIZE + starts[-1])
        return starts

    def _merge_free_neighbours(self) -> None:
        if not self._freed:
            return
        starts = self._bins()
        for number in {bisect_right(starts, cell) - 1 for cell in self._freed}:
            self._merge_in_bin(starts[number] + BIN_HEADER, starts[number + 1])
        self._freed.clear()
        self._free_room = (0, 0)

    def _merge_in_bin(self, cell: int, end: int) -> None:
        free_since: int | None = None
        while cell < end:
            size = int(_I32.unpack_from(self.data, SIZE + cell)[0])
            if abs(size) < 8 or size & 7 or cell + abs(size) > end:
                damaged("", "a cell has an impossible size", SIZE + cell)
            if size < 0:
                free_since = None
            elif free_since is None:
                free_since = cell
            else:
                _I32.pack_into(self.data, SIZE + free_since, cell + size - free_since)
            cell += abs(size)
