r"""Persistent IPv4 routes: ``Tcpip\Parameters\PersistentRoutes``.

One value for each route, named ``destination,mask,gateway,metric``, its text empty (observed on 7;
Microsoft's ``route -p``). No interface is named. Vista and later list fixed default gateways there as
well, with metric -1 for automatic, also those of ghosts (observed on 7). Which interface a route belongs
to is told by the network its gateway lies in.
"""

from __future__ import annotations

from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Interface, IPv4Network

from p2vprep.core.facts.keys import below
from p2vprep.core.registry import Key

PERSISTENT_ROUTES = r"Services\Tcpip\Parameters\PersistentRoutes"
_EVERYWHERE = IPv4Network("0.0.0.0/0")


@dataclass(frozen=True)
class PersistentRoute:
    """One route as the registry tells it."""

    value: str
    """The name of its value, as spelt."""
    to: IPv4Network
    via: IPv4Address
    metric: int | None
    """None: automatic."""

    @property
    def is_default(self) -> bool:
        return self.to == _EVERYWHERE


def read_routes(control_set: Key) -> tuple[PersistentRoute, ...]:
    """All persistent routes that can be read; names of another form are passed over."""
    key = below(control_set, PERSISTENT_ROUTES)
    if key is None:
        return ()
    return tuple(route for name, _data in key.values() if (route := parse_route(name)) is not None)


def parse_route(name: str) -> PersistentRoute | None:
    """The route that a value of this name stands for, or None."""
    parts = [part.strip() for part in name.split(",")]
    if len(parts) != 4:
        return None
    try:
        to = IPv4Network(f"{parts[0]}/{parts[1]}", strict=False)
        metric = int(parts[3])
        return PersistentRoute(name, to, IPv4Address(parts[2]), metric if metric > 0 else None)
    except ValueError:
        return None


def leads_into(route: PersistentRoute, networks: tuple[IPv4Interface, ...]) -> bool:
    """Whether the route's gateway lies in one of an interface's networks."""
    return any(route.via in address.network for address in networks)
