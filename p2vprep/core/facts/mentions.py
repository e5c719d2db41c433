r"""Every place of the registry that mentions a network adapter, and how that mention is closed.

Found by going through a whole control set once for all adapters asked about: by GUID (in names of keys
and values and in data, as text and as bytes), by device instance, by class instance and by the number
of the TCP/IP stack (LUID). That takes a good second for a big hive, so it is done only where somebody
asks: to remove an adapter, or to show all there is. The places: the footprint of the adapters of seven
real hives (XP to 10).
"""

from __future__ import annotations

import re
import uuid
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Literal

from p2vprep.core.facts.addresses import NETWORK_CLASS
from p2vprep.core.facts.keys import Snapshot, children, text
from p2vprep.core.facts.luids import LUID_DIGITS, luid_of
from p2vprep.core.facts.teams import GUID
from p2vprep.core.model_facts import Adapter
from p2vprep.core.registry import Hive, Key, find, fold, split
from p2vprep.core.values import Data

Closing = Literal["delete-key", "delete-value", "take-out", "keep"]
"""What ends a mention: the key or value goes, the entry leaves a list, or it stays and does no harm."""
NETWORK_CARDS = r"Microsoft\Windows NT\CurrentVersion\NetworkCards"
LINKS = frozenset({"BIND", "EXPORT", "ROUTE", "ROOTDEVICE", "UPPERBIND", "FILTERLIST"})
"""The lists below ``Linkage`` keys that name adapters, folded."""


@dataclass(frozen=True)
class Mention:
    """One place that names an adapter."""

    place: str
    """What it is, in two or three words: ``device``, ``TCP/IP interface``, ``binding``."""
    hive: str
    key: str
    value: str | None
    """The name of the value; None where the key itself is meant."""
    closing: Closing
    note: str = ""
    """Why it stays, where it does."""


def find_mentions(
    system: Hive, control_set: str, adapters: Iterable[Adapter], software: Hive | None = None
) -> dict[str, tuple[Mention, ...]]:
    """All mentions of each adapter in one control set and in SOFTWARE, by folded GUID."""
    wanted = _Wanted(system, tuple(adapters))
    found: dict[str, list[Mention]] = {guid: [] for guid in wanted.guids}
    root = find(system, control_set)
    if root is not None and found:
        for guid, mention in _Walk(wanted, control_set).below(root):
            found[guid].append(mention)
    for guid, mention in _cards(software, wanted.guids):
        found[guid].append(mention)
    return {guid: tuple(dict.fromkeys(held)) for guid, held in found.items()}


def _cards(software: Hive | None, guids: frozenset[str]) -> Iterator[tuple[str, Mention]]:
    for card in children(None if software is None else find(software, NETWORK_CARDS)):
        guid = fold(text(card, "ServiceName"))
        if guid in guids:
            yield guid, Mention("network card", "SOFTWARE", card.path, None, "delete-key")


class _Wanted:
    """What to look for, in every form it may have."""

    def __init__(self, system: Hive, adapters: tuple[Adapter, ...]) -> None:
        self.guids = frozenset(fold(adapter.guid) for adapter in adapters)
        self.devices = {
            fold(adapter.instance): fold(adapter.guid) for adapter in adapters if adapter.instance
        }
        self.interfaces = {f"##?#{path.replace(chr(92), '#')}#": guid for path, guid in self.devices.items()}
        self.instances = {
            fold(adapter.class_key): fold(adapter.guid) for adapter in adapters if adapter.class_key
        }
        self.numbers: dict[str, str] = {}
        for adapter in adapters:
            number = luid_of(Snapshot(find(system, adapter.class_key))) if adapter.class_key else None
            if number is not None:
                self.numbers[number] = fold(adapter.guid)
        self.binary = {raw: guid for guid in self.guids if (raw := as_bytes(guid)) is not None}
        texts = [guid.strip("{}") for guid in self.guids] + [path for path in self.devices if path]
        forms = [re.escape(one.encode("utf-16-le", "surrogatepass")) for one in texts]
        exact = [re.escape(raw) for raw in self.binary]
        self.anything = re.compile(b"(?i:" + b"|".join(forms) + b")|" + b"|".join(exact), re.DOTALL)

    def in_data(self, data: Data) -> frozenset[str]:
        """The adapters that a value's data name."""
        if len(data.raw) < 16 or self.anything.search(data.raw) is None:
            return frozenset()
        told = fold(data.raw[: len(data.raw) & ~1].decode("utf-16-le", "replace"))
        shifted = "" if len(data.raw) % 2 == 0 else fold(data.raw[1:].decode("utf-16-le", "replace"))
        found = {guid for guid in GUID.findall(told + " " + shifted) if guid in self.guids}
        found |= {guid for raw, guid in self.binary.items() if raw in data.raw}
        found |= {guid for path, guid in self.devices.items() if path in told}
        return frozenset(found)


