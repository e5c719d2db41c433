"""What is seen when looking around by hand: services, keys, hits, folders, autoruns, events."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from p2vprep.cli.output import printable
from p2vprep.core.hand.listing import Row, counted
from p2vprep.core.registry import Key
from p2vprep.core.values import Data, type_name

_WIDEST = 160


def table(*columns: str) -> Table:
    """An empty table as all of them look."""
    made = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="bold")
    for column in columns:
        made.add_column(column, overflow="fold")
    return made


def cells(*texts: str) -> tuple[Text, ...]:
    """Texts of others as cells."""
    return tuple(Text(printable(text)) for text in texts)


def services_view(rows: Sequence[Row], *, verbose: bool = False) -> RenderableType:
    """The list of services; ``verbose`` adds where their programs lie."""
    if not rows:
        return Text("There are none.")
    columns = ["Name", "Start", "Type", "Group", "Depends on", "Needed by", "Vendor", "In box"]
    made = table(*columns, *(["Program"] if verbose else []))
    for row in rows:
        service = row.service
        name = Text(printable(service.name))
        if row.shown_name and row.shown_name != service.name:
            name.append("\n" + printable(row.shown_name), style="dim")
        line = [
            name,
            Text(service.start_name),
            *cells(
                service.kind,
                service.group or "-",
                ", ".join(row.depends_on) or "-",
                _few(row.needed_by, verbose),
                row.vendor or "?",
                in_box_word(row.in_box),
            ),
        ]
        if verbose:
            line += cells(service.service_dll or service.image_path or "-")
        made.add_row(*line)
    return Group(made, Text(counted(rows), style="dim"))


def in_box_word(in_box: bool | None) -> str:
    """``yes``, ``no``, or ``?`` where it cannot be told."""
    return {True: "yes", False: "no", None: "?"}[in_box]


def _few(names: Sequence[str], verbose: bool, most: int = 4) -> str:
    if verbose or len(names) <= most:
        return ", ".join(names) or "-"
    return ", ".join(names[:most]) + f" and {len(names) - most} more"


def key_view(shown: str, key: Key, name: str | None = None) -> RenderableType:
    """A key: its subkeys and values, or one value alone."""
    parts: list[RenderableType] = [Text(printable(shown), style="bold")]
    made = table("Value", "Type", "Data")
    if name is None:
        parts += [Text(f"  {printable(child.name)}\\", style="cyan") for child in key.subkeys()]
    for held, data in key.values():
        if name is None or held.lower() == name.lower():
            made.add_row(*cells(held or "(default)", type_name(data.type), data_text(data)))
    if made.row_count:
        parts.append(made)
    elif len(parts) == 1:
        parts.append(Text("The key holds nothing.", style="dim"))
    return Group(*parts)


def data_text(data: Data, width: int = _WIDEST) -> str:
    """Data in one line; numbers also in hex."""
    if data.number is not None:
        return f"{data.number} (0x{data.number:x})"
    return data.show(width)


def hits_view(
    hits: Iterable[tuple[str, str, str, str]], *, more: bool, unreadable: Sequence[str] = ()
) -> RenderableType:
    """Places where a text was found: key, where, name, data; and the hives that could not be searched."""
    made = table("Key", "Found in", "Value", "Data")
    for hit in hits:
        made.add_row(*cells(*hit))
    parts: list[RenderableType] = [made if made.row_count else Text("Not found.")]
    if more:
        parts.append(Text("There is more; --limit shows it.", style="yellow"))
    parts += [Text(f"{printable(top)} cannot be read.", style="yellow") for top in unreadable]
    return Group(*parts)


def rows_view(columns: Sequence[str], rows: Sequence[Sequence[str]], none: str) -> RenderableType:
    """A plain table, or ``none`` where there is nothing in it."""
    if not rows:
        return Text(none)
    made = table(*columns)
    for row in rows:
        made.add_row(*cells(*(cell or "-" for cell in row)))
    return made
