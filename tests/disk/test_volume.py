"""Finding Windows, and every state that stands in the way, on fake disks."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any, Literal

import pytest

from p2vprep.core.registry import MemoryHive
from p2vprep.core.values import Data
from p2vprep.disk.volume import DISCARD_HIBERNATION, WindowsVolume, find_windows, open_for_writing
from p2vprep.errors import CannotOpenError, P2vprepError, RefusedError
from testdata.kit.disks import DiskSpec, VolumeSpec, windows_disk
from testdata.kit.hivewriter import build_hive
from tests.support.fake_appliance import FakeAppliance, Faulty, fake_disk
from tests.support.fake_stores import MemoryStore

HIVE = b"regf" + bytes(5000)
HIBERNATED = {"/hiberfil.sys": b"HIBR" + bytes(4092)}


def open_disks(folder: Path, *specs: DiskSpec, dirty: bool = False, log: str = "clean") -> FakeAppliance:
    stores = []
    for number, spec in enumerate(specs):
        content = fake_disk(spec, folder / f"{number}.img", dirty=dirty, log=log).read_bytes()
        stores.append(MemoryStore(content))
    return FakeAppliance(stores)


def small(files: dict[str, bytes], **more: Any) -> DiskSpec:
    return windows_disk("small", files, size=8, **more)


def codes(volume: WindowsVolume) -> dict[str, str]:
    return {hazard.code: hazard.severity for hazard in volume.hazards}


@pytest.mark.parametrize("table", ["mbr", "gpt", "none"])
@pytest.mark.parametrize("folder", ["Windows", "WINNT", "ReactOS", "Any Name"])
def test_finds_windows_in_whatever_folder(
    tmp_path: Path, table: Literal["mbr", "gpt", "none"], folder: str
) -> None:
    volume = find_windows(open_disks(tmp_path, small({"SYSTEM": HIVE}, table=table, folder=folder)))
    assert (volume.root, volume.config) == (f"/{folder}", f"/{folder}/System32/config")
    assert volume.table == table
    assert volume.device == ("/dev/sda" if table == "none" else "/dev/sda1")
    assert volume.hazards == ()


def test_finds_windows_in_odd_case_among_junk_on_the_second_disk(tmp_path: Path) -> None:
    data = DiskSpec(
        "data", (VolumeSpec(files={"/windows.txt": b"", "/Windows/System32/notes": b""}, size=4),)
    )
    odd = {"/winnt/SYSTEM32/Config/system": HIVE, "/winnt/SYSTEM32/Config/System.Log": b"", "/winnt/x": b""}
    volume = find_windows(
        open_disks(
            tmp_path, data, DiskSpec("odd", (VolumeSpec("none", size=1), VolumeSpec(files=odd, size=8)))
        )
    )
    assert (volume.disk, volume.device) == (1, "/dev/sdb2")
    assert volume.hives == {
        "SYSTEM": "/winnt/SYSTEM32/Config/system",
        "SYSTEM.LOG": "/winnt/SYSTEM32/Config/System.Log",
    }
    assert [place.device for place in volume.seen] == ["/dev/sda1", "/dev/sdb1", "/dev/sdb2"]


def test_all_hive_files_are_named(tmp_path: Path) -> None:
    names = ["SYSTEM", "SYSTEM.LOG1", "SYSTEM.LOG2", "SYSTEM.ALT", "SOFTWARE", "SOFTWARE.LOG", "SAM"]
    volume = find_windows(open_disks(tmp_path, small(dict.fromkeys(names, HIVE))))
    assert sorted(volume.hives) == sorted(set(names) - {"SAM"})
    assert sorted(volume.logs("SYSTEM")) == ["LOG1", "LOG2"]
    assert sorted(volume.logs("SOFTWARE")) == ["LOG"]


def test_preinstallation_environments_do_not_count(tmp_path: Path) -> None:
    pe = MemoryHive({r"ControlSet001\Control\MiniNT": {}, "Select": {"Current": Data.dword(1)}})
    real = MemoryHive({r"ControlSet001\Control\Session Manager": {}})
    files = {"SYSTEM": build_hive(real), "/RECOVERY/System32/config/SYSTEM": build_hive(pe)}
    assert find_windows(open_disks(tmp_path, small(files))).root == "/Windows"


def test_recovery_and_efi_partitions_are_not_looked_into(tmp_path: Path) -> None:
    hidden = {"/Windows/System32/config/SYSTEM": HIVE}
    roles: tuple[Literal["recovery", "esp"], ...] = ("recovery", "esp")
    spec = DiskSpec(
        "gpt",
        (*(VolumeSpec(files=hidden, size=4, role=role) for role in roles), VolumeSpec(files=hidden, size=8)),
        table="gpt",
    )
    volume = find_windows(open_disks(tmp_path, spec))
    assert volume.device == "/dev/sda3"
    assert volume.firmware == "uefi"


def test_firmware_is_unknown_without_a_sign(tmp_path: Path) -> None:
    spec = DiskSpec("plain", (VolumeSpec(files={"/W/System32/config/SYSTEM": HIVE}, size=8),))
    assert find_windows(open_disks(tmp_path, spec)).firmware == "unknown"


# --- none, several, wrong number -------------------------------------------------------------


def error_of(act: Callable[[], object]) -> P2vprepError:
    with pytest.raises(P2vprepError) as error:
        act()
    return error.value


def test_no_windows_tells_what_was_seen(tmp_path: Path) -> None:
    empty = DiskSpec("empty", (VolumeSpec(size=4), VolumeSpec("none", size=1)))
    error = error_of(lambda: find_windows(open_disks(tmp_path, empty)))
    assert isinstance(error, CannotOpenError)
    assert error.code == "no-windows"
    assert error.details == (
        "disk 1, /dev/sda1: NTFS without Windows",
        "disk 1, /dev/sda2: no file system (zeros)",
    )


def test_a_disk_without_anything_is_no_windows() -> None:
    error = error_of(lambda: find_windows(FakeAppliance([MemoryStore(bytes(1 << 20))])))
    assert error.code == "no-windows"
    assert "neither a partition table nor a file system" in error.details[0]


def test_a_missing_system_hive_is_named(tmp_path: Path) -> None:
    error = error_of(lambda: find_windows(open_disks(tmp_path, small({"SOFTWARE": HIVE}))))
    assert (error.code, error.subject) == ("system-hive-missing", "/Windows/System32/config")


def test_a_damaged_system_hive_still_counts(tmp_path: Path) -> None:
    assert find_windows(open_disks(tmp_path, small({"SYSTEM": bytes(4096)}))).root == "/Windows"


def test_several_windows_are_numbered_and_one_is_chosen(tmp_path: Path) -> None:
    two = small({"SYSTEM": HIVE, "/WINNT/System32/config/SYSTEM": HIVE})
    appliance = open_disks(tmp_path, two, small({"SYSTEM": HIVE}))
    error = error_of(lambda: find_windows(appliance))
    assert isinstance(error, RefusedError)
    assert error.code == "several-windows"
    assert error.details == (
        "--root 1: /Windows on disk 1, /dev/sda1",
        "--root 2: /WINNT on disk 1, /dev/sda1",
        "--root 3: /Windows on disk 2, /dev/sdb1",
    )
    chosen = [find_windows(appliance, root=number) for number in (1, 2, 3)]
    assert [(volume.disk, volume.root) for volume in chosen] == [
        (0, "/Windows"),
        (0, "/WINNT"),
        (1, "/Windows"),
    ]
    find_windows(appliance, root=1)
    assert appliance.stat("/WINNT/System32/config/SYSTEM") is not None, "its volume is the one left mounted"
    for number in (0, 4, -1):
        assert error_of(partial(find_windows, appliance, root=number)).code == "no-such-root"


def test_the_only_windows_may_be_chosen_by_number(tmp_path: Path) -> None:
    assert find_windows(open_disks(tmp_path, small({"SYSTEM": HIVE})), root=1).root == "/Windows"


# --- what cannot be opened -------------------------------------------------------------------


def with_type(folder: Path, type_byte: int) -> FakeAppliance:
    content = bytearray(fake_disk(small({"SYSTEM": HIVE}), folder / "disk").read_bytes())
    content[450] = type_byte
    return FakeAppliance([MemoryStore(content)])


def with_first_bytes(folder: Path, magic: bytes) -> FakeAppliance:
    content = bytearray(fake_disk(small({"SYSTEM": HIVE}), folder / "disk").read_bytes())
    content[(1 << 20) + 3 : (1 << 20) + 3 + len(magic)] = magic
    return FakeAppliance([MemoryStore(content)])


def test_bitlocker_is_refused(tmp_path: Path) -> None:
    error = error_of(lambda: find_windows(with_first_bytes(tmp_path, b"-FVE-FS-")))
    assert isinstance(error, RefusedError)
    assert (error.code, error.subject, error.liftable) == ("bitlocker", "/dev/sda1", False)
    assert "manage-bde" in (error.hint or "")


def test_refs_is_refused(tmp_path: Path) -> None:
    assert error_of(lambda: find_windows(with_first_bytes(tmp_path, b"ReFS\0\0\0\0"))).code == "refs"


def test_a_dynamic_disk_is_refused(tmp_path: Path) -> None:
    assert error_of(lambda: find_windows(with_type(tmp_path, 0x42))).code == "dynamic-disk"


def test_storage_spaces_are_refused(tmp_path: Path) -> None:
    spec = DiskSpec("spaces", (VolumeSpec("none", size=1, role="storage-spaces"),), table="gpt")
    assert error_of(lambda: find_windows(open_disks(tmp_path, spec))).code == "storage-spaces"


def test_an_encrypted_data_volume_is_no_obstacle(tmp_path: Path) -> None:
    spec = DiskSpec(
        "two", (VolumeSpec(files={"/W/System32/config/SYSTEM": HIVE}, size=8), VolumeSpec("none", size=1))
    )
    content = bytearray(fake_disk(spec, tmp_path / "disk").read_bytes())
    content[(10 << 20) + 3 : (10 << 20) + 11] = b"-FVE-FS-"
    volume = find_windows(FakeAppliance([MemoryStore(content)]))
    assert volume.root == "/W"
    assert "BitLocker" in str(volume.seen[1])


def test_a_volume_that_cannot_be_mounted_is_told(tmp_path: Path) -> None:
    content = bytearray(fake_disk(small({"SYSTEM": HIVE}), tmp_path / "disk").read_bytes())
    index = content.index(b"P2VPFAKE")
    content[index : index + 8] = bytes(8)
    error = error_of(lambda: find_windows(FakeAppliance([MemoryStore(content)])))
    assert error.code == "no-windows"
    assert "cannot be mounted" in error.details[0]


@pytest.mark.parametrize("fault", ["appliance-died", "appliance-timeout"])
def test_an_appliance_that_dies_is_not_taken_for_no_windows(tmp_path: Path, fault: str) -> None:
    disk = small({"SYSTEM": HIVE})
    counted = Faulty(open_disks(tmp_path, disk))
    find_windows(counted)
    assert len(counted.calls) > 8
    for number in range(1, len(counted.calls) + 1):
        faulty = Faulty(open_disks(tmp_path, disk), number, fault)
        assert error_of(partial(find_windows, faulty)).code == fault


# --- states ----------------------------------------------------------------------------------


def test_a_dirty_volume_is_a_warning(tmp_path: Path) -> None:
    assert codes(find_windows(open_disks(tmp_path, small({"SYSTEM": HIVE}), dirty=True))) == {
        "ntfs-dirty": "warn"
    }


def test_an_unclean_log_is_a_warning(tmp_path: Path) -> None:
    found = find_windows(open_disks(tmp_path, small({"SYSTEM": HIVE}), log="unclean"))
    assert codes(found) == {"ntfs-unclean": "warn"}


@pytest.mark.parametrize(("files", "log"), [(HIBERNATED, "clean"), ({}, "cached"), (HIBERNATED, "cached")])
def test_a_saved_session_is_refused_and_kept(tmp_path: Path, files: dict[str, bytes], log: str) -> None:
    appliance = open_disks(tmp_path, small({"SYSTEM": HIVE, **files}), log=log)
    volume = find_windows(appliance, allow=frozenset({"hibernated"}))
    assert codes(volume) == {"hibernated": "refuse"}
    assert not volume.hazards[0].liftable
    assert DISCARD_HIBERNATION in volume.hazards[0].cure
    assert not volume.discard_hibernation
    error = error_of(lambda: open_for_writing(appliance, volume))
    assert isinstance(error, RefusedError)
    assert error.code == "guest-read-only"
    assert (appliance.stat("/hiberfil.sys") is not None) == bool(files)


@pytest.mark.parametrize(("files", "log"), [(HIBERNATED, "clean"), ({}, "cached")])
def test_a_saved_session_is_thrown_away_where_allowed(
    tmp_path: Path, files: dict[str, bytes], log: str
) -> None:
    appliance = open_disks(tmp_path, small({"SYSTEM": HIVE, **files}), log=log)
    volume = find_windows(appliance, allow=frozenset({DISCARD_HIBERNATION}))
    assert codes(volume) == {"hibernated": "warn"}
    assert appliance.stat("/hiberfil.sys") is not None or not files, "finding alone throws nothing away"
    open_for_writing(appliance, volume)
    assert appliance.writable()
    assert appliance.stat("/hiberfil.sys") is None


def test_a_session_on_fat_is_thrown_away_too(tmp_path: Path) -> None:
    files = {"/W/System32/config/SYSTEM": HIVE, **HIBERNATED}
    appliance = open_disks(tmp_path, DiskSpec("fat", (VolumeSpec("fat32", files, size=8),)))
    assert codes(find_windows(appliance)) == {"hibernated": "refuse"}
    open_for_writing(appliance, find_windows(appliance, allow=frozenset({DISCARD_HIBERNATION})))
    assert appliance.stat("/hiberfil.sys") is None


def test_an_old_hiberfil_is_no_hazard(tmp_path: Path) -> None:
    files = {"SYSTEM": HIVE, "/hiberfil.sys": bytes(4096)}
    volume = find_windows(open_disks(tmp_path, small(files)), allow=frozenset({DISCARD_HIBERNATION}))
    assert volume.hazards == ()
    assert not volume.discard_hibernation


def test_a_full_volume_is_refused(tmp_path: Path) -> None:
    volume = find_windows(open_disks(tmp_path, small({"SYSTEM": HIVE, "/fill": bytes(6 << 20)})))
    assert codes(volume) == {"guest-volume-full": "refuse"}


def test_an_encrypted_hive_is_refused_and_a_compressed_one_is_not(tmp_path: Path) -> None:
    appliance = open_disks(tmp_path, small({"SYSTEM": HIVE, "SOFTWARE": HIVE}))
    appliance.mount("/dev/sda1", "ntfs", writable=True)
    appliance.set_attributes("/Windows/System32/config/SYSTEM", 0x4020)
    appliance.set_attributes("/Windows/System32/config/SOFTWARE", 0x0820)
    volume = find_windows(appliance)
    assert codes(volume) == {"hive-encrypted": "refuse"}
    assert volume.hazards[0].evidence == ("/Windows/System32/config/SYSTEM",)


def test_a_volume_whose_state_cannot_be_read_is_a_warning(tmp_path: Path) -> None:
    content = bytearray(fake_disk(small({"SYSTEM": HIVE}), tmp_path / "disk").read_bytes())
    record = content.index(b"FILE", (1 << 20) + 4 * 4096 + 3000)
    content[record : record + 4] = b"BAAD"
    assert codes(find_windows(FakeAppliance([MemoryStore(content)]))) == {"ntfs-damaged": "warn"}


# --- mounting for writing at once


def test_the_only_clean_volume_is_mounted_for_writing_at_once(tmp_path: Path) -> None:
    appliance = open_disks(tmp_path, small({"SYSTEM": HIVE}))
    volume = find_windows(appliance, writable=True)
    assert volume.writable
    assert appliance.writable()
    open_for_writing(appliance, volume)
    appliance.create("/written", b"yes")


@pytest.mark.parametrize("state", [{"dirty": True}, {"log": "unclean"}])
def test_what_was_not_closed_properly_is_looked_at_read_only(tmp_path: Path, state: dict[str, Any]) -> None:
    appliance = open_disks(tmp_path, small({"SYSTEM": HIVE}), **state)
    volume = find_windows(appliance, writable=True)
    assert not volume.writable
    assert not appliance.writable()
    open_for_writing(appliance, volume)
    assert appliance.writable()


def test_where_several_volumes_may_hold_windows_none_is_mounted_for_writing(tmp_path: Path) -> None:
    appliance = open_disks(tmp_path, small({"SYSTEM": HIVE}), small({"SYSTEM": HIVE}))
    volume = find_windows(appliance, root=1, writable=True)
    assert not volume.writable
    assert not appliance.writable()


def test_a_session_allowed_to_go_is_thrown_away_though_the_volume_is_mounted(tmp_path: Path) -> None:
    appliance = open_disks(tmp_path, small({"SYSTEM": HIVE} | HIBERNATED))
    allow = frozenset({DISCARD_HIBERNATION})
    volume = find_windows(appliance, allow=allow, writable=True)
    open_for_writing(appliance, volume)
    assert appliance.writable()
    assert appliance.stat("/hiberfil.sys") is None


def test_a_hive_that_was_foreseen_is_not_read_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    appliance = open_disks(tmp_path, small({"SYSTEM": HIVE}))
    path = "/Windows/System32/config/SYSTEM"
    read = appliance.read

    def reading(name: str, offset: int, length: int) -> bytes:
        assert name != path
        return read(name, offset, length)

    monkeypatch.setattr(appliance, "read", reading)
    assert find_windows(appliance, foreseen={path: HIVE}).root == "/Windows"
