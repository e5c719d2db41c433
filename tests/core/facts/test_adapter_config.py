from __future__ import annotations

from ipaddress import IPv4Address, IPv4Interface, IPv4Network, IPv6Address, IPv6Interface

import pytest

from p2vprep.core.facts.adapter_config import aligned_strings, configuration_of, read_configuration, with_mask
from p2vprep.core.facts.luids import luid, luid_of
from p2vprep.core.facts.routes import parse_route
from p2vprep.core.network import Gateway, InterfaceConfig, Match, Route
from p2vprep.core.regf.reader import HiveReader
from p2vprep.core.registry import MemoryHive
from p2vprep.core.values import Data
from tests.support.corpus import hive_bytes
from tests.support.machines import as_data

NET = "{4D36E972-E325-11CE-BFC1-08002BE10318}"
GUID = "{6AAFC9A9-0542-4DB2-8760-CCFFA953737C}"
INTERFACE = rf"Services\Tcpip\Parameters\Interfaces\{GUID.lower()}"
ROUTES = r"Services\Tcpip\Parameters\PersistentRoutes"
NSI6 = r"Control\Nsi\{EB004A01-9B1A-11D4-9123-0050047759BC}\10"
FIXED6 = bytes.fromhex("ffffffffffffffff100000001000000040000000" + "ff" * 28)


class Disk:
    def __init__(self) -> None:
        self.hive = MemoryHive()

    def put(self, path: str, **values: Data | str | int | list[str]) -> Disk:
        key = self.hive.root.make(rf"ControlSet001\{path}")
        for name, data in values.items():
            key.set(name, as_data(data))
        return self

    def named(self, path: str, name: str, data: Data | str | int | list[str]) -> Disk:
        self.hive.root.make(rf"ControlSet001\{path}").set(name, as_data(data))
        return self

    def route(self, *names: str) -> Disk:
        for name in names:
            self.named(ROUTES, name, "")
        return self

    def fixed(self, *addresses: str, masks: list[str] | None = None) -> Disk:
        shown = masks if masks is not None else ["255.255.255.0"] * len(addresses)
        return self.put(INTERFACE, EnableDHCP=0, IPAddress=list(addresses), SubnetMask=shown)

    @property
    def config(self) -> InterfaceConfig:
        return configuration_of(self.hive, "ControlSet001", GUID)

    @property
    def notes(self) -> tuple[str, ...]:
        return read_configuration(self.hive, "ControlSet001", GUID).notes


def test_everything_that_is_fixed_is_read() -> None:
    disk = Disk().fixed("192.0.2.10", "192.0.2.11")
    disk.put(
        INTERFACE,
        DefaultGateway=["192.0.2.1", "192.0.2.2"],
        DefaultGatewayMetric=["0", "7"],
        NameServer="192.0.2.53, 192.0.2.54",
        Domain="corp.example",
        InterfaceMetric=25,
        MTU=1400,
        RegistrationEnabled=0,
    )
    disk.put(rf"Services\Tcpip6\Parameters\Interfaces\{GUID}", NameServer="2001:db8::53")
    disk.put(
        rf"Services\NetBT\Parameters\Interfaces\Tcpip_{GUID}",
        NameServerList=["192.0.2.60"],
        NetbiosOptions=2,
    )
    disk.put(rf"Control\Network\{NET}\{GUID}\Connection", Name="Production")
    disk.route("198.51.100.0,255.255.255.0,192.0.2.254,5", "203.0.113.7,255.255.255.255,10.0.0.1,1")
    disk.route("0.0.0.0,0.0.0.0,192.0.2.1,-1")
    assert disk.config == InterfaceConfig(
        match=Match(replaces=GUID),
        name="Production",
        dhcp=False,
        addresses=(IPv4Interface("192.0.2.10/24"), IPv4Interface("192.0.2.11/24")),
        gateways=(
            Gateway(IPv4Address("192.0.2.1")),
            Gateway(IPv4Address("192.0.2.2"), 7),
        ),
        metric=25,
        dns=(IPv4Address("192.0.2.53"), IPv4Address("192.0.2.54"), IPv6Address("2001:db8::53")),
        dns_suffix="corp.example",
        register_dns=False,
        wins=(IPv4Address("192.0.2.60"),),
        netbios="off",
        routes=(Route(IPv4Network("198.51.100.0/24"), IPv4Address("192.0.2.254"), 5),),
        mtu=1400,
    )
    assert disk.notes == ()


