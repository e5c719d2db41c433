"""The rules that a target switches on by settings: disks, crash, firmware, hal."""

from __future__ import annotations

from dataclasses import replace

import pytest

from p2vprep.core.model import Hazard, OnlineDisks, Plan, RestoreValue, Role, Start, ValueChange
from p2vprep.core.planner import draft, finish
from p2vprep.core.profiles import ResolvedProfile
from p2vprep.core.values import Data
from tests.support.machines import DRIVER, Machine, carry_out
from tests.support.profiles import profile

PARTMGR = r"Services\partmgr\Parameters"


def target(**settings: str) -> ResolvedProfile:
    lines = "".join(f"  {name.replace('_', '-')}: {value}\n" for name, value in settings.items())
    return profile(f"settings:\n{lines}", name="target", kind="target")


def firmware(wanted: str, found: str) -> tuple[Hazard, ...]:
    machine = Machine()
    facts = replace(machine.facts(), firmware=found)  # type: ignore[arg-type]
    return draft(facts, {"SYSTEM": machine.hive}, [target(firmware=wanted)]).hazards


def values(made: Plan) -> dict[str, int | None]:
    return {
        change.name: None if change.after is None else change.after.number
        for change in made.changes
        if isinstance(change, ValueChange)
    }


# --- disks --------------------------------------------------------------------------------------


def server() -> Machine:
    return Machine().windows(6, 3, 9600).service("partmgr", Start.BOOT, DRIVER)


def test_a_servers_data_disks_come_online() -> None:
    machine = server()
    made = machine.plan(target(data_disks="online"))
    assert values(made) == {"SanPolicy": 1}
    assert [type(item) for item in made.first_boot] == [OnlineDisks]
    carry_out(made.changes, {"SYSTEM": machine.hive})
    assert machine.plan(target(data_disks="online")).changes == ()


def test_a_client_has_its_disks_online_unless_it_was_told_otherwise() -> None:
    machine = server().windows(10, 0, 19041, Role.CLIENT)
    made = machine.plan(target(data_disks="online"))
    assert (made.changes, made.first_boot) == ((), ())
    machine.put(PARTMGR, SanPolicy=3)
    assert values(machine.plan(target(data_disks="online"))) == {"SanPolicy": 1}


def test_disks_of_a_cluster_are_the_clusters_affair() -> None:
    machine = server().service("ClusSvc")
    made = machine.plan(target(data_disks="online"))
    assert (made.changes, made.first_boot) == ((), ())
    assert "cluster" in made.skips[0].reason
    machine.service("ClusSvc", Start.DISABLED)
    assert values(machine.plan(target(data_disks="online"))) == {"SanPolicy": 1}


def test_disks_are_left_alone_before_vista_by_default_and_without_their_driver() -> None:
    assert server().windows(5, 2, 3790).plan(target(data_disks="online")).changes == ()
    assert server().plan(target(data_disks="keep")).changes == ()
    assert server().plan().changes == ()
    made = Machine().plan(target(data_disks="online"))
    assert made.changes == ()
    assert "partmgr" in made.skips[0].reason


def test_without_a_first_boot_job_the_policy_is_all_there_is() -> None:
    machine, wanted = server(), target(data_disks="online")
    made = draft(machine.facts(), {"SYSTEM": machine.hive}, [wanted], first_boot=False)
    assert made.first_boot == ()
    assert [skip.rule for skip in made.skips] == ["first-boot"]


# --- crash --------------------------------------------------------------------------------------

CRASH = r"Control\CrashControl"


