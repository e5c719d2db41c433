from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from p2vprep.core.bootdrivers import driver_file, starts_with_windows
from p2vprep.core.model import Hazard, KeyChange, Plan, Role, Service, Start, ValueChange
from p2vprep.core.planner import draft, finish
from p2vprep.core.profiles import ResolvedProfile
from p2vprep.core.registry import MemoryHive, fold
from p2vprep.core.wishes import Wishes
from p2vprep.virtio_files import load_kit
from tests.support import virtio
from tests.support.machines import DRIVER, SERVICE, Machine, carry_out
from tests.support.profiles import actions

ALL_FILES = (
    "atapi.sys", "intelide.sys", "pciide.sys", "pciidex.sys", "storahci.sys", "lsi_sas.sys", "vmbus.sys",
    "storvsc.sys", "vmstorfl.sys", "viostor.sys",
)  # fmt: skip
IDE = (
    "driver-enable: {names: atapi, devices: [primary_ide_channel, '*pnp0600']}",
    "driver-enable: {names: intelide, devices: 'pci#ven_8086&dev_7111'}",
)
CDB = r"Control\CriticalDeviceDatabase"


def driver(machine: Machine, name: str, start: int, file: str = "") -> Machine:
    path = rf"System32\drivers\{file or name + '.sys'}"
    return machine.service(name, start, DRIVER, ImagePath=path)


def overridden(machine: Machine, name: str, *, file: str = "", start: int = 3) -> Machine:
    """A driver as Windows 8 and later leave it where the machine does not need it."""
    driver(machine, name, Start.BOOT, file)
    return machine.set_value(rf"Services\{name}\StartOverride", "0", start)


def plan(
    machine: Machine, profile: ResolvedProfile, files: tuple[str, ...] | None = ALL_FILES, **facts: object
) -> Plan:
    found = replace(
        machine.facts(),
        driver_files=None if files is None else frozenset(map(fold, files)),
        **facts,  # type: ignore[arg-type]
    )
    hives = {"SYSTEM": machine.hive}
    return finish(draft(found, hives, [profile]), hives)


def target(*lines: str) -> ResolvedProfile:
    return actions(*lines, name="target", kind="target")


def codes(made: Plan) -> list[str]:
    return [hazard.code for hazard in made.hazards]


def changed(made: Plan) -> list[str]:
    shown = []
    for change in made.changes:
        assert isinstance(change, ValueChange | KeyChange)
        if isinstance(change, KeyChange):
            shown.append(f"{'+' if change.exists_after else '-'} {change.key}")
        else:
            assert change.after is not None
            held = change.after.number if change.after.text is None else change.after.text
            shown.append(f"{change.key}: {change.name} = {held}")
    return shown


# --- drivers ------------------------------------------------------------------------------------


def test_up_to_7_the_start_type_becomes_boot_in_every_control_set() -> None:
    machine = Machine("ControlSet001", "ControlSet002")
    driver(machine, "LSI_SAS", Start.DEMAND, "lsi_sas.sys")
    made = plan(machine, target("driver-enable: lsi_sas"))
    assert changed(made) == [
        rf"{name}\Services\LSI_SAS: Start = 0" for name in ("ControlSet001", "ControlSet002")
    ]
    carry_out(made.changes, {"SYSTEM": machine.hive})
    assert plan(machine, target("driver-enable: lsi_sas")).changes == ()


def test_from_8_on_the_override_goes_with_all_its_values() -> None:
    machine = overridden(Machine().windows(6, 3, 9600), "storahci")
    machine.set_value(r"Services\storahci\StartOverride", "1", 3)
    made = plan(machine, target("driver-enable: storahci"))
    assert changed(made) == [r"- ControlSet001\Services\storahci\StartOverride"]
    carry_out(made.changes, {"SYSTEM": machine.hive})
    assert plan(machine, target("driver-enable: storahci")).changes == ()


@pytest.mark.parametrize(
    "path", [r"\SystemRoot\system32\drivers\lsi_sas.sys", r"system32\DRIVERS\LSI_SAS.SYS"]
)
def test_image_paths_of_boot_drivers(path: str) -> None:
    machine = Machine().service("LSI_SAS", Start.DEMAND, DRIVER, ImagePath=path)
    assert len(plan(machine, target("driver-enable: LSI_SAS")).changes) == 1


