r"""The dependency guard: what a profile may switch off and what not, whatever it says.

Refused are members of the never-list, boot- and system-start drivers (but for
those of a hypervisor alone, where the profile says so), drivers that ship with
Windows for controllers, drivers that a class or device filter list still names,
and everything whose loss would keep a service from starting
that starts by itself, a boot driver, or a member of the never-list. A service
at demand start still serves its dependants (the service manager starts it for
them), one that is disabled makes them all fail (1058, 1068): so only start
type 4 is followed through ``DependOnService`` and ``DependOnGroup``.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace

from p2vprep.core.model import ControlSet, Guest, Service, Start
from p2vprep.core.never import guest_boot_driver, in_box, never, part_of, processor_driver
from p2vprep.core.registry import fold


@dataclass(frozen=True)
class Wish:
    """A service shall get a start type; ``temporary``: the first boot gives the old one back."""

    service: Service
    start: int
    temporary: bool = False
    boot_start: bool = False
    """Whether the profile says that it may be a driver of boot or system start."""


@dataclass(frozen=True)
class Refusal:
    """Why a wish is not granted. ``chain`` runs from the service to what would break."""

    service: str
    code: str
    message: str
    chain: tuple[str, ...] = ()


@dataclass(frozen=True)
class Judgement:
    """What is refused, by folded service name, and which dependants on demand will not start any more."""

    refusals: Mapping[str, Refusal] = field(default_factory=dict)
    stopped: Mapping[str, tuple[str, ...]] = field(default_factory=dict)


def judge(
    control_set: ControlSet,
    guest: Guest,
    wishes: Sequence[Wish],
    removed_filters: frozenset[str] = frozenset(),
    hypervisors: frozenset[str] = frozenset(),
) -> Judgement:
    """Judges all wishes for a control set together, so that a set of dependants may go as a whole.

    ``removed_filters`` holds the folded names of drivers that the same plan
    takes out of every filter list; ``hypervisors`` are those that the machine goes to.
    """
    refusals: dict[str, Refusal] = {}
    granted: dict[str, Wish] = {}
    for wish in wishes:
        name = fold(wish.service.name)
        refusal = refuse_alone(
            wish.service,
            control_set,
            guest,
            removed_filters,
            boot_start=wish.boot_start,
            hypervisors=hypervisors,
        )
        if refusal is None:
            granted[name] = wish
        else:
            refusals[name] = refusal
    graph = Graph(control_set.services)
    while (found := _first_break(graph, guest, granted)) is not None:
        root, refusal = found
        refusals[root] = refusal
        del granted[root]
    return Judgement(refusals, dict(_stopped(graph, granted)))


# --- one service by itself ---------------------------------------------------------------------


def refuse_alone(
    service: Service,
    control_set: ControlSet,
    guest: Guest,
    removed_filters: frozenset[str] = frozenset(),
    *,
    boot_start: bool = False,
    hypervisors: frozenset[str] = frozenset(),
) -> Refusal | None:
    """The refusal that a service deserves whatever else is switched off, or None.

    A driver of boot or system start may go only where the profile says so
    (``boot_start``) and the guard knows it as one of a hypervisor alone, or, before Vista, of one
    maker's processors.
    """
    if reason := never(service, guest):
        return Refusal(service.name, "never-disable", f"{service.name} is never switched off: {reason}")
    if home := part_of(service, hypervisors):
        return Refusal(
            service.name, "target-needs-it", f"{service.name} is a part of {home}, which the target is"
        )
    if in_box(service):
        return Refusal(
            service.name,
            "in-box-driver",
            f"{service.name} ships with Windows and may be what the target's controller needs",
        )
    known = guest_boot_driver(service) or processor_driver(service, guest)
    if is_boot_driver(service) and not (boot_start and known):
        return Refusal(
            service.name,
            "boot-driver",
            f"{service.name} is a driver of {service.start_name} start; without it Windows may not start",
        )
    lists = filter_lists(service, control_set)
    if lists and fold(service.name) not in removed_filters:
        return Refusal(
            service.name,
            "still-a-filter",
            f"{service.name} is still named in a filter list; devices there would fail without it",
            lists,
        )
    return None


def is_boot_driver(service: Service) -> bool:
    """Whether the loader or the kernel starts this driver (start types 0 and 1)."""
    return service.kind == "driver" and service.start in {Start.BOOT, Start.SYSTEM}


def filter_lists(service: Service, control_set: ControlSet) -> tuple[str, ...]:
    """The class and device filter lists that name a driver, as ``key: position``."""
    name = fold(service.name)
    return tuple(
        f"{found.key}: {found.position}"
        for found in control_set.filters
        if any(fold(listed) == name for listed in found.names)
    )


# --- dependants --------------------------------------------------------------------------------


class Graph:
    """Who needs whom in a control set; services that cannot start as it is play no part."""

    def __init__(self, services: Sequence[Service]) -> None:
        known = {fold(service.name): service for service in services if not service.instance}
        self.members = _by_group(known)
        self.live = {name: one for name, one in known.items() if one.start != Start.DISABLED}
        while failing := [name for name, one in self.live.items() if self._fails_already(one, known)]:
            for name in failing:
                del self.live[name]
        self.members = {
            group: {name for name in names if name in self.live and _finds_all(known[name], known)}
            for group, names in self.members.items()
        }

    def _fails_already(self, service: Service, known: Mapping[str, Service]) -> bool:
        """Whether something it needs is there and cannot start."""
        if any(fold(name) in known and fold(name) not in self.live for name in _services_needed(service)):
            return True
        groups = (self.members.get(fold(group), set()) for group in _groups_needed(service))
        others = (names - {fold(service.name)} for names in groups)
        return any(names and not names & self.live.keys() for names in others)

    def broken(self, gone: frozenset[str]) -> dict[str, str]:
        """Everything that cannot start once the named are gone, with what it misses."""
        causes: dict[str, str] = {}
        grown = True
        while grown:
            grown = False
            for name, service in self.live.items():
                if name in gone or name in causes:
                    continue
                if cause := self._missing(service, gone, causes):
                    causes[name] = cause
                    grown = True
        return causes

    def _missing(self, service: Service, gone: frozenset[str], causes: Mapping[str, str]) -> str | None:
        for needed in _services_needed(service):
            if fold(needed) in gone or fold(needed) in causes:
                return fold(needed)
        for group in _groups_needed(service):
            members = self.members.get(fold(group), set()) - {fold(service.name)}
            if members and all(member in gone or member in causes for member in members):
                return min(members)
        return None

    def chain(self, name: str, causes: Mapping[str, str]) -> tuple[str, ...]:
        """The way from the service that is gone to one that breaks by it, as folded names."""
        way = [name]
        while way[-1] in causes:
            way.append(causes[way[-1]])
        return tuple(reversed(way))


def _services_needed(service: Service) -> tuple[str, ...]:
    return tuple(name for name in service.depends_on_services if not name.startswith("+"))


def _groups_needed(service: Service) -> tuple[str, ...]:
    """The groups; a name with a plus among the services is one (the form of the API)."""
    named = (name[1:] for name in service.depends_on_services if name.startswith("+"))
    return (*service.depends_on_groups, *named)


def _by_group(services: Mapping[str, Service]) -> dict[str, set[str]]:
    members: dict[str, set[str]] = {}
    for name, service in services.items():
        if service.group:
            members.setdefault(fold(service.group), set()).add(name)
    return members


def _finds_all(service: Service, known: Mapping[str, Service]) -> bool:
    """Whether every service it needs exists; without that it cannot stand for its group (1075)."""
    return all(fold(name) in known for name in _services_needed(service))


def _first_break(graph: Graph, guest: Guest, granted: Mapping[str, Wish]) -> tuple[str, Refusal] | None:
    """The first granted wish that would break something that must live.

    A service that is parked itself may miss another parked one for a while: the
    first boot gives both back. It may not miss one that is disabled for good.
    """
    off = {name: wish for name, wish in granted.items() if wish.start == Start.DISABLED}
    for_good = frozenset(name for name, wish in off.items() if not wish.temporary)
    parked = frozenset(name for name, wish in granted.items() if wish.temporary)
    for gone, spared in ((for_good, frozenset[str]()), (frozenset(off), parked)):
        causes = graph.broken(gone)
        for name in sorted(causes):
            afterwards = _afterwards(graph.live[name], granted.get(name))
            reason = None if name in spared else why_it_must_live(afterwards, guest)
            if reason:
                chain = graph.chain(name, causes)
                return chain[0], _dependency_refusal(graph, chain, reason)
    return None


def _afterwards(service: Service, wish: Wish | None) -> Service:
    """A service as it will be for good: demoted ones do not start by themselves any more."""
    if wish is None or wish.temporary:
        return service
    return replace(service, start=wish.start)


def why_it_must_live(service: Service, guest: Guest) -> str | None:
    """Why a service that is not switched off itself must go on starting; None where it need not."""
    if is_boot_driver(service):
        return f"which is a driver of {service.start_name} start"
    if never(service, guest):
        return "which must never fail"
    if service.start in {Start.BOOT, Start.SYSTEM, Start.AUTO}:
        return f"which starts by itself ({service.start_name})"
    return None


def _dependency_refusal(graph: Graph, chain: tuple[str, ...], reason: str) -> Refusal:
    names = tuple(graph.live[name].name for name in chain)
    between = f" (through {', '.join(names[1:-1])})" if len(names) > 2 else ""
    return Refusal(names[0], "dependency", f"{names[0]} is needed by {names[-1]}{between}, {reason}", names)


def _stopped(graph: Graph, granted: Mapping[str, Wish]) -> Iterator[tuple[str, tuple[str, ...]]]:
    """For each service disabled for good, the dependants on demand that will not start any more."""
    gone = frozenset(
        name for name, wish in granted.items() if wish.start == Start.DISABLED and not wish.temporary
    )
    causes = graph.broken(gone)
    by_root: dict[str, list[str]] = {}
    for name in sorted(causes):
        by_root.setdefault(graph.chain(name, causes)[0], []).append(graph.live[name].name)
    for root, names in by_root.items():
        yield root, tuple(names)
