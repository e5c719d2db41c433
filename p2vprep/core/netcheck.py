"""What cannot be right in a network document, whatever the machine: pure checks of values.

Each fault names its place by the path in the document, so that whoever reads
the document can tell line and column. The same checks run again once the
configuration of old adapters was carried over.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from ipaddress import IPv4Interface

from p2vprep.core.documents.positions import Path
from p2vprep.core.netsettings import NETWORK_SETTINGS
from p2vprep.core.network import Address, AddressWithPrefix, Destination, InterfaceConfig, Network
from p2vprep.core.registry import fold

FAMILIES = (4, 6)
_LOWEST_MTU = {4: 576, 6: 1280}
"""RFC 791 and RFC 8200: what every link has to carry."""


@dataclass(frozen=True)
class Fault:
    """Something wrong, and where: ``("interfaces", 0, "gateways", 1)``."""

    path: Path
    text: str


def faults(network: Network, *, carried: bool = False) -> Iterator[Fault]:
    """Everything wrong in a network.

    ``carried``: what old adapters had is in it already. Without it, what only they can tell is not
    asked for where ``carry_over`` names one.
    """
    for place, config in enumerate(network.interfaces):
        for fault in interface_faults(config, carried=carried):
            yield Fault(("interfaces", place, *fault.path), fault.text)
    yield from _matches(network.interfaces)
    yield from _names(network.interfaces)
    yield from _twice(network.interfaces)
    yield from setting_faults(network.settings)
    if network.settings.get("multi-homing") == "on":
        yield from _one_gateway_each(network.interfaces)


def interface_faults(config: InterfaceConfig, *, carried: bool = False) -> Iterator[Fault]:
    """What is wrong within one adapter's configuration."""
    open_ended = config.carry_over is not None and not carried
    yield from _ways(config, open_ended)
    for place, address in enumerate(config.addresses):
        if reason := why_no_host(address):
            yield Fault(("addresses", place), f"{address}: {reason}")
    yield from _overlaps(config.addresses)
    yield from _gateways(config, open_ended)
    yield from _routes(config, open_ended)
    yield from _servers(config)
    if config.mtu is not None:
        lowest = _LOWEST_MTU[6 if any(one.version == 6 for one in config.addresses) else 4]
        if config.mtu < lowest:
            yield Fault(("mtu",), f"an MTU of {config.mtu} is below {lowest}, which every link must carry")


def of_family(config: InterfaceConfig, family: int) -> tuple[AddressWithPrefix, ...]:
    """The addresses of one family, 4 or 6."""
    return tuple(address for address in config.addresses if address.version == family)


def reachable(config: InterfaceConfig, hop: Address) -> bool:
    """Whether a gateway lies in one of the adapter's own subnets; every adapter has IPv6's link-local one."""
    if hop.version == 6 and hop.is_link_local:
        return True
    return any(hop in address.network for address in of_family(config, hop.version))


def why_no_host(address: AddressWithPrefix) -> str | None:
    """Why an address with its prefix cannot be a host's own, or None."""
    network = address.network
    if network.prefixlen == 0:
        return "the prefix length 0 leaves no subnet"
    for odd, what in (
        (address.is_unspecified, "the unspecified address"),
        (address.is_loopback, "a loopback address"),
        (address.is_multicast, "a multicast address"),
        (address.is_link_local, "an automatic (link-local) address, which Windows makes by itself"),
    ):
        if odd:
            return f"is {what}"
    if isinstance(address, IPv4Interface):
        return _why_no_ipv4_host(address)
    if address.ip.ipv4_mapped is not None:
        return "is an IPv4 address in IPv6 clothes"
    if network.prefixlen < 127 and address.ip == network.network_address:
        return f"is the anycast address of the subnet {network}"
    return None


def _why_no_ipv4_host(address: IPv4Interface) -> str | None:
    network = address.network
    if address.is_reserved or int(address.ip) >> 24 == 0:
        return "is a reserved address"
    if network.prefixlen < 31 and address.ip == network.network_address:
        return f"is the address of the subnet {network} itself"
    if network.prefixlen < 31 and address.ip == network.broadcast_address:
        return f"is the broadcast address of the subnet {network}"
    return None