@pytest.mark.parametrize(
    ("name", "path", "kind"),
    [
        ("AcmeRaid", r"System32\drivers\acmeraid.sys", DRIVER),
        ("storahci", r"\??\C:\Windows\System32\drivers\storahci.sys", DRIVER),
        ("storahci", r"System32\drivers\acme\storahci.sys", DRIVER),
        ("storahci", r"System32\drivers\acme.sys", DRIVER),
        ("storahci", r"System32\drivers\..\storahci.sys", DRIVER),
        ("storahci", r"System32\drivers\storahci.sys", SERVICE),
    ],
)
def test_a_foreign_driver_is_never_started_with_windows(name: str, path: str, kind: int) -> None:
    machine = Machine().service(name, Start.DEMAND, kind, ImagePath=path)
    made = plan(machine, target(f"driver-enable: {name}"), ("acmeraid.sys", "storahci.sys", "acme.sys"))
    assert made.changes == ()
    assert codes(made) == ["foreign-driver"]
    assert [skip.subject for skip in made.skips] == [name]


def test_a_driver_whose_file_is_not_on_the_disk_is_never_started_with_windows() -> None:
    machine = driver(Machine(), "storahci", Start.DEMAND)
    made = plan(machine, target("driver-enable: storahci"), ("atapi.sys",))
    assert made.changes == ()
    assert made.skips[0].reason == "target: a0: storahci.sys is not in System32\\drivers"
    machine = overridden(Machine().windows(10, 0, 19041), "storahci")
    assert plan(machine, target("driver-enable: storahci"), ("atapi.sys",)).changes == ()


def test_a_driver_without_the_library_it_needs_is_left_alone() -> None:
    machine = driver(Machine(), "pciide", Start.DEMAND)
    made = plan(machine, target("driver-enable: pciide"), ("pciide.sys",))
    assert made.changes == ()
    assert "pciidex.sys is not in" in made.skips[0].reason
    assert len(plan(machine, target("driver-enable: pciide")).changes) == 1


def test_where_nobody_can_look_vista_and_later_count_as_complete_and_it_is_told() -> None:
    machine = driver(Machine(), "storahci", Start.DEMAND)
    made = plan(machine, target("driver-enable: storahci"), None)
    assert len(made.changes) == 1
    assert codes(made) == ["driver-files-unknown"]
    old = driver(Machine().windows(5, 2, 3790), "symmpi", Start.DISABLED)
    made = plan(old, target("driver-enable: {names: symmpi, device-class: scsi}"), None)
    assert made.changes == ()
    assert "is not known" in made.skips[0].reason


def test_a_driver_that_starts_earlier_is_not_made_later() -> None:
    machine = driver(Machine(), "storahci", Start.BOOT)
    assert plan(machine, target("driver-enable: {names: storahci, start: demand}")).changes == ()


def test_a_driver_without_an_image_path_is_found_by_its_name() -> None:
    service = Service("pciide", "k", 1, 4, "driver")
    assert driver_file(service) == "pciide.sys"
    assert driver_file(replace(service, image_path=r"D:\pciide.sys")) is None


def test_an_override_that_says_boot_keeps_nothing_from_starting() -> None:
    machine = overridden(Machine().windows(10, 0), "storahci", start=0)
    (service,) = machine.facts().boot.services
    assert starts_with_windows(machine.hive, service)
    machine.set_value(r"Services\storahci\StartOverride", "1", 3)
    assert not starts_with_windows(machine.hive, service)
    assert not starts_with_windows(machine.hive, replace(service, start=3))


# --- before Vista -------------------------------------------------------------------------------


def xp() -> Machine:
    machine = driver(Machine().windows(5, 1, 2600, Role.CLIENT), "atapi", Start.BOOT)
    return driver(machine, "intelide", Start.DISABLED)


