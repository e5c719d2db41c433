"""Looking into the folders and files of an NTFS volume by reading its bytes, without mounting it.

Mounting costs a second or two under emulation and most volumes of a disk hold no
Windows. This reads just enough to tell: MFT records, their attribute lists, and
folder indexes. Whatever it does not understand is a ValueError, and the caller
mounts the volume instead. Reads are small and close together: give it a function
that keeps what it read. Sources as for :mod:`p2vprep.core.volumes`.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass, replace

from p2vprep.core.volumes import Fetch, NtfsShape, unfixed

ROOT = 5
"""The MFT record of the root folder."""

_ATTRIBUTE_LIST, _DATA, _INDEX_ROOT, _INDEX_ALLOCATION, _BITMAP = 0x20, 0x80, 0x90, 0xA0, 0xB0
_FOLDER_INDEX = "$I30".encode("utf-16-le")
_DOS_NAME = 2
_LAST, _HAS_CHILD = 2, 1
_ODD = 0x8000 | 0x4000 | 0x00FF
"""Attribute flags: sparse, encrypted, the kinds of compression."""
_MAX_LIST = 1 << 20
_MAX_INDEX = 16 << 20
_MAX_DEPTH = 12

Run = tuple[int, int]
"""First cluster (-1: a hole) and number of clusters."""


@dataclass(frozen=True)
class Entry:
    """A name in a folder and the MFT record that it stands for."""

    name: str
    record: int
    folder: bool
    short: bool = False
    """An 8.3 name that stands beside a long one."""


@dataclass(frozen=True)
class _Attribute:
    kind: int
    name: bytes
    first: int
    """The first virtual cluster of this piece."""
    content: bytes | None
    """Of a resident one."""
    runs: tuple[Run, ...]
    size: int
    initialized: int = 0
    """What lies behind this many bytes of a non-resident one reads as zeros."""
    odd: bool = False
    """Compressed, encrypted or sparse."""


class NtfsFolders:
    """The folders of one volume. Every method raises ValueError for what is damaged or too odd."""

    def __init__(self, fetch: Fetch) -> None:
        self._fetch = fetch
        try:
            self._shape = NtfsShape.of(self._fetch(0, 512))
            table = [
                piece for piece in self._pieces(self._record_at(self._shape.table)) if piece.kind == _DATA
            ]
            self._table = self._joined(table).runs
        except (struct.error, IndexError) as problem:
            raise ValueError(f"the MFT cannot be read ({problem})") from problem

    def children(self, folder: int = ROOT) -> tuple[Entry, ...]:
        """All names in a folder; short (8.3) names that stand beside a long one are left out."""
        with _Guard():
            root, allocation, bitmap = self._index(folder)
            found = [entry for entry, _ in _entries(root, 16) if entry is not None]
            if allocation is not None:
                size = _index_block_size(root)
                for number in _used(bitmap, min(allocation.size, _MAX_INDEX) // size):
                    block = self._index_block(allocation, number * size, size)
                    found += [entry for entry, _ in _entries(block, 24) if entry is not None]
            return tuple(entry for entry in dict.fromkeys(found) if not entry.short)

    def lookup(self, folder: int, name: str) -> Entry | None:
        """One name in a folder, in any case; quick in a large one. For names in ASCII only."""
        wanted = _upper(name.encode("utf-16-le"))
        with _Guard():
            root, allocation, _ = self._index(folder)
            block, start = root, 16
            for _ in range(_MAX_DEPTH):
                child = None
                for entry, below in _entries(block, start):
                    here = None if entry is None else _upper(entry.name.encode("utf-16-le", "surrogatepass"))
                    if entry is not None and here == wanted:
                        return entry
                    if here is None or _units(here) > _units(wanted):
                        child = below
                        break
                if child is None:
                    return None
                if allocation is None:
                    raise ValueError("an index entry points to a block that is not there")
                size = _index_block_size(root)
                step = self._shape.cluster if self._shape.cluster <= size else 512
                block, start = self._index_block(allocation, child * step, size), 24
            raise ValueError("an index that is too deep")

    def content(self, record: int, limit: int) -> bytes:
        """The data of a file, which must not be longer than ``limit`` bytes."""
        with _Guard():
            held = [piece for piece in self._attributes(record) if piece.kind == _DATA and not piece.name]
            if not held or any(piece.odd for piece in held):
                raise ValueError("a file without plain data")
            if held[0].content is not None:
                return held[0].content
            data = self._joined(held)
            if data.size > limit:
                raise ValueError("a file that is too long")
            found = self._read(data.runs, 0, min(data.size, data.initialized))
            if len(found) != min(data.size, data.initialized):
                raise ValueError("a file that is shorter than it says")
            return found + bytes(data.size - len(found))

    # --- records and attributes

    def _record_at(self, place: int) -> bytes:
        raw = self._fetch(place, self._shape.record_size)
        if raw[:4] != b"FILE" or len(raw) != self._shape.record_size:
            raise ValueError("an MFT record is damaged")
        return unfixed(raw)

    def _record(self, number: int) -> bytes:
        raw = self._read(self._table, number * self._shape.record_size, self._shape.record_size)
        if raw[:4] != b"FILE" or len(raw) != self._shape.record_size:
            raise ValueError(f"MFT record {number} is damaged")
        return unfixed(raw)

    def _read(self, runs: tuple[Run, ...], offset: int, length: int) -> bytes:
        """Bytes of a stream by its runs."""
        pieces, start = [], 0
        for cluster, count in runs:
            size = count * self._shape.cluster
            low, high = max(offset, start), min(offset + length, start + size)
            if low < high:
                if cluster < 0:
                    raise ValueError("a hole where data is expected")
                pieces.append(self._fetch(cluster * self._shape.cluster + low - start, high - low))
            start += size
        return b"".join(pieces)

    def _pieces(self, record: bytes) -> Iterator[_Attribute]:
        """The attributes in one record; a long attribute may go on in others."""
        (place,) = struct.unpack_from("<H", record, 20)
        while place + 16 <= len(record):
            kind, length = struct.unpack_from("<II", record, place)
            if kind == 0xFFFFFFFF:
                return
            if length < 24 or place + length > len(record):
                raise ValueError("an attribute that does not fit")
            yield _attribute(record[place : place + length], kind)
            place += length

    def _attributes(self, number: int) -> list[_Attribute]:
        """All attributes of a file, those in its extension records too."""
        found = list(self._pieces(self._record(number)))
        listed = next((piece for piece in found if piece.kind == _ATTRIBUTE_LIST), None)
        if listed is None:
            return found
        content = listed.content
        if content is None:
            content = self._read(listed.runs, 0, min(listed.size, _MAX_LIST))
        others = sorted(set(_listed_records(content)) - {number})
        for other in others:
            found += self._pieces(self._record(other))
        return found

    def _joined(self, pieces: list[_Attribute]) -> _Attribute:
        """One attribute of its pieces, in order."""
        pieces = sorted((piece for piece in pieces if piece.content is None), key=lambda piece: piece.first)
        if not pieces or pieces[0].first != 0:
            raise ValueError("an attribute without its beginning")
        runs = tuple(run for piece in pieces for run in piece.runs)
        return replace(pieces[0], runs=runs)

    def _index(self, folder: int) -> tuple[bytes, _Attribute | None, bytes]:
        """A folder's index: root, blocks (None where the root holds all) and which blocks are in use."""
        held = [piece for piece in self._attributes(folder) if piece.name == _FOLDER_INDEX]
        root = next((piece.content for piece in held if piece.kind == _INDEX_ROOT), None)
        if root is None:
            return b"", None, b""
        blocks = [piece for piece in held if piece.kind == _INDEX_ALLOCATION]
        if not blocks:
            return root, None, b""
        bitmap = [piece for piece in held if piece.kind == _BITMAP]
        content = bitmap[0].content if bitmap else b""
        if content is None:
            joined = self._joined(bitmap)
            content = self._read(joined.runs, 0, min(joined.size, _MAX_LIST))
        return root, self._joined(blocks), content

    def _index_block(self, allocation: _Attribute, offset: int, size: int) -> bytes:
        raw = self._read(allocation.runs, offset, size)
        if raw[:4] != b"INDX" or len(raw) != size:
            raise ValueError("an index block is damaged")
        return unfixed(raw)