def setting_faults(settings: Mapping[str, str]) -> Iterator[Fault]:
    """Switches that do not exist, and values they do not take."""
    for name, value in settings.items():
        known = NETWORK_SETTINGS.get(name)
        if known is None:
            yield Fault(
                ("settings", name),
                f"there is no setting {name!r}; there are: {', '.join(sorted(NETWORK_SETTINGS))}",
            )
        elif value not in known.values:
            yield Fault(
                ("settings", name),
                f"{value!r} is not a value of the setting {name!r} ({', '.join(known.values)})",
            )


# --- within one adapter ------------------------------------------------------------------------


def _ways(config: InterfaceConfig, open_ended: bool) -> Iterator[Fault]:
    """An adapter has IPv4 by DHCP or by fixed addresses, never both and never neither."""
    fixed = of_family(config, 4)
    if config.dhcp and fixed:
        yield Fault(("dhcp",), f"asks for DHCP and for the fixed address {fixed[0]}")
    if config.dhcp and any(gateway.via.version == 4 for gateway in config.gateways):
        yield Fault(("gateways",), "with DHCP the gateway comes from the server")
    if not config.dhcp and not fixed and not open_ended:
        yield Fault(
            (), "says nothing of IPv4: give an address, `dhcp: true`, or `carry-over` of an old adapter"
        )
    if config.takeover and config.carry_over is None:
        yield Fault(("takeover",), "needs carry-over, which names the adapter whose identity is taken")
    if config.takeover and config.match.stays is not None:
        yield Fault(("takeover",), "an adapter that stays has its identity already")


def _overlaps(addresses: Sequence[AddressWithPrefix]) -> Iterator[Fault]:
    """The same address twice, or subnets within each other that are not equal."""
    for place, address in enumerate(addresses):
        for other in addresses[:place]:
            if address.version != other.version:
                continue
            if address.ip == other.ip:
                yield Fault(("addresses", place), f"{address.ip} is here twice")
            elif address.network != other.network and overlap(address.network, other.network):
                yield Fault(
                    ("addresses", place),
                    f"the subnets of {address} and {other} overlap; one of the prefix lengths is wrong",
                )


def overlap(one: Destination, other: Destination) -> bool:
    """Whether two networks of any family share an address."""
    return one.version == other.version and (one.network_address in other or other.network_address in one)


def _gateways(config: InterfaceConfig, open_ended: bool) -> Iterator[Fault]:
    own = {address.ip for address in config.addresses}
    seen: set[Address] = set()
    for place, gateway in enumerate(config.gateways):
        path: Path = ("gateways", place, "via")
        if gateway.via in seen:
            yield Fault(path, f"the gateway {gateway.via} is here twice")
        seen.add(gateway.via)
        if gateway.via in own:
            yield Fault(path, f"the gateway {gateway.via} is the adapter's own address")
        elif reason := _why_no_hop(gateway.via):
            yield Fault(path, f"the gateway {gateway.via} {reason}")
        elif fault := _outside(config, gateway.via, open_ended):
            yield Fault(path, f"the gateway {gateway.via} {fault}")


def _routes(config: InterfaceConfig, open_ended: bool) -> Iterator[Fault]:
    own = {address.ip for address in config.addresses}
    seen: set[tuple[Destination, Address]] = set()
    for place, route in enumerate(config.routes):
        path: Path = ("routes", place)
        if (route.to, route.via) in seen:
            yield Fault(path, f"the route to {route.to} via {route.via} is here twice")
        seen.add((route.to, route.via))
        if route.to.prefixlen == 0:
            yield Fault(path, "a route to everywhere is a default gateway: write it under gateways")
        elif route.to.is_multicast or route.to.is_loopback:
            yield Fault(path, f"{route.to} is not a network that a route can lead to")
        elif route.to.version != route.via.version:
            yield Fault(path, f"{route.to} and {route.via} are not of one family")
        elif route.via in own:
            yield Fault((*path, "via"), f"{route.via} is the adapter's own address")
        elif reason := _why_no_hop(route.via):
            yield Fault((*path, "via"), f"{route.via} {reason}")
        elif not config.dhcp and (fault := _outside(config, route.via, open_ended)):
            yield Fault((*path, "via"), f"{route.via} {fault}")


