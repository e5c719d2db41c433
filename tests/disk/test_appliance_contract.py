"""What every appliance keeps, the fake one and the real one: the same tests for both, one launch each."""

from __future__ import annotations

import hashlib
import os
import subprocess
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import pytest

from p2vprep.core.volumes import ntfs_state
from p2vprep.disk import accel
from p2vprep.disk.appliance import Appliance, Stat, launch
from p2vprep.disk.guestfiles import GuestFiles, state_of
from p2vprep.disk.partitions import read_layout
from p2vprep.disk.volume import find_windows, open_for_writing
from p2vprep.errors import CannotOpenError, FailedError, P2vprepError, RefusedError
from testdata.kit.disks import DiskSpec, VolumeSpec, copy_disk, windows_disk
from tests.support.corpus import corpus_root, unpack_disk
from tests.support.fake_appliance import fake_disk, fake_launch
from tests.support.ntfs_image import mark_cached, mark_dirty

HIVE = b"regf" + bytes(range(256)) * 14_000
SPECS = (
    windows_disk("contract", {"SYSTEM": HIVE, "system.log1": b"log", "SOFTWARE": b"regf"}, junk=True),
    windows_disk("contract-fat", {"SYSTEM": b"regf fat"}, fs="fat32", table="gpt", folder="WINNT"),
    DiskSpec(
        "contract-hibernated",
        (
            VolumeSpec(
                files={"/hiberfil.sys": b"HIBR" + bytes(65532), "/WINNT/System32/config/SYSTEM": b"regf"},
                size=10,
            ),
        ),
    ),
)
CACHED_SPEC = DiskSpec("contract-cached", (VolumeSpec(size=4),))
NTFS, FAT, HIBERNATED, CACHED = "/dev/sda2", "/dev/sdb1", "/dev/sdc1", "/dev/sdd1"
SYSTEM = "/Windows/System32/config/SYSTEM"


def overlays(disks: Sequence[Path], folder: Path) -> list[Path]:
    made = []
    for number, disk in enumerate(disks):
        target = folder / f"{number}.qcow2"
        subprocess.run(
            ["qemu-img", "create", "-q", "-f", "qcow2", "-b", str(disk), "-F", "raw", str(target)], check=True
        )
        made.append(target)
    return made


@pytest.fixture(scope="module", params=["fake", pytest.param("real", marks=pytest.mark.appliance)])
def appliance(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Appliance]:
    folder = tmp_path_factory.mktemp("contract")
    if request.param == "fake":
        disks = [
            *(fake_disk(spec, folder / f"{spec.name}.img") for spec in SPECS),
            fake_disk(CACHED_SPEC, folder / "cached.img", log="cached"),
        ]
        with fake_launch(overlays(disks, folder), read_only=False, accelerator=accel.TCG) as fake:
            yield fake
        return
    build: Callable[[Sequence[DiskSpec]], dict[str, Path]] = request.getfixturevalue("built")
    disks = [copy_disk(path, folder) for path in build(SPECS).values()]
    mark_dirty(disks[2], 1 << 20)
    if corpus_root() is not None:
        cached = unpack_disk("vhd-fixed-win10-ntfs.vhd", folder)
        mark_cached(cached)
        disks.append(cached)
    with launch(overlays(disks, folder), read_only=False, accelerator=accel.choose()) as real:
        yield real


def mounted(appliance: Appliance, device: str = NTFS) -> Appliance:
    appliance.mount(device, "fat" if device == FAT else "ntfs", writable=True)
    return appliance


def test_devices_are_named_in_order(appliance: Appliance) -> None:
    assert appliance.devices[:3] == ("/dev/sda", "/dev/sdb", "/dev/sdc")


def test_a_device_is_read_anywhere_and_ends_where_it_ends(appliance: Appliance) -> None:
    assert appliance.read_device("/dev/sda", 510, 2) == b"\x55\xaa"
    assert appliance.read_device(NTFS, 3, 8) == b"NTFS    "
    assert appliance.read_device(NTFS, 0, 0) == b""
    size = 64 << 20
    assert len(appliance.read_device(NTFS, size - 100, 4096)) == 100


def test_a_device_that_is_not_there_is_an_error(appliance: Appliance) -> None:
    with pytest.raises(P2vprepError) as error:
        appliance.read_device("/dev/sda9", 0, 512)
    assert error.value.code == "appliance-call"


def test_mounting_what_is_no_such_file_system_is_an_error(appliance: Appliance) -> None:
    with pytest.raises(P2vprepError) as error:
        appliance.mount(FAT, "ntfs")
    assert error.value.code == "appliance-call"


