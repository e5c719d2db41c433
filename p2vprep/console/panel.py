"""The collected edits, always in sight: at the side, or below where the terminal is narrow."""

from __future__ import annotations

from typing import ClassVar

from rich.text import Text
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical
from textual.message import Message
from textual.widgets import Label, OptionList
from textual.widgets.option_list import Option

from p2vprep.console.collected import NOTHING, Collection
from p2vprep.core.printable import printable


class Panel(Vertical):
    """What was collected, newest last."""

    BINDINGS: ClassVar[list[BindingType]] = [Binding("d,delete", "take_out", "Take out")]

    class TakenOut(Message):
        """Somebody takes an entry out, by its place."""

        def __init__(self, number: int) -> None:
            super().__init__()
            self.number = number

    def __init__(self) -> None:
        super().__init__(id="panel")
        self._collection = NOTHING

    def compose(self) -> ComposeResult:
        yield Label("", id="panel-title", markup=False)
        yield OptionList(id="collected", markup=False, compact=True)

    def on_mount(self) -> None:
        self.load(NOTHING)

    def load(self, collection: Collection) -> None:
        """Shows a collection, its newest entry in sight."""
        self._collection = collection
        count = len(collection)
        title = f"Collected: {count}" + (" (a reviews, applies)" if count else ": nothing changes")
        self.query_one("#panel-title", Label).update(title)
        entries = self.query_one("#collected", OptionList)
        entries.clear_options()
        for entry in collection.entries:
            entries.add_option(Option(Text(printable(f"* {entry.subject}: {entry.movement}"))))
        if count:
            entries.highlighted = count - 1

    def action_take_out(self) -> None:
        at = self.query_one("#collected", OptionList).highlighted
        if at is not None and at < len(self._collection):
            self.post_message(self.TakenOut(at))
