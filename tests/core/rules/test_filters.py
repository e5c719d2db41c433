from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from p2vprep.core.facts import gather
from p2vprep.core.filterlists import without
from p2vprep.core.model import Plan, Start, ValueChange
from p2vprep.core.never import IN_BOX_FILTERS
from p2vprep.core.planner import draft, finish
from p2vprep.core.registry import fold
from p2vprep.core.values import Data
from tests.support import corpus
from tests.support.hives import memory_hive
from tests.support.machines import DRIVER, Machine, carry_out
from tests.support.profiles import actions

DISK = "{4d36e967-e325-11ce-bfc1-08002be10318}"
HDC = "{4d36e96a-e325-11ce-bfc1-08002be10318}"
INSTANCE = r"Enum\IDE\DiskAcme\1&2"
OUT = "filter-remove: acmeflt"
OFF = "disable: acmeflt"


def disk_class(guid: str = DISK) -> str:
    return rf"Control\Class\{guid}"


def machine(*names: str, start: int = Start.DEMAND) -> Machine:
    return Machine().service("acmeflt", start, DRIVER).put(disk_class(), UpperFilters=list(names))


def after(plan: Plan, rule: str = "filter-remove") -> dict[str, Data | None]:
    return {
        f"{change.key.partition(chr(92))[2]}: {change.name}": change.after
        for change in plan.changes
        if isinstance(change, ValueChange) and change.rule == rule
    }


# --- lists -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("raw", "expected"),
    [
        ("a\0bad\0c\0\0", "a\0c\0\0"),
        ("bad\0a\0\0", "a\0\0"),
        ("a\0BAD\0bad\0\0", "a\0\0"),
        ("bad\0\0", None),
        ("bad", None),
        ("a\0bad", "a\0\0"),
        ("a\0\0sleeping\0bad\0\0", "a\0\0sleeping\0\0"),
        ("bad\0\0sleeping\0\0", "\0sleeping\0\0"),
    ],
)
def test_names_leave_a_list_and_nothing_else_changes(raw: str, expected: str | None) -> None:
    found = without(Data(7, raw.encode("utf-16-le")), frozenset({"BAD"}))
    assert found == (None if expected is None else Data(7, expected.encode("utf-16-le")))


@given(st.lists(st.sampled_from(["a", "B", "bad", "Bad", "c d"]), max_size=8))
def test_what_stays_keeps_its_order(names: list[str]) -> None:
    kept = [name for name in names if fold(name) != "BAD"]
    found = without(Data.multi_sz(names), frozenset({"BAD"}))
    assert found == (Data.multi_sz(kept) if kept else None)


# --- the rule ----------------------------------------------------------------------------------


def test_a_filter_leaves_classes_and_devices_and_other_names_stay() -> None:
    found = machine("PartMgr", "AcmeFlt").put(
        INSTANCE, ClassGUID=DISK, LowerFilters=["acmeflt", "first", "last"], UpperFilters=["other"]
    )
    assert after(found.plan(actions(OUT))) == {
        f"{disk_class()}: UpperFilters": Data.multi_sz(["PartMgr"]),
        f"{INSTANCE}: LowerFilters": Data.multi_sz(["first", "last"]),
    }


def test_a_list_that_gets_empty_is_deleted() -> None:
    assert after(machine("acmeflt").plan(actions(OUT))) == {f"{disk_class()}: UpperFilters": None}


def test_every_edited_control_set_is_cleaned() -> None:
    found = Machine("ControlSet001", "ControlSet002").service("acmeflt", Start.DEMAND, DRIVER)
    found.put(disk_class(), UpperFilters=["PartMgr", "acmeflt"])
    sets = [
        change.key.split("\\")[0]
        for change in found.plan(actions(OUT)).changes
        if isinstance(change, ValueChange)
    ]
    assert sets == ["ControlSet001", "ControlSet002"]


def test_position_and_class_narrow_what_is_meant() -> None:
    found = machine("acmeflt", "PartMgr").put(
        disk_class(HDC), UpperFilters=["acmeflt"], LowerFilters=["acmeflt"]
    )
    upper_of_disks = f"filter-remove: {{names: acmeflt, position: UpperFilters, classes: '{DISK.upper()}'}}"
    assert after(found.plan(actions(upper_of_disks))) == {
        f"{disk_class()}: UpperFilters": Data.multi_sz(["PartMgr"])
    }


@pytest.mark.parametrize("name", sorted({*IN_BOX_FILTERS, "PARTMGR", "disk", "pvscsi"}))
def test_filters_of_windows_are_never_taken_out(name: str) -> None:
    found = Machine().service(name, Start.DEMAND, DRIVER).put(disk_class(), UpperFilters=[name, "x"])
    plan = found.plan(actions(f"filter-remove: {name}"))
    assert plan.changes == ()
    assert name in {skip.subject for skip in plan.skips}
    assert [hazard.code for hazard in plan.hazards] == (
        [] if name in {"disk", "pvscsi"} else ["in-box-filter"]
    )


