from __future__ import annotations

import pytest

from p2vprep.core.model import KeyChange, ValueChange
from p2vprep.core.rules.dhcp import is_given, is_lease
from tests.support.machines import Machine

GUID = "{6AAFC9A9-0542-4DB2-8760-CCFFA953737C}"
TCPIP = r"Services\Tcpip\Parameters"
TCPIP6 = r"Services\Tcpip6\Parameters"
NETBT = r"Services\NetBT\Parameters"
INTERFACE = rf"{TCPIP}\Interfaces\{GUID}"

LEASE = [
    "DhcpIPAddress",
    "DhcpSubnetMask",
    "DhcpServer",
    "DhcpNameServer",
    "DhcpDomain",
    "DhcpDomainSearchList",
    "DhcpDefaultGateway",
    "DhcpSubnetMaskOpt",
    "Lease",
    "LeaseObtainedTime",
    "T1",
    "T2",
    "LeaseTerminatesTime",
    "AddressType",
    "IsServerNapAware",
    "DhcpConnForceBroadcastFlag",
    "DhcpGatewayHardware",
    "DhcpGatewayHardwareCount",
    "DhcpInterfaceOptions",
    "DhcpNetworkHint",
    "DhcpRetryTime",
    "DhcpRetryStatus",
    "IPAutoconfigurationAddress",
    "IPAutoconfigurationMask",
    "IPAutoconfigurationSeed",
    "IPAutoconfigurationSubnet",
]
KEPT = [
    "EnableDHCP",
    "DhcpClassId",
    "DhcpClassIdBin",
    "NameServer",
    "Domain",
    "IPAddress",
    "SubnetMask",
    "DefaultGateway",
    "DefaultGatewayMetric",
    "IPAutoconfigurationEnabled",
    "DisableDhcpOnConnect",
    "RegistrationEnabled",
    "RegisterAdapterName",
    "UseZeroBroadcast",
    "MTU",
    "InterfaceMetric",
    "TCPAllowedPorts",
    "UDPAllowedPorts",
    "RawIPAllowedProtocols",
    "EnableDeadGWDetect",
]
LEASE_6 = [
    "Dhcpv6Iaid",
    "Dhcpv6State",
    "Dhcpv6Address",
    "Dhcpv6LeaseObtainedTime",
    "Dhcpv6InformationObtainedTime",
    "Dhcpv6InformationRefreshTime",
    "Dhcpv6InterfaceOptions",
    "Dhcpv6DNSServers",
    "Dhcpv6NetworkHint",
]


def cleared(machine: Machine, **settings: str) -> dict[str, set[str]]:
    """The names of deleted values by key, without the control set; all other changes fail."""
    found: dict[str, set[str]] = {}
    for change in machine.plan(overrides=settings).changes:
        assert isinstance(change, ValueChange)
        assert change.after is None
        assert change.rule == "stale-dhcp"
        found.setdefault(change.key.removeprefix("ControlSet001\\"), set()).add(change.name)
    return found


def with_values(path: str, *names: str) -> Machine:
    machine = Machine()
    for name in names:
        machine.set_value(path, name, "x")
    return machine


@pytest.mark.parametrize("dhcp", [0, 1])
def test_lease_values_go_and_everything_else_stays_whatever_enabledhcp_says(dhcp: int) -> None:
    machine = with_values(INTERFACE, *LEASE, *KEPT).put(INTERFACE, EnableDHCP=dhcp)
    assert cleared(machine) == {INTERFACE: set(LEASE)}


def test_the_rule_can_be_switched_off() -> None:
    assert cleared(with_values(INTERFACE, *LEASE), **{"stale-dhcp": "keep"}) == {}


def test_names_are_compared_without_regard_to_case() -> None:
    machine = with_values(INTERFACE.lower(), "DHCPIPADDRESS", "lease", "dhcpclassid")
    assert set().union(*cleared(machine).values()) == {"DHCPIPADDRESS", "lease"}


def test_global_values() -> None:
    machine = with_values(
        TCPIP, "DhcpNameServer", "DhcpDomain", "DhcpDomainSearchList", "Domain", "NameServer"
    )
    machine.set_value(TCPIP, "DisableDHCPMediaSense", 1)
    assert cleared(machine) == {TCPIP: {"DhcpNameServer", "DhcpDomain", "DhcpDomainSearchList"}}


def test_ipv6_keeps_the_identifier_of_the_machine() -> None:
    machine = with_values(
        TCPIP6, "Dhcpv6DUID", "Dhcpv6DNSServers", "Dhcpv6DomainSearchList", "DisabledComponents"
    )
    for name in (*LEASE_6, "EnableDHCP", "NameServer"):
        machine.set_value(rf"{TCPIP6}\Interfaces\{GUID.lower()}", name, 1)
    assert cleared(machine) == {
        TCPIP6: {"Dhcpv6DNSServers", "Dhcpv6DomainSearchList"},
        rf"{TCPIP6}\Interfaces\{GUID.lower()}": set(LEASE_6),
    }


