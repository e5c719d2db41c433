r"""The whole network configuration of one adapter as it is on the disk, for those who carry it over.

IPv4 is below ``Tcpip\Parameters\Interfaces\{GUID}``, WINS and NetBIOS below ``NetBT``, the name below
``Control\Network``, IPv6 name servers below ``Tcpip6`` (value names and types: observed on XP, 2003, 7,
8.1 and 10). A fixed IPv6 address is only in the binary store of the stack, ``Control\Nsi\{eb004a01-…}\10``,
named LUID and address. No hive at hand holds one: the layout is that of IPv4, which was observed on 7,
and what does not look like it in every part is not read but told.
"""

from __future__ import annotations

import re
import struct
from dataclasses import dataclass, field
from ipaddress import IPv4Address, IPv4Interface, IPv6Address, IPv6Interface, ip_address
from typing import Literal

from p2vprep.core.facts.addresses import NETWORK_CLASS
from p2vprep.core.facts.keys import Snapshot, Values, below, children, dword, text
from p2vprep.core.facts.luids import LUID_DIGITS, luid_of
from p2vprep.core.facts.routes import PersistentRoute, leads_into, read_routes
from p2vprep.core.network import Address, Gateway, InterfaceConfig, Match, Route
from p2vprep.core.registry import Hive, Key, find, fold
from p2vprep.core.values import Data, RegType

IPV6_ADDRESSES = r"Control\Nsi\{eb004a01-9b1a-11d4-9123-0050047759bc}\10"
_NSI_DATA = 48
_UNSET_LIFETIME = 0xFFFFFFFF
_NETBIOS: dict[int, Literal["on", "off"]] = {1: "on", 2: "off"}
_NO_ADDRESS = ("", "0.0.0.0")  # noqa: S104 - a value in hives, nothing is bound to it


@dataclass(frozen=True)
class OldConfiguration:
    """What an adapter was configured to, and what of it could not be taken over."""

    config: InterfaceConfig
    """``match`` is ``replaces`` with the adapter's GUID; only what is fixed, nothing of a lease."""
    notes: tuple[str, ...] = ()
    """What could not be read, one sentence each."""


def configuration_of(system: Hive, control_set: str, guid: str) -> InterfaceConfig:
    """All that the adapter is configured to, without what could not be read.

    An adapter that is not there has an empty configuration that uses DHCP. Use
    :func:`read_configuration` to learn what was left out.
    """
    return read_configuration(system, control_set, guid).config


def read_configuration(system: Hive, control_set: str, guid: str) -> OldConfiguration:
    r"""The configuration of the adapter with this GUID (with braces, any case) in one control set.

    ``EnableDHCP`` decides whether addresses are fixed; name servers may be fixed either way.
    """
    return _Reader(find(system, control_set), guid).read()


