"""A hive with changes laid over it, without copying the hive: quick on real hives."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from p2vprep.core.model import Change, FileChange, KeyChange
from p2vprep.core.registry import Hive, Key, fold, join, split
from p2vprep.core.values import Data


class ChangedHive:
    """How a hive looks with values set and deleted, keys made and deleted."""

    def __init__(self, base: Hive) -> None:
        self.base = base
        self.values: dict[str, dict[str, tuple[str, Data | None]]] = {}
        self.made: dict[str, dict[str, str]] = {}
        self.deleted: set[str] = set()

    @property
    def root(self) -> Key:
        return _ChangedKey(self, self.base.root, "", "")

    def put(self, path: str, name: str, data: Data | None) -> None:
        """Sets a value (None: deletes it); the keys on the way are made."""
        above = ""
        for part in split(path):
            self.made.setdefault(fold(above), {}).setdefault(fold(part), part)
            above = join(above, part)
            self.deleted.discard(fold(above))
        self.values.setdefault(fold(path), {})[fold(name)] = (name, data)

    def carry_out(self, changes: Iterable[Change]) -> None:
        """Does what a plan says."""
        for change in changes:
            if isinstance(change, FileChange):
                continue
            if not isinstance(change, KeyChange):
                self.put(change.key, change.name, change.after)
            elif change.exists_after:
                *above, name = split(change.key)
                self.made.setdefault(fold(join(*above)), {})[fold(name)] = name
                self.deleted.discard(fold(change.key))
            else:
                self.deleted.add(fold(change.key))


class _ChangedKey:
    def __init__(self, hive: ChangedHive, base: Key | None, name: str, path: str) -> None:
        self._hive = hive
        self._base = base
        self.name = name if base is None else base.name
        self.path = path

    def subkeys(self) -> Iterator[Key]:
        seen = set()
        for child in self._base.subkeys() if self._base is not None else ():
            seen.add(fold(child.name))
            if (found := self.subkey(child.name)) is not None:
                yield found
        for folded, name in self._hive.made.get(fold(self.path), {}).items():
            if folded not in seen and (found := self.subkey(name)) is not None:
                yield found

    def subkey(self, name: str) -> Key | None:
        path = join(self.path, name)
        if fold(path) in self._hive.deleted:
            return None
        base = None if self._base is None else self._base.subkey(name)
        made = self._hive.made.get(fold(self.path), {}).get(fold(name))
        if base is None and made is None:
            return None
        spelt = base.name if base is not None else str(made)
        return _ChangedKey(self._hive, base, spelt, join(self.path, spelt))

    def values(self) -> Iterator[tuple[str, Data]]:
        changed = self._hive.values.get(fold(self.path), {})
        for name, data in self._base.values() if self._base is not None else ():
            if fold(name) not in changed:
                yield name, data
        for name, held in changed.values():
            if held is not None:
                yield name, held

    def value(self, name: str) -> Data | None:
        changed = self._hive.values.get(fold(self.path), {})
        if fold(name) in changed:
            return changed[fold(name)][1]
        return None if self._base is None else self._base.value(name)
