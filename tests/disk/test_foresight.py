"""Reading ahead: files out of real NTFS volumes by their bytes, and the work done with them."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

from p2vprep.core.ntfs_folders import ROOT, NtfsFolders
from p2vprep.core.volumes import NtfsShape
from p2vprep.disk.foresight import foresee
from p2vprep.disk.image import probe
from testdata.kit.disks import DiskSpec, windows_disk
from tests.support.fake_appliance import fake_disk

SMALL, LARGE = b"resident", bytes(range(256)) * 2000 + b"tail"
_DATA = b"\x80\x00\x00\x00"


@pytest.fixture(scope="module")
def volume(tmp_path_factory: pytest.TempPathFactory) -> bytearray:
    """An NTFS volume made by mkntfs, with three files at its top."""
    if shutil.which("mkntfs") is None or shutil.which("ntfscp") is None:
        pytest.skip("mkntfs and ntfscp (ntfs-3g) are not installed")
    folder = tmp_path_factory.mktemp("ntfs")
    image = folder / "volume.img"
    image.write_bytes(bytes(8 << 20))
    subprocess.run(["mkntfs", "-F", "-Q", "-q", str(image)], check=True, capture_output=True)
    for name, content in (("small.txt", SMALL), ("large.bin", LARGE), ("empty", b"")):
        (folder / name).write_bytes(content)
        subprocess.run(
            ["ntfscp", "-q", str(image), str(folder / name), name], check=True, capture_output=True
        )
    return bytearray(image.read_bytes())


def reader(volume: bytearray) -> NtfsFolders:
    return NtfsFolders(lambda offset, length: bytes(volume[offset : offset + length]))


def record_of(volume: bytearray, name: str) -> int:
    found = reader(volume).lookup(ROOT, name)
    assert found is not None
    return found.record


@pytest.mark.parametrize(("name", "content"), [("small.txt", SMALL), ("large.bin", LARGE), ("empty", b"")])
def test_reads_a_file_whole(volume: bytearray, name: str, content: bytes) -> None:
    assert reader(volume).content(record_of(volume, name), 1 << 20) == content


def test_a_longer_file_than_allowed_is_not_read(volume: bytearray) -> None:
    with pytest.raises(ValueError, match="too long"):
        reader(volume).content(record_of(volume, "large.bin"), len(LARGE) - 1)
    assert reader(volume).content(record_of(volume, "large.bin"), len(LARGE)) == LARGE


@pytest.mark.parametrize("flag", [0x0001, 0x4000, 0x8000])
def test_compressed_encrypted_and_sparse_files_are_left_to_the_appliance(
    volume: bytearray, flag: int
) -> None:
    odd, number = bytearray(volume), record_of(volume, "large.bin")
    shape = NtfsShape.of(bytes(odd[:512]))
    start = shape.table + number * shape.record_size
    place = odd.index(_DATA, start + 56, start + shape.record_size)
    odd[place + 12 : place + 14] = flag.to_bytes(2, "little")
    with pytest.raises(ValueError, match="without plain data"):
        reader(odd).content(number, 1 << 20)


def test_what_was_never_written_reads_as_zeros(volume: bytearray) -> None:
    cut, number = bytearray(volume), record_of(volume, "large.bin")
    shape = NtfsShape.of(bytes(cut[:512]))
    start = shape.table + number * shape.record_size
    place = cut.index(_DATA, start + 56, start + shape.record_size)
    cut[place + 56 : place + 64] = (4096).to_bytes(8, "little")
    assert reader(cut).content(number, 1 << 20) == LARGE[:4096] + bytes(len(LARGE) - 4096)


def test_a_folder_has_no_content(volume: bytearray) -> None:
    with pytest.raises(ValueError, match="without plain data"):
        reader(volume).content(ROOT, 1 << 20)


@pytest.mark.appliance
@pytest.mark.parametrize("container", ["vpc", "vhdx", "qcow2"])
def test_foresees_what_lies_on_a_real_disk(
    container: str, built: Callable[[Sequence[DiskSpec]], dict[str, Path]]
) -> None:
    files = {"SYSTEM": LARGE, "SYSTEM.LOG1": SMALL, "SOFTWARE": LARGE[::-1]}
    names = ("disk.sys", "a driver with a long name.sys")
    drivers = {f"/Windows/System32/drivers/{name}": b"MZ" for name in names}
    tree = {**files, **drivers}
    spec = windows_disk(f"foresight-{container}", tree, container=container, junk=True)  # type: ignore[arg-type]
    found = foresee([probe(built([spec])[spec.name])])
    assert (found.device, found.root) == ("/dev/sda2", "/Windows")
    assert sorted(found.drivers) == sorted(names)
    assert found.of("/dev/sda2") == {
        f"/Windows/System32/config/{name}": content for name, content in files.items()
    }
    assert found.of("/dev/sda1") == {}
    assert found.hive("SYSTEM.LOG1") == ("/Windows/System32/config/SYSTEM.LOG1", SMALL)
    assert found.hive("SYSTEM.LOG2") is None


def test_foresees_nothing_where_only_mounting_can_tell(tmp_path: Path) -> None:
    disk = fake_disk(windows_disk("plain", {"SYSTEM": b"regf"}), tmp_path / "disk.img")
    found = foresee([probe(disk)])
    assert found.files == {}
    assert found.drivers == ()
    assert len(found.surveys) == 1
