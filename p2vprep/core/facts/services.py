"""Services and drivers, and what depends on what.

A key below ``Services`` is a service only if both Type and Start are DWORDs of
four bytes: event-source and performance stubs have neither (observed: SNMP,
pvscsi, .NET counters). Value meanings: Microsoft's "HKLM\\SYSTEM\\...\\Services
registry tree", SERVICE_TRIGGER in winsvc.h.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from p2vprep.core.facts.keys import Snapshot, below, children, dword, strings, text
from p2vprep.core.model import Service, Start
from p2vprep.core.registry import Key, fold

_DRIVER_BITS = 0x01 | 0x02 | 0x08
_PER_USER = 0x40
_PER_USER_INSTANCE = 0x80
_TRIGGER_STARTS = 1
_DEFAULT_ERROR_CONTROL = 1


def read_services(control_set: Key) -> tuple[Service, ...]:
    """All services and drivers of a control set, in the hive's order."""
    found = (_service(key) for key in children(below(control_set, "Services")))
    return tuple(service for service in found if service is not None)


def _service(key: Key) -> Service | None:
    held = Snapshot(key)
    kind, start = dword(held, "Type"), dword(held, "Start")
    if kind is None or start is None:
        return None
    delayed = dword(held, "DelayedAutostart")
    error_control = dword(held, "ErrorControl")
    per_user = bool(kind & _PER_USER)
    instance = per_user and bool(kind & _PER_USER_INSTANCE)
    return Service(
        name=key.name,
        key=key.path,
        type=kind,
        start=start,
        kind="driver" if kind & _DRIVER_BITS else "service",
        display_name=text(held, "DisplayName"),
        image_path=text(held, "ImagePath"),
        service_dll=text(key.subkey("Parameters"), "ServiceDll"),
        group=text(held, "Group"),
        object_name=text(held, "ObjectName"),
        error_control=_DEFAULT_ERROR_CONTROL if error_control is None else error_control,
        delayed=None if delayed is None else delayed != 0,
        depends_on_services=strings(held, "DependOnService"),
        depends_on_groups=strings(held, "DependOnGroup"),
        triggers=_start_triggers(key),
        per_user=per_user and not instance,
        instance=instance,
        deleted=dword(held, "DeleteFlag") == 1,
    )


def _start_triggers(key: Key) -> tuple[int, ...]:
    found = (
        dword(trigger, "Type")
        for trigger in children(key.subkey("TriggerInfo"))
        if dword(trigger, "Action") == _TRIGGER_STARTS
    )
    return tuple(kind for kind in found if kind is not None)


# --- the dependency graph ----------------------------------------------------------------------


def dependants(services: Sequence[Service], *names: str) -> tuple[Service, ...]:
    """Every service that could no longer start if the named ones were disabled, in the given order.

    Transitive, through ``DependOnService`` and ``DependOnGroup``, without regard
    to case, safe against cycles. A group dependency is met while one member
    that is not disabled remains (Microsoft: "at least one member"). The named
    ones themselves are not part of the answer; services that are disabled
    already are.
    """
    dead = {fold(name) for name in names}
    named = frozenset(dead)
    groups = _startable_members(services)
    needs = {
        fold(service.name): (
            {fold(name) for name in service.depends_on_services},
            [groups[group] for group in map(fold, service.depends_on_groups) if groups.get(group)],
        )
        for service in services
    }
    grown = True
    while grown:
        grown = False
        for name, (direct, memberships) in needs.items():
            if name not in dead and (direct & dead or any(members <= dead for members in memberships)):
                dead.add(name)
                grown = True
    return tuple(s for s in services if fold(s.name) in dead and fold(s.name) not in named)


def _startable_members(services: Iterable[Service]) -> dict[str, set[str]]:
    groups: dict[str, set[str]] = {}
    for service in services:
        if service.group and service.start != Start.DISABLED:
            groups.setdefault(fold(service.group), set()).add(fold(service.name))
    return groups


def dependency_order(services: Sequence[Service], names: Iterable[str]) -> tuple[str, ...]:
    """The names ordered so that what a service needs comes before it; stable, and safe against cycles.

    Dependencies count also where they lead through services that are not named.
    Names of services that do not exist keep their place.
    """
    known = {fold(service.name): service for service in services}
    members: dict[str, list[str]] = {}
    for service in services:
        if service.group:
            members.setdefault(fold(service.group), []).append(fold(service.name))

    def needed(name: str) -> Iterator[str]:
        service = known.get(name)
        if service is not None:
            yield from map(fold, service.depends_on_services)
            for group in service.depends_on_groups:
                yield from members.get(fold(group), ())

    wanted = {fold(name): name for name in names}
    ordered: list[str] = []
    seen: set[str] = set()
    for first in wanted:
        stack: list[tuple[str, Iterator[str]]] = []
        if first not in seen:
            seen.add(first)
            stack.append((first, needed(first)))
        while stack:
            name, rest = stack[-1]
            following = next((other for other in rest if other not in seen), None)
            if following is not None:
                seen.add(following)
                stack.append((following, needed(following)))
                continue
            stack.pop()
            if name in wanted:
                ordered.append(wanted[name])
    return tuple(ordered)
