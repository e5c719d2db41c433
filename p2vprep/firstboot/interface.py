r"""One adapter's configuration as command lines, registry values and checks, per Windows version.

Syntax: ``netsh interface ip`` of 2003 (Windows Server 2003 command-line reference), ``netsh
interface ipv4`` and ``ipv6`` of 6.0 and later (netsh's own help; windows-facts 8.5). Where a setting
has no command (the connection's DNS suffix, NetBIOS, and metric and MTU on 2003) its registry value is
written (windows-facts 8.1). Texts go through the registry only; in command lines are addresses, numbers
and words of ours. ``%%I`` stands for the adapter: its index on 6.0 and later, else its name.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from ipaddress import IPv4Interface, IPv4Network, IPv6Interface

from p2vprep.core.network import InterfaceConfig, Route
from p2vprep.core.values import Data
from p2vprep.firstboot.quoting import is_plain

VISTA = (6, 0)
SEVEN = (6, 1)
_NETBIOS = {"default": 0, "on": 1, "off": 2}

Values = dict[str, Data]


@dataclass(frozen=True)
class Check:
    """One thing to read back. ``call`` are the arguments for ``lib\\adapter.cmd``, ``label`` tells people."""

    call: str
    label: str
    stored: bool = False
    """Whether the registry values of the last way (``Static``) would set this right."""


@dataclass(frozen=True)
class InterfacePlan:
    """All that one adapter's step does once the adapter is found."""

    commands: tuple[str, ...]
    checks: tuple[Check, ...]
    carried: dict[str, Values]
    """Registry values by where they go: Tcpip, NetBT, Connection, Kernel; Static is only for the last way."""
    rename: bool = False
    """Whether the connection gets its name by netsh (else through the registry, or not at all)."""


def plan_interface(config: InterfaceConfig, nt: tuple[int, int]) -> InterfacePlan:
    """What gives this configuration to an adapter on this version, and how to see that it has it."""
    carried = {place: held for place, held in _carried(config, nt).items() if held}
    commands = tuple(_modern(config, nt) if nt >= VISTA else _old(config))
    plain_name = config.name is not None and is_plain(config.name)
    return InterfacePlan(commands, tuple(_checks(config, nt)), carried, rename=plain_name)


# --- commands ----------------------------------------------------------------------------------


def _modern(config: InterfaceConfig, nt: tuple[int, int]) -> Iterator[str]:
    """``netsh interface ipv4|ipv6`` (6.0 and later)."""
    four = "%NETSH% interface ipv4"
    addresses = _four(config)
    gateways = [gateway for gateway in config.gateways if gateway.via.version == 4]
    if config.dhcp:
        yield f'{four} set address name="%%I" source=dhcp'
    for number, address in enumerate(addresses):
        if number:
            words = f"address={address.ip} mask={address.netmask}"
            yield f'{four} add address name="%%I" {words} store=persistent'
            continue
        first = f"gateway={gateways[0].via}" if gateways else "gateway=none"
        if gateways and gateways[0].metric is not None:
            first += f" gwmetric={gateways[0].metric}"
        yield (
            f'{four} set address name="%%I" source=static address={address.ip} mask={address.netmask} '
            f"{first} store=persistent"
        )
    for gateway in gateways[1:] if addresses else gateways:
        yield _modern_route(Route(IPv4Network("0.0.0.0/0"), gateway.via, gateway.metric))
    yield from _modern_dns(config, nt)
    yield from _modern_six(config, nt)
    for version in (4, 6):
        wanted = []
        if config.metric is not None:
            wanted.append(f"metric={config.metric}")
        if config.mtu is not None:
            wanted.append(f"mtu={config.mtu}")
        if wanted and (version == 4 or _has_six(config)):
            words = " ".join(wanted)
            yield f'%NETSH% interface ipv{version} set interface interface="%%I" {words} store=persistent'
    for route in config.routes:
        yield _modern_route(route)


