"""Reading of single values, tolerant of what real hives hold.

Types are not trusted: XP writes ``Setup\\CmdLine`` as MULTI_SZ after an update,
some installers write a dependency list as SZ. A value that does not fit reads
as absent, never as an error.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Protocol

from p2vprep.core.registry import Key, fold, split
from p2vprep.core.values import Data, RegType


class Values(Protocol):
    """Anything that holds values by name: a key, or a snapshot of one."""

    def value(self, name: str) -> Data | None: ...


class Snapshot:
    """The values of a key read once; worth it where many are asked for, as each look-up walks the key."""

    def __init__(self, key: Key | None) -> None:
        self._held: dict[str, Data] = {}
        if key is not None:
            for name, data in key.values():
                self._held.setdefault(fold(name), data)

    def value(self, name: str) -> Data | None:
        return self._held.get(fold(name))


def below(key: Key | None, path: str) -> Key | None:
    """The key at a path below a key; None where either is absent."""
    for name in split(path):
        if key is None:
            return None
        key = key.subkey(name)
    return key


def children(key: Key | None) -> Iterator[Key]:
    """The subkeys of a key that may be absent."""
    if key is not None:
        yield from key.subkeys()


def value(key: Values | None, name: str) -> Data | None:
    """A value's data; None where the key or the value is absent."""
    return None if key is None else key.value(name)


def dword(key: Values | None, name: str) -> int | None:
    """The number of a REG_DWORD of four bytes; None for anything else."""
    data = value(key, name)
    return data.number if data is not None and data.type == RegType.DWORD else None


def text(key: Values | None, name: str) -> str:
    """The text of a string value (of a list: its first string); empty where there is none."""
    data = value(key, name)
    if data is None:
        return ""
    if data.text is not None:
        return data.text
    return data.strings[0] if data.strings else ""


def strings(key: Values | None, name: str) -> tuple[str, ...]:
    """The strings of a list value (of a text: that one); empty where there is none."""
    data = value(key, name)
    if data is None:
        return ()
    if data.strings is not None:
        return data.strings
    return (data.text,) if data.text else ()


def readable(described: str) -> str:
    """The readable part of ``@oem1.inf,%name%;Readable part`` (Vista and later store both)."""
    return described.rpartition(";")[2] if described.startswith("@") else described