def as_bytes(guid: str) -> bytes | None:
    """A GUID as the 16 bytes Windows stores; None for what is not one."""
    try:
        return uuid.UUID(guid).bytes_le
    except ValueError:
        return None


@dataclass(frozen=True)
class _Walk:
    """One pass through a control set."""

    wanted: _Wanted
    control_set: str

    def below(self, root: Key) -> Iterator[tuple[str, Mention]]:
        depth = len(split(root.path))
        stack = list(root.subkeys())
        while stack:
            key = stack.pop()
            path = tuple(fold(part) for part in split(key.path)[depth:])
            if path == ("CONTROL", "NSI"):
                yield from self._numbers(key)
                continue
            named = self._by_name(key, path)
            if named is not None:
                yield named
                if named[1].closing == "delete-key":
                    continue
            ended = False
            for guid, mention in self._by_values(key, path):
                yield guid, mention
                ended = ended or (mention.closing == "delete-key" and mention.key == key.path)
            if not ended:
                stack.extend(reversed(list(key.subkeys())))

    # --- keys ----------------------------------------------------------------------------------

    def _by_name(self, key: Key, path: tuple[str, ...]) -> tuple[str, Mention] | None:
        own = self._own_key(key, path)
        if own is not None:
            return own
        if len(key.name) < len("{00000000-0000-0000-0000-000000000000}"):
            return None
        named = [guid for guid in GUID.findall(path[-1]) if guid in self.wanted.guids]
        if not named:
            return None
        place, closing, note = _key_place(key, path)
        return named[0], Mention(place, "SYSTEM", key.path, None, closing, note)

    def _own_key(self, key: Key, path: tuple[str, ...]) -> tuple[str, Mention] | None:
        """The device, its class instance and its registrations as an interface for programs."""
        if path[0] == "ENUM" and len(path) == 4:
            guid = self.wanted.devices.get("\\".join(path[1:]))
            place = "device"
        elif path[:2] == ("CONTROL", "CLASS"):
            guid = self.wanted.instances.get(fold(key.path))
            place = "class instance"
        elif path[:2] == ("CONTROL", "DEVICECLASSES") and len(path) == 4:
            head = path[3].rpartition("#")[0] + "#"
            guid = self.wanted.interfaces.get(head)
            place = "device interface"
        else:
            return None
        return None if guid is None else (guid, Mention(place, "SYSTEM", key.path, None, "delete-key"))

    # --- values --------------------------------------------------------------------------------

    def _by_values(self, key: Key, path: tuple[str, ...]) -> Iterator[tuple[str, Mention]]:
        for name, data in key.values():
            guids = set(self.wanted.in_data(data))
            if len(name) >= 16:
                folded = fold(name)
                guids |= {guid for guid in GUID.findall(folded) if guid in self.wanted.guids}
                guids |= {guid for device, guid in self.wanted.devices.items() if device in folded}
            for guid in sorted(guids):
                place, closing, note = _value_place(path, name, data)
                value = None if closing == "delete-key" else name
                yield guid, Mention(place, "SYSTEM", key.path, value, closing, note)

    def _numbers(self, store: Key) -> Iterator[tuple[str, Mention]]:
        r"""The binary store of the stack: ``Nsi\<module>\<table>``, values named by LUIDs."""
        for module in store.subkeys():
            for table in module.subkeys():
                for name, data in table.values():
                    for guid in self._numbered(name, data):
                        yield guid, Mention("stack store", "SYSTEM", table.path, name, "keep", _NSI)

    def _numbered(self, name: str, data: Data) -> set[str]:
        digits = name.lower()
        found = {
            self.wanted.numbers[number]
            for start in range(0, len(digits) - LUID_DIGITS + 1, LUID_DIGITS)
            if (number := digits[start : start + LUID_DIGITS]) in self.wanted.numbers
        }
        return found | self.wanted.in_data(data)