class _Guard:
    """Turns what damaged bytes make of struct and indexing into a ValueError."""

    def __enter__(self) -> None:
        return None

    def __exit__(self, kind: type[BaseException] | None, problem: BaseException | None, _: object) -> None:
        if isinstance(problem, (struct.error, IndexError)):
            why = f"NTFS structures that end too early ({problem})"
            raise ValueError(why) from problem  # noqa: TRY004 - it is about the bytes


def _attribute(raw: bytes, kind: int) -> _Attribute:
    name_length, name_at = struct.unpack_from("<BH", raw, 9)
    name = raw[name_at : name_at + 2 * name_length]
    if raw[8] == 0:
        size, start = struct.unpack_from("<IH", raw, 16)
        return _Attribute(kind, name, 0, raw[start : start + size], (), size)
    first, _, runs_at = struct.unpack_from("<QQH", raw, 16)
    size, initialized = struct.unpack_from("<QQ", raw, 48) if len(raw) >= 64 and first == 0 else (0, 0)
    (flags,) = struct.unpack_from("<H", raw, 12)
    odd = bool(flags & _ODD)
    return _Attribute(kind, name, first, None, tuple(_runs(raw, runs_at)), size, initialized, odd)


def _runs(raw: bytes, place: int) -> Iterator[Run]:
    cluster = 0
    while place < len(raw) and raw[place]:
        head = raw[place]
        count_bytes, offset_bytes = head & 15, head >> 4
        count = int.from_bytes(raw[place + 1 : place + 1 + count_bytes], "little")
        step = raw[place + 1 + count_bytes : place + 1 + count_bytes + offset_bytes]
        cluster += int.from_bytes(step, "little", signed=True)
        if cluster < 0 or not count:
            raise ValueError("a run that leads nowhere")
        yield (cluster if offset_bytes else -1), count
        place += 1 + count_bytes + offset_bytes


