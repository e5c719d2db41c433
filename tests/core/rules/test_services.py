from __future__ import annotations

from p2vprep.core.model import DeleteKey, KeyChange, SetValue, Start, ValueChange
from p2vprep.core.values import Data
from tests.support.machines import DRIVER, Machine
from tests.support.profiles import actions


def starts(machine: Machine, *lines: str) -> dict[str, tuple[int | None, int | None]]:
    """Every changed Start with before and after, by key path."""
    found = {}
    for change in machine.plan(actions(*lines)).changes:
        if isinstance(change, ValueChange) and change.name == "Start":
            assert change.before is not None
            assert change.after is not None
            found[change.key] = (change.before.number, change.after.number)
    return found


def reasons(machine: Machine, *lines: str) -> dict[str, str]:
    return {
        skip.subject: skip.reason for skip in machine.plan(actions(*lines)).skips if skip.rule == "services"
    }


def test_a_service_is_disabled_and_nothing_else_changes() -> None:
    machine = Machine().service("CqMgHost", DependOnService=["Tcpip"]).service("Other")
    plan = machine.plan(actions("disable: cqmghost"))
    (change,) = plan.changes
    assert change == ValueChange(
        "SYSTEM",
        r"ControlSet001\Services\CqMgHost",
        "Start",
        Data.dword(2),
        Data.dword(4),
        "services",
        "a good reason 0",
    )
    assert plan.hazards == ()


def test_a_service_that_is_not_there_leaves_no_stub_and_is_no_news() -> None:
    plan = Machine().plan(actions("disable: CqMgHost"))
    assert (plan.changes, plan.skips, plan.hazards) == ((), (), ())


def test_a_stub_without_type_and_start_is_no_service() -> None:
    assert starts(Machine().put(r"Services\CqMgHost", EventMessageFile="x"), "disable: CqMgHost") == {}


def test_demand_never_starts_anything_earlier() -> None:
    machine = Machine().service("a", Start.AUTO).service("b", Start.DISABLED).service("c", Start.DEMAND)
    assert starts(machine, "demand: [a, b, c]") == {r"ControlSet001\Services\a": (2, 3)}


def test_every_control_set_is_edited_where_windows_falls_back_silently() -> None:
    machine = Machine("ControlSet001", "ControlSet002").service("Agent")
    machine.service("Old", only="ControlSet002")
    both = {r"ControlSet001\Services\Agent": (2, 4), r"ControlSet002\Services\Agent": (2, 4)}
    assert starts(machine, "disable: Agent") == both
    assert starts(machine, "disable: Old") == {r"ControlSet002\Services\Old": (2, 4)}
    assert starts(machine.windows(6, 2), "disable: Agent") == {r"ControlSet001\Services\Agent": (2, 4)}


def test_wildcards_are_anchored_and_reported() -> None:
    machine = Machine().service("hpeqiloX", Start.DEMAND, DRIVER).service("xhpeqilo", Start.DEMAND, DRIVER)
    plan = machine.plan(actions("disable: ['hpeqilo*', hpeqilo]"))
    (change,) = plan.changes
    assert change.why == "a good reason 0 (its name fits hpeqilo*)"
    assert isinstance(change, ValueChange)
    assert change.key == r"ControlSet001\Services\hpeqiloX"


def test_a_condition_keeps_a_namesake_and_says_so() -> None:
    machine = Machine().service("ams", ImagePath=r"C:\Program Files\Acme\ams.exe", DisplayName="Acme Monitor")
    line = r"disable: {names: ams, image-path: '\\HP\\'}"
    assert starts(machine, line) == {}
    assert reasons(machine, line) == {
        "ams": "testers: a0: is another service of that name (Acme Monitor)",
    }
    machine.service("ams", ImagePath=r"C:\Program Files\HP\ams.exe")
    assert starts(machine, line) == {r"ControlSet001\Services\ams": (2, 4)}


def test_display_name_or_path_is_enough() -> None:
    machine = Machine().service("a", DisplayName="HP Agent").service("b", ImagePath=r"C:\HP\b.exe")
    line = r"disable: {names: [a, b], image-path: '\\HP\\', display-name: '^HP '}"
    assert len(starts(machine, line)) == 2


def test_the_library_of_a_shared_process_counts_as_its_path() -> None:
    machine = Machine().service("a", ImagePath="svchost.exe -k netsvcs")
    machine.put(r"Services\a\Parameters", ServiceDll=r"C:\HP\a.dll")
    assert len(starts(machine, r"disable: {names: a, image-path: '\\HP\\'}")) == 1


def test_the_type_narrows_a_name() -> None:
    machine = Machine().service("a", Start.DEMAND, DRIVER)
    assert starts(machine, "disable: {names: a, type: service}") == {}
    assert len(starts(machine, "disable: {names: a, type: driver}")) == 1


