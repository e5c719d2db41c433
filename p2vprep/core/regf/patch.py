"""Exact small edits of a hive's bytes, for what hivex cannot do or does wrongly.

Each function changes the cells that must change and no others: a value that
fits is overwritten in place, a list loses or gains one entry, cells that are not
needed any more become free ones. Windows 2000 to 11 read the result alike: the
kinds of lists a hive uses are kept, and a minor version of 4 or less gets ``lf``
lists, which all versions know.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable

from p2vprep.core.model import KeyChange, ValueChange
from p2vprep.core.regf import lists, records
from p2vprep.core.regf.baseblock import SIZE
from p2vprep.core.regf.cells import NO_CELL, Cells
from p2vprep.core.regf.reader import COMPRESSED_VALUE_NAME, INLINE_DATA, SEGMENT, damaged, decoded
from p2vprep.core.registry import fold, join, split
from p2vprep.core.values import Data
from p2vprep.errors import FailedError, RefusedError

_KEY_RECORD = struct.Struct("<2sHQIIIIIIIIIIIIIIIHH")
_VALUE_RECORD = struct.Struct("<2sHIIIHH")


def apply(data: bytes, changes: Iterable[ValueChange | KeyChange]) -> bytes:
    """The hive with the changes made in their order; the header's checksum matches.

    Every change must fit the hive as the ones before it leave it. Raises
    FailedError ``hive-edit-failed`` where one does not, RefusedError for a
    limit, HiveError where the hive is damaged.
    """
    cells = Cells(data)
    for change in changes:
        if isinstance(change, ValueChange):
            key = _existing(cells, change.key)
            if change.after is None:
                delete_value(cells, key, change.name)
            else:
                set_value(cells, key, change.name, change.after)
        elif change.exists_after:
            *above, name = split(change.key)
            create_key(cells, _existing(cells, join(*above)), name)
        else:
            delete_key(cells, _existing(cells, change.key))
    return cells.result()


def _existing(cells: Cells, path: str) -> int:
    key = lists.find(cells, path)
    if key is None:
        raise FailedError(f"there is no key {path}", code="hive-edit-failed", subject=path)
    return key


# --- values ------------------------------------------------------------------------------------


def set_value(cells: Cells, key: int, name: str, data: Data) -> None:
    """Sets a value of the key at a cell, in place where the data fit; its spelling is kept.

    Raises RefusedError ``value-too-big`` for data over 16,344 bytes.
    """
    size = len(data.raw)
    if size > SEGMENT:
        raise RefusedError(f"a value of {size} bytes is too big to write", code="value-too-big", subject=name)
    held = _value_cells(cells, key)
    value = _find_value(cells, held, name)
    if value is None:
        value = _new_value(cells, name)
        _append(cells, key, held, value)
        longest = max(cells.u32(key, records.KEY_LONGEST_VALUE_NAME), records.utf16_length(name))
        cells.put32(key, records.KEY_LONGEST_VALUE_NAME, longest)
    _put_data(cells, value, data.raw)
    cells.put32(value, records.VALUE_TYPE, data.type)
    largest = max(cells.u32(key, records.KEY_LONGEST_VALUE_DATA), size)
    cells.put32(key, records.KEY_LONGEST_VALUE_DATA, largest)


def delete_value(cells: Cells, key: int, name: str) -> None:
    """Deletes a value of the key at a cell. Raises FailedError where it is absent."""
    held = _value_cells(cells, key)
    value = _find_value(cells, held, name)
    if value is None:
        raise FailedError(f"there is no value {name!r}", code="hive-edit-failed", subject=name)
    place = cells.u32(key, records.KEY_VALUE_LIST)
    held.remove(value)
    _free_value(cells, value)
    cells.put32(key, records.KEY_VALUES, len(held))
    if held:
        cells.put_words(place, 0, held)
    else:
        cells.free(place)
        cells.put32(key, records.KEY_VALUE_LIST, NO_CELL)


def _value_cells(cells: Cells, key: int) -> list[int]:
    count = cells.u32(key, records.KEY_VALUES)
    return cells.words(cells.u32(key, records.KEY_VALUE_LIST), 0, count) if count else []


def _find_value(cells: Cells, held: list[int], name: str) -> int | None:
    folded = fold(name)
    return next((value for value in held if fold(_value_name(cells, value)) == folded), None)


def _value_name(cells: Cells, value: int) -> str:
    _check_value(cells, value)
    length = cells.u16(value, records.VALUE_NAME_LENGTH)
    compressed = bool(cells.u16(value, records.VALUE_FLAGS) & COMPRESSED_VALUE_NAME)
    raw = cells.read(value, records.VALUE_NAME, length)
    return decoded(raw, 0, length, compressed, "", SIZE + value)


def _check_value(cells: Cells, value: int) -> None:
    if cells.read(value, 0, 2) != b"vk":
        damaged("", "a value's record is not one", SIZE + value)


def _new_value(cells: Cells, name: str) -> int:
    raw, compressed = records.stored_name(name)
    flags = COMPRESSED_VALUE_NAME if compressed and raw else 0
    return cells.allocate(_VALUE_RECORD.pack(b"vk", len(raw), INLINE_DATA, 0, 0, flags, 0) + raw)


def _append(cells: Cells, key: int, held: list[int], value: int) -> None:
    """Adds a value to a key's list, moving the list where its cell has no room."""
    longer = [*held, value]
    place = cells.u32(key, records.KEY_VALUE_LIST)
    if not held or 4 * len(longer) > cells.capacity(place):
        if held:
            cells.free(place)
        place = cells.allocate(b"", 4 * len(longer))
        cells.put32(key, records.KEY_VALUE_LIST, place)
    cells.put_words(place, 0, longer)
    cells.put32(key, records.KEY_VALUES, len(longer))


