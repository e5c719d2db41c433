"""How the console says things: short words for values, changes, services and adapters."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from p2vprep.core.hand.listing import Row
from p2vprep.core.model import (
    Adapter,
    Change,
    Facts,
    FileChange,
    Hazard,
    KeyChange,
    Plan,
    Service,
    ValueChange,
)
from p2vprep.core.printable import printable
from p2vprep.core.registry import fold, split
from p2vprep.core.values import Data, RegType, type_name
from p2vprep.errors import DocumentError

DEFAULT_VALUE = "(default)"
ABSENT = "(absent)"
STARTS = {0: "boot", 1: "system", 2: "auto", 3: "demand", 4: "disabled"}
_TEXT = {RegType.SZ, RegType.EXPAND_SZ}
_NUMBER = {RegType.DWORD, RegType.QWORD, RegType.DWORD_BIG_ENDIAN}


def shown(data: Data | None, width: int = 200) -> str:
    """A value in one line: numbers also in hex, as the Registry Editor does."""
    if data is None:
        return ABSENT
    if data.number is not None:
        return f"{data.number} (0x{data.number:x})"
    return printable(data.show(width))


def to_input(data: Data) -> str:
    """A value as the text that an editor starts with; :func:`from_input` is the inverse."""
    if data.number is not None:
        return str(data.number)
    if data.text is not None:
        return data.text
    if data.strings is not None:
        return "\n".join(data.strings)
    return data.raw.hex(" ")


def from_input(kind: int, text: str) -> Data:
    """What somebody typed, as data of a registry type. Raises DocumentError where it does not fit."""
    if kind in _NUMBER:
        return Data.from_plain(kind, _number(text.strip(), kind))
    if kind in _TEXT:
        return Data.from_plain(kind, text)
    if kind == RegType.MULTI_SZ:
        return Data.from_plain(kind, [line for line in text.splitlines() if line])
    return Data.from_plain(kind, "".join(text.split()))


def _number(text: str, kind: int) -> int:
    """A number as typed, decimal or with 0x. Raises DocumentError."""
    try:
        return int(text, 16) if text.lower().startswith("0x") else int(text)
    except ValueError as problem:
        raise DocumentError(f"{type_name(kind)} takes a number, not {text!r}") from problem


def value_name(name: str) -> str:
    """The name of a value, the default one as in the Registry Editor."""
    return printable(name) if name else DEFAULT_VALUE


def subject(change: Change) -> str:
    """What a change is about, in full."""
    if isinstance(change, FileChange):
        return printable(change.path)
    if isinstance(change, KeyChange):
        return printable(f"{change.hive}\\{change.key}")
    return printable(f"{change.hive}\\{change.key}\\") + value_name(change.name)


def movement(change: Change) -> str:
    """From what to what."""
    if isinstance(change, FileChange):
        before = "absent" if change.before is None else f"{change.before.size} bytes"
        after = "absent" if change.after is None else f"{change.after.size} bytes"
        return f"{before} → {after}"
    if isinstance(change, KeyChange):
        return "made" if change.exists_after else "deleted with all below it"
    if _is_start(change):
        return f"{_start(change.before)} → {_start(change.after)}"
    return f"{shown(change.before, 60)} → {shown(change.after, 60)}"


def _is_start(change: ValueChange) -> bool:
    names = [fold(name) for name in split(change.key)]
    return fold(change.name) == "START" and len(names) == 3 and names[1] == "SERVICES"


def _start(data: Data | None) -> str:
    number = None if data is None else data.number
    word = STARTS.get(-1 if number is None else number)
    return shown(data) if word is None else f"{word} ({number})"


def review(plan: Plan) -> Iterator[str]:
    """A plan of collected edits, line by line: what stops it, the changes, what is noted or not done."""
    for hazard in plan.refusals:
        yield f"stop: {hazard.code}: {printable(hazard.message)}"
    for change in plan.changes:
        yield subject(change)
        yield f"    {movement(change)}"
    for hazard in plan.hazards:
        if hazard.severity != "refuse":
            yield f"note: {hazard.code}: {printable(hazard.message)}"
    for skip in plan.skips:
        yield f"not done: {printable(skip.subject)}: {printable(skip.reason)}"


def kind_of(service: Service) -> str:
    """``service``, ``service (per user)``, ``driver``."""
    return f"{service.kind} (per user)" if service.per_user else service.kind


def start_choice(service: Service) -> str:
    """The start type as it is chosen: ``delayed`` for automatic with delay."""
    if service.start == 2 and service.delayed:
        return "delayed"
    return STARTS.get(service.start, str(service.start))


def service_details(row: Row) -> Iterator[str]:
    """Everything that is known of a service, line by line."""
    service = row.service
    yield f"{service.name}: {row.shown_name}" if row.shown_name else service.name
    yield f"{kind_of(service)}, starts {service.start_name}, error control {service.error_control}"
    facts = {
        "whose": "part of Windows" if row.in_box else row.vendor,
        "runs": service.image_path,
        "library": service.service_dll,
        "as": service.object_name,
        "group": service.group,
        "needs": ", ".join(row.depends_on),
        "needed by": ", ".join(row.needed_by),
    }
    for title, told in facts.items():
        if told:
            yield f"{title}: {told}"
    if service.deleted:
        yield "marked for deletion"


def adapter_addresses(adapter: Adapter) -> str:
    """``10.0.0.5/24 via 10.0.0.1``, ``DHCP, last 10.0.0.9``, or ``-``."""
    told = [", ".join(adapter.addresses)] if adapter.addresses else []
    if adapter.dhcp:
        told.append(f"DHCP, last {adapter.lease}" if adapter.lease else "DHCP")
    if adapter.gateways:
        told.append("via " + ", ".join(adapter.gateways))
    return printable(" ".join(told)) or "-"


def adapter_details(adapter: Adapter) -> Iterator[str]:
    """Everything that is known of an adapter, line by line."""
    ghost = {True: "a ghost", False: "present", None: "cannot be told at rest"}[adapter.ghost]
    yield adapter.name or "(no name)"
    yield adapter.description
    yield f"{adapter.kind}, {ghost}: {adapter.why}"
    facts = {
        "MAC": adapter.mac or "",
        "interface": adapter.guid,
        "addresses": adapter_addresses(adapter),
        "name servers": ", ".join(adapter.dns),
        "driver": adapter.service,
        "device": adapter.instance,
    }
    for title, told in facts.items():
        if told:
            yield f"{title}: {told}"
    if adapter.disabled:
        yield "switched off by a user"


def heading(facts: Facts) -> str:
    """Which Windows this is, in one line."""
    guest = facts.guest
    return printable(f"{guest.computer_name or '(no name)'}: {guest.product or 'Windows'} {guest.version}")


def findings_lines(findings: Sequence[Hazard]) -> Iterator[str]:
    """Findings, those that stop an apply first, each with its evidence and its cure."""
    if not findings:
        yield "Nothing stands in the way of an apply."
    for hazard in sorted(findings, key=lambda one: (one.severity != "refuse", one.code)):
        word = "stop" if hazard.severity == "refuse" else "note"
        yield f"{word}  {hazard.code}: {printable(hazard.message)}"
        yield from (f"      {printable(item)}" for item in hazard.evidence)
        if hazard.cure:
            yield f"      next: {printable(hazard.cure)}"
        yield ""
