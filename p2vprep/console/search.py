"""Searching a hive from a key on, in slices, so that others are served in between."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from p2vprep.core.registry import Hive, Key, fold, split
from p2vprep.core.values import Data

SLICE = 1500
"""Keys that are looked at before the search gives way: some hundredths of a second."""


@dataclass(frozen=True)
class Hit:
    """Where it was found: in a key's own name (``value`` None), or in a value's name or data."""

    key: str
    value: str | None


class Search:
    """A search that can be continued. Names and texts are compared without regard to case."""

    def __init__(self, hive: Hive, wanted: str, start: str = "") -> None:
        """Looks at ``start`` and everything behind it in the order of a tree that is opened wholly."""
        self.wanted = wanted
        self.keys = 0
        """How many keys were looked at."""
        self.ended = False
        self._folded = fold(wanted)
        self._hits = self._search(hive, start)

    def next(self) -> Hit | None:
        """A hit, or None: at the end (``ended``), or to give way to others."""
        limit = self.keys + SLICE
        for hit in self._hits:
            if hit is not None:
                return hit
            if self.keys >= limit:
                return None
        self.ended = True
        return None

    def _search(self, hive: Hive, start: str) -> Iterator[Hit | None]:
        for key in _from(hive, start):
            self.keys += 1
            if self._folded in fold(key.name):
                yield Hit(key.path, None)
            for name, data in key.values():
                if self._folded in fold(name) or self._in(data):
                    yield Hit(key.path, name)
            yield None

    def _in(self, data: Data) -> bool:
        if data.number is not None:
            return self._folded in (str(data.number), fold(f"0x{data.number:x}"))
        texts = (data.text,) if data.text is not None else data.strings or ()
        return any(self._folded in fold(text) for text in texts if text)


def _from(hive: Hive, start: str) -> Iterator[Key]:
    """The key at ``start`` (or the last one above it that is there) and all keys behind it."""
    key: Key = hive.root
    waiting: list[Key] = []
    for name in split(start):
        children = list(key.subkeys())
        place = next((at for at, child in enumerate(children) if fold(child.name) == fold(name)), None)
        if place is None:
            break
        waiting.extend(reversed(children[place + 1 :]))
        key = children[place]
    waiting.append(key)
    while waiting:
        current = waiting.pop()
        yield current
        waiting.extend(reversed(list(current.subkeys())))
