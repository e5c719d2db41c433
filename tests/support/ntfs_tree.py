"""An NTFS volume with a folder tree but no file contents, written by hand for the reader's tests.

Small folders keep their index in the record; larger ones in a two-level tree of
blocks, in name order as NTFS has it. ``listed`` moves the blocks' attribute of
every large folder into an extension record behind an attribute list.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable

from tests.support.ntfs_image import CLUSTER

RECORD = 1024
_TABLE = 4
_NAME = "$I30".encode("utf-16-le")
_SMALL = 3
_PER_BLOCK = 6


def ntfs_tree(paths: Iterable[str], *, listed: bool = False) -> bytes:
    """The volume's bytes; a path that ends with a slash is a folder."""
    return _Builder(listed=listed).build(paths)


class _Builder:
    def __init__(self, *, listed: bool) -> None:
        self._listed = listed
        self._records: dict[int, bytes] = {}
        self._children: dict[int, dict[str, tuple[int, bool]]] = {5: {".": (5, True)}}
        self._next = 24
        self._extents: list[bytes] = []

    def build(self, paths: Iterable[str]) -> bytes:
        for path in paths:
            self._add(path)
        room = 256
        self._data_cluster = _TABLE + room * RECORD // CLUSTER
        for number, children in list(self._children.items()):
            self._folder(number, children)
        self._put(0, [_non_resident(0x80, b"", _TABLE, room * RECORD // CLUSTER)])
        image = bytearray(_TABLE * CLUSTER) + bytearray(room * RECORD)
        boot = struct.pack("<3s8sHB", b"\xeb\x52\x90", b"NTFS    ", 512, CLUSTER // 512)
        image[: len(boot)] = boot
        struct.pack_into("<QQQb", image, 40, 1 << 20, _TABLE, 2, -10)
        image[510:512] = b"\x55\xaa"
        for number, record in self._records.items():
            place = _TABLE * CLUSTER + number * RECORD
            image[place : place + RECORD] = record
        return bytes(image) + b"".join(self._extents)

    def _add(self, path: str) -> None:
        here = 5
        names = [name for name in path.split("/") if name]
        for depth, name in enumerate(names):
            folder = depth < len(names) - 1 or path.endswith("/")
            if name not in self._children[here]:
                self._children[here][name] = (self._next, folder)
                if folder:
                    self._children[self._next] = {}
                self._next += 1
            here = self._children[here][name][0]

    def _put(self, number: int, attributes: list[bytes]) -> None:
        content = b"".join(attributes) + b"\xff\xff\xff\xff"
        record = bytearray(RECORD)
        struct.pack_into("<4sHHQHHHHII", record, 0, b"FILE", 48, 3, 0, 1, 1, 56, 1, 56 + len(content), RECORD)
        record[56 : 56 + len(content)] = content
        self._records[number] = _fixed(record)

    def _folder(self, number: int, children: dict[str, tuple[int, bool]]) -> None:
        keys = [
            _key(name, record, folder)
            for name, (record, folder) in sorted(children.items(), key=lambda item: _collated(item[0]))
        ]
        if len(keys) <= _SMALL:
            self._put(number, [_index_root([*((key, None) for key in keys), (None, None)])])
            return
        root: list[tuple[bytes | None, int | None]] = []
        blocks: list[bytes] = []
        for start in range(0, len(keys), _PER_BLOCK + 1):
            leaf, parting = (
                keys[start : start + _PER_BLOCK],
                keys[start + _PER_BLOCK : start + _PER_BLOCK + 1],
            )
            root.append((parting[0] if parting else None, len(blocks)))
            blocks.append(_block(leaf, len(blocks)))
        if root[-1][0] is not None:
            root.append((None, len(blocks)))
            blocks.append(_block([], len(blocks)))
        stale = _block([_key("stale", 99, True)], len(blocks))  # not in use, as the bitmap says
        cluster = self._data_cluster + sum(map(len, self._extents)) // CLUSTER
        self._extents += [*blocks, stale]
        allocation = _non_resident(0xA0, _NAME, cluster, len(blocks) + 1)
        bitmap = _resident(0xB0, _NAME, ((1 << len(blocks)) - 1).to_bytes(8, "little"))
        if not self._listed:
            self._put(number, [_index_root(root), allocation, bitmap])
            return
        other = self._next
        self._next += 1
        self._put(other, [allocation])
        entries = b"".join(_list_entry(kind, record) for kind, record in ((0x90, number), (0xA0, other)))
        self._put(number, [_resident(0x20, b"", entries), _index_root(root), bitmap])


def _collated(name: str) -> bytes:
    upper = "".join(letter.upper() if letter.isascii() else letter for letter in name)
    return upper.encode("utf-16-be")


def _fixed(record: bytearray) -> bytes:
    (start, count) = struct.unpack_from("<HH", record, 4)
    record[start : start + 2] = b"\x05\x00"
    for index in range(1, count):
        end = index * 512
        record[start + 2 * index : start + 2 * index + 2] = record[end - 2 : end]
        record[end - 2 : end] = b"\x05\x00"
    return bytes(record)


def _key(name: str, record: int, folder: bool) -> bytes:
    text = name.encode("utf-16-le")
    space = 2 if "~" in name else 1
    body = struct.pack("<Q48xIIBB", 5, 0x10000000 if folder else 0x20, 0, len(name), space) + text
    return struct.pack("<Q", record | 1 << 48) + body


def _node(entries: list[tuple[bytes | None, int | None]], room: int) -> bytes:
    raw = b""
    for key, child in entries:
        reference, body = (key[:8], key[8:]) if key is not None else (bytes(8), b"")
        flags = (1 if child is not None else 0) | (2 if key is None else 0)
        padded = body.ljust(-(-len(body) // 8) * 8, b"\0")
        below = b"" if child is None else struct.pack("<Q", child)
        raw += (
            reference
            + struct.pack("<HHHH", 16 + len(padded) + len(below), len(body), flags, 0)
            + padded
            + below
        )
    return struct.pack("<IIII", room, room + len(raw), room + len(raw), 0) + bytes(room - 16) + raw


def _index_root(entries: list[tuple[bytes | None, int | None]]) -> bytes:
    return _resident(0x90, _NAME, struct.pack("<IIIB3x", 0x30, 1, CLUSTER, 1) + _node(entries, 16))


def _block(keys: list[bytes], number: int) -> bytes:
    node = _node([*((key, None) for key in keys), (None, None)], 40)
    raw = bytearray(CLUSTER)
    struct.pack_into("<4sHHQQ", raw, 0, b"INDX", 40, 9, 0, number)
    raw[24 : 24 + len(node)] = node
    return _fixed(raw)


def _resident(kind: int, name: bytes, content: bytes) -> bytes:
    start = 24 + -(-len(name) // 8) * 8
    length = start + -(-len(content) // 8) * 8
    head = struct.pack("<IIBBHHHIHH", kind, length, 0, len(name) // 2, 24, 0, 0, len(content), start, 0)
    return (head + name).ljust(start, b"\0") + content.ljust(length - start, b"\0")


def _non_resident(kind: int, name: bytes, cluster: int, clusters: int) -> bytes:
    """In two runs, the second one relative to the first."""
    first = clusters // 2 or clusters
    runs = struct.pack("<BHI", 0x42, first, cluster)
    if clusters > first:
        runs += struct.pack("<BHI", 0x42, clusters - first, first)
    start = 64 + -(-len(name) // 8) * 8
    size = clusters * CLUSTER
    length = start + -(-(len(runs) + 1) // 8) * 8
    fields = (kind, length, 1, len(name) // 2, 64, 0, 0, 0, clusters - 1, start, 0, size, size, size)
    head = struct.pack("<IIBBHHHQQHH4xQQQ", *fields)
    return (head + name).ljust(start, b"\0") + runs.ljust(length - start, b"\0")


def _list_entry(kind: int, record: int) -> bytes:
    return (
        struct.pack("<IHBBQQH", kind, 40, 4, 26, 0, record | 1 << 48, 0).ljust(26, b"\0") + _NAME + bytes(6)
    )
