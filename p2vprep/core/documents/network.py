"""The network document ``p2vprep.network/1``: what each adapter shall have, and switches for the machine.

Every fault has its file, line and column: unknown keys, malformed addresses,
and all that :mod:`p2vprep.core.netcheck` finds wrong whatever the machine.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from ipaddress import IPv4Address, IPv4Interface, IPv6Interface, ip_address, ip_interface, ip_network
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BeforeValidator, Field, PlainValidator, model_validator

from p2vprep.core import netcheck
from p2vprep.core.documents.actions import Strict
from p2vprep.core.documents.yamltext import parse, validate
from p2vprep.core.netsettings import NETWORK_SETTINGS
from p2vprep.core.network import (
    Address,
    AddressWithPrefix,
    Destination,
    Gateway,
    InterfaceConfig,
    Match,
    Network,
    Route,
)
from p2vprep.errors import DocumentError

SCHEMA = "p2vprep.network/1"
_HINT = "docs/network.md tells every key, with examples."
_HIGHEST_METRIC = 9999
"""What Windows' own dialogue takes."""
_HIGHEST_MTU = 65535
_NOT_IN_NAMES = set('\\/:*?"<>|')
"""What Windows refuses in the name of a connection."""
_LONGEST_NAME = 200


# --- single values -----------------------------------------------------------------------------


def _text(plain: Any, what: str) -> str:
    if not isinstance(plain, str) or not plain.strip():
        raise ValueError(f"{plain!r} is not {what}")
    return plain.strip()


def _address(plain: Any) -> Address:
    text = _text(plain, "an address, such as 192.0.2.1 or 2001:db8::1")
    if "/" in text:
        raise ValueError(f"{text!r} has a prefix length; an address alone is wanted here")
    return ip_address(_without_scope(text))


def _ipv4_address(plain: Any) -> IPv4Address:
    address = _address(plain)
    if not isinstance(address, IPv4Address):
        raise ValueError(f"{plain!r} is not an IPv4 address")  # noqa: TRY004 - pydantic wants ValueError
    return address


def _address_with_prefix(plain: Any) -> AddressWithPrefix:
    text = _text(plain, "an address with its prefix length, such as 192.0.2.10/24")
    if "/" not in text:
        raise ValueError(f"{text!r} has no prefix length; write {text}/24, or what the subnet has")
    return ip_interface(_without_scope(text))


def _destination(plain: Any) -> Destination:
    text = _text(plain, "a network, such as 198.51.100.0/24")
    if "/" not in text:
        raise ValueError(f"{text!r} has no prefix length; a single host is {text}/{_whole(text)}")
    try:
        return ip_network(_without_scope(text))
    except ValueError:
        wide = ip_network(text, strict=False)
        raise ValueError(f"{text!r} is a host in the network {wide}; write {wide}") from None


def _whole(text: str) -> int:
    return 128 if ":" in text else 32


def _without_scope(text: str) -> str:
    if "%" in text:
        raise ValueError(f"{text!r} has a scope (%); Windows numbers adapters anew")
    return text


def _mac(plain: Any) -> str:
    """``00155D0A0B0C``, with dashes, colons or dots or without, as lower case with colons."""
    digits = re.sub(r"[-:.]", "", _text(plain, "a MAC address")).lower()
    if not re.fullmatch(r"[0-9a-f]{12}", digits):
        raise ValueError(f"{plain!r} is not a MAC address, such as 00:15:5d:0a:0b:0c (in quotes)")
    raw = bytes.fromhex(digits)
    if raw[0] & 1 or not any(raw):
        raise ValueError(f"{plain!r} is not the MAC address of one adapter")
    return raw.hex(":")


def _connection_name(name: str) -> str:
    name = name.strip()
    if not name or len(name) > _LONGEST_NAME:
        raise ValueError(f"a name has 1 to {_LONGEST_NAME} signs")
    if wrong := [sign for sign in name if sign in _NOT_IN_NAMES or not sign.isprintable()]:
        raise ValueError(f"{name!r}: Windows takes no {wrong[0]!r} in the name of a connection")
    return name


def _domain(name: str) -> str:
    label = r"[A-Za-z0-9_]([A-Za-z0-9_-]{0,61}[A-Za-z0-9_])?"
    if len(name) > 253 or not re.fullmatch(rf"{label}(\.{label})*", name):
        raise ValueError(f"{name!r} is not a DNS suffix, such as corp.example")
    return name


def _from_text(read: Callable[[Any], Any]) -> PlainValidator:
    return PlainValidator(read, json_schema_input_type=str)


_AsTuple = BeforeValidator(lambda plain: tuple(plain) if isinstance(plain, list) else plain)
IpAddress = Annotated[Address, _from_text(_address)]
Ipv4 = Annotated[IPv4Address, _from_text(_ipv4_address)]
WithPrefix = Annotated[IPv4Interface | IPv6Interface, _from_text(_address_with_prefix)]
To = Annotated[Destination, _from_text(_destination)]
Mac = Annotated[str, _from_text(_mac)]
Name = Annotated[str, AfterValidator(_connection_name)]
Named = Annotated[str, Field(min_length=1, max_length=_LONGEST_NAME)]
"""The name of an adapter of the source, or its GUID."""
Metric = Annotated[int, Field(ge=1, le=_HIGHEST_METRIC)]