def _modern_dns(config: InterfaceConfig, nt: tuple[int, int]) -> Iterator[str]:
    many = "s" if nt >= SEVEN else ""
    unchecked = " validate=no" if nt >= SEVEN else ""
    register = "" if config.register_dns is None else f" register={_register(config)}"
    servers = [server for server in config.dns if server.version == 4]
    start = f'%NETSH% interface ipv4 set dnsserver{many} name="%%I"'
    if servers:
        yield f"{start} source=static address={servers[0]}{register}{unchecked}"
    elif config.dhcp:
        yield f"{start} source=dhcp{register}"
    elif register:
        yield f"{start} source=static address=none{register}{unchecked}"
    for number, server in enumerate(servers[1:], start=2):
        words = f"address={server} index={number}{unchecked}"
        yield f'%NETSH% interface ipv4 add dnsserver{many} name="%%I" {words}'
    for number, wins in enumerate(config.wins, start=1):
        verb, more = ("set", " source=static") if number == 1 else ("add", "")
        place = "" if number == 1 else f" index={number}"
        yield f'%NETSH% interface ipv4 {verb} winsserver{many} name="%%I"{more} address={wins}{place}'


def _modern_six(config: InterfaceConfig, nt: tuple[int, int]) -> Iterator[str]:
    many = "s" if nt >= SEVEN else ""
    unchecked = " validate=no" if nt >= SEVEN else ""
    for address in _six(config):
        yield f'%NETSH% interface ipv6 add address interface="%%I" address={address} store=persistent'
    for gateway in config.gateways:
        if gateway.via.version == 6:
            metric = "" if gateway.metric is None else f" metric={gateway.metric}"
            yield (
                f'%NETSH% interface ipv6 add route prefix=::/0 interface="%%I" nexthop={gateway.via}'
                f"{metric} store=persistent"
            )
    servers = [server for server in config.dns if server.version == 6]
    for number, server in enumerate(servers, start=1):
        if number == 1:
            words = f"source=static address={server}{unchecked}"
            yield f'%NETSH% interface ipv6 set dnsserver{many} name="%%I" {words}'
        else:
            yield (
                f'%NETSH% interface ipv6 add dnsserver{many} name="%%I" address={server} index={number}'
                f"{unchecked}"
            )


def _modern_route(route: Route) -> str:
    metric = "" if route.metric is None else f" metric={route.metric}"
    return (
        f'%NETSH% interface ipv{route.to.version} add route prefix={route.to} interface="%%I" '
        f"nexthop={route.via}{metric} store=persistent"
    )


def _old(config: InterfaceConfig) -> Iterator[str]:
    """``netsh interface ip`` and ``route`` (2003 and before)."""
    four = "%NETSH% interface ip"
    addresses = _four(config)
    gateways = [gateway for gateway in config.gateways if gateway.via.version == 4]
    if config.dhcp:
        yield f'{four} set address name="%%I" source=dhcp'
    for number, address in enumerate(addresses):
        if number:
            yield f'{four} add address name="%%I" addr={address.ip} mask={address.netmask}'
            continue
        first = (
            f"gateway={gateways[0].via} gwmetric={gateways[0].metric or 1}" if gateways else "gateway=none"
        )
        yield f'{four} set address name="%%I" source=static addr={address.ip} mask={address.netmask} {first}'
    if addresses:
        for gateway in gateways[1:]:
            yield f'{four} add address name="%%I" gateway={gateway.via} gwmetric={gateway.metric or 1}'
    else:
        yield from (_old_route(Route(IPv4Network("0.0.0.0/0"), one.via, one.metric)) for one in gateways)
    yield from _old_servers(config)
    yield from (_old_route(route) for route in config.routes if route.to.version == 4)
    yield from _old_six(config)


def _old_servers(config: InterfaceConfig) -> Iterator[str]:
    four = "%NETSH% interface ip"
    register = "" if config.register_dns is None else f" register={_register(config)}"
    servers = [server for server in config.dns if server.version == 4]
    if servers:
        yield f'{four} set dns name="%%I" source=static addr={servers[0]}{register}'
    elif config.dhcp:
        yield f'{four} set dns name="%%I" source=dhcp{register}'
    elif register:
        yield f'{four} set dns name="%%I" source=static addr=none{register}'
    for number, server in enumerate(servers[1:], start=2):
        yield f'{four} add dns name="%%I" addr={server} index={number}'
    for number, wins in enumerate(config.wins, start=1):
        if number == 1:
            yield f'{four} set wins name="%%I" source=static addr={wins}'
        else:
            yield f'{four} add wins name="%%I" addr={wins} index={number}'


