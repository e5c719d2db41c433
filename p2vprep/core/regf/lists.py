"""Subkey lists of a hive that is being changed: find, insert, remove.

A key's list is one leaf (``lh``, ``lf``, ``li``) or an index (``ri``) of leaves.
Names stand in the order of their upcased UTF-16 units; Windows searches them by
halving, so an entry out of order is lost to it. The list kind that is there is kept.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterator
from dataclasses import dataclass

from p2vprep.core.regf import records
from p2vprep.core.regf.baseblock import SIZE
from p2vprep.core.regf.cells import NO_CELL, Cells
from p2vprep.core.regf.reader import COMPRESSED_KEY_NAME, damaged, decoded
from p2vprep.core.registry import fold, split
from p2vprep.errors import RefusedError

_MOST_ENTRIES = 0xFFFF


@dataclass(frozen=True)
class Leaf:
    """A list of subkeys, and its place: the index's cell and position, or None below the key itself."""

    cell: int
    kind: bytes
    subkeys: tuple[int, ...]
    index: tuple[int, int] | None


def key_name(cells: Cells, key: int) -> str:
    """The name of the key at a cell."""
    length = cells.u16(key, records.KEY_NAME_LENGTH)
    compressed = bool(cells.u16(key, records.KEY_FLAGS) & COMPRESSED_KEY_NAME)
    if cells.read(key, 0, 2) != b"nk":
        damaged("", "a subkey list names something that is not a key", SIZE + key)
    raw = cells.read(key, records.KEY_NAME, length)
    return decoded(raw, 0, length, compressed, "", SIZE + key)


def leaves(cells: Cells, key: int) -> Iterator[Leaf]:
    """The leaves of a key's subkey list, empty ones too."""
    if not cells.u32(key, records.KEY_SUBKEYS):
        return
    top = cells.u32(key, records.KEY_SUBKEY_LIST)
    kind, entries = _entries(cells, top)
    if kind != b"ri":
        yield Leaf(top, kind, tuple(entries), None)
        return
    for position, cell in enumerate(entries):
        kind, entries = _entries(cells, cell)
        if kind == b"ri":
            damaged("", "an index of subkey lists lies below another", SIZE + cell)
        yield Leaf(cell, kind, tuple(entries), (top, position))


def _entries(cells: Cells, cell: int) -> tuple[bytes, list[int]]:
    kind = cells.read(cell, 0, 2)
    width = records.ENTRY_WORDS.get(kind)
    if width is None:
        damaged("", f"a subkey list has the unknown signature {kind!r}", SIZE + cell)
    count = cells.u16(cell, records.LIST_COUNT)
    return kind, cells.words(cell, records.LIST_ENTRIES, width * count)[::width]


def subkeys(cells: Cells, key: int) -> Iterator[int]:
    """The cells of a key's subkeys in the hive's order."""
    for leaf in leaves(cells, key):
        yield from leaf.subkeys


def find(cells: Cells, path: str) -> int | None:
    """The cell of the key at a path, or None."""
    key: int | None = cells.block.root
    for name in split(path):
        if key is None:
            return None
        folded = fold(name)
        key = next((child for child in subkeys(cells, key) if fold(key_name(cells, child)) == folded), None)
    return key


# --- inserting and removing --------------------------------------------------------------------


def insert(cells: Cells, parent: int, child: int, new_kind: bytes) -> None:
    """Enters a key into its parent's list where its name belongs, and counts it.

    A parent without subkeys gets a new list of ``new_kind``.
    """
    name = key_name(cells, child)
    leaf, position = _place(cells, parent, name)
    if leaf is None:
        words = records.entry_words(new_kind, name, child)
        cells.put32(parent, records.KEY_SUBKEY_LIST, _new_list(cells, new_kind, words))
    else:
        words = records.entry_words(leaf.kind, name, child)
        _insert_into(cells, parent, leaf, position, words)
    cells.put32(parent, records.KEY_SUBKEYS, cells.u32(parent, records.KEY_SUBKEYS) + 1)
    longest = max(cells.u16(parent, records.KEY_LONGEST_SUBKEY_NAME), records.utf16_length(name))
    cells.put16(parent, records.KEY_LONGEST_SUBKEY_NAME, longest)