_NSI = "the stack's own store is never edited; its entries rest while no adapter has this number"
_CONFIG = "Windows' own record of bindings is never edited; Windows mends it when bindings change"
_WINSOCK = "an entry of the Winsock catalogue; Windows writes those anew when bindings change"
_TUNNEL = "the name of a tunnel that Windows makes and takes away by itself"
_CONTAINER = "a list for the Devices folder"
_SWITCH = "a port of a virtual switch"
_SERVICE = "it is a service"
_OTHER = "the setting of another program"
_SWITCH_SERVICES = frozenset({"VMSMP", "VMSP", "VMSVSF", "VMSVSP", "VMSPROXY"})
_KEY_PLACES: Mapping[tuple[str, ...], str] = {
    ("SERVICES", "TCPIP", "PARAMETERS", "INTERFACES"): "TCP/IP interface",
    ("SERVICES", "TCPIP", "PARAMETERS", "ADAPTERS"): "TCP/IP adapter",
    ("SERVICES", "TCPIP", "PARAMETERS", "DNSREGISTEREDADAPTERS"): "DNS registration",
    ("SERVICES", "TCPIP6", "PARAMETERS", "INTERFACES"): "IPv6 interface",
    ("SERVICES", "NETBT", "PARAMETERS", "INTERFACES"): "NetBIOS interface",
    ("CONTROL", "NETWORK", NETWORK_CLASS): "connection",
    ("CONTROL", "NETWORKSETUP2", "INTERFACES"): "network setup",
    ("CONTROL", "TERMINAL SERVER", "LANATABLE"): "remote desktop table",
}


def _key_place(key: Key, path: tuple[str, ...]) -> tuple[str, Closing, str]:
    """What a key is whose name holds the GUID."""
    place = _KEY_PLACES.get(path[:-1])
    if place is not None:
        return place, "delete-key", ""
    if path[0] != "SERVICES":
        return "other", "keep", _OTHER
    if path[1] in _SWITCH_SERVICES:
        return "virtual switch", "keep", _SWITCH
    if len(path) == 2:
        if {"TYPE", "START"} <= {fold(name) for name, _data in key.values()}:
            return "service", "keep", _SERVICE
        return "service copy", "delete-key", ""
    if {"ADAPTERS", "NDISADAPTERS"} & set(path[2:-1]):
        return "filter", "delete-key", ""
    return "service setting", "delete-key", ""


def _value_place(path: tuple[str, ...], name: str, data: Data) -> tuple[str, Closing, str]:
    """What a value is that names the adapter."""
    if "LINKAGE" in path[2:] and fold(name) in LINKS and data.strings is not None:
        return ("upper adapter" if path[:2] == ("CONTROL", "CLASS") else "binding"), "take-out", ""
    if path[:2] == ("CONTROL", "NETWORK") and len(path) == 2:
        return "binding record", "keep", _CONFIG
    if path[:2] == ("CONTROL", "NETWORK") and path[-1] == "CONNECTION":
        return "tunnel", "keep", _TUNNEL
    if path[:2] == ("CONTROL", "DEVICECONTAINERS"):
        return "device container", "keep", _CONTAINER
    if path[0] == "SERVICES":
        return _service_value(path, name)
    return "other", "keep", _OTHER


def _service_value(path: tuple[str, ...], name: str) -> tuple[str, Closing, str]:
    if path[1:3] == ("REMOTEACCESS", "INTERFACES") and len(path) == 4 and fold(name) == "INTERFACENAME":
        return "routing interface", "delete-key", ""
    if path[1:] == ("DHCP", "PARAMETERS") and GUID.fullmatch(fold(name)):
        return "DHCP cache", "delete-value", ""
    if path[1] in {"WINSOCK", "WINSOCK2"}:
        return "Winsock catalogue", "keep", _WINSOCK
    if path[1] == "IPHLPSVC":
        return "tunnel", "keep", _TUNNEL
    return "other", "keep", _OTHER


def places(mentions: Iterable[Mention]) -> dict[str, int]:
    """How many mentions there are of each sort, in the order found."""
    counted: dict[str, int] = {}
    for mention in mentions:
        counted[mention.place] = counted.get(mention.place, 0) + 1
    return counted
