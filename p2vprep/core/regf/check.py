"""The structure check of a whole hive: bins, cells, keys, lists, values, security.

What Windows itself expects, by the public format description by Maxim Suhanov
("Windows registry file format specification") and by what hives written by
Windows XP to 10 hold. An ``error`` means that the hive is damaged: reading it
fails, or editing it may make it worse. A ``note`` is something Windows lives
with. A hive without errors can be read whole by ``HiveReader``.

It runs on every hive before and after an edit, so it is one pass over plain arrays.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from operator import mul
from struct import unpack_from

from p2vprep.core.regf import baseblock
from p2vprep.core.regf.cellmap import ALLOCATED, FREE, USED, WRAP, CellMap, Problem, Severity
from p2vprep.core.regf.reader import (
    BINS,
    COMPRESSED_KEY_NAME,
    COMPRESSED_VALUE_NAME,
    INLINE_DATA,
    MAX_DEPTH,
    NO_CELL,
    PREDEFINED_KEY,
    SEGMENT,
)
from p2vprep.core.registry import fold

_NK, _VK, _SK, _DB = (int.from_bytes(text, "little") for text in (b"nk", b"vk", b"sk", b"db"))
_LF, _LH, _LI, _RI = (int.from_bytes(text, "little") for text in (b"lf", b"lh", b"li", b"ri"))
_LONGEST_KEY_NAME, _LONGEST_VALUE_NAME = 2 * 255, 2 * 16383
"""In bytes of UTF-16; Windows documents both limits ("Registry element size limits")."""
_POWERS = [pow(37, exponent, WRAP) for exponent in range(1024)][::-1]


@dataclass(frozen=True, slots=True)
class StructureReport:
    """What a hive consists of and what is wrong in it."""

    keys: int
    values: int
    cells: int
    """Allocated cells."""
    free_bytes: int
    """Bytes of free cells."""
    leaked_bytes: int
    """Bytes of allocated cells that nothing refers to."""
    problems: tuple[Problem, ...]
    omitted: int
    """How many more problems there are than listed."""

    @property
    def errors(self) -> tuple[Problem, ...]:
        return tuple(problem for problem in self.problems if problem.severity == "error")

    @property
    def notes(self) -> tuple[Problem, ...]:
        return tuple(problem for problem in self.problems if problem.severity == "note")


def check(data: bytes | bytearray | memoryview) -> StructureReport:
    """Checks a hive file. Raises HiveError ``not-a-hive`` where it is too short to be one."""
    return _Check(bytes(data)).run()


class _Check(CellMap):
    def __init__(self, data: bytes) -> None:
        super().__init__(data)
        self.big_data = self.block.minor > 3
        self.keys = 0
        self.values = 0
        self.securities: Counter[int] = Counter()
        self.unsecured: list[int] = []
        self.judged: dict[int, bool] = {}
        """Security records seen, and whether they are sound."""
        self.names: dict[bytes, tuple[bytes, int]] = {}
        """Order and hash of compressed key names; the same names come again and again."""

    def run(self) -> StructureReport:
        self._base_block()
        self._tree()
        self._security()
        leaked = self.leaked()
        return StructureReport(
            keys=self.keys,
            values=self.values,
            cells=self.cells,
            free_bytes=self.free_bytes,
            leaked_bytes=leaked,
            problems=tuple(self.problems),
            omitted=self.found.total() - len(self.problems),
        )

    # --- the file ------------------------------------------------------------------------------

    def _base_block(self) -> None:
        for text in self.block.problems():
            self.problem("error", "base-block", text, -BINS)
        if self.block.type != baseblock.FileType.PRIMARY:
            self.problem("error", "base-block", f"it is not a primary hive but type {self.block.type}", -BINS)
        if self.block.checksum_valid and self.block.dirty:
            self.problem(
                "note", "dirty", "its sequence numbers differ: its newest data are in its logs", -BINS
            )
        if self.limit < self.block.bins_size:
            message = f"its bins should be {self.block.bins_size} bytes, the file has room for {self.limit}"
            self.problem("error", "truncated", message, self.limit)

    # --- keys ----------------------------------------------------------------------------------

    def _tree(self) -> None:
        root = self.block.root
        if not self.claim(root, "the root key", root, 80):
            return
        if self.words[(root >> 2) + 1] & 0xFFFF != _NK or not self._sound_name(root):
            self.problem("error", "signature", "the root is not a key", root)
            return
        pending = [(root, 0)]
        while pending:
            key, depth = pending.pop()
            children = self._key(key)
            if depth >= MAX_DEPTH and children:
                self.problem("error", "depth", f"it lies deeper than {MAX_DEPTH} levels", key, key)
                continue
            pending.extend((child, depth + 1) for child in children)

    def _sound_name(self, key: int) -> bool:
        at = key >> 2
        length = self.words[at + 19] & 0xFFFF
        compressed = self.words[at + 1] >> 16 & COMPRESSED_KEY_NAME
        return 80 + length <= self.size(key) and bool(compressed or not length & 1)

    def _key(self, key: int) -> list[int]:
        """Checks a key's parts and returns its subkeys; the key itself is sound."""
        self.keys += 1
        fields = unpack_from("<H12x4xI4xI4xIIIIIIII4x2xH", self.data, BINS + key + 6)
        flags, subkeys, subkey_list, values, value_list, security, class_offset, *rest = fields
        name_max, class_max, value_name_max, value_data_max, class_length = rest
        children: list[int] = []
        longest = longest_class = value_name = value_data = 0
        if subkeys:
            children, longest, longest_class = self._subkeys(key, subkeys, subkey_list)
        if values and not flags & PREDEFINED_KEY:
            value_name, value_data = self._values(key, values, value_list)
        if class_offset != NO_CELL and class_length:
            self.claim(class_offset, "a class name", key, 4 + class_length)
        if security == NO_CELL:
            self.unsecured.append(key)
        else:
            self.securities[security] += 1
        if (
            name_max & 0xFFFF < longest
            or class_max < longest_class
            or value_name_max < value_name
            or value_data_max < value_data
        ):
            self.problem("note", "maximum", "it holds longer names or values than it says", key, key)
        return children

    def _subkeys(self, key: int, count: int, held: int) -> tuple[list[int], int, int]:
        """The sound subkeys, the longest name and the longest class name among them, in bytes."""
        children: list[int] = []
        before = b""
        total = longest = longest_class = 0
        words, data, names = self.words, self.data, self.names
        for kind, entries in self._leaves(key, held):
            offsets = entries if kind == _LI else entries[::2]
            marks = offsets if kind == _LI else entries[1::2]
            total += len(offsets)
            for child, mark in zip(offsets, marks, strict=True):
                if not self._subkey(key, child):
                    continue
                children.append(child)
                at = child >> 2
                length = words[at + 19]
                start = BINS + child + 80
                raw = data[start : start + (length & 0xFFFF)]
                compressed = words[at + 1] >> 16 & COMPRESSED_KEY_NAME
                order, hashed = (names.get(raw) if compressed else None) or self._name(raw, compressed)
                if order <= before:
                    self._disorder(key, child, order == before)
                before = order
                if mark != hashed and kind != _LI:
                    self._check_mark(key, child, kind, mark, raw if compressed else None)
                if len(order) > longest:
                    longest = len(order)
                    if longest > _LONGEST_KEY_NAME:
                        self.problem("note", "long-name", "a subkey's name is longer than 255", child, key)
                if length >> 16 > longest_class:
                    longest_class = length >> 16
        if total != count:
            self.problem("error", "count", f"it has {count} subkeys but its list has {total}", key, key)
        return children, longest, longest_class

    def _subkey(self, key: int, child: int) -> bool:
        """Whether a subkey's record is sound."""
        if child >= self.limit or child & 7 or self.state[child >> 3] != ALLOCATED:
            return self.claim(child, "a subkey", key)
        self.state[child >> 3] = USED
        words, at = self.words, child >> 2
        size = WRAP - words[at]
        if size < 80 or words[at + 1] & 0xFFFF != _NK:
            self.problem("error", "signature", "a subkey's record is not one", child, key)
        elif words[at + 5] != key:
            self.problem("error", "parent", "a subkey names another key as its parent", child, key)
        elif not self._sound_name(child):
            self.problem(
                "error", "name", "a subkey's name runs past its cell or is half a letter", child, key
            )
        else:
            return True
        return False

    def _name(self, raw: bytes, compressed: int) -> tuple[bytes, int]:
        """What a key's name is ordered by, and its hash."""
        name = raw.decode("latin-1") if compressed else raw.decode("utf-16-le", "surrogatepass")
        order = fold(name).encode("utf-16-be", "surrogatepass")
        units = unpack_from(f">{len(order) >> 1}H", order)
        powers = _POWERS[-len(units) :] if len(units) <= len(_POWERS) else _powers(len(units))
        hashed = sum(map(mul, units, powers)) % WRAP
        if compressed:
            self.names[raw] = order, hashed
        return order, hashed

    def _disorder(self, key: int, child: int, equal: bool) -> None:
        if not self.words[(child >> 2) + 19] & 0xFFFF:
            self.problem("error", "name", "a subkey has no name", child, key)
        elif equal:
            self.problem("error", "same-name", "two of its subkeys have one name", child, key)
        else:
            self.problem("note", "order", "its subkeys are not in order", child, key)

    def _check_mark(self, key: int, child: int, kind: int, mark: int, raw: bytes | None) -> None:
        """``lf`` lists hold the first four letters, ``lh`` lists a hash; ``raw``: the name in Latin-1."""
        if kind == _LF:
            hint = mark.to_bytes(4, "little")
            if raw is None or not hint[0] or hint.upper() == raw[:4].upper().ljust(4, b"\0"):
                return
        # Windows finds a key by its hash; other tools hash letters beyond ASCII without upcasing them.
        severity: Severity = "error" if raw is not None and raw.isascii() else "note"
        self.problem(severity, "hash", "a subkey list holds a wrong hash", child, key)

    def _leaves(self, key: int, held: int) -> Iterator[tuple[int, Sequence[int]]]:
        """The sound lists of subkeys below a list cell: signature and words."""
        pending = [held]
        while pending:
            place = pending.pop()
            if not self.claim(place, "a subkey list", key):
                continue
            head = self.words[(place >> 2) + 1]
            kind, count = head & 0xFFFF, head >> 16
            if kind not in (_LF, _LH, _LI, _RI):
                self.problem("error", "signature", "a subkey list has an unknown signature", place, key)
                continue
            length = 2 * count if kind in (_LF, _LH) else count
            if 8 + 4 * length > self.size(place):
                self.problem("error", "size", f"a subkey list of {count} does not fit its cell", place, key)
                continue
            entries = self.words[(place >> 2) + 2 : (place >> 2) + 2 + length]
            if kind == _RI:
                pending.extend(reversed(entries))
            else:
                yield kind, entries

    # --- values --------------------------------------------------------------------------------

    def _values(self, key: int, count: int, held: int) -> tuple[int, int]:
        """Checks a key's values; returns the longest name and the most data among them, in bytes.

        This loop sees everything most often: it calls nothing while all is well.
        """
        words, state, data, limit = self.words, self.state, self.data, self.limit
        longest = longest_data = sound = 0
        names = set()
        for value in self._value_list(key, count, held):
            if value >= limit or value & 7 or state[value >> 3] != ALLOCATED:
                self.claim(value, "a value", key)
                continue
            state[value >> 3] = USED
            at = value >> 2
            head = words[at + 1]
            length = head >> 16
            room = WRAP - words[at] - 24
            if (
                head & 0xFFFF != _VK
                or length > room
                or (length & 1 and not words[at + 5] & COMPRESSED_VALUE_NAME)
            ):
                self._bad_value(key, value)
                continue
            sound += 1
            start = BINS + value + 24
            names.add(data[start : start + length].upper())
            size = words[at + 2]
            if size & INLINE_DATA:
                size ^= INLINE_DATA
                if size > 4:
                    self.problem("error", "size", f"a value claims {size} bytes in its record", value, key)
            elif size:
                place = words[at + 3]
                if (
                    size <= SEGMENT
                    and place < limit
                    and not place & 7
                    and state[place >> 3] == ALLOCATED
                    and WRAP - words[place >> 2] - 4 >= size
                ):
                    state[place >> 3] = USED
                else:
                    self._data(key, place, size)
            if size > longest_data:
                longest_data = size
            length <<= words[at + 5] & COMPRESSED_VALUE_NAME
            if length > longest:
                longest = length
        self.values += sound
        if len(names) != sound:
            self.problem("error", "same-name", "two of its values have one name", key, key)
        if longest > _LONGEST_VALUE_NAME:
            self.problem("note", "long-name", "a value's name is longer than 16383", key, key)
        return longest, longest_data

    def _value_list(self, key: int, count: int, held: int) -> Sequence[int]:
        if not self.claim(held, "a value list", key):
            return ()
        if 4 + 4 * count > self.size(held):
            self.problem("error", "size", f"a value list of {count} does not fit its cell", held, key)
            return ()
        return self.words[(held >> 2) + 1 : (held >> 2) + 1 + count]

    def _bad_value(self, key: int, value: int) -> None:
        at = value >> 2
        if self.words[at + 1] & 0xFFFF != _VK or self.size(value) < 24:
            self.problem("error", "signature", "a value's record is not one", value, key)
        else:
            message = "a value's name runs past its cell or is half a letter"
            self.problem("error", "name", message, value, key)

    def _data(self, key: int, place: int, size: int) -> None:
        """Value data that is large or not where it should be."""
        if not self.big_data or size <= SEGMENT:
            self.claim(place, f"a value of {size} bytes", key, 4 + size)
            return
        if not self.claim(place, "big data", key, 12):
            return
        head = self.words[(place >> 2) + 1]
        count = head >> 16
        if head & 0xFFFF != _DB or count != -(-size // SEGMENT):
            self.problem("error", "big-data", f"a value of {size} bytes is not held as big data", place, key)
            return
        held = self.words[(place >> 2) + 2]
        if not self.claim(held, "a list of segments", key, 4 + 4 * count):
            return
        for segment in self.words[(held >> 2) + 1 : (held >> 2) + 1 + count]:
            self.claim(segment, "a segment", key, 4 + min(size, SEGMENT))
            size -= SEGMENT

    # --- security ------------------------------------------------------------------------------

    def _security(self) -> None:
        if self.unsecured:
            first = self.unsecured[0]
            message = f"{len(self.unsecured)} of its {self.keys} keys have no security descriptor"
            self.problem("note", "no-security", message, first, first)
        ring = self._ring()
        for offset in ring | self.securities.keys():
            references = self.securities[offset]
            if offset not in ring:
                if self._sound_security(offset):
                    self.problem("error", "security-ring", "a security record is not in the ring", offset)
                continue
            stored = self.words[(offset >> 2) + 4]
            if stored != references:
                # Too low a count frees the record while it is in use, when keys are deleted.
                severity: Severity = "error" if stored < references else "note"
                message = f"a security record counts {stored} users and has {references}"
                self.problem(severity, "security-count", message, offset)

    def _ring(self) -> set[int]:
        """The security records that are chained."""
        ring: set[int] = set()
        if not self.securities:
            return ring
        first = offset = next(iter(self.securities))
        while offset not in ring:
            if not self._sound_security(offset):
                return ring
            ring.add(offset)
            following = self.words[(offset >> 2) + 2]
            if self._is_cell(following) and self.words[(following >> 2) + 3] != offset:
                self.problem("error", "security-ring", "two security records disagree on their links", offset)
            offset = following
        if offset != first:
            self.problem("error", "security-ring", "the security records do not form a ring", offset)
        return ring

    def _sound_security(self, offset: int) -> bool:
        """Whether a security record is one; claims it when it is first seen."""
        if offset not in self.judged:
            root = self.block.root
            self.judged[offset] = self.claim(offset, "a security record", root, 24) and self._is_security(
                offset
            )
        return self.judged[offset]

    def _is_cell(self, offset: int) -> bool:
        return offset + 16 < self.limit and not offset & 7 and self.state[offset >> 3] != FREE

    def _is_security(self, offset: int) -> bool:
        at = offset >> 2
        if self.words[at + 1] & 0xFFFF != _SK:
            self.problem("error", "signature", "a security record is not one", offset)
            return False
        if 24 + self.words[at + 5] > self.size(offset):
            self.problem("error", "size", "a security descriptor does not fit its cell", offset)
            return False
        return True


def _powers(length: int) -> list[int]:
    return [pow(37, exponent, WRAP) for exponent in range(length)][::-1]
