from __future__ import annotations

import pytest

from p2vprep.core.facts import gather
from p2vprep.core.facts.mentions import Mention, as_bytes, find_mentions, places
from p2vprep.core.facts.teams import read_teams
from p2vprep.core.model import Adapter
from p2vprep.core.regf.reader import HiveReader
from p2vprep.core.registry import MemoryHive
from p2vprep.core.values import Data
from tests.support.corpus import hive_bytes
from tests.support.machines import Machine
from tests.support.network import HP_CARD, NET, Host, Nic

GUID = "{6AAFC9A9-0542-4DB2-8760-CCFFA953737C}"


def found(machine: Machine, adapter: Adapter | None = None) -> list[tuple[str, str | None, str]]:
    """Place, name of the value and closing of each mention of the one adapter of GUID."""
    one = adapter or Adapter(GUID, "LAN", "", None, "physical", True, "", (), None, instance=rf"{HP_CARD}\1")
    mentions = find_mentions(machine.hive, "ControlSet001", [one])[GUID]
    return [(mention.place, mention.value, mention.closing) for mention in mentions]


def test_all_there_is_about_an_adapter() -> None:
    host = Host((6, 1, 7601), [Nic(7, "LAN", addresses=("192.0.2.10",), gateway="192.0.2.1")])
    machine = host.build()
    (adapter,) = machine.facts().boot.adapters
    mentions = find_mentions(machine.hive, "ControlSet001", [adapter], host.software)[adapter.guid]
    assert (
        places(mentions)
        == {
            "device": 1,
            "class instance": 1,
            "connection": 1,
            "device interface": 2,
            "TCP/IP interface": 1,
            "TCP/IP adapter": 1,
            "DNS registration": 1,
            "NetBIOS interface": 1,
            "IPv6 interface": 1,
            "service copy": 1,
            "routing interface": 1,
            "filter": 5,
            "binding": 14,
            "binding record": 1,
            "stack store": 2,
            "network card": 1,
        }
        | {}
    )
    assert {mention.closing for mention in mentions if mention.note} == {"keep"}


@pytest.mark.parametrize(
    ("path", "name", "data", "expected"),
    [
        (r"Services\WinSock2\Catalog\0001", "ProtocolName", f"MSAFD [{GUID}]", "keep"),
        (r"Services\iphlpsvc\Parameters\Isatap\{1}", "InterfaceName", f"isatap.{GUID}", "keep"),
        (r"Services\Vendor\Parameters", "Adapter", GUID.lower(), "keep"),
        (r"Services\Vendor\Linkage", "Bind", [rf"\Device\{GUID.lower()}"], "take-out"),
        (r"Services\Vendor\Linkage", "Bind", GUID, "keep"),
        (rf"Control\Class\{NET}\0099\Linkage", "RootDevice", ["x", GUID], "take-out"),
        (r"Control\DeviceContainers\{1}", "Device", rf"{HP_CARD}\1", "keep"),
        (rf"Control\Network\{NET}\{{2}}\Connection", "Name", f"isatap.{GUID}", "keep"),
        (r"Control\Network", "Config", Data.binary(b"\1" + (as_bytes(GUID) or b"")), "keep"),
        (r"Control\Else", "Odd", Data.binary(b"\1" + GUID.encode("utf-16-le")), "keep"),
        (r"Services\Dhcp\Parameters", GUID, Data.binary(b"1"), "delete-value"),
        (r"Services\RemoteAccess\Interfaces\2", "InterfaceName", GUID, "delete-key"),
    ],
)
def test_values(path: str, name: str, data: Data | str | list[str], expected: str) -> None:
    ((_place, value, closing),) = found(Machine().set_value(path, name, data))
    assert closing == expected
    assert value == (None if expected == "delete-key" else name)


@pytest.mark.parametrize(
    ("path", "closing"),
    [
        (rf"Services\Vendor\Parameters\Adapters\{GUID}", "delete-key"),
        (rf"Services\Vendor\Cards\Card_{GUID}", "delete-key"),
        (rf"Services\VMSMP\Parameters\NicList\{GUID}", "keep"),
        (rf"Control\Vendor\{GUID}", "keep"),
        (rf"Control\Terminal Server\lanatable\{GUID}", "delete-key"),
        (rf"Control\NetworkSetup2\Interfaces\{GUID}", "delete-key"),
    ],
)
def test_keys(path: str, closing: str) -> None:
    assert [one[2] for one in found(Machine().put(path, Own=1))] == [closing]