def test_before_vista_the_device_ids_are_entered() -> None:
    machine = xp().put(CDB)
    made = plan(machine, target(*IDE))
    hdc = "{4D36E96A-E325-11CE-BFC1-08002BE10318}"
    root = rf"ControlSet001\{CDB}"
    assert set(changed(made)) == {
        r"ControlSet001\Services\intelide: Start = 0",
        *(
            line
            for device, service in (
                ("primary_ide_channel", "atapi"),
                ("*pnp0600", "atapi"),
                ("pci#ven_8086&dev_7111", "intelide"),
            )
            for line in (
                rf"+ {root}\{device}",
                rf"{root}\{device}: Service = {service}",
                rf"{root}\{device}: ClassGUID = {hdc}",
            )
        ),
    }
    carry_out(made.changes, {"SYSTEM": machine.hive})
    assert plan(machine, target(*IDE)).changes == ()


def test_vista_knows_the_device_ids_itself() -> None:
    machine = driver(Machine().windows(6, 0, 6002), "atapi", Start.DEMAND)
    assert changed(plan(machine, target(*IDE))) == [r"ControlSet001\Services\atapi: Start = 0"]


def test_an_entry_that_leads_to_another_working_driver_stays() -> None:
    machine = driver(xp(), "viaide", Start.BOOT)
    machine.put(rf"{CDB}\pci#ven_8086&dev_7111", Service="viaide", ClassGUID="{x}")
    made = plan(machine, target(IDE[1]), (*ALL_FILES, "viaide.sys"))
    assert changed(made) == [r"ControlSet001\Services\intelide: Start = 0"]
    assert "leads to viaide already" in made.skips[0].reason


@pytest.mark.parametrize("files", [ALL_FILES, (*ALL_FILES, "gone.sys")])
def test_an_entry_that_leads_to_no_working_driver_is_mended(files: tuple[str, ...]) -> None:
    machine = xp().put(rf"{CDB}\PCI#VEN_8086&DEV_7111", Service="viaide", ClassGUID="{x}")
    if "gone.sys" in files:
        driver(machine, "viaide", Start.DISABLED)
    made = plan(machine, target(IDE[1]), files)
    assert rf"ControlSet001\{CDB}\PCI#VEN_8086&DEV_7111: Service = intelide" in changed(made)


def test_an_entry_of_an_existing_driver_whose_file_is_gone_is_mended() -> None:
    machine = driver(xp(), "viaide", Start.BOOT)
    machine.put(rf"{CDB}\pci#ven_8086&dev_7111", Service="viaide", ClassGUID="{x}")
    made = plan(machine, target(IDE[1]))
    assert rf"ControlSet001\{CDB}\pci#ven_8086&dev_7111: Service = intelide" in changed(made)


# --- what the target offers ---------------------------------------------------------------------

TARGET = (
    "boot-path: {controller: SATA, drivers: storahci}",
    "boot-path: {controller: IDE, drivers: [atapi, intelide]}",
    "driver-enable: [storahci, atapi, intelide]",
)


def stopped(made: Plan) -> Hazard | None:
    return next((one for one in made.hazards if one.code == "target-cannot-boot"), None)


def test_a_target_that_fits_is_no_news_and_what_does_not_is_a_skip() -> None:
    machine = driver(Machine(), "storahci", Start.DEMAND)
    made = plan(machine, target(*TARGET))
    assert made.hazards == ()
    assert [(skip.subject, skip.reason) for skip in made.skips] == [
        ("target: IDE", "cannot carry the start disk: there is no driver atapi")
    ]


def test_another_controller_than_the_usual_one_is_told() -> None:
    machine = driver(driver(Machine(), "atapi", Start.BOOT), "intelide", Start.DEMAND)
    made = plan(machine, target(*TARGET))
    (hazard,) = made.hazards
    assert (hazard.code, hazard.severity) == ("boot-controller", "warn")
    assert "another controller than the usual one: IDE" in hazard.message
    assert "0x0000007B" in hazard.evidence[0]


def test_a_target_that_cannot_be_started_from_refuses_with_the_stop_code() -> None:
    machine = driver(Machine(), "AcmeRaid", Start.BOOT)
    made = plan(machine, target(*TARGET), (*ALL_FILES, "acmeraid.sys"))
    hazard = stopped(made)
    assert hazard is not None
    assert (hazard.severity, hazard.liftable) == ("refuse", True)
    assert "stop 0x0000007B, INACCESSIBLE_BOOT_DEVICE" in hazard.message
    assert hazard.evidence == ("SATA: there is no driver storahci", "IDE: there is no driver atapi")


