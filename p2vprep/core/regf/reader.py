r"""Reads a registry hive, key by key, without hivex and without trusting it.

The layout follows the public format description by Maxim Suhanov ("Windows
registry file format specification") and was checked on hives of Windows XP to 10.

Nothing is decoded before it is asked for. A hive comes from a stranger's disk:
whatever is wrong in it ends in a :class:`HiveError`. Two checks make every walk
finite: a key must name as its parent the key it was reached through, and no list
may name a key twice. So each key is reached by one way only and
:func:`p2vprep.core.registry.walk` visits it at most once.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import chain
from struct import Struct, iter_unpack, unpack_from
from typing import NoReturn

from p2vprep.core.regf import baseblock
from p2vprep.core.regf.baseblock import BaseBlock
from p2vprep.core.regf.image import Image, Overlay, Source, open_image
from p2vprep.core.registry import fold
from p2vprep.core.values import Data
from p2vprep.errors import HiveError

BINS = baseblock.SIZE
"""Where the bins begin in the file; all cell offsets count from here."""
NO_CELL = 0xFFFFFFFF
SEGMENT = 16344
"""The most bytes in one segment of a big data record."""
MAX_DEPTH = 512
"""Windows documents 512 levels as the deepest registry tree ("Registry element size limits")."""
COMPRESSED_KEY_NAME = 0x20
PREDEFINED_KEY = 0x40
"""The value count of such a key is a handle (HKEY_PERFORMANCE_TEXT in SOFTWARE of XP): it has no values."""
COMPRESSED_VALUE_NAME = 1
INLINE_DATA = 0x80000000

_MOST_INDEXED_NAMES = 50_000

_SIZE = Struct("<i")
_KEY = Struct("<2sHQ4xII4xI4xIIII20xHH")
_VALUE = Struct("<2sHIIIH2x")
_SECURITY = Struct("<2s14xI")
_BIG_DATA = Struct("<2sHI")
_LIST = Struct("<2sH")


class HiveReader:
    """A hive that is read lazily; ``data`` is the whole file or a :class:`Source` of it.

    ``overlay`` holds bytes that lie over the file, such as the pages replayed
    from its transaction logs, base block included. Raises HiveError
    (``not-a-hive``, ``hive-damaged``) here for a bad base block, and wherever a
    bad part is reached. The header's checksum and sequence numbers are not judged.
    """

    def __init__(self, data: bytes | bytearray | memoryview | Source, overlay: Overlay = ()) -> None:
        self.image: Image = open_image(data, overlay)
        self.size = self.image.size
        self.base_block = BaseBlock.parse(self.image.read(0, min(self.size, baseblock.SECTOR)))
        if self.base_block.signature != baseblock.SIGNATURE:
            raise HiveError(
                "the file is not a registry hive of Windows NT (it does not begin with 'regf')",
                code="not-a-hive",
                hint="Check that this is the right file and that it was copied whole.",
            )
        self.minor = self.base_block.minor
        self.root_offset = self.base_block.root
        if self.base_block.major != 1 or not 3 <= self.minor <= 6:
            damaged("", f"its version {self.base_block.major}.{self.minor} is not known", 20)
        self.end = min(self.size, BINS + self.base_block.bins_size)
        """The file offset where the bins end."""
        self._indexes: dict[int, dict[str, int]] = {}
        self._indexed_names = 0
        self._root: RegfKey | None = None

    @property
    def root(self) -> RegfKey:
        if self._root is None:
            self._root = RegfKey(self, self.root_offset, None)
        return self._root

    def cell(self, offset: int, path: str | RegfKey) -> bytes:
        """The content of an allocated cell. ``path`` names the key it is read for, in errors."""
        start = BINS + offset
        if offset & 7 or start + 8 > self.end:
            damaged(path, "an offset points outside the hive", start)
        read = self.image.read
        (size,) = _SIZE.unpack(read(start, 4))
        if size >= 0:
            damaged(path, "a cell in use is marked free", start)
        if -size & 7 or start - size > self.end:
            damaged(path, f"a cell has the impossible size {-size}", start)
        return read(start + 4, -size - 4)

    def data(self, offset: int, size: int, path: str | RegfKey) -> bytes:
        """``size`` bytes of value data held outside of the value's record."""
        cell = self.cell(offset, path)
        if size <= SEGMENT or self.minor <= 3:
            if size > len(cell):
                damaged(path, f"a value of {size} bytes lies in a cell of {len(cell)}", BINS + offset)
            return cell[:size]
        if len(cell) < 8 or cell[:2] != b"db":
            damaged(path, f"a value of {size} bytes is not held as big data", BINS + offset)
        if size > self.end:
            damaged(path, f"a value of {size} bytes is larger than the hive", BINS + offset)
        _, count, held = _BIG_DATA.unpack_from(cell)
        if count != -(-size // SEGMENT):
            damaged(path, f"a value of {size} bytes has {count} segments", BINS + offset)
        parts = []
        for segment in self.words(held, count, path):
            part = self.cell(segment, path)[:SEGMENT]
            wanted = min(SEGMENT, size)
            if len(part) < wanted:
                damaged(path, "a segment of a big value is too short", BINS + segment)
            parts.append(part[:wanted])
            size -= wanted
        return b"".join(parts)

    def words(self, offset: int, count: int, path: str | RegfKey) -> tuple[int, ...]:
        """The ``count`` offsets that a list without a header holds."""
        cell = self.cell(offset, path)
        if 4 * count > len(cell):
            damaged(path, f"a list of {count} entries lies in a cell of {len(cell)} bytes", BINS + offset)
        return unpack_from(f"<{count}I", cell)

    def leaves(self, offset: int, path: str | RegfKey) -> Iterator[tuple[bytes, tuple[int, ...]]]:
        """The subkey lists below a list cell, index lists resolved: signature and its words."""
        seen = set()
        pending = [offset]
        while pending:
            place = pending.pop()
            if place in seen:
                damaged(path, "a subkey list is named twice or contains itself", BINS + place)
            seen.add(place)
            cell = self.cell(place, path)
            kind, count = _LIST.unpack_from(cell)
            words = 2 * count if kind in (b"lf", b"lh") else count
            if kind not in (b"lf", b"lh", b"li", b"ri"):
                damaged(path, f"a subkey list has the unknown signature {kind!r}", BINS + place)
            if 4 + 4 * words > len(cell):
                damaged(path, f"a subkey list of {count} entries does not fit its cell", BINS + place)
            content = unpack_from(f"<{words}I", cell, 4)
            if kind == b"ri":
                pending.extend(reversed(content))
            else:
                yield kind, content

    def key_name(self, offset: int, path: str | RegfKey) -> str:
        """The name of the key at an offset."""
        cell = self.cell(offset, path)
        if len(cell) < 76 or cell[:2] != b"nk":
            damaged(path, "a subkey list names something that is not a key", BINS + offset)
        flags, length = cell[2], cell[72] | cell[73] << 8
        return decoded(cell, 76, length, bool(flags & COMPRESSED_KEY_NAME), path, BINS + offset)

    def name_index(self, key: RegfKey) -> dict[str, int]:
        """The offsets of all subkeys by folded name; the first of equal names wins."""
        index = self._indexes.get(key.offset)
        if index is None:
            offsets = key.subkey_offsets()
            self._indexed_names += len(offsets)
            if self._indexed_names > _MOST_INDEXED_NAMES:
                self._indexes.clear()
                self._indexed_names = len(offsets)
            index = {}
            for offset in offsets:
                index.setdefault(fold(self.key_name(offset, key)), offset)
            self._indexes[key.offset] = index
        return index


class RegfKey:
    """A key of a hive file. Lists and values are read when they are asked for."""

    __slots__ = (
        "_class_length",
        "_class_offset",
        "_path",
        "_subkey_list",
        "_value_list",
        "depth",
        "flags",
        "hive",
        "name",
        "offset",
        "parent",
        "security_offset",
        "subkey_count",
        "value_count",
        "written",
    )

    def __init__(self, hive: HiveReader, offset: int, parent: RegfKey | None) -> None:
        self.hive = hive
        self.offset = offset
        self.parent = parent
        self._path: str | None = None if parent else ""
        where = parent or ""
        cell = hive.cell(offset, where)
        if len(cell) < 76 or cell[:2] != b"nk":
            damaged(where, "a key's record is not one", BINS + offset)
        (
            _,
            self.flags,
            self.written,
            parent_offset,
            self.subkey_count,
            self._subkey_list,
            self.value_count,
            self._value_list,
            self.security_offset,
            self._class_offset,
            name_length,
            self._class_length,
        ) = _KEY.unpack_from(cell)
        compressed = bool(self.flags & COMPRESSED_KEY_NAME)
        self.name = decoded(cell, 76, name_length, compressed, where, BINS + offset)
        if self.flags & PREDEFINED_KEY:
            self.value_count = 0
        if parent is None:
            self.depth = 0
            return
        if parent_offset != parent.offset or offset == hive.root_offset:
            damaged(parent, f"its subkey {self.name!r} belongs to another key", BINS + offset)
        self.depth = parent.depth + 1
        if self.depth > MAX_DEPTH:
            damaged(parent, f"it lies deeper than the {MAX_DEPTH} levels Windows allows", BINS + offset)

    @property
    def path(self) -> str:
        if self._path is None:
            names: list[str] = []
            key: RegfKey | None = self
            while key is not None and key._path is None:
                names.append(key.name)
                key = key.parent
            if key is not None and key._path:
                names.append(key._path)
            self._path = "\\".join(reversed(names))
        return self._path

    def __repr__(self) -> str:
        return f"<RegfKey {self.path!r}>"

    def subkey_offsets(self) -> tuple[int, ...]:
        """The offsets of the subkeys' records in the hive's order."""
        if not self.subkey_count:
            return ()
        parts = []
        total = 0
        for kind, words in self.hive.leaves(self._subkey_list, self):
            part = words if kind == b"li" else words[::2]
            parts.append(part)
            total += len(part)
            if total > self.subkey_count:
                break
        offsets = parts[0] if len(parts) == 1 else tuple(chain.from_iterable(parts))
        if total != self.subkey_count:
            damaged(
                self, f"it has {self.subkey_count} subkeys but its list has others", BINS + self._subkey_list
            )
        if len(set(offsets)) != total:
            damaged(self, "its list names a subkey twice", BINS + self._subkey_list)
        return offsets

    def subkeys(self) -> Iterator[RegfKey]:
        hive = self.hive
        for offset in self.subkey_offsets():
            yield RegfKey(hive, offset, self)

    def subkey(self, name: str) -> RegfKey | None:
        """The subkey of this name, or None.

        The hashes in the list lead to it quickly. They are not trusted to say
        that there is none: other tools write them and the order wrongly.
        """
        if not self.subkey_count:
            return None
        folded = fold(name)
        for offset in self._likely_offsets(folded):
            if fold(self.hive.key_name(offset, self)) == folded:
                return RegfKey(self.hive, offset, self)
        found = self.hive.name_index(self).get(folded)
        return None if found is None else RegfKey(self.hive, found, self)

    def _likely_offsets(self, folded: str) -> Iterator[int]:
        if not folded.isascii():
            return
        index_known = self.offset in self.hive._indexes
        if index_known:
            return
        hashed = name_hash(folded)
        hint = folded[:4].encode().ljust(4, b"\0")
        for kind, words in self.hive.leaves(self._subkey_list, self):
            if kind == b"lh":
                yield from (words[at] for at in range(0, len(words), 2) if words[at + 1] == hashed)
            elif kind == b"lf":
                for at in range(0, len(words), 2):
                    if words[at + 1].to_bytes(4, "little").upper() == hint:
                        yield words[at]

    def _value_offsets(self) -> tuple[int, ...]:
        if not self.value_count:
            return ()
        offsets = self.hive.words(self._value_list, self.value_count, self)
        if len(set(offsets)) != len(offsets):
            damaged(self, "its list names a value twice", BINS + self._value_list)
        return offsets

    def _value_record(self, offset: int) -> tuple[str, int, int, int]:
        """Name, size as stored, data offset as stored, and type of a value."""
        cell = self.hive.cell(offset, self)
        if len(cell) < 20 or cell[:2] != b"vk":
            damaged(self, "a value's record is not one", BINS + offset)
        _, length, size, place, number, flags = _VALUE.unpack_from(cell)
        compressed = bool(flags & COMPRESSED_VALUE_NAME)
        return decoded(cell, 20, length, compressed, self, BINS + offset), size, place, number

    def _value_data(self, offset: int, size: int, place: int, number: int) -> Data:
        if size & INLINE_DATA:
            size &= ~INLINE_DATA
            if size > 4:
                damaged(self, f"a value claims {size} bytes inside its record", BINS + offset)
            return Data(number, place.to_bytes(4, "little")[:size])
        return Data(number, self.hive.data(place, size, self) if size else b"")

    def values(self) -> Iterator[tuple[str, Data]]:
        left = self.hive.size
        for offset in self._value_offsets():
            name, size, place, number = self._value_record(offset)
            data = self._value_data(offset, size, place, number)
            left -= len(data.raw)
            if left < 0:
                damaged(self, "its values hold more than the whole hive", BINS + offset)
            yield name, data

    def value(self, name: str) -> Data | None:
        folded = fold(name)
        for offset in self._value_offsets():
            found, size, place, number = self._value_record(offset)
            if fold(found) == folded:
                return self._value_data(offset, size, place, number)
        return None

    @property
    def class_raw(self) -> bytes | None:
        """The class name's bytes (UTF-16), or None where there is none."""
        if self._class_offset == NO_CELL or not self._class_length:
            return None
        cell = self.hive.cell(self._class_offset, self)
        if self._class_length > len(cell):
            damaged(self, "its class name does not fit its cell", BINS + self._class_offset)
        return cell[: self._class_length]

    @property
    def class_name(self) -> str | None:
        """The class name, or None where there is none."""
        raw = self.class_raw
        return None if raw is None else raw[: len(raw) & ~1].decode("utf-16-le", "surrogatepass")

    @property
    def security(self) -> bytes | None:
        """The security descriptor's bytes, or None where the key has none (ReactOS writes such)."""
        if self.security_offset == NO_CELL:
            return None
        cell = self.hive.cell(self.security_offset, self)
        if len(cell) < 20 or cell[:2] != b"sk":
            damaged(self, "its security record is not one", BINS + self.security_offset)
        _, size = _SECURITY.unpack_from(cell)
        if 20 + size > len(cell):
            damaged(self, "its security descriptor does not fit its cell", BINS + self.security_offset)
        return cell[20 : 20 + size]


def name_hash(folded: str) -> int:
    """The hash in an ``lh`` list of a name that is folded already."""
    number = 0
    for (unit,) in iter_unpack("<H", folded.encode("utf-16-le", "surrogatepass")):
        number = (number * 37 + unit) & 0xFFFFFFFF
    return number


def decoded(cell: bytes, start: int, length: int, compressed: bool, path: str | RegfKey, offset: int) -> str:
    """The name at ``start`` in a cell: Latin-1 where compressed, else UTF-16."""
    raw = cell[start : start + length]
    if len(raw) != length:
        damaged(path, "a name runs past its cell", offset)
    if compressed:
        return raw.decode("latin-1")
    if length & 1:
        damaged(path, "a name in UTF-16 has an odd length", offset)
    return raw.decode("utf-16-le", "surrogatepass")


def damaged(path: str | RegfKey, what: str, offset: int) -> NoReturn:
    """Raises the HiveError for a damage found at a file offset while reading a key."""
    where = path if isinstance(path, str) else path.path
    raise HiveError(
        f"the registry hive is damaged at {where or 'its root'!r}: {what} (file offset {offset:#x})",
        subject=where,
        hint="Let Windows repair it or restore the hive from a backup, then try again.",
    )
