"""What becomes of adapters that are gone: kept, made harmless, removed.

Golden machines are made to the facts for each version, as no server's hive with ghosts or teams is at hand;
the one real ghost, on Windows 7, and real hives into which ghosts are grafted are in test_ghosts_corpus.
"""

from __future__ import annotations

from ipaddress import IPv4Address, IPv4Interface

import pytest

from p2vprep.core.model import (
    Hazard,
    KeyChange,
    Plan,
    RemoveDevice,
    ValueChange,
    WindowsVersion,
)
from p2vprep.core.network import Gateway, InterfaceConfig, Match, Network
from p2vprep.core.planner import draft, finish
from p2vprep.core.registry import fold
from p2vprep.core.rules.ghosts import default_choice
from p2vprep.core.values import Data
from p2vprep.core.wishes import GhostChoice, Wishes
from tests.support.machines import Machine, carry_out
from tests.support.network import (
    E1000,
    HP_CARD,
    NET,
    NSI4,
    TCPIP,
    Host,
    Nic,
    everything,
)
from tests.support.profiles import actions

VERSIONS = {
    "2003": (5, 2, 3790),
    "2008 R2": (6, 1, 7601),
    "2012 R2": (6, 3, 9600),
    "2016": (10, 0, 14393),
    "2019": (10, 0, 17763),
    "2022": (10, 0, 20348),
    "2025": (10, 0, 26100),
}


def plan_for(
    host: Host,
    machine: Machine,
    ghosts: GhostChoice | None = None,
    network: Network | None = None,
    *,
    software: bool = True,
) -> Plan:
    hives = {"SYSTEM": machine.hive, **({"SOFTWARE": host.software} if software else {})}
    wanted = draft(machine.facts(), hives, [], wishes=Wishes(ghosts=ghosts, network=network))
    return finish(wanted, hives)


def mine(plan: Plan) -> list[ValueChange | KeyChange]:
    return [
        change
        for change in plan.changes
        if change.rule == "ghosts" and isinstance(change, ValueChange | KeyChange)
    ]


def values(plan: Plan) -> dict[str, object]:
    """What the rule sets, by the last part of the key and the name."""
    return {
        f"{change.key.rpartition(chr(92))[2]}: {change.name}": None
        if change.after is None
        else change.after.show(200)
        for change in mine(plan)
        if isinstance(change, ValueChange)
    }


def codes(plan: Plan) -> set[str]:
    return {hazard.code for hazard in plan.hazards}


def hazard(plan: Plan, code: str) -> Hazard:
    (found,) = [one for one in plan.hazards if one.code == code]
    return found


def server(version: tuple[int, int, int], **more: object) -> Host:
    """A server whose card with two fixed addresses is gone, and an emulated card with DHCP that may stay."""
    return Host(
        version,
        [
            Nic(7, "Production", addresses=("192.0.2.10", "192.0.2.11"), gateway="192.0.2.1"),
            Nic(8, "Backup", hardware=E1000),
        ],
    )


# --- neutralise --------------------------------------------------------------------------------


@pytest.mark.parametrize("version", VERSIONS.values(), ids=VERSIONS)
def test_without_a_choice_the_old_adapter_gives_everything_up_and_no_key_goes(
    version: tuple[int, int, int],
) -> None:
    host = server(version)
    machine = host.build()
    plan = plan_for(host, machine)
    gone = host.nics[0]
    assert not [change for change in mine(plan) if isinstance(change, KeyChange)]
    carry_out(plan.changes, {"SYSTEM": machine.hive})
    (adapter, other) = [one for one in machine.facts().boot.adapters if one.kind == "physical"]
    assert (adapter.name, adapter.addresses, adapter.gateways, adapter.dns) == (
        "Production (old)",
        (),
        (),
        (),
    )
    assert adapter.dhcp is True
    assert other.name == "Backup"
    root = machine.sets[0]
    routes = root.make(rf"{TCPIP}\PersistentRoutes")
    assert list(routes.values()) == []
    for path in (r"Tcpip\Linkage", r"NetBT\Linkage", r"NetBIOS\Linkage", r"RasPppoe\Linkage\Disabled"):
        for name, data in root.make(rf"Services\{path}").values():
            if data.strings is not None:
                assert gone.guid not in "".join(data.strings), (path, name)
                assert host.nics[1].guid in "".join(data.strings), (path, name)
    wins = root.make(rf"Services\NetBT\Parameters\Interfaces\Tcpip_{gone.guid}").value("NameServerList")
    assert wins is not None
    assert wins.strings == ()
    assert mine(plan_for(host, machine)) == []


