r"""What must not be done to a hive, and what hivex must not be asked to do.

The first kind is refused, whoever asks: it would lock the machine's owners out
or keep Windows from starting. The second kind is done by
:mod:`p2vprep.core.regf.patch` instead. What hivex does wrongly was observed on
1.3.23 and is told by its source (``lib/write.c``).
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from p2vprep.core.forbidden import refuse_forbidden
from p2vprep.core.model import DeleteKey, DeleteValue, KeyChange, ValueChange
from p2vprep.core.regf import records
from p2vprep.core.regf.reader import MAX_DEPTH, NO_CELL, PREDEFINED_KEY, SEGMENT, HiveReader, RegfKey
from p2vprep.core.registry import fold, split, walk
from p2vprep.errors import RefusedError

MAX_KEY_NAME = 255
"""UTF-16 units ("Registry element size limits", Microsoft)."""
MAX_VALUE_NAME = 16_383
"""UTF-16 units (the same source)."""


# --- what is refused ---------------------------------------------------------------------------


def refuse(hive: HiveReader, change: ValueChange | KeyChange) -> None:
    """Raises RefusedError where a change must not be made; its subject is the key's path.

    Codes: ``forbidden-key``, ``key-predefined``, ``key-name-invalid``,
    ``key-too-deep``, ``value-name-invalid``, ``value-too-big``, ``value-ambiguous``.
    """
    key, missing = nearest(hive, change.key)
    refuse_forbidden(_as_edit(change), None if missing else key)
    if isinstance(change, ValueChange):
        problem = _value_refusal(None if missing else key, change)
    elif change.exists_after:
        problem = _creation_refusal(change.key)
    else:
        problem = None if missing else _deletion_refusal(change, key)
    if problem is not None:
        code, message = problem
        raise RefusedError(f"{change.hive}\\{change.key}: {message}", code=code, subject=change.key)


def _as_edit(change: ValueChange | KeyChange) -> DeleteValue | DeleteKey:
    """What a rule would have asked for to get this change; a new key counts as a value in it."""
    where = (change.hive, change.key)
    if isinstance(change, KeyChange) and not change.exists_after:
        return DeleteKey(*where, change.rule, change.why)
    name = change.name if isinstance(change, ValueChange) else ""
    return DeleteValue(*where, name, change.rule, change.why)


def _value_refusal(key: RegfKey | None, change: ValueChange) -> tuple[str, str] | None:
    if change.name and not is_name(change.name, MAX_VALUE_NAME):
        return "value-name-invalid", f"a value name has at most {MAX_VALUE_NAME} characters and no NUL"
    if change.after is not None and is_big(len(change.after.raw)):
        return "value-too-big", f"a value of {len(change.after.raw)} bytes is over the limit of {SEGMENT}"
    if key is not None and key.flags & PREDEFINED_KEY:
        return "key-predefined", "it is a handle to another key and has no values of its own"
    if key is not None and is_ambiguous(key, change.name):
        return "value-ambiguous", f"it holds more than one value named {change.name!r}"
    return None


def _creation_refusal(path: str) -> tuple[str, str] | None:
    parts = split(path)
    if not parts or not is_name(parts[-1], MAX_KEY_NAME) or not parts[-1].isascii():
        text = f"the name of a new key has 1 to {MAX_KEY_NAME} characters, all ASCII and none of them NUL"
        return "key-name-invalid", text
    if len(parts) > MAX_DEPTH:
        return "key-too-deep", f"it would lie deeper than the {MAX_DEPTH} levels Windows allows"
    return None


def _deletion_refusal(change: KeyChange, key: RegfKey) -> tuple[str, str] | None:
    below_lsa = fold(change.key).split("\\")[1:3] == ["CONTROL", "LSA"]
    if change.hive == "SYSTEM" and below_lsa and has_class_name(key):
        return "forbidden-key", "a class name below Lsa is a secret that cannot be made again"
    return None


def is_name(name: str, most: int) -> bool:
    """Whether a name has from one to ``most`` UTF-16 units and no NUL."""
    return 0 < records.utf16_length(name) <= 2 * most and "\0" not in name


def has_class_name(key: RegfKey) -> bool:
    """Whether a key or one below it has a class name; it goes with the key."""
    return any(isinstance(held, RegfKey) and held.class_raw is not None for held in walk(key))


def is_ambiguous(key: RegfKey, name: str) -> bool:
    """Whether a key holds several values of one name, so that it is not clear which is meant."""
    return sum(fold(held) == fold(name) for held, _ in key.values()) > 1


# --- what hivex must not do --------------------------------------------------------------------


def hivex_obstacle(hive: HiveReader, change: ValueChange | KeyChange, made: Sequence[str] = ()) -> str | None:
    """Why hivex would not make this change, or would make it wrongly; None where it can.

    ``made`` are the paths of the keys that are made before. The change fits the
    hive: the caller has checked that.
    """
    if not all(is_representable(part) for part in split(change.key)):
        return "hivex cannot spell the key's path"
    key, missing = nearest(hive, change.key)
    if missing and (problem := _creation_obstacle(hive, key, missing[0], _siblings(key, made))):
        return problem
    if isinstance(change, ValueChange):
        return None if missing else _value_obstacle(key, change.name)
    if change.exists_after:
        return None
    return _deletion_obstacle(key)


def _value_obstacle(key: RegfKey, name: str) -> str | None:
    """hivex writes all values of the key anew."""
    if any(is_big(len(data.raw)) for _, data in key.values()):
        return "hivex would write a big value of this key as one piece"
    if not all(is_representable(held) for held, _ in [*key.values(), (name, None)]):
        return "hivex cannot spell the name of a value in this key"
    return None


def _creation_obstacle(hive: HiveReader, parent: RegfKey, name: str, siblings: Iterable[str]) -> str | None:
    if not knows_hash_lists(hive.minor):
        return "hivex makes lists that this version of hives does not know"
    if not has_security(parent):
        return "hivex cannot make a key where there is no security descriptor"
    if not is_ordered_alike(name, siblings):
        return "hivex would enter the name out of order"
    return None


def _deletion_obstacle(key: RegfKey) -> str | None:
    parent = key.parent
    if parent is not None and has_list(parent, b"li"):
        return "hivex cannot delete below a list without hashes"
    if parent is not None and has_index(parent):
        return "hivex would leave an empty list below an index"
    if holds_big_data(key):
        return "hivex would lose track of the segments of a big value"
    return None


def nearest(hive: HiveReader, path: str) -> tuple[RegfKey, tuple[str, ...]]:
    """The deepest key on a path that is there, and the names that are missing below it."""
    key = hive.root
    names = split(path)
    for position, name in enumerate(names):
        below = key.subkey(name)
        if below is None:
            return key, names[position:]
        key = below
    return key, ()


def _siblings(parent: RegfKey, made: Iterable[str]) -> list[str]:
    above = tuple(fold(part) for part in split(parent.path))
    depth = len(above)
    names = [key.name for key in parent.subkeys()]
    for path in made:
        parts = split(path)
        if len(parts) > depth and tuple(fold(part) for part in parts[:depth]) == above:
            names.append(parts[depth])
    return names


def is_big(size: int) -> bool:
    """Whether data of this size need several segments from version 1.4 on (``db`` records)."""
    return size > SEGMENT


def holds_big_data(key: RegfKey) -> bool:
    """Whether a key or one below it holds a value in several segments."""
    return any(is_big(len(data.raw)) for held in walk(key) for _, data in held.values())


def is_representable(name: str) -> bool:
    """Whether hivex can take a name and give it back: no NUL, no lone surrogate."""
    return "\0" not in name and not any("\ud800" <= letter <= "\udfff" for letter in name)


def knows_hash_lists(minor: int) -> bool:
    """Whether hives of this minor version may hold ``lh`` lists; Windows 2000 writes 3."""
    return minor > 4


def has_security(key: RegfKey) -> bool:
    """Whether a key has a security descriptor that a key below it can share."""
    return bool(key.security_offset != NO_CELL)


def is_ordered_alike(name: str, siblings: Iterable[str]) -> bool:
    """Whether a new name stands in the same place for Windows and for any hivex.

    Windows orders by upcased UTF-16 units; hivex compares bytes of UTF-8 without
    regard to the case of ASCII letters, upcased or downcased by version.
    """
    wanted, raw = records.order(name), _utf8(name)
    for sibling in siblings:
        right, other = wanted < records.order(sibling), _utf8(sibling)
        # Methods of bytes change the case of ASCII letters only.
        if right != (raw.upper() < other.upper()) or right != (raw.lower() < other.lower()):
            return False
    return True


def _utf8(name: str) -> bytes:
    return name.encode("utf-8", "surrogatepass")


def has_list(key: RegfKey, kind: bytes) -> bool:
    """Whether a key's subkeys stand in a list of this kind."""
    if not key.subkey_count:
        return False
    return any(found == kind for found, _ in key.hive.leaves(_list_cell(key), key))


def has_index(key: RegfKey) -> bool:
    """Whether a key's subkeys stand in several lists below an index."""
    return bool(key.subkey_count) and key.hive.cell(_list_cell(key), key)[:2] == b"ri"


def _list_cell(key: RegfKey) -> int:
    cell = key.hive.cell(key.offset, key)
    return int.from_bytes(cell[records.KEY_SUBKEY_LIST : records.KEY_SUBKEY_LIST + 4], "little")
