"""The network document on a machine: what is written now, what the first boot gets, what is refused."""

from __future__ import annotations

from ipaddress import ip_address, ip_interface

import pytest

from p2vprep.core.model import ConfigureInterface
from p2vprep.core.network import Gateway, Match
from p2vprep.core.registry import MemoryHive
from p2vprep.core.values import Data
from p2vprep.core.wishes import GhostChoice
from tests.support.machines import Machine, carry_out, dump
from tests.support.networks import (
    CLASS,
    Plain,
    add_adapter,
    codes,
    configured,
    guid,
    network,
    plan_for,
    values,
)

INTERFACES = r"ControlSet001\Services\Tcpip\Parameters\Interfaces"
ROUTES = r"ControlSet001\Services\Tcpip\Parameters\PersistentRoutes"
CARD = r"PCI\VEN_14E4&DEV_1657&SUBSYS_22BE103C&REV_01\3&1&0&{:02X}"
"""A Broadcom card, which no hypervisor imitates."""
OLD: dict[str, Plain] = {
    "EnableDHCP": 0,
    "IPAddress": ["192.0.2.10", "192.0.2.11"],
    "SubnetMask": ["255.255.255.0", "255.255.255.0"],
    "DefaultGateway": ["192.0.2.1"],
    "DefaultGatewayMetric": ["0"],
    "NameServer": "192.0.2.53,192.0.2.54",
    "Domain": "corp.example",
    "InterfaceMetric": 5,
    "MTU": 1400,
}
STAYS = """\
interfaces:
  - match: {stays: LAN}
    addresses: [192.0.2.20/24, 198.51.100.20/25]
    gateways: [{via: 192.0.2.1, metric: 5}]
    dns: [192.0.2.53, 192.0.2.54]
    dns-suffix: corp.example
    wins: [192.0.2.55]
    netbios: off
"""


def windows(version: tuple[int, ...]) -> Machine:
    major, minor, build = version
    return Machine().windows(major, minor, build)


def machine(*version: int, held: dict[str, Plain] | None = None) -> Machine:
    made = windows(version or (6, 3, 9600))
    add_adapter(made, 1, "LAN", held=held)
    return made


def old_card(version: tuple[int, ...] = (6, 3, 9600), **changed: Plain) -> Machine:
    made = windows(version)
    add_adapter(made, 1, "LAN", instance=CARD.format(1), held={**OLD, **changed})
    made.set_value(r"Services\Tcpip\Parameters\PersistentRoutes", "0.0.0.0,0.0.0.0,192.0.2.1,-1", Data.sz(""))
    return made


# --- nothing asked for -------------------------------------------------------------------------


def test_without_a_document_nothing_happens() -> None:
    plan = plan_for(machine(), None)
    assert (plan.changes, plan.first_boot, plan.hazards) == ((), (), ())


# --- adapters that stay ------------------------------------------------------------------------


def test_an_adapter_that_stays_gets_its_values_now_and_needs_no_first_boot() -> None:
    plan = plan_for(machine(), network(STAYS))
    assert values(plan, below=INTERFACES) == {
        rf"{guid(1)}\EnableDHCP": 0,
        rf"{guid(1)}\IPAddress": ["192.0.2.20", "198.51.100.20"],
        rf"{guid(1)}\SubnetMask": ["255.255.255.0", "255.255.255.128"],
        rf"{guid(1)}\DefaultGateway": ["192.0.2.1"],
        rf"{guid(1)}\DefaultGatewayMetric": ["5"],
        rf"{guid(1)}\NameServer": "192.0.2.53,192.0.2.54",
        rf"{guid(1)}\Domain": "corp.example",
    }
    netbt = rf"ControlSet001\Services\NetBT\Parameters\Interfaces\Tcpip_{guid(1)}"
    assert values(plan, below=netbt) == {"NameServerList": ["192.0.2.55"], "NetbiosOptions": 2}
    assert (plan.first_boot, plan.hazards) == ((), ())


@pytest.mark.parametrize(
    ("version", "item"),
    [((5, 2, 3790), False), ((6, 0, 6002), True), ((6, 1, 7601), True), ((6, 2, 9200), False)],
)
def test_where_two_stores_may_disagree_the_first_boot_sets_the_same_once_more(
    version: tuple[int, ...], item: bool
) -> None:
    plan = plan_for(machine(*version), network(STAYS))
    assert values(plan, below=INTERFACES)[rf"{guid(1)}\EnableDHCP"] == 0
    assert bool(configured(plan)) == item


