from __future__ import annotations

from datetime import date
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from p2vprep.core.facts.adapters import read_adapters
from p2vprep.core.facts.addresses import read_interfaces, read_net_instances
from p2vprep.core.facts.devices import read_devices
from p2vprep.core.facts.ghosts import CANNOT_BE_TOLD, day
from p2vprep.core.model import Adapter
from p2vprep.core.registry import MemoryHive
from p2vprep.core.values import Data

NET = "{4D36E972-E325-11CE-BFC1-08002BE10318}"
GUID = "{6AAFC9A9-0542-4DB2-8760-CCFFA953737C}"
OTHER = "{698E50A9-4F58-4D86-B61D-F42E58DCACF6}"
PCI = r"PCI\VEN_8086&DEV_10C9&SUBSYS_7044103C&REV_01\4&b70f118&0&0888"
DATES = r"Properties\{83da6326-97a6-4088-9453-a1923f573b29}"
# 2021-03-04 and 2021-03-05, in 100 ns since 1601.
THURSDAY, FRIDAY = 132592896000000000, 132593760000000000


class Machine:
    """A control set that is filled part by part."""

    def __init__(self) -> None:
        self.hive = MemoryHive()
        self.set = self.hive.root.make("ControlSet001")

    def put(self, path: str, **values: Data | str | int) -> Machine:
        key = self.set.make(path)
        for name, data in values.items():
            key.set(name.removeprefix("_"), _data(data))
        return self

    def card(
        self, number: str = "0007", guid: str = GUID, instance: str = PCI, bits: int = 0x84, **values: Any
    ) -> Machine:
        """A class instance and its device."""
        self.put(rf"Enum\{instance}", Driver=rf"{NET.lower()}\{number}", ClassGUID=NET, Service="E1G60")
        return self.instance(number, guid, Characteristics=bits, **values)

    def instance(self, number: str = "0007", guid: str = GUID, **values: Any) -> Machine:
        return self.put(rf"Control\Class\{NET}\{number}", NetCfgInstanceId=guid, **values)

    def adapters(self) -> tuple[Adapter, ...]:
        instances = read_net_instances(self.set)
        return read_adapters(
            self.set, read_devices(self.set), instances, read_interfaces(self.set, instances)
        )

    def only(self) -> Adapter:
        (adapter,) = self.adapters()
        return adapter


def _data(plain: Data | str | int) -> Data:
    if isinstance(plain, Data):
        return plain
    return Data.sz(plain) if isinstance(plain, str) else Data.dword(plain)


def test_all_parts_are_joined() -> None:
    machine = Machine().card(DriverDesc="Intel(R) 82576 Gigabit Dual Port Network Connection")
    machine.put(rf"Enum\{PCI}", FriendlyName="@oem3.inf,%x%;Intel(R) 82576 Gigabit #2", ConfigFlags=1)
    machine.put(rf"Control\Network\{NET}\{GUID.lower()}\Connection", Name="Local Area Connection 2")
    machine.put(
        rf"Services\Tcpip\Parameters\Interfaces\{GUID.lower()}",
        EnableDHCP=0,
        IPAddress=Data.multi_sz(["192.0.2.10"]),
        SubnetMask=Data.multi_sz(["255.255.255.0"]),
        DefaultGateway=Data.multi_sz(["192.0.2.1"]),
        NameServer="192.0.2.53",
        DhcpIPAddress="10.1.2.3",
    )
    assert machine.only() == Adapter(
        guid=GUID,
        name="Local Area Connection 2",
        description="Intel(R) 82576 Gigabit #2",
        mac=None,
        kind="physical",
        ghost=None,
        why=CANNOT_BE_TOLD,
        addresses=("192.0.2.10/24",),
        dhcp=False,
        gateways=("192.0.2.1",),
        dns=("192.0.2.53",),
        lease="10.1.2.3",
        service="E1G60",
        instance=PCI,
        class_key=rf"ControlSet001\Control\Class\{NET}\0007",
        disabled=True,
    )