def test_mounts_read_only_unless_asked(appliance: Appliance) -> None:
    appliance.mount(NTFS, "ntfs")
    assert not appliance.writable()
    with pytest.raises(P2vprepError):
        appliance.create("/no", b"")
    appliance.mount(NTFS, "ntfs", writable=True)
    assert appliance.writable()


def test_stat_tells_files_folders_and_nothing(appliance: Appliance) -> None:
    mounted(appliance)
    assert appliance.stat(SYSTEM) == Stat("file", len(HIVE))
    held = appliance.stat("/Windows")
    assert held is not None
    assert held.kind == "folder"
    assert appliance.stat("/Windows/none") is None
    assert appliance.stat("/none/none") is None


def test_many_names_are_told_in_one_call(appliance: Appliance) -> None:
    mounted(appliance)
    file, none, log = appliance.stats("/Windows/System32/config", ["SYSTEM", "none", "system.log1"])
    assert (file, none) == (Stat("file", len(HIVE)), None)
    assert log is not None
    (folder,) = appliance.stats("/Windows", ["System32"])
    assert folder == Stat("folder", folder.size if folder else 0)
    assert appliance.stats("/Windows", []) == ()


def test_resolve_finds_the_spelling(appliance: Appliance) -> None:
    mounted(appliance)
    assert appliance.resolve("/wINDOWS/system32/CONFIG/system") == SYSTEM
    assert appliance.resolve(SYSTEM) == SYSTEM
    assert appliance.resolve("/windows/none") is None
    assert appliance.resolve("/none/none") is None
    assert appliance.resolve(f"{SYSTEM}/below-a-file") is None


def test_lists_a_folder(appliance: Appliance) -> None:
    mounted(appliance)
    assert sorted(appliance.list("/Windows/System32/config")) == ["SOFTWARE", "SYSTEM", "system.log1"]
    assert appliance.list("/Users/Public") == ()
    with pytest.raises(P2vprepError):
        appliance.list("/none")


def test_reads_pieces_and_the_whole(appliance: Appliance) -> None:
    mounted(appliance)
    assert appliance.read(SYSTEM, 0, len(HIVE)) == HIVE
    assert appliance.read(SYSTEM, 1000, 10) == HIVE[1000:1010]
    assert appliance.read(SYSTEM, len(HIVE) - 5, 100) == HIVE[-5:]
    assert appliance.read(SYSTEM, len(HIVE) + 5, 100) == b""
    with pytest.raises(P2vprepError):
        appliance.read("/none", 0, 1)


@pytest.mark.parametrize("device", [NTFS, FAT])
def test_writes_creates_and_removes(appliance: Appliance, device: str) -> None:
    mounted(appliance, device)
    large = os.urandom(13 << 18)
    appliance.mkdir("/made")
    appliance.create("/made/large", large)
    appliance.write("/made/large", 100, b"patched")
    appliance.write("/made/large", len(large) + 3, b"grown")
    expected = large[:100] + b"patched" + large[107:] + bytes(3) + b"grown"
    appliance.sync()
    appliance.reopen()
    assert not appliance.writable()
    assert appliance.read("/made/large", 0, len(expected) + 1) == expected
    mounted(appliance, device)
    appliance.create("/made/large", b"shorter")
    appliance.create("/made/empty", b"")
    assert appliance.read("/made/large", 0, 100) == b"shorter"
    assert appliance.stat("/made/empty") == Stat("file", 0)
    with pytest.raises(P2vprepError):
        appliance.remove("/made")
    appliance.remove("/made/large")
    appliance.remove("/made/empty")
    appliance.remove("/made")
    assert appliance.stat("/made") is None


def test_what_was_written_is_there_after_mounting_again(appliance: Appliance) -> None:
    mounted(appliance).create("/kept", b"kept")
    appliance.mount(NTFS, "ntfs")
    assert appliance.read("/kept", 0, 10) == b"kept"


@pytest.mark.parametrize(
    "call",
    [
        lambda it: it.mkdir("/Windows"),
        lambda it: it.mkdir("/none/none"),
        lambda it: it.remove("/none"),
        lambda it: it.write("/none", 0, b"x"),
        lambda it: it.create("/none/none", b"x"),
        lambda it: it.read("/none", 0, 1),
    ],
)  # fmt: skip
def test_what_cannot_be_done_is_an_error_and_ends_nothing(
    appliance: Appliance, call: Callable[[Appliance], object]
) -> None:
    mounted(appliance)
    with pytest.raises(P2vprepError) as error:
        call(appliance)
    assert error.value.code == "appliance-call"
    assert appliance.stat("/Windows") is not None


