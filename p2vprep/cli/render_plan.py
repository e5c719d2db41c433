"""A plan for people: changes grouped by rule, before and after, and why."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator
from itertools import groupby

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from p2vprep.cli.output import printable
from p2vprep.cli.render_firstboot import first_boot_view
from p2vprep.core.hand.places import shown
from p2vprep.core.model import (
    Change,
    FileChange,
    Guest,
    Hazard,
    KeyChange,
    Plan,
    Skip,
    Start,
    ValueChange,
)
from p2vprep.core.registry import fold, split
from p2vprep.core.values import Data

_FEW = 4
_RECORDS = "p2vprep"
_LAST = ("first-boot",)
_GUID = re.compile(r"\{([0-9A-Fa-f]{8})-[0-9A-Fa-f]{4}-[0-9A-Fa-f]{4}-[0-9A-Fa-f]{4}-[0-9A-Fa-f]{12}\}")


def plan_view(plan: Plan, *, verbose: bool = False) -> RenderableType:
    """The whole plan; with ``verbose`` every change in full, else long runs and GUIDs are shortened."""
    parts: list[RenderableType] = [heading(plan.guest), _scope(plan), Text("")]
    if not plan.changes:
        parts.append(Text("Nothing to do: the disk is as it should be.", style="green"))
    rules = sorted({change.rule for change in plan.changes}, key=lambda rule: (rule in _LAST, rule))
    for rule in rules:
        parts.extend(_group(rule, [change for change in plan.changes if change.rule == rule], verbose))
    if plan.first_boot:
        parts.extend(first_boot_view(plan.first_boot, verbose=verbose))
    parts.extend(hazard_lines(plan.hazards))
    parts.extend(_skips(plan.skips, verbose))
    parts.append(summary_line(plan))
    return Group(*parts)


def heading(guest: Guest) -> Text:
    """``SRV-ERP01: Windows Server 2012 R2 Standard, 6.3.9600, x64, server, in /Windows``."""
    words = [guest.product or "Windows", str(guest.version)]
    if guest.architecture != "unknown":
        words.append(guest.architecture)
    words.append(guest.role.value.replace("-", " "))
    line = Text(printable(guest.computer_name or "(no name)"), style="bold")
    line.append(": " + printable(", ".join(words)) + f", in {printable(guest.system_root)}", style="default")
    return line


def summary_line(plan: Plan) -> Text:
    """How many of what, in one line."""
    counts = [
        (sum(isinstance(change, ValueChange) for change in plan.changes), "value"),
        (sum(isinstance(change, KeyChange) for change in plan.changes), "key"),
        (sum(isinstance(change, FileChange) for change in plan.changes), "file"),
    ]
    told = ", ".join(f"{count} {word}{'' if count == 1 else 's'}" for count, word in counts)
    refusals = len(plan.refusals)
    line = Text(f"{told}; {len(plan.hazards)} finding{'' if len(plan.hazards) == 1 else 's'}", style="bold")
    if refusals:
        line.append(f", {refusals} of which stop an apply", style="bold red")
    return line


def hazard_lines(hazards: Iterable[Hazard]) -> Iterator[RenderableType]:
    """Findings, those that stop an apply first."""
    ordered = sorted(hazards, key=lambda hazard: (hazard.severity != "refuse", hazard.code))
    if ordered:
        yield Text("Findings", style="bold")
    for hazard in ordered:
        refuse = hazard.severity == "refuse"
        line = Text("  stop  " if refuse else "  note  ", style="bold red" if refuse else "yellow")
        line.append(f"{hazard.code}: {printable(hazard.message)}", style="default")
        for item in hazard.evidence[:_FEW]:
            line.append(f"\n          {printable(item)}", style="dim")
        if hazard.cure:
            line.append(f"\n          next: {printable(hazard.cure)}")
        yield line
    if ordered:
        yield Text("")


def _scope(plan: Plan) -> Text:
    profiles = ", ".join(plan.profiles) or "none"
    line = Text(f"  control sets {', '.join(plan.control_sets)}; profiles {profiles}", style="dim")
    for hive in plan.hives:
        if hive.dirty:
            logs = " and ".join(hive.replayed_from) or "no log"
            line.append(f"\n  {hive.name} was dirty: {hive.replayed_pages} pages replayed from {logs}")
    return line


def _group(rule: str, changes: list[Change], verbose: bool) -> Iterator[RenderableType]:
    yield Text(f"{rule}  ({len(changes)})", style="bold")
    table = Table(box=None, show_header=False, pad_edge=False, padding=(0, 2, 0, 0))
    table.add_column(no_wrap=False, overflow="fold")
    table.add_column(no_wrap=False, overflow="fold")
    table.add_column(style="dim", overflow="fold")
    for why, run in groupby(_rows(changes, verbose), key=lambda row: row[2]):
        shown_why: str = why
        for subject, change, _ in run:
            table.add_row(Text("  " + subject), Text(change), Text(shown_why))
            shown_why = ""
    yield table
    yield Text("")


def _rows(changes: list[Change], verbose: bool) -> Iterator[tuple[str, str, str]]:
    if verbose:
        for change in changes:
            yield _subject(change), _movement(change), printable(change.why)
        return
    brief = _brief(changes)
    for bundle, run in groupby(changes, key=_bundle):
        members = list(run)
        if bundle is not None and len(members) > _FEW:
            place, what, why = bundle
            yield brief(printable(place)), f"{len(members)} {what}", printable(why)
            continue
        for change in members:
            yield brief(_subject(change)), _movement(change), printable(change.why)


def _brief(changes: Iterable[Change]) -> Callable[[str], str]:
    """Shortens ``{0E7B9C1A-55D2-…}`` to ``{0E7B9C1A-…}`` wherever that still tells one from the other."""
    guids = {
        found.group(0).upper(): found.group(1).upper()
        for change in changes
        if not isinstance(change, FileChange)
        for found in _GUID.finditer(change.key)
    }
    beginnings = list(guids.values())

    def short(found: re.Match[str]) -> str:
        alone = beginnings.count(found.group(1).upper()) <= 1
        return f"{{{found.group(1)}-…}}" if alone else found.group(0)

    return lambda text: _GUID.sub(short, text)


def _bundle(change: Change) -> tuple[str, str, str] | None:
    """What changes are told in one line where there are many: place, what they are, why."""
    if isinstance(change, FileChange):
        top = "/" + change.path.strip("/").split("/")[0]
        return top, "files deleted" if change.after is None else "files written", change.why
    if isinstance(change, ValueChange) and change.after is None:
        return _key(change), "values deleted", change.why
    if fold(split(change.key)[0]) == fold(_RECORDS):
        return _RECORDS, "records made", "what the first boot gives back is recorded here"
    if isinstance(change, ValueChange) and change.before is None:
        return _key(change), "values set", change.why
    return None


def _subject(change: Change) -> str:
    if isinstance(change, FileChange):
        return printable(change.path)
    if isinstance(change, KeyChange):
        return printable(_key(change))
    parts = split(change.key)
    if len(parts) == 3 and _is_start(change):
        return printable(parts[2]) + ("" if parts[0].endswith("001") else f"  ({parts[0]})")
    return printable(f"{_key(change)}\\{change.name or '(default)'}")


def _key(change: ValueChange | KeyChange) -> str:
    """A change's key; the hive is named where it is another one than SYSTEM."""
    return _short(change.key) if change.hive == "SYSTEM" else shown(change.hive, change.key)


