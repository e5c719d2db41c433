from __future__ import annotations

from dataclasses import replace

from p2vprep.core.model import Facts, Hazard, Product
from p2vprep.core.planner import draft
from tests.support.machines import DRIVER, Machine
from tests.support.profiles import actions

LINE = (
    "warn: {code: licence-dongle, services: [hasplms, 'Sentinel*'], devices: '^USB.VID_0529', "
    "products: '^Sentinel', cure: Attach it.}"
)


def told(machine: Machine, line: str = LINE, **facts: object) -> tuple[Hazard, ...]:
    found: Facts = replace(machine.facts(), **facts)  # type: ignore[arg-type]
    return draft(found, {"SYSTEM": machine.hive}, [actions(line)]).hazards


def test_nothing_is_told_where_nothing_is_found() -> None:
    assert told(Machine().service("Spooler")) == ()
    unmet = actions(LINE + ", when: {windows: '>=10.0'}")
    assert Machine().service("hasplms").plan(unmet).hazards == ()
    assert Machine().service("hasplms").plan(unmet).skips == ()


def test_one_warning_names_all_that_was_found() -> None:
    machine = Machine("ControlSet001", "ControlSet002")
    machine.service("SentinelKeysServer").service("hasplms", 1, DRIVER)
    product = Product("k", "Sentinel Runtime", "", "", "")
    (hazard,) = told(machine, products=(product,), devices=(r"USB\VID_0529&PID_0001", r"USB\VID_1"))
    assert hazard == Hazard(
        "licence-dongle",
        "warn",
        "A good reason 0",
        ("SentinelKeysServer", "hasplms", r"USB\VID_0529&PID_0001", "Sentinel Runtime"),
        "Attach it.",
    )


def test_a_namesake_is_no_reason_to_warn() -> None:
    line = r"warn: {code: a, services: {names: abc, image-path: '\\Acme\\'}}"
    assert told(Machine().service("abc", ImagePath=r"C:\Other\a.exe"), line) == ()
    assert len(told(Machine().service("abc", ImagePath=r"C:\Acme\a.exe"), line)) == 1


def test_with_nothing_to_look_for_only_the_conditions_count() -> None:
    assert [hazard.code for hazard in told(Machine(), "warn: {code: a}")] == ["a"]
    assert told(Machine(), "warn: {code: a}, when: {windows: '>=10.0'}") == ()
