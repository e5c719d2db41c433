r"""Writes a registry hive file from a description, byte by byte and without hivex.

It shares no code with the reader or the structure check, so that an error in one
of them cannot hide behind the same error here. The layout follows the public
description of the format by Maxim Suhanov ("Windows registry file format
specification") and hives written by Windows XP to 10.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from p2vprep.core.registry import Hive, Key, MemoryHive, fold
from p2vprep.core.values import Data

NO_CELL = 0xFFFFFFFF
BASE_BLOCK = 4096
SEGMENT = 16344
"""The most bytes one segment of a big data record holds; larger values need the record from 1.4 on."""
FILETIME_2021 = 132_539_328_000_000_000
"""2021-01-01 00:00 UTC in units of 100 ns since 1601, the default of all time stamps."""

_ROOT_FLAGS = 0x0C
_COMPRESSED = 0x20
_LEAF_ENTRIES = {"lh": 500, "lf": 500, "li": 1000}

Tree = Hive | Mapping[str, Mapping[str, Data]]


def security_descriptor(*, users_may_read: bool = False) -> bytes:
    """A self-relative descriptor: Administrators own it, they and SYSTEM have full access."""
    administrators = struct.pack("<BB6s2I", 1, 2, b"\0\0\0\0\0\5", 32, 544)
    system = struct.pack("<BB6sI", 1, 1, b"\0\0\0\0\0\5", 18)
    users = struct.pack("<BB6s2I", 1, 2, b"\0\0\0\0\0\5", 32, 545)
    granted = [(administrators, 0xF003F), (system, 0xF003F)]
    if users_may_read:
        granted.append((users, 0x20019))
    entries = b"".join(struct.pack("<BBHI", 0, 2, 8 + len(sid), rights) + sid for sid, rights in granted)
    access_list = struct.pack("<BBHHH", 2, 0, 8 + len(entries), len(granted), 0) + entries
    owner = 20
    group = owner + len(administrators)
    header = struct.pack("<BBHIIII", 1, 0, 0x8004, owner, group, 0, group + len(system))
    return header + administrators + system + access_list


def name_hash(name: str) -> int:
    """The 32-bit hash of a key name in an ``lh`` list: h*37 + each upcased UTF-16 unit."""
    raw = fold(name).encode("utf-16-le", "surrogatepass")
    number = 0
    for (unit,) in struct.iter_unpack("<H", raw):
        number = (number * 37 + unit) & 0xFFFFFFFF
    return number


def name_hint(name: str) -> bytes:
    """The four bytes beside a key in an ``lf`` list; all NUL where they are not Latin-1."""
    start = name[:4]
    if any(ord(letter) > 255 for letter in start):
        return bytes(4)
    return start.encode("latin-1").ljust(4, b"\0")


def header_checksum(block: bytes | bytearray) -> int:
    """XOR of the first 127 words, never 0 and never 0xFFFFFFFF."""
    result = 0
    for (word,) in struct.iter_unpack("<I", block[:508]):
        result ^= word
    if result == 0:
        return 1
    return 0xFFFFFFFE if result == 0xFFFFFFFF else result


def stored_name(name: str) -> tuple[bytes, bool]:
    """The bytes of a name and whether they are Latin-1 ("compressed") instead of UTF-16."""
    if all(ord(letter) < 256 for letter in name):
        return name.encode("latin-1"), True
    return name.encode("utf-16-le", "surrogatepass"), False


class _Bins:
    """The cells of a hive, packed into bins one after the other."""

    def __init__(self, timestamp: int) -> None:
        self.raw = bytearray()
        self._timestamp = timestamp
        self._bin_end = 0
        self._next = 0

    def allocate(self, content: bytes) -> int:
        """Stores a cell and returns its offset."""
        size = (4 + len(content) + 7) & ~7
        if self._next + size > self._bin_end:
            self.close()
            self._open(size)
        offset = self._next
        self.raw[offset : offset + size] = struct.pack("<i", -size) + content.ljust(size - 4, b"\0")
        self._next += size
        return offset

    def change(self, offset: int, within: int, content: bytes) -> None:
        """Overwrites bytes of a cell, ``within`` bytes behind its size field."""
        start = offset + 4 + within
        self.raw[start : start + len(content)] = content

    def close(self) -> None:
        """Turns what is left of the last bin into one free cell."""
        left = self._bin_end - self._next
        if left:
            struct.pack_into("<i", self.raw, self._next, left)
        self._next = self._bin_end

    def _open(self, size: int) -> None:
        length = (32 + size + 4095) & ~4095
        start = len(self.raw)
        stamp = self._timestamp if start == 0 else 0
        self.raw += struct.pack("<4sIIQQI", b"hbin", start, length, 0, stamp, 0).ljust(length, b"\0")
        self._next = start + 32
        self._bin_end = start + length


@dataclass
class _Security:
    offset: int
    references: int = 0


@dataclass
class _Sizes:
    """The largest of each kind among a key's children and values, in bytes as UTF-16."""

    subkey_name: int = 0
    subkey_class: int = 0
    value_name: int = 0
    value_data: int = 0


