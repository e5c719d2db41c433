r"""Edits made one after the other, folded into edits that hold at once.

People think in order: set it to 3, no, to 4; delete the key, then fill it anew (as .reg files do).
A plan knows no order. So the last word on a value, a key or a file counts, and a key that is
deleted and filled again keeps exactly what was put there afterwards.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace

from p2vprep.core.model import DeleteFile, DeleteKey, DeleteValue, Edit, MakeKey, PutFile, SetValue
from p2vprep.core.registry import Hive, Key, find, fold, join, split

Slot = tuple[str, ...]
_TOP = 3
"""The length of the slot of a key at the top of a hive."""


def in_sequence(edits: Iterable[Edit], hives: Mapping[str, Hive]) -> tuple[Edit, ...]:
    """The edits that do at once what the given ones do in their order.

    ``hives`` tells what a key holds that is deleted and then filled again.
    """
    kept: dict[Slot, Edit] = {}
    deleted: dict[Slot, DeleteKey] = {}
    for edit in edits:
        slot = slot_of(edit)
        if isinstance(edit, DeleteKey):
            made = [_makes(kept.pop(known)) for known in list(kept) if _is_below(known, slot)]
            if any(made) and len(slot) > _TOP:
                # What was made on the way to the key stays.
                above = MakeKey(edit.hive, join(*split(edit.key)[:-1]), edit.rule, edit.why)
                kept.setdefault(slot_of(above), above)
            for below in [known for known in deleted if _is_below(known, slot)]:
                del deleted[below]
            deleted[slot] = edit
        else:
            edit = _after(kept.pop(slot, None), edit, kept)
            if not (isinstance(edit, DeleteValue) and _gone(slot, deleted)):
                kept[slot] = edit  # the last one also takes the last place
    later = tuple(kept.values())
    deletions: list[Edit] = []
    for edit in deleted.values():
        deletions += _without(edit, later, hives.get(edit.hive))
    return (*deletions, *later)


def _makes(edit: Edit) -> bool:
    """Whether an edit makes keys that are not there."""
    return isinstance(edit, MakeKey) or (isinstance(edit, SetValue) and edit.create)


def _after(earlier: Edit | None, edit: Edit, kept: dict[Slot, Edit]) -> Edit:
    """An edit that takes the place of an earlier one; the key that the earlier one made stays."""
    if isinstance(earlier, SetValue) and _makes(earlier):
        if isinstance(edit, SetValue):
            return replace(edit, create=True)
        made = MakeKey(earlier.hive, earlier.key, earlier.rule, earlier.why)
        kept.setdefault(slot_of(made), made)
    return edit


def slot_of(edit: Edit) -> Slot:
    """What an edit is about: two edits of one slot cannot both be true."""
    if isinstance(edit, PutFile | DeleteFile):
        return ("file", fold(edit.path))
    path = (fold(edit.hive), *(fold(name) for name in split(edit.key)))
    if isinstance(edit, SetValue | DeleteValue):
        return ("value", *path, "", fold(edit.name))
    return ("key", *path)


def _path(slot: Slot) -> Slot:
    """Hive and key of a slot of the registry."""
    return slot[1:-2] if slot[0] == "value" else slot[1:]


def _is_below(slot: Slot, key: Slot) -> bool:
    """Whether a slot is of a key or of what lies in it."""
    return slot[0] != "file" and _path(slot)[: len(key) - 1] == key[1:]


def _gone(slot: Slot, deleted: Mapping[Slot, DeleteKey]) -> bool:
    return any(_is_below(slot, key) for key in deleted)


def _without(deletion: DeleteKey, later: Sequence[Edit], hive: Hive | None) -> Iterator[Edit]:
    """The deletion; where something is put below the key afterwards, of all that is there but this."""
    slot = slot_of(deletion)
    filled = [slot_of(edit) for edit in later if _is_below(slot_of(edit), slot)]
    if not filled or hive is None:
        yield deletion
        return
    key = find(hive, deletion.key)
    if key is not None:
        yield from _emptied(deletion, key, filled)


def _emptied(deletion: DeleteKey, key: Key, filled: Sequence[Slot]) -> Iterator[Edit]:
    path = (fold(deletion.hive), *(fold(name) for name in split(key.path)))
    values = {slot[-1] for slot in filled if slot[0] == "value" and _path(slot) == path}
    for name, _data in key.values():
        if fold(name) not in values:
            yield DeleteValue(deletion.hive, key.path, name, deletion.rule, deletion.why)
    for child in key.subkeys():
        inside = [slot for slot in filled if _path(slot)[: len(path) + 1] == (*path, fold(child.name))]
        if inside:
            yield from _emptied(deletion, child, inside)
        else:
            yield DeleteKey(deletion.hive, join(key.path, child.name), deletion.rule, deletion.why)