def test_an_adapter_that_is_not_there_has_nothing() -> None:
    assert Disk().config == InterfaceConfig(match=Match(replaces=GUID), dhcp=True)
    assert configuration_of(MemoryHive(), "ControlSet001", GUID).addresses == ()


def test_with_dhcp_old_fixed_values_do_not_count_but_name_servers_do() -> None:
    disk = (
        Disk()
        .fixed("192.0.2.10")
        .put(INTERFACE, EnableDHCP=1, DefaultGateway=["192.0.2.1"], NameServer="192.0.2.53")
    )
    config = disk.config
    assert (config.dhcp, config.addresses, config.gateways) == (True, (), ())
    assert config.dns == (IPv4Address("192.0.2.53"),)


def test_routes_of_a_dhcp_adapter_are_told_by_its_last_lease() -> None:
    disk = Disk().put(INTERFACE, EnableDHCP=1, DhcpIPAddress="192.0.2.10", DhcpSubnetMask="255.255.255.0")
    disk.route("198.51.100.0,255.255.255.0,192.0.2.254,1", "0.0.0.0,0.0.0.0,192.0.2.1,-1")
    assert disk.config.routes == (Route(IPv4Network("198.51.100.0/24"), IPv4Address("192.0.2.254"), 1),)
    assert disk.config.gateways == ()


def test_without_the_switch_fixed_addresses_decide() -> None:
    disk = Disk().put(INTERFACE, IPAddress=["192.0.2.10"], SubnetMask=["255.255.255.0"])
    assert disk.config.dhcp is False
    assert disk.config.addresses == (IPv4Interface("192.0.2.10/24"),)


def test_the_placeholder_of_xp_is_no_address() -> None:
    disk = Disk().fixed("0.0.0.0", masks=["0.0.0.0"])
    assert (disk.config.addresses, disk.notes) == ((), ())


def test_an_empty_string_does_not_shift_lists_that_run_in_parallel() -> None:
    disk = Disk().fixed("192.0.2.10")
    raw = "\0" + "192.0.2.1\0\0"
    disk.put(
        INTERFACE,
        DefaultGateway=Data(7, raw.encode("utf-16-le")),
        DefaultGatewayMetric=["9", "3"],
    )
    assert disk.config.gateways == (Gateway(IPv4Address("192.0.2.1"), 3),)


@pytest.mark.parametrize("mask", ["255.0.255.0", "0.0.0.0", "", "junk"])
def test_a_mask_that_makes_no_network_is_told(mask: str) -> None:
    disk = Disk().fixed("192.0.2.10", masks=[mask])
    assert disk.config.addresses == ()
    assert "192.0.2.10" in disk.notes[0]
    with pytest.raises(ValueError, match=r".+"):
        with_mask("192.0.2.10", mask)


def test_what_cannot_be_read_is_told() -> None:
    disk = (
        Disk()
        .fixed("192.0.2.10")
        .put(INTERFACE, DefaultGateway=["not.an.address"], NameServer="bad 192.0.2.53")
    )
    assert disk.config.gateways == ()
    assert disk.config.dns == (IPv4Address("192.0.2.53"),)
    assert len(disk.notes) == 2


def test_a_default_gateway_that_only_the_routes_tell() -> None:
    disk = Disk().fixed("192.0.2.10").route("0.0.0.0,0.0.0.0,192.0.2.1,-1", "0.0.0.0,0.0.0.0,10.0.0.1,-1")
    assert disk.config.gateways == (Gateway(IPv4Address("192.0.2.1")),)
    disk.put(INTERFACE, DefaultGateway=["192.0.2.9"])
    assert disk.config.gateways == (Gateway(IPv4Address("192.0.2.9")),)
    assert disk.notes == ("a persistent route names another default gateway, 192.0.2.1",)


