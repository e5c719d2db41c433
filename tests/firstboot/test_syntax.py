"""Every generated command of an adapter, held against the documented syntax of its Windows version."""

from __future__ import annotations

import re
from ipaddress import IPv4Address, IPv4Interface, IPv4Network, IPv6Address, IPv6Interface, IPv6Network

import pytest
from hypothesis import given
from hypothesis import strategies as st

from p2vprep.core.network import Gateway, InterfaceConfig, Match, Route
from p2vprep.core.values import Data
from p2vprep.firstboot.adapters import shown
from p2vprep.firstboot.interface import plan_interface
from p2vprep.firstboot.quoting import LONGEST_LINE, is_plain
from p2vprep.firstboot.templates_adapter import ADAPTER
from tests.firstboot import syntax
from tests.firstboot.syntax import fault

VERSIONS = [(5, 2), (6, 0), (6, 1), (6, 3), (10, 0)]
MAC = Match(mac="00:15:5d:0a:0b:0c")

four = st.ip_addresses(v=4)
six = st.ip_addresses(v=6)
metrics = st.none() | st.integers(1, 9999)
texts = st.text(st.characters(exclude_categories=["Cs", "Cc"]), min_size=1, max_size=20)


def _net(data: tuple[int, int], bits: int) -> IPv4Network | IPv6Network:
    number, length = data
    kind = IPv4Network if bits == 32 else IPv6Network
    return kind((number, length), strict=False)


networks = st.tuples(st.integers(0, (1 << 32) - 1), st.integers(1, 32)).map(lambda held: _net(held, 32))
networks6 = st.tuples(st.integers(0, (1 << 128) - 1), st.integers(1, 128)).map(lambda held: _net(held, 128))


@st.composite
def configs(draw: st.DrawFn) -> InterfaceConfig:
    """Any configuration of one adapter."""
    addresses: list[IPv4Interface | IPv6Interface] = [
        IPv4Interface((address, draw(st.integers(1, 32))))
        for address in draw(st.lists(four, max_size=3, unique=True))
    ]
    addresses += [IPv6Interface((address, 64)) for address in draw(st.lists(six, max_size=2, unique=True))]
    routes = [Route(to, draw(four), draw(metrics)) for to in draw(st.lists(networks, max_size=2))]
    routes += [Route(to, draw(six), draw(metrics)) for to in draw(st.lists(networks6, max_size=2))]
    return InterfaceConfig(
        MAC,
        name=draw(st.none() | texts),
        dhcp=not any(address.version == 4 for address in addresses) and draw(st.booleans()),
        addresses=tuple(addresses),
        gateways=tuple(Gateway(via, draw(metrics)) for via in draw(st.lists(four | six, max_size=3))),
        metric=draw(metrics),
        dns=tuple(draw(st.lists(four | six, max_size=4))),
        dns_suffix=draw(st.none() | texts),
        register_dns=draw(st.none() | st.booleans()),
        wins=tuple(draw(st.lists(st.ip_addresses(v=4).map(lambda one: IPv4Address(int(one))), max_size=2))),
        netbios=draw(st.none() | st.sampled_from(["default", "on", "off"])),
        routes=tuple(routes),
        mtu=draw(st.none() | st.integers(576, 9000)),
    )


@given(configs(), st.sampled_from(VERSIONS))
def test_every_command_is_one_that_this_version_knows(config: InterfaceConfig, nt: tuple[int, int]) -> None:
    plan = plan_interface(config, nt)
    for command in plan.commands:
        assert fault(command, nt) is None, command
        assert command.isascii()
        assert len(command) < LONGEST_LINE // 4
        assert not set(command.replace("%%I", "").replace("%NETSH%", "").replace("%ROUTE%", "")) & set(
            "%!^&|<>()"
        )


@given(configs(), st.sampled_from(VERSIONS))
def test_texts_reach_a_command_line_only_where_they_are_plain(
    config: InterfaceConfig, nt: tuple[int, int]
) -> None:
    plan = plan_interface(config, nt)
    assert plan.rename == (config.name is not None and is_plain(config.name))
    for check in plan.checks:
        assert check.call.isascii()
        assert not set(check.call) & set("%!^|<>\r\n")
        assert check.call.count('"') in (0, 2)
    carried = {name: data for values in plan.carried.values() for name, data in values.items()}
    if config.dns_suffix is not None:
        assert carried["Domain"] == Data.sz(config.dns_suffix)
    if config.name is not None and not is_plain(config.name):
        assert carried["Name"] == Data.sz(config.name)