def test_a_driver_that_stays_off_does_not_carry_the_disk() -> None:
    only_path = target("boot-path: {controller: SATA, drivers: storahci}")
    machine = overridden(Machine().windows(10, 0), "storahci")
    hazard = stopped(plan(machine, only_path))
    assert hazard is not None
    assert hazard.evidence == ("SATA: storahci does not start with Windows",)
    assert stopped(plan(driver(Machine(), "storahci", Start.BOOT), only_path)) is None
    hazard = stopped(plan(driver(Machine(), "storahci", Start.BOOT), only_path, ("atapi.sys",)))
    assert hazard is not None
    assert "storahci.sys is not in" in hazard.evidence[0]


def test_a_controller_counts_where_any_of_its_paths_does() -> None:
    lines = (
        "boot-path: {controller: SATA, drivers: msahci, windows: '<6.2'}",
        "boot-path: {controller: SATA, drivers: storahci, windows: '>=6.2'}",
    )
    machine = driver(Machine().windows(6, 2), "storahci", Start.BOOT)
    assert plan(machine, target(*lines)).hazards == ()
    hazard = stopped(plan(driver(Machine(), "storahci", Start.BOOT), target(*lines)))
    assert hazard is not None
    assert hazard.evidence == ("SATA: there is no driver msahci",)


def test_a_path_for_another_windows_is_neither_the_usual_one_nor_news() -> None:
    lines = (
        "boot-path: {controller: SATA, drivers: storahci, windows: '>=6.2'}",
        "boot-path: {controller: IDE, drivers: atapi}",
    )
    made = plan(driver(Machine(), "atapi", Start.BOOT), target(*lines))
    assert (made.hazards, made.skips) == ((), ())
    hazard = stopped(plan(Machine(), target(lines[0])))
    assert hazard is not None
    assert hazard.evidence == ("SATA: for Windows >=6.2; this is 6.1.7601",)


def test_a_path_for_one_architecture() -> None:
    line = "boot-path: {controller: SCSI, drivers: storvsc, architecture: x64}"
    machine = driver(Machine(), "storvsc", Start.BOOT)
    environment = r"Control\Session Manager\Environment"
    assert plan(machine, target(line)).hazards == ()
    machine.put(environment, PROCESSOR_ARCHITECTURE="AMD64")
    assert plan(machine, target(line)).hazards == ()
    machine.put(environment, PROCESSOR_ARCHITECTURE="x86")
    hazard = stopped(plan(machine, target(line)))
    assert hazard is not None
    assert hazard.evidence == ("SCSI: for x64; this is x86",)


def test_drivers_of_the_start_whose_files_are_missing_are_told() -> None:
    machine = driver(driver(Machine(), "storahci", Start.BOOT), "disk", Start.BOOT)
    made = plan(machine, target(TARGET[0]), ("storahci.sys",))
    (hazard,) = made.hazards
    assert (hazard.code, hazard.evidence) == ("boot-file-missing", ("disk: disk.sys",))
    assert plan(machine, target(TARGET[0]), ("storahci.sys", "DISK.SYS")).hazards == ()


def test_nothing_is_told_without_a_target() -> None:
    made = plan(driver(Machine(), "disk", Start.BOOT), actions("disable: x"), ())
    assert made.hazards == ()


def test_a_driver_that_a_kit_puts_on_the_disk_carries_it(tmp_path: Path) -> None:
    line = "boot-path: {controller: virtio block, drivers: viostor}"
    guest = virtio.guest()
    kit = load_kit(virtio.write(tmp_path / "kit", virtio.kit("2k19")), guest)
    machine = Machine()
    machine.hive.root.make(r"DriverDatabase\DeviceIds\PCI")
    facts = replace(machine.facts(), guest=guest, driver_files=frozenset({"DISK.SYS"}))
    hives = {"SYSTEM": machine.hive, "SOFTWARE": MemoryHive()}
    with_it = draft(facts, hives, [target(line)], wishes=Wishes(drivers=kit))
    assert "target-cannot-boot" not in {hazard.code for hazard in with_it.hazards}
    without = draft(facts, hives, [target(line)])
    assert "target-cannot-boot" in {hazard.code for hazard in without.hazards}
