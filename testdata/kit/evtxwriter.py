"""Writes small .evtx event logs, so that tests need none of a real machine.

One chunk, and binary XML without templates ([MS-EVEN6] 2.2.12 to 2.2.17; the layout of file and
chunk as in "Windows XML Event Log (EVTX) format" of the libevtx documentation). Windows itself
always uses templates; who reads logs has to understand both.
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Sequence
from dataclasses import dataclass

_FILE_HEADER, _CHUNK, _CHUNK_HEADER = 4096, 65536, 512
_EPOCH = 11_644_473_600
"""Seconds from 1601, where FILETIME begins, to 1970."""
_FRAGMENT = b"\x0f\x01\x01\x00"
_OPEN, _OPEN_WITH_ATTRIBUTES, _CLOSE_START, _CLOSE_EMPTY, _END, _VALUE = 0x01, 0x41, 0x02, 0x03, 0x04, 0x05
_ATTRIBUTE, _MORE_ATTRIBUTES, _STRING, _EOF = 0x06, 0x46, 0x01, 0x00


@dataclass(frozen=True)
class Entry:
    """One event: ``time`` as in XML (``2016-03-02T18:04:11.000Z``), ``seconds`` the same since 1970."""

    seconds: int
    time: str
    level: int
    source: str
    id: int
    texts: tuple[str, ...] = ()


@dataclass(frozen=True)
class _Element:
    name: str
    attributes: tuple[tuple[str, str], ...] = ()
    children: tuple[_Element, ...] = ()
    text: str = ""


def build_evtx(entries: Sequence[Entry]) -> bytes:
    """A log with these events, numbered from 1."""
    records, last = bytearray(), _CHUNK_HEADER
    for number, entry in enumerate(entries, 1):
        last = _CHUNK_HEADER + len(records)
        records += _record(number, entry, last)
    free = _CHUNK_HEADER + len(records)
    header = struct.pack(
        "<8s4Q4I64xII", b"ElfChnk\0", 1, len(entries), 1, len(entries), 128, last, free, _crc(records), 1, 0
    )
    tables = bytes(_CHUNK_HEADER - 128)
    checked = bytearray(header + tables)
    struct.pack_into("<I", checked, 124, _crc(bytes(checked[:120]) + tables))
    chunk = (bytes(checked) + records).ljust(_CHUNK, b"\0")
    return _file_header(len(entries)) + chunk


def _file_header(count: int) -> bytes:
    fields = struct.pack("<8sQQQIHHHH76xI", b"ElfFile\0", 0, 0, count + 1, 128, 1, 3, _FILE_HEADER, 1, 0)
    return (fields + struct.pack("<I", _crc(fields[:120]))).ljust(_FILE_HEADER, b"\0")


def _record(number: int, entry: Entry, place: int) -> bytes:
    """``place`` is the record's offset in the chunk: names are found by their offsets there."""
    body = _FRAGMENT + _xml(_event(number, entry), place + 24 + len(_FRAGMENT)) + bytes([_EOF])
    size = 24 + len(body) + 4
    size += -size % 8
    head = struct.pack("<4sIQQ", b"**\0\0", size, number, (entry.seconds + _EPOCH) * 10_000_000)
    return (head + body).ljust(size - 4, b"\0") + struct.pack("<I", size)


def _event(number: int, entry: Entry) -> _Element:
    system = _Element(
        "System",
        children=(
            _Element("Provider", (("Name", entry.source),)),
            _Element("EventID", text=str(entry.id)),
            _Element("Level", text=str(entry.level)),
            _Element("TimeCreated", (("SystemTime", entry.time),)),
            _Element("EventRecordID", text=str(number)),
            _Element("Channel", text="System"),
        ),
    )
    data = _Element("EventData", children=tuple(_Element("Data", text=text) for text in entry.texts))
    return _Element("Event", children=(system, data) if entry.texts else (system,))


def _xml(element: _Element, place: int) -> bytes:
    """An element and all in it as binary XML, for a place in the chunk.

    Outside a template an element has no dependency identifier.
    """
    has = bool(element.attributes)
    head = bytes([_OPEN_WITH_ATTRIBUTES if has else _OPEN])
    inside_at = place + len(head) + 4
    inside = _name(element.name, inside_at)
    if has:
        inside += _attributes(element.attributes, inside_at + len(inside) + 4)
    if not element.children and not element.text:
        inside += bytes([_CLOSE_EMPTY])
    else:
        inside += bytes([_CLOSE_START])
        for child in element.children:
            inside += _xml(child, inside_at + len(inside))
        if element.text:
            inside += _value(element.text)
        inside += bytes([_END])
    return head + struct.pack("<I", len(inside)) + inside


def _attributes(attributes: Sequence[tuple[str, str]], place: int) -> bytes:
    made = b""
    for number, (name, text) in enumerate(attributes, 1):
        token = _ATTRIBUTE if number == len(attributes) else _MORE_ATTRIBUTES
        made += bytes([token])
        made += _name(name, place + len(made)) + _value(text)
    return struct.pack("<I", len(made)) + made


def _name(name: str, place: int) -> bytes:
    """The offset of a name, which follows at once, and the name: next in its bucket, hash, text."""
    digest = 0
    for letter in name:
        digest = (digest * 65599 + ord(letter)) & 0xFFFFFFFF
    text = name.encode("utf-16-le")
    return struct.pack("<IIHH", place + 4, 0, digest & 0xFFFF, len(name)) + text + b"\0\0"


def _value(text: str) -> bytes:
    return struct.pack("<BBH", _VALUE, _STRING, len(text)) + text.encode("utf-16-le")


def _crc(content: bytes | bytearray) -> int:
    return zlib.crc32(bytes(content))
