"""Network adapters of the machine, with their addresses and what became of them."""

from __future__ import annotations

from collections.abc import Iterable
from typing import ClassVar

from rich.text import Text
from textual import on
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical
from textual.widgets import DataTable

from p2vprep.console.desk import Desk
from p2vprep.console.screens import Dialog
from p2vprep.console.words import adapter_addresses, adapter_details
from p2vprep.core.model import Adapter, ControlSet
from p2vprep.core.printable import printable


class Adapters(Vertical):
    """The adapters of the control set that boots next; those that matter for addresses first."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("enter", "details", "Details"),
        Binding("k", "key", "Key"),
    ]

    def __init__(self, desk: Desk) -> None:
        super().__init__()
        self._desk = desk
        self._held: tuple[Adapter, ...] = ()
        self._interfaces: dict[str, str] = {}

    def compose(self) -> ComposeResult:
        yield DataTable(cursor_type="row", cell_padding=0)

    def on_mount(self) -> None:
        for title, width in (("Adapter", 24), ("Kind", 9), ("Ghost", 6), ("MAC", 18), ("Addresses", None)):
            self._table.add_column(title, width=width)

    @property
    def _table(self) -> DataTable[Text]:
        found: DataTable[Text] = self.query_one(DataTable)
        return found

    def load(self, found: ControlSet) -> None:
        """Takes a control set's adapters over."""
        self._held = tuple(sorted(found.adapters, key=_plumbing))
        self._interfaces = {one.guid.upper(): one.key for one in found.interfaces}
        self._table.clear()
        for number, adapter in enumerate(self._held):
            self._table.add_row(*_cells(adapter), key=str(number))

    def focus_table(self) -> None:
        self._table.focus()

    @on(DataTable.RowSelected)
    def selected(self) -> None:
        self.action_details()

    def action_details(self) -> None:
        if self._held:
            self._desk.begin(lambda: self._details(self._held[self._table.cursor_row]), "change")

    def action_key(self) -> None:
        if self._held:
            self._to_key(self._held[self._table.cursor_row])

    async def _details(self, adapter: Adapter) -> None:
        text = "\n".join(printable(line) for line in adapter_details(adapter))
        buttons = (("ok", "Back"), ("key", "Show its addresses in the registry"))
        if await self._desk.show(Dialog(f"Adapter {printable(adapter.name)}", text, buttons)) == "key":
            self._to_key(adapter)

    def _to_key(self, adapter: Adapter) -> None:
        key = self._interfaces.get(adapter.guid.upper())
        if key is None:
            self._desk.tell("This adapter has no key below Tcpip\\Parameters\\Interfaces.")
        else:
            self._desk.go_to_key("SYSTEM", key)


def _plumbing(adapter: Adapter) -> tuple[bool, str]:
    """Sorts what carries addresses before what only Windows needs."""
    matters = bool(adapter.addresses or adapter.lease) or adapter.kind in ("physical", "team", "virtual")
    return (not matters, adapter.name)


def _cells(adapter: Adapter) -> Iterable[Text]:
    ghost = {True: "yes", False: "no", None: "?"}[adapter.ghost]
    name = adapter.name or adapter.description or "(no name)"
    for cell in (name, adapter.kind, ghost, adapter.mac or "-", adapter_addresses(adapter)):
        yield Text(printable(cell), no_wrap=True, overflow="ellipsis")