def test_the_copy_for_older_programs_gives_up_its_addresses_too() -> None:
    host = server(VERSIONS["2008 R2"])
    machine = host.build()
    carry_out(plan_for(host, machine).changes, {"SYSTEM": machine.hive})
    copy = machine.sets[0].make(rf"Services\{host.nics[0].guid}\Parameters\Tcpip")
    assert copy.value("EnableDHCP") == Data.dword(1)
    assert copy.value("IPAddress") == Data.multi_sz([])


def test_the_second_name_of_10_follows() -> None:
    host = server(VERSIONS["2019"])
    plan = plan_for(host, host.build())
    assert values(plan)["Kernel: IfAlias"] == '"Production (old)"'
    (alias,) = [change for change in mine(plan) if change.key.endswith(r"\0010")]
    assert isinstance(alias, ValueChange)
    assert alias.after == Data(0xFFFF0012, Data.sz("Production (old)").raw)


def test_a_name_that_is_taken_gets_a_number() -> None:
    host = server(VERSIONS["2012 R2"])
    host.nics[1].name = "Production (old)"
    assert values(plan_for(host, host.build()))["Connection: Name"] == '"Production (old 2)"'


def test_keep_does_nothing() -> None:
    host = server(VERSIONS["2016"])
    plan = plan_for(host, host.build(), "keep")
    assert mine(plan) == []
    assert plan.first_boot == ()


def test_the_map_of_netbios_numbers_follows_its_list() -> None:
    host = server(VERSIONS["2003"])
    machine = host.build()
    linkage = machine.sets[0].make(r"Services\NetBIOS\Linkage")
    assert linkage.value("LanaMap") == Data.binary(bytes.fromhex("0003010400050106"))
    carry_out(plan_for(host, machine).changes, {"SYSTEM": machine.hive})
    assert linkage.value("LanaMap") == Data.binary(bytes.fromhex("010400050106"))
    route = linkage.value("Route")
    assert route is not None
    assert route.strings == (f'"NetBT" "Tcpip" "{host.nics[1].guid}"', '"NetBT" "Tcpip" "NdisWanIp"')


def test_a_map_that_does_not_fit_its_list_is_left_and_told() -> None:
    host = server(VERSIONS["2003"])
    machine = host.build()
    machine.put(r"Services\NetBIOS\Linkage", LanaMap=Data.binary(b"\0\1\2"))
    plan = plan_for(host, machine)
    assert "Linkage: LanaMap" not in values(plan)
    assert [skip.subject for skip in plan.skips if skip.rule == "ghosts"] == [
        r"ControlSet001\Services\NetBIOS\Linkage: LanaMap"
    ]


# --- the default and the first boot ------------------------------------------------------------


@pytest.mark.parametrize(
    ("version", "by_windows"),
    [
        ((5, 2, 3790), False),
        ((6, 3, 9600), False),
        ((10, 0, 17763), False),
        ((10, 0, 19041), True),
        ((10, 0, 20348), True),
        ((10, 0, 26100), True),
    ],
)
def test_the_default_by_version(version: tuple[int, int, int], by_windows: bool) -> None:
    assert default_choice(WindowsVersion(*version)) == ("neutralise", by_windows)
    host = server(version)
    plan = plan_for(host, host.build())
    devices = [item.instance for item in plan.first_boot if isinstance(item, RemoveDevice)]
    assert devices == ([host.nics[0].instance] if by_windows else [])


@pytest.mark.parametrize("choice", ["neutralise", "remove"])
def test_who_chooses_gets_no_removal_at_the_first_boot(choice: GhostChoice) -> None:
    host = server(VERSIONS["2022"])
    assert plan_for(host, host.build(), choice).first_boot == ()


