"""The cells of a hive in arrays: what is in use, who owns it, and what is wrong with it.

The ground that the structure check stands on. Every cell's state is one byte,
every field one look into an array of words.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from struct import unpack_from
from typing import Literal

from p2vprep.core.regf.baseblock import BaseBlock
from p2vprep.core.regf.image import little_endian_words
from p2vprep.core.regf.reader import BINS, COMPRESSED_KEY_NAME

Severity = Literal["error", "note"]

MOST_PROBLEMS = 100
"""How many problems of one code are listed; the rest is counted."""

FREE, ALLOCATED, USED = 0, 1, 2
WRAP = 1 << 32
"""An allocated cell's size is negative; as an unsigned word it is this minus the size."""


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing that is wrong; ``offset`` counts in the file, ``path`` is the key it belongs to."""

    severity: Severity
    code: str
    offset: int
    path: str | None
    message: str

    def __str__(self) -> str:
        where = "" if self.path is None else f" at {self.path or 'the root'!r}"
        return f"{self.message}{where} (file offset {self.offset:#x})"


class CellMap:
    """A hive's bytes, words and cells, and the problems found so far.

    Offsets count from the beginning of the bins, as they do inside a hive.
    """

    def __init__(self, data: bytes) -> None:
        self.data = data
        self.block = BaseBlock.parse(data)
        whole = max(0, len(data) - BINS) & ~4095
        self.limit = min(self.block.bins_size, whole) & ~4095
        """The end of the bins."""
        self.words = little_endian_words(data[BINS : BINS + self.limit])
        self.state = bytearray(self.limit >> 3)
        """One byte for every 8 bytes of bins: what cell begins there."""
        self.cells = 0
        self.free_bytes = 0
        self.problems: list[Problem] = []
        self.found: Counter[str] = Counter()
        self._map_bins()

    def problem(
        self, severity: Severity, code: str, message: str, offset: int, key: int | None = None
    ) -> None:
        """Notes a problem at an offset within the bins, of the key at another."""
        self.found[code] += 1
        if self.found[code] <= MOST_PROBLEMS:
            path = None if key is None else self.path(key)
            self.problems.append(Problem(severity, code, BINS + offset, path, message))

    def path(self, key: int) -> str:
        """The path of a key that was found sound, through the parents it names."""
        names: list[str] = []
        while key != self.block.root:
            flags, parent, length = unpack_from("<H12xI52xH", self.data, BINS + key + 6)
            raw = self.data[BINS + key + 80 : BINS + key + 80 + length]
            compressed = flags & COMPRESSED_KEY_NAME
            names.append(raw.decode("latin-1") if compressed else raw.decode("utf-16-le", "surrogatepass"))
            key = parent
        return "\\".join(reversed(names))

    def _map_bins(self) -> None:
        start = 0
        data = self.data
        while start < self.limit:
            signature, offset, length = unpack_from("<4sII", data, BINS + start)
            if signature != b"hbin" or length & 4095 or not length or start + length > self.limit:
                self.problem("error", "bin", "a bin's header is damaged", start)
                start += 4096
                continue
            if offset != start:
                self.problem("error", "bin", f"a bin says it lies at {offset:#x}", start)
            self._map_cells(start + 32, start + length)
            start += length

    def _map_cells(self, place: int, end: int) -> None:
        """Marks the cells of a bin."""
        words, state = self.words, self.state
        free = cells = 0
        while place < end:
            size = words[place >> 2]
            if size & 0x80000000:
                size = WRAP - size
                state[place >> 3] = ALLOCATED
                cells += 1
            else:
                free += size
            if size & 7 or not size or place + size > end:
                state[place >> 3] = FREE
                self.problem("error", "cell", "the cells of a bin do not fill it exactly", place)
                break
            place += size
        self.free_bytes += free
        self.cells += cells

    def size(self, offset: int) -> int:
        """The size of an allocated cell, its size field included."""
        return WRAP - self.words[offset >> 2]

    def claim(self, offset: int, what: str, key: int, least: int = 8) -> bool:
        """Takes a cell for its only owner; a problem where that cannot be."""
        if offset >= self.limit or offset & 7 or self.state[offset >> 3] == FREE:
            message = f"{what} should lie at {BINS + offset:#x}, where no cell in use begins"
            self.problem("error", "reference", message, key, key)
            return False
        if self.state[offset >> 3] == USED:
            self.problem("error", "shared-cell", f"the cell of {what} has another owner, too", offset, key)
            return False
        self.state[offset >> 3] = USED
        if self.size(offset) < least:
            self.problem("error", "size", f"the cell of {what} is too small", offset, key)
            return False
        return True

    def leaked(self) -> int:
        """The bytes of cells in use that nothing was found to own; a note where there are any."""
        leaked = 0
        first = -1
        count = 0
        place = self.state.find(ALLOCATED)
        while place >= 0:
            first = place if first < 0 else first
            count += 1
            leaked += self.size(place << 3)
            place = self.state.find(ALLOCATED, place + 1)
        if count:
            message = f"{count} cells in use ({leaked} bytes) belong to nothing"
            self.problem("note", "leaked", message, first << 3)
        return leaked
