"""A wave as a table: what a migration team keeps in a spreadsheet, exported as CSV.

Byte order mark or none, comma, semicolon or tab, quoted or not, in UTF-8, UTF-16 or
Windows-1252: it is read as it is. Column names are compared without case, blanks, dashes and
underscores. Columns that mean nothing here are left alone and told; one that is nearly a name of
ours is taken for a slip of the pen and refused. Errors name row and column as a spreadsheet does.
"""

from __future__ import annotations

import csv
import difflib
import re
from collections.abc import Mapping
from dataclasses import dataclass, field

from p2vprep.core.documents.positions import Path, Position, Positions
from p2vprep.core.documents.wave import HINT, SCHEMA, refuse
from p2vprep.core.documents.yamltext import Plain
from p2vprep.errors import DocumentError
from p2vprep.wave import csvnetwork

_CELL_LIMIT = 1 << 20
_SEPARATORS = ",;\t|"
_TRUE = {"yes", "y", "true", "1", "on", "x", "ja"}
_FALSE = {"no", "n", "false", "0", "off", "nein"}

_NAMES = {
    "name": ("name", "machine", "vm", "vmname", "server", "servername", "hostname", "computer"),
    "disks": ("disks", "disk", "image", "images", "diskimage", "diskimages", "file", "files", "vhd", "vhdx"),
    "source": ("source", "sources", "hardware", "vendor"),
    "target": ("target", "targets", "hypervisor"),
    "stage": ("stage", "stages"),
    "set": ("set", "settings"),
    "network": ("network", "networkfile"),
    "ghosts": ("ghosts", "ghost"),
    "control-sets": ("controlsets", "controlset"),
    "first-boot": ("firstboot",),
    "first-boot-steps": ("firstbootsteps", "firstbootstep"),
    "add-files": ("addfiles",),
    "virtio-win": ("virtiowin", "virtio"),
    "root": ("root",),
    "allow": ("allow",),
    "profile-dirs": ("profiledirs", "profiledir"),
    "state-dir": ("statedir",),
}
_LISTS = {"source", "target", "stage", "first-boot-steps", "allow", "profile-dirs", "disks"}
_PATHS = {"disks", "first-boot-steps", "profile-dirs"}
"""Lists of paths: blanks are a part of them, so only ``;``, ``|`` and line ends separate."""


@dataclass(frozen=True)
class TablePositions(Positions):
    """Places in a table: rows count from 1 with the heading, columns have the letters of a spreadsheet."""

    headings: Mapping[int, str] = field(default_factory=dict)

    def place(self, path: Path, *, key: bool = False) -> str:
        found = self.of_key(path) if key else self.of(path)
        heading = self.headings.get(found.column)
        if heading is None:
            return f"{self.source}: row {found.line}"
        return f"{self.source}: row {found.line}, column {letters(found.column)} ({heading})"


@dataclass(frozen=True)
class Column:
    """One column: its place from 1, its heading, and what it stands for."""

    number: int
    heading: str
    key: str
    """A key of a machine, ``set:KEY``, ``net:N:FIELD``, or empty where it means nothing here."""


def letters(number: int) -> str:
    """The name a spreadsheet gives to a column: 1 is A, 27 is AA."""
    found = ""
    while number > 0:
        number, rest = divmod(number - 1, 26)
        found = chr(ord("A") + rest) + found
    return found


def decode(content: bytes, source: str) -> tuple[str, tuple[str, ...]]:
    """The text of a table and what was noticed. Raises DocumentError for what is no text."""
    if content.startswith((b"\xff\xfe", b"\xfe\xff")):
        return content.decode("utf-16", "replace"), ()
    try:
        return content.decode("utf-8-sig"), ()
    except UnicodeDecodeError:
        pass
    if b"\0" in content:
        raise DocumentError(f"{source}: this is no text; export the table as CSV", subject=source, hint=HINT)
    note = "the table is not UTF-8; it was read as Windows-1252"
    return content.decode("cp1252", "replace"), (note,)


def read(text: str, source: str) -> tuple[dict[str, Plain], TablePositions, tuple[str, ...]]:
    """The table as the plain values of a wave document, the places of its cells, and notes for people.

    Raises DocumentError for a table without a heading, doubled or misspelt columns, and cells that
    cannot be what their column says.
    """
    rows = _rows(text, source)
    if not rows:
        raise DocumentError(f"{source}: the table is empty", subject=source, hint=HINT)
    (line, heading), *body = rows
    columns = _columns(heading, line, source)
    reader = _Reader(source, columns)
    machines: list[Plain] = [reader.machine(index, row, cells) for index, (row, cells) in enumerate(body)]
    refuse(reader.faults, source)
    headings = {column.number: column.heading for column in columns}
    positions = TablePositions(source, reader.values, {}, headings)
    ignored = [column.heading for column in columns if not column.key and column.heading]
    notes = (f"columns that mean nothing here: {', '.join(ignored)}",) if ignored else ()
    return {"schema": SCHEMA, "machines": machines}, positions, notes


