"""Event logs of Windows 2003 and before (.evt): records by their signature, EVENTLOGRECORD (winnt.h)."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

Level = Literal["critical", "error", "warning", "information"]
_SIGNATURE = b"LfLe"
_HEAD = struct.Struct("<6I4H6I")
_FILE_HEADER_LENGTH = 0x30
_LEVELS: dict[int, Level] = {1: "error", 2: "warning", 4: "information", 8: "information", 16: "error"}
_MOST_STRINGS = 256


@dataclass(frozen=True)
class Event:
    """One event; ``seconds`` since 1970 in UTC. ``texts`` is what the event's message is filled with.

    The message itself is in a program of the guest and is not read.
    """

    record: int
    seconds: float
    level: Level
    source: str
    id: int
    texts: tuple[str, ...]


def records(content: bytes) -> Iterator[Event]:
    """Every whole record, in the file's order; what is damaged or goes over the file's end is left out."""
    at = content.find(_SIGNATURE)
    while at >= 4:
        event, length = _record(content, at - 4)
        if event is not None:
            yield event
        at = content.find(_SIGNATURE, at + max(length - 4, 4))


def _record(content: bytes, start: int) -> tuple[Event | None, int]:
    """The record and its length; nothing and 0 where there is no sound one."""
    if start + _HEAD.size > len(content):
        return None, 0
    held = _HEAD.unpack_from(content, start)
    length, number, generated, event_id, kind, count = held[0], held[2], held[3], held[5], held[6], held[7]
    strings_at = held[11]
    whole = content[start : start + length]
    closed = len(whole) == length and whole[-4:] == struct.pack("<I", length)
    if length <= _FILE_HEADER_LENGTH or length % 4 or not closed or kind not in _LEVELS:
        return None, 0
    source, _ = _text(whole, _HEAD.size)
    texts = tuple(_texts(whole, strings_at, min(count, _MOST_STRINGS)))
    return Event(number, float(generated), _LEVELS[kind], source, event_id & 0xFFFF, texts), length


def _texts(whole: bytes, at: int, count: int) -> Iterator[str]:
    for _number in range(count):
        if at >= len(whole) - 4:
            return
        text, at = _text(whole, at)
        yield text


def _text(whole: bytes, at: int) -> tuple[str, int]:
    """The string at a place, and where the next one begins."""
    end = at
    while end + 2 <= len(whole) and whole[end : end + 2] != b"\0\0":
        end += 2
    return whole[at:end].decode("utf-16-le", "replace"), end + 2
