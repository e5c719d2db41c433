from __future__ import annotations

import pytest

from p2vprep.core.documents.actions import KINDS as DOCUMENT_KINDS
from p2vprep.core.model import (
    Edit,
    FileChange,
    FileState,
    Hazard,
    PutFile,
    Role,
    SetValue,
    Skip,
)
from p2vprep.core.planner import draft, file_paths, finish, sets_to_edit
from p2vprep.core.registry import MemoryHive
from p2vprep.core.rules import KINDS, RULES, SETTINGS
from p2vprep.core.values import Data
from p2vprep.errors import UsageError
from tests.support.machines import Machine
from tests.support.profiles import actions, profile


def edited(machine: Machine, wanted: str | None = None) -> list[str]:
    sets, _hazards = sets_to_edit(machine.facts(), wanted)  # type: ignore[arg-type]
    return [one.name for one in sets]


def codes(machine: Machine) -> list[str]:
    return [hazard.code for hazard in sets_to_edit(machine.facts())[1]]


@pytest.mark.parametrize(
    ("major", "minor", "every"), [(5, 1, True), (6, 1, True), (6, 2, False), (10, 0, False)]
)
def test_all_control_sets_are_edited_up_to_windows_7(major: int, minor: int, every: bool) -> None:
    machine = Machine("ControlSet001", "ControlSet002").windows(major, minor)
    assert edited(machine) == ["ControlSet001", "ControlSet002"][: 2 if every else 1]
    assert edited(machine, "all") == ["ControlSet001", "ControlSet002"]
    assert edited(machine, "boot") == ["ControlSet001"]
    assert codes(machine) == []


def test_the_set_used_last_is_edited_too_where_it_is_another_one() -> None:
    machine = Machine("ControlSet001", "ControlSet002", "ControlSet003", default=2, current=3).windows(10, 0)
    assert edited(machine) == ["ControlSet002", "ControlSet003"]
    assert codes(machine) == ["current-set-differs"]


def test_a_set_used_last_that_is_not_there_is_no_matter() -> None:
    machine = Machine("ControlSet001", current=7).windows(10, 0)
    assert edited(machine) == ["ControlSet001"]
    assert codes(machine) == []


def test_the_draft_tells_what_it_is_for() -> None:
    machine = Machine("ControlSet001", "ControlSet002").windows(10, 0, 17763, Role.CLIENT)
    found = machine.draft(
        actions("disable: x", name="stage", kind="stage"), actions("disable: y", name="vendor")
    )
    assert found.control_sets == ("ControlSet001",)
    assert found.profiles == ("vendor 1", "stage 1")
    assert found.guest.role is Role.CLIENT
    assert found.choices.settings["ncsi"] == "keep"
    assert found.choices.settings["stale-dhcp"] == "clear"


def test_parameters_switch_actions_on() -> None:
    body = """\
        parameters: {team: {default: keep, values: [keep, disable], help: the team}}
        actions:
          - {id: a, why: a good reason, source: a test, when: {parameter: {team: disable}}, disable: Team}
        """
    machine = Machine().service("Team")
    off = machine.plan(profile(body))
    assert off.changes == ()
    assert off.skips == (Skip("services", "Team", "testers: a: off: needs --set team=disable (it is keep)"),)
    assert len(machine.plan(profile(body), overrides={"team": "disable"}).changes) == 1
    with pytest.raises(UsageError):
        machine.plan(profile(body), overrides={"tema": "disable"})


REMOVALS = {
    "filter-remove": "filter-remove: prl_strg",
    "value-delete": r"value-delete: {key: '%ControlSet%\Control\X', name: N}",
    "key-delete": r"key-delete: {key: '%ControlSet%\Control\X\Y'}",
}


def test_every_kind_of_action_is_carried_out_by_one_rule() -> None:
    carried_out = [kind for rule in RULES for kind in rule.KINDS]
    assert sorted(carried_out) == sorted(DOCUMENT_KINDS)
    assert set(carried_out) == KINDS


@pytest.mark.parametrize("kind", REMOVALS)
def test_they_are_no_news_where_there_is_nothing_to_remove(kind: str) -> None:
    assert Machine().plan(actions(REMOVALS[kind])).skips == ()


