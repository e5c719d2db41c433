import ipaddress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from p2vprep.core.facts.addresses import read_interfaces, read_net_instances, static_addresses
from p2vprep.core.model import Interface
from p2vprep.core.registry import MemoryHive
from p2vprep.core.values import Data

PARAMETERS = r"ControlSet001\Services\Tcpip\Parameters"
CLASS = r"ControlSet001\Control\Class\{4d36e972-e325-11ce-bfc1-08002be10318}"
NIC = "{6AAFC9A9-0542-4DB2-8760-CCFFA953737C}"


def interfaces(keys: dict[str, dict[str, Data]]) -> dict[str, Interface]:
    root = MemoryHive({"ControlSet001": {}, **keys}).root.subkey("ControlSet001")
    assert root is not None
    return {interface.guid: interface for interface in read_interfaces(root, read_net_instances(root))}


def interface(**values: Data) -> Interface:
    return interfaces({rf"{PARAMETERS}\Interfaces\{NIC}": values})[NIC]


def test_a_static_interface_that_kept_an_old_lease() -> None:
    found = interface(
        EnableDHCP=Data.dword(0),
        IPAddress=Data.multi_sz(["192.0.2.10", "192.0.2.11"]),
        SubnetMask=Data.multi_sz(["255.255.255.0", "255.255.255.192"]),
        DefaultGateway=Data.multi_sz(["192.0.2.1"]),
        NameServer=Data.sz("192.0.2.53,198.51.100.53 203.0.113.53"),
        DhcpIPAddress=Data.sz("10.0.0.5"),
    )
    assert found == Interface(
        guid=NIC,
        key=rf"{PARAMETERS}\Interfaces\{NIC}",
        dhcp=False,
        addresses=("192.0.2.10/24", "192.0.2.11/26"),
        gateways=("192.0.2.1",),
        dns=("192.0.2.53", "198.51.100.53", "203.0.113.53"),
        lease="10.0.0.5",
        adapter=False,
        owner="none",
    )


def test_the_zero_addresses_of_xp_read_as_none() -> None:
    found = interface(
        EnableDHCP=Data.dword(1),
        IPAddress=Data.multi_sz(["0.0.0.0"]),
        SubnetMask=Data.multi_sz(["0.0.0.0"]),
        DefaultGateway=Data.multi_sz([]),
        NameServer=Data.sz(""),
        DhcpIPAddress=Data.sz("0.0.0.0"),
    )
    assert (found.dhcp, found.addresses, found.gateways, found.dns, found.lease) == (True, (), (), (), None)


def test_an_empty_interface_tells_nothing() -> None:
    found = interface()
    assert (found.dhcp, found.addresses, found.gateways, found.dns, found.lease) == (None, (), (), (), None)


@pytest.mark.parametrize(
    ("addresses", "masks", "expected"),
    [
        (["10.0.0.1"], ["255.0.255.0"], ("10.0.0.1/255.0.255.0",)),
        (["10.0.0.1"], ["not a mask"], ("10.0.0.1/not a mask",)),
        (["10.0.0.1", "10.0.0.2"], ["255.0.0.0"], ("10.0.0.1/8", "10.0.0.2")),
        (["0.0.0.0", "10.0.0.2"], ["0.0.0.0", "255.255.255.255"], ("10.0.0.2/32",)),
        (["10.0.0.1"], ["0.0.0.0"], ("10.0.0.1/0",)),
    ],
)
def test_odd_masks_are_kept_as_they_are(
    addresses: list[str], masks: list[str], expected: tuple[str, ...]
) -> None:
    found = interface(IPAddress=Data.multi_sz(addresses), SubnetMask=Data.multi_sz(masks))
    assert found.addresses == expected


@given(st.integers(0, 32))
def test_every_contiguous_mask_becomes_its_prefix(length: int) -> None:
    mask = str(ipaddress.IPv4Network(f"0.0.0.0/{length}").netmask)
    held = MemoryHive().root.set("IPAddress", Data.multi_sz(["192.0.2.1"]))
    held.set("SubnetMask", Data.multi_sz([mask]))
    assert static_addresses(held) == (f"192.0.2.1/{length}",)


def test_interfaces_without_a_device_are_told_apart() -> None:
    dial_up, loopback = "{24B11727-E35C-4821-A1A8-4C693163788B}", "{e29ac6c2-7037-11de-816d-806e6f6e6963}"
    left_over = "{11111111-2222-3333-4444-555555555555}"
    found = interfaces(
        {
            rf"{CLASS}\0007": {"NetCfgInstanceId": Data.sz(NIC)},
            rf"{CLASS}\0008": {},
            rf"{CLASS}\Properties": {"NetCfgInstanceId": Data.sz(left_over)},
            rf"{PARAMETERS}\Adapters\NdisWanIp": {
                "IpConfig": Data.multi_sz([rf"Tcpip\Parameters\Interfaces\{dial_up.lower()}"])
            },
            **{
                rf"{PARAMETERS}\Interfaces\{guid}": {} for guid in (NIC.lower(), dial_up, loopback, left_over)
            },
        }
    )
    assert {guid: (held.owner, held.adapter) for guid, held in found.items()} == {
        NIC.lower(): ("device", True),
        dial_up: ("ras", False),
        loopback: ("loopback", False),
        left_over: ("none", False),
    }


def test_a_set_without_tcpip_has_no_interfaces() -> None:
    assert interfaces({}) == {}
