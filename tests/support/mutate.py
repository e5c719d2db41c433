"""Damages hives at random, the way a hostile or a broken disk would."""

from __future__ import annotations

import struct
from random import Random

_LIES = (0, 1, 4, 7, 8, 0x20, 0x7FFFFFFF, 0x80000000, 0x80000004, 0xFFFFFFF8, 0xFFFFFFFE, 0xFFFFFFFF)


def cell_offsets(content: bytes) -> list[int]:
    """The offsets of all allocated cells of a hive that is still whole."""
    offsets = []
    start = 4096
    (bins_size,) = struct.unpack_from("<I", content, 40)
    end = 4096 + bins_size
    while start < end:
        (length,) = struct.unpack_from("<I", content, start + 8)
        place = start + 32
        while place < start + length:
            (size,) = struct.unpack_from("<i", content, place)
            if size < 0:
                offsets.append(place - 4096)
            place += abs(size)
        start += length
    return offsets


def damaged(content: bytes, cells: list[int], random: Random) -> bytes:
    """A copy with one to four random damages."""
    changed = bytearray(content)
    for _ in range(random.choice((1, 1, 1, 2, 4))):
        random.choice(_WAYS)(changed, cells, random)
    if random.random() < 0.05:
        del changed[random.randrange(len(changed)) :]
    return bytes(changed)


def _word_in_a_cell(changed: bytearray, cells: list[int], random: Random) -> int:
    """The position of a word within the first bytes of some cell."""
    cell = 4096 + random.choice(cells)
    return min(cell + 2 * random.randrange(44), len(changed) - 4)


def _random_bytes(changed: bytearray, cells: list[int], random: Random) -> None:
    for _ in range(random.choice((1, 4, 32))):
        changed[random.randrange(len(changed))] = random.randrange(256)


def _random_byte_in_a_cell(changed: bytearray, cells: list[int], random: Random) -> None:
    changed[_word_in_a_cell(changed, cells, random)] = random.randrange(256)


def _lie(changed: bytearray, cells: list[int], random: Random) -> None:
    position = _word_in_a_cell(changed, cells, random)
    if random.random() < 0.5:
        struct.pack_into("<I", changed, position, random.choice(_LIES))
    else:
        struct.pack_into("<H", changed, position, random.choice(_LIES) & 0xFFFF)


def _redirect(changed: bytearray, cells: list[int], random: Random) -> None:
    """Some offset (or what looks like one) points to another cell: circles, shared cells, wrong kinds."""
    known = set(cells)
    for _ in range(64):
        position = _word_in_a_cell(changed, cells, random)
        if struct.unpack_from("<I", changed, position)[0] in known:
            break
    struct.pack_into("<I", changed, position, random.choice(cells))


def _copy_a_cell(changed: bytearray, cells: list[int], random: Random) -> None:
    source, target = 4096 + random.choice(cells), 4096 + random.choice(cells)
    length = min(abs(struct.unpack_from("<i", changed, source)[0]), 512, len(changed) - max(source, target))
    changed[target : target + length] = changed[source : source + length]


def _resize_a_cell(changed: bytearray, cells: list[int], random: Random) -> None:
    cell = min(4096 + random.choice(cells), len(changed) - 4)
    (size,) = struct.unpack_from("<i", changed, cell)
    lie = random.choice((-size, size - 8, size + 8, 2 * size, 0, -8, -0x7FFFFFF8))
    struct.pack_into("<i", changed, cell, max(-0x80000000, min(0x7FFFFFFF, lie)))


_WAYS = (
    _random_bytes,
    _random_byte_in_a_cell,
    _lie,
    _lie,
    _redirect,
    _redirect,
    _redirect,
    _copy_a_cell,
    _resize_a_cell,
)