def test_a_namesake_of_another_maker_stays_and_the_true_one_goes() -> None:
    line = "filter-remove: {names: acmeflt, image-path: acme}"
    stranger = machine("acmeflt").put(r"Services\acmeflt", ImagePath=r"system32\drivers\other.sys")
    plan = stranger.plan(actions(line))
    assert plan.changes == ()
    assert "another driver of that name" in plan.skips[0].reason
    right = machine("acmeflt").put(r"Services\acmeflt", ImagePath=r"system32\drivers\acme.sys")
    assert right.plan(actions(line)).changes != ()


def test_a_filter_without_any_driver_may_go_whoever_made_it_but_not_by_a_wildcard() -> None:
    found = Machine().put(disk_class(), UpperFilters=["PartMgr", "acmeflt"])
    line = "filter-remove: {{names: {}, image-path: acme}}"
    assert found.plan(actions(line.format("acmeflt"))).changes != ()
    plan = found.plan(actions(line.format("acme*")))
    assert plan.changes == ()
    assert "only a wildcard" in plan.skips[0].reason


def test_a_value_that_is_no_list_stays_and_so_does_its_driver() -> None:
    found = Machine().service("acmeflt", Start.DEMAND, DRIVER).put(disk_class(), UpperFilters="acmeflt")
    plan = found.plan(actions(OUT, OFF))
    assert plan.changes == ()
    assert {skip.rule for skip in plan.skips} == {"filter-remove", "services"}
    assert [hazard.code for hazard in plan.hazards] == ["still-a-filter"]


def test_an_action_that_does_not_apply_says_why() -> None:
    plan = machine("acmeflt").plan(actions(f"{OUT}, when: {{windows: '>=10.0'}}"))
    assert plan.changes == ()
    assert [skip.subject for skip in plan.skips] == ["acmeflt"]
    assert machine("other").plan(actions(f"{OUT}, when: {{windows: '>=10.0'}}")).skips == ()


# --- together with the guard -------------------------------------------------------------------


def test_a_driver_may_be_disabled_once_its_filters_leave_in_the_same_plan() -> None:
    plan = machine("PartMgr", "acmeflt").plan(actions(OUT, OFF))
    assert after(plan, "services") == {r"Services\acmeflt: Start": Data.dword(4)}
    assert plan.hazards == ()


def test_a_driver_stays_while_one_list_still_names_it() -> None:
    found = machine("acmeflt").put(INSTANCE, ClassGUID=DISK, LowerFilters=["acmeflt"])
    only_upper = "filter-remove: {names: acmeflt, position: UpperFilters}"
    plan = found.plan(actions(only_upper, OFF))
    assert after(plan, "services") == {}
    assert after(plan) == {f"{disk_class()}: UpperFilters": None}
    assert [hazard.code for hazard in plan.hazards] == ["still-a-filter"]


@pytest.mark.parametrize("lines", [(OUT,), (OUT, OFF)])
def test_a_second_plan_is_empty(lines: tuple[str, ...]) -> None:
    found = machine("PartMgr", "acmeflt").put(INSTANCE, ClassGUID=DISK, UpperFilters=["acmeflt"])
    plan = found.plan(actions(*lines))
    assert len(plan.changes) == 1 + len(lines)
    carry_out(plan.changes, {"SYSTEM": found.hive})
    again = found.plan(actions(*lines))
    assert (again.changes, again.hazards, again.skips) == ((), (), ())


NAMES = ["partmgr", "acmeflt", "xenfilt", "otherflt", "pvscsi"]
LISTS = st.lists(st.sampled_from(NAMES), max_size=4)
LINES = [
    *(f"filter-remove: {{names: {name}, position: UpperFilters}}" for name in NAMES[:4]),
    *(f"filter-remove: {name}" for name in NAMES),
    *(f"disable: {{names: {name}, boot-start: true}}" for name in NAMES),
]


@settings(max_examples=20)
@given(
    lists=st.tuples(LISTS, LISTS, LISTS),
    starts=st.lists(st.sampled_from([0, 1, 2, 3]), min_size=5, max_size=5),
    lines=st.sets(st.sampled_from(LINES)),
)
def test_no_plan_leaves_a_filter_whose_driver_it_disabled(
    lists: tuple[list[str], list[str], list[str]], starts: list[int], lines: set[str]
) -> None:
    """And filters of Windows stay where they were; a second plan is empty."""
    upper, lower, device = lists
    found = Machine().put(disk_class(), UpperFilters=upper, LowerFilters=lower)
    found.put(INSTANCE, ClassGUID=DISK, UpperFilters=device)
    for name, start in zip(NAMES, starts, strict=True):
        found.service(name, start, DRIVER)
    profile = actions(*sorted(lines))
    carry_out(found.plan(profile).changes, {"SYSTEM": found.hive})
    left = found.facts().boot
    disabled = {service.name for service in left.services if service.start == Start.DISABLED}
    named = [name for one in left.filters for name in one.names]
    assert not disabled & set(named)
    assert named.count("partmgr") == sum(names.count("partmgr") for names in lists)
    assert found.plan(profile).changes == ()