def _old_six(config: InterfaceConfig) -> Iterator[str]:
    """IPv6 of 2003 knows no prefix length with an address: the on-link route says it."""
    if not _has_six(config):
        return
    six = "%NETSH% interface ipv6"
    yield f"{six} install"
    for address in _six(config):
        yield f'{six} add address interface="%%I" address={address.ip} store=persistent'
        yield f'{six} add route prefix={address.network} interface="%%I" store=persistent'
    for gateway in config.gateways:
        if gateway.via.version == 6:
            metric = "" if gateway.metric is None else f" metric={gateway.metric}"
            way = f"nexthop={gateway.via}{metric}"
            yield f'{six} add route prefix=::/0 interface="%%I" {way} store=persistent'
    for route in config.routes:
        if route.to.version == 6:
            metric = "" if route.metric is None else f" metric={route.metric}"
            way = f"nexthop={route.via}{metric}"
            yield f'{six} add route prefix={route.to} interface="%%I" {way} store=persistent'
    for number, server in enumerate((one for one in config.dns if one.version == 6), start=1):
        yield f'{six} add dns interface="%%I" address={server} index={number}'


def _old_route(route: Route) -> str:
    metric = "" if route.metric is None else f" metric {route.metric}"
    return f"%ROUTE% -p add {route.to.network_address} mask {route.to.netmask} {route.via}{metric}"


def _register(config: InterfaceConfig) -> str:
    return "primary" if config.register_dns else "none"


# --- registry values ---------------------------------------------------------------------------


def _carried(config: InterfaceConfig, nt: tuple[int, int]) -> dict[str, Values]:
    tcpip: Values = {}
    if config.dns_suffix is not None:
        tcpip["Domain"] = Data.sz(config.dns_suffix)
    if config.register_dns is not None:
        tcpip["RegistrationEnabled"] = Data.dword(int(config.register_dns))
    if nt < VISTA and config.metric is not None:
        tcpip["InterfaceMetric"] = Data.dword(config.metric)
    if nt < VISTA and config.mtu is not None:
        tcpip["MTU"] = Data.dword(config.mtu)
    netbt: Values = {}
    if config.netbios is not None:
        netbt["NetbiosOptions"] = Data.dword(_NETBIOS[config.netbios])
    connection: Values = {}
    kernel: Values = {}
    if config.name is not None and not is_plain(config.name):
        connection["Name"] = Data.sz(config.name)
        kernel["IfAlias"] = Data.sz(config.name)
    return {
        "Tcpip": tcpip,
        "NetBT": netbt,
        "Connection": connection,
        "Kernel": kernel,
        "Static": _static(config),
    }


def _static(config: InterfaceConfig) -> Values:
    """The IPv4 values as Windows itself keeps them (windows-facts 8.1), for where netsh fails."""
    addresses = _four(config)
    if not addresses:
        return {}
    gateways = [gateway for gateway in config.gateways if gateway.via.version == 4]
    held: Values = {
        "EnableDHCP": Data.dword(0),
        "IPAddress": Data.multi_sz([str(address.ip) for address in addresses]),
        "SubnetMask": Data.multi_sz([str(address.netmask) for address in addresses]),
        "DefaultGateway": Data.multi_sz([str(gateway.via) for gateway in gateways]),
        "DefaultGatewayMetric": Data.multi_sz([str(gateway.metric or 0) for gateway in gateways]),
    }
    servers = [str(server) for server in config.dns if server.version == 4]
    if servers:
        held["NameServer"] = Data.sz(",".join(servers))
    return held


# --- checks ------------------------------------------------------------------------------------