@pytest.mark.parametrize(
    ("extra", "version", "item"),
    [
        ("metric: 7", (6, 3, 9600), True),
        ("metric: 7", (5, 2, 3790), False),
        ("mtu: 1400", (10, 0, 17763), True),
        ("routes: [{to: 10.0.0.0/8, via: 192.0.2.2}]", (10, 0, 17763), True),
        ("routes: [{to: 10.0.0.0/8, via: 192.0.2.2}]", (5, 2, 3790), False),
        ("name: Production", (10, 0, 17763), True),
        ("name: LAN", (10, 0, 17763), False),
        ("name: Production", (6, 3, 9600), False),
        ("dns: ['2001:db8::53']", (6, 3, 9600), True),
    ],
)
def test_what_has_no_certain_form_at_rest_goes_to_the_first_boot(
    extra: str, version: tuple[int, ...], item: bool
) -> None:
    body = f"interfaces: [{{match: {{stays: LAN}}, addresses: [192.0.2.20/24], {extra}}}]"
    assert bool(configured(plan_for(machine(*version), network(body)))) == item


def test_ipv6_always_goes_to_the_first_boot_and_never_into_the_stacks_store() -> None:
    body = "interfaces: [{match: {stays: LAN}, dhcp: true, addresses: ['2001:db8::5/64']}]"
    plan = plan_for(machine(), network(body))
    (config,) = configured(plan)
    assert config.addresses == (ip_interface("2001:db8::5/64"),)
    assert config.match == Match(index=0), "without a MAC it is found by its place on the bus"
    assert not [change for change in plan.changes if "Nsi" in str(change)]


@pytest.mark.parametrize(
    ("version", "expected"),
    [
        ((5, 2, 3790), {"IPAddress": ["0.0.0.0"], "SubnetMask": ["0.0.0.0"], "DefaultGateway": []}),
        ((6, 3, 9600), {"IPAddress": None, "SubnetMask": None, "DefaultGateway": None}),
    ],
)
def test_back_to_dhcp_takes_the_form_of_the_version(
    version: tuple[int, ...], expected: dict[str, object]
) -> None:
    made = machine(*version, held={**OLD, "DisableDhcpOnConnect": 1})
    found = values(
        plan_for(made, network("interfaces: [{match: {stays: LAN}, dhcp: true}]")),
        below=rf"{INTERFACES}\{guid(1)}",
    )
    assert found["EnableDHCP"] == 1
    assert expected.items() <= found.items()
    assert found["DisableDhcpOnConnect"] is None
    assert (found["NameServer"], found["InterfaceMetric"], found["MTU"]) == ("", None, None)


def test_the_copies_of_older_versions_follow() -> None:
    made = machine(6, 1, 7601)
    copy = rf"Services\{guid(1)}\Parameters\Tcpip"
    made.put(copy, EnableDHCP=1)
    found = values(plan_for(made, network(STAYS)), below=rf"ControlSet001\{copy}")
    assert found == {
        "EnableDHCP": 0,
        "IPAddress": ["192.0.2.20", "198.51.100.20"],
        "SubnetMask": ["255.255.255.0", "255.255.255.128"],
        "DefaultGateway": ["192.0.2.1"],
    }


def test_what_is_carried_over_from_itself_keeps_what_the_document_does_not_say() -> None:
    body = "interfaces: [{match: {stays: LAN}, carry-over: LAN, dns: [192.0.2.99]}]"
    found = values(plan_for(machine(5, 2, 3790, held=OLD), network(body)), below=rf"{INTERFACES}\{guid(1)}")
    assert found == {"NameServer": "192.0.2.99"}


def test_other_control_sets_follow_where_the_adapter_is_there() -> None:
    made = Machine("ControlSet001", "ControlSet002").windows(6, 1, 7601)
    add_adapter(made, 1, "LAN")
    second = made.hive.root.subkey("ControlSet002")
    assert second is not None
    plan = plan_for(made, network(STAYS))
    assert {path.split("\\")[0] for path in values(plan)} == {"ControlSet001", "ControlSet002"}
    interfaces = second.make(r"Services\Tcpip\Parameters").children
    interfaces.clear()
    plan = plan_for(made, network(STAYS))
    assert {path.split("\\")[0] for path in values(plan)} == {"ControlSet001"}


