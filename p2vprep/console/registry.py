"""The registry: a tree that is read as it is opened, the values of a key, search, edits."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from rich.text import Text
from textual import on
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Horizontal, Vertical
from textual.widgets import DataTable, Label, Tree
from textual.widgets.tree import TreeNode

from p2vprep.console.collected import Entry, value_after
from p2vprep.console.desk import Desk
from p2vprep.console.ports import HiveName
from p2vprep.console.screens import Dialog, Line, ValueEditor
from p2vprep.console.search import Hit, Search
from p2vprep.console.words import ABSENT, shown, value_name
from p2vprep.core.hand import places
from p2vprep.core.hand.making import key_deletion, key_edits, value_deletion, value_edits
from p2vprep.core.model import SetValue
from p2vprep.core.printable import printable
from p2vprep.core.registry import Hive, find, fold, join, split
from p2vprep.core.values import Data, type_name
from p2vprep.errors import RefusedError, UsageError

PAGE = 300
"""Keys that are put into the tree at once; a line stands for those that follow."""


@dataclass
class Place:
    """What a line of the tree stands for: a key, or (``more``) the keys that are not shown yet."""

    hive: str
    key: str
    more: bool = False
    loaded: bool = False


@dataclass(frozen=True)
class Row:
    """One value as it is shown; ``data`` is what it holds now, ``after`` what it shall hold."""

    name: str
    data: Data | None
    asked: bool
    after: Data | None


class Registry(Vertical):
    """Every hive of the machine as one tree."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("slash", "find", "Find"),
        Binding("f", "find_next", "Next", show=False),
        Binding("n", "new", "New value"),
        Binding("m", "make_key", "New key", show=False),
        Binding("d", "delete", "Delete"),
        Binding("escape", "stop", "Stop", show=False),
    ]

    def __init__(self, desk: Desk) -> None:
        super().__init__()
        self._desk = desk
        self._hives: dict[str, HiveName] = {}
        self._rows: tuple[Row, ...] = ()
        self._shown: Place | None = None
        self._search: Search | None = None
        self._searched = ""

    def compose(self) -> ComposeResult:
        yield Label("", id="key-path", markup=False)
        with Horizontal():
            tree: Tree[Place] = Tree("Registry", id="keys")
            tree.show_root = False
            tree.guide_depth = 2
            yield tree
            yield DataTable(cursor_type="row", cell_padding=0, id="values")

    def on_mount(self) -> None:
        for title, width in (("", 2), ("Value", 18), ("Type", 10), ("Data", None)):
            self._table.add_column(title, width=width)

    @property
    def _table(self) -> DataTable[Text]:
        found: DataTable[Text] = self.query_one("#values", DataTable)
        return found

    @property
    def _tree(self) -> Tree[Place]:
        found: Tree[Place] = self.query_one("#keys", Tree)
        return found

    def focus_table(self) -> None:
        self._tree.focus()

    # --- the tree

    def load(self, hives: tuple[HiveName, ...]) -> None:
        """Takes the hives over; nothing of them is read yet."""
        at = self._shown
        self._hives = {one.name: one for one in hives}
        self._search = None
        self._tree.clear()
        for one in hives:
            label = one.name if one.writable else f"{one.name} (read only)"
            self._tree.root.add(Text(label), Place(one.name, ""))
        self._tree.root.expand()
        if at is not None and at.hive in self._hives:
            self.reveal(at.hive, at.key)

    def refresh_rows(self) -> None:
        """Shows the values again, with what was collected."""
        place = self._shown
        if place is not None:
            self._desk.begin(lambda: self._show_values(place), "values")

    def reveal(self, hive: str, key: str, value: str | None = None) -> None:
        """Opens the tree down to a key, and puts the cursor on a value."""
        self._desk.begin(lambda: self._reveal(hive, key, value), "reveal")

    @on(Tree.NodeExpanded)
    def expanded(self, event: Tree.NodeExpanded[Place]) -> None:
        node = event.node
        if node.data is not None and not node.data.loaded:
            self._desk.begin(lambda: self._fill(node), f"fill {node.id}")

    @on(Tree.NodeSelected)
    def chosen(self, event: Tree.NodeSelected[Place]) -> None:
        node, above = event.node, event.node.parent
        if node.data is not None and node.data.more and above is not None:
            self._desk.begin(lambda: self._fill(above), f"fill {above.id}")

    @on(Tree.NodeHighlighted)
    def highlighted(self, event: Tree.NodeHighlighted[Place]) -> None:
        place = event.node.data
        if place is not None and not place.more:
            self._desk.begin(lambda: self._show_values(place), "values")

    async def _fill(self, node: TreeNode[Place]) -> None:
        """Puts the next keys below a node."""
        place = node.data
        if place is None:
            return
        place.loaded = True
        children = list(node.children)
        if children and children[-1].data is not None and children[-1].data.more:
            children.pop().remove()
        known = len(children)

        def read(hive: Hive) -> tuple[list[tuple[str, bool]], int]:
            key = find(hive, place.key)
            names = sorted(key.subkeys(), key=lambda one: fold(one.name)) if key is not None else []
            wanted = names[known : known + PAGE]
            return [(one.name, next(iter(one.subkeys()), None) is not None) for one in wanted], len(names)

        try:
            names, total = await self._desk.ask(lambda machine: read(machine.hive(place.hive)))
        except BaseException:
            place.loaded = False
            raise
        for name, opens in names:
            below = Place(place.hive, join(place.key, name))
            node.add(Text(self._label(below, name)), below, allow_expand=opens)
        if known + len(names) < total:
            left = total - known - len(names)
            node.add_leaf(Text(f"… {left} more (Enter)"), Place(place.hive, place.key, more=True))

    def _label(self, place: Place, name: str) -> str:
        facts = self._desk.facts
        boots = facts is not None and place.hive == "SYSTEM" and fold(place.key) == fold(facts.boot_set)
        return printable(name) + (" (boots next)" if boots else "")

    async def _reveal(self, hive: str, key: str, value: str | None) -> None:
        tops = (node for node in self._tree.root.children if node.data and node.data.hive == hive)
        node = next(tops, None)
        if node is None:
            return
        for name in split(key):
            child = await self._child(node, name)
            if child is None:
                break
            node.expand()
            node = child
        if self._tree.last_line >= 0:  # asking for it lays the opened lines out
            self._tree.move_cursor(node)
            self._tree.call_after_refresh(self._tree.scroll_to_node, node)
        if node.data is not None:
            await self._show_values(node.data, value)

    async def _child(self, node: TreeNode[Place], name: str) -> TreeNode[Place] | None:
        """The child of this name, loaded where it is not there yet."""
        while True:
            if node.data is not None and not node.data.loaded:
                await self._fill(node)
            for child in node.children:
                place = child.data
                if place is not None and not place.more and fold(split(place.key)[-1]) == fold(name):
                    return child
            last = node.children[-1].data if node.children else None
            if last is None or not last.more:
                return None
            await self._fill(node)

    # --- values

    async def _show_values(self, place: Place, cursor: str | None = None) -> None:
        def read(hive: Hive) -> list[tuple[str, Data]]:
            key = find(hive, place.key)
            return [] if key is None else sorted(key.values(), key=lambda held: fold(held[0]))

        values = await self._desk.ask(lambda machine: read(machine.hive(place.hive)))
        self._shown = place
        self._rows = tuple(self._with_asked(place, values))
        gone = self._desk.collection.deletes(place.hive, place.key)
        path = f"{place.hive}\\{place.key}".rstrip("\\")
        self.query_one("#key-path", Label).update(printable(path) + ("  * to be deleted" if gone else ""))
        table = self._table
        row = table.cursor_row
        table.clear()
        for number, held in enumerate(self._rows):
            table.add_row(*_cells(held), key=str(number))
        names = [fold(held.name) for held in self._rows]
        if cursor is not None and fold(cursor) in names:
            table.move_cursor(row=names.index(fold(cursor)))
            table.focus()
        elif row < len(self._rows):
            table.move_cursor(row=row)

    def _with_asked(self, place: Place, values: list[tuple[str, Data]]) -> list[Row]:
        edits = list(self._desk.collection.value_edits(place.hive, place.key))
        there = {fold(name) for name, _ in values}
        rows = [Row(name, data, *value_after(iter(edits), name)) for name, data in values]
        new = [edit for edit in edits if isinstance(edit, SetValue) and fold(edit.name) not in there]
        return rows + [Row(edit.name, None, True, edit.data) for edit in new]

    @on(DataTable.RowSelected)
    def selected(self) -> None:
        row, place = self._current(), self._shown
        if row is not None and place is not None:
            self._desk.begin(lambda: self._edit(place, row), "change")

    def _current(self) -> Row | None:
        at = self._table.cursor_row
        return self._rows[at] if 0 <= at < len(self._rows) else None

    async def _edit(self, place: Place, row: Row) -> None:
        self._require_writable(place)
        start = row.after if row.asked and row.after is not None else row.data
        answer = await self._desk.show(ValueEditor(f"{place.hive}\\{place.key}", row.name, start))
        if answer is not None:
            self._collect_value(place, answer.name, row.data, answer.data)

    def action_new(self) -> None:
        place = self._shown
        if place is not None:
            self._desk.begin(lambda: self._new(place), "change")

    async def _new(self, place: Place) -> None:
        self._require_writable(place)
        answer = await self._desk.show(ValueEditor(f"{place.hive}\\{place.key}", None, None))
        if answer is None:
            return
        held = next((row.data for row in self._rows if fold(row.name) == fold(answer.name)), None)
        if held is not None:
            raise UsageError("there is a value of this name", code="value-exists", subject=answer.name)
        self._collect_value(place, answer.name, None, answer.data)

    def _collect_value(self, place: Place, name: str, before: Data | None, after: Data) -> None:
        subject = f"{place.hive}\\{place.key}\\{value_name(name)}"
        if before == after:
            self._desk.drop(subject)
            return
        edits = value_edits(_path(place), name, after)
        self._desk.collect(Entry(subject, f"{shown(before, 40)} → {shown(after, 40)}", edits))

    def action_delete(self) -> None:
        place = self._shown
        if place is None:
            return
        if self._table.has_focus:
            row = self._current()
            if row is not None:
                self._desk.begin(lambda: self._delete_value(place, row), "change")
        else:
            self._desk.begin(lambda: self._delete_key(place), "change")

    async def _delete_value(self, place: Place, row: Row) -> None:
        self._require_writable(place)
        subject = f"{place.hive}\\{place.key}\\{value_name(row.name)}"
        if row.data is None:
            self._desk.drop(subject)
            return
        edits = value_deletion(_path(place), row.name)
        self._desk.collect(Entry(subject, f"{shown(row.data, 40)} → {ABSENT}", edits))

    async def _delete_key(self, place: Place) -> None:
        self._require_writable(place)
        path = f"{place.hive}\\{place.key}"
        key_deletion(_path(place))  # what cannot be deleted is told before it is asked for
        text = f"{printable(path)}\nand all below it shall be deleted. Nothing happens before you apply."
        buttons = (("no", "Keep it"), ("yes", "Delete"))
        if await self._desk.show(Dialog("Delete a key", text, buttons)) == "yes":
            self._desk.collect(Entry(path, "deleted with all below it", key_deletion(_path(place))))

    def action_make_key(self) -> None:
        place = self._shown
        if place is not None:
            self._desk.begin(lambda: self._make_key(place), "change")

    async def _make_key(self, place: Place) -> None:
        self._require_writable(place)
        path = f"{place.hive}\\{place.key}".rstrip("\\")
        name = await self._desk.show(Line("New key", f"Its name, below {printable(path)}:"))
        if name:
            key = join(place.key, name)
            edits = key_edits(places.shown(place.hive, key))
            self._desk.collect(Entry(f"{place.hive}\\{key}", "made", edits))

    def _require_writable(self, place: Place) -> None:
        if not self._hives[place.hive].writable:
            raise RefusedError(
                f"{place.hive} is shown and never changed", code="hive-read-only", subject=place.hive
            )

    # --- search

    def action_find(self) -> None:
        self._desk.begin(lambda: self._ask_and_find(), "find")

    def action_find_next(self) -> None:
        if self._searched:
            self._desk.begin(lambda: self._find(), "find")
        else:
            self.action_find()

    def action_stop(self) -> None:
        self._desk.begin(_nothing, "find")
        self.query_one("#key-path", Label).update("search stopped")

    async def _ask_and_find(self) -> None:
        place = self._place()
        start = printable(place.key) or "its root"
        text = f"In {place.hive}, from {start} on: names of keys and values, texts, numbers."
        answer = await self._desk.show(Line("Find", text, self._searched))
        if answer:
            self._searched = answer
            self._search = None
            await self._find()

    async def _find(self) -> None:
        place = self._place()
        search = self._search
        if search is None:
            wanted = self._searched
            search = await self._desk.ask(lambda machine: Search(machine.hive(place.hive), wanted, place.key))
            self._search = search
            self._search_hive = place.hive
        hit: Hit | None = None
        label = self.query_one("#key-path", Label)
        while hit is None and not search.ended:
            hit = await self._desk.ask(lambda _machine: search.next())
            label.update(f"searching for {printable(search.wanted)}: {search.keys:,} keys, Escape stops")
        if hit is None:
            self._search = None
            label.update(f"{printable(search.wanted)}: nothing more in {self._search_hive}")
            return
        await self._reveal(self._search_hive, hit.key, hit.value)

    def _place(self) -> Place:
        return self._shown or Place(next(iter(self._hives), "SYSTEM"), "")


def _path(place: Place) -> str:
    """The key as the Registry Editor would write it."""
    return places.shown(place.hive, place.key)


async def _nothing() -> None:
    """Takes the place of a search that shall end."""


def _cells(row: Row) -> tuple[Text, ...]:
    told = shown(row.data)
    if row.asked:
        told = f"{shown(row.data, 40)} → {shown(row.after, 40)}"
    held = row.after if row.data is None else row.data
    kind = "" if held is None else type_name(held.type).removeprefix("REG_")
    cells = ("*" if row.asked else "", value_name(row.name), kind, told)
    return tuple(Text(cell, no_wrap=True, overflow="ellipsis") for cell in cells)