def _checks(config: InterfaceConfig, nt: tuple[int, int]) -> Iterator[Check]:
    addresses = _four(config)
    if config.dhcp:
        yield Check("equal tcp EnableDHCP 0x1", "dhcp")
    if addresses:
        yield Check("equal tcp EnableDHCP 0x0", "static", stored=True)
        yield Check(f"count tcp IPAddress {len(addresses)}", f"{len(addresses)} addresses", stored=True)
    for address in addresses:
        yield Check(f"word tcp IPAddress {address.ip}", f"address {address}", stored=True)
        yield Check(f"word tcp SubnetMask {address.netmask}", f"mask {address.netmask}", stored=True)
    for gateway in config.gateways:
        if gateway.via.version == 4 and addresses and (nt < VISTA or gateway.via == _first_gateway(config)):
            yield Check(f"word tcp DefaultGateway {gateway.via}", f"gateway {gateway.via}", stored=True)
        elif gateway.via.version == 4:
            yield _route_check(Route(IPv4Network("0.0.0.0/0"), gateway.via), nt)
        else:
            yield Check(f"route rt6 ::/0 {gateway.via}", f"gateway {gateway.via}")
    for six in _six(config):
        yield Check(f"shown ad6 {six.ip}", f"address {six}")
    yield from _server_checks(config, nt)
    for route in config.routes:
        yield _route_check(route, nt)
    if config.metric is not None:
        call = f"metric 2 {config.metric}" if nt >= VISTA else f"equal tcp InterfaceMetric {config.metric:#x}"
        yield Check(call, f"metric {config.metric}")
    if config.mtu is not None:
        call = f"metric 3 {config.mtu}" if nt >= VISTA else f"equal tcp MTU {config.mtu:#x}"
        yield Check(call, f"mtu {config.mtu}")
    yield from _text_checks(config)


def _server_checks(config: InterfaceConfig, nt: tuple[int, int]) -> Iterator[Check]:
    # Where 2003 keeps the IPv6 servers of an adapter is not known; there they are set and not read back.
    for version, place in ((4, "tcp"), (6, "tc6")) if nt >= VISTA else ((4, "tcp"),):
        servers = ",".join(str(server) for server in config.dns if server.version == version)
        if servers:
            yield Check(f'equal {place} NameServer "{servers}"', f"dns {servers}")
    for wins in config.wins:
        yield Check(f"word nbt NameServerList {wins}", f"wins {wins}")


def _text_checks(config: InterfaceConfig) -> Iterator[Check]:
    if config.register_dns is not None:
        yield Check(f"equal tcp RegistrationEnabled {int(config.register_dns):#x}", "dns registration")
    if config.netbios is not None:
        number = _NETBIOS[config.netbios]
        yield Check(f"equal nbt NetbiosOptions {number:#x}", f"netbios {config.netbios}")
    if config.dns_suffix is not None:
        yield Check("same tcp Tcpip Domain", "dns suffix")
    if config.name is not None and not is_plain(config.name):
        yield Check("same con Connection Name", "name")
    elif config.name is not None:
        yield Check(f'equal con Name "{config.name}"', "name")


def _route_check(route: Route, nt: tuple[int, int]) -> Check:
    label = f"route {route.to} via {route.via}"
    if route.to.version == 6 or nt >= VISTA:
        return Check(f"route rt{route.to.version} {route.to} {route.via}", label)
    return Check(f"stored {route.to.network_address} {route.to.netmask} {route.via}", label)


def _first_gateway(config: InterfaceConfig) -> object:
    return next(gateway.via for gateway in config.gateways if gateway.via.version == 4)


def _four(config: InterfaceConfig) -> list[IPv4Interface]:
    return [address for address in config.addresses if isinstance(address, IPv4Interface)]


def _six(config: InterfaceConfig) -> list[IPv6Interface]:
    return [address for address in config.addresses if isinstance(address, IPv6Interface)]


def _has_six(config: InterfaceConfig) -> bool:
    parts = (*config.addresses, *config.dns, *(gateway.via for gateway in config.gateways))
    return any(one.version == 6 for one in parts) or any(one.to.version == 6 for one in config.routes)