# --- the parts ---------------------------------------------------------------------------------


class MatchPart(Strict):
    """Which adapter is meant; exactly one key."""

    mac: Mac | None = None
    index: Annotated[int, Field(ge=0, le=99)] | None = None
    replaces: Named | None = None
    stays: Named | None = None
    only: Literal[True] | None = None

    @model_validator(mode="after")
    def _one(self) -> MatchPart:
        given = [name for name in type(self).model_fields if getattr(self, name) is not None]
        if len(given) != 1:
            found = " and ".join(given) or "nothing"
            raise ValueError(f"takes exactly one of {', '.join(type(self).model_fields)}; here is {found}")
        return self

    def value(self) -> Match:
        return Match(self.mac, self.index, self.replaces, self.stays, bool(self.only))


class GatewayPart(Strict):
    """A default gateway: ``{via: 192.0.2.1, metric: 1}``, or its address alone."""

    via: IpAddress
    metric: Metric | None = None


class RoutePart(Strict):
    """A persistent route."""

    to: To
    via: IpAddress
    metric: Metric | None = None


def _as_gateway(plain: Any) -> Any:
    return {"via": plain} if isinstance(plain, str) else plain


Gateways = Annotated[
    tuple[
        Annotated[GatewayPart, BeforeValidator(_as_gateway, json_schema_input_type=str | GatewayPart)], ...
    ],
    _AsTuple,
]


class InterfacePart(Strict):
    """One adapter: which one, and all it shall have."""

    match: MatchPart
    name: Name | None = None
    dhcp: bool = False
    addresses: Annotated[tuple[WithPrefix, ...], _AsTuple] = ()
    gateways: Gateways = ()
    metric: Metric | None = None
    dns: Annotated[tuple[IpAddress, ...], _AsTuple] = ()
    dns_suffix: Annotated[str, AfterValidator(_domain)] | None = None
    register_dns: bool | None = None
    wins: Annotated[tuple[Ipv4, ...], _AsTuple] = ()
    netbios: Literal["default", "on", "off"] | None = None
    routes: Annotated[tuple[RoutePart, ...], _AsTuple] = ()
    mtu: Annotated[int, Field(ge=576, le=_HIGHEST_MTU)] | None = None
    carry_over: Named | None = None
    takeover: bool = False

    def value(self) -> InterfaceConfig:
        return InterfaceConfig(
            match=self.match.value(),
            name=self.name,
            dhcp=self.dhcp,
            addresses=self.addresses,
            gateways=tuple(Gateway(one.via, one.metric) for one in self.gateways),
            metric=self.metric,
            dns=self.dns,
            dns_suffix=self.dns_suffix,
            register_dns=self.register_dns,
            wins=self.wins,
            netbios=self.netbios,
            routes=tuple(Route(one.to, one.via, one.metric) for one in self.routes),
            mtu=self.mtu,
            carry_over=self.carry_over,
            takeover=self.takeover,
        )


class NetworkDocument(Strict):
    """The whole document."""

    schema_id: Annotated[Literal["p2vprep.network/1"], Field(alias="schema")]
    interfaces: Annotated[tuple[InterfacePart, ...], _AsTuple] = ()
    settings: dict[str, str] = Field(default_factory=dict)


def load(text: str, source: str) -> Network:
    """The network of a document. Raises DocumentError with file, line and column of every fault."""
    plain, positions = parse(text, source)
    if isinstance(plain, dict) and plain.get("schema") not in (SCHEMA, None):
        raise DocumentError(
            f"{positions.place(('schema',))}: this is {plain['schema']!r}, not {SCHEMA!r}", subject=source
        )
    document = validate(NetworkDocument, plain, positions, hint=_HINT)
    network = Network(
        interfaces=tuple(part.value() for part in document.interfaces), settings=dict(document.settings)
    )
    faults = [f"{positions.place(fault.path)}: {fault.text}" for fault in netcheck.faults(network)]
    if not network.interfaces and not network.settings:
        faults.append(f"{positions.place(())}: says nothing; give interfaces, settings, or both")
    if faults:
        more = f" (and {len(faults) - 1} more)" if len(faults) > 1 else ""
        raise DocumentError(faults[0] + more, subject=source, details=tuple(faults), hint=_HINT)
    return network


def json_schema() -> dict[str, Any]:
    """The JSON Schema of the network document, for editors."""
    schema = NetworkDocument.model_json_schema(by_alias=True)
    schema["properties"]["settings"] = {
        "type": "object",
        "additionalProperties": False,
        "properties": {
            name: {"enum": list(setting.values), "description": setting.help}
            for name, setting in NETWORK_SETTINGS.items()
        },
    }
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "$id": SCHEMA,
        **schema,
        "title": "p2vprep network",
    }
