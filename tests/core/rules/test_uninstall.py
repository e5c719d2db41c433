from __future__ import annotations

from dataclasses import replace

import pytest

from p2vprep.core.model import Product, RunCommands
from p2vprep.core.planner import Draft, draft
from p2vprep.core.profiles import ResolvedProfile
from p2vprep.core.registry import MemoryHive
from p2vprep.errors import DocumentError
from tests.support.machines import Machine
from tests.support.profiles import actions

CODES = [f"{{8B7A6C5D-1234-4321-ABCD-00000000000{digit}}}" for digit in range(3)]
PLACE = r"Microsoft\Windows\CurrentVersion\Uninstall"
AGENT = Product(rf"{PLACE}\{CODES[0]}", "Acme Agent", "Acme", "1", "x", msi=True)
BASE = Product(rf"{PLACE}\{CODES[1]}", "Acme Base: the Ünderlying part", "Acme", "1", "x", msi=True)
ODD = Product(rf"{PLACE}\Odd", "Acme Odd", "Acme", "1", "x", r"C:\Odd\un.exe")
OWN = Product(rf"{PLACE}\Own", "Acme Own", "Acme", "1", "x", r"C:\Program Files\Own\un.exe")
ON = {"uninstall": "first-boot"}


def wanted(*lines: str, products: tuple[Product, ...] = (AGENT, BASE, ODD, OWN), on: bool = True) -> Draft:
    return wanted_of(actions(*lines), products=products, on=on)


def wanted_of(
    *profiles: ResolvedProfile, products: tuple[Product, ...], on: bool = True, software: bool = True
) -> Draft:
    machine = Machine("ControlSet001", "ControlSet002")
    hives = {"SYSTEM": machine.hive} | ({"SOFTWARE": MemoryHive()} if software else {})
    facts = replace(machine.facts(), products=products)
    return draft(facts, hives, profiles, overrides=ON if on else {})


def steps(found: Draft) -> list[tuple[str, tuple[str, ...]]]:
    return [(item.name, item.commands) for item in found.first_boot if isinstance(item, RunCommands)]


def msi(code: str) -> str:
    return f"msiexec.exe /x {code} /qn /norestart REBOOT=ReallySuppress"


def test_programs_go_in_the_order_of_the_profile() -> None:
    found = wanted("uninstall: {products: [^Acme Base, ^Acme Agent]}")
    assert steps(found) == [
        ("uninstall-01-acme-base-the-nderlying-part", (msi(CODES[1]),)),
        ("uninstall-02-acme-agent", (msi(CODES[0]),)),
    ]
    item = found.first_boot[0]
    assert isinstance(item, RunCommands)
    assert (item.phase, item.timeout, item.good) == ("after-network", 900, (0, 1605, 1614))
    assert item.why == "Acme Base: the Ünderlying part: a good reason 0"
    assert found.edits == ()


def test_by_default_everything_stays_and_the_plan_names_it() -> None:
    found = wanted("uninstall: {products: ^Acme Agent}", on=False)
    assert steps(found) == []
    (skip,) = found.skips
    assert skip.subject == "Acme Agent"
    assert f"kept; with --set uninstall=first-boot the first boot runs {msi(CODES[0])}" in skip.reason


def test_a_program_without_a_silent_way_is_told() -> None:
    for on in (True, False):
        found = wanted("uninstall: {products: ^Acme (Odd|Own)}", on=on)
        assert steps(found) == []
        assert [skip.subject for skip in found.skips] == ["Acme Odd", "Acme Own"]
        assert r"its own command is: C:\Odd\un.exe" in found.skips[0].reason


def test_silent_phase_and_time_come_from_the_profile() -> None:
    line = "uninstall: {products: ^Acme Own, silent: /S, phase: before-network, timeout: 60}"
    (item,) = wanted(line).first_boot
    assert isinstance(item, RunCommands)
    assert item.commands == (r'"C:\Program Files\Own\un.exe" /S',)
    assert (item.phase, item.timeout, item.good) == ("before-network", 60, (0,))


def test_a_program_that_two_profiles_mean_goes_once() -> None:
    one = actions("uninstall: {products: ^Acme Agent}", name="one")
    two = actions("uninstall: {products: Agent$}", "uninstall: {products: ^Acme Base}", name="two")
    twin = replace(AGENT, key=rf"Wow6432Node\{AGENT.key}")
    found = wanted_of(one, two, products=(AGENT, twin, BASE))
    assert [commands for _, commands in steps(found)] == [(msi(CODES[0]),), (msi(CODES[1]),)]


def test_a_pattern_that_means_half_the_machine_removes_nothing() -> None:
    many = tuple(replace(AGENT, key=f"k{number}", display_name=f"Program {number}") for number in range(21))
    found = wanted("uninstall: {products: Program}", products=many)
    assert steps(found) == []
    (hazard,) = found.hazards
    assert (hazard.code, hazard.severity) == ("uninstall-too-wide", "warn")
    few = wanted("uninstall: {products: Program}", products=many[:20])
    assert not few.hazards


def test_without_software_nobody_knows() -> None:
    found = wanted_of(actions("uninstall: {products: ^Acme}"), products=(), software=False)
    (skip,) = found.skips
    assert "without the SOFTWARE hive" in skip.reason


def test_what_is_not_installed_is_no_news() -> None:
    found = wanted("uninstall: {products: ^Nobody}")
    assert (found.skips, found.first_boot, found.hazards) == ((), (), ())


def test_conditions_hold_for_it_as_for_every_action() -> None:
    found = wanted("uninstall: {products: ^Acme Agent}, when: {windows: '<6.0'}")
    assert steps(found) == []
    assert "for Windows <6.0" in found.skips[0].reason


def test_without_a_first_boot_job_nothing_is_removed() -> None:
    machine = Machine()
    facts = replace(machine.facts(), products=(AGENT,))
    hives = {"SYSTEM": machine.hive, "SOFTWARE": MemoryHive()}
    profile = actions("uninstall: {products: ^Acme Agent}")
    found = draft(facts, hives, [profile], overrides=ON, first_boot=False)
    assert found.first_boot == ()
    assert "without a first-boot job" in found.skips[0].reason


@pytest.mark.parametrize("silent", ["'/S & x'", "loose", "[/S, '/D=C:\\x']", "''"])
def test_switches_that_are_not_plain_are_faults(silent: str) -> None:
    with pytest.raises(DocumentError, match="no plain switch"):
        actions(f"uninstall: {{products: ^Acme, silent: {silent}}}")