def _put_data(cells: Cells, value: int, raw: bytes) -> None:
    """Stores a value's data: inside its record, in the cell it has, or in a new one."""
    in_place = _data_cells(cells, value)
    if len(raw) <= 4:
        for cell in in_place:
            cells.free(cell)
        cells.put32(value, records.VALUE_SIZE, INLINE_DATA | len(raw))
        cells.write(value, records.VALUE_PLACE, raw.ljust(4, b"\0"))
        return
    if len(in_place) != 1 or len(raw) > cells.capacity(in_place[0]):
        for cell in in_place:
            cells.free(cell)
        cells.put32(value, records.VALUE_PLACE, cells.allocate(raw))
    else:
        cells.write(in_place[0], 0, raw.ljust(cells.capacity(in_place[0]), b"\0"))
    cells.put32(value, records.VALUE_SIZE, len(raw))


def _data_cells(cells: Cells, value: int) -> list[int]:
    """All cells that hold a value's data: none, one, or those of a big data record."""
    size = cells.u32(value, records.VALUE_SIZE)
    if size & INLINE_DATA or not size:
        return []
    place = cells.u32(value, records.VALUE_PLACE)
    if size <= SEGMENT or cells.block.minor <= 3:
        return [place]
    if cells.read(place, 0, 2) != b"db":
        damaged("", "a big value is not held as big data", SIZE + place)
    segments = cells.u32(place, 4)
    return [place, segments, *cells.words(segments, 0, cells.u16(place, 2))]


def _free_value(cells: Cells, value: int) -> None:
    _check_value(cells, value)
    for cell in _data_cells(cells, value):
        cells.free(cell)
    cells.free(value)


# --- keys --------------------------------------------------------------------------------------


def create_key(cells: Cells, parent: int, name: str) -> int:
    """A new empty key below the key at a cell, and its cell.

    It shares the parent's security (none where the parent has none) and its
    last-written time, as hivex does. Raises FailedError where it exists.
    """
    folded = fold(name)
    if any(fold(lists.key_name(cells, child)) == folded for child in lists.subkeys(cells, parent)):
        raise FailedError(f"there is a key {name} already", code="hive-edit-failed", subject=name)
    raw, compressed = records.stored_name(name)
    security = cells.u32(parent, records.KEY_SECURITY)
    if security != NO_CELL:
        uses = cells.u32(security, records.SECURITY_REFERENCES)
        cells.put32(security, records.SECURITY_REFERENCES, uses + 1)
    (written,) = struct.unpack("<Q", cells.read(parent, records.KEY_WRITTEN, 8))
    flags = 0x20 if compressed else 0
    no_lists = (0, 0, NO_CELL, NO_CELL, 0, NO_CELL)
    lengths = (0, 0, 0, 0, 0, len(raw), 0)
    record = _KEY_RECORD.pack(b"nk", flags, written, 0, parent, *no_lists, security, NO_CELL, *lengths)
    key = cells.allocate(record + raw)
    lists.insert(cells, parent, key, b"lh" if cells.block.minor > 4 else b"lf")
    return key


def delete_key(cells: Cells, key: int) -> None:
    """Deletes the key at a cell with all below it; every cell it held becomes free."""
    if key == cells.block.root:
        raise RefusedError("the root of a hive cannot be deleted", code="key-protected")
    parent = cells.u32(key, records.KEY_PARENT)
    lists.remove(cells, parent, key)
    pending = [key]
    while pending:
        current = pending.pop()
        pending.extend(lists.subkeys(cells, current))
        # A cell that is free already is refused by the next use, so a circle of keys ends here.
        _free_key(cells, current)


def _free_key(cells: Cells, key: int) -> None:
    for value in (held := _value_cells(cells, key)):
        _free_value(cells, value)
    owned = lists.list_cells(cells, key)
    if held:
        owned.append(cells.u32(key, records.KEY_VALUE_LIST))
    class_name = cells.u32(key, records.KEY_CLASS)
    if class_name != NO_CELL:
        owned.append(class_name)
    for cell in owned:
        cells.free(cell)
    security = cells.u32(key, records.KEY_SECURITY)
    if security != NO_CELL:
        _release_security(cells, security)
    cells.free(key)


def _release_security(cells: Cells, security: int) -> None:
    """One use of a descriptor less; the last one takes it out of the ring."""
    uses = cells.u32(security, records.SECURITY_REFERENCES)
    if uses > 1:
        cells.put32(security, records.SECURITY_REFERENCES, uses - 1)
        return
    following = cells.u32(security, records.SECURITY_NEXT)
    previous = cells.u32(security, records.SECURITY_PREVIOUS)
    if following != security:
        cells.put32(previous, records.SECURITY_NEXT, following)
        cells.put32(following, records.SECURITY_PREVIOUS, previous)
    cells.free(security)
