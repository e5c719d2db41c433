from __future__ import annotations

from p2vprep.core.model import KeyChange, Plan, RestoreService, Start, ValueChange
from p2vprep.core.values import Data
from tests.support.machines import Machine, carry_out
from tests.support.profiles import actions


def changed(plan: Plan) -> dict[tuple[str, str], int | None]:
    """What every changed value holds afterwards."""
    return {
        (change.key, change.name): None if change.after is None else change.after.number
        for change in plan.changes
        if isinstance(change, ValueChange)
    }


SPOOLER = r"ControlSet001\Services\Spooler"
RECORD = r"p2vprep\Parked\Spooler"


def test_a_parked_service_waits_on_demand_and_its_start_type_is_recorded() -> None:
    plan = Machine().service("Spooler").plan(actions("park: spooler"))
    assert changed(plan) == {(SPOOLER, "Start"): 3, (RECORD, "Start"): 2}
    made = [change.key for change in plan.changes if isinstance(change, KeyChange)]
    assert made == ["p2vprep", r"p2vprep\Parked", RECORD]
    assert plan.first_boot == (RestoreService("Spooler", 2, None, "a good reason 0"),)


def test_delayed_start_is_recorded_where_it_is_told() -> None:
    for delayed in (0, 1):
        plan = Machine().service("Spooler", DelayedAutoStart=delayed).plan(actions("park: Spooler"))
        assert changed(plan) == {
            (SPOOLER, "Start"): 3,
            (RECORD, "Start"): 2,
            (RECORD, "DelayedAutostart"): delayed,
        }
        assert plan.first_boot == (RestoreService("Spooler", 2, bool(delayed), "a good reason 0"),)


def test_a_service_that_a_trigger_starts_is_disabled_meanwhile() -> None:
    machine = Machine().service("W32Time", Start.DEMAND, triggers=[3])
    assert changed(machine.plan(actions("park: W32Time"))) == {
        (r"ControlSet001\Services\W32Time", "Start"): 4,
        (r"p2vprep\Parked\W32Time", "Start"): 3,
    }
    assert changed(machine.windows(6, 0).plan(actions("park: W32Time"))) == {}


def test_the_action_may_say_where_a_service_rests() -> None:
    machine = Machine().service("lmhosts", Start.AUTO, triggers=[2])
    key = (r"ControlSet001\Services\lmhosts", "Start")
    assert changed(machine.plan(actions("park: {names: lmhosts, start: demand}")))[key] == 3
    assert changed(machine.plan(actions("park: {names: lmhosts, start: disabled}")))[key] == 4
    assert changed(machine.plan(actions("park: {names: lmhosts}")))[key] == 4


def test_a_stop_trigger_does_not_count() -> None:
    machine = Machine().service("a").put(r"Services\a\TriggerInfo\0", Type=2, Action=2)
    assert changed(machine.plan(actions("park: a")))[(r"ControlSet001\Services\a", "Start")] == 3


def test_what_rests_by_itself_is_left_alone() -> None:
    machine = Machine().service("a", Start.DEMAND).service("b", Start.DISABLED)
    plan = machine.plan(actions("park: [a, b]"))
    assert (plan.changes, plan.first_boot, plan.skips) == ((), (), ())


def test_the_second_plan_changes_nothing_and_gives_the_same_back() -> None:
    machine = Machine().service("Spooler", DelayedAutostart=1)
    first = machine.plan(actions("park: Spooler"))
    carry_out(first.changes, {"SYSTEM": machine.hive})
    second = machine.plan(actions("park: Spooler"))
    assert second.changes == ()
    assert second.first_boot == first.first_boot


def test_the_first_record_counts() -> None:
    machine = Machine().service("Spooler", Start.AUTO)
    machine.hive.root.make(RECORD).set("Start", Data.dword(3))
    plan = machine.plan(actions("park: Spooler"))
    assert changed(plan) == {(SPOOLER, "Start"): 3}
    assert plan.first_boot == (RestoreService("Spooler", 3, None, "a good reason 0"),)


def test_what_was_parked_before_is_given_back_even_if_nobody_asks_any_more() -> None:
    machine = Machine().service("Spooler", Start.DEMAND)
    machine.hive.root.make(RECORD).set("Start", Data.dword(2))
    assert machine.plan().first_boot == (RestoreService("Spooler", 2, None, "parked by an earlier plan"),)


def test_other_control_sets_follow_the_one_that_boots_next() -> None:
    machine = Machine("ControlSet001", "ControlSet002")
    machine.service("both").service("here", only="ControlSet001").service("there", only="ControlSet002")
    machine.service("rests", Start.DEMAND, only="ControlSet001").service("rests", only="ControlSet002")
    plan = machine.plan(actions("park: [both, here, there, rests]"))
    assert changed(plan) == {
        (r"ControlSet001\Services\both", "Start"): 3,
        (r"ControlSet002\Services\both", "Start"): 3,
        (r"ControlSet001\Services\here", "Start"): 3,
        (r"p2vprep\Parked\both", "Start"): 2,
        (r"p2vprep\Parked\here", "Start"): 2,
    }
    assert [skip.subject for skip in plan.skips] == [
        "rests in ControlSet002",
        "there in ControlSet002",
    ]
    assert [item.service for item in plan.first_boot if isinstance(item, RestoreService)] == ["both", "here"]


def test_a_start_type_that_differs_elsewhere_does_not_reach_the_record() -> None:
    machine = Machine("ControlSet001", "ControlSet002", default=2)
    machine.service("a", DelayedAutostart=1, only="ControlSet002").service("a", only="ControlSet001")
    plan = machine.plan(actions("park: a"))
    assert plan.first_boot == (RestoreService("a", 2, True, "a good reason 0"),)
    assert plan.control_sets == ("ControlSet002", "ControlSet001")
    carry_out(plan.changes, {"SYSTEM": machine.hive})
    assert machine.plan(actions("park: a")).changes == ()


def test_disable_counts_more_than_park() -> None:
    source = actions("disable: SNMP", name="vendor")
    stage = actions("park: SNMP", name="isolated", kind="stage")
    plan = Machine().service("SNMP").plan(stage, source)
    assert changed(plan) == {(r"ControlSet001\Services\SNMP", "Start"): 4}
    assert plan.first_boot == ()
    assert [skip.reason for skip in plan.skips] == [
        "isolated: a0: vendor: a0 says disable, which counts more than park"
    ]


def test_what_the_guard_refuses_is_not_parked() -> None:
    plan = Machine().service("Dhcp").plan(actions("park: Dhcp"))
    assert (plan.changes, plan.first_boot) == ((), ())
    assert [hazard.code for hazard in plan.hazards] == ["never-disable"]


def test_the_second_plan_judges_as_the_first_did() -> None:
    """What a parked service needs is not free to go just because the service waits now."""
    machine = Machine("ControlSet001", "ControlSet002").service("a").service("b", DependOnService=["a"])
    wanted = (actions("park: b", name="isolated", kind="stage"), actions("disable: a", name="vendor"))
    first = machine.plan(*wanted)
    assert [hazard.code for hazard in first.hazards] == ["dependency"] * 2
    carry_out(first.changes, {"SYSTEM": machine.hive})
    second = machine.plan(*wanted)
    assert second.changes == ()
    assert second.hazards == first.hazards
