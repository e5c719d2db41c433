"""Tables of a wave: what a check found, how a run ended, how every machine is."""

from __future__ import annotations

from collections.abc import Sequence

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from p2vprep.cli.output import printable
from p2vprep.wave.conduct import Ran
from p2vprep.wave.findings import Checked
from p2vprep.wave.job import Outcome
from p2vprep.wave.ledger import Entry
from p2vprep.wave.told import why_not

_STYLES = {"applied": "green", "nothing-to-do": "green", "failed": "red", "running": "yellow"}
_MOST_ROWS = 500


def check_view(found: Checked, looked: Sequence[Outcome]) -> RenderableType:
    """One table of everything that was found, and a line that says how it is."""
    parts: list[RenderableType] = [Text(f"note: {printable(note)}", style="dim") for note in found.notes]
    if looked:
        parts.append(_looks(looked))
    if found.findings:
        table = _table("Machine", "", "Finding", "Where", "Next")
        for one in found.findings[:_MOST_ROWS]:
            style = "red" if one.severity == "error" else "yellow"
            what = one.message + (
                f" ({one.subject})" if one.subject and one.subject not in one.message else ""
            )
            table.add_row(
                Text(printable(one.machine or "the wave")),
                Text(one.severity, style=style),
                Text(f"{printable(what)}  [{one.code}]"),
                Text(printable(one.place)),
                Text(printable(one.hint)),
            )
        parts.append(table)
        if len(found.findings) > _MOST_ROWS:
            parts.append(Text(f"and {len(found.findings) - _MOST_ROWS} more; --json has all", style="dim"))
    bad = len({one.machine for one in found.errors})
    told = (
        f"{found.machines} machines, {found.disks} disks: " if found.disks else f"{found.machines} machines: "
    )
    parts.append(
        Text(f"{told}{len(found.errors)} errors at {bad} places", style="red")
        if found.errors
        else Text(f"{told}everything is there", style="green")
    )
    return Group(*parts)


def _looks(looked: Sequence[Outcome]) -> Table:
    table = _table("Machine", "Windows", "Values", "Files", "Hazards", "Profiles")
    for outcome in looked[:_MOST_ROWS]:
        result = outcome.result
        if outcome.state == "failed":
            table.add_row(Text(printable(outcome.name)), Text(printable(why_not(outcome)), style="red"))
            continue
        hazards = ", ".join(dict.fromkeys(str(one["code"]) for one in result["hazards"]))
        table.add_row(
            Text(printable(outcome.name)),
            Text(printable(str(result["guest"].get("product") or "Windows"))),
            str(result["values"]),
            str(result["files"]),
            Text(printable(hazards), style="yellow"),
            Text(printable(", ".join(map(str, result["profiles"])))),
        )
    return table


def run_view(ran: Ran, entries: Sequence[Entry]) -> RenderableType:
    """How a run ended: failures in a table, then the numbers, then what the manifest has changed."""
    parts: list[RenderableType] = []
    failures = [entry for entry in entries if entry.state == "failed"]
    if failures:
        table = _table("Machine", "Failed because", "Changed", "Next")
        for entry in failures[:_MOST_ROWS]:
            error = (entry.outcome.error if entry.outcome is not None else None) or {}
            table.add_row(
                Text(printable(entry.name)),
                Text(f"{printable(str(error.get('message', '')))}  [{error.get('code', '')}]", style="red"),
                Text(printable(str(error.get("changed") or ""))),
                Text(printable(str(error.get("hint") or ""))),
            )
        parts.append(table)
    tally = ran.tally
    told = [f"{tally.applied} prepared", f"{tally.unchanged} with nothing to do", f"{tally.failed} failed"]
    if ran.already:
        told.append(f"{ran.already} done before")
    if tally.left:
        told.append(f"{tally.left} left to do")
    parts.append(Text(", ".join(told), style="red" if tally.failed or tally.left else "green"))
    if ran.changed:
        parts.append(
            Text(
                f"{len(ran.changed)} machines were done before their entry in the manifest changed, and were "
                f"left as they are: {printable(', '.join(ran.changed[:10]))}. "
                "--redo-changed applies them again.",
                style="yellow",
            )
        )
    if ran.unlisted:
        parts.append(
            Text(f"no longer in the manifest: {printable(', '.join(ran.unlisted[:10]))}", style="yellow")
        )
    return Group(*parts)


def status_view(name: str, entries: Sequence[Entry]) -> RenderableType:
    """Every machine in a row."""
    table = _table("Machine", "State", "Attempts", "Seconds", "Finished", "First boot", "")
    for entry in entries[:_MOST_ROWS]:
        outcome = entry.outcome
        remarks = [why_not(outcome)] if outcome is not None and entry.state == "failed" else []
        if entry.changed:
            remarks.append("the manifest changed since")
        if not entry.listed:
            remarks.append("no longer in the manifest")
        if not entry.is_as_planned:
            remarks.append("the disk is no longer as planned")
        table.add_row(
            Text(printable(entry.name)),
            Text(entry.state, style=_STYLES.get(entry.state, "default")),
            str(entry.attempts),
            "" if outcome is None else f"{outcome.seconds:.1f}",
            entry.finished or "",
            Text(printable(entry.first_boot)),
            Text(printable("; ".join(remarks))),
        )
    counts: dict[str, int] = {}
    for entry in entries:
        counts[entry.state] = counts.get(entry.state, 0) + 1
    told = ", ".join(f"{count} {state}" for state, count in counts.items()) or "no machines"
    return Group(table, Text(f"{printable(name)}: {told}", style="bold"))


def _table(*columns: str) -> Table:
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="bold")
    for column in columns:
        table.add_column(column, overflow="fold")
    return table