def _rows(text: str, source: str) -> list[tuple[int, list[str]]]:
    """The rows that hold anything but blanks and comments, each with its number."""
    lines = text.splitlines(keepends=True)
    skipped = 0
    separator = None
    if lines and (said := re.fullmatch(r"sep=(.)\s*", lines[0], re.IGNORECASE)):
        separator, skipped = said.group(1), 1
    csv.field_size_limit(_CELL_LIMIT)
    reader = csv.reader(lines[skipped:], delimiter=separator or _separator(lines[skipped:]), strict=True)
    rows = []
    number = skipped
    try:
        for cells in reader:
            number += 1
            held = [cell.strip() for cell in cells]
            if any(held) and not held[0].startswith("#"):
                rows.append((number, held))
    except csv.Error as problem:
        raise DocumentError(f"{source}: row {number + 1}: {problem}", subject=source, hint=HINT) from problem
    return rows


def _separator(lines: list[str]) -> str:
    """The sign that separates most of the heading, outside of quotes."""
    for line in lines:
        bare = re.sub(r'"[^"]*"', "", line)
        if line.strip() and not bare.startswith("#"):
            return max(_SEPARATORS, key=bare.count)
    return ","


def _columns(heading: list[str], line: int, source: str) -> list[Column]:
    columns, faults, seen = [], [], dict[str, str]()
    for number, name in enumerate(heading, 1):
        place = f"{source}: row {line}, column {letters(number)} ({name})"
        key = _key(name)
        if key is None:
            near = difflib.get_close_matches(_bare(name), _known(), 1, cutoff=0.85)
            if near:
                faults.append(f"{place}: there is no such column; did you mean {near[0]!r}?")
            key = ""
        if key and key in seen:
            faults.append(f"{place}: this says the same as the column {seen[key]!r}")
        seen.setdefault(key, name)
        columns.append(Column(number, name, key))
    if "disks" not in seen:
        faults.append(f"{source}: row {line}: there is no column of disks (disk, disks, image)")
    refuse(faults, source)
    return columns


def _bare(name: str) -> str:
    return re.sub(r"[\s_\-.]+", "", name.casefold())


def _known() -> list[str]:
    return [name for names in _NAMES.values() for name in names] + csvnetwork.names()


def _key(name: str) -> str | None:
    """What a heading stands for; None where it means nothing here."""
    setting = re.fullmatch(r"\s*set\s*[:=]\s*(\S+)\s*", name, re.IGNORECASE)
    if setting:
        return f"set:{setting.group(1)}"
    bare = _bare(name)
    for key, names in _NAMES.items():
        if bare in names:
            return key
    return csvnetwork.key(bare)


class _Reader:
    """Turns rows into plain machines; remembers places and faults."""

    def __init__(self, source: str, columns: list[Column]) -> None:
        self._source = source
        self._columns = columns
        self.values: dict[Path, Position] = {}
        self.faults: list[str] = []

    def machine(self, index: int, row: int, cells: list[str]) -> dict[str, Plain]:
        top: Path = ("machines", index)
        self.values[top] = Position(row, 0)
        found: dict[str, Plain] = {}
        settings: dict[str, Plain] = {}
        network: dict[str, tuple[str, str]] = {}
        if len(cells) > len(self._columns):
            self.faults.append(f"{self._source}: row {row}: it has more cells than there are columns")
        for column, cell in zip(self._columns, cells, strict=False):
            if not cell or not column.key:
                continue
            place = f"{self._source}: row {row}, column {letters(column.number)} ({column.heading})"
            if column.key.startswith("net:"):
                network[column.key] = (cell, place)
                where = Position(row, column.number)
                inner: Path = (*top, "network", *csvnetwork.path(column.key))
                self.values.setdefault((*top, "network"), where)
                self.values[inner] = where
            elif column.key.startswith("set:"):
                settings[column.key[4:]] = cell
            elif column.key == "set":
                settings |= self._settings(cell, place)
            else:
                found[column.key] = self._value(column.key, cell, place)
                self._saw(top, column.key, row, column.number)
        if settings:
            found["set"] = settings
        if network and "network" in found:
            self.faults.append(f"{next(iter(network.values()))[1]}: there is a network file as well")
        elif network:
            plain, faults = csvnetwork.document(network)
            found["network"] = plain
            self.faults += faults
        disks = found.get("disks")
        if "name" not in found and isinstance(disks, list) and disks:
            found["name"] = _stem(disks)
        return found

    def _saw(self, top: Path, key: str, row: int, column: int) -> None:
        path: Path = (*top, key)
        self.values[path] = Position(row, column)

    def _value(self, key: str, cell: str, place: str) -> Plain:
        if key in _LISTS:
            pattern = r"[;|\r\n]+" if key in _PATHS else r"[;|,\s]+"
            return [part.strip() for part in re.split(pattern, cell) if part.strip()]
        if key == "first-boot":
            if cell.casefold() in _TRUE | _FALSE:
                return cell.casefold() in _TRUE
            self.faults.append(f"{place}: {cell!r} is neither yes nor no")
        if key == "root":
            if cell.isdigit():
                return int(cell)
            self.faults.append(f"{place}: {cell!r} is no number")
            return None
        return cell

    def _settings(self, cell: str, place: str) -> dict[str, Plain]:
        found: dict[str, Plain] = {}
        for pair in re.split(r"[;|\r\n]+", cell):
            key, equals, value = (part.strip() for part in pair.partition("="))
            if not pair.strip():
                continue
            if not equals or not key:
                self.faults.append(f"{place}: settings are KEY=VALUE, not {pair.strip()!r}")
                continue
            found[key] = value
        return found


def _stem(disks: list[Plain]) -> str:
    """A machine without a name is called as its first disk."""
    return re.split(r"[/\\]", str(disks[0]))[-1].rpartition(".")[0] or str(disks[0])