def test_an_adapter_of_which_only_the_class_instance_is_left() -> None:
    machine = Machine().instance(DriverDesc="@oem1.inf,%x%;Old Card", ComponentId=r"pci\ven_8086&dev_10c9")
    machine.put("Enum\\ROOT\\SYSTEM\\0000")
    assert machine.only() == Adapter(
        guid=GUID,
        name="",
        description="Old Card",
        mac=None,
        kind="physical",
        ghost=True,
        why="its device is gone: no device names class instance 0007",
        addresses=(),
        dhcp=None,
        class_key=rf"ControlSet001\Control\Class\{NET}\0007",
    )


def test_a_device_without_class_instance_is_no_adapter() -> None:
    assert Machine().put(rf"Enum\{PCI}", ClassGUID=NET, Driver=rf"{NET}\0099").adapters() == ()
    assert Machine().put(rf"Control\Class\{NET}\0000").adapters() == ()
    assert Machine().adapters() == ()


def test_the_instance_path_comes_from_where_it_is_left() -> None:
    machine = Machine().instance(DeviceInstanceID=PCI.upper())
    assert machine.only().instance == PCI.upper()
    machine = Machine().instance()
    machine.put(rf"Control\Network\{NET}\{GUID}\Connection", PnPInstanceId=PCI)
    assert machine.only().instance == PCI


# --- ghosts ------------------------------------------------------------------------------------


def filetime(number: int) -> Data:
    return Data(0xFFFF0010, number.to_bytes(8, "little"))


@pytest.mark.parametrize(
    ("arrived", "removed", "ghost", "why"),
    [
        (THURSDAY, FRIDAY, True, "Windows saw it removed on 2021-03-05, last arrived 2021-03-04"),
        (FRIDAY, FRIDAY, True, "Windows saw it removed on 2021-03-05, last arrived 2021-03-05"),
        (None, FRIDAY, True, "Windows saw it removed on 2021-03-05"),
        (FRIDAY, THURSDAY, None, CANNOT_BE_TOLD),
        (FRIDAY, None, None, CANNOT_BE_TOLD),
        (FRIDAY, 0, None, CANNOT_BE_TOLD),
        (None, 1 << 63, True, "Windows saw it removed on 30828-09-14"),
    ],
)
def test_removal_not_before_arrival_makes_a_ghost(
    arrived: int | None, removed: int | None, ghost: bool | None, why: str
) -> None:
    machine = Machine().card()
    for name, number in (("0066", arrived), ("0067", removed)):
        if number is not None:
            machine.put(rf"Enum\{PCI}\{DATES}\{name}", _=filetime(number))
    assert (machine.only().ghost, machine.only().why) == (ghost, why)


def test_the_dates_of_7_lie_one_level_deeper() -> None:
    machine = Machine().card()
    machine.put(rf"Enum\{PCI}\{DATES}\00000067\00000000", Data=filetime(FRIDAY))
    assert machine.only().ghost is True


@given(st.dates(date(1601, 1, 1)), st.integers(0, 863999999999))
def test_days_are_counted_as_the_calendar_does(expected: date, ticks: int) -> None:
    days = (expected - date(1601, 1, 1)).days
    assert day(days * 864000000000 + ticks) == expected.isoformat()


def test_a_date_that_is_no_filetime_tells_nothing() -> None:
    machine = Machine().card().put(rf"Enum\{PCI}\{DATES}\0067", _=Data.binary(b"1"))
    assert machine.only().ghost is None


@pytest.mark.parametrize(("stale", "ghost"), [(1, True), (0, None)])
def test_a_stale_dns_registration_makes_a_ghost(stale: int, ghost: bool | None) -> None:
    machine = Machine().card()
    machine.put(rf"Services\Tcpip\Parameters\DNSRegisteredAdapters\{GUID}", StaleAdapter=stale)
    assert machine.only().ghost is ghost