def test_a_team_cannot_stay() -> None:
    made = machine()
    add_adapter(made, 2, "Team", component="ms_implat", characteristics=1, instance=r"COMPOSITEBUS\X\1")
    plan = plan_for(made, network("interfaces: [{match: {stays: Team}, dhcp: true}]"))
    assert "adapter-cannot-stay" in codes(plan, "refuse")
    assert not configured(plan)


# --- routes ------------------------------------------------------------------------------------


def test_routes_take_the_registrys_form_and_replace_those_of_another_metric() -> None:
    made = machine(5, 2, 3790)
    made.set_value(
        r"Services\Tcpip\Parameters\PersistentRoutes", "10.0.0.0,255.0.0.0,192.0.2.2,9", Data.sz("")
    )
    body = (
        "interfaces: [{match: {stays: LAN}, addresses: [192.0.2.20/24], routes: "
        "[{to: 10.0.0.0/8, via: 192.0.2.2, metric: 3}, {to: 172.16.0.0/12, via: 192.0.2.3}]}]"
    )
    assert values(plan_for(made, network(body)), below=ROUTES) == {
        "10.0.0.0,255.0.0.0,192.0.2.2,9": None,
        "10.0.0.0,255.0.0.0,192.0.2.2,3": "",
        "172.16.0.0,255.240.0.0,192.0.2.3,1": "",
    }


def test_before_vista_routes_of_new_adapters_are_written_now() -> None:
    body = (
        "interfaces: [{match: {mac: 00155d0a0b0c}, addresses: [192.0.2.20/24], "
        "routes: [{to: 10.0.0.0/8, via: 192.0.2.2}]}]"
    )
    assert values(plan_for(machine(5, 2, 3790), network(body)), below=ROUTES) == {
        "10.0.0.0,255.0.0.0,192.0.2.2,1": ""
    }
    assert not values(plan_for(machine(10, 0, 17763), network(body)), below=ROUTES)


# --- adapters that do not exist yet ------------------------------------------------------------


def test_a_new_adapter_is_handed_to_the_first_boot_complete() -> None:
    body = """\
interfaces:
  - match: {mac: 00155d0a0b0c}
    name: Production
    addresses: [192.0.2.20/24]
    gateways: [192.0.2.1]
"""
    plan = plan_for(machine(), network(body))
    assert not plan.changes
    (item,) = plan.first_boot
    assert isinstance(item, ConfigureInterface)
    assert item.config == network(body).interfaces[0]
    assert "network document" in item.why


def test_what_an_old_adapter_had_is_carried_over_recorded_and_given_up() -> None:
    made = old_card()
    plan = plan_for(made, network("interfaces: [{match: {mac: 00155d0a0b0c}, carry-over: lan}]"))
    (config,) = configured(plan)
    assert config.addresses == (ip_interface("192.0.2.10/24"), ip_interface("192.0.2.11/24"))
    assert config.gateways == (Gateway(ip_address("192.0.2.1")),)
    assert (config.name, config.metric, config.mtu) == ("LAN", 5, 1400)
    assert config.dns_suffix == "corp.example"
    assert not codes(plan, "refuse")
    found = values(plan)
    assert found[rf"p2vprep\OldAdapters\{guid(1)}\Name"] == "LAN"
    carry_out(plan.changes, {"SYSTEM": made.hive})
    (adapter,) = made.facts().boot.adapters
    assert (adapter.addresses, adapter.gateways, adapter.dhcp) == ((), (), True)
    assert adapter.name == "LAN (old)"