def _short(key: str) -> str:
    r"""A key without what most have in common: ``Tcpip\Parameters`` for ``ControlSet001\Services\Tcpip…``."""
    parts = split(key)
    if len(parts) > 2 and fold(parts[0]).startswith("CONTROLSET") and fold(parts[1]) == "SERVICES":
        told = "\\".join(parts[2:])
        return told if parts[0].endswith("001") else f"{told}  ({parts[0]})"
    return key


def _is_start(change: ValueChange) -> bool:
    parts = split(change.key)
    return fold(change.name) == "START" and len(parts) == 3 and fold(parts[1]) == "SERVICES"


def _movement(change: Change) -> str:
    if isinstance(change, FileChange):
        if change.after is None:
            return "deleted"
        return f"{'written' if change.before is None else 'replaced'}, {change.after.size} bytes"
    if isinstance(change, KeyChange):
        return "made" if change.exists_after else "deleted"
    if _is_start(change):
        return f"{_start(change.before)} → {_start(change.after)}"
    return f"{_data(change.before)} → {_data(change.after)}"


def _start(data: Data | None) -> str:
    if data is None:
        return "(absent)"
    number = data.number
    return Start(number).name.lower() if number in {0, 1, 2, 3, 4} else data.show()


def _data(data: Data | None) -> str:
    return "(absent)" if data is None else printable(data.show(40))


def _skips(skips: tuple[Skip, ...], verbose: bool) -> Iterator[RenderableType]:
    if not skips:
        return
    if not verbose:
        yield Text(f"{len(skips)} asked for and not done (-v tells why)", style="dim")
        return
    yield Text(f"Asked for and not done  ({len(skips)})", style="bold")
    table = Table(box=None, show_header=False, pad_edge=False, padding=(0, 2, 0, 0))
    for skip in skips:
        table.add_row(Text("  " + skip.rule), Text(printable(skip.subject)), Text(printable(skip.reason)))
    yield table
    yield Text("")
