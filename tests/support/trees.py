"""Whole hives as plain trees: by our reader, by libregf, and as a model that is edited."""

from __future__ import annotations

import io
from collections import Counter
from collections.abc import Iterable
from typing import Any

import pyregf

from p2vprep.core.model import KeyChange, ValueChange
from p2vprep.core.regf import records
from p2vprep.core.regf.reader import NO_CELL, HiveReader
from p2vprep.core.registry import fold, join, split, walk
from p2vprep.core.values import Data

Tree = dict[str, dict[str, Data]]
"""Key paths and the values of each, both as spelt."""


def tree(data: bytes) -> Tree:
    """A hive's whole content by our reader."""
    return {key.path: dict(key.values()) for key in walk(HiveReader(data).root)}


def independent_tree(data: bytes) -> Tree:
    """A hive's whole content by libregf."""
    file = pyregf.file()
    file.open_file_object(io.BytesIO(data))
    held: Tree = {}
    pending: list[tuple[str, Any]] = [("", file.get_root_key())]
    while pending:
        path, key = pending.pop()
        held[path] = {value.name or "": Data(value.type, value.data or b"") for value in key.values}
        pending.extend((join(path, child.name), child) for child in key.sub_keys)
    file.close()
    return held


def assert_independent(data: bytes, expected: Tree) -> None:
    """Asserts that libregf reads the same as is expected.

    Only names and types are compared for data that libregf 20201007 does not
    give as stored: one to three bytes inside a value's record, and text that
    does not end with its one NUL.
    """
    seen = independent_tree(data)
    assert seen.keys() == expected.keys()
    for path, values in expected.items():
        assert seen[path].keys() == values.keys(), path
        for name, held in values.items():
            found = seen[path][name]
            wanted = held if given_as_stored(held) else Data(held.type, found.raw)
            assert found == wanted, (path, name)


def given_as_stored(data: Data) -> bool:
    """Whether libregf 20201007 gives data as they are stored."""
    if data.text is not None:
        return len(data.raw) > 3 and Data.sz(data.text).raw == data.raw
    return len(data.raw) > 3 or not data.raw


def edited(before: Tree, changes: Iterable[ValueChange | KeyChange]) -> Tree:
    """What a tree is after changes; the model that edits are compared with."""
    after = dict(before)
    spelt = {fold(path): path for path in before}
    for change in changes:
        if isinstance(change, ValueChange):
            path = spelt[fold(change.key)]
            after[path] = _with_value(after[path], change)
        elif change.exists_after:
            *above, name = split(change.key)
            path = join(spelt[fold(join(*above))], name)
            spelt[fold(path)] = path
            after[path] = {}
        else:
            gone = fold(change.key)
            for folded in [each for each in spelt if each == gone or each.startswith(f"{gone}\\")]:
                del after[spelt.pop(folded)]
    return after


def _with_value(values: dict[str, Data], change: ValueChange) -> dict[str, Data]:
    name = next((held for held in values if fold(held) == fold(change.name)), change.name)
    if change.after is None:
        return {held: data for held, data in values.items() if held != name}
    return {**values, name: change.after}


def assert_sound(data: bytes) -> None:
    """Lists are sorted with right hints and none is empty; security cells are counted right."""
    hive = HiveReader(data)
    uses: Counter[int] = Counter()
    for key in walk(hive.root):
        found = hive.root if not key.path else key
        names = [child.name for child in found.subkeys()]
        assert sorted(names, key=records.order) == names, key.path
        uses[found.security_offset] += 1  # type: ignore[attr-defined]
        _assert_hints(hive, found)
    for cell, count in uses.items():
        if cell != NO_CELL:
            references = int.from_bytes(hive.cell(cell, "")[12:16], "little")
            assert references == count, hex(cell)


def _assert_hints(hive: HiveReader, key: Any) -> None:
    if not key.subkey_count:
        return
    for kind, words in hive.leaves(key._subkey_list, key):
        assert words, key.path
        width = 1 if kind == b"li" else 2
        for at in range(0, len(words), width):
            name = hive.key_name(words[at], key)
            assert list(words[at : at + width]) == records.entry_words(kind, name, words[at]), (
                key.path,
                name,
            )
