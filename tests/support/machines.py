"""Small machines held in memory, and plans carried out on them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace

from p2vprep.core.facts import gather
from p2vprep.core.model import Change, Facts, FileChange, KeyChange, Plan, Role, Start, WindowsVersion
from p2vprep.core.planner import Draft, WhichSets, draft, finish
from p2vprep.core.profiles import ResolvedProfile
from p2vprep.core.registry import Hive, Key, MemoryHive, MemoryKey, find, fold, split, walk
from p2vprep.core.values import Data

DRIVER, FILE_SYSTEM, SERVICE = 1, 2, 0x10


class Machine:
    """A SYSTEM hive with one or more control sets, filled part by part."""

    def __init__(self, *sets: str, default: int = 1, current: int | None = None) -> None:
        self.hive = MemoryHive()
        self.sets = [self.hive.root.make(name) for name in sets or ("ControlSet001",)]
        select = self.hive.root.make("Select")
        select.set("Default", Data.dword(default))
        select.set("Current", Data.dword(default if current is None else current))
        self.version = WindowsVersion(6, 1, 7601)
        self.role = Role.SERVER

    def windows(self, major: int, minor: int, build: int = 0, role: Role = Role.SERVER) -> Machine:
        self.version, self.role = WindowsVersion(major, minor, build), role
        return self

    def put(self, path: str, *, only: str | None = None, **values: Data | str | int | list[str]) -> Machine:
        """Values below a path of every control set, or of one."""
        for one in self.sets:
            if only is None or one.name == only:
                key = one.make(path)
                for name, data in values.items():
                    key.set(name, as_data(data))
        return self

    def set_value(
        self, path: str, name: str, data: Data | str | int | list[str], *, only: str | None = None
    ) -> Machine:
        """One value of any name below a path of every control set, or of one."""
        for one in self.sets:
            if only is None or one.name == only:
                one.make(path).set(name, as_data(data))
        return self

    def service(
        self,
        name: str,
        start: int = Start.AUTO,
        kind: int = SERVICE,
        *,
        only: str | None = None,
        triggers: Iterable[int] = (),
        **values: Data | str | int | list[str],
    ) -> Machine:
        """A service or driver; other values as in the registry (``DependOnService=["x"]``)."""
        self.put(rf"Services\{name}", only=only, Type=kind, Start=int(start), **values)
        for index, trigger in enumerate(triggers):
            self.put(rf"Services\{name}\TriggerInfo\{index}", only=only, Type=trigger, Action=1)
        return self

    def facts(self) -> Facts:
        found = gather(self.hive, None, system_root="/Windows")
        return replace(found, guest=replace(found.guest, version=self.version, role=self.role))

    def draft(
        self,
        *profiles: ResolvedProfile,
        overrides: Mapping[str, str] | None = None,
        control_sets: WhichSets | None = None,
    ) -> Draft:
        return draft(
            self.facts(), {"SYSTEM": self.hive}, profiles, overrides=overrides, control_sets=control_sets
        )

    def plan(
        self,
        *profiles: ResolvedProfile,
        overrides: Mapping[str, str] | None = None,
        control_sets: WhichSets | None = None,
    ) -> Plan:
        wanted = self.draft(*profiles, overrides=overrides, control_sets=control_sets)
        return finish(wanted, {"SYSTEM": self.hive})


def as_data(plain: Data | str | int | list[str]) -> Data:
    """A DWORD, a text or a list of texts as registry data; data as it is."""
    if isinstance(plain, Data):
        return plain
    if isinstance(plain, str):
        return Data.sz(plain)
    return Data.multi_sz(plain) if isinstance(plain, list) else Data.dword(plain)


def in_memory(hive: Hive) -> MemoryHive:
    """A copy of a whole hive that can be written to."""
    copy = MemoryHive()
    pairs: list[tuple[Key, MemoryKey]] = [(hive.root, copy.root)]
    while pairs:
        source, target = pairs.pop()
        for name, data in source.values():
            target.data[fold(name)] = (name, data)
        for child in source.subkeys():
            made = MemoryKey(child.name, target)
            target.children[fold(child.name)] = made
            pairs.append((child, made))
    return copy


def carry_out(changes: Iterable[Change], hives: Mapping[str, MemoryHive]) -> None:
    """Does what a plan says, in its order and to the letter: what is not there cannot be changed."""
    for change in changes:
        if isinstance(change, FileChange):
            continue
        *above, name = split(change.key)
        parent = find(hives[change.hive], "\\".join(above))
        assert isinstance(parent, MemoryKey), f"{change.key}: the parent is not there"
        if isinstance(change, KeyChange):
            assert change.exists_before == (parent.subkey(name) is not None), change.key
            if change.exists_after:
                parent.make(name)
            else:
                del parent.children[fold(name)]
            continue
        key = parent.subkey(name)
        assert key is not None, f"{change.key}: is not there"
        assert key.path == change.key, f"{change.key}: spelt {key.path}"
        assert key.value(change.name) == change.before, f"{change.key}: {change.name}"
        if change.after is None:
            del key.data[fold(change.name)]
        else:
            key.set(change.name, change.after)


def dump(hive: Hive) -> dict[str, dict[str, Data]]:
    """Everything in a hive by folded path and name, to compare two of them."""
    return {fold(key.path): {fold(name): data for name, data in key.values()} for key in walk(hive.root)}