def _place(cells: Cells, parent: int, name: str) -> tuple[Leaf | None, int]:
    """The leaf and the position in it where a name belongs; no leaf where there is none."""
    wanted = records.order(name)
    found: Leaf | None = None
    position = 0
    for leaf in leaves(cells, parent):
        if not leaf.subkeys:
            continue
        first = records.order(key_name(cells, leaf.subkeys[0]))
        if found is not None and wanted < first:
            break
        names = [records.order(key_name(cells, child)) for child in leaf.subkeys]
        found, position = leaf, bisect_right(names, wanted)
    return found, position


def _insert_into(cells: Cells, parent: int, leaf: Leaf, position: int, words: list[int]) -> None:
    width = records.ENTRY_WORDS[leaf.kind]
    count = len(leaf.subkeys)
    if count >= _MOST_ENTRIES:
        raise RefusedError("a subkey list is full", code="key-limit", subject=key_name(cells, parent))
    held = cells.words(leaf.cell, records.LIST_ENTRIES, width * count)
    held[position * width : position * width] = words
    if records.LIST_ENTRIES + 4 * len(held) <= cells.capacity(leaf.cell):
        cells.put_words(leaf.cell, records.LIST_ENTRIES, held)
        cells.put16(leaf.cell, records.LIST_COUNT, count + 1)
        return
    moved = _new_list(cells, leaf.kind, held)
    if leaf.index is None:
        cells.put32(parent, records.KEY_SUBKEY_LIST, moved)
    else:
        index, place = leaf.index
        cells.put32(index, records.LIST_ENTRIES + 4 * place, moved)
    cells.free(leaf.cell)


def _new_list(cells: Cells, kind: bytes, words: list[int]) -> int:
    count = len(words) // records.ENTRY_WORDS[kind]
    cell = cells.allocate(kind + count.to_bytes(2, "little"), records.LIST_ENTRIES + 4 * len(words))
    cells.put_words(cell, records.LIST_ENTRIES, words)
    return cell


def remove(cells: Cells, parent: int, child: int) -> None:
    """Takes a key out of its parent's list. No empty list is left behind, nor below an index."""
    for leaf in leaves(cells, parent):
        if child in leaf.subkeys:
            break
    else:
        damaged("", "a key is not in its parent's list", SIZE + child)
    cells.put32(parent, records.KEY_SUBKEYS, cells.u32(parent, records.KEY_SUBKEYS) - 1)
    if len(leaf.subkeys) > 1:
        _shift_out(cells, leaf.cell, leaf.subkeys.index(child))
        return
    cells.free(leaf.cell)
    if leaf.index is not None:
        index, place = leaf.index
        if cells.u16(index, records.LIST_COUNT) > 1:
            _shift_out(cells, index, place)
            return
        cells.free(index)
    cells.put32(parent, records.KEY_SUBKEY_LIST, NO_CELL)


def _shift_out(cells: Cells, cell: int, position: int) -> None:
    width = records.ENTRY_WORDS[cells.read(cell, 0, 2)]
    count = cells.u16(cell, records.LIST_COUNT)
    words = cells.words(cell, records.LIST_ENTRIES, width * count)
    del words[position * width : (position + 1) * width]
    cells.put_words(cell, records.LIST_ENTRIES, words)
    cells.put16(cell, records.LIST_COUNT, count - 1)


def list_cells(cells: Cells, key: int) -> list[int]:
    """The cells that hold a key's subkey list; none where it has no subkeys.

    Such a key may keep an emptied list (hivex leaves it) or a number that means
    nothing any more, and the two cannot be told apart: it is not followed.
    """
    if not cells.u32(key, records.KEY_SUBKEYS):
        return []
    top = cells.u32(key, records.KEY_SUBKEY_LIST)
    kind, entries = _entries(cells, top)
    return [top, *entries] if kind == b"ri" else [top]