@dataclass
class _Reader:
    """Reads one adapter; collects what cannot be read."""

    root: Key | None
    guid: str
    notes: list[str] = field(default_factory=list)

    def read(self) -> OldConfiguration:
        held = Snapshot(below(self.root, rf"Services\Tcpip\Parameters\Interfaces\{self.guid}"))
        six = Snapshot(below(self.root, rf"Services\Tcpip6\Parameters\Interfaces\{self.guid}"))
        wins = Snapshot(below(self.root, rf"Services\NetBT\Parameters\Interfaces\Tcpip_{self.guid}"))
        enabled = dword(held, "EnableDHCP")
        four = self._addresses(held)
        dhcp = enabled != 0 if enabled is not None else not four
        fixed = () if dhcp else four
        gateways = () if dhcp else self._gateways(held)
        extra, routes = self._routes(fixed or leased(held), gateways)
        connection = rf"Control\Network\{NETWORK_CLASS}\{self.guid}\Connection"
        config = InterfaceConfig(
            match=Match(replaces=self.guid),
            name=text(below(self.root, connection), "Name") or None,
            dhcp=dhcp,
            addresses=(*fixed, *self._ipv6()),
            gateways=gateways if dhcp else (*gateways, *extra),
            metric=dword(held, "InterfaceMetric") or None,
            dns=(*self._servers(text(held, "NameServer")), *self._servers(text(six, "NameServer"))),
            dns_suffix=text(held, "Domain") or None,
            register_dns=False if dword(held, "RegistrationEnabled") == 0 else None,
            wins=tuple(one for one in self._list(wins, "NameServerList") if isinstance(one, IPv4Address)),
            netbios=_NETBIOS.get(dword(wins, "NetbiosOptions") or 0),
            routes=routes,
            mtu=dword(held, "MTU") or None,
        )
        return OldConfiguration(config, tuple(self.notes))

    def _addresses(self, held: Snapshot) -> tuple[IPv4Interface, ...]:
        masks = aligned_strings(held.value("SubnetMask"))
        found: list[IPv4Interface] = []
        for place, address in enumerate(aligned_strings(held.value("IPAddress"))):
            if address in _NO_ADDRESS:
                continue
            mask = masks[place] if place < len(masks) else ""
            try:
                found.append(with_mask(address, mask))
            except ValueError:
                self.notes.append(f"the address {address} with the mask {mask or '(none)'} makes no network")
        return tuple(dict.fromkeys(found))

    def _gateways(self, held: Snapshot) -> tuple[Gateway, ...]:
        metrics = aligned_strings(held.value("DefaultGatewayMetric"))
        found: list[Gateway] = []
        for place, hop in enumerate(aligned_strings(held.value("DefaultGateway"))):
            if hop in _NO_ADDRESS:
                continue
            metric = metrics[place] if place < len(metrics) else ""
            try:
                found.append(Gateway(IPv4Address(hop), int(metric or "0") or None))
            except ValueError:
                self.notes.append(f"the gateway {hop} with the metric {metric or '(none)'} cannot be read")
        return tuple(dict.fromkeys(found))

    def _routes(
        self, addresses: tuple[IPv4Interface, ...], gateways: tuple[Gateway, ...]
    ) -> tuple[tuple[Gateway, ...], tuple[Route, ...]]:
        """Default gateways that only the persistent routes tell, and the adapter's other routes."""
        if self.root is None:
            return (), ()
        mine = [route for route in read_routes(self.root) if leads_into(route, addresses)]
        known = {gateway.via for gateway in gateways}
        others: list[PersistentRoute] = []
        for route in mine:
            if route.is_default and known and route.via not in known:
                self.notes.append(f"a persistent route names another default gateway, {route.via}")
            elif route.is_default and not known:
                others.append(route)
        defaults = tuple(Gateway(route.via, route.metric) for route in others)
        routes = (Route(route.to, route.via, route.metric) for route in mine if not route.is_default)
        return tuple(dict.fromkeys(defaults)), tuple(dict.fromkeys(routes))

    def _servers(self, joined: str) -> tuple[Address, ...]:
        """Name servers joined by commas or blanks."""
        return self._parsed(tuple(part for part in re.split(r"[,;\s]+", joined) if part))

    def _list(self, held: Snapshot, name: str) -> tuple[Address, ...]:
        return self._parsed(tuple(part for part in aligned_strings(held.value(name)) if part))

    def _parsed(self, texts: tuple[str, ...]) -> tuple[Address, ...]:
        found = [self._address(one) for one in texts]
        return tuple(dict.fromkeys(one for one in found if one is not None and not one.is_unspecified))

    def _address(self, written: str) -> Address | None:
        try:
            return ip_address(written)
        except ValueError:
            self.notes.append(f"{written!r} is no address of a server")
            return None

    def _ipv6(self) -> tuple[IPv6Interface, ...]:
        store, number = below(self.root, IPV6_ADDRESSES), self._luid()
        if store is None or number is None:
            return ()
        found: list[IPv6Interface] = []
        for name, data in store.values():
            if name[:LUID_DIGITS].lower() != number:
                continue
            address = fixed_ipv6(name, data)
            if address is None:
                self.notes.append("a fixed IPv6 address is stored in a form that is not known")
            else:
                found.append(address)
        return tuple(dict.fromkeys(found))

    def _luid(self) -> str | None:
        for instance in children(below(self.root, rf"Control\Class\{NETWORK_CLASS}")):
            held = Snapshot(instance)
            if fold(text(held, "NetCfgInstanceId")) == fold(self.guid):
                return luid_of(held)
        return None


def aligned_strings(data: Data | None) -> tuple[str, ...]:
    """The strings of a list with the empty ones between others, as lists that run in parallel need them.

    Of a plain text: that one. Empty strings at the end are left out.
    """
    if data is None:
        return ()
    if data.type != RegType.MULTI_SZ:
        return (data.text,) if data.text else ()
    parts = data.raw[: len(data.raw) & ~1].decode("utf-16-le", "surrogatepass").split("\0")
    while parts and not parts[-1]:
        parts.pop()
    return tuple(parts)


def with_mask(address: str, mask: str) -> IPv4Interface:
    """An address with its dotted mask. Raises ValueError, also for a mask with a gap or none at all."""
    bits = int(IPv4Address(mask))
    length = bits.bit_count()
    if not length or bits != (0xFFFFFFFF << (32 - length)) & 0xFFFFFFFF:
        raise ValueError(f"{mask} is no mask")
    return IPv4Interface(f"{IPv4Address(address)}/{length}")


def leased(held: Values) -> tuple[IPv4Interface, ...]:
    """The last address a DHCP server gave, with its network; empty where there is none."""
    try:
        return (with_mask(text(held, "DhcpIPAddress"), text(held, "DhcpSubnetMask")),)
    except ValueError:
        return ()


def fixed_ipv6(name: str, data: Data) -> IPv6Interface | None:
    """The fixed address that a value of the IPv6 store stands for; None where any part of it looks odd.

    Name: LUID (8 bytes) and address (16) in hex. Data: as of IPv4, 48 bytes that begin with two lifetimes
    (endless where fixed), two origins and the prefix length, 32 bits each.
    """
    try:
        raw = bytes.fromhex(name)
    except ValueError:
        return None
    if len(raw) != 24 or len(data.raw) != _NSI_DATA:
        return None
    preferred, valid, _prefix_origin, _suffix_origin, length = struct.unpack_from("<5I", data.raw)
    address = IPv6Address(raw[8:])
    usable = not (
        address.is_link_local or address.is_multicast or address.is_unspecified or address.is_loopback
    )
    endless = preferred == valid == _UNSET_LIFETIME
    return IPv6Interface((address, length)) if usable and endless and 1 <= length <= 128 else None