def test_conditions_that_do_not_hold_are_skips_of_services_that_are_there() -> None:
    machine = Machine().service("a")
    assert reasons(machine, "disable: a, when: {windows: '>=6.2'}") == {
        "a": "testers: a0: for Windows >=6.2; this is 6.1.7601"
    }
    assert reasons(machine, "disable: a, when: {role: client}") == {
        "a": "testers: a0: for the role client; this is server"
    }
    assert reasons(machine, "disable: a, when: {service-exists: b}") == {
        "a": "testers: a0: needs a service named b"
    }
    assert reasons(machine, "disable: b, when: {windows: '>=6.2'}") == {}


def test_what_is_disabled_already_is_neither_changed_nor_skipped() -> None:
    machine = Machine().service("a", Start.DISABLED)
    plan = machine.plan(actions("disable: a, when: {windows: '>=6.2'}", "disable: a"))
    assert (plan.changes, plan.skips) == ((), ())


def test_left_over_instances_and_services_marked_for_deletion_are_left_alone() -> None:
    machine = Machine().service("OneSyncSvc_3763e", Start.AUTO, 0xE0).service("gone", DeleteFlag=1)
    assert starts(machine, "disable: ['OneSyncSvc_*', gone]") == {}


def test_what_the_guard_refuses_is_a_skip_with_a_hazard_and_the_rest_goes_on() -> None:
    machine = Machine().service("RpcSs").service("Agent")
    plan = machine.plan(actions("disable: [RpcSs, Agent]"))
    assert [change.key for change in plan.changes if isinstance(change, ValueChange)] == [
        r"ControlSet001\Services\Agent"
    ]
    (hazard,) = plan.hazards
    assert (hazard.code, hazard.severity, hazard.liftable) == ("never-disable", "warn", False)
    assert plan.refusals == ()
    (skip,) = plan.skips
    assert skip.subject == "RpcSs"
    assert "never switched off" in skip.reason


def test_a_chain_is_shown_as_evidence() -> None:
    machine = Machine().service("a").service("b", DependOnService=["a"])
    (hazard,) = machine.plan(actions("disable: a")).hazards
    assert (hazard.code, hazard.evidence) == ("dependency", ("a <- b",))


def test_dependants_on_demand_are_told() -> None:
    machine = Machine().service("a").service("b", Start.DEMAND, DependOnService=["a"])
    (hazard,) = machine.plan(actions("disable: a")).hazards
    assert (hazard.code, hazard.evidence) == ("dependants-stopped", ("b",))


def test_reasons_of_two_actions_are_joined() -> None:
    machine = Machine().service("Agent")
    (change,) = machine.plan(actions("disable: Agent", "disable: 'Agent*'", "disable: [Agent]")).changes
    assert change.why == ("a good reason 0; a good reason 1 (its name fits Agent*); a good reason 2")


def test_disable_counts_more_than_demand() -> None:
    machine = Machine().service("a")
    assert starts(machine, "demand: a", "disable: a") == {r"ControlSet001\Services\a": (2, 4)}
    assert reasons(machine, "demand: a", "disable: a") == {
        "a": "testers: a0: testers: a1 says disable, which counts more than demand"
    }


def test_a_service_parked_before_and_demoted_for_good_now_is_not_given_back() -> None:
    machine = Machine().service("SNMP", Start.DISABLED)
    machine.hive.root.make(r"p2vprep\Parked\SNMP").set("Start", Data.dword(2))
    plan = machine.plan(actions("demand: SNMP"))
    assert plan.first_boot == ()
    assert starts(machine, "demand: SNMP") == {r"ControlSet001\Services\SNMP": (4, 3)}


def test_a_service_parked_before_and_disabled_for_good_now_is_not_given_back() -> None:
    machine = Machine().service("SNMP", Start.DEMAND)
    machine.hive.root.make(r"p2vprep\Parked\snmp").set("Start", Data.dword(2))
    wanted = machine.draft(actions("disable: SNMP"))
    assert wanted.first_boot == ()
    assert {type(edit) for edit in wanted.edits} == {SetValue, DeleteKey}
    gone = [
        change for change in machine.plan(actions("disable: SNMP")).changes if isinstance(change, KeyChange)
    ]
    assert [(change.key, change.exists_after) for change in gone] == [(r"p2vprep\Parked\snmp", False)]


def test_an_action_that_is_off_speaks_only_of_services_that_it_would_mean() -> None:
    machine = Machine().service("AcmeOne", ImagePath=r"C:\Acme\one.exe").service("Other")
    line = "disable: {names: '*', image-path: acme}, when: {windows: '>=10.0'}"
    assert list(reasons(machine, line)) == ["AcmeOne"]