@pytest.mark.parametrize("ghosts", [None, "neutralise", "remove"])
@pytest.mark.parametrize(
    "body",
    [
        "interfaces: [{match: {mac: 00155d0a0b0c}, carry-over: LAN}]",
        "interfaces: [{match: {replaces: LAN}, carry-over: LAN}]",
        "interfaces: [{match: {replaces: LAN}, addresses: [192.0.2.10/24], name: LAN}]",
        "interfaces: [{match: {replaces: LAN}, dhcp: true}]",
        "interfaces: [{match: {stays: LAN}, carry-over: LAN, addresses: [192.0.2.77/24]}]",
        "interfaces: [{match: {stays: LAN}, carry-over: LAN, name: Production}]",
    ],
)
@pytest.mark.parametrize("version", [(5, 2, 3790), (6, 1, 7601), (10, 0, 20348)])
def test_the_second_plan_changes_nothing_and_configures_the_same(
    version: tuple[int, ...], body: str, ghosts: GhostChoice | None
) -> None:
    made = old_card(version)
    first = plan_for(made, network(body), ghosts=ghosts)
    assert not codes(first, "refuse"), first.hazards
    carry_out(first.changes, {"SYSTEM": made.hive})
    second = plan_for(made, network(body), ghosts=ghosts)
    assert second.changes == ()
    assert configured(second) == configured(first)
    assert not codes(second, "refuse")


def test_what_the_document_says_counts_more_than_what_is_carried_over() -> None:
    body = (
        "interfaces: [{match: {mac: 00155d0a0b0c}, carry-over: LAN, name: New, "
        "addresses: [203.0.113.5/24, '2001:db8::5/64'], gateways: [203.0.113.1], metric: 9}]"
    )
    (config,) = configured(plan_for(old_card(), network(body)))
    assert config.addresses == (ip_interface("203.0.113.5/24"), ip_interface("2001:db8::5/64"))
    assert config.gateways == (Gateway(ip_address("203.0.113.1")),)
    assert (config.name, config.metric, config.mtu) == ("New", 9, 1400)


def test_dhcp_in_the_document_leaves_the_old_addresses_behind() -> None:
    body = "interfaces: [{match: {mac: 00155d0a0b0c}, carry-over: LAN, dhcp: true}]"
    (config,) = configured(plan_for(old_card(), network(body)))
    assert (config.dhcp, config.addresses, config.gateways) == (True, (), ())
    assert config.dns == (ip_address("192.0.2.53"), ip_address("192.0.2.54"))


def test_a_carried_gateway_outside_the_new_subnet_is_refused() -> None:
    body = "interfaces: [{match: {mac: 00155d0a0b0c}, carry-over: LAN, addresses: [203.0.113.5/24]}]"
    plan = plan_for(old_card(), network(body))
    (hazard,) = [one for one in plan.hazards if one.code == "network-impossible"]
    assert hazard.severity == "refuse"
    assert "192.0.2.1 lies outside every subnet" in hazard.message


def test_what_cannot_be_read_of_an_old_adapter_is_told() -> None:
    made = old_card(SubnetMask=["255.0.255.0", "255.255.255.0"])
    plan = plan_for(made, network("interfaces: [{match: {mac: 00155d0a0b0c}, carry-over: LAN}]"))
    assert "carry-over-incomplete" in codes(plan, "warn")


def test_adapters_that_are_replaced_keep_the_order_of_the_bus() -> None:
    made = Machine().windows(6, 3, 9600)
    add_adapter(made, 1, "LAN", instance=CARD.format(1), location="PCI bus 4, device 0, function 0")
    add_adapter(
        made,
        2,
        "LAN 2",
        instance=CARD.format(2),
        location=r"@System32\drivers\pci.sys,#65536;PCI bus %1, device %2, function %3;(3,0,1)",
    )
    body = "interfaces: [{match: {replaces: LAN}, dhcp: true}, {match: {replaces: LAN 2}, dhcp: true}]"
    assert [config.match for config in configured(plan_for(made, network(body)))] == [
        Match(index=1),
        Match(index=0),
    ]


def test_a_sole_replaced_adapter_is_the_only_one() -> None:
    (config,) = configured(
        plan_for(old_card(), network("interfaces: [{match: {replaces: LAN}, carry-over: LAN}]"))
    )
    assert config.match == Match(only=True)


def test_what_has_no_place_on_a_bus_has_no_successor_by_order() -> None:
    made = old_card()
    add_adapter(made, 2, "Team", component="ms_implat", characteristics=1, instance=r"COMPOSITEBUS\X\1")
    body = "interfaces: [{match: {replaces: Team}, dhcp: true}, {match: {replaces: LAN}, dhcp: true}]"
    assert "adapter-place-unknown" in codes(plan_for(made, network(body)), "refuse")


