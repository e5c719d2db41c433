r"""What is done to an adapter that is gone: made harmless, or removed with all that mentions it.

*Neutralised* it owns nothing any more: fixed addresses, gateways, name servers, WINS servers become empty
and DHCP counts; its connection gets another name; the persistent routes through its networks go; protocols
are not bound to it. No key is deleted; what a routes' value says is its name, so such values are the only
ones that are. *Removed* it leaves every place of :mod:`p2vprep.core.facts.mentions`.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass
from ipaddress import IPv4Interface

from p2vprep.core.facts.addresses import NETWORK_CLASS
from p2vprep.core.facts.keys import below, dword, strings, text
from p2vprep.core.facts.mentions import Mention
from p2vprep.core.facts.routes import PERSISTENT_ROUTES, leads_into, read_routes
from p2vprep.core.model import Adapter, DeleteKey, DeleteValue, SetValue, Skip
from p2vprep.core.network import Address
from p2vprep.core.registry import Hive, Key, find, fold
from p2vprep.core.rules.linkage import take_out
from p2vprep.core.values import Data

Yields = Iterator[SetValue | DeleteValue | DeleteKey | Skip]
NAME = "ghosts"
_LISTS = ("IPAddress", "SubnetMask", "DefaultGateway", "DefaultGatewayMetric")
_NO_ADDRESS = "0.0.0.0"  # noqa: S104 - a value in hives, nothing is bound to it
_OLD = re.compile(r".* \(old(?: \d+)?\)", re.DOTALL)
_ALIAS = r"Properties\{a111f1f4-5923-47c0-9a68-d0bafb577901}\0010"
"""The name as a device property (observed on 10)."""
_EMPTY_LIST = Data.multi_sz([])


@dataclass(frozen=True)
class Gone:
    """An adapter that is gone, and why we say so."""

    adapter: Adapter
    why: str

    @property
    def guid(self) -> str:
        return fold(self.adapter.guid)

    @property
    def title(self) -> str:
        """Its connection's name, else what it is, for people."""
        return self.adapter.name or self.adapter.description or self.adapter.guid


# --- neutralise --------------------------------------------------------------------------------


def neutralise(control_set: Key, gone: Gone, taken: set[str]) -> Yields:
    """The adapter's own values emptied, its name given back. ``taken`` holds all names there are, folded."""
    guid = gone.adapter.guid
    why = f"{gone.title} is gone ({gone.why}) and must own no address"
    for path in (
        rf"Services\Tcpip\Parameters\Interfaces\{guid}",
        rf"Services\{guid}\Parameters\Tcpip",
    ):
        yield from _addresses(below(control_set, path), why)
    six = below(control_set, rf"Services\Tcpip6\Parameters\Interfaces\{guid}")
    yield from _emptied_text(six, "NameServer", why)
    wins = below(control_set, rf"Services\NetBT\Parameters\Interfaces\Tcpip_{guid}")
    yield from _emptied_list(wins, "NameServerList", why)
    yield from _name(control_set, gone, taken)


def _addresses(key: Key | None, why: str) -> Yields:
    if key is None:
        return
    if dword(key, "EnableDHCP") == 0:
        yield SetValue("SYSTEM", key.path, "EnableDHCP", Data.dword(1), NAME, why)
    for name in _LISTS:
        yield from _emptied_list(key, name, why)
    yield from _emptied_text(key, "NameServer", why)


def _emptied_list(key: Key | None, name: str, why: str) -> Yields:
    if key is not None and any(held != _NO_ADDRESS for held in strings(key, name)):
        yield SetValue("SYSTEM", key.path, name, _EMPTY_LIST, NAME, why)


def _emptied_text(key: Key | None, name: str, why: str) -> Yields:
    if key is not None and text(key, name):
        yield SetValue("SYSTEM", key.path, name, Data.sz(""), NAME, why)


def _name(control_set: Key, gone: Gone, taken: set[str]) -> Yields:
    """Another name for the connection and for the copy that 10 and later keep."""
    guid = gone.adapter.guid
    connection = below(control_set, rf"Control\Network\{NETWORK_CLASS}\{guid}\Connection")
    kernel = below(control_set, rf"Control\NetworkSetup2\Interfaces\{guid}\Kernel")
    name = text(connection, "Name") or text(kernel, "IfAlias")
    if not name or _OLD.fullmatch(name):
        return
    number, after = 1, f"{name} (old)"
    while fold(after) in taken:
        number += 1
        after = f"{name} (old {number})"
    taken.add(fold(after))
    why = f"{gone.title} is gone ({gone.why}); its name is free for the adapter that takes its place"
    for key, value in ((connection, "Name"), (kernel, "IfAlias")):
        if key is not None and text(key, value) == name:
            yield SetValue("SYSTEM", key.path, value, Data.sz(after), NAME, why)
    alias = below(control_set, rf"Control\NetworkSetup2\Interfaces\{guid}\{_ALIAS}")
    held = None if alias is None else alias.value("")
    if alias is not None and held is not None and held.raw == Data.sz(name).raw:
        yield SetValue("SYSTEM", alias.path, "", Data(held.type, Data.sz(after).raw), NAME, why)


def drop_routes(
    control_set: Key,
    networks: tuple[IPv4Interface, ...],
    staying: tuple[IPv4Interface, ...],
    wanted: Collection[Address],
) -> Yields:
    """The persistent routes that lead only into networks of what is gone.

    ``staying`` are the networks of adapters that stay, ``wanted`` the gateways that the network
    document names: what leads there is kept.
    """
    for route in read_routes(control_set):
        if route.via in wanted or leads_into(route, staying) or not leads_into(route, networks):
            continue
        what = "default gateway" if route.is_default else f"route to {route.to}"
        why = f"a {what} in the network of an adapter that is gone"
        yield DeleteValue("SYSTEM", rf"{control_set.path}\{PERSISTENT_ROUTES}", route.value, NAME, why)


# --- remove ------------------------------------------------------------------------------------


def remove(hives: dict[str, Hive], gone: Gone, mentions: Iterable[Mention]) -> Yields:
    """Every key and value of the adapter's own deleted. Lists are :func:`close_lists`."""
    why = f"{gone.title} is gone ({gone.why})"
    for mention in mentions:
        if mention.hive not in hives:
            continue
        if mention.closing == "delete-key":
            yield DeleteKey(mention.hive, mention.key, NAME, f"{why}: its {mention.place}")
        elif mention.closing == "delete-value" and mention.value is not None:
            yield DeleteValue(mention.hive, mention.key, mention.value, NAME, f"{why}: its {mention.place}")


def close_lists(system: Hive, mentions: Iterable[Mention], guids: frozenset[str], why: str) -> Yields:
    """The lists that name one of the adapters, each without all of them."""
    paths = dict.fromkeys(mention.key for mention in mentions if mention.closing == "take-out")
    keys = (key for path in paths if (key := find(system, path)) is not None)
    yield from take_out(keys, guids, NAME, why)
