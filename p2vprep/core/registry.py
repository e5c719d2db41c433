r"""Registry paths and the reader's interface that facts, rules and planner see.

Names compare without regard to case, as Windows does: each UTF-16 unit is
upcased on its own (so "ß" stays "ß"). Paths use backslashes, relative to the
hive's root, without a leading one: ``ControlSet001\Services\Tcpip``.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Protocol, runtime_checkable

from p2vprep.core.values import Data

_NOT_UPCASED = "\u00b5\u0131\u017f"
"""Unicode upcases these (micro sign, dotless i, long s); the table of Windows leaves them as they are."""


def fold(name: str) -> str:
    """The form in which two names are equal for Windows."""
    if name.isascii():
        return name.upper()
    return "".join(
        up if len(up := letter.upper()) == 1 and letter not in _NOT_UPCASED else letter for letter in name
    )


def join(*parts: str) -> str:
    """Joins path parts with backslashes, ignoring empty ones."""
    return "\\".join(part.strip("\\") for part in parts if part.strip("\\"))


def split(path: str) -> tuple[str, ...]:
    """The key names of a path."""
    return tuple(part for part in path.split("\\") if part)


@runtime_checkable
class Key(Protocol):
    """A registry key that is read only. Names are kept as found."""

    @property
    def name(self) -> str: ...
    @property
    def path(self) -> str:
        """The path from the root as found in the hive; empty for the root."""
        ...

    def subkeys(self) -> Iterator[Key]: ...
    def subkey(self, name: str) -> Key | None: ...
    def values(self) -> Iterator[tuple[str, Data]]:
        """Names ("" is the default value) and data, in the hive's order."""
        ...

    def value(self, name: str) -> Data | None: ...


class Hive(Protocol):
    """A whole hive that is read only."""

    @property
    def root(self) -> Key: ...


def find(hive: Hive, path: str) -> Key | None:
    """The key at a path, or None."""
    key: Key | None = hive.root
    for name in split(path):
        if key is None:
            return None
        key = key.subkey(name)
    return key


def value(hive: Hive, path: str, name: str) -> Data | None:
    """A value's data, or None where the key or the value is absent."""
    key = find(hive, path)
    return None if key is None else key.value(name)


class MemoryKey:
    """A key held in memory; for tests, recipes and as a reference model."""

    def __init__(self, name: str = "", parent: MemoryKey | None = None) -> None:
        self.name = name
        self.parent = parent
        self.children: dict[str, MemoryKey] = {}
        self.data: dict[str, tuple[str, Data]] = {}

    @property
    def path(self) -> str:
        if self.parent is None:
            return ""
        return join(self.parent.path, self.name)

    def subkeys(self) -> Iterator[Key]:
        yield from self.children.values()

    def subkey(self, name: str) -> MemoryKey | None:
        return self.children.get(fold(name))

    def values(self) -> Iterator[tuple[str, Data]]:
        yield from self.data.values()

    def value(self, name: str) -> Data | None:
        held = self.data.get(fold(name))
        return None if held is None else held[1]

    def make(self, path: str) -> MemoryKey:
        """The key at a path below this one, made where absent."""
        key = self
        for name in split(path):
            child = key.children.get(fold(name))
            if child is None:
                child = key.children[fold(name)] = MemoryKey(name, key)
            key = child
        return key

    def set(self, name: str, data: Data) -> MemoryKey:
        """Sets a value, keeping the spelling of an existing name; returns the key."""
        spelt = self.data[fold(name)][0] if fold(name) in self.data else name
        self.data[fold(name)] = (spelt, data)
        return self


class MemoryHive:
    """A hive held in memory."""

    def __init__(self, keys: Mapping[str, Mapping[str, Data]] | None = None) -> None:
        self.root = MemoryKey()
        for path, held in (keys or {}).items():
            key = self.root.make(path)
            for name, data in held.items():
                key.set(name, data)


def walk(key: Key) -> Iterator[Key]:
    """The key and all below it, parents first. The reader guards against cycles."""
    stack: list[Key] = [key]
    while stack:
        current = stack.pop()
        yield current
        stack.extend(reversed(list(current.subkeys())))


def names(keys: Iterable[Key]) -> tuple[str, ...]:
    """The names of keys."""
    return tuple(key.name for key in keys)
