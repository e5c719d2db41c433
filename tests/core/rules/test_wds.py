"""Deployment services and connection sharing on one machine: told, or resolved as the setting says."""

from __future__ import annotations

import pytest

from p2vprep.core.model import RestoreService
from p2vprep.core.registry import MemoryHive
from tests.support.machines import Machine, carry_out
from tests.support.networks import Plain, add_adapter, codes, plan_for, values
from tests.support.profiles import actions

START = r"ControlSet001\Services\{}\Start"


def machine(wds: int | None = 2, ics: int | None = 3, *, version: tuple[int, int] = (6, 3)) -> Machine:
    made = Machine().windows(*version)
    for name, start in (("WDSServer", wds), ("SharedAccess", ics)):
        if start is not None:
            made.service(name, start)
    return made


@pytest.mark.parametrize(
    ("wds", "ics", "told"),
    [
        (2, 2, True),
        (2, 3, True),
        (3, 3, True),
        (4, 2, False),
        (2, 4, False),
        (None, 2, False),
        (2, None, False),
    ],
)
def test_both_able_to_start_is_a_finding(wds: int | None, ics: int | None, told: bool) -> None:
    plan = plan_for(machine(wds, ics), None)
    assert plan.changes == ()
    assert codes(plan) == ({"wds-and-ics"} if told else set())


def test_the_older_remote_installation_counts_as_well() -> None:
    made = machine(None, 2).service("BINLSVC", 2)
    assert codes(plan_for(made, None)) == {"wds-and-ics"}


@pytest.mark.parametrize(("setting", "gone"), [("ics-off", "SharedAccess"), ("wds-off", "WDSServer")])
def test_the_setting_disables_one_of_them(setting: str, gone: str) -> None:
    made = machine()
    plan = plan_for(made, None, overrides={"wds-ics": setting})
    assert values(plan) == {START.format(gone): 4}
    assert codes(plan) == set()
    carry_out(plan.changes, {"SYSTEM": made.hive})
    assert plan_for(made, None, overrides={"wds-ics": setting}).changes == ()


def test_the_setting_does_nothing_where_there_is_no_conflict() -> None:
    assert plan_for(machine(4, 2), None, overrides={"wds-ics": "ics-off"}).changes == ()


def test_before_vista_sharing_is_the_firewall_and_never_disabled() -> None:
    plan = plan_for(machine(version=(5, 2)), None, overrides={"wds-ics": "ics-off"})
    assert plan.changes == ()
    assert codes(plan) == {"wds-and-ics"}
    assert "firewall" in plan.skips[0].reason
    plan = plan_for(machine(version=(5, 2)), None, overrides={"wds-ics": "wds-off"})
    assert values(plan) == {START.format("WDSServer"): 4}


def test_what_is_disabled_for_good_is_not_parked_and_not_given_back() -> None:
    made = machine()
    parking = actions("park: {names: [SharedAccess], start: disabled}", "park: [WDSServer]")
    plan = made.plan(parking, overrides={"wds-ics": "ics-off"})
    given_back = {item.service for item in plan.first_boot if isinstance(item, RestoreService)}
    assert given_back == {"WDSServer"}
    assert values(plan)[START.format("SharedAccess")] == 4


def test_parked_services_still_count_with_what_they_will_be_again() -> None:
    made = machine()
    parking = actions("park: {names: [SharedAccess], start: disabled}")
    carry_out(made.plan(parking).changes, {"SYSTEM": made.hive})
    assert "wds-and-ics" in codes(made.plan(parking))


@pytest.mark.parametrize(
    ("dhcp", "ports", "told"), [(2, None, True), (2, 1, True), (2, 0, False), (4, None, False)]
)
def test_deployment_beside_a_dhcp_server(dhcp: int, ports: int | None, told: bool) -> None:
    made = machine(2, None).service("DHCPServer", dhcp)
    if ports is not None:
        made.put(r"Services\WDSServer\Providers\WDSPXE", UseDhcpPorts=ports)
    assert ("wds-dhcp-port" in codes(plan_for(made, None))) == told


@pytest.mark.parametrize(
    ("version", "address", "told"),
    [((5, 2), "192.168.0.1", True), ((5, 2), "192.168.137.1", False), ((6, 1), "192.168.137.1", True)],
)
def test_sharing_is_told_by_service_and_address(version: tuple[int, int], address: str, told: bool) -> None:
    made = Machine().windows(*version).service("SharedAccess", 2)
    held: dict[str, Plain] = {"EnableDHCP": 0, "IPAddress": [address], "SubnetMask": ["255.255.255.0"]}
    add_adapter(made, 1, "Shared", held=held)
    assert ("ics-on" in codes(plan_for(made, None, software=MemoryHive()))) == told


def test_a_scope_that_is_no_address_falls_back_to_windows_own() -> None:
    made = Machine().windows(6, 1).service("SharedAccess", 2)
    made.put(r"Services\SharedAccess\Parameters", ScopeAddress="nonsense")
    held: dict[str, Plain] = {
        "EnableDHCP": 0,
        "IPAddress": ["192.168.137.1"],
        "SubnetMask": ["255.255.255.0"],
    }
    add_adapter(made, 1, "Shared", held=held)
    assert "ics-on" in codes(plan_for(made, None))
