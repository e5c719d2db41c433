from __future__ import annotations

import pytest

from p2vprep.core.model import Plan, RestoreValue, ValueChange
from p2vprep.core.registry import find
from p2vprep.core.values import Data
from tests.support.machines import Machine, carry_out

PATH = r"Services\NlaSvc\Parameters\Internet"
KEY = rf"ControlSet001\{PATH}"
RECORD = r"p2vprep\ParkedValues\ncsi"
RUNNING = rf"SYSTEM\CurrentControlSet\{PATH}"


def machine(value: int | None = 1) -> Machine:
    made = Machine().put(PATH, PassivePollPeriod=15)
    return made if value is None else made.put(PATH, EnableActiveProbing=value)


def changed(plan: Plan) -> dict[tuple[str, str], Data | None]:
    return {
        (change.key, change.name): change.after for change in plan.changes if isinstance(change, ValueChange)
    }


def test_nothing_happens_unless_asked_for() -> None:
    assert machine().plan().changes == ()


def test_parked_it_is_off_recorded_and_given_back() -> None:
    plan = machine().plan(overrides={"ncsi": "park"})
    assert changed(plan) == {
        (KEY, "EnableActiveProbing"): Data.dword(0),
        (RECORD, "Key"): Data.sz(RUNNING),
        (RECORD, "Name"): Data.sz("EnableActiveProbing"),
        (RECORD, "Data"): Data.dword(1),
    }
    (item,) = plan.first_boot
    assert isinstance(item, RestoreValue)
    assert (item.key, item.name, item.data) == (RUNNING, "EnableActiveProbing", Data.dword(1))


def test_a_value_that_was_absent_is_deleted_again() -> None:
    plan = machine(None).plan(overrides={"ncsi": "park"})
    assert (RECORD, "Data") not in changed(plan)
    (item,) = plan.first_boot
    assert isinstance(item, RestoreValue)
    assert item.data is None


@pytest.mark.parametrize("value", [None, 1])
def test_the_second_plan_changes_nothing_and_gives_the_same_back(value: int | None) -> None:
    made = machine(value)
    first = made.plan(overrides={"ncsi": "park"})
    carry_out(first.changes, {"SYSTEM": made.hive})
    second = made.plan(overrides={"ncsi": "park"})
    assert second.changes == ()
    assert second.first_boot == first.first_boot
    assert made.plan().first_boot == first.first_boot, "also where the stage is not asked for any more"


def test_a_probe_that_is_off_already_stays_off() -> None:
    plan = machine(0).plan(overrides={"ncsi": "park"})
    assert (plan.changes, plan.first_boot) == ((), ())


def test_off_for_good_records_nothing() -> None:
    plan = machine().plan(overrides={"ncsi": "off"})
    assert changed(plan) == {(KEY, "EnableActiveProbing"): Data.dword(0)}
    assert plan.first_boot == ()


def test_off_for_good_drops_the_record_of_an_earlier_plan() -> None:
    made = machine()
    carry_out(made.plan(overrides={"ncsi": "park"}).changes, {"SYSTEM": made.hive})
    plan = made.plan(overrides={"ncsi": "off"})
    assert plan.first_boot == ()
    carry_out(plan.changes, {"SYSTEM": made.hive})
    assert find(made.hive, RECORD) is None


def test_a_damaged_record_counts_as_none() -> None:
    made = machine()
    made.hive.root.make(RECORD).set("Key", Data.dword(1))
    plan = made.plan(overrides={"ncsi": "park"})
    assert len(plan.first_boot) == 1


def test_only_the_set_that_boots_next_is_recorded() -> None:
    made = Machine("ControlSet001", "ControlSet002")
    made.put(PATH, EnableActiveProbing=1, only="ControlSet001")
    made.put(PATH, EnableActiveProbing=7, only="ControlSet002")
    plan = made.plan(overrides={"ncsi": "park"})
    assert changed(plan)[(RECORD, "Data")] == Data.dword(1)
    assert changed(plan)[(rf"ControlSet002\{PATH}", "EnableActiveProbing")] == Data.dword(0)
    assert len(plan.first_boot) == 1


def test_before_vista_it_is_skipped_with_the_reason() -> None:
    plan = machine().windows(5, 2).plan(overrides={"ncsi": "park"})
    assert plan.changes == ()
    (skip,) = plan.skips
    assert "from Vista on; this is 5.2" in skip.reason


def test_without_its_key_it_is_skipped_with_the_reason() -> None:
    plan = Machine().plan(overrides={"ncsi": "park"})
    assert plan.changes == ()
    (skip,) = plan.skips
    assert KEY in skip.reason