@dataclass
class _Writer:
    bins: _Bins
    minor: int
    lists: str
    leaf_entries: int | None
    timestamp: int
    class_names: dict[str, str]
    descriptor: bytes | None
    descriptors: dict[str, bytes]
    securities: dict[bytes, _Security] = field(default_factory=dict)

    def write(self, root: Key, root_name: str) -> int:
        """Writes the whole tree and returns the root's offset."""
        top = self._key(root_name, "", NO_CELL, _ROOT_FLAGS)
        pending: list[tuple[Key, str, int]] = [(root, "", top)]
        while pending:
            key, path, offset = pending.pop()
            sizes = _Sizes()
            self._write_values(key, offset, sizes)
            children = []
            for child in sorted(key.subkeys(), key=lambda each: _order(each.name)):
                below = f"{path}\\{child.name}" if path else child.name
                place = self._key(child.name, below, offset, 0)
                children.append((child.name, place))
                pending.append((child, below, place))
                sizes.subkey_name = max(sizes.subkey_name, 2 * _units(child.name))
                class_name = self.class_names.get(fold(below), "")
                sizes.subkey_class = max(sizes.subkey_class, 2 * _units(class_name))
            if children:
                self.bins.change(offset, 20, struct.pack("<I", len(children)))
                self.bins.change(offset, 28, struct.pack("<I", self._list(children)))
            largest = (sizes.subkey_name, sizes.subkey_class, sizes.value_name, sizes.value_data)
            self.bins.change(offset, 52, struct.pack("<4I", *largest))
        self._close_security_ring()
        return top

    def _key(self, name: str, path: str, parent: int, flags: int) -> int:
        raw, compressed = stored_name(name)
        class_name = self.class_names.get(fold(path))
        class_raw = (class_name or "").encode("utf-16-le", "surrogatepass")
        record = struct.pack(
            "<2sHQIIIIIIIIIIIIIIIHH",
            b"nk",
            flags | (_COMPRESSED if compressed else 0),
            self.timestamp,
            0,
            parent,
            0,
            0,
            NO_CELL,
            NO_CELL,
            0,
            NO_CELL,
            self._security(path),
            NO_CELL if class_name is None else self.bins.allocate(class_raw),
            0,
            0,
            0,
            0,
            0,
            len(raw),
            len(class_raw),
        )
        return self.bins.allocate(record + raw)

    def _security(self, path: str) -> int:
        descriptor = self.descriptors.get(fold(path), self.descriptor)
        if descriptor is None:
            return NO_CELL
        held = self.securities.get(descriptor)
        if held is None:
            record = struct.pack("<2sHIIII", b"sk", 0, 0, 0, 0, len(descriptor)) + descriptor
            held = self.securities[descriptor] = _Security(self.bins.allocate(record))
        held.references += 1
        return held.offset

    def _close_security_ring(self) -> None:
        ring = list(self.securities.values())
        for place, security in enumerate(ring):
            following = ring[(place + 1) % len(ring)].offset
            links = struct.pack("<III", following, ring[place - 1].offset, security.references)
            self.bins.change(security.offset, 4, links)

    def _write_values(self, key: Key, offset: int, sizes: _Sizes) -> None:
        places = []
        for name, data in key.values():
            places.append(self._value(name, data))
            sizes.value_name = max(sizes.value_name, 2 * _units(name))
            sizes.value_data = max(sizes.value_data, len(data.raw))
        if places:
            held = self.bins.allocate(struct.pack(f"<{len(places)}I", *places))
            self.bins.change(offset, 36, struct.pack("<II", len(places), held))

    def _value(self, name: str, data: Data) -> int:
        raw, compressed = stored_name(name)
        size = len(data.raw)
        if size <= 4:
            size |= 0x80000000
            (place,) = struct.unpack("<I", data.raw.ljust(4, b"\0"))
        elif size > SEGMENT and self.minor > 3:
            place = self._big_data(data.raw)
        else:
            place = self.bins.allocate(data.raw)
        flags = 1 if compressed and raw else 0
        return self.bins.allocate(
            struct.pack("<2sHIIIHH", b"vk", len(raw), size, place, data.type, flags, 0) + raw
        )

    def _big_data(self, raw: bytes) -> int:
        # Windows gives the last segment a cell of full length, too (all big data of real hives).
        segments = [
            self.bins.allocate(raw[at : at + SEGMENT].ljust(SEGMENT, b"\0"))
            for at in range(0, len(raw), SEGMENT)
        ]
        held = self.bins.allocate(struct.pack(f"<{len(segments)}I", *segments))
        return self.bins.allocate(struct.pack("<2sHII", b"db", len(segments), held, 0))

    def _list(self, children: list[tuple[str, int]]) -> int:
        forced = self.lists.startswith("ri-")
        kind = self.lists.removeprefix("ri-")
        entries = self.leaf_entries or _LEAF_ENTRIES[kind]
        leaves = [self._leaf(kind, children[at : at + entries]) for at in range(0, len(children), entries)]
        if len(leaves) == 1 and not forced:
            return leaves[0]
        return self.bins.allocate(struct.pack(f"<2sH{len(leaves)}I", b"ri", len(leaves), *leaves))

    def _leaf(self, kind: str, children: list[tuple[str, int]]) -> int:
        content = [struct.pack("<2sH", kind.encode(), len(children))]
        for name, place in children:
            content.append(struct.pack("<I", place))
            if kind == "lh":
                content.append(struct.pack("<I", name_hash(name)))
            elif kind == "lf":
                content.append(name_hint(name))
        return self.bins.allocate(b"".join(content))


