r"""Internet Connection Sharing: whether it is likely on, told at rest.

Which connection is shared is kept in the WMI repository, not in the registry, and the scope addresses
are there although sharing is off (observed on 7 to 10). So it takes two signs: the service is able to
start by itself, and an adapter holds the address that sharing gives itself. From 10 1709 on sharing
outlives a restart only with ``EnableRebootPersistConnection`` (Microsoft: ICS doesn't work after a restart).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Interface, IPv4Network

from p2vprep.core.facts.keys import dword, text
from p2vprep.core.model import ControlSet, Facts, Service, Start
from p2vprep.core.registry import Hive, find, fold, join
from p2vprep.core.selection import as_given_back

SHARED_ACCESS = "SharedAccess"
FIRST_WITH_OWN_FIREWALL = (6, 0)
"""Before Vista the service is Windows' firewall as well."""
_VISTA_SCOPE, _XP_SCOPE = "192.168.137.1", "192.168.0.1"
_PERSISTS = r"Microsoft\Windows\CurrentVersion\SharedAccess"


@dataclass(frozen=True)
class Sharing:
    """The network that sharing would serve, and the signs that it is on (none: it is not, or not known)."""

    network: IPv4Network
    signs: tuple[str, ...] = ()


def sharing(facts: Facts, hives: Mapping[str, Hive]) -> Sharing:
    """Whether Internet Connection Sharing is likely on in the control set that boots next."""
    vista = facts.guest.version.nt >= FIRST_WITH_OWN_FIREWALL
    scope = _XP_SCOPE
    if vista:
        parameters = find(hives["SYSTEM"], join(facts.boot_set, rf"Services\{SHARED_ACCESS}\Parameters"))
        scope = _valid(text(parameters, "ScopeAddress")) or _VISTA_SCOPE
    network = IPv4Interface(f"{scope}/24").network
    service = service_of(facts, SHARED_ACCESS)
    holders = [
        interface.guid
        for interface in facts.boot.interfaces
        if interface.dhcp is False and any(one.partition("/")[0] == scope for one in interface.addresses)
    ]
    if service is None or not holders or not _starts(service, hives.get("SOFTWARE")):
        return Sharing(network)
    return Sharing(
        network,
        (f"{SHARED_ACCESS} starts {service.start_name}", f"{', '.join(holders)} has the address {scope}"),
    )


def service_of(facts: Facts, name: str) -> Service | None:
    """A service of the control set that boots next, with the start type it will have again if parked."""
    given_back: ControlSet = as_given_back(facts, facts.boot)
    return next((one for one in given_back.services if fold(one.name) == fold(name)), None)


def _starts(service: Service, software: Hive | None) -> bool:
    if service.start == Start.AUTO:
        return True
    if service.start != Start.DEMAND or software is None:
        return False
    return dword(find(software, _PERSISTS), "EnableRebootPersistConnection") == 1


def _valid(scope: str) -> str | None:
    try:
        return str(IPv4Address(scope))
    except ValueError:
        return None
