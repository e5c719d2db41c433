from __future__ import annotations

import pytest

from p2vprep.core.guard import (
    Judgement,
    Wish,
    filter_lists,
    is_boot_driver,
    judge,
    refuse_alone,
    why_it_must_live,
)
from p2vprep.core.model import ControlSet, Guest, Role, Service, Start
from p2vprep.core.never import (
    GUEST_BOOT_DRIVERS,
    IN_BOX_DRIVERS,
    NEVER,
    guest_boot_driver,
    in_box,
    in_box_filter,
    never,
)
from p2vprep.core.registry import fold
from tests.support.machines import DRIVER, FILE_SYSTEM, SERVICE, Machine
from tests.support.profiles import actions

DISK_CLASS = r"Control\Class\{4d36e967-e325-11ce-bfc1-08002be10318}"


def parts(machine: Machine) -> tuple[ControlSet, Guest]:
    facts = machine.facts()
    return facts.boot, facts.guest


def service(machine: Machine, name: str) -> Service:
    return next(found for found in machine.facts().boot.services if fold(found.name) == fold(name))


def verdict(machine: Machine, **wishes: int | tuple[int, bool]) -> Judgement:
    """The judgement over ``name=start`` or ``name=(start, temporary)``."""
    control_set, guest = parts(machine)
    asked = []
    for name, wanted in wishes.items():
        start, temporary = wanted if isinstance(wanted, tuple) else (wanted, False)
        asked.append(Wish(service(machine, name), start, temporary))
    return judge(control_set, guest, asked)


def refused(machine: Machine, **wishes: int | tuple[int, bool]) -> dict[str, str]:
    return {name: refusal.code for name, refusal in verdict(machine, **wishes).refusals.items()}


# --- one service by itself ---------------------------------------------------------------------


@pytest.mark.parametrize("name", ["RpcSs", "rpcss", "PlugPlay", "Dhcp", "BFE", "TermService", "p2vprep-fb"])
def test_members_of_the_never_list_are_refused(name: str) -> None:
    assert refused(Machine().service(name), **{name: Start.DISABLED}) == {fold(name): "never-disable"}
    assert refused(Machine().service(name), **{name: Start.DEMAND}) == {fold(name): "never-disable"}


def test_other_services_are_not_on_the_never_list() -> None:
    machine = Machine().service("CqMgHost").service("RpcSsX").service("XDhcp")
    _set, guest = parts(machine)
    assert all(never(found, guest) is None for found in machine.facts().boot.services)


@pytest.mark.parametrize(
    ("name", "yes", "no"),
    [
        ("Netlogon", (6, 1, Role.DOMAIN_CONTROLLER), (6, 1, Role.SERVER)),
        ("DNS", (10, 0, Role.DOMAIN_CONTROLLER), (10, 0, Role.SERVER)),
        ("SharedAccess", (5, 1, Role.CLIENT), (6, 0, Role.CLIENT)),
        ("SharedAccess", (5, 2, Role.SERVER), (10, 0, Role.SERVER)),
    ],
)
def test_some_are_on_the_list_only_by_role_or_version(
    name: str, yes: tuple[int, int, Role], no: tuple[int, int, Role]
) -> None:
    for (major, minor, role), there in ((yes, True), (no, False)):
        machine = Machine().service(name).windows(major, minor, role=role)
        _set, guest = parts(machine)
        assert (never(service(machine, name), guest) is not None) is there


def test_names_of_networking_drivers_are_meant_as_drivers_only() -> None:
    driver = Machine().service("srv", Start.DEMAND, FILE_SYSTEM)
    program = Machine().service("srv", Start.DEMAND, SERVICE)
    assert refused(driver, srv=Start.DISABLED) == {"SRV": "never-disable"}
    assert refused(program, srv=Start.DISABLED) == {}


@pytest.mark.parametrize("start", [Start.BOOT, Start.SYSTEM])
def test_boot_and_system_start_drivers_are_refused(start: Start) -> None:
    machine = Machine().service("cpqasm2", start, DRIVER)
    assert is_boot_driver(service(machine, "cpqasm2"))
    assert refused(machine, cpqasm2=Start.DISABLED) == {"CPQASM2": "boot-driver"}
    assert refused(machine, cpqasm2=Start.DEMAND) == {"CPQASM2": "boot-driver"}


def test_other_drivers_are_not_boot_drivers() -> None:
    machine = Machine().service("hpqilo3", Start.DEMAND, DRIVER).service("odd", Start.SYSTEM, SERVICE)
    assert not is_boot_driver(service(machine, "hpqilo3"))
    assert not is_boot_driver(service(machine, "odd"))
    assert refused(machine, hpqilo3=Start.DISABLED) == {}


