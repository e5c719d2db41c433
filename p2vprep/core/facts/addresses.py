r"""IPv4 configuration: the keys below ``Tcpip\Parameters\Interfaces``.

``EnableDHCP`` alone tells whether an interface is static: one that was switched
from DHCP keeps its old lease values (observed on 7). XP keeps 0.0.0.0 as address
of DHCP interfaces; it reads as none. On a healthy machine interfaces without a
device exist: dial-up's, named by ``Adapters\NdisWanIp``, and the loopback's,
whose GUID ends in 806e6f6e6963.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

from p2vprep.core.facts.keys import Snapshot, Values, below, children, dword, strings, text
from p2vprep.core.model import Interface
from p2vprep.core.registry import Key, fold

NETWORK_CLASS = "{4D36E972-E325-11CE-BFC1-08002BE10318}"
_TCPIP = r"Services\Tcpip\Parameters"
_LOOPBACK_TAIL = "-806E6F6E6963}"
_NO_ADDRESS = ("", "0.0.0.0")  # noqa: S104 - a value in hives, nothing is bound to it
_NUMBERED = re.compile(r"\d{4}", re.ASCII)


@dataclass(frozen=True)
class NetInstance:
    r"""An instance of the network class: ``Control\Class\{4D36E972-…}\0007``."""

    number: str
    key: str
    guid: str
    """The adapter's GUID (``NetCfgInstanceId``); empty where the instance is not set up."""
    values: Snapshot


def read_net_instances(control_set: Key) -> tuple[NetInstance, ...]:
    """All numbered instances of the network class."""
    found = []
    for key in children(below(control_set, rf"Control\Class\{NETWORK_CLASS}")):
        if _NUMBERED.fullmatch(key.name):
            held = Snapshot(key)
            found.append(NetInstance(key.name, key.path, text(held, "NetCfgInstanceId"), held))
    return tuple(found)


def read_interfaces(control_set: Key, instances: Iterable[NetInstance]) -> tuple[Interface, ...]:
    """All IPv4 interfaces, with the one they belong to."""
    parameters = below(control_set, _TCPIP)
    guids = {fold(instance.guid) for instance in instances if instance.guid}
    dial_up = {
        fold(path.rpartition("\\")[2])
        for adapter in children(below(parameters, "Adapters"))
        if fold(adapter.name).startswith("NDISWANIP")
        for path in strings(adapter, "IpConfig")
    }
    return tuple(
        _interface(key, _owner(fold(key.name), guids, dial_up))
        for key in children(below(parameters, "Interfaces"))
    )


Owner = Literal["device", "ras", "loopback", "none"]


def _owner(guid: str, devices: set[str], dial_up: set[str]) -> Owner:
    if guid in devices:
        return "device"
    if guid in dial_up:
        return "ras"
    return "loopback" if guid.endswith(_LOOPBACK_TAIL) else "none"


def _interface(key: Key, owner: Owner) -> Interface:
    held = Snapshot(key)
    enabled = dword(held, "EnableDHCP")
    lease = text(held, "DhcpIPAddress")
    return Interface(
        guid=key.name,
        key=key.path,
        dhcp=None if enabled is None else enabled != 0,
        addresses=static_addresses(held),
        gateways=tuple(hop for hop in strings(held, "DefaultGateway") if hop not in _NO_ADDRESS),
        dns=tuple(re.split(r"[,\s]+", text(held, "NameServer").strip(", \t")))
        if text(held, "NameServer")
        else (),
        lease=None if lease in _NO_ADDRESS else lease,
        adapter=owner == "device",
        owner=owner,
    )


def static_addresses(held: Values) -> tuple[str, ...]:
    """The static addresses with their prefix lengths.

    The lists of addresses and masks run in parallel; a mask that is missing
    leaves the address alone, one that is not contiguous is kept as it is
    (``192.0.2.1/255.0.255.0``), as nothing shorter would be true.
    """
    masks = strings(held, "SubnetMask")
    found = []
    for place, address in enumerate(strings(held, "IPAddress")):
        if address not in _NO_ADDRESS:
            mask = masks[place] if place < len(masks) else ""
            found.append(f"{address}/{_prefix(mask)}" if mask else address)
    return tuple(found)


def _prefix(mask: str) -> str:
    try:
        bits = int(ipaddress.IPv4Address(mask))
    except ValueError:
        return mask
    length = bits.bit_count()
    return str(length) if bits == (0xFFFFFFFF << (32 - length)) & 0xFFFFFFFF else mask