def test_an_adapter_by_its_guid_and_one_that_is_not_there() -> None:
    by_guid = f"interfaces: [{{match: {{mac: 00155d0a0b0c}}, carry-over: '{guid(1).strip('{}').lower()}'}}]"
    assert configured(plan_for(old_card(), network(by_guid)))
    plan = plan_for(old_card(), network("interfaces: [{match: {mac: 00155d0a0b0c}, carry-over: WAN}]"))
    (hazard,) = [one for one in plan.hazards if one.code == "adapter-unknown"]
    assert hazard.severity == "refuse"
    assert any("LAN" in line for line in hazard.evidence)
    assert not configured(plan)


def test_two_adapters_of_one_name_are_ambiguous() -> None:
    made = old_card()
    add_adapter(made, 2, "LAN", instance=CARD.format(2))
    plan = plan_for(made, network("interfaces: [{match: {mac: 00155d0a0b0c}, carry-over: LAN}]"))
    assert "adapter-ambiguous" in codes(plan, "refuse")


def test_a_damaged_record_counts_as_none() -> None:
    made = old_card()
    made.hive.root.make(rf"p2vprep\OldAdapters\{guid(1)}").set("Held", Data.sz('{"name": 1}'))
    (config,) = configured(
        plan_for(made, network("interfaces: [{match: {mac: 00155d0a0b0c}, carry-over: LAN}]"))
    )
    assert config.mtu == 1400


def test_the_old_default_route_goes_and_one_that_is_still_wanted_stays() -> None:
    gone = "interfaces: [{match: {replaces: LAN}, addresses: [203.0.113.5/24], gateways: [203.0.113.1]}]"
    assert values(plan_for(old_card(), network(gone)), below=ROUTES) == {"0.0.0.0,0.0.0.0,192.0.2.1,-1": None}
    same = "interfaces: [{match: {replaces: LAN}, carry-over: LAN}]"
    assert values(plan_for(old_card(), network(same)), below=ROUTES) == {}


# --- what speaks against it --------------------------------------------------------------------

WANTED = "interfaces: [{match: {mac: 00155d0a0b0c}, addresses: [192.0.2.10/24], name: LAN}]"
MAYBE = r"PCI\VEN_8086&DEV_10D3&SUBSYS_07D015AD&REV_00\3&1&0&01"
"""A card that several hypervisors imitate, so at rest nobody can say whether it will be there."""


def test_an_address_that_another_adapter_keeps_is_refused() -> None:
    made = Machine().windows(6, 3, 9600)
    add_adapter(made, 1, "LAN", instance=MAYBE, held=OLD)
    plan = plan_for(made, network(WANTED))
    assert "address-taken" in codes(plan, "refuse")
    assert "name-taken" in codes(plan, "warn")


def test_an_address_of_a_ghost_that_is_cleared_away_is_free() -> None:
    assert not codes(plan_for(old_card(), network(WANTED)), "refuse")
    assert "address-taken" in codes(plan_for(old_card(), network(WANTED), ghosts="keep"), "refuse")


def test_left_over_addresses_of_an_adapter_with_dhcp_bind_nobody() -> None:
    made = Machine().windows(6, 3, 9600)
    add_adapter(made, 1, "Other", instance=MAYBE, held={**OLD, "EnableDHCP": 1})
    assert not codes(plan_for(made, network(WANTED)), "refuse")


def test_an_adapter_of_the_same_mac_is_the_adapter_itself() -> None:
    made = Machine().windows(6, 3, 9600)
    add_adapter(made, 1, "LAN", instance=MAYBE, held=OLD)
    made.put(rf"Control\Class\{CLASS}\0001", NetworkAddress="00155D0A0B0C")
    assert made.facts().boot.adapters[0].mac == "00:15:5d:0a:0b:0c"
    assert not codes(plan_for(made, network(WANTED)), "refuse")
    other = network(WANTED.replace("0b0c", "0b0d"))
    assert "address-taken" in codes(plan_for(made, other), "refuse")


def test_ghosts_that_are_kept_keep_what_they_have() -> None:
    body = "interfaces: [{match: {mac: 00155d0a0b0c}, carry-over: LAN}]"
    plan = plan_for(old_card(), network(body), ghosts="keep")
    assert plan.changes == ()
    assert "address-taken" in codes(plan, "refuse")