def _listed_records(content: bytes) -> Iterator[int]:
    """The MFT records that an attribute list names."""
    place = 0
    while place + 26 <= len(content):
        (length,) = struct.unpack_from("<H", content, place + 4)
        (reference,) = struct.unpack_from("<Q", content, place + 16)
        yield reference & 0xFFFFFFFFFFFF
        if length < 26:
            raise ValueError("an attribute list that does not go on")
        place += length


def _index_block_size(root: bytes) -> int:
    (size,) = struct.unpack_from("<I", root, 8)
    if size not in (512, 1024, 2048, 4096, 8192, 16384, 32768, 65536):
        raise ValueError("an index with blocks of an absurd size")
    return int(size)


def _entries(block: bytes, header: int) -> Iterator[tuple[Entry | None, int | None]]:
    """The entries of an index node and the child block before each; the last one has no name."""
    if not block:
        return
    first, end = struct.unpack_from("<II", block, header)
    place, end = header + first, min(header + end, len(block))
    while place + 16 <= end:
        reference, length, name_length, flags = struct.unpack_from("<QHHH", block, place)
        if length < 16 or place + length > end:
            raise ValueError("an index entry that does not fit")
        child = struct.unpack_from("<Q", block, place + length - 8)[0] if flags & _HAS_CHILD else None
        if flags & _LAST:
            yield None, child
            return
        yield _entry(block[place + 16 : place + 16 + name_length], reference), child
        place += length


def _entry(key: bytes, reference: int) -> Entry:
    (attributes,) = struct.unpack_from("<I", key, 56)
    length, space = key[64], key[65]
    name = key[66 : 66 + 2 * length].decode("utf-16-le", "surrogatepass")
    return Entry(name, reference & 0xFFFFFFFFFFFF, bool(attributes & 0x10000000), space == _DOS_NAME)


def _used(bitmap: bytes, blocks: int) -> Iterator[int]:
    for number in range(blocks):
        if number // 8 < len(bitmap) and bitmap[number // 8] >> (number % 8) & 1:
            yield number


def _upper(name: bytes) -> bytes:
    """Upper case of the ASCII letters in UTF-16; the others all sort behind ASCII, whatever their case."""
    units = struct.unpack(f"<{len(name) // 2}H", name)
    raised = (unit - 32 if 0x61 <= unit <= 0x7A else unit for unit in units)
    return struct.pack(f"<{len(units)}H", *raised)


def _units(name: bytes) -> tuple[int, ...]:
    return struct.unpack(f"<{len(name) // 2}H", name)