@pytest.mark.parametrize(
    "name", ["LSI_SAS", "lsi_sas", "storahci", "E1G60", "HpSAMD", "iaLPSSi_GPIO", "vmbus"]
)
def test_drivers_that_ship_with_windows_are_refused(name: str) -> None:
    machine = Machine().service(name, Start.DEMAND, DRIVER)
    assert in_box(service(machine, name))
    assert refused(machine, **{name: Start.DISABLED}) == {fold(name): "in-box-driver"}


def test_other_drivers_and_services_of_that_name_do_not_ship_with_windows() -> None:
    machine = Machine().service("HpCISSs2", Start.DEMAND, DRIVER).service("LSI_SAS", Start.DEMAND, SERVICE)
    assert not in_box(service(machine, "HpCISSs2"))
    assert not in_box(service(machine, "LSI_SAS"))


@pytest.mark.parametrize(
    ("path", "position"),
    [
        (DISK_CLASS, "UpperFilters"),
        (DISK_CLASS, "LowerFilters"),
        (r"Enum\IDE\DiskX\1", "LowerFilters"),
    ],
)
def test_a_driver_in_a_filter_list_is_refused_until_it_is_out_of_it(path: str, position: str) -> None:
    machine = Machine().service("prl_strg", Start.DEMAND, DRIVER)
    machine.set_value(path, position, ["PartMgr", "PRL_STRG"])
    control_set, guest = parts(machine)
    driver = service(machine, "prl_strg")
    found = refuse_alone(driver, control_set, guest)
    assert found is not None
    assert found.code == "still-a-filter"
    assert found.chain == (rf"ControlSet001\{path}: {position}",)
    assert refuse_alone(driver, control_set, guest, frozenset({fold("prl_strg")})) is None
    assert judge(control_set, guest, [Wish(driver, 4)], frozenset({"PRL_STRG"})).refusals == {}


def test_a_driver_that_no_filter_list_names_is_no_filter() -> None:
    machine = Machine().service("prl_strg", Start.DEMAND, DRIVER)
    machine.put(DISK_CLASS, UpperFilters=["PartMgr", "prl_strg2"])
    control_set, _guest = parts(machine)
    assert filter_lists(service(machine, "prl_strg"), control_set) == ()


# --- dependants --------------------------------------------------------------------------------


def test_what_an_automatic_service_needs_is_refused_with_the_chain() -> None:
    machine = Machine().service("a").service("B", Start.DEMAND, DependOnService=["A"])
    machine.service("c", DependOnService=["b"])
    found = verdict(machine, a=Start.DISABLED).refusals["A"]
    assert (found.code, found.chain) == ("dependency", ("a", "B", "c"))
    assert "needed by c (through B), which starts by itself" in found.message


def test_a_service_on_demand_still_serves_its_dependants() -> None:
    machine = Machine().service("a").service("b", DependOnService=["a"])
    assert refused(machine, a=Start.DEMAND) == {}


def test_dependants_that_are_on_demand_do_not_hold_it_but_are_told() -> None:
    machine = Machine().service("a").service("b", Start.DEMAND, DependOnService=["a"])
    found = verdict(machine, a=Start.DISABLED)
    assert found.refusals == {}
    assert found.stopped == {"A": ("b",)}
    assert verdict(machine, a=(Start.DISABLED, True)).stopped == {}


def test_dependants_that_are_disabled_already_do_not_hold_it() -> None:
    machine = Machine().service("a").service("b", Start.DISABLED, DependOnService=["a"])
    machine.service("c", DependOnService=["b"])
    found = verdict(machine, a=Start.DISABLED)
    assert (found.refusals, found.stopped) == ({}, {})


def test_a_whole_set_of_dependants_may_go() -> None:
    machine = Machine().service("a").service("b", DependOnService=["a"]).service("c", DependOnService=["b"])
    assert refused(machine, a=4, b=4, c=4) == {}
    assert refused(machine, a=4, b=4) == {"A": "dependency", "B": "dependency"}
    assert refused(machine, a=4, c=4) == {"A": "dependency"}


def test_a_refused_dependant_holds_what_it_needs() -> None:
    machine = (
        Machine().service("a").service("b", DependOnService=["a"]).service("Schedule", DependOnService=["b"])
    )
    assert refused(machine, a=4, b=4, Schedule=4) == {
        "SCHEDULE": "never-disable",
        "A": "dependency",
        "B": "dependency",
    }


def test_what_a_member_of_the_never_list_needs_is_refused_even_on_demand() -> None:
    machine = Machine().service("a").service("Netman", Start.DEMAND, DependOnService=["a"])
    assert refused(machine, a=4) == {"A": "dependency"}


def test_what_a_boot_driver_needs_is_refused() -> None:
    machine = Machine().service("a", Start.DEMAND, DRIVER)
    machine.service("b", Start.SYSTEM, DRIVER, DependOnService=["a"])
    assert refused(machine, a=4) == {"A": "dependency"}


