"""The dialogs: a text with buttons, a choice, a line to type, a value to edit, work in progress.

Each has the focus on its first part that can have it, which is Textual's own habit.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

from textual import on
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Horizontal, Vertical, VerticalScroll
from textual.screen import ModalScreen
from textual.widgets import Button, Input, Label, OptionList, RichLog, Select, Static, TextArea
from textual.widgets.option_list import Option

from p2vprep.console.words import from_input, to_input
from p2vprep.core.printable import paragraphs, printable
from p2vprep.core.values import Data, RegType, type_name
from p2vprep.errors import DocumentError, P2vprepError

CANCEL = Binding("escape", "cancel", "Back")


class Dialog(ModalScreen[str]):
    """A text with buttons. Its answer is the pressed button's id; the empty one for Escape."""

    BINDINGS: ClassVar[list[BindingType]] = [
        CANCEL,
        Binding("left,up", "app.focus_previous", show=False),
        Binding("right,down", "app.focus_next", show=False),
    ]

    def __init__(self, title: str, text: str, buttons: Sequence[tuple[str, str]] = (("ok", "OK"),)) -> None:
        """``buttons`` are (id, label); the first one has the focus."""
        super().__init__()
        self._title = title
        self._text = text
        self._buttons = buttons

    def compose(self) -> ComposeResult:
        with Vertical(classes="dialog"):
            yield Label(self._title, classes="dialog-title", markup=False)
            with VerticalScroll(classes="dialog-text", can_focus=False):
                yield Static(self._text, markup=False)
            with Horizontal(classes="buttons"):
                for name, label in self._buttons:
                    yield Button(label, id=name, compact=True)

    @on(Button.Pressed)
    def pressed(self, event: Button.Pressed) -> None:
        self.dismiss(event.button.id or "")

    def action_cancel(self) -> None:
        self.dismiss("")


def of_error(problem: P2vprepError) -> Dialog:
    """An error: what happened, what was left changed, what to do next."""
    lines = [paragraphs(problem.message)]
    if problem.subject and problem.subject not in problem.message:
        lines.insert(0, printable(problem.subject))
    lines += [f"  {printable(detail)}" for detail in problem.details]
    lines += [paragraphs(problem.changed)] if problem.changed else []
    lines += [f"next: {paragraphs(problem.hint)}"] if problem.hint else []
    return Dialog(f"Error: {problem.code}", "\n".join(lines))


class Choice(ModalScreen[str]):
    """A text and a list to choose from. Its answer is the chosen one; empty for Escape."""

    BINDINGS: ClassVar[list[BindingType]] = [CANCEL]

    def __init__(self, title: str, text: str, choices: Sequence[str], chosen: str) -> None:
        super().__init__()
        self._title = title
        self._text = text
        self._choices = tuple(choices)
        self._chosen = chosen

    def compose(self) -> ComposeResult:
        options = [
            Option(f"{'(o)' if name == self._chosen else '( )'} {name}", id=name) for name in self._choices
        ]
        with Vertical(classes="dialog"):
            yield Label(self._title, classes="dialog-title", markup=False)
            with VerticalScroll(classes="dialog-text", can_focus=False):
                yield Static(self._text, markup=False)
            yield OptionList(*options, id="choices", markup=False, compact=True)
            yield Label("Enter chooses, Escape goes back", classes="hint")

    def on_mount(self) -> None:
        for choices in self.query(OptionList):
            if self._chosen in self._choices:
                choices.highlighted = self._choices.index(self._chosen)

    @on(OptionList.OptionSelected)
    def selected(self, event: OptionList.OptionSelected) -> None:
        self.dismiss(event.option.id or "")

    def action_cancel(self) -> None:
        self.dismiss("")


class Line(ModalScreen[str]):
    """A line to type. Its answer is the text; empty for Escape."""

    BINDINGS: ClassVar[list[BindingType]] = [CANCEL]

    def __init__(self, title: str, text: str, start: str = "") -> None:
        super().__init__()
        self._title = title
        self._text = text
        self._start = start

    def compose(self) -> ComposeResult:
        with Vertical(classes="dialog"):
            yield Label(self._title, classes="dialog-title", markup=False)
            yield Static(self._text, markup=False)
            yield Input(self._start, id="line", compact=True)
            yield Label("Enter takes it, Escape goes back", classes="hint")

    @on(Input.Submitted)
    def submitted(self, event: Input.Submitted) -> None:
        self.dismiss(event.value)

    def action_cancel(self) -> None:
        self.dismiss("")


