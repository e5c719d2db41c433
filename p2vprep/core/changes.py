"""Edits held against hives and files: merged, checked for contradictions, turned into changes.

Paths and names come out as they are spelt in the hive. Keys that an edit makes
come before what is put into them; a key that is deleted swallows all other
deletions below it.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from p2vprep.core.forbidden import refuse_forbidden
from p2vprep.core.model import (
    Change,
    DeleteFile,
    DeleteKey,
    DeleteValue,
    Edit,
    FileChange,
    FileState,
    Hazard,
    KeyChange,
    MakeKey,
    PutFile,
    SetValue,
    Skip,
    ValueChange,
)
from p2vprep.core.registry import Hive, Key, fold, join, split
from p2vprep.core.values import Data

Slot = tuple[str, ...]
"""What an edit is about, folded: ``value, hive, path, name`` or ``key, hive, path`` or ``file, path``."""


@dataclass(frozen=True)
class Resolved:
    """The changes in order, and what could not be reconciled or done."""

    changes: tuple[Change, ...]
    hazards: tuple[Hazard, ...]
    skips: tuple[Skip, ...]


@dataclass(frozen=True)
class Wanted:
    """One edit that stands for all that ask for the same."""

    edit: Edit
    why: str
    create: bool = False


def resolve_edits(
    edits: Iterable[Edit], hives: Mapping[str, Hive], files: Mapping[str, FileState | None]
) -> Resolved:
    """Turns edits into changes. Raises RefusedError ``forbidden-key`` for keys that are never touched."""
    given = tuple(edits)
    views = {name: View(hive) for name, hive in hives.items()}
    for edit in given:
        if isinstance(edit, SetValue | DeleteValue | DeleteKey | MakeKey):
            view = views.get(edit.hive)
            refuse_forbidden(edit, None if view is None else view.key(edit.key))
    hazards: list[Hazard] = []
    slots = _without_deleted_parents(_merged(given, hazards), hazards)
    present = {fold(path): state for path, state in files.items()}
    resolver = _Resolver(views, present, _keys_to_make(slots.values()))
    for _slot, wanted in sorted(slots.items(), key=_order):
        resolver.resolve(wanted)
    return Resolved(tuple(resolver.changes), tuple(hazards), tuple(resolver.skips))


# --- merging -----------------------------------------------------------------------------------


def _slot(edit: Edit) -> Slot:
    if isinstance(edit, SetValue | DeleteValue):
        return ("value", edit.hive, _folded(edit.key), fold(edit.name))
    if isinstance(edit, DeleteKey | MakeKey):
        return ("key", edit.hive, _folded(edit.key))
    return ("file", fold(edit.path))


def _folded(path: str) -> str:
    return fold(join(*split(path)))


def _order(item: tuple[Slot, Wanted]) -> tuple[str, str, tuple[str, ...], Slot]:
    """By rule, hive, path (parents before children) and name; files by their path."""
    slot, wanted = item
    kind, place, *path = slot
    return wanted.edit.rule, place, split(path[0]) if path else (), (kind, *path[1:])


def _goal(edit: Edit) -> object:
    """What an edit wants to be there; equal goals agree."""
    if isinstance(edit, SetValue):
        return edit.data
    if isinstance(edit, PutFile):
        return edit.content
    return True if isinstance(edit, MakeKey) else None


def _merged(edits: Sequence[Edit], hazards: list[Hazard]) -> dict[Slot, Wanted]:
    """One wish for each slot; contradictions become hazards and drop out."""
    by_slot: dict[Slot, list[Edit]] = {}
    for edit in edits:
        by_slot.setdefault(_slot(edit), []).append(edit)
    merged: dict[Slot, Wanted] = {}
    for slot, group in by_slot.items():
        first = group[0]
        if any(_goal(edit) != _goal(first) for edit in group):
            hazards.append(_conflict(group))
            continue
        whys = dict.fromkeys(edit.why for edit in group)
        create = any(isinstance(edit, SetValue) and edit.create for edit in group)
        merged[slot] = Wanted(first, "; ".join(whys), create)
    return merged


def _without_deleted_parents(slots: dict[Slot, Wanted], hazards: list[Hazard]) -> dict[Slot, Wanted]:
    """Leaves out what lies below a key that is deleted; a value to be set there contradicts the deletion."""
    deleted = {slot[1:3] for slot, wanted in slots.items() if isinstance(wanted.edit, DeleteKey)}
    kept: dict[Slot, Wanted] = {}
    contradicted: dict[Slot, list[Edit]] = {}
    for slot, wanted in slots.items():
        if slot[0] == "file":
            kept[slot] = wanted
            continue
        above = _deleted_above(slot, deleted)
        if above is None:
            kept[slot] = wanted
        elif isinstance(wanted.edit, SetValue | MakeKey):
            contradicted.setdefault(("key", *above), []).append(wanted.edit)
    for slot, sets in contradicted.items():
        hazards.append(_conflict([slots[slot].edit, *sets]))
        kept.pop(slot, None)
    return kept


def _deleted_above(slot: Slot, deleted: set[tuple[str, ...]]) -> tuple[str, ...] | None:
    """The uppermost deleted key that holds what the slot is about, the slot's own key excepted."""
    parts = split(slot[2])
    longest = len(parts) if slot[0] == "value" else len(parts) - 1
    for length in range(1, longest + 1):
        candidate = (slot[1], join(*parts[:length]))
        if candidate in deleted:
            return candidate
    return None