def test_a_group_needs_one_member_that_is_left() -> None:
    machine = Machine().service("a", Group="Team").service("b", Start.DEMAND, Group="TEAM")
    machine.service("c", DependOnGroup=["team"])
    assert refused(machine, a=4) == {}
    assert set(refused(machine, a=4, b=4).values()) == {"dependency"}
    assert len(refused(machine, a=4, b=4)) == 1


def test_a_member_that_cannot_start_does_not_stand_for_its_group() -> None:
    machine = Machine().service("a", Group="Team").service("c", DependOnGroup=["Team"])
    machine.service("off", Start.DISABLED).service("b", Start.DEMAND, Group="Team", DependOnService=["off"])
    assert refused(machine, a=4) == {"A": "dependency"}
    lost = Machine().service("a", Group="Team").service("c", DependOnGroup=["Team"])
    lost.service("b", Start.DEMAND, Group="Team", DependOnService=["nowhere"])
    assert refused(lost, a=4) == {"A": "dependency"}
    group = Machine().service("a", Group="Team").service("c", DependOnGroup=["Team"])
    group.service("off", Start.DISABLED, Group="Other")
    group.service("b", Start.DEMAND, Group="Team", DependOnGroup=["Other"])
    assert refused(group, a=4) == {"A": "dependency"}


def test_a_service_that_cannot_start_anyway_holds_nothing() -> None:
    machine = Machine().service("a").service("off", Start.DISABLED)
    machine.service("b", DependOnService=["off", "a"])
    assert refused(machine, a=4) == {}


def test_a_group_without_members_holds_nothing() -> None:
    machine = Machine().service("a").service("c", DependOnGroup=["Nobody"])
    assert refused(machine, a=4) == {}


def test_a_group_inside_the_list_of_services_counts_as_a_group() -> None:
    machine = Machine().service("a", Group="Team").service("c", DependOnService=["+Team"])
    assert refused(machine, a=4) == {"A": "dependency"}


def test_circles_end() -> None:
    machine = Machine().service("a", DependOnService=["b"]).service("b", DependOnService=["a"])
    assert refused(machine, a=4, b=4) == {}
    assert refused(machine, a=4) == {"A": "dependency"}


def test_parked_services_may_miss_each_other_for_a_while_but_not_for_good() -> None:
    machine = Machine().service("a").service("b", DependOnService=["a"])
    assert refused(machine, a=(4, True), b=(3, True)) == {}
    assert refused(machine, a=4, b=(3, True)) == {"A": "dependency"}
    assert refused(machine, a=(4, True)) == {"A": "dependency"}


def test_what_is_demoted_for_good_does_not_hold_what_it_needs_any_more() -> None:
    machine = Machine().service("a").service("b", DependOnService=["a"])
    found = verdict(machine, a=4, b=3)
    assert (found.refusals, found.stopped) == ({}, {"A": ("b",)})
    assert refused(machine, a=4, b=(3, True)) == {"A": "dependency"}


@pytest.mark.parametrize(
    ("name", "start", "kind", "lives"),
    [
        ("a", Start.AUTO, SERVICE, True),
        ("a", Start.BOOT, DRIVER, True),
        ("a", Start.DEMAND, SERVICE, False),
        ("a", Start.DEMAND, DRIVER, False),
        ("Netman", Start.DEMAND, SERVICE, True),
    ],
)
def test_who_must_go_on_starting(name: str, start: Start, kind: int, lives: bool) -> None:
    machine = Machine().service(name, start, kind)
    _set, guest = parts(machine)
    assert (why_it_must_live(service(machine, name), guest) is not None) is lives


def test_every_entry_has_a_reason_and_names() -> None:
    assert all(len(entry.reason) > 20 and entry.names for entry in NEVER)
    assert len(set(map(fold, IN_BOX_DRIVERS))) == len(IN_BOX_DRIVERS)


def test_no_driver_of_windows_is_known_as_one_of_a_hypervisor_alone() -> None:
    _set, guest = parts(Machine())
    for name in GUEST_BOOT_DRIVERS:
        driver = service(Machine().service(name, Start.BOOT, DRIVER), name)
        assert guest_boot_driver(driver)
        assert not in_box(driver)
        assert not in_box_filter(name)
        assert never(driver, guest) is None
    program = service(Machine().service("xenbus", Start.AUTO, SERVICE), "xenbus")
    assert not guest_boot_driver(program)


def test_processor_drivers_may_go_before_vista_where_the_profile_says_so() -> None:
    machine = Machine().service("intelppm", Start.SYSTEM, DRIVER).service("processor", Start.SYSTEM, DRIVER)
    line = "disable: {names: [intelppm, processor], type: driver, boot-start: true}"
    for version, changed in (((5, 2), 1), ((6, 0), 0)):
        plan = machine.windows(*version).plan(actions(line))
        assert len(plan.changes) == changed
        assert {hazard.code for hazard in plan.hazards} == {"boot-driver"}
    assert machine.windows(5, 2).plan(actions("disable: intelppm")).changes == ()
