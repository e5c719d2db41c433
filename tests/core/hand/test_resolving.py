"""Edits by hand held against a machine: which control sets they mean, and what the guard says."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from p2vprep.core.hand.making import (
    key_deletion,
    key_edits,
    service_edits,
    value_deletion,
    value_edits,
)
from p2vprep.core.model import Edit, Hazard, KeyChange, Plan, Role, SetValue, ValueChange
from p2vprep.core.planner import WhichSets, draft, finish
from p2vprep.core.registry import MemoryHive
from p2vprep.core.values import Data
from p2vprep.core.wishes import Wishes
from tests.support.machines import DRIVER, Machine

SERVICES = r"HKLM\SYSTEM\CurrentControlSet\Services"


def two_sets() -> Machine:
    """A machine whose two control sets differ in one service."""
    machine = (
        Machine("ControlSet001", "ControlSet002")
        .service("Agent")
        .service("Helper", DependOnService=["Agent"])
    )
    return machine.service("Old", only="ControlSet002").service("New", only="ControlSet001")


def plan(machine: Machine, edits: Sequence[Edit], sets: WhichSets | None = None) -> Plan:
    software = MemoryHive({"Contoso": {"Site": Data.sz("L")}})
    hives = {"SYSTEM": machine.hive, "SOFTWARE": software}
    wishes = Wishes(edits=tuple(edits), only_edits=True)
    return finish(draft(machine.facts(), hives, (), control_sets=sets, wishes=wishes), hives)


def starts(made: Plan) -> dict[str, int | None]:
    """What becomes of start types, by key."""
    return {
        change.key: change.after.number if change.after else None
        for change in made.changes
        if isinstance(change, ValueChange) and change.name == "Start"
    }


def refusals(made: Plan) -> dict[str, Hazard]:
    return {hazard.code: hazard for hazard in made.refusals}


# --- control sets ------------------------------------------------------------------------------


def test_the_current_control_set_is_every_one_that_is_edited() -> None:
    # Up to 2008 R2 a failed start falls back to another set.
    both = plan(two_sets().windows(6, 1), service_edits("Helper", "disabled"))
    assert starts(both) == {r"ControlSet001\Services\Helper": 4, r"ControlSet002\Services\Helper": 4}
    one = plan(two_sets().windows(6, 3), service_edits("Helper", "disabled"))
    assert starts(one) == {r"ControlSet001\Services\Helper": 4}
    assert len(starts(plan(two_sets().windows(6, 3), service_edits("Helper", "disabled"), "all"))) == 2


def test_a_named_control_set_is_this_one_alone() -> None:
    edits = value_edits(r"HKLM\SYSTEM\ControlSet002\Services\Helper", "Start", Data.dword(4))
    assert starts(plan(two_sets(), edits)) == {r"ControlSet002\Services\Helper": 4}


def test_what_is_only_in_the_other_set_is_none_of_the_machines_services() -> None:
    assert starts(plan(two_sets(), service_edits("New", "demand"))) == {r"ControlSet001\Services\New": 3}
    assert set(refusals(plan(two_sets(), service_edits("Old", "demand")))) == {"no-such-service"}


def test_keys_are_made_in_every_set() -> None:
    made = plan(two_sets(), key_edits(r"HKLM\SYSTEM\CurrentControlSet\Control\Mine"))
    assert {change.key for change in made.changes if isinstance(change, KeyChange)} >= {
        r"ControlSet001\Control\Mine",
        r"ControlSet002\Control\Mine",
    }


# --- what is not there -------------------------------------------------------------------------


def test_a_wrong_name_is_refused_with_what_comes_near() -> None:
    refused = refusals(plan(two_sets(), service_edits("Helpr", "disabled")))["no-such-service"]
    assert refused.cure == "Did you mean Helper?"
    assert refused.liftable
    named = Machine().service("svc1", DisplayName="Contoso Agent")
    assert "svc1" in refusals(plan(named, service_edits("Contoso Agnt", "auto")))["no-such-service"].cure


def test_what_is_gone_already_is_told() -> None:
    made = plan(two_sets(), value_deletion(r"HKLM\SOFTWARE\Contoso", "Nothing"))
    assert [skip.reason for skip in made.skips] == ["it is not there"]
    assert made.changes == ()
    assert plan(two_sets(), service_edits("Agent", "auto")).skips == ()


def test_a_hive_that_is_not_there_is_refused() -> None:
    refused = refusals(plan(two_sets(), value_edits(r"HKU\Otto\Software", "x", Data.sz("y"))))
    assert not refused["hive-not-here"].liftable


def test_another_type_is_told() -> None:
    made = plan(two_sets(), value_edits(r"HKLM\SOFTWARE\contoso", "site", Data.dword(1)))
    assert [hazard.code for hazard in made.hazards] == ["value-type-changes"]
    assert not plan(two_sets(), value_edits(r"HKLM\SOFTWARE\Contoso", "Site", Data.sz("M"))).hazards


# --- the guard ---------------------------------------------------------------------------------


def test_what_an_automatic_service_needs_is_refused_and_can_be_allowed() -> None:
    refused = refusals(plan(Machine().service("Agent").service("Helper", DependOnService=["Agent"]),
                            service_edits("Agent", "disabled")))["dependency"]  # fmt: skip
    assert refused.evidence == ("Agent <- Helper",)
    assert refused.liftable
    # On demand it still serves.
    demanded = plan(two_sets(), service_edits("Agent", "demand"))
    assert not demanded.refusals
    # Both together.
    both = plan(two_sets(), (*service_edits("Agent", "disabled"), *service_edits("Helper", "disabled")))
    assert not both.refusals


@pytest.mark.parametrize(
    "edits",
    [
        value_edits(rf"{SERVICES}\Agent", "start", Data.dword(4)),
        value_deletion(rf"{SERVICES}\Agent", "Start"),
        value_edits(rf"{SERVICES}\Agent", "Start", Data.sz("2")),
        value_edits(r"HKLM\SYSTEM\ControlSet002\Services\AGENT", "Start", Data.dword(4)),
    ],
    ids=["value", "deleted", "of another type", "in a named set"],
)
def test_every_way_to_switch_off_is_judged(edits: tuple[Edit, ...]) -> None:
    assert "dependency" in refusals(plan(two_sets(), edits))


def test_switching_on_is_not_judged() -> None:
    off = Machine().service("RpcSs", 4).service("storahci", 3, DRIVER)
    assert not plan(off, (*service_edits("RpcSs", "auto"), *service_edits("storahci", "boot"))).refusals


def test_what_must_live_is_never_allowed() -> None:
    machine = Machine().service("RpcSs", DependOnService=["Agent"]).service("Agent")
    assert not refusals(plan(machine, service_edits("RpcSs", "disabled")))["never-disable"].liftable
    # What it needs neither, also where something harmless needs it as well.
    machine.service("Aaa", DependOnService=["Agent"])
    assert not refusals(plan(machine, service_edits("Agent", "disabled")))["dependency"].liftable


def test_a_boot_driver_and_a_filter_can_be_allowed() -> None:
    machine = Machine().service("OldRaid", 0, DRIVER).service("Watcher", 3, DRIVER)
    machine.put(r"Control\Class\{4D36E967-E325-11CE-BFC1-08002BE10318}", UpperFilters=["PartMgr", "Watcher"])
    assert refusals(plan(machine, service_edits("OldRaid", "disabled")))["boot-driver"].liftable
    refused = refusals(plan(machine, service_edits("Watcher", "disabled")))["still-a-filter"]
    assert refused.liftable
    # Taken out of the list in the same plan, it is no filter any more.
    path = r"HKLM\SYSTEM\CurrentControlSet\Control\Class\{4D36E967-E325-11CE-BFC1-08002BE10318}"
    out = value_edits(path, "UpperFilters", Data.multi_sz(["PartMgr"]))
    assert not plan(machine, (*out, *service_edits("Watcher", "disabled"))).refusals


def test_start_types_that_make_no_sense_are_refused() -> None:
    machine = Machine().service("Agent").service("Net", 3, DRIVER)
    for edits in (
        service_edits("Agent", "boot"),
        service_edits("Net", "delayed"),
        value_edits(rf"{SERVICES}\Net", "Start", Data.dword(9)),
    ):
        assert "bad-start-type" in refusals(plan(machine, edits))
    old = Machine().windows(5, 2, role=Role.SERVER).service("Agent")
    assert "bad-start-type" in refusals(plan(old, service_edits("Agent", "delayed")))
    assert not plan(machine, service_edits("Agent", "delayed")).refusals


def test_a_service_that_the_first_boot_gives_back_is_told() -> None:
    machine = Machine().service("Agent", 3)
    record = machine.hive.root.make(r"p2vprep\Parked\Agent")
    record.set("Start", Data.dword(2)).set("DelayedAutostart", Data.dword(0xFFFFFFFF))
    assert "parked-service" in {
        hazard.code for hazard in plan(machine, service_edits("Agent", "disabled")).hazards
    }


def test_disabling_what_others_ask_for_on_demand_is_told() -> None:
    machine = Machine().service("Agent").service("Helper", 3, DependOnService=["Agent"])
    made = plan(machine, service_edits("Agent", "disabled"))
    assert not made.refusals
    assert [hazard.code for hazard in made.hazards] == ["dependants-stopped"]


def test_the_last_word_counts_and_a_second_plan_is_empty() -> None:
    machine = two_sets()
    made = plan(machine, (*service_edits("Helper", "disabled"), *service_edits("Helper", "demand")))
    assert set(starts(made).values()) == {3}
    assert plan(machine, ()).changes == ()
    nothing: list[Edit] = [SetValue("SOFTWARE", "Contoso", "Site", Data.sz("L"), "by-hand", "w")]
    assert plan(machine, nothing).changes == ()
    gone = plan(machine, (*key_deletion(r"HKLM\SOFTWARE\Contoso"), *key_edits(r"HKLM\SOFTWARE\Contoso")))
    assert [(change.name, change.after) for change in gone.changes if isinstance(change, ValueChange)] == [
        ("Site", None)
    ]
