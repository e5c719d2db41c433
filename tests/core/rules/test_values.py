from __future__ import annotations

import pytest

from p2vprep.core.model import KeyChange, Plan, Start, ValueChange
from p2vprep.core.planner import draft, finish
from p2vprep.core.registry import MemoryHive
from p2vprep.core.values import Data
from tests.support.machines import DRIVER, Machine, carry_out
from tests.support.profiles import actions

PLACE = r"{key: '%ControlSet%\Control\X', name: N, type: REG_DWORD, data: 4}"


def edits(made: Plan) -> list[tuple[str, str | None]]:
    return [
        (change.key, change.name if isinstance(change, ValueChange) else None)
        for change in made.changes
        if isinstance(change, ValueChange | KeyChange)
    ]


def test_a_value_is_set_in_every_control_set_that_has_its_key() -> None:
    machine = Machine("ControlSet001", "ControlSet002").put(r"Control\X", only="ControlSet002", N=1)
    made = machine.plan(actions(f"value: {PLACE}"))
    assert edits(made) == [(r"ControlSet002\Control\X", "N")]
    assert [(skip.subject, skip.reason) for skip in made.skips] == [
        (r"SYSTEM\ControlSet001\Control\X: N", "the key is not there")
    ]
    carry_out(made.changes, {"SYSTEM": machine.hive})
    assert machine.plan(actions(f"value: {PLACE}")).changes == ()


def test_a_key_is_made_only_where_the_profile_says_so() -> None:
    made = Machine().put("Control").plan(actions(f"value: {PLACE[:-1]}, create: true}}"))
    assert edits(made) == [(r"ControlSet001\Control\X", None), (r"ControlSet001\Control\X", "N")]


def test_a_value_and_a_key_are_deleted_where_they_are() -> None:
    machine = Machine().put(r"Control\X", N=1, M=2).put(r"Control\X\Y\Z", a=1)
    lines = (
        r"value-delete: {key: '%ControlSet%\Control\X', name: n}",
        r"value-delete: {key: '%ControlSet%\Control\X', name: absent}",
        r"key-delete: {key: '%ControlSet%\Control\X\Y'}",
        r"key-delete: {key: '%ControlSet%\Control\X\Absent'}",
    )
    made = machine.plan(actions(*lines))
    assert edits(made) == [(r"ControlSet001\Control\X", "N"), (r"ControlSet001\Control\X\Y", None)]
    assert (made.skips, made.hazards) == ((), ())


def test_what_lies_outside_of_the_control_sets_is_done_once() -> None:
    machine = Machine("ControlSet001", "ControlSet002")
    machine.hive.root.make(r"Setup\Status").set("A", Data.dword(1))
    made = machine.plan(actions(r"value: {key: Setup\Status, name: A, type: REG_SZ, data: x}"))
    assert edits(made) == [(r"Setup\Status", "A")]
    assert machine.draft(actions(r"value-delete: {key: Setup\Status, name: A}")).edits[1:] == ()


def test_other_hives_are_edited_where_they_are_here() -> None:
    line = r"value-delete: {hive: SOFTWARE, key: 'Acme\Agent\Cache\Now', name: A}"
    machine = Machine()
    assert machine.plan(actions(line)).skips[0].reason == "the SOFTWARE hive is not here"
    software = MemoryHive({r"Acme\Agent\Cache\Now": {"A": Data.dword(1)}})
    hives = {"SYSTEM": machine.hive, "SOFTWARE": software}
    made = finish(draft(machine.facts(), hives, [actions(line)]), hives)
    assert edits(made) == [(r"Acme\Agent\Cache\Now", "A")]