def test_conditions_on_keys_services_and_membership() -> None:
    key = r"'%ControlSet%\Services\PortProxy\v4tov4\tcp'"
    machine = Machine().service("a")
    missing = actions(f"disable: a, when: {{key-missing: {key}}}")
    exists = actions(f"disable: a, when: {{key-exists: {key}}}")
    assert len(machine.plan(missing).changes) == 1
    assert "needs the key" in machine.plan(exists).skips[0].reason
    machine.put(r"Services\PortProxy\v4tov4\tcp", x=1)
    assert "only without the key" in machine.plan(missing).skips[0].reason
    assert len(machine.plan(exists).changes) == 1
    without = actions("disable: a, when: {service-missing: b}")
    assert len(machine.plan(without).changes) == 1
    machine.service("B", 3)
    assert "only without a service named b" in machine.plan(without).skips[0].reason
    member = actions("disable: a, when: {domain-member: true}")
    assert "may be one or not" in machine.plan(member).skips[0].reason
    machine.service("Netlogon", 3)
    assert "this is none" in machine.plan(member).skips[0].reason
    machine.service("Netlogon", 2)
    assert len(machine.plan(member).changes) == 1


def test_profiles_that_want_different_things_of_one_value_refuse() -> None:
    machine = Machine().service("a")
    wanted = machine.draft(actions("disable: a"))
    extra: list[Edit] = [
        SetValue("SYSTEM", r"ControlSet001\Services\a", "Start", Data.dword(2), "other", "so")
    ]
    plan = finish(wanted, {"SYSTEM": machine.hive}, extra)
    (hazard,) = plan.refusals
    assert hazard.code == "conflict"
    assert plan.changes == ()


def test_edits_from_elsewhere_join_the_plan() -> None:
    machine = Machine().service("a")
    wanted = machine.draft(actions("disable: a"))
    extra: list[Edit] = [PutFile("/p2vprep/run.cmd", b"rem", "first-boot", "the job")]
    assert file_paths(wanted, extra) == ("/p2vprep/run.cmd",)
    there: dict[str, FileState | None] = {"/p2vprep/run.cmd": None}
    plan = finish(wanted, {"SYSTEM": machine.hive}, extra, there)
    assert [change.rule for change in plan.changes] == ["first-boot", "services"]
    assert isinstance(plan.changes[0], FileChange)
    assert plan.guest == wanted.guest


def test_hazards_and_skips_are_told_once() -> None:
    machine = Machine("ControlSet001", "ControlSet002").service("a").service("RpcSs")
    plan = machine.plan(actions("disable: a, when: {role: client}", "disable: RpcSs"))
    assert len(plan.skips) == 2
    assert [type(hazard) for hazard in plan.hazards] == [Hazard, Hazard], "one for each control set"


def test_rules_and_settings_have_names_of_their_own() -> None:
    assert len({rule.NAME for rule in RULES}) == len(RULES)
    assert all((rule.__doc__ or "").strip() for rule in RULES)
    assert len({setting.name for setting in SETTINGS}) == len(SETTINGS)
    assert all(setting.default in setting.values for setting in SETTINGS)
    kinds = [kind for rule in RULES for kind in rule.KINDS]
    assert len(set(kinds)) == len(kinds)


def test_planning_needs_no_profile() -> None:
    machine = Machine()
    found = draft(machine.facts(), {"SYSTEM": machine.hive, "SOFTWARE": MemoryHive()}, [])
    assert (found.edits, found.skips, found.hazards, found.first_boot) == ((), (), (), ())


def test_a_source_that_is_the_targets_own_hypervisor_is_left_out_whole() -> None:
    source = profile("hypervisor: hyper-v\n" + ACTION, name="guest")
    machine = Machine().service("vmicheartbeat")
    for own, left_out in ((["hyper-v"], True), (["kvm", "hyper-v"], True), (["kvm"], False)):
        target = profile(f"hypervisor: [{', '.join(own)}]\n", name="target", kind="target")
        plan = machine.plan(source, target)
        assert (plan.changes == ()) is left_out
        assert plan.profiles == (("target 1",) if left_out else ("guest 1", "target 1"))
        assert [hazard.code for hazard in plan.hazards] == (["same-hypervisor"] if left_out else [])
        assert [(skip.rule, skip.subject) for skip in plan.skips] == (
            [("source", "guest")] if left_out else []
        )


def test_what_the_target_needs_is_kept_whoever_asks() -> None:
    site = profile(ACTION, name="site")
    target = profile("hypervisor: hyper-v\n", name="target", kind="target")
    plan = Machine().service("vmicheartbeat").plan(site, target)
    assert plan.changes == ()
    assert [hazard.code for hazard in plan.hazards] == ["target-needs-it"]


ACTION = """\
actions:
  - {id: a, why: a good reason, source: a test, disable: vmicheartbeat}
"""