@pytest.mark.parametrize(
    "name", ["", "a,b,c,d", "10.0.0.0,255.0.0.0,10.0.0.1", "10.0.0.0,255.0.255.0,1.1.1.1,1"]
)
def test_names_that_are_no_route(name: str) -> None:
    assert parse_route(name) is None


def test_lists_of_other_types() -> None:
    assert aligned_strings(None) == ()
    assert aligned_strings(Data.sz("192.0.2.1")) == ("192.0.2.1",)
    assert aligned_strings(Data.dword(1)) == ()


# --- IPv6 --------------------------------------------------------------------------------------


def with_ipv6(address: str, data: bytes = FIXED6, index: int = 7, *, name: str | None = None) -> Disk:
    disk = Disk().fixed("192.0.2.10")
    key = rf"Control\Class\{NET}\0007"
    disk.put(key, NetCfgInstanceId=GUID, NetLuidIndex=7).named(key, "*IfType", 6)
    spelt = name if name is not None else luid(index, 6) + IPv6Address(address).packed.hex()
    return disk.named(NSI6, spelt, Data.binary(data))


def test_a_fixed_ipv6_address_is_read_from_the_store_of_the_stack() -> None:
    disk = with_ipv6("2001:db8::10")
    assert disk.config.addresses == (IPv4Interface("192.0.2.10/24"), IPv6Interface("2001:db8::10/64"))
    assert disk.notes == ()


def test_ipv6_addresses_of_others_are_not_taken() -> None:
    assert len(with_ipv6("2001:db8::10", index=8).config.addresses) == 1


@pytest.mark.parametrize(
    ("address", "data"),
    [
        ("fe80::1", FIXED6),
        ("ff02::1", FIXED6),
        ("2001:db8::10", FIXED6[:-1]),
        ("2001:db8::10", b"\0" * 8 + FIXED6[8:]),
        ("2001:db8::10", FIXED6[:16] + b"\x81\0\0\0" + FIXED6[20:]),
    ],
)
def test_what_does_not_look_like_a_fixed_ipv6_address_is_told_and_not_taken(
    address: str, data: bytes
) -> None:
    disk = with_ipv6(address, data)
    assert len(disk.config.addresses) == 1
    assert disk.notes == ("a fixed IPv6 address is stored in a form that is not known",)


def test_a_name_that_is_too_short_is_told() -> None:
    assert with_ipv6("::", name=luid(7, 6)).notes
    assert with_ipv6("::", name=luid(7, 6) + "zz").notes


def test_an_adapter_without_a_number_has_no_ipv6() -> None:
    disk = Disk().fixed("192.0.2.10").named(NSI6, luid(0, 0) + "20010db8" + "00" * 12, Data.binary(FIXED6))
    assert len(disk.config.addresses) == 1


def test_the_luid() -> None:
    assert luid(7, 6) == "0000000700000600"
    assert luid(0x8000, 6) == "0000000080000600"
    assert luid_of(MemoryHive().root) is None
    odd = MemoryHive().root.set("NetLuidIndex", Data.dword(1 << 24)).set("*IfType", Data.dword(6))
    assert luid_of(odd) is None


# --- a real ghost ------------------------------------------------------------------------------


@pytest.mark.corpus
def test_the_ghost_of_a_real_windows_7() -> None:
    hive = HiveReader(hive_bytes("win7-sp1-x86_regipy_1.SYSTEM"))
    found = read_configuration(hive, "ControlSet001", GUID)
    assert found.config.name == "Local Area Connection"
    assert found.config.addresses == (IPv4Interface("192.168.1.123/24"),)
    assert found.config.gateways == (Gateway(IPv4Address("192.168.1.1")),)
    assert found.config.routes == ()
    assert found.notes == ()
