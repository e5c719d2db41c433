"""Which parts of two versions of a hive are the same bytes at the same place.

Editing a hive with hivex leaves every cell it does not change where it was. So most
of a hive need not be decoded to know that it is unchanged: a record that lies wholly
in pages that are equal in both versions says the same in both, whatever it says.
"""

from __future__ import annotations

from array import array
from collections.abc import Sequence

from p2vprep.core.regf.image import little_endian_words
from p2vprep.core.regf.reader import (
    BINS,
    INLINE_DATA,
    NO_CELL,
    PREDEFINED_KEY,
    SEGMENT,
    HiveReader,
)

_PAGE_BITS = 10
_PAGE = 1 << _PAGE_BITS
_WRAP = 1 << 32
_RI = int.from_bytes(b"ri", "little")
_LI = int.from_bytes(b"li", "little")


class Twins:
    """Two versions of a hive. All answers err towards "not known to be the same".

    Offsets count from the beginning of the bins. A record is the same when each of
    its bytes, its size field included, lies in a page equal in both versions; then
    the reader makes of it in both versions the same, or fails in both.
    """

    def __init__(self, before: HiveReader, after: HiveReader) -> None:
        first = before.image.read(0, before.size)
        second = after.image.read(0, after.size)
        self.identical = first == second
        limit = min(before.end, after.end) - BINS & ~3
        comparable = before.minor == after.minor and limit > 0
        self.words = little_endian_words(first[BINS : BINS + limit] if comparable else b"")
        self.same_until = _same_until(first, second, BINS + len(self.words) * 4)
        """Per page: where the equal bytes that include it end; its own start where it differs."""

    def cell(self, offset: int) -> bool:
        """Whether a cell is the same."""
        try:
            return offset + _WRAP - self.words[offset >> 2] <= self.same_until[offset >> _PAGE_BITS]
        except IndexError:
            return False

    def subkeys(self, key: int) -> Sequence[int] | None:
        """The subkeys of a key that is the same, where their lists and themselves are, too, else None."""
        words = self.words
        count = words[(key >> 2) + 6]
        if not count:
            return ()
        top = words[(key >> 2) + 8]
        leaves: Sequence[int] = (top,)
        if self.cell(top) and words[(top >> 2) + 1] & 0xFFFF == _RI:
            leaves = self._entries(top) or ()
        found = array("I")
        for leaf in leaves:
            part = self._entries(leaf)
            if part is None or words[(leaf >> 2) + 1] & 0xFFFF == _RI or len(found) > len(words):
                return None
            found.extend(part)
        if len(found) != count or len(set(found)) != count or not self._same_keys(found):
            return None
        return found

    def _entries(self, held: int) -> array[int] | None:
        """The offsets in a list cell that is the same and that they fit into, else None."""
        if not self.cell(held):
            return None
        head = self.words[(held >> 2) + 1]
        step = 1 if head & 0xFFFF in (_RI, _LI) else 2
        length = step * (head >> 16)
        if 8 + 4 * length > _WRAP - self.words[held >> 2]:
            return None
        return self.words[(held >> 2) + 2 : (held >> 2) + 2 + length : step]

    def _same_keys(self, keys: Sequence[int]) -> bool:
        words, same_until = self.words, self.same_until
        try:
            for key in keys:
                if key + _WRAP - words[key >> 2] > same_until[key >> _PAGE_BITS]:
                    return False
        except IndexError:
            return False
        return True

    def values(self, key: int) -> bool:
        """Whether all values of a key that is the same are the same."""
        at = key >> 2
        words, same_until = self.words, self.same_until
        count = words[at + 10]
        if not count or words[at + 1] >> 16 & PREDEFINED_KEY:
            return True
        held = words[at + 11]
        if not self.cell(held) or 4 + 4 * count > _WRAP - words[held >> 2]:
            return False
        try:
            for value in words[(held >> 2) + 1 : (held >> 2) + 1 + count]:
                at = value >> 2
                if value + _WRAP - words[at] > same_until[value >> _PAGE_BITS]:
                    return False
                size = words[at + 2]
                if size and size < INLINE_DATA:
                    if size > SEGMENT:
                        return False
                    place = words[at + 3]
                    if place + _WRAP - words[place >> 2] > same_until[place >> _PAGE_BITS]:
                        return False
        except IndexError:
            return False
        return True

    def class_name(self, key: int) -> bool:
        """Whether the class name of a key that is the same is the same."""
        offset = self.words[(key >> 2) + 13]
        return offset == NO_CELL or self.cell(offset)


def _same_until(first: bytes, second: bytes, end: int) -> array[int]:
    count = -(-(end - BINS) // _PAGE)
    result = array("I", bytes(4 * count))
    until = end - BINS
    for number in reversed(range(count)):
        start = BINS + number * _PAGE
        stop = min(start + _PAGE, end)
        if first[start:stop] != second[start:stop]:
            until = number * _PAGE
        result[number] = until
    return result