def test_others_are_not_mentioned() -> None:
    machine = Machine().put(
        r"Services\Vendor\Linkage", Bind=[r"\Device\{11111111-2222-3333-4444-555555555555}"]
    )
    machine.put(r"Services\Short", Name="{1}")
    assert found(machine) == []
    assert find_mentions(MemoryHive(), "ControlSet001", []) == {}
    assert as_bytes("{1}") is None


def test_numbers_of_the_stack_are_told_at_any_place_of_a_name() -> None:
    key = rf"Control\Class\{NET}\0007"
    machine = Machine().put(key, NetCfgInstanceId=GUID, NetLuidIndex=7).set_value(key, "*IfType", 6)
    store = r"Control\Nsi\{eb004a00-9b1a-11d4-9123-0050047759bc}\16"
    other = "00" * 24 + "0000000800000600" * 2 + "0a033a0100000000"
    machine.set_value(
        store, "00" * 24 + "0000000700000600" * 2 + "0a033a0100000000", Data.binary(b"\xff" * 56)
    )
    machine.set_value(store, other, Data.binary(b"\xff" * 56))
    adapter = Adapter(GUID, "", "", None, "physical", True, "", (), None, class_key=rf"ControlSet001\{key}")
    assert [one[0] for one in found(machine, adapter)] == ["class instance", "stack store"]


# --- teams -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("component", "service"),
    [
        (r"COMPOSITEBUS\MS_IMPLAT_MP", "NdisImPlatform"),
        ("iansminiport", "iANSProtocol"),
        ("brcm_blfm", "Blfp"),
        ("basp_mp", "BASP"),
        ("qlasp_mp", "QLASP"),
        ("cpqteam_mp", "CPQTeam"),
    ],
)
def test_members_of_a_team(component: str, service: str) -> None:
    other = "{11111111-2222-3333-4444-555555555555}"
    machine = Machine().put(
        rf"Control\Class\{NET}\0009", NetCfgInstanceId=GUID, ComponentId=component, Characteristics=1
    )
    machine.put(rf"Services\{service}\Linkage", Bind=[rf"\Device\{other}", rf"\Device\{GUID}"])
    machine.put(r"Services\Tcpip\Linkage", Bind=[r"\Device\{99999999-2222-3333-4444-555555555555}"])
    (team,) = read_teams(machine.hive, "ControlSet001", machine.facts().boot.adapters)
    assert team.members == {other}


def test_a_team_of_an_unknown_maker_has_no_members_that_can_be_told() -> None:
    machine = Machine().put(
        rf"Control\Class\{NET}\0009", NetCfgInstanceId=GUID, DriverDesc="TEAM: 1", Characteristics=1
    )
    (team,) = read_teams(machine.hive, "ControlSet001", machine.facts().boot.adapters)
    assert team.members == frozenset()


# --- a real hive -------------------------------------------------------------------------------


@pytest.mark.corpus
def test_the_footprint_of_the_ghost_of_a_real_windows_7() -> None:
    hive = HiveReader(hive_bytes("win7-sp1-x86_regipy_1.SYSTEM"))
    facts = gather(hive, None, system_root="/Windows")
    ghost = next(one for one in facts.boot.adapters if one.guid == GUID)
    mentions: tuple[Mention, ...] = find_mentions(hive, "ControlSet001", [ghost])[GUID]
    assert places(mentions) == {
        "binding": 33,
        "filter": 5,
        "NetBIOS interface": 1,
        "routing interface": 1,
        "TCP/IP adapter": 1,
        "DNS registration": 1,
        "TCP/IP interface": 1,
        "IPv6 interface": 1,
        "Winsock catalogue": 9,
        "service copy": 1,
        "device": 1,
        "class instance": 1,
        "device interface": 2,
        "binding record": 1,
        "connection": 1,
        "stack store": 4,
    }