def _why_no_hop(hop: Address) -> str | None:
    if hop.is_unspecified or hop.is_loopback or hop.is_multicast:
        return "is not the address of a router"
    return None


def _outside(config: InterfaceConfig, hop: Address, open_ended: bool) -> str | None:
    """Why an adapter cannot reach a router by itself; None where it can, or where nobody can know yet."""
    if reachable(config, hop):
        return None
    subnets = of_family(config, hop.version)
    if subnets:
        told = ", ".join(str(address.network) for address in subnets)
        return f"lies outside every subnet of the adapter ({told})"
    if open_ended:
        return None
    return f"needs an IPv{hop.version} address in the same subnet"


def _servers(config: InterfaceConfig) -> Iterator[Fault]:
    lists: tuple[tuple[str, Iterable[Address]], ...] = (("dns", config.dns), ("wins", config.wins))
    for name, servers in lists:
        seen: set[Address] = set()
        for place, server in enumerate(servers):
            if server.is_unspecified or server.is_multicast:
                yield Fault((name, place), f"{server} is not the address of a server")
            if server in seen:
                yield Fault((name, place), f"{server} is here twice")
            seen.add(server)


# --- between adapters --------------------------------------------------------------------------


def _matches(configs: Sequence[InterfaceConfig]) -> Iterator[Fault]:
    """Every adapter is meant once, and the ways to mean one go together."""
    seen: set[tuple[object, ...]] = set()
    replacing = sum(config.match.replaces is not None for config in configs)
    for place, config in enumerate(configs):
        match = config.match
        path: Path = ("interfaces", place, "match")
        named = match.replaces or match.stays
        key = (match.mac, match.index, None if named is None else fold(named), match.only)
        if key in seen:
            yield Fault(path, f"{match} is here twice")
        seen.add(key)
        if match.only and len(configs) > 1:
            yield Fault(path, "means the only adapter, but there are several interfaces in the document")
        if match.replaces is not None and replacing != len(configs):
            yield Fault(
                path, "`replaces` goes by the order of all adapters; match all of them by it, or none"
            )


def _names(configs: Sequence[InterfaceConfig]) -> Iterator[Fault]:
    seen: set[str] = set()
    for place, config in enumerate(configs):
        if config.name is None:
            continue
        if fold(config.name) in seen:
            yield Fault(("interfaces", place, "name"), f"the name {config.name!r} is here twice")
        seen.add(fold(config.name))


def _twice(configs: Sequence[InterfaceConfig]) -> Iterator[Fault]:
    """One address, or one old adapter's configuration, on two adapters."""
    owners: dict[Address, int] = {}
    sources: set[str] = set()
    for place, config in enumerate(configs):
        for number, address in enumerate(config.addresses):
            other = owners.setdefault(address.ip, place)
            if other != place:
                path: Path = ("interfaces", place, "addresses", number)
                yield Fault(path, f"interface {other} has the address {address.ip} already")
        if config.carry_over is not None:
            if fold(config.carry_over) in sources:
                yield Fault(
                    ("interfaces", place, "carry-over"),
                    f"{config.carry_over!r} is carried over to another interface already",
                )
            sources.add(fold(config.carry_over))


def _one_gateway_each(configs: Sequence[InterfaceConfig]) -> Iterator[Fault]:
    for place, config in enumerate(configs):
        for family in FAMILIES:
            several = [gateway for gateway in config.gateways if gateway.via.version == family]
            if len(several) > 1:
                yield Fault(
                    ("interfaces", place, "gateways"),
                    f"with multi-homing an adapter has at most one IPv{family} default gateway; reach the "
                    "other networks by routes",
                )