def test_errors_after_a_write_are_failures(appliance: Appliance) -> None:
    mounted(appliance).create("/wrote", b"")
    assert appliance.wrote
    with pytest.raises(FailedError):
        appliance.read("/none", 0, 1)


def test_free_space_shrinks_by_what_is_written(appliance: Appliance) -> None:
    mounted(appliance)
    before = appliance.free_space()
    appliance.create("/space", bytes(2 << 20))
    appliance.sync()
    assert before - (6 << 20) < appliance.free_space() <= before - (2 << 20)
    appliance.remove("/space")


def test_a_hibernated_volume_does_not_take_writes_until_its_session_is_thrown_away(
    appliance: Appliance,
) -> None:
    appliance.mount(HIBERNATED, "ntfs", writable=True)
    assert not appliance.writable()
    assert appliance.stat("/hiberfil.sys") is not None
    appliance.mount(HIBERNATED, "ntfs", discard_hibernation=True)
    assert appliance.stat("/hiberfil.sys") is not None, "not without writable"
    appliance.mount(HIBERNATED, "ntfs", writable=True, discard_hibernation=True)
    assert appliance.writable()
    assert appliance.stat("/hiberfil.sys") is None


def test_a_volume_left_by_fast_startup_does_not_take_writes_either(appliance: Appliance) -> None:
    if len(appliance.devices) < 4:
        pytest.skip("the corpus of real disks is not here (P2VPREP_CORPUS)")
    disk = appliance.devices[3]
    (partition,) = read_layout(
        lambda offset, length: appliance.read_device(disk, offset, length), 3, disk
    ).partitions
    state = ntfs_state(lambda offset, length: appliance.read_device(CACHED, offset, length))
    assert (partition.device, state.log) == (CACHED, "cached")
    appliance.mount(CACHED, "ntfs", writable=True)
    assert not appliance.writable()
    appliance.mount(CACHED, "ntfs", writable=True, discard_hibernation=True)
    assert appliance.writable()
    appliance.create("/now", b"it does")
    appliance.mount(CACHED, "ntfs", writable=True)
    assert appliance.writable()


def test_a_full_volume_is_an_error(appliance: Appliance) -> None:
    mounted(appliance, HIBERNATED)
    appliance.mount(HIBERNATED, "ntfs", writable=True, discard_hibernation=True)
    with pytest.raises(P2vprepError) as error:
        appliance.create("/too-large", bytes(13 << 20))
    assert "No space left" in error.value.message
    appliance.remove("/too-large")


# --- what is built on it, on both ------------------------------------------------------------


def test_first_boot_files_cannot_be_changed_by_users(appliance: Appliance) -> None:
    files = GuestFiles(mounted(appliance), "ntfs")
    assert files.ensure_folder("/p2vprep", locked=True) == "/p2vprep"
    assert files.put("/P2VPREP/steps/01.cmd", b"@echo off\r\n", locked=True) == "/p2vprep/steps/01.cmd"
    files.settle()
    for path in ("/p2vprep", "/p2vprep/steps", "/p2vprep/steps/01.cmd"):
        held = files.security(path)
        assert held.others == ()
        assert held.descriptor is not None
        assert held.descriptor.owner == "S-1-5-32-544"
        granted = {entry.sid for entry in held.descriptor.entries or () if entry.allows and entry.mask & 2}
        assert granted == {"S-1-5-32-544", "S-1-5-18"}
        files.require_locked(path)
    assert files.ensure_folder("/p2vprep", locked=True) == "/p2vprep"


def test_a_tree_of_files_is_put_at_once_and_proved(appliance: Appliance) -> None:
    files = GuestFiles(appliance, "ntfs")
    tree = {"engine.cmd": b"@echo off\r\n", "steps/100 a.cmd": b"rem", "data/deep/names.txt": b""}
    for content in (b"first", b"second, and longer"):
        appliance.mount(NTFS, "ntfs", writable=True)
        spelt = files.put_tree("/tree", tree | {"again.txt": content})
        files.settle()
        files.verify_tree("/tree", tree | {"again.txt": content})
        assert files.read("/tree/again.txt") == content
    assert spelt == "/tree"
    assert appliance.digests("/tree") == {
        name: hashlib.sha256(content).hexdigest() for name, content in (tree | {"again.txt": content}).items()
    }
    for path in ("/tree", "/tree/steps", "/tree/data/deep", "/tree/steps/100 a.cmd", "/tree/again.txt"):
        assert files.security(path).others == ()
    assert files.states(["/tree/again.txt", "/nowhere/a", "/nowhere/b"]) == {
        "/tree/again.txt": state_of(content),
        "/nowhere/a": None,
        "/nowhere/b": None,
    }