@dataclass(frozen=True)
class TypedValue:
    """A registry value as somebody typed it."""

    name: str
    data: Data


NEW_TYPES = (
    RegType.SZ,
    RegType.DWORD,
    RegType.EXPAND_SZ,
    RegType.MULTI_SZ,
    RegType.QWORD,
    RegType.BINARY,
)


class ValueEditor(ModalScreen[TypedValue | None]):
    """A registry value: its name and type where it is new, its data. None for Escape."""

    BINDINGS: ClassVar[list[BindingType]] = [CANCEL, Binding("ctrl+s", "save", "Keep", priority=True)]

    def __init__(self, key: str, name: str | None, data: Data | None) -> None:
        """``name`` None asks for a new value's name."""
        super().__init__()
        self._key = key
        self._name = name
        self._data = data

    def compose(self) -> ComposeResult:
        title = "New value" if self._name is None else f"Value {printable(self._name) or '(default)'}"
        with Vertical(classes="dialog"):
            yield Label(title, classes="dialog-title", markup=False)
            yield Static(printable(self._key), markup=False)
            if self._name is None:
                yield Input(placeholder="name, empty for (default)", id="name", compact=True)
            if self._data is None:
                kinds = [(type_name(kind), int(kind)) for kind in NEW_TYPES]
                yield Select(kinds, value=int(RegType.SZ), allow_blank=False, id="type", compact=True)
            else:
                yield Label(f"{type_name(self._data.type)}; {_how(self._data.type)}", markup=False)
            yield TextArea("" if self._data is None else to_input(self._data), id="data", compact=True)
            yield Label("", id="fault", markup=False)
            with Horizontal(classes="buttons"):
                yield Button("Keep (^S)", id="keep", compact=True)
                yield Button("Back (Esc)", id="back", compact=True)

    @on(Button.Pressed, "#keep")
    def action_save(self) -> None:
        name = self._name if self._name is not None else self.query_one("#name", Input).value
        try:
            data = from_input(self._kind(), self.query_one("#data", TextArea).text)
        except DocumentError as problem:
            self.query_one("#fault", Label).update(f"! {printable(problem.message)}")
            return
        self.dismiss(TypedValue(name, data))

    @on(Button.Pressed, "#back")
    def action_cancel(self) -> None:
        self.dismiss(None)

    def _kind(self) -> int:
        if self._data is not None:
            return self._data.type
        chosen = self.query_one("#type", Select).value
        assert isinstance(chosen, int)
        return chosen


def _how(kind: int) -> str:
    if kind in (RegType.DWORD, RegType.QWORD, RegType.DWORD_BIG_ENDIAN):
        return "a number, decimal or with 0x"
    if kind in (RegType.SZ, RegType.EXPAND_SZ):
        return "a text"
    return "a text in each line" if kind == RegType.MULTI_SZ else "bytes in hex"


class Working(ModalScreen[None]):
    """Work that must not be cut off: its steps as they are done. The console takes it away."""

    def __init__(self, title: str) -> None:
        super().__init__()
        self._title = title

    def compose(self) -> ComposeResult:
        with Vertical(classes="dialog"):
            yield Label(self._title, classes="dialog-title", markup=False)
            yield RichLog(id="steps", wrap=True, markup=False, highlight=False)

    def tell(self, line: str) -> None:
        """One more line."""
        self.query_one("#steps", RichLog).write(line)


class Page(ModalScreen[str]):
    """A long text to scroll through, with buttons below. Its answer is as a Dialog's."""

    BINDINGS: ClassVar[list[BindingType]] = [CANCEL]

    def __init__(self, title: str, lines: Sequence[str], buttons: Sequence[tuple[str, str]]) -> None:
        super().__init__()
        self._title = title
        self._lines = lines
        self._buttons = buttons

    def compose(self) -> ComposeResult:
        with Vertical(classes="page"):
            yield Label(self._title, classes="dialog-title", markup=False)
            with VerticalScroll(classes="page-text", id="page-text"):
                yield Static("\n".join(self._lines), markup=False)
            with Horizontal(classes="buttons"):
                for name, label in self._buttons:
                    yield Button(label, id=name, compact=True)

    @on(Button.Pressed)
    def pressed(self, event: Button.Pressed) -> None:
        self.dismiss(event.button.id or "")

    def action_cancel(self) -> None:
        self.dismiss("")
