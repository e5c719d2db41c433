"""A target on the whole way: what is on the disk decides, and what cannot start there is told before."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

from p2vprep.core.facts import gather
from p2vprep.core.registry import find
from p2vprep.engine.boot_facts import known_drivers
from p2vprep.engine.options import Options
from p2vprep.engine.planning import choose_profiles
from p2vprep.profile_store import ProfileStore
from tests.support.flow import Shelf, done, failed, read_system, sample, sample_machine, with_files

DRIVERS = "/Windows/System32/drivers"
ALL = ("atapi", "intelide", "pciidex", "storahci", "vmbus", "storvsc", "disk")
OVERRIDES = {
    rf"ControlSet001\Services\{name}\StartOverride" for name in ("atapi", "intelide", "vmbus", "storvsc")
}


def prepared(shelf: Shelf, folder: Path, *names: str) -> Path:
    """The sample machine with driver files; they hold nothing."""
    files = {f"{DRIVERS}/{name}.sys": b"MZ" for name in names}
    return shelf.disk(folder, spec=with_files(sample(), files), name="-".join(names) or "disk")


def deleted(document: dict[str, Any]) -> set[str]:
    return {
        change["key"]
        for change in document["changes"]
        if change["kind"] == "key" and change["after"] is None and change["key"].endswith("StartOverride")
    }


def codes(document: dict[str, Any]) -> dict[str, str]:
    return {hazard["code"]: hazard["severity"] for hazard in document["hazards"]}


def test_the_start_drivers_of_the_target_are_freed_and_a_second_run_has_nothing_to_do(
    shelf: Shelf, tmp_path: Path, fake: None
) -> None:
    disk = prepared(shelf, tmp_path, *ALL)
    planned = done("plan", disk, "--target", "hyper-v-gen1")
    assert deleted(planned) == OVERRIDES
    assert not codes(planned).keys() & {"target-cannot-boot", "driver-files-unknown", "boot-controller"}
    assert "disks" in {change.get("rule") for change in planned["changes"]}
    done("apply", disk, "--target", "hyper-v-gen1", "--yes")
    hive = read_system(disk)
    assert all(find(hive, key) is None for key in OVERRIDES)
    assert find(hive, r"ControlSet001\Services\storahci\StartOverride") is not None
    assert done("plan", disk, "--target", "hyper-v-gen1")["changes"] == []


def test_a_target_whose_driver_is_not_on_the_disk_refuses_before_anything_is_done(
    shelf: Shelf, tmp_path: Path, fake: None
) -> None:
    disk = prepared(shelf, tmp_path, "disk", "vmbus", "storvsc", "atapi")
    planned = done("plan", disk, "--target", "hyper-v-gen1")
    assert codes(planned)["target-cannot-boot"] == "refuse"
    assert r"ControlSet001\Services\intelide\StartOverride" not in deleted(planned)
    error = failed(5, "target-cannot-boot", "apply", disk, "--target", "hyper-v-gen1", "--yes")
    assert "0x0000007B" in error["message"]
    done("apply", disk, "--target", "hyper-v-gen1", "--yes", "--allow", "target-cannot-boot")


def test_where_no_driver_lies_at_all_it_is_told(disk: Path) -> None:
    planned = done("plan", disk, "--target", "kvm")
    assert codes(planned)["driver-files-unknown"] == "warn"
    assert r"ControlSet001\Services\storahci\StartOverride" in deleted(planned)


def test_the_firmware_of_the_disk_decides_about_the_generation(disk: Path) -> None:
    error = failed(5, "firmware-mismatch", "apply", disk, "--target", "hyper-v-gen2", "--yes")
    assert "UEFI" in error["message"]
    assert "firmware-mismatch" not in codes(done("plan", disk, "--target", "hyper-v-gen1"))


def test_without_a_target_nobody_looks_at_drivers(disk: Path) -> None:
    planned = done("plan", disk)
    assert deleted(planned) == set()
    assert not codes(planned).keys() & {"driver-files-unknown", "boot-file-missing"}


def test_auto_takes_no_guest_tools_of_the_target_for_left_overs() -> None:
    facts = gather(sample_machine().system(), None, system_root="/Windows")
    guest, store = replace(facts, bios={"SystemProductName": "Virtual Machine"}), ProfileStore()
    for targets, used in ((), True), (("kvm",), True), (("hyper-v-gen2",), False):
        chosen = choose_profiles(guest, Options(targets=targets, stages=()), store)
        assert ("hyperv-guest" in {profile.name for profile in chosen.profiles}) is used
        assert [skip.subject for skip in chosen.skips] == ([] if used else ["hyperv-guest"])
    named = choose_profiles(guest, Options(sources=("dell-poweredge",), targets=("hyper-v-gen2",)), store)
    assert named.skips == ()


def test_a_folder_without_drivers_tells_nothing() -> None:
    assert known_drivers(()) is None
    assert known_drivers(("etc", "readme.txt")) is None
    assert known_drivers(("etc", "Disk.sys")) == frozenset({"ETC", "DISK.SYS"})
