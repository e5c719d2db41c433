"""The files of the Windows volume: folders to walk through, files to look at, take out, put in, delete."""

from __future__ import annotations

from pathlib import Path
from typing import ClassVar

from rich.text import Text
from textual import on
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical
from textual.widgets import DataTable, Label

from p2vprep.console.collected import Entry
from p2vprep.console.desk import Desk
from p2vprep.console.hosts import LARGEST, LARGEST_OUT, read_host_file, write_host_file
from p2vprep.console.ports import FolderEntry
from p2vprep.console.screens import Line, Page
from p2vprep.core.hand.making import RULE, WHY, file_edits, guest_path
from p2vprep.core.model import DeleteFile
from p2vprep.core.printable import printable

SHOWN = 64 << 10
"""So much of a file is shown (bytes)."""
LOOKED_AT = 8 << 20
"""A larger file is not looked at; it can be taken out (bytes)."""


class Files(Vertical):
    """One folder at a time."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("enter", "enter", "Open"),
        Binding("backspace", "up", "Up"),
        Binding("g", "get", "Get"),
        Binding("p", "put", "Put"),
        Binding("d", "delete", "Delete"),
    ]

    def __init__(self, desk: Desk) -> None:
        super().__init__()
        self._desk = desk
        self._path = "/"
        self._held: tuple[FolderEntry, ...] = ()

    def compose(self) -> ComposeResult:
        yield Label("/", id="folder", markup=False)
        yield DataTable(cursor_type="row", cell_padding=0)

    def on_mount(self) -> None:
        for title, width in (("", 2), ("Name", 48), ("Size", None)):
            self._table.add_column(title, width=width)

    @property
    def _table(self) -> DataTable[Text]:
        found: DataTable[Text] = self.query_one(DataTable)
        return found

    def load(self) -> None:
        """Shows the folder again, or for the first time."""
        self._desk.begin(lambda: self._go(self._path), "files")

    def focus_table(self) -> None:
        self._table.focus()

    def refresh_rows(self) -> None:
        """Fills the table anew, with marks for what was collected."""
        table = self._table
        row = table.cursor_row
        table.clear()
        asked = {entry.subject for entry in self._desk.collection.entries}
        for number, entry in enumerate(self._held):
            mark = "*" if _subject(self._below(entry.name)) in asked else ""
            name = entry.name + ("/" if entry.kind == "folder" else "")
            size = f"{entry.size:,}" if entry.kind == "file" else ""
            table.add_row(
                *(Text(printable(cell), no_wrap=True) for cell in (mark, name, size)), key=str(number)
            )
        if row < len(self._held):
            table.move_cursor(row=row)

    async def _go(self, path: str, cursor: str | None = None) -> None:
        self._held = await self._desk.ask(lambda machine: machine.folder(path))
        self._path = path
        self.query_one("#folder", Label).update(printable(path))
        self._table.move_cursor(row=0)
        self.refresh_rows()
        names = [entry.name for entry in self._held]
        if cursor in names:
            self._table.move_cursor(row=names.index(cursor))

    def _current(self) -> FolderEntry | None:
        row = self._table.cursor_row
        return self._held[row] if 0 <= row < len(self._held) else None

    def _below(self, name: str) -> str:
        return f"{self._path.rstrip('/')}/{name}"

    @on(DataTable.RowSelected)
    def selected(self) -> None:
        self.action_enter()

    def action_enter(self) -> None:
        entry = self._current()
        if entry is None:
            return
        path = self._below(entry.name)
        if entry.kind == "folder":
            self._desk.begin(lambda: self._go(path), "files")
        elif entry.kind == "file":
            self._desk.begin(lambda: self._look(path), "files")

    def action_up(self) -> None:
        above, _, name = self._path.rstrip("/").rpartition("/")
        self._desk.begin(lambda: self._go(above or "/", name), "files")

    def action_get(self) -> None:
        entry = self._current()
        if entry is not None and entry.kind == "file":
            self._desk.begin(lambda: self._get(entry), "change")

    def action_put(self) -> None:
        self._desk.begin(lambda: self._put(), "change")

    def action_delete(self) -> None:
        entry = self._current()
        if entry is None or entry.kind != "file":
            self._desk.tell("Only files can be deleted here, one by one.")
        else:
            self._desk.begin(lambda: self._delete(entry), "change")

    async def _delete(self, entry: FolderEntry) -> None:
        path = self._below(entry.name)
        edit = DeleteFile(guest_path(path, writing=True), RULE, WHY)
        self._desk.collect(Entry(_subject(path), f"{entry.size:,} bytes → absent", (edit,)))

    async def _look(self, path: str) -> None:
        content = await self._desk.ask(lambda machine: machine.read(path, LOOKED_AT))
        more = () if len(content) <= SHOWN else (f"… {len(content) - SHOWN:,} bytes more",)
        lines = (*as_lines(content[:SHOWN]), *more)
        await self._desk.show(Page(printable(path), lines, (("ok", "Back"),)))

    async def _get(self, entry: FolderEntry) -> None:
        path = self._below(entry.name)
        text = f"A new file of this host for {printable(path)}:"
        answer = await self._desk.show(Line("Take a file out", text, str(Path.cwd() / entry.name)))
        if answer:
            content = await self._desk.ask(lambda machine: machine.read(path, LARGEST_OUT))
            write_host_file(Path(answer), content)
            self._desk.tell(f"{len(content):,} bytes written to {answer}")

    async def _put(self) -> None:
        answer = await self._desk.show(
            Line(
                "Put a file in",
                f"A file of this host, up to {LARGEST >> 20} MiB, for {printable(self._path)}:",
            )
        )
        if not answer:
            return
        source = Path(answer).expanduser()
        content = read_host_file(source)
        path = self._below(source.name)
        before = next((one.size for one in self._held if one.name.lower() == source.name.lower()), None)
        told = "absent" if before is None else f"{before:,} bytes"
        edits = file_edits(path, content)
        self._desk.collect(Entry(_subject(path), f"{told} → {len(content):,} bytes", edits))


def _subject(path: str) -> str:
    return f"file {path}"


def as_lines(content: bytes) -> tuple[str, ...]:
    """A file's content for people: text where it is text (UTF-16 with a mark, UTF-8), else a hex dump."""
    try:
        if content.startswith((b"\xff\xfe", b"\xfe\xff")):
            text = content[: len(content) & ~1].decode("utf-16")
        else:
            text = content.decode("utf-8-sig")
        if "\0" not in text:
            return tuple(printable(line.replace("\t", "    ")) for line in text.splitlines()) or ("(empty)",)
    except UnicodeDecodeError:
        pass  # no text: shown as bytes
    return tuple(_dump(content, at) for at in range(0, min(len(content), 4096), 16))


def _dump(content: bytes, at: int) -> str:
    row = content[at : at + 16]
    letters = "".join(chr(byte) if 32 <= byte < 127 else "." for byte in row)
    return f"{at:08x}  {row.hex(' '):<47}  {letters}"
