"""Services and drivers: a list to filter, a start type to choose."""

from __future__ import annotations

from collections.abc import Iterable
from typing import ClassVar, Literal

from rich.text import Text
from textual import on
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical
from textual.widgets import DataTable, Input

from p2vprep.console.collected import Entry
from p2vprep.console.desk import Desk
from p2vprep.console.screens import Choice
from p2vprep.console.words import service_details, start_choice
from p2vprep.core.hand.listing import Row
from p2vprep.core.hand.making import DRIVER_WORDS, SERVICE_WORDS, service_edits
from p2vprep.core.model import Service
from p2vprep.core.printable import printable
from p2vprep.core.registry import fold


class Services(Vertical):
    """The services, or the drivers, of the control set that boots next."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("slash", "filter", "Filter"),
        Binding("t", "third_party", "Others"),
        Binding("enter", "choose", "Start type"),
        Binding("x", "disable", "Disable"),
        Binding("k", "key", "Key"),
    ]

    def __init__(self, desk: Desk, kind: Literal["service", "driver"]) -> None:
        super().__init__()
        self._desk = desk
        self._kind = kind
        self._held: dict[str, Row] = {}
        self._third_party = False

    def compose(self) -> ComposeResult:
        yield Input(placeholder="filter: part of a name, or a start type", compact=True, classes="filter")
        yield DataTable(cursor_type="row", cell_padding=0)

    def on_mount(self) -> None:
        self._table.add_column("", width=2, key="mark")
        for title, width in (("Name", 21), ("Start", 19), ("Whose", 10), ("Shown as", None)):
            self._table.add_column(title, width=width)

    @property
    def _table(self) -> DataTable[Text]:
        found: DataTable[Text] = self.query_one(DataTable)
        return found

    def load(self, rows: Iterable[Row]) -> None:
        """Takes the services over; instances of per-user services are left out."""
        found = [row for row in rows if row.service.kind == self._kind and not row.service.instance]
        self._held = {row.service.name: row for row in sorted(found, key=lambda row: fold(row.service.name))}
        self.refresh_rows()

    def refresh_rows(self) -> None:
        """Fills the table anew, the cursor staying on its service where that is shown."""
        table = self._table
        at = self._current()
        table.clear()
        wanted = fold(self.query_one(Input).value.strip())
        names = [name for name, row in self._held.items() if self._fits(row, wanted)]
        for name in names:
            table.add_row(*self._row(self._held[name]), key=name)
        if at is not None and at.service.name in names:
            table.move_cursor(row=names.index(at.service.name))

    def focus_table(self) -> None:
        self._table.focus()

    def _fits(self, row: Row, wanted: str) -> bool:
        if self._third_party and row.in_box:
            return False
        told = (row.service.name, row.shown_name, row.service.start_name, row.vendor)
        return not wanted or any(wanted in fold(text) for text in told)

    def _row(self, row: Row) -> tuple[Text, ...]:
        asked = self._desk.collection.about(self._subject(row.service))
        start = row.service.start_name if asked is None else asked.movement
        whose = "Windows" if row.in_box else row.vendor or "?"
        cells = ("*" if asked else "", row.service.name, start, whose, row.shown_name)
        return tuple(Text(printable(cell), no_wrap=True, overflow="ellipsis") for cell in cells)

    def _subject(self, service: Service) -> str:
        return f"{self._kind} {service.name}"

    def _current(self) -> Row | None:
        table = self._table
        if not table.row_count:
            return None
        key = table.coordinate_to_cell_key(table.cursor_coordinate).row_key.value
        return self._held.get(key or "")

    @on(Input.Changed)
    def filtered(self) -> None:
        self.refresh_rows()

    @on(Input.Submitted)
    def filter_done(self) -> None:
        self.focus_table()

    @on(DataTable.RowSelected)
    def selected(self) -> None:
        self.action_choose()

    def action_filter(self) -> None:
        self.query_one(Input).focus()

    def action_third_party(self) -> None:
        self._third_party = not self._third_party
        self.refresh_rows()
        self._desk.tell(
            "Shown: what Windows does not bring itself" if self._third_party else "Shown: everything"
        )

    def action_choose(self) -> None:
        row = self._current()
        if row is not None:
            self._desk.begin(lambda: self._choose(row), "change")

    def action_disable(self) -> None:
        row = self._current()
        if row is not None:
            self._desk.begin(lambda: self._change(row.service, "disabled"), "change")

    def action_key(self) -> None:
        row = self._current()
        if row is not None:
            self._desk.go_to_key("SYSTEM", row.service.key)

    async def _choose(self, row: Row) -> None:
        service = row.service
        choices = SERVICE_WORDS if self._kind == "service" else DRIVER_WORDS
        lines = "\n".join(printable(line) for line in service_details(row))
        title = f"{self._kind.capitalize()} {printable(service.name)}"
        answer = await self._desk.show(Choice(title, lines, choices, start_choice(service)))
        if answer:
            await self._change(service, answer)

    async def _change(self, service: Service, start: str) -> None:
        subject = self._subject(service)
        now = start_choice(service)
        if start == now:
            self._desk.drop(subject)
            return
        self._desk.collect(Entry(subject, f"{now} → {start}", service_edits(service.name, start)))