# --- remove ------------------------------------------------------------------------------------


@pytest.mark.parametrize("version", VERSIONS.values(), ids=VERSIONS)
def test_removed_adapters_are_mentioned_nowhere_windows_would_look(version: tuple[int, int, int]) -> None:
    host = server(version)
    machine = host.build()
    before = everything(machine.hive)
    gone = host.nics[0]
    plan = plan_for(host, machine, "remove")
    carry_out(plan.changes, {"SYSTEM": machine.hive, "SOFTWARE": host.software})
    after = everything(machine.hive)
    left = sorted(place for place, held in after.items() if gone.guid in held)
    assert left == []
    assert not [place for place, held in after.items() if fold(gone.instance) in held]
    assert not [place for place in after if rf"{NET}\0007" in place]
    cards = [
        key.name
        for key in host.software.root.make(r"Microsoft\Windows NT\CurrentVersion\NetworkCards").subkeys()
    ]
    assert cards == ["8"]
    untouched = (rf"CONTROLSET001\{fold(NSI4)}", r"CONTROLSET001\CONTROL\NETWORK: CONFIG")
    for place in before:
        if place.startswith(untouched):
            assert after[place] == before[place]
    assert mine(plan_for(host, machine, "remove")) == []


def test_what_cannot_be_closed_is_told() -> None:
    host = server(VERSIONS["2012 R2"])
    plan = plan_for(host, host.build(), "remove")
    assert hazard(plan, "ghost-binding-record").evidence == (r"ControlSet001\Control\Network",)
    assert len(hazard(plan, "ghost-stack-store").evidence) == 2
    newer = server(VERSIONS["2022"])
    newer.nics[0].addresses = ()
    newer.nics[0].gateway = ""
    assert codes(plan_for(newer, newer.build(), "remove")) == set()


def test_without_software_its_part_is_left() -> None:
    host = server(VERSIONS["2019"])
    plan = plan_for(host, host.build(), "remove", software=False)
    assert {change.hive for change in mine(plan)} == {"SYSTEM"}


def test_a_key_of_its_guid_that_is_a_service_is_never_deleted() -> None:
    host = server(VERSIONS["2008 R2"])
    machine = host.build()
    machine.put(rf"Services\{host.nics[0].guid}", Type=1, Start=3)
    plan = plan_for(host, machine, "remove")
    assert rf"ControlSet001\Services\{host.nics[0].guid}" not in {change.key for change in mine(plan)}


def test_the_packet_scheduler_of_xp_forgets_the_card_and_stays() -> None:
    host = server(VERSIONS["2003"])
    machine = host.build()
    carry_out(plan_for(host, machine, "remove").changes, {"SYSTEM": machine.hive, "SOFTWARE": host.software})
    root = machine.sets[0].make(rf"Control\Class\{NET}\0507\Linkage").value("RootDevice")
    assert root is not None
    assert root.strings == ("{00000000-0000-4000-8000-000000000007}",)


# --- what is a ghost ---------------------------------------------------------------------------


def test_an_emulated_card_is_left_without_a_target_and_told_where_it_has_addresses() -> None:
    host = Host(VERSIONS["2016"], [Nic(3, "LAN", hardware=E1000, addresses=("192.0.2.10",))])
    plan = plan_for(host, host.build(), "remove")
    assert mine(plan) == []
    assert "kvm" in hazard(plan, "ghosts-untold").evidence[0]
    assert hazard(plan, "ghosts-untold").severity == "warn"
    host.nics[0].removed = True
    assert mine(plan_for(host, host.build(), "remove"))