def test_without_a_first_boot_job_the_need_for_one_refuses() -> None:
    plan = plan_for(machine(), network(WANTED), first_boot=False)
    (hazard,) = plan.refusals
    assert (hazard.code, hazard.liftable) == ("first-boot-needed", False)
    assert not plan_for(machine(), network(STAYS), first_boot=False).refusals


def test_one_subnet_on_two_adapters() -> None:
    body = (
        "interfaces: [{{match: {{index: 0}}, addresses: [192.0.2.10/24]}}, "
        "{{match: {{index: 1}}, addresses: [{}]}}]"
    )
    for address, code in (("192.0.2.11/24", "subnet-on-two-adapters"), ("192.0.2.130/25", "subnets-overlap")):
        assert codes(plan_for(machine(), network(body.format(address)))) == {code}
    assert not codes(plan_for(machine(), network(body.format("203.0.113.1/24"))))


TWO_GATEWAYS = """\
interfaces:
  - {match: {index: 0}, addresses: [192.0.2.10/24], gateways: [192.0.2.1]}
  - {match: {index: 1}, addresses: [203.0.113.10/24], gateways: [203.0.113.1]}
"""


def test_two_default_gateways_while_dead_gateway_detection_is_on() -> None:
    assert "several-default-gateways" in codes(plan_for(machine(5, 2, 3790), network(TWO_GATEWAYS)))
    for setting in ("dead-gateway-detection: off", "multi-homing: on"):
        wanted = network(f"{TWO_GATEWAYS}settings: {{{setting}}}\n")
        assert "several-default-gateways" not in codes(plan_for(machine(5, 2, 3790), wanted))


def test_from_vista_on_only_multi_homing_settles_it() -> None:
    for setting, told in (("dead-gateway-detection: off", True), ("multi-homing: on", False)):
        wanted = network(f"{TWO_GATEWAYS}settings: {{{setting}}}\n")
        assert ("several-default-gateways" in codes(plan_for(machine(), wanted))) == told


def test_multi_homing_gives_each_adapter_a_fixed_metric() -> None:
    wanted = network(f"{TWO_GATEWAYS}settings: {{multi-homing: on}}\n")
    assert [config.metric for config in configured(plan_for(machine(), wanted))] == [10, 20]
    given = network(TWO_GATEWAYS.replace("0.1]}", "0.1], metric: 3}") + "settings: {multi-homing: on}\n")
    assert [config.metric for config in configured(plan_for(machine(), given))] == [10, 20]


SIX = "interfaces: [{match: {index: 0}, dhcp: true, addresses: ['2001:db8::5/64']}]\n"


@pytest.mark.parametrize(
    ("components", "setting", "refused"),
    [
        (None, "keep", False),
        (0xFF, "keep", True),
        (0x10, "keep", True),
        (0x20, "keep", False),
        (0xFF, "on", False),
        (0xFF, "prefer-ipv4", False),
        (None, "off", True),
    ],
)
def test_ipv6_while_it_is_switched_off(components: int | None, setting: str, refused: bool) -> None:
    made = machine().put(r"Services\Tcpip6\Parameters")
    if components is not None:
        made.put(r"Services\Tcpip6\Parameters", DisabledComponents=components)
    plan = plan_for(made, network(f"{SIX}settings: {{ipv6: {setting}}}\n"))
    assert ("ipv6-disabled" in codes(plan, "refuse")) == refused


def test_before_vista_ipv6_may_not_be_installed() -> None:
    assert "ipv6-not-installed" in codes(plan_for(machine(5, 2, 3790), network(SIX)))
    made = machine(5, 2, 3790).put(r"Services\Tcpip6")
    assert "ipv6-not-installed" not in codes(plan_for(made, network(SIX)))