def test_a_new_dhcpv6_identifier_is_made_where_asked_for() -> None:
    machine = with_values(TCPIP6, "Dhcpv6DUID", "DisabledComponents")
    choices = {"dhcpv6-identifier": "new", "stale-dhcp": "keep"}
    assert cleared(machine, **choices) == {TCPIP6: {"Dhcpv6DUID"}}


def test_what_was_registered_with_old_name_servers_is_forgotten_and_the_mark_of_a_ghost_stays() -> None:
    newer, older = rf"{TCPIP}\DNSRegisteredAdapters\{GUID}", rf"{TCPIP}\DNSRegisteredAdapters\{{old}}"
    machine = with_values(newer, "HostAddrs", "DnsServers", "SentPriUpdateToIp", "StaleAdapter", "Hostname")
    machine.put(
        older, RegisteredAddresses="x", RegisteredAddressCount=1, DNSServerAddresses="x", HostName="x"
    )
    assert cleared(machine) == {
        newer: {"HostAddrs", "DnsServers", "SentPriUpdateToIp"},
        older: {"RegisteredAddresses", "RegisteredAddressCount", "DNSServerAddresses"},
    }


def test_the_blanks_of_an_image_that_was_sealed_for_streaming_go_as_well() -> None:
    blanks: dict[str, str | int | list[str]] = {
        "DhcpIPAddress": "0.0.0.0",
        "DhcpSubnetMask": "0.0.0.0",
        "DhcpServer": "255.255.255.255",
        "DhcpDefaultGateway": [],
        "Lease": 0,
        "T1": 0,
        "LeaseTerminatesTime": 0,
    }
    machine = Machine().put(INTERFACE, EnableDHCP=1)
    for name, blank in blanks.items():
        machine.set_value(INTERFACE, name, blank)
    assert cleared(machine) == {INTERFACE: set(blanks)}


def test_netbios() -> None:
    machine = with_values(NETBT, "DhcpNodeType", "DhcpScopeID", "EnableLMHOSTS", "NodeType")
    path = rf"{NETBT}\Interfaces\Tcpip_{GUID}"
    for name in ("DhcpNameServerList", "DhcpNetbiosOptions", "NameServerList", "NetbiosOptions"):
        machine.set_value(path, name, 1)
    assert cleared(machine) == {
        NETBT: {"DhcpNodeType", "DhcpScopeID"},
        path: {"DhcpNameServerList", "DhcpNetbiosOptions"},
    }


def test_the_copy_below_the_adapters_own_key() -> None:
    copy = rf"Services\{GUID}\Parameters\Tcpip"
    machine = with_values(copy, "EnableDHCP", "IPAddress", "DhcpIPAddress", "Lease", "T1")
    machine.put(r"Services\Other\Parameters\Tcpip", DhcpIPAddress="x")
    assert cleared(machine) == {copy: {"DhcpIPAddress", "Lease", "T1"}}


def test_the_option_cache_of_xp_and_2003() -> None:
    path = r"Services\Dhcp\Parameters"
    machine = with_values(path, GUID, "ServiceDll", "{not-a-guid}")
    machine.put(rf"{path}\Options\1", RegLocation="x").put(r"Services\Dhcp\Linkage", Bind="x")
    assert cleared(machine) == {path: {GUID}}


def test_the_loopback_pseudo_interface_is_left_alone() -> None:
    path = rf"{TCPIP}\Interfaces\{{e29ac6c2-7037-11de-816d-806e6f6e6963}}"
    assert cleared(with_values(path, *LEASE)) == {}


def test_leases_remembered_by_network_are_deleted_with_their_keys() -> None:
    machine = (
        Machine().put(rf"{INTERFACE}\8496C6E696B6", DhcpIPAddress="x").put(rf"{INTERFACE}\Options", Own="x")
    )
    machine.put(rf"{TCPIP6}\Interfaces\{GUID}\AB01", Dhcpv6State=1)
    changes = machine.plan().changes
    assert [(change.key, change.exists_after) for change in changes if isinstance(change, KeyChange)] == [
        (rf"ControlSet001\{INTERFACE}\8496C6E696B6", False),
        (rf"ControlSet001\{TCPIP6}\Interfaces\{GUID}\AB01", False),
    ]
    assert len(changes) == 2


def test_nothing_is_made_where_nothing_is() -> None:
    assert Machine().plan().changes == ()


@pytest.mark.parametrize(
    ("name", "given", "lease"),
    [
        ("DhcpServer", True, True),
        ("Dhcpv6DUID", False, False),
        ("DhcpClassId", False, False),
        ("T1", False, True),
        ("EnableDHCP", False, False),
        ("DisableDHCPMediaSense", False, False),
        ("", False, False),
    ],
)
def test_which_names_are_stale(name: str, given: bool, lease: bool) -> None:
    assert is_given(name) is given
    assert is_lease(name) is lease