@pytest.mark.parametrize(
    ("instance", "component", "bits"),
    [
        (r"ROOT\*ISATAP\0000", "*isatap", 0x9),
        (r"ROOT\MS_NDISWANIP\0000", "ms_ndiswanip", 0x29),
        (r"ROOT\NET\0000", "*msloop", 0x1),
        (r"ROOT\VMS_MP\0000", "vms_mp", 0x1),
        (r"ROOT\NET\0001", "tap0901", 0x81),
        (r"BTH\MS_BTHPAN\7&2", "bth\\ms_bthpan", 0x1),
        (
            r"{5D624F94-8850-40C3-A3FA-A4FD2080BAF3}\VWIFIMP\1",
            "{5d624f94-8850-40c3-a3fa-a4fd2080baf3}\\vwifimp",
            0x81,
        ),
        (r"SWD\MSRRAS\MS_AGILEVPNMINIPORT", "ms_agilevpnminiport", 0x29),
    ],
)
@pytest.mark.parametrize("choice", [None, "remove"])
def test_what_is_not_hardware_is_never_touched(
    instance: str, component: str, bits: int, choice: GhostChoice | None
) -> None:
    bus, device, _ = instance.split("\\")
    nic = Nic(
        4, "Own", hardware=rf"{bus}\{device}", component=component, bits=bits, addresses=("192.0.2.10",)
    )
    nic.removed = True
    host = Host(VERSIONS["2019"], [nic])
    assert mine(plan_for(host, host.build(), choice)) == []


def test_interfaces_to_which_nothing_belongs_give_up_their_addresses() -> None:
    machine = Machine().windows(6, 1, 7601)
    path = rf"{TCPIP}\Interfaces\{{11111111-2222-3333-4444-555555555555}}"
    machine.put(path, EnableDHCP=0, IPAddress=["192.0.2.10"], SubnetMask=["255.255.255.0"])
    plan = plan_for(Host((6, 1, 7601)), machine)
    assert values(plan) == {
        "{11111111-2222-3333-4444-555555555555}: EnableDHCP": "1",
        "{11111111-2222-3333-4444-555555555555}: IPAddress": "[]",
        "{11111111-2222-3333-4444-555555555555}: SubnetMask": "[]",
    }
    # Nothing tells that it was hardware, so it is not removed either.
    assert values(plan_for(Host((6, 1, 7601)), machine, "remove")) == values(plan)
    machine.put(
        rf"Control\Network\{NET}\{{11111111-2222-3333-4444-555555555555}}\Connection",
        PnpInstanceID=rf"{HP_CARD}\1",
    )
    removal = plan_for(Host((6, 1, 7601)), machine, "remove")
    assert len([change for change in mine(removal) if isinstance(change, KeyChange)]) == 2


# --- teams -------------------------------------------------------------------------------------


TEAM = {
    "NdisImPlatform": r"COMPOSITEBUS\MS_IMPLAT_MP",
    "iANSProtocol": r"ROOT\IANSMINIPORT",
    "Blfp": r"ROOT\BRCM_BLFM",
}


def team(service: str = "NdisImPlatform", *, second: str = HP_CARD) -> Host:
    """Two members without protocols, and their team with the address."""
    hardware = TEAM[service]
    return Host(
        VERSIONS["2012 R2"],
        [
            Nic(3, "Ethernet", protocols=False),
            Nic(4, "Ethernet 2", hardware=second, protocols=False),
            Nic(
                9,
                "Team 1",
                hardware=hardware,
                component=hardware if "MS_" in hardware else hardware.partition("\\")[2].lower(),
                bits=1,
                addresses=("192.0.2.10",),
                gateway="192.0.2.1",
            ),
        ],
        {service: (0, 1)},
    )


@pytest.mark.parametrize("service", TEAM)
@pytest.mark.parametrize("choice", ["neutralise", "remove"])
def test_a_team_without_members_gives_up_its_address_and_stays(service: str, choice: GhostChoice) -> None:
    host = team(service)
    machine = host.build()
    plan = plan_for(host, machine, choice)
    assert {"team-lost", "addresses-given-up"} <= codes(plan)
    assert hazard(plan, "addresses-given-up").evidence == ("Team 1: 192.0.2.10/24",)
    carry_out(plan.changes, {"SYSTEM": machine.hive, "SOFTWARE": host.software})
    left = {one.guid: one for one in machine.facts().boot.adapters}
    adapter = left[host.nics[2].guid]
    assert (adapter.name, adapter.addresses) == ("Team 1 (old)", ())
    assert len(left) == (3 if choice == "neutralise" else 1)
    bindings = machine.sets[0].make(r"Services\Tcpip\Linkage").value("Bind")
    assert bindings is not None
    assert bindings.strings == (rf"\Device\{host.nics[2].guid}",)
    members = machine.sets[0].make(rf"Services\{service}\Linkage").value("Bind")
    assert members is not None
    assert members.strings is not None
    assert len(members.strings) == (2 if choice == "neutralise" else 0)