def test_a_software_device_is_no_ghost_even_without_its_device() -> None:
    machine = Machine().instance(ComponentId=r"root\kdnic", Characteristics=9)
    machine.put(rf"Enum\{PCI}")
    assert (machine.only().ghost, machine.only().kind) == (False, "software")


def test_without_a_device_tree_nothing_is_a_ghost() -> None:
    adapter = Machine().instance(ComponentId=r"pci\ven_8086&dev_10c9").only()
    assert adapter.ghost is None
    assert adapter.why == f"{CANNOT_BE_TOLD}: the hive holds no device tree"


# --- kinds -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("component", "instance", "bits", "kind"),
    [
        ("pci\\ven_8086&dev_100e", PCI, 0x84, "physical"),
        ("usb\\vid_0b95&pid_1790", r"USB\VID_0B95&PID_1790\0001", 0x84, "physical"),
        ("{f8615163-df3e-46c5-913f-f2d2f965ed0e}", r"VMBUS\{f8615163}\{1}", 0x84, "physical"),
        ("ms_pschedmp", r"Root\MS_PSCHEDMP\0000", 0x29, "software"),
        ("root\\kdnic", r"ROOT\KDNIC\0000", 0x9, "software"),
        ("ms_ndiswanip", r"Root\MS_NDISWANIP\0000", 0x29, "wan-miniport"),
        ("ms_agilevpnminiport", r"SWD\MSRRAS\MS_AGILEVPNMINIPORT", 0x29, "wan-miniport"),
        ("sw\\{eeab7790-c514-11d1-b42b-00805fc1270e}", r"SW\{eeab7790}\asyncmac", 0x2A, "wan-miniport"),
        ("*isatap", r"SWD\IP_TUNNEL_VBUS\ISATAP_0", 0x9, "tunnel"),
        ("*TEREDO", r"ROOT\*TEREDO\0000", 0x9, "tunnel"),
        ("*msloop", r"ROOT\NET\0000", 0x1, "loopback"),
        ("COMPOSITEBUS\\MS_IMPLAT_MP", r"COMPOSITEBUS\MS_IMPLAT_MP\{1}", 0x1, "team"),
        ("iansminiport", r"ROOT\IANSMINIPORT\0000", 0x1, "team"),
        ("brcm_blfm", r"ROOT\BRCM_BLFM\0000", 0x1, "team"),
        ("tap0901", r"ROOT\NET\0001", 0x81, "vpn"),
        ("vms_mp", r"ROOT\VMS_MP\0000", 0x1, "virtual"),
        ("{5d624f94-8850-40c3-a3fa-a4fd2080baf3}\\vwifimp", r"{5D624F94}\VWIFIMP\1", 0x81, "virtual"),
        ("BTH\\MS_BTHPAN", r"BTH\MS_BTHPAN\7&2", 0x1, "virtual"),
        ("something", r"ROOT\SOMETHING\0000", 0x2, "software"),
        ("something", r"ROOT\SOMETHING\0000", 0x0, "unknown"),
        ("something", r"ODD\SOMETHING\0000", 0x84, "unknown"),
    ],
)
def test_kinds(component: str, instance: str, bits: int, kind: str) -> None:
    assert Machine().card(instance=instance, bits=bits, ComponentId=component).only().kind == kind


def test_a_team_of_an_unknown_maker_is_told_by_its_description() -> None:
    machine = Machine().card(instance=r"ROOT\X\0000", bits=1, DriverDesc="TEAM : Team #0 - Server Adapter")
    assert machine.only().kind == "team"
    steam = Machine().card(instance=r"ROOT\X\0000", bits=1, DriverDesc="Steam Streaming Adapter")
    assert steam.only().kind == "virtual"


def test_without_characteristics_the_bus_decides() -> None:
    assert Machine().instance(MatchingDeviceId=r"pci\ven_8086&dev_10c9").only().kind == "physical"
    assert Machine().instance(DriverDesc="Nothing known").only().kind == "unknown"


# --- MAC addresses -----------------------------------------------------------------------------