REFUSED = {
    r"value: {key: '%ControlSet%\Services\Agent', name: start, type: REG_DWORD, data: 4}": "disable, park",
    r"value: {key: '%ControlSet%\Services\Agent', name: ImagePath, type: REG_SZ, data: x}": "driver-enable",
    r"value-delete: {key: '%ControlSet%\Services\Agent', name: DependOnService}": "disable, park",
    r"value: {key: '%ControlSet%\Control\Class\{x}', name: upperfilters, type: REG_SZ, data: x}": "filter",
    r"value-delete: {key: '%ControlSet%\Enum\PCI\a\b', name: LowerFilters}": "filter-remove",
    r"value: {key: '%ControlSet%\Control\ProductOptions', name: A, type: REG_SZ, data: x}": "cannot be",
    r"value: {key: 'p2vprep\Parked\Agent', name: Start, type: REG_DWORD, data: 4}": "first boot gives back",
    r"key-delete: {key: '%ControlSet%\Control\Class'}": "too much hangs",
    r"key-delete: {key: '%ControlSet%\Services\Tcpip\Parameters'}": "Tcpip needs it",
    r"key-delete: {key: '%ControlSet%\Services\storahci\Parameters'}": "ships with Windows",
    r"key-delete: {key: '%ControlSet%\Control\Lsa\JD'}": "does not start without it",
    r"key-delete: {key: '%ControlSet%\Control\Class\{x}'}": "class of devices",
    r"key-delete: {key: '%ControlSet%\Enum\PCI\a\b'}": "devices are removed by",
    r"key-delete: {key: '%ControlSet%\Services\storahci\StartOverride'}": "driver-enable",
    r"value: {key: '%ControlSet%\Services\storahci\StartOverride', name: '0', type: REG_SZ, data: x}": "file",
    r"key-delete: {key: '%ControlSet%\Control\CriticalDeviceDatabase\pci#x'}": "driver-enable",
    r"key-delete: {key: 'DriverDatabase\DeviceIds'}": "devices are installed by it",
}


@pytest.mark.parametrize("line", REFUSED)
def test_what_goes_around_a_guard_is_refused_with_a_reason_and_the_rest_goes_on(line: str) -> None:
    machine = Machine().service("Agent", DependOnService=["x"]).service("Tcpip", Start.SYSTEM, DRIVER)
    machine.service("storahci", Start.BOOT, DRIVER).put(r"Services\storahci\Parameters", a=1)
    machine.put(r"Services\Tcpip\Parameters", a=1).put(r"Control\Class\{x}", UpperFilters=["a"])
    machine.put(r"Enum\PCI\a\b", LowerFilters=["a"]).put(r"Control\ProductOptions", A="x")
    machine.put(r"Control\Lsa\JD", a=1).put(r"Control\X", N=1)
    machine.set_value(r"Services\storahci\StartOverride", "0", 3)
    machine.put(r"Control\CriticalDeviceDatabase\pci#x", Service="a")
    machine.hive.root.make(r"DriverDatabase\DeviceIds")
    machine.hive.root.make(r"p2vprep\Parked\Agent").set("Start", Data.dword(2))
    made = machine.plan(actions(line, f"value: {PLACE}"))
    assert edits(made) == [(r"ControlSet001\Control\X", "N")]
    (hazard,) = made.hazards
    assert (hazard.code, hazard.severity) == ("edit-refused", "warn")
    (skip,) = made.skips
    assert REFUSED[line] in skip.reason


def test_what_would_be_refused_and_is_not_there_is_no_news() -> None:
    lines = (
        r"key-delete: {key: '%ControlSet%\Control\Absent'}",
        r"value-delete: {key: '%ControlSet%\Services\Absent', name: Start}",
    )
    made = Machine().plan(actions(*lines))
    assert (made.changes, made.hazards, made.skips) == ((), (), ())


def test_what_stands_below_a_service_may_go() -> None:
    machine = Machine().service("W32Time").put(r"Services\W32Time\TimeProviders\vmw", a=1)
    machine.service("Agent").put(r"Services\Agent\Parameters", a=1)
    lines = (
        r"key-delete: {key: '%ControlSet%\Services\W32Time\TimeProviders\vmw'}",
        r"key-delete: {key: '%ControlSet%\Services\Agent\Parameters'}",
    )
    made = machine.plan(actions(*lines))
    assert len(made.changes) == 2
    assert made.hazards == ()
