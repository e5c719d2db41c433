r"""An adapter's IPv4 configuration as registry values, for adapters that are still there afterwards.

``Tcpip\Parameters\Interfaces\{GUID}``, WINS and NetBIOS below ``NetBT``, the copies below
``Services\{GUID}\Parameters\Tcpip`` (XP to 8.1), persistent routes. Names, types and forms: observed on
XP, 2003, 7, 8.1 and 10. That Windows takes the values at its next start: practice of forklift on 2012
and later, of rescue disks on 7 to 2019; before Vista nothing else holds them.
"""

from __future__ import annotations

from collections.abc import Iterator
from ipaddress import IPv4Address, IPv4Interface, IPv4Network

from p2vprep.core.facts.addresses import NETWORK_CLASS
from p2vprep.core.facts.keys import below
from p2vprep.core.facts.routes import PERSISTENT_ROUTES, read_routes
from p2vprep.core.model import Adapter, DeleteValue, SetValue
from p2vprep.core.network import InterfaceConfig, Route
from p2vprep.core.registry import Key, find, join
from p2vprep.core.rules.context import RuleContext
from p2vprep.core.values import Data

VISTA = (6, 0)
WINDOWS_8 = (6, 2)
WINDOWS_10 = (10, 0)
_INTERFACES = r"Services\Tcpip\Parameters\Interfaces"
_NETBT = r"Services\NetBT\Parameters\Interfaces"
_LISTS = ("IPAddress", "SubnetMask", "DefaultGateway", "DefaultGatewayMetric")
_NETBIOS_NUMBERS = {None: 0, "default": 0, "on": 1, "off": 2}
_NO_ADDRESS = "0.0.0.0"  # noqa: S104 - what XP and 2003 keep where there is no address
_AUTOMATIC = "0"

ValueEdit = SetValue | DeleteValue


def interface_edits(
    context: RuleContext, adapter: Adapter, config: InterfaceConfig, rule: str, why: str
) -> Iterator[ValueEdit]:
    """All values of the adapter in the control set in hand; its routes and name included."""
    writer = _Writer(context, adapter, config, rule, why)
    yield from writer.tcpip()
    yield from writer.netbios()
    yield from writer.copies()
    yield from writer.name()
    for route in config.routes:
        yield from route_edits(context, route, rule, why)


def route_edits(context: RuleContext, route: Route, rule: str, why: str) -> Iterator[ValueEdit]:
    """A persistent IPv4 route in the registry's form; one to the same place by another metric goes."""
    if not isinstance(route.to, IPv4Network) or not isinstance(route.via, IPv4Address):
        return
    root = find(context.system, context.control_set.name)
    held = [] if root is None else [one for one in read_routes(root) if one.to == route.to]
    same = [one for one in held if one.via == route.via]
    if route.metric is None and same:
        return
    path = join(context.control_set.name, PERSISTENT_ROUTES)
    metric = route.metric or (-1 if context.facts.guest.version.nt >= VISTA else 1)
    name = f"{route.to.network_address},{route.to.netmask},{route.via},{metric}"
    for one in same:
        if one.value != name:
            yield DeleteValue("SYSTEM", path, one.value, rule, why)
    yield SetValue("SYSTEM", path, name, Data.sz(""), rule, why, create=True)


class _Writer:
    """The edits of one adapter in one control set."""

    def __init__(
        self, context: RuleContext, adapter: Adapter, config: InterfaceConfig, rule: str, why: str
    ) -> None:
        self._context, self._adapter, self._config = context, adapter, config
        self._rule, self._why = rule, why
        self._vista = context.facts.guest.version.nt >= VISTA

    def tcpip(self) -> Iterator[ValueEdit]:
        config = self._config
        path = self._path(join(_INTERFACES, self._adapter.guid))
        yield from self._address_values(path)
        if config.dhcp:
            # Left where a fixed address was set while unplugged; DHCP is then ignored (community practice).
            yield self._delete(path, "DisableDhcpOnConnect")
        servers = [str(server) for server in config.dns if isinstance(server, IPv4Address)]
        yield self._set(path, "NameServer", Data.sz(",".join(servers)))
        yield self._set(path, "Domain", Data.sz(config.dns_suffix or ""))
        if config.register_dns is not None:
            yield self._set(path, "RegistrationEnabled", Data.dword(int(config.register_dns)))
        for name, number in (("InterfaceMetric", config.metric), ("MTU", config.mtu)):
            yield self._delete(path, name) if number is None else self._set(path, name, Data.dword(number))

    def netbios(self) -> Iterator[ValueEdit]:
        path = self._path(join(_NETBT, f"Tcpip_{self._adapter.guid}"))
        servers = Data.multi_sz(str(server) for server in self._config.wins)
        yield self._set(path, "NameServerList", servers)
        yield self._set(path, "NetbiosOptions", Data.dword(_NETBIOS_NUMBERS[self._config.netbios]))

    def copies(self) -> Iterator[ValueEdit]:
        r"""``Services\{GUID}\Parameters\Tcpip``, where it is there; its gateways have no metrics."""
        key = self._context.key(rf"Services\{self._adapter.guid}\Parameters\Tcpip")
        if key is not None:
            for edit in self._address_values(key.path):
                if edit.name != "DefaultGatewayMetric":
                    yield edit

    def name(self) -> Iterator[ValueEdit]:
        """The connection's name; from 10 on a second copy is Windows' own, so the first boot renames."""
        key = connection(self._context, self._adapter)
        if self._config.name and key is not None and self._context.facts.guest.version.nt < WINDOWS_10:
            yield self._set(key.path, "Name", Data.sz(self._config.name))

    def _address_values(self, path: str) -> Iterator[ValueEdit]:
        yield self._set(path, "EnableDHCP", Data.dword(int(self._config.dhcp)))
        if self._config.dhcp and self._vista:
            for name in _LISTS:
                yield self._delete(path, name)
            return
        for name, items in zip(_LISTS, self._address_lists(), strict=True):
            yield self._set(path, name, Data.multi_sz(items))

    def _address_lists(self) -> tuple[list[str], list[str], list[str], list[str]]:
        """The four lists in parallel: addresses, masks, gateways, their metrics."""
        if self._config.dhcp:
            return [_NO_ADDRESS], [_NO_ADDRESS], [], []
        fixed = [one for one in self._config.addresses if isinstance(one, IPv4Interface)]
        hops = [one for one in self._config.gateways if isinstance(one.via, IPv4Address)]
        return (
            [str(one.ip) for one in fixed],
            [str(one.netmask) for one in fixed],
            [str(one.via) for one in hops],
            [_AUTOMATIC if one.metric is None else str(one.metric) for one in hops],
        )

    def _path(self, path: str) -> str:
        """A path below the control set, as spelt there where it is there."""
        key = self._context.key(path)
        return join(self._context.control_set.name, path) if key is None else key.path

    def _set(self, path: str, name: str, data: Data) -> SetValue:
        return SetValue("SYSTEM", path, name, data, self._rule, self._why, create=True)

    def _delete(self, path: str, name: str) -> DeleteValue:
        return DeleteValue("SYSTEM", path, name, self._rule, self._why)


def connection(context: RuleContext, adapter: Adapter) -> Key | None:
    """The key that holds the adapter's connection name."""
    root = find(context.system, context.control_set.name)
    return below(root, rf"Control\Network\{NETWORK_CLASS}\{adapter.guid}\Connection")
