"""What a machine's network shall be, as values; read from a document by ``core.documents.network``.

Addresses are those of :mod:`ipaddress`, so that 2001:DB8::10/64 and 2001:db8::10/64 are one.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from ipaddress import (
    IPv4Address,
    IPv4Interface,
    IPv4Network,
    IPv6Address,
    IPv6Interface,
    IPv6Network,
)
from typing import Literal

Address = IPv4Address | IPv6Address
AddressWithPrefix = IPv4Interface | IPv6Interface
Destination = IPv4Network | IPv6Network


@dataclass(frozen=True)
class Match:
    """Which adapter is meant; exactly one is given."""

    mac: str | None = None
    """Lower case with colons: ``00:15:5d:0a:0b:0c``."""
    index: int | None = None
    """The place among the adapters that Windows finds, from 0, in the order of their bus addresses."""
    replaces: str | None = None
    """The connection name or the GUID of an adapter of the source whose part the new one takes."""
    stays: str | None = None
    """The connection name or the GUID of an adapter of this Windows that is still there afterwards."""
    only: bool = False
    """The one adapter there is."""

    def __str__(self) -> str:
        """``mac 00:15:5d:0a:0b:0c``, ``replaces "Ethernet 2"``, … for people."""
        if self.mac is not None:
            return f"mac {self.mac}"
        if self.index is not None:
            return f"index {self.index}"
        if self.replaces is not None:
            return f'replaces "{self.replaces}"'
        if self.stays is not None:
            return f'stays "{self.stays}"'
        return "the only adapter"


@dataclass(frozen=True)
class Gateway:
    """A default gateway; without ``metric`` Windows' own (automatic)."""

    via: Address
    metric: int | None = None


@dataclass(frozen=True)
class Route:
    """A persistent route."""

    to: Destination
    via: Address
    metric: int | None = None


@dataclass(frozen=True)
class InterfaceConfig:
    """All that one adapter shall have. None, or empty: as Windows has it by itself."""

    match: Match
    name: str | None = None
    dhcp: bool = False
    """Addresses from a DHCP server; else ``addresses``. IPv6 router advertisements are left as they are."""
    addresses: tuple[AddressWithPrefix, ...] = ()
    gateways: tuple[Gateway, ...] = ()
    metric: int | None = None
    """Fixed interface metric."""
    dns: tuple[Address, ...] = ()
    dns_suffix: str | None = None
    register_dns: bool | None = None
    wins: tuple[IPv4Address, ...] = ()
    netbios: Literal["default", "on", "off"] | None = None
    routes: tuple[Route, ...] = ()
    mtu: int | None = None
    carry_over: str | None = None
    """The name or GUID of the old adapter whose whole configuration this one takes."""
    takeover: bool = False
    """Whether the new adapter shall take the old one's interface GUID as well (windows-facts 8.6)."""


@dataclass(frozen=True)
class Network:
    """The network of one machine: its adapters, and switches for the machine as a whole."""

    interfaces: tuple[InterfaceConfig, ...] = ()
    settings: Mapping[str, str] = field(default_factory=dict)
