r"""What a DHCP server of the old network left behind is cleared, so that the client asks anew.

With the old lease in its hand the client asks for an address that the new
network may not have, waits, and meanwhile resolves names through servers that
are gone. Without it the adapter counts as new. ``EnableDHCP`` is the only
truth about whether an adapter uses DHCP: adapters that were switched to a
fixed address keep their old lease values, so those are cleared as well
(observed on Windows 7). So is what images that were sealed for streaming hold
in their place (0.0.0.0, 255.255.255.255, times of 0). Fixed addresses and name
servers, user classes, and the DHCPv6 identifier of the machine stay, unless a
new one is asked for. Value names and their meaning: observed on XP, 2003, 7,
8.1 and 10; practice of the Azure repair scripts.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator

from p2vprep.core.model import DeleteKey, DeleteValue, RuleYield
from p2vprep.core.profiles import Setting
from p2vprep.core.registry import Key, find, fold, join
from p2vprep.core.rules.context import RuleContext

NAME = "stale-dhcp"
KINDS: tuple[str, ...] = ()
SETTINGS: tuple[Setting, ...] = (
    Setting(
        "stale-dhcp",
        default="clear",
        values=("clear", "keep"),
        help="What DHCP servers of the old network left behind: clear it, or keep it.",
    ),
    Setting(
        "dhcpv6-identifier",
        default="keep",
        values=("keep", "new"),
        help="The machine's DHCPv6 identifier: keep it (reservations), or new (an image of many machines).",
    ),
)

_PREFIX = "DHCP"
_LEASE_NAMES = frozenset(
    fold(name)
    for name in (
        "Lease",
        "LeaseObtainedTime",
        "T1",
        "T2",
        "LeaseTerminatesTime",
        "AddressType",
        "IsServerNapAware",
        "IPAutoconfigurationAddress",
        "IPAutoconfigurationMask",
        "IPAutoconfigurationSeed",
        "IPAutoconfigurationSubnet",
    )
)
_REGISTERED_NAMES = frozenset(
    fold(name)
    for name in (
        "HostAddrs",
        "DnsServers",
        "SentUpdateToIp",
        "SentPriUpdateToIp",
        "RegisteredAddresses",
        "RegisteredAddressCount",
        "DNSServerAddresses",
        "DNSServerAddressCount",
    )
)
"""What the DNS client remembers of its last registration: 7 (the first four) and 2003 (observed)."""
_KEPT_NAMES = frozenset(fold(name) for name in ("DhcpClassId", "DhcpClassIdBin", "Dhcpv6DUID"))
_LOOPBACK_ENDING = "806E6F6E6963}"
_GUID = re.compile(r"\{[0-9A-Fa-f]{8}(-[0-9A-Fa-f]{4}){3}-[0-9A-Fa-f]{12}\}")
_HINT = re.compile(r"(?:[0-9A-Fa-f]{2})+")
_WHY_LEASE = "left from a lease of the old network; the client would ask for it again and wait"
_WHY_GLOBAL = "name servers and domain that a DHCP server of the old network gave"
_WHY_NETBIOS = "NetBIOS options that a DHCP server of the old network gave"
_WHY_CACHE = "options cached from a DHCP server of the old network"
_WHY_REGISTERED = "addresses that were registered with name servers of the old network"
_WHY_IDENTIFIER = "every machine made of this image must have its own DHCPv6 identifier"
_IDENTIFIER = "Dhcpv6DUID"
_WHY_HINT = "a lease remembered for a network this machine will not see again"


def rule(context: RuleContext) -> Iterator[RuleYield]:
    """Deletes lease values and caches, per adapter and global, for IPv4, IPv6 and NetBIOS."""
    if context.setting("dhcpv6-identifier") == "new":
        yield from _identifier(context)
    if context.setting("stale-dhcp") == "keep":
        return
    yield from _global_values(context)
    for path in (r"Services\Tcpip\Parameters\Interfaces", r"Services\Tcpip6\Parameters\Interfaces"):
        for interface in _subkeys(context, path):
            if not fold(interface.name).endswith(_LOOPBACK_ENDING):
                yield from _values(interface, is_lease, _WHY_LEASE)
                yield from _hints(interface)
    for interface in _subkeys(context, r"Services\NetBT\Parameters\Interfaces"):
        yield from _values(interface, is_given, _WHY_NETBIOS)
    for copy in _service_copies(context):
        yield from _values(copy, is_lease, _WHY_LEASE)
    yield from _option_caches(context)
    for adapter in _subkeys(context, r"Services\Tcpip\Parameters\DNSRegisteredAdapters"):
        yield from _values(adapter, lambda name: fold(name) in _REGISTERED_NAMES, _WHY_REGISTERED)


def is_given(name: str) -> bool:
    """Whether a value of this name was given by a DHCP server: every ``Dhcp…`` that is not the user's own."""
    return fold(name).startswith(_PREFIX) and fold(name) not in _KEPT_NAMES


def is_lease(name: str) -> bool:
    """Whether a value of this name below an interface belongs to a lease or an automatic address."""
    return fold(name) in _LEASE_NAMES or is_given(name)


def _global_values(context: RuleContext) -> Iterator[DeleteValue]:
    for path, why in (
        (r"Services\Tcpip\Parameters", _WHY_GLOBAL),
        (r"Services\Tcpip6\Parameters", _WHY_GLOBAL),
        (r"Services\NetBT\Parameters", _WHY_NETBIOS),
    ):
        key = context.key(path)
        if key is not None:
            yield from _values(key, is_given, why)


def _identifier(context: RuleContext) -> Iterator[DeleteValue]:
    key = context.key(r"Services\Tcpip6\Parameters")
    if key is not None:
        yield from _values(key, lambda name: fold(name) == fold(_IDENTIFIER), _WHY_IDENTIFIER)


def _service_copies(context: RuleContext) -> Iterator[Key]:
    r"""``Services\{GUID}\Parameters\Tcpip``: the copy that XP to 8.1 keep for older programs."""
    for service in _subkeys(context, "Services"):
        if _GUID.fullmatch(service.name):
            copy = find(context.system, join(service.path, r"Parameters\Tcpip"))
            if copy is not None:
                yield copy


def _option_caches(context: RuleContext) -> Iterator[DeleteValue]:
    r"""``Dhcp\Parameters``: before Vista one value per adapter, named by its GUID."""
    key = context.key(r"Services\Dhcp\Parameters")
    if key is not None:
        yield from _values(key, lambda name: _GUID.fullmatch(name) is not None, _WHY_CACHE)


def _hints(interface: Key) -> Iterator[DeleteKey]:
    """Subkeys named by a network hint in hex digits: leases remembered per wireless network (7 and later)."""
    for hint in interface.subkeys():
        if _HINT.fullmatch(hint.name):
            yield DeleteKey("SYSTEM", hint.path, NAME, _WHY_HINT)


def _subkeys(context: RuleContext, path: str) -> Iterator[Key]:
    key = context.key(path)
    if key is not None:
        yield from key.subkeys()


def _values(key: Key, stale: Callable[[str], bool], why: str) -> Iterator[DeleteValue]:
    for name, _data in key.values():
        if stale(name):
            yield DeleteValue("SYSTEM", key.path, name, NAME, why)
