"""Searching the registry as regedit does: in the names of keys, the names of values, and their data."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import dataclass
from typing import Literal, get_args

from p2vprep.core.registry import Key, fold, walk
from p2vprep.core.values import Data

Where = Literal["keys", "names", "data"]
EVERYWHERE: tuple[Where, ...] = get_args(Where)


@dataclass(frozen=True)
class Hit:
    """A place where the text was found; ``name`` and ``data`` are None where it is a key."""

    key: str
    where: Where
    name: str | None = None
    data: Data | None = None


def search(
    key: Key, text: str, *, where: Collection[Where] = EVERYWHERE, whole: bool = False
) -> Iterator[Hit]:
    """Every hit in a key and all below it, in the hive's order, without regard to case.

    Data are searched as text where they are text, as numbers in decimal and ``0x`` hex, and as hex digits
    where they are bytes. ``whole``: all of a name or text has to be the one searched for. The text is
    not looked for in the name of the key itself.
    """
    wanted = fold(text)

    def meets(found: str) -> bool:
        return fold(found) == wanted if whole else wanted in fold(found)

    for held in walk(key):
        if "keys" in where and held is not key and meets(held.name):
            yield Hit(held.path, "keys")
        if "names" not in where and "data" not in where:
            continue
        for name, data in held.values():
            if "names" in where and meets(name):
                yield Hit(held.path, "names", name, data)
            elif "data" in where and any(meets(found) for found in texts(data)):
                yield Hit(held.path, "data", name, data)


def texts(data: Data) -> tuple[str, ...]:
    """What data look like to who searches: each string of a list on its own."""
    if data.number is not None:
        return str(data.number), f"0x{data.number:x}", f"0x{data.number:08x}"
    if data.text is not None:
        return (data.text,)
    if data.strings is not None:
        return data.strings
    return (data.raw.hex(),)