# --- boot-start drivers of a hypervisor --------------------------------------------------------


def xen(*filters: str, name: str = "xenfilt", start: int = Start.BOOT) -> Machine:
    found = Machine().service(name, start, DRIVER)
    return found.put(disk_class(HDC), UpperFilters=list(filters)) if filters else found


BOOT_OFF = "disable: {names: xenfilt, boot-start: true}"


def refusals(found: Machine, *lines: str) -> list[str]:
    plan = found.plan(actions(*lines))
    assert not any(change.rule == "services" for change in plan.changes) or not plan.hazards
    return [hazard.code for hazard in plan.hazards]


def test_a_boot_driver_of_a_hypervisor_goes_with_its_filters_where_the_profile_says_so() -> None:
    plan = xen("xenfilt").plan(actions("filter-remove: xenfilt", BOOT_OFF))
    assert after(plan, "services") == {r"Services\xenfilt: Start": Data.dword(4)}
    assert after(plan) == {f"{disk_class(HDC)}: UpperFilters": None}
    assert plan.hazards == ()


def test_it_stays_without_the_word_of_the_profile_or_in_a_filter_list() -> None:
    assert refusals(xen("xenfilt"), "filter-remove: xenfilt", "disable: xenfilt") == ["boot-driver"]
    assert refusals(xen("xenfilt"), BOOT_OFF) == ["still-a-filter"]


@pytest.mark.parametrize("name", ["Fs_Rec", "acmeboot", "vioscsi", "viostor", "KSecDD", "xenfilt2"])
def test_no_profile_can_say_so_for_drivers_that_the_guard_does_not_know(name: str) -> None:
    assert refusals(xen(name=name), f"disable: {{names: {name}, boot-start: true}}") == ["boot-driver"]


@pytest.mark.parametrize(("name", "code"), [("pvscsi", "in-box-driver"), ("disk", "never-disable")])
def test_nor_for_drivers_of_windows(name: str, code: str) -> None:
    assert refusals(xen(name=name), f"disable: {{names: {name}, boot-start: true}}") == [code]


def test_a_boot_driver_that_others_need_to_start_stays() -> None:
    found = xen().service("acmedisk", Start.BOOT, DRIVER, DependOnService=["xenfilt"])
    assert refusals(found, BOOT_OFF) == ["dependency"]


def test_boot_drivers_that_need_each_other_go_together() -> None:
    found = xen().service("xenbus", Start.BOOT, DRIVER, DependOnService=["xenfilt"])
    plan = found.plan(actions("disable: {names: [xenfilt, xenbus], boot-start: true}"))
    assert len(plan.changes) == 2
    assert plan.hazards == ()


# --- real hives --------------------------------------------------------------------------------


@pytest.mark.corpus
@pytest.mark.parametrize(
    "name",
    ["win10-21h2-x64_dissect.regf_1.SYSTEM", "win2003-sp1-x86-dc_gosecretsdump_1.SYSTEM"]
    + [
        pytest.param(name, marks=pytest.mark.long)
        for name in corpus.system_hive_names()
        if not name.startswith(("win10-21h2", "win2003"))
    ],
)
def test_every_filter_windows_itself_put_on_a_real_disk_stays(name: str) -> None:
    """A profile that names every filter there is takes out only those of the hypervisor's tools."""
    hive = memory_hive(name)
    facts = gather(hive, None, system_root="/Windows")
    listed = {listed for one in facts.sets for found in one.filters for listed in found.names}
    tools = {"VBOXMOUSE", "VMMOUSE", "VMUSBMOUSE", "MSVMMOUF"}
    profile = actions(*(f"filter-remove: {name}" for name in sorted(listed)))
    hives = {"SYSTEM": hive}
    plan = finish(draft(facts, hives, [profile]), hives)
    for change in plan.changes:
        if change.rule != "filter-remove":
            continue
        assert isinstance(change, ValueChange)
        assert change.before is not None
        kept = set() if change.after is None else set(change.after.strings or ())
        assert {fold(one) for one in set(change.before.strings or ()) - kept} <= tools
    ours = {one for one in listed if fold(one) not in tools}
    assert ours <= {skip.subject for skip in plan.skips}
