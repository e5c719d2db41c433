"""The network columns of a table: address, mask, gateway, name servers, MAC; as a network document.

A second adapter has the same columns with a number: ``ip2``, ``gateway 2``. The document is then
read like one from a file, so what an address may be is decided in one place.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from ipaddress import IPv4Address, IPv4Interface, IPv6Interface, ip_interface

from p2vprep.core.documents.positions import Path
from p2vprep.core.documents.yamltext import Plain

_FIELDS = {
    "ip": ("ip", "ipaddress", "address", "ipv4", "ipv4address", "addresses"),
    "prefix": ("prefix", "prefixlength", "cidr"),
    "mask": ("mask", "netmask", "subnetmask", "subnet"),
    "gateway": ("gateway", "gw", "defaultgateway", "router", "gateways"),
    "dns": ("dns", "dnsserver", "dnsservers", "nameserver", "nameservers"),
    "dns-suffix": ("dnssuffix", "domain", "dnsdomain", "searchdomain"),
    "wins": ("wins", "winsserver", "winsservers"),
    "mac": ("mac", "macaddress", "hwaddr", "ethernet"),
    "adapter": ("adapter", "connection", "connectionname", "interface", "adaptername"),
    "replaces": ("replaces", "oldadapter"),
    "metric": ("metric",),
}
_DHCP = "dhcp"


_PLACES = {
    "ip": "addresses",
    "prefix": "addresses",
    "mask": "addresses",
    "gateway": "gateways",
    "mac": "match",
}
_PLACES |= {"adapter": "name", "replaces": "match"}


def path(key: str) -> Path:
    """Where a cell stands in the network document, told by its key; adapters are numbered without a gap."""
    _, number, field = key.split(":", 2)
    return ("interfaces", int(number) - 1, _PLACES.get(field, field))


def names() -> list[str]:
    """All headings that are understood, of the first adapter."""
    return [name for held in _FIELDS.values() for name in held]


def key(bare: str) -> str | None:
    """``net:N:FIELD`` for a heading without case and blanks; None where it means nothing here."""
    for group, tail in ((bare, ""), *_numbered(bare)):
        for field, held in _FIELDS.items():
            if group in held:
                return f"net:{tail or 1}:{field}"
    return None


def _numbered(bare: str) -> Iterable[tuple[str, str]]:
    match = re.fullmatch(r"(.*?)(\d)", bare)
    return [(match.group(1), match.group(2))] if match else []


def document(cells: Mapping[str, tuple[str, str]]) -> tuple[Plain, list[str]]:
    """The network document of a row's cells (text and place by key), and what is wrong with them."""
    adapters: dict[str, dict[str, tuple[str, str]]] = {}
    for name, cell in cells.items():
        _, number, field = name.split(":", 2)
        adapters.setdefault(number, {})[field] = cell
    faults: list[str] = []
    interfaces: list[Plain] = [
        _interface(held, int(number) - 1, len(adapters), faults) for number, held in sorted(adapters.items())
    ]
    return {"schema": "p2vprep.network/1", "interfaces": interfaces}, faults


def _interface(held: Mapping[str, tuple[str, str]], index: int, count: int, faults: list[str]) -> Plain:
    found: dict[str, Plain] = {"match": _match(held, index, count, faults)}
    if "adapter" in held:
        found["name"] = held["adapter"][0]
    addresses = _addresses(held, faults)
    if addresses == [_DHCP]:
        found["dhcp"] = True
    elif addresses:
        found["addresses"] = addresses
    if "gateway" in held:
        found["gateways"] = [{"via": one} for one in _several(held["gateway"][0])]
    for field in ("dns", "wins"):
        if field in held:
            found[field] = list[Plain](_several(held[field][0]))
    if "dns-suffix" in held:
        found["dns-suffix"] = held["dns-suffix"][0]
    if "metric" in held:
        text, place = held["metric"]
        if text.isdigit():
            found["metric"] = int(text)
        else:
            faults.append(f"{place}: {text!r} is no number")
    return found


def _match(held: Mapping[str, tuple[str, str]], index: int, count: int, faults: list[str]) -> Plain:
    if "mac" in held:
        text, place = held["mac"]
        digits = re.sub(r"[^0-9a-f]", "", text.casefold())
        if len(digits) != 12 or re.search(r"[^0-9a-f:.\-\s]", text.casefold()):
            faults.append(f"{place}: {text!r} is no MAC address")
        return {"mac": ":".join(digits[at : at + 2] for at in range(0, 12, 2))}
    if "replaces" in held:
        return {"replaces": held["replaces"][0]}
    return {"only": True} if count == 1 else {"index": index}


def _addresses(held: Mapping[str, tuple[str, str]], faults: list[str]) -> list[Plain]:
    text, place = held.get("ip", ("", ""))
    if text.casefold() == _DHCP:
        return [_DHCP]
    found: list[Plain] = []
    try:
        found += [str(_with_prefix(one, held)) for one in _several(text)]
    except ValueError as problem:
        faults.append(f"{place}: {problem}")
    if not text and ("mask" in held or "prefix" in held):
        faults.append(f"{(held.get('mask') or held['prefix'])[1]}: there is a mask without an address")
    return found


def _with_prefix(address: str, held: Mapping[str, tuple[str, str]]) -> IPv4Interface | IPv6Interface:
    """The address with its prefix length, its own or that of the columns beside it."""
    if "/" in address:
        return ip_interface(address)
    prefix = held["prefix"][0].lstrip("/") if "prefix" in held else None
    mask = held["mask"][0].lstrip("/") if "mask" in held else None
    if prefix is None and mask is None:
        raise ValueError(f"{address} has neither a prefix length nor a mask")
    if prefix is None and mask is not None:
        prefix = (
            mask if mask.isdigit() else str(IPv4Interface(f"0.0.0.0/{IPv4Address(mask)}").network.prefixlen)
        )
    return ip_interface(f"{address}/{prefix}")


def _several(text: str) -> list[str]:
    return [part for part in re.split(r"[;,|\s]+", text) if part]