def test_a_tree_that_is_not_what_was_put_is_told(appliance: Appliance) -> None:
    appliance.mount(NTFS, "ntfs", writable=True)
    files = GuestFiles(appliance, "ntfs")
    files.put_tree("/told", {"a/one.cmd": b"1", "a/two.cmd": b"2"})
    with pytest.raises(FailedError, match=r"is missing or differs"):
        files.verify_tree("/told", {"a/one.cmd": b"1", "a/two.cmd": b"changed"})
    with pytest.raises(FailedError, match=r"is missing or differs"):
        files.verify_tree("/told", {"a/three.cmd": b"3"})
    appliance.chmod("/told/a/two.cmd", 0o777)
    with pytest.raises(RefusedError) as refused:
        files.verify_tree("/told", {"a/one.cmd": b"1", "a/two.cmd": b"2"})
    assert (refused.value.code, refused.value.subject) == ("guest-folder-open", "/told/a/two.cmd")


def test_an_open_folder_that_somebody_prepared_is_refused(appliance: Appliance) -> None:
    files = GuestFiles(mounted(appliance), "ntfs")
    appliance.mkdir("/prepared")
    appliance.chmod("/prepared", 0o777)
    assert files.security("/prepared").others
    with pytest.raises(RefusedError) as error:
        files.ensure_folder("/prepared", locked=True)
    assert error.value.code == "guest-folder-open"
    assert files.ensure_folder("/prepared", locked=False) == "/prepared"


def test_fat_has_nothing_to_lock(appliance: Appliance) -> None:
    files = GuestFiles(mounted(appliance, FAT), "fat")
    assert files.put("/p2vprep/01.cmd", b"x", locked=True) == "/p2vprep/01.cmd"
    assert files.security("/p2vprep").descriptor is None
    files.require_locked("/p2vprep")
    assert not files.replaceable("/p2vprep/01.cmd")


def test_attributes_of_a_plain_file(appliance: Appliance) -> None:
    assert GuestFiles(mounted(appliance), "ntfs").attributes(SYSTEM) & 0x4C00 == 0


def test_a_patched_hive_is_proved(appliance: Appliance) -> None:
    files = GuestFiles(mounted(appliance), "ntfs")
    grown = bytearray(HIVE) + bytes(8192)
    grown[4096:8192] = b"\xaa" * 4096
    files.patch("/windows/system32/config/system", [(4096, b"\xaa" * 4096), (len(HIVE), bytes(8192))])
    files.settle()
    files.verify(SYSTEM, state_of(bytes(grown)))
    with pytest.raises(FailedError) as error:
        files.verify(SYSTEM, state_of(HIVE))
    assert error.value.code == "verify-failed"
    assert files.read(SYSTEM) == bytes(grown)


def test_finds_every_windows_and_asks_which(appliance: Appliance) -> None:
    with pytest.raises(RefusedError) as error:
        find_windows(appliance)
    assert error.value.code == "several-windows"
    assert [line.split(":")[0] for line in error.value.details] == ["--root 1", "--root 2", "--root 3"]
    with pytest.raises(CannotOpenError):
        find_windows(appliance, root=4)


def test_opens_the_chosen_windows(appliance: Appliance) -> None:
    volume = find_windows(appliance, root=1)
    assert (volume.disk, volume.device, volume.root, volume.table) == (0, NTFS, "/Windows", "mbr")
    assert volume.hives["SYSTEM"] == SYSTEM
    assert volume.logs("SYSTEM") == {"LOG1": "/Windows/System32/config/system.log1"}
    assert volume.firmware == "bios"
    assert [hazard.code for hazard in volume.hazards] == []
    assert not appliance.writable()
    open_for_writing(appliance, volume)
    assert appliance.writable()
    third = find_windows(appliance, root=3)
    assert third.device == HIBERNATED
    fat = find_windows(appliance, root=2)
    assert (fat.disk, fat.device, fat.root, fat.table, fat.kind) == (1, FAT, "/WINNT", "gpt", "fat")


def test_close_can_be_called_twice_and_ends_all_calls(appliance: Appliance) -> None:
    appliance.close()
    appliance.close()
    with pytest.raises(P2vprepError):
        appliance.stat("/")
