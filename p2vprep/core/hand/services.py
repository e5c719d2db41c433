r"""Start types set by hand, before the dependency guard.

The guard is the one of the profiles (:mod:`p2vprep.core.guard`). What it refuses a profile is
left out; what it refuses a person stops the apply, with the chain, until it is allowed by name.
Two things are never allowed: what is on the never-list, and what a member of that list or a
driver of boot or system start needs.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace

from p2vprep.core.guard import Graph, Judgement, Refusal, Wish, is_boot_driver, judge
from p2vprep.core.hand.making import DELAYED
from p2vprep.core.model import (
    ClassFilter,
    ControlSet,
    DeleteValue,
    Edit,
    Facts,
    Guest,
    Hazard,
    Service,
    SetValue,
    Start,
)
from p2vprep.core.never import never
from p2vprep.core.registry import fold, split
from p2vprep.core.selection import Selection, as_given_back
from p2vprep.core.values import RegType

_VISTA = (6, 0)


def judged(
    edits: Sequence[Edit],
    facts: Facts,
    selections: Mapping[str, Selection],
) -> list[Hazard]:
    """What there is to say against the start types that edits give to services and drivers.

    Every control set that an edit names is looked at. ``selections`` as in ``resolving.resolve``.
    """
    by_set: dict[str, list[SetValue | DeleteValue]] = {}
    for edit in edits:
        place = _service_value(edit)
        if place is not None:
            by_set.setdefault(place[0], []).append(edit)  # type: ignore[arg-type]
    hazards: list[Hazard] = []
    for control_set in facts.sets:
        found = by_set.get(fold(control_set.name), ())
        if found:
            selection = selections.get(control_set.name, Selection())
            wishes: list[Wish] = []
            hazards += _of_starts(found, facts, control_set, wishes)
            if wishes:
                hazards += _refusals(wishes, facts, control_set, selection, edits)
    return list(dict.fromkeys(hazards))


def _service_value(edit: Edit) -> tuple[str, str, str] | None:
    r"""Control set, service and value, folded, of an edit of ``<set>\Services\<name>\<value>``."""
    if not isinstance(edit, SetValue | DeleteValue) or edit.hive != "SYSTEM":
        return None
    parts = [fold(part) for part in split(edit.key)]
    if len(parts) != 3 or parts[1] != "SERVICES":
        return None
    return parts[0], parts[2], fold(edit.name)


def _of_starts(
    edits: Sequence[SetValue | DeleteValue], facts: Facts, control_set: ControlSet, wishes: list[Wish]
) -> Iterator[Hazard]:
    """What is wrong with the start types themselves; ``wishes`` gets those that the guard has to judge."""
    known = {fold(service.name): service for service in control_set.services}
    for edit in edits:
        place = _service_value(edit)
        service = None if place is None else known.get(place[1])
        if place is None or service is None:
            continue
        if place[2] == fold(DELAYED):
            yield from _delay_hazards(edit, service, facts.guest)
        elif place[2] == "START":
            yield from _start_hazards(edit, service, facts)
            start = _start_of(edit)
            if start is None or start > service.start:
                wishes.append(Wish(service, Start.DISABLED if start is None else start))


def _start_of(edit: SetValue | DeleteValue) -> int | None:
    """The start type; None where the service cannot start any more because there is none."""
    if isinstance(edit, DeleteValue) or edit.data.type != RegType.DWORD:
        return None
    return edit.data.number


def _start_hazards(edit: SetValue | DeleteValue, service: Service, facts: Facts) -> Iterator[Hazard]:
    start = _start_of(edit)
    if start is None or start > Start.DISABLED:
        yield Hazard(
            "bad-start-type",
            "refuse",
            f"{service.name} would have no start type that Windows knows; it takes a REG_DWORD from 0 to 4.",
        )
    elif start in (Start.BOOT, Start.SYSTEM) and service.kind == "service":
        yield Hazard(
            "bad-start-type",
            "refuse",
            f"{service.name} is a service; boot and system start are for drivers.",
            cure="Use auto.",
            liftable=False,
        )
    if any(fold(record.service) == fold(service.name) for record in facts.parked):
        yield Hazard(
            "parked-service",
            "warn",
            f"{service.name} was parked by an earlier run: its first boot gives the old start type back.",
            cure="Roll that run back first, or set the start type after the first boot.",
        )


def _delay_hazards(edit: SetValue | DeleteValue, service: Service, guest: Guest) -> Iterator[Hazard]:
    if isinstance(edit, DeleteValue):
        return
    if service.kind == "driver" or guest.version.nt < _VISTA:
        what = "is a driver" if service.kind == "driver" else "runs on a Windows before Vista"
        yield Hazard(
            "bad-start-type",
            "refuse",
            f"{service.name} {what}, which knows no delayed start.",
            cure="Use auto.",
            liftable=False,
        )


def _refusals(
    wishes: Sequence[Wish],
    facts: Facts,
    control_set: ControlSet,
    selection: Selection,
    edits: Sequence[Edit],
) -> Iterator[Hazard]:
    """What the guard says, with what the profiles of the same plan switch off counted as off."""
    asked = {fold(wish.service.name) for wish in wishes}
    planned = {
        fold(intent.service.name): intent.start
        for intent in selection.of("disable", "demand")
        if fold(intent.service.name) not in asked
    }
    given_back = as_given_back(facts, control_set)
    afterwards = replace(
        given_back,
        services=tuple(
            replace(one, start=planned.get(fold(one.name), one.start)) for one in given_back.services
        ),
        filters=tuple(_filters_left(control_set, edits, selection)),
    )
    judgement = judge(afterwards, facts.guest, wishes)
    for refusal in judgement.refusals.values():
        yield Hazard(
            refusal.code,
            "refuse",
            refusal.message,
            (" <- ".join(refusal.chain),) if refusal.code == "dependency" else refusal.chain,
            _cure(refusal),
            liftable=_liftable(refusal, afterwards, facts.guest),
        )
    yield from _stopped(judgement)


def _filters_left(
    control_set: ControlSet, edits: Iterable[Edit], selection: Selection
) -> Iterator[ClassFilter]:
    """The filter lists as this plan leaves them."""
    changed: dict[tuple[str, str], tuple[str, ...]] = {}
    for removal in selection.filters:
        place = (fold(removal.found.key), fold(removal.found.position))
        changed[place] = (removal.after and removal.after.strings) or ()
    for edit in edits:
        if isinstance(edit, DeleteValue):
            changed[fold(edit.key), fold(edit.name)] = ()
        elif isinstance(edit, SetValue):
            changed[fold(edit.key), fold(edit.name)] = edit.data.strings or ()
    for found in control_set.filters:
        yield replace(found, names=changed.get((fold(found.key), fold(found.position)), found.names))


def _stopped(judgement: Judgement) -> Iterator[Hazard]:
    for root, names in judgement.stopped.items():
        yield Hazard(
            "dependants-stopped",
            "warn",
            f"With {root} disabled, these cannot be started on demand any more: {', '.join(names)}",
            tuple(names),
        )


def _liftable(refusal: Refusal, control_set: ControlSet, guest: Guest) -> bool:
    """Whether a person may insist: not where Windows would not start or could not be reached at all."""
    if refusal.code == "never-disable":
        return False
    graph = Graph(control_set.services)
    broken = graph.broken(frozenset({fold(refusal.service)}))
    return not any(never(graph.live[name], guest) or is_boot_driver(graph.live[name]) for name in broken)


def _cure(refusal: Refusal) -> str:
    if refusal.code == "dependency":
        return f"Set {refusal.chain[-1]} to demand or disabled first, in the same plan."
    if refusal.code == "still-a-filter":
        return "Take it out of the filter lists first"
    return ""
