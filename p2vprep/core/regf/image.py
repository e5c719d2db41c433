"""The bytes of a hive file: whole in memory, or fetched piece by piece when they are read."""

from __future__ import annotations

import sys
from array import array
from collections.abc import Iterable
from typing import Protocol, runtime_checkable

from p2vprep.errors import HiveError

CHUNK = 1 << 16
"""How many bytes are fetched at a time from a source, aligned to this size."""

MOST_READ = 256 << 20
"""How many bytes a hive that is read in pieces gives in all. Facts need some MB; but parts of a hostile
hive may name the same bytes over and over, and no structure check of the whole hive came before."""

Overlay = Iterable[tuple[int, bytes]]
"""Bytes that lie over a file: (offset in the file, bytes); the last one wins."""


@runtime_checkable
class Source(Protocol):
    """A hive file that lies elsewhere and is read in pieces."""

    @property
    def size(self) -> int:
        """The file's length in bytes."""
        ...

    def fetch(self, offset: int, length: int) -> bytes:
        """Exactly ``length`` bytes; never asked for bytes behind the end."""
        ...


class Image(Protocol):
    """What the reader sees: a size and the bytes below it."""

    @property
    def size(self) -> int: ...

    def read(self, start: int, length: int) -> bytes:
        """``length`` bytes; the caller keeps within ``size``. The whole of it costs no copy in memory."""
        ...


class WholeImage:
    """A hive that is in memory."""

    __slots__ = ("_data", "size")

    def __init__(self, data: bytes | bytearray | memoryview, overlay: Overlay = ()) -> None:
        pieces = list(overlay)
        if pieces:
            grown = bytearray(data)
            for offset, piece in pieces:
                grown.extend(bytes(max(0, offset + len(piece) - len(grown))))
                grown[offset : offset + len(piece)] = piece
            data = grown
        self._data = bytes(data)
        self.size = len(self._data)

    def read(self, start: int, length: int) -> bytes:
        return self._data[start : start + length]


class SparseImage:
    """A hive that is fetched in aligned chunks when they are first read, then kept.

    Raises HiveError once more than ``most`` bytes were read or fetched.
    """

    __slots__ = ("_chunk_size", "_chunks", "_left", "_overlay", "_source", "size")

    def __init__(
        self, source: Source, overlay: Overlay = (), chunk_size: int = CHUNK, most: int = MOST_READ
    ) -> None:
        self._source = source
        self._chunk_size = chunk_size
        self._left = most
        self._chunks: dict[int, bytes] = {}
        self._overlay: dict[int, list[tuple[int, bytes]]] = {}
        self.size = source.size
        for offset, piece in overlay:
            end = offset + len(piece)
            self.size = max(self.size, end)
            for number in range(offset // chunk_size, -(-end // chunk_size)):
                self._overlay.setdefault(number, []).append((offset, piece))

    @property
    def fetched(self) -> int:
        """How many bytes of chunks have been fetched so far."""
        return sum(map(len, self._chunks.values()))

    def read(self, start: int, length: int) -> bytes:
        self._spend(length)
        first, within = divmod(start, self._chunk_size)
        if within + length <= self._chunk_size:
            return self._chunk(first)[within : within + length]
        last = (start + length - 1) // self._chunk_size
        joined = b"".join(self._chunk(number) for number in range(first, last + 1))
        return joined[within : within + length]

    def _chunk(self, number: int) -> bytes:
        held = self._chunks.get(number)
        if held is None:
            self._spend(self._chunk_size)
            held = self._chunks[number] = self._fill(number)
        return held

    def _spend(self, length: int) -> None:
        self._left -= length
        if self._left < 0:
            raise HiveError(
                "reading the registry hive takes more than any sound one would: its parts name each other",
                hint="The hive may be damaged on purpose; look at it before trying again.",
            )

    def _fill(self, number: int) -> bytes:
        start = number * self._chunk_size
        length = max(0, min(self._chunk_size, self._source.size - start))
        raw = self._source.fetch(start, length) if length else b""
        if len(raw) != length:
            raise HiveError(
                f"the registry hive gave {len(raw)} bytes instead of {length} at offset {start}",
                code="hive-short-read",
                hint="The file changed or the disk has a read error; try again on a fresh copy of the image.",
            )
        chunk = bytearray(raw.ljust(min(self._chunk_size, self.size - start), b"\0"))
        for offset, piece in self._overlay.get(number, ()):
            skipped = max(0, start - offset)
            place = max(0, offset - start)
            part = piece[skipped : skipped + len(chunk) - place]
            chunk[place : place + len(part)] = part
        return bytes(chunk)


def open_image(data: bytes | bytearray | memoryview | Source, overlay: Overlay = ()) -> Image:
    """The image of a hive, with an overlay (pages replayed from logs) over it."""
    if isinstance(data, bytes | bytearray | memoryview):
        return WholeImage(data, overlay)
    return SparseImage(data, overlay)


def little_endian_words(raw: bytes, host: str = sys.byteorder) -> array[int]:
    """Bytes as unsigned 32-bit words, the quickest way to many fields. ``host``: its byte order."""
    words = array("I", raw)
    if host == "big":
        words.byteswap()
    return words
