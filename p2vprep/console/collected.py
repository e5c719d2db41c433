"""The edits that were collected and not applied yet. Pure: every step gives a new collection."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

from p2vprep.core.hand import places
from p2vprep.core.model import DeleteFile, DeleteKey, DeleteValue, Edit, MakeKey, PutFile, SetValue
from p2vprep.core.registry import fold, split
from p2vprep.core.values import Data
from p2vprep.errors import UsageError

Target = tuple[str, ...]
"""What an edit is about; two edits of one target exclude each other."""


@dataclass(frozen=True)
class Entry:
    """One thing that was asked for: what it is about, from what to what, and the edits it takes."""

    subject: str
    movement: str
    edits: tuple[Edit, ...]

    @property
    def targets(self) -> frozenset[Target]:
        return frozenset(target_of(edit) for edit in self.edits)


@dataclass(frozen=True)
class Collection:
    """What was asked for, in the order it was asked for."""

    entries: tuple[Entry, ...] = ()
    boot_set: str = ""
    """The control set that ``CurrentControlSet`` stands for; empty where it is not known yet."""

    def __len__(self) -> int:
        return len(self.entries)

    def __bool__(self) -> bool:
        return bool(self.entries)

    @property
    def edits(self) -> tuple[Edit, ...]:
        """All edits, as they are applied."""
        return tuple(edit for entry in self.entries for edit in entry.edits)

    def adding(self, entry: Entry) -> Collection:
        """With one more entry; one about the same things is replaced by it.

        Raises UsageError ``edits-collide`` where an earlier entry touches the same and more, or
        where one of the two deletes the key that the other changes.
        """
        kept = tuple(held for held in self.entries if not held.targets <= entry.targets)
        for held in kept:
            if _collide(held, entry):
                raise UsageError(
                    f"this collides with what was collected before: {held.subject}, {held.movement}",
                    code="edits-collide",
                    subject=entry.subject,
                    hint="Take that out of the collected edits first.",
                )
        return replace(self, entries=(*kept, entry))

    def without(self, number: int) -> Collection:
        """Without one entry, by its place."""
        return replace(self, entries=self.entries[:number] + self.entries[number + 1 :])

    def without_subject(self, subject: str) -> Collection:
        """Without what was asked for about a subject, if anything."""
        return replace(self, entries=tuple(entry for entry in self.entries if entry.subject != subject))

    def emptied(self) -> Collection:
        """With nothing asked for."""
        return replace(self, entries=())

    def on(self, boot_set: str) -> Collection:
        """The same, for a machine that boots this control set."""
        return replace(self, boot_set=boot_set)

    def about(self, subject: str) -> Entry | None:
        """What was asked for about a subject."""
        return next((entry for entry in self.entries if entry.subject == subject), None)

    def value_edits(self, hive: str, key: str) -> Iterator[SetValue | DeleteValue]:
        """The edits of the values directly in a key."""
        wanted = (fold(hive), _names(key))
        for edit in self.edits:
            if not isinstance(edit, SetValue | DeleteValue):
                continue
            if (fold(edit.hive), _names(self._real(edit.key))) == wanted:
                yield edit

    def deletes(self, hive: str, key: str) -> bool:
        """Whether a key goes, by itself or with one above it."""
        return any(
            isinstance(edit, DeleteKey)
            and fold(edit.hive) == fold(hive)
            and _within(key, self._real(edit.key))
            for edit in self.edits
        )

    def _real(self, key: str) -> str:
        return places.in_set(key, self.boot_set) if self.boot_set and places.is_current(key) else key


NOTHING = Collection()


def target_of(edit: Edit) -> Target:
    """What an edit is about, in the form in which names are equal for Windows."""
    if isinstance(edit, SetValue | DeleteValue):
        return ("value", fold(edit.hive), *_names(edit.key), "", fold(edit.name))
    if isinstance(edit, DeleteKey | MakeKey):
        return ("key", fold(edit.hive), *_names(edit.key))
    return ("file", *(fold(part) for part in edit.path.split("/") if part))


def value_after(edits: Iterator[SetValue | DeleteValue], name: str) -> tuple[bool, Data | None]:
    """Whether the value is among those that edits change, and what it will hold (None: deleted)."""
    for edit in edits:
        if fold(edit.name) == fold(name):
            return True, edit.data if isinstance(edit, SetValue) else None
    return False, None


def _collide(one: Entry, other: Entry) -> bool:
    if one.targets & other.targets:
        return True
    return _deletes_under(one, other) or _deletes_under(other, one)


def _deletes_under(deleting: Entry, changing: Entry) -> bool:
    for gone in deleting.edits:
        for edit in changing.edits:
            if not isinstance(gone, DeleteKey) or isinstance(edit, PutFile | DeleteFile):
                continue
            if fold(edit.hive) == fold(gone.hive) and _within(edit.key, gone.key):
                return True
    return False


def _names(key: str) -> tuple[str, ...]:
    return tuple(fold(name) for name in split(key))


def _within(key: str, top: str) -> bool:
    names = _names(top)
    return _names(key)[: len(names)] == names