def _units(name: str) -> int:
    return len(name.encode("utf-16-le", "surrogatepass")) // 2


def _order(name: str) -> bytes:
    return fold(name).encode("utf-16-be", "surrogatepass")


def base_block(
    *,
    bins_size: int,
    root: int,
    minor: int = 5,
    sequence: tuple[int, int] = (1, 1),
    timestamp: int = FILETIME_2021,
    file_name: str = "",
    file_type: int = 0,
    flags: int = 0,
) -> bytes:
    """The first 4096 bytes of a hive (or, by ``file_type``, of a log) with the right checksum."""
    tail = file_name[-31:].encode("utf-16-le", "surrogatepass")[:62].ljust(64, b"\0")
    block = bytearray(BASE_BLOCK)
    struct.pack_into(
        "<4sIIQIIIIIII64s",
        block,
        0,
        b"regf",
        *sequence,
        timestamp,
        1,
        minor,
        file_type,
        1,
        root,
        bins_size,
        1,
        tail,
    )
    struct.pack_into("<I", block, 144, flags)
    struct.pack_into("<I", block, 508, header_checksum(block))
    return bytes(block)


def build_hive(
    tree: Tree,
    *,
    minor: int = 5,
    lists: str | None = None,
    leaf_entries: int | None = None,
    root_name: str = "ROOT",
    sequence: tuple[int, int] = (1, 1),
    timestamp: int = FILETIME_2021,
    file_name: str = "",
    flags: int = 0,
    class_names: Mapping[str, str] | Iterable[tuple[str, str]] = (),
    with_security: bool = True,
    descriptor: bytes | None = None,
    descriptors: Mapping[str, bytes] | Iterable[tuple[str, bytes]] = (),
    slack: int = 0,
) -> bytes:
    r"""A complete, valid hive file.

    ``tree`` is any hive (``MemoryHive``, a reader's) or a mapping of key paths to
    their values, as ``MemoryHive`` takes it. ``lists`` is ``lh``, ``lf`` or
    ``li``, or one of them behind ``ri-`` to force an index list above them; by
    default what Windows uses for this ``minor`` version (``lh`` from 5 on).
    Lists longer than ``leaf_entries`` are split below an index list in any case.
    ``class_names`` and ``descriptors`` go by key path ("" is the root); a key
    without a descriptor of its own has ``descriptor``, by default Administrators
    and SYSTEM. ``with_security=False`` leaves the security cells out, as ReactOS
    does. ``slack`` bytes of zero follow the bins. ``sequence`` of two different
    numbers makes a dirty hive.
    """
    kind = lists or ("lh" if minor > 4 else "lf")
    if kind.removeprefix("ri-") not in _LEAF_ENTRIES:
        raise ValueError(f"unknown kind of subkey lists: {kind!r}")
    hive = MemoryHive(tree) if isinstance(tree, Mapping) else tree
    bins = _Bins(timestamp)
    writer = _Writer(
        bins=bins,
        minor=minor,
        lists=kind,
        leaf_entries=leaf_entries,
        timestamp=timestamp,
        class_names={fold(path): name for path, name in dict(class_names).items()},
        descriptor=(descriptor or security_descriptor()) if with_security else None,
        descriptors={fold(path): raw for path, raw in dict(descriptors).items()},
    )
    root = writer.write(hive.root, root_name)
    bins.close()
    block = base_block(
        bins_size=len(bins.raw),
        root=root,
        minor=minor,
        sequence=sequence,
        timestamp=timestamp,
        file_name=file_name,
        flags=flags,
    )
    return block + bytes(bins.raw) + bytes(slack)