def test_the_permanent_address_goes_before_everything() -> None:
    machine = Machine().card(
        instance=r"PCI\VEN_8086&DEV_10D3\000C29FFFF661AA200", NetworkAddress="020000000001"
    )
    kernel = rf"Control\NetworkSetup2\Interfaces\{GUID.lower()}\Kernel"
    machine.put(kernel, CurrentAddress=Data.binary(bytes.fromhex("001122334455")), IfAlias="Ethernet0")
    assert machine.only().mac == "00:11:22:33:44:55"
    assert machine.only().name == "Ethernet0"
    machine.put(kernel, PermanentAddress=Data.binary(bytes.fromhex("00155d0a0b0c")))
    assert machine.only().mac == "00:15:5d:0a:0b:0c"
    machine.put(kernel, PermanentAddress=Data.binary(b"\0" * 6), CurrentAddress=Data.binary(b"12345"))
    assert machine.only().mac == "00:0c:29:66:1a:a2"


@pytest.mark.parametrize(
    ("instance", "mac"),
    [
        (r"PCI\VEN_8086&DEV_10D3\000C29FFFF661AA200", "00:0c:29:66:1a:a2"),
        (r"PCI\VEN_8086&DEV_10D3\000C29FFFE661AA200", None),
        (r"USB\VID_1&PID_2\000C29FFFF661AA200", None),
        (r"PCI\VEN_8086&DEV_10D3\4&b70f118&0&0888", None),
    ],
)
def test_the_serial_in_a_pci_instance(instance: str, mac: str | None) -> None:
    assert Machine().card(instance=instance).only().mac == mac


@pytest.mark.parametrize(
    ("override", "mac"),
    [
        ("00-15-5D-0A-0B-0C", "00:15:5d:0a:0b:0c"),
        ("00155d0a0b0c", "00:15:5d:0a:0b:0c"),
        ("", None),
        ("0015", None),
    ],
)
def test_the_adapters_own_override(override: str, mac: str | None) -> None:
    assert Machine().card(NetworkAddress=override).only().mac == mac


DUID = "00010001146c9b4a000c297e7ed3"


def with_duid(machine: Machine, duid: str = DUID, **iaids: int) -> Machine:
    machine.put(r"Services\Tcpip6\Parameters", Dhcpv6DUID=Data.binary(bytes.fromhex(duid)))
    for guid, number in iaids.items():
        machine.put(
            rf"Services\Tcpip6\Parameters\Interfaces\{GUID if guid == 'first' else OTHER}", Dhcpv6Iaid=number
        )
    return machine


def two_cards() -> Machine:
    return Machine().card().card("0012", OTHER, PCI.replace("0888", "1888"))


def macs(machine: Machine) -> list[str | None]:
    return [adapter.mac for adapter in machine.adapters()]


def test_the_machines_identifier_belongs_to_the_card_whose_number_begins_alike() -> None:
    machine = with_duid(two_cards(), first=0x0E000C29, other=0x11005056)
    assert macs(machine) == ["00:0c:29:7e:7e:d3", None]


def test_the_identifier_is_nobodys_where_it_cannot_be_told() -> None:
    assert macs(with_duid(two_cards())) == [None, None]
    assert macs(with_duid(two_cards(), first=0x0E000C29, other=0x11000C29)) == [None, None]
    assert macs(with_duid(two_cards(), first=0x0E005056, other=0x11005056)) == [None, None]
    assert macs(with_duid(Machine().card(), first=0x0E005056)) == [None]


def test_the_identifier_of_a_sole_card() -> None:
    assert macs(with_duid(Machine().card())) == ["00:0c:29:7e:7e:d3"]
    assert macs(with_duid(Machine().card(), duid="00030001000c297e7ed3")) == ["00:0c:29:7e:7e:d3"]


@pytest.mark.parametrize("duid", ["", "0002000001370000", "00010001146c9b4a000c29", "0004" + "11" * 16])
def test_identifiers_of_other_kinds_hold_no_mac(duid: str) -> None:
    assert macs(with_duid(Machine().card(), duid=duid)) == [None]