def _conflict(group: Sequence[Edit]) -> Hazard:
    first = group[0]
    place = first.path if isinstance(first, PutFile | DeleteFile) else join(first.hive, first.key)
    if isinstance(first, SetValue | DeleteValue):
        place = f"{place}: {first.name or '(default)'}"
    return Hazard(
        code="conflict",
        severity="refuse",
        message=f"Two parts of the plan want different things of {place}",
        evidence=tuple(dict.fromkeys(f"{edit.rule}: {_says(edit)} ({edit.why})" for edit in group)),
        cure="Leave one of the two out: another profile, or --set.",
        liftable=False,
    )


def _says(edit: Edit) -> str:
    if isinstance(edit, SetValue):
        return f"{edit.name or '(default)'} = {edit.data.show()}"
    if isinstance(edit, PutFile):
        return f"writes {len(edit.content)} bytes"
    if isinstance(edit, MakeKey):
        return "makes it"
    return "deletes it"


# --- against the disk --------------------------------------------------------------------------


def _keys_to_make(wanted: Iterable[Wanted]) -> frozenset[tuple[str, str]]:
    """Hives and folded paths that some edit makes where they are absent, parents included."""
    made: set[tuple[str, str]] = set()
    for one in wanted:
        if isinstance(one.edit, MakeKey) or (isinstance(one.edit, SetValue) and one.create):
            parts = split(_folded(one.edit.key))
            made.update((one.edit.hive, join(*parts[:length])) for length in range(1, len(parts) + 1))
    return frozenset(made)


class View:
    """A hive with the keys that were looked up, so that a lazy reader is asked once."""

    def __init__(self, hive: Hive) -> None:
        self._found: dict[str, Key | None] = {"": hive.root}

    def key(self, path: str) -> Key | None:
        """The key at a path, or None."""
        folded = _folded(path)
        if folded not in self._found:
            *above, name = split(folded)
            parent = self.key(join(*above))
            self._found[folded] = None if parent is None else parent.subkey(name)
        return self._found[folded]

    def spelt_value(self, key: Key, name: str) -> str:
        """A value's name as spelt in the key; as given where it is not there."""
        wanted = fold(name)
        return next((found for found, _data in key.values() if fold(found) == wanted), name)


@dataclass
class _Resolver:
    """Collects the changes of one plan; keys to be made are remembered with their first spelling."""

    views: Mapping[str, View]
    files: Mapping[str, FileState | None]
    to_make: frozenset[tuple[str, str]]
    changes: list[Change] = field(default_factory=list)
    skips: list[Skip] = field(default_factory=list)
    made: dict[tuple[str, str], str] = field(default_factory=dict)

    def resolve(self, wanted: Wanted) -> None:
        edit = wanted.edit
        if isinstance(edit, PutFile | DeleteFile):
            self._file(edit, wanted.why)
            return
        view = self.views.get(edit.hive)
        if view is None:
            self.skips.append(Skip(edit.rule, join(edit.hive, edit.key), f"the {edit.hive} hive is not here"))
        elif isinstance(edit, SetValue):
            self._set(edit, wanted, view)
        elif isinstance(edit, DeleteValue):
            self._delete_value(edit, wanted.why, view)
        elif isinstance(edit, MakeKey):
            self._make(edit, wanted.why, view)
        else:
            key = view.key(edit.key)
            if key is not None:
                self.changes.append(KeyChange(edit.hive, key.path, True, False, edit.rule, wanted.why))

    def _set(self, edit: SetValue, wanted: Wanted, view: View) -> None:
        key = view.key(edit.key)
        if key is not None:
            before = key.value(edit.name)
            if before != edit.data:
                name = view.spelt_value(key, edit.name)
                self._value(edit, key.path, name, before, edit.data, wanted.why)
        elif (edit.hive, _folded(edit.key)) in self.to_make:
            path = self._make(edit, wanted.why, view)
            self._value(edit, path, edit.name, None, edit.data, wanted.why)
        else:
            self.skips.append(
                Skip(edit.rule, f"{join(edit.hive, edit.key)}: {edit.name}", "the key is not there")
            )

    def _delete_value(self, edit: DeleteValue, why: str, view: View) -> None:
        key = view.key(edit.key)
        before = None if key is None else key.value(edit.name)
        if key is not None and before is not None:
            self._value(edit, key.path, view.spelt_value(key, edit.name), before, None, why)

    def _value(
        self,
        edit: SetValue | DeleteValue,
        path: str,
        name: str,
        before: Data | None,
        after: Data | None,
        why: str,
    ) -> None:
        self.changes.append(ValueChange(edit.hive, path, name, before, after, edit.rule, why))

    def _make(self, edit: SetValue | MakeKey, why: str, view: View) -> str:
        """Plans the missing keys of a path, parents first; returns the path as it will be spelt."""
        path = ""
        for name in split(edit.key):
            wanted = join(path, name)
            found = view.key(wanted)
            if found is not None:
                path = found.path
                continue
            slot = (edit.hive, fold(wanted))
            if slot not in self.made:
                self.made[slot] = wanted
                self.changes.append(KeyChange(edit.hive, wanted, False, True, edit.rule, why))
            path = self.made[slot]
        return path

    def _file(self, edit: PutFile | DeleteFile, why: str) -> None:
        before = self.files[fold(edit.path)]
        if isinstance(edit, DeleteFile):
            if before is not None:
                self.changes.append(FileChange(edit.path, before, None, edit.rule, why))
            return
        after = FileState(hashlib.sha256(edit.content).hexdigest(), len(edit.content))
        if before != after:
            self.changes.append(
                FileChange(edit.path, before, after, edit.rule, why, edit.content, edit.locked)
            )