@pytest.mark.parametrize(
    ("start", "persists", "holder", "refused"),
    [
        (2, False, True, True),
        (3, True, True, True),
        (3, False, True, False),
        (2, False, False, False),
        (4, True, True, False),
    ],
)
def test_the_network_of_connection_sharing(start: int, persists: bool, holder: bool, refused: bool) -> None:
    made = machine().service("SharedAccess", start)
    made.put(r"Services\SharedAccess\Parameters", ScopeAddress="192.168.137.1")
    if holder:
        fixed: dict[str, Plain] = {
            "EnableDHCP": 0,
            "IPAddress": ["192.168.137.1"],
            "SubnetMask": ["255.255.255.0"],
        }
        add_adapter(made, 2, "Shared", held=fixed)
    software = MemoryHive()
    if persists:
        key = software.root.make(r"Microsoft\Windows\CurrentVersion\SharedAccess")
        key.set("EnableRebootPersistConnection", Data.dword(1))
    body = "interfaces: [{match: {index: 0}, addresses: [192.168.137.40/24]}]"
    plan = plan_for(made, network(body), software=software)
    assert ("ics-subnet" in codes(plan, "refuse")) == refused
    assert ("ics-on" in codes(plan)) == refused


# --- takeover ----------------------------------------------------------------------------------

TAKEOVER = "interfaces: [{match: {mac: 00155d0a0b0c}, carry-over: LAN, takeover: true}]"


def test_a_takeover_leaves_the_old_interface_as_it_is() -> None:
    made = old_card((10, 0, 17763))
    before = dump(made.hive)
    plan = plan_for(made, network(TAKEOVER))
    (item,) = plan.first_boot
    assert isinstance(item, ConfigureInterface)
    assert item.takeover_guid == guid(1)
    assert item.config.addresses
    assert (plan.changes, plan.refusals) == ((), ())
    assert dump(made.hive) == before


def test_a_takeover_before_windows_10_is_refused() -> None:
    (hazard,) = plan_for(old_card((6, 3, 9600)), network(TAKEOVER)).refusals
    assert (hazard.code, hazard.liftable) == ("takeover-impossible", False)


def test_a_takeover_from_what_has_no_driver_any_more_is_refused() -> None:
    made = Machine().windows(10, 0, 17763)
    lost = "{0000000F-AAAA-4BBB-8CCC-00000000000F}"
    for name, data in OLD.items():
        made.set_value(rf"Services\Tcpip\Parameters\Interfaces\{lost}", name, data)
    made.put(rf"Control\Network\{CLASS}\{lost}\Connection", Name="LAN")
    plan = plan_for(made, network(TAKEOVER))
    assert "takeover-impossible" in codes(plan, "refuse")
    (item,) = plan.first_boot
    assert isinstance(item, ConfigureInterface)
    assert item.takeover_guid is None


def test_a_connections_name_is_written_up_to_8_1() -> None:
    body = network("interfaces: [{match: {stays: LAN}, dhcp: true, name: Production}]")
    path = rf"ControlSet001\Control\Network\{CLASS}\{guid(1)}\Connection"
    assert values(plan_for(machine(6, 3, 9600), body), below=path) == {"Name": "Production"}
    assert values(plan_for(machine(10, 0, 17763), body), below=path) == {}


def test_what_is_left_of_an_adapter_without_a_device_can_be_carried_over_as_well() -> None:
    made = Machine().windows(10, 0, 17763)
    lost = "{0000000F-AAAA-4BBB-8CCC-00000000000F}"
    for name, data in OLD.items():
        made.set_value(rf"Services\Tcpip\Parameters\Interfaces\{lost}", name, data)
    made.put(rf"Control\Network\{CLASS}\{lost}\Connection", Name="Lost")
    wanted = network("interfaces: [{match: {mac: 00155d0a0b0c}, carry-over: lost}]")
    first = plan_for(made, wanted)
    (config,) = configured(first)
    assert config.addresses == (ip_interface("192.0.2.10/24"), ip_interface("192.0.2.11/24"))
    assert not first.refusals
    carry_out(first.changes, {"SYSTEM": made.hive})
    second = plan_for(made, wanted)
    assert (second.changes, configured(second)) == ((), (config,))


def test_an_adapter_that_is_said_to_stay_is_no_ghost_and_one_that_is_replaced_is_not_untold() -> None:
    stays = plan_for(old_card(), network("interfaces: [{match: {stays: LAN}, dhcp: true}]"))
    assert not [change for change in stays.changes if change.rule == "ghosts"]
    made = Machine().windows(6, 3, 9600)
    add_adapter(made, 1, "LAN", instance=MAYBE, held=OLD)
    replaced = plan_for(made, network("interfaces: [{match: {replaces: LAN}, carry-over: LAN}]"))
    assert not codes(replaced)
    assert [change for change in replaced.changes if change.rule == "ghosts"], "its addresses are given up"