def test_starting_again_rests_until_the_first_boot_is_done() -> None:
    machine = Machine("ControlSet001", "ControlSet002").put(CRASH, AutoReboot=1)
    made = machine.plan(target(auto_reboot="park"))
    (item,) = made.first_boot
    assert isinstance(item, RestoreValue)
    assert (item.key, item.name) == (r"SYSTEM\CurrentControlSet\Control\CrashControl", "AutoReboot")
    assert item.data == Data.dword(1)
    changed = [change.key for change in made.changes if isinstance(change, ValueChange)]
    assert {rf"ControlSet001\{CRASH}", rf"ControlSet002\{CRASH}"} <= set(changed)
    carry_out(made.changes, {"SYSTEM": machine.hive})
    again = machine.plan(target(auto_reboot="park"))
    assert (again.changes, again.first_boot) == ((), made.first_boot)
    given_back = machine.plan()
    assert given_back.first_boot == made.first_boot


def test_what_never_starts_again_is_not_given_back() -> None:
    machine = Machine().put(CRASH, AutoReboot=0)
    made = machine.plan(target(auto_reboot="park"))
    assert (made.changes, made.first_boot) == ((), ())


def test_off_for_good_forgets_what_was_parked() -> None:
    machine = Machine().put(CRASH, AutoReboot=1)
    carry_out(machine.plan(target(auto_reboot="park")).changes, {"SYSTEM": machine.hive})
    made = machine.plan(target(auto_reboot="off"))
    assert made.first_boot == ()
    assert [change.to_json()["key"] for change in made.changes] == [r"p2vprep\ParkedValues\crash"]


def test_without_the_key_or_the_wish_nothing_happens() -> None:
    assert Machine().plan(target(auto_reboot="park")).skips[0].subject == "AutoReboot"
    assert Machine().put(CRASH, AutoReboot=1).plan(target(auto_reboot="keep")).changes == ()


def test_without_a_first_boot_job_nothing_is_parked() -> None:
    machine = Machine().put(CRASH, AutoReboot=1)
    hives = {"SYSTEM": machine.hive}
    wanted = draft(machine.facts(), hives, [target(auto_reboot="park")], first_boot=False)
    assert finish(wanted, hives).changes == ()


# --- firmware -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("wanted", "found", "code"),
    [
        ("bios", "uefi", "firmware-mismatch"),
        ("uefi", "bios", "firmware-mismatch"),
        ("any", "uefi", "firmware"),
        ("any", "bios", None),
        ("uefi", "uefi", None),
        ("bios", "bios", None),
        ("uefi", "unknown", None),
        ("keep", "uefi", None),
    ],
)
def test_firmware(wanted: str, found: str, code: str | None) -> None:
    hazards = firmware(wanted, found)
    assert [hazard.code for hazard in hazards] == ([] if code is None else [code])
    if code is not None:
        assert hazards[0].severity == ("refuse" if code == "firmware-mismatch" else "warn")


# --- hal ----------------------------------------------------------------------------------------

COMPUTER = "{4D36E966-E325-11CE-BFC1-08002BE10318}"


def layer(name: str, device: str = "ACPI_HAL") -> Machine:
    machine = Machine().windows(5, 2, 3790)
    return machine.put(rf"Enum\Root\{device}\0000", ClassGUID=COMPUTER, HardwareID=[name])


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("acpipic_up", "old interrupt controller, one processor"),
        ("acpiapic_up", "APIC, one processor"),
        ("ACPIAPIC_MP", "several processors"),
        ("e_isa_up", "without ACPI"),
    ],
)
def test_the_layer_is_told_with_what_it_wants(name: str, words: str) -> None:
    (hazard,) = layer(name).plan(target(hal="warn")).hazards
    assert (hazard.code, hazard.severity, hazard.evidence) == ("hal", "warn", (name,))
    assert words in hazard.message
    assert hazard.cure


def test_no_word_of_the_layer_from_vista_on_and_without_the_wish() -> None:
    assert layer("acpiapic_up").windows(6, 0).plan(target(hal="warn")).hazards == ()
    assert layer("acpiapic_up").plan(target(hal="keep")).hazards == ()
    assert Machine().windows(5, 1).plan(target(hal="warn")).hazards == ()