def test_a_team_that_may_keep_a_member_is_left_and_told() -> None:
    host = team(second=E1000)
    plan = plan_for(host, host.build(), "neutralise")
    assert codes(plan) == {"team-untold"}
    changed = {change.key.rpartition("\\")[2] for change in mine(plan)}
    assert host.nics[2].guid not in changed


def test_a_team_whose_members_nothing_tells_is_left_and_told() -> None:
    host = team()
    host.teams = {}
    assert "team-untold" in codes(plan_for(host, host.build()))


# --- together with the network document --------------------------------------------------------


def document(**more: object) -> Network:
    config = InterfaceConfig(match=Match(index=0), **more)  # type: ignore[arg-type]
    return Network((config,))


def test_what_is_carried_over_is_not_told_as_lost_and_keeps_its_routes() -> None:
    host = server(VERSIONS["2016"])
    plan = plan_for(host, host.build(), "neutralise", document(carry_over="production"))
    assert "addresses-given-up" not in codes(plan)
    assert not [change for change in mine(plan) if "PersistentRoutes" in change.key]
    assert "Connection: Name" in values(plan)


def test_routes_through_a_gateway_that_the_document_names_stay() -> None:
    host = server(VERSIONS["2016"])
    network = document(
        addresses=(IPv4Interface("192.0.2.10/24"),), gateways=(Gateway(IPv4Address("192.0.2.1")),)
    )
    plan = plan_for(host, host.build(), "neutralise", network)
    assert "PersistentRoutes: 0.0.0.0,0.0.0.0,192.0.2.1,-1" not in values(plan)
    assert hazard(plan, "addresses-given-up").evidence == ("Production: 192.0.2.10/24, 192.0.2.11/24",)


def test_an_adapter_whose_place_is_taken_whole_is_left_as_it_is() -> None:
    host = server(VERSIONS["2016"])
    network = document(carry_over=host.nics[0].guid.lower(), takeover=True)
    for choice in (None, "remove"):
        plan = plan_for(host, host.build(), choice, network)
        assert mine(plan) == []
        assert [skip.subject for skip in plan.skips if skip.rule == "ghosts"] == ["Production"]


def test_an_adapter_that_the_document_wants_to_stay_is_left_as_it_is() -> None:
    host = server(VERSIONS["2016"])
    network = Network((InterfaceConfig(match=Match(stays="Production"), dhcp=True),))
    assert mine(plan_for(host, host.build(), "remove", network)) == []


def test_routes_in_a_network_that_stays_stay() -> None:
    host = server(VERSIONS["2008 R2"])
    host.nics[1].addresses = ("192.0.2.77",)
    plan = plan_for(host, host.build())
    assert not [name for name in values(plan) if "PersistentRoutes" in name]


def test_a_device_whose_filters_the_plan_edits_is_not_removed_in_the_same_plan() -> None:
    host = server(VERSIONS["2012 R2"])
    machine = host.build().service("acmeflt", 3, 1)
    machine.put(rf"Enum\{host.nics[0].instance}", UpperFilters=["acmeflt", "other"])
    hives = {"SYSTEM": machine.hive, "SOFTWARE": host.software}
    profile = actions("filter-remove: acmeflt")
    wanted = draft(machine.facts(), hives, [profile], wishes=Wishes(ghosts="remove"))
    plan = finish(wanted, hives)
    assert plan.refusals == ()
    assert not [change for change in mine(plan) if isinstance(change, KeyChange)]
    assert values(plan)["Connection: Name"] == '"Production (old)"'
    assert [skip.subject for skip in plan.skips if skip.rule == "ghosts"] == ["Production"]