@given(configs(), st.sampled_from(VERSIONS))
def test_nothing_that_is_asked_for_is_left_out(config: InterfaceConfig, nt: tuple[int, int]) -> None:
    plan = plan_interface(config, nt)
    words = " ".join(plan.commands)
    for address in config.addresses:
        assert str(address.ip) in words
    for gateway in config.gateways:
        assert str(gateway.via) in words
    for server in (*config.dns, *config.wins):
        assert str(server) in words
    for route in config.routes:
        assert str(route.to) in words or f"{route.to.network_address} mask {route.to.netmask}" in words
    labels = " ".join(check.label for check in plan.checks)
    for address in config.addresses:
        assert f"address {address}" in labels
    if config.metric is not None:
        assert f"metric {config.metric}" in labels
        assert f"metric={config.metric}" in words or "InterfaceMetric" in plan.carried["Tcpip"]


def test_a_command_as_people_know_it() -> None:
    (command,) = plan_interface(InterfaceConfig(MAC, dhcp=True), (5, 2)).commands[:1]
    assert shown(command) == 'netsh interface ip set address name="<adapter>" source=dhcp'


@pytest.mark.parametrize(
    ("command", "nt"),
    [
        ('%NETSH% interface ipv4 set address name="%%I" source=dhcp', (5, 2)),
        ('%NETSH% interface ip set address name="%%I" source=dhcp', (6, 1)),
        ('%NETSH% interface ipv4 set dnsservers name="%%I" source=dhcp', (6, 0)),
        ('%NETSH% interface ipv4 set address name="%%I" address=192.0.2.300', (6, 1)),
        ('%NETSH% interface ipv4 set address name="%%I" colour=blue', (6, 1)),
        ('%NETSH% interface ipv4 set address name="Ethernet" source=dhcp', (6, 1)),
        ("%NETSH% interface ipv4 set address source=dhcp", (6, 1)),
        ("%ROUTE% -p add 198.51.100.0 mask 255.255.255.0 192.0.2.1", (6, 1)),
        ("format c:", (6, 1)),
    ],
)
def test_the_table_itself_refuses_what_is_wrong(command: str, nt: tuple[int, int]) -> None:
    assert fault(command, nt) is not None


def test_every_line_of_the_table_is_used() -> None:
    """Else the table would praise a syntax that nothing generates."""
    full = InterfaceConfig(
        MAC,
        addresses=(IPv4Interface("192.0.2.1/24"), IPv4Interface("192.0.2.2/24"), IPv6Interface("::9/64")),
        gateways=(Gateway(IPv4Address("192.0.2.9")), Gateway(IPv4Address("192.0.2.8"), 2)),
        dns=(
            IPv4Address("192.0.2.3"),
            IPv4Address("192.0.2.4"),
            IPv6Address("2001:db8::3"),
            IPv6Address("2001:db8::4"),
        ),
        wins=(IPv4Address("192.0.2.5"), IPv4Address("192.0.2.6")),
        routes=(
            Route(IPv4Network("198.51.100.0/24"), IPv4Address("192.0.2.7"), 3),
            Route(IPv6Network("2001:db8:1::/48"), IPv6Address("2001:db8::7")),
        ),
        metric=5,
        mtu=1400,
    )
    used = set()
    for nt in VERSIONS:
        for command in plan_interface(full, nt).commands:
            words = command.removeprefix("%NETSH% ").split(" ")
            used.add(" ".join(word for word in words if "=" not in word))
    assert {name for name in used if name.startswith("interface")} == set(syntax.NETSH)


SHOWN = {
    # What each version calls the tables that are read back.
    "interface ipv4 show interfaces": "modern",
    "interface ipv4 show route": "modern",
    "interface ipv6 show addresses": "modern",
    "interface ipv6 show route": "modern",
    "interface ipv6 show address": "old",
    "interface ipv6 show routes": "old",
}


def test_the_tables_that_are_read_back_are_called_as_the_version_calls_them() -> None:
    """2003 (command-line reference): show address, show routes. Later: show addresses, show route."""
    found: dict[str, set[str]] = {"old": set(), "modern": set()}
    dump = ADAPTER[ADAPTER.index(":dump") : ADAPTER.index("rem Is the value 3")]
    old, modern = dump.split(":modern")
    for version, text in (("old", old), ("modern", modern)):
        found[version] |= set(re.findall(r"%NETSH% (interface ipv\d show \w+)", text))
    assert found == {
        version: {command for command, known in SHOWN.items() if known == version}
        for version in ("old", "modern")
    }
