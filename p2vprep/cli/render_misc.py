"""Receipts, verification, history and the doctor's report for people."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Any

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from p2vprep.cli.output import printable
from p2vprep.cli.render_plan import summary_line
from p2vprep.engine.results import Applied, Status, Verification

if TYPE_CHECKING:
    from p2vprep.disk.doctor import Report as DoctorReport

_AFTERWARDS: dict[Status, str] = {
    "given back": "given back by the first boot",
    "renewed": "renewed by Windows since",
}
_STATUS_STYLE = {
    "as planned": "green",
    "given back": "green",
    "renewed": "green",
    "differs": "bold red",
    "ok": "green",
}
_STATUS_STYLE |= {"warn": "yellow", "fail": "bold red"}


def run_summary(applied: Applied) -> RenderableType:
    """The closing lines of an apply."""
    if applied.why == "not approved":
        return Text("Not applied. Nothing was changed.")
    if not applied.committed:
        return Text("Nothing to do: the disk is as it should be. Nothing was changed.", style="green")
    lines = Text("Prepared. ", style="bold green")
    lines.append_text(summary_line(applied.plan))
    lines.append(
        f"\nWritten into the image: {_size(applied.written_bytes)}; proved by reading back.", style="default"
    )
    name = printable(applied.image)
    lines.append(f"\nUndo with: p2vprep rollback {name}", style="default")
    lines.append(f"\nAfter the first boot: p2vprep verify {name}", style="default")
    return lines


def verification_view(verification: Verification, *, verbose: bool = False) -> RenderableType:
    """What differs; everything with ``verbose``."""
    parts: list[RenderableType] = []
    shown = [check for check in verification.checks if verbose or check.status == "differs"]
    if shown:
        table = Table(box=None, show_header=False, pad_edge=False, padding=(0, 2, 0, 0))
        for _column in ("status", "subject", "found"):
            table.add_column(overflow="fold")
        for check in shown:
            table.add_row(
                Text(check.status, style=_STATUS_STYLE.get(check.status, "default")),
                Text(printable(check.subject)),
                Text(printable(check.told)),
            )
        parts.append(table)
    parts.extend(Text(printable(line)) for line in verification.first_boot_lines)
    total = len(verification.checks)
    differing = sum(check.status == "differs" for check in verification.checks)
    if differing:
        parts.append(Text(f"{differing} of {total} planned changes differ.", style="bold red"))
    else:
        parts.append(Text(_all_well(verification), style="green"))
    return Group(*parts)


def _all_well(verification: Verification) -> str:
    """``All 91 planned changes are as they should be: 60 in place, 29 given back …``."""
    counts = Counter(check.status for check in verification.checks)
    total = len(verification.checks)
    if counts["as planned"] == total:
        return f"All {total} planned changes are in place."
    told = [f"{counts['as planned']} in place"]
    told += [f"{counts[status]} {words}" for status, words in _AFTERWARDS.items() if counts[status]]
    return f"All {total} planned changes are as they should be: {', '.join(told)}."


def history_view(document: dict[str, Any]) -> RenderableType:
    """One line per run, newest last."""
    runs = document["runs"]
    if not runs:
        return Text("Nothing was done to this machine yet.")
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="bold")
    for column in ("Run", "State", "Started", "Finished", "What", "Undo data"):
        table.add_column(column, overflow="fold")
    for run in runs:
        undo = run.get("undo_bytes")
        table.add_row(
            Text(str(run["number"])),
            Text(str(run["state"])),
            Text(str(run.get("started") or "-")),
            Text(str(run.get("finished") or "-")),
            Text(printable(str(run.get("summary") or "-"))),
            Text("-" if not undo else _size(int(undo))),
        )
    return table


def doctor_view(report: DoctorReport) -> RenderableType:
    """One line per thing examined, with how to mend what is wrong."""
    table = Table(box=None, show_header=False, pad_edge=False, padding=(0, 2, 0, 0))
    for item in report.items:
        told = Text(printable(item.found))
        if item.mend:
            told.append(f"\nnext: {printable(item.mend)}", style="bold")
        table.add_row(Text(item.state, style=_STATUS_STYLE[item.state]), Text(item.name), told)
    return table


def _size(count: int) -> str:
    if count < 10 << 10:
        return f"{count} bytes"
    return f"{count / 1024:.0f} KiB" if count < 10 << 20 else f"{count / (1 << 20):.1f} MiB"
