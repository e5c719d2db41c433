r"""The MAC address of an adapter, where a hive at rest tells it.

In order of trust (all observed): ``NetworkSetup2\Interfaces\{GUID}\Kernel`` (10
and later); the serial in a PCI instance id, which is the MAC widened to an
EUI-64; the adapter's own override ``NetworkAddress``; the tail of the machine's
DHCPv6 identifier, where its first three bytes match exactly one card. The
gateway's MAC in ``DhcpGatewayHardware`` is never the card's.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass

from p2vprep.core.facts.adapterkinds import Kind
from p2vprep.core.facts.keys import Values, below, dword, text, value
from p2vprep.core.registry import Key, fold

__all__ = ["Duid", "Kind", "duid_owner", "find"]

_EUI64 = re.compile(r"PCI\\[^\\]+\\([0-9A-F]{6})FFFF([0-9A-F]{6})[0-9A-F]{2}", re.IGNORECASE)
_TWELVE_DIGITS = re.compile(r"[0-9A-F]{12}", re.IGNORECASE)
_TCPIP6 = r"Services\Tcpip6\Parameters"
_DUID_TYPES = {1: 8, 3: 4}
"""RFC 8415: where the link-layer address starts in a DUID-LLT (1) and a DUID-LL (3)."""
_MAC_BYTES = 6


@dataclass(frozen=True)
class Duid:
    """The MAC from the machine's DHCPv6 identifier and the adapter it belongs to."""

    guid: str
    mac: str


def find(setup: Values | None, instance_path: str, held: Values, duid: Duid | None, guid: str) -> str | None:
    """The MAC as ``00:0c:29:66:1a:a2``; None where nothing tells it."""
    for name in ("PermanentAddress", "CurrentAddress"):
        data = value(setup, name)
        if data is not None and len(data.raw) == _MAC_BYTES and any(data.raw):
            return data.raw.hex(":")
    match = _EUI64.fullmatch(instance_path)
    if match is not None:
        return bytes.fromhex(match.group(1) + match.group(2)).hex(":")
    override = re.sub(r"[-:.\s]", "", text(held, "NetworkAddress"))
    if _TWELVE_DIGITS.fullmatch(override):
        return bytes.fromhex(override).hex(":")
    return duid.mac if duid is not None and fold(duid.guid) == fold(guid) else None


def duid_owner(control_set: Key, physical: Iterable[str]) -> Duid | None:
    """The card the DHCPv6 identifier was made from, if that can be told.

    Windows makes an interface's ``Dhcpv6Iaid`` from a counter and the first three
    bytes of its MAC (observed on 7 and 8.1), so one of several cards can be told
    by it. Without such numbers only a sole card can be meant.
    """
    data = value(below(control_set, _TCPIP6), "Dhcpv6DUID")
    raw = b"" if data is None else data.raw
    start = _DUID_TYPES.get(int.from_bytes(raw[:2], "big"))
    if start is None or len(raw) != start + _MAC_BYTES:
        return None
    mac = raw[start:]
    prefixes = {guid: _iaid_prefix(control_set, guid) for guid in physical}
    matching = [guid for guid, prefix in prefixes.items() if prefix == mac[:3]]
    if not matching and len(prefixes) == 1 and None in prefixes.values():
        matching = list(prefixes)
    return Duid(matching[0], mac.hex(":")) if len(matching) == 1 else None


def _iaid_prefix(control_set: Key, guid: str) -> bytes | None:
    number = dword(below(control_set, rf"{_TCPIP6}\Interfaces\{guid}"), "Dhcpv6Iaid")
    return None if number is None else number.to_bytes(4, "big")[1:]
