"""The survey of disks by their bytes: without an appliance, and with as few reads as possible."""

from __future__ import annotations

import io
from pathlib import Path

from p2vprep.core.volumes import NtfsState
from p2vprep.disk.survey import survey
from p2vprep.disk.volume import find_windows
from testdata.kit.disks import DiskSpec, VolumeSpec, windows_disk
from testdata.kit.tables import Slot, write_mbr
from tests.support.fake_appliance import FakeAppliance, Faulty, fake_disk
from tests.support.fake_stores import MemoryStore
from tests.support.ntfs_tree import ntfs_tree


class Counting:
    """A disk that counts how often it is read."""

    def __init__(self, content: bytes) -> None:
        self.content = content
        self.reads: list[tuple[int, int]] = []

    def __call__(self, offset: int, length: int) -> bytes:
        self.reads.append((offset, length))
        return self.content[offset : offset + length]


def disk_of(*volumes: bytes) -> bytes:
    """An MBR disk with whole volumes, a MiB apart."""
    file = io.BytesIO()
    place, slots = 2048, []
    for volume in volumes:
        sectors = -(-len(volume) // 512)
        slots.append(Slot(place, sectors, 7))
        file.seek(place * 512)
        file.write(volume.ljust(sectors * 512, b"\0"))
        place += -(-sectors // 2048) * 2048
    write_mbr(file, slots)
    return file.getvalue()


def test_tells_likely_folders_without_mounting() -> None:
    windows = ntfs_tree(["/Windows/System32/config/SYSTEM", "/Users/x", "/Old/System32/config/"])
    data = ntfs_tree(["/Data/System32/x", "/System Volume Information/System32/config/", "/Windows"])
    disk = Counting(disk_of(windows, data))
    (looked,) = survey([disk])
    assert [look.likely for look in looked.looks] == [("Old", "Windows"), ()]
    assert [look.kind for look in looked.looks] == ["ntfs", "ntfs"]
    assert len(disk.reads) <= 6


def test_leaves_open_what_it_does_not_understand() -> None:
    damaged = bytearray(ntfs_tree(["/Windows/System32/config/SYSTEM"]))
    damaged[4 * 4096 : 4 * 4096 + 4] = b"BAAD"
    ((look,),) = (looked.looks for looked in survey([Counting(disk_of(bytes(damaged)))]))
    assert look.likely is None
    assert look.state is None


def test_tells_the_state(tmp_path: Path) -> None:
    spec = windows_disk("state", {"SYSTEM": b"regf"}, size=8)
    content = fake_disk(spec, tmp_path / "disk", dirty=True, log="unclean").read_bytes()
    ((look,),) = (looked.looks for looked in survey([Counting(content)]))
    assert look.state == NtfsState(dirty=True, log="unclean")


def test_names_disks_in_order(tmp_path: Path) -> None:
    empty = Counting(bytes(1 << 20))
    spec = DiskSpec("gpt", (VolumeSpec("none", size=1, role="msr"), VolumeSpec("fat32", size=4)), table="gpt")
    content = fake_disk(spec, tmp_path / "disk").read_bytes()
    first, second = survey([empty, Counting(content)])
    assert first.layout.problem
    assert [(look.partition.device, look.kind) for look in second.looks] == [
        ("/dev/sdb1", "none"),
        ("/dev/sdb2", "fat"),
    ]


def test_what_was_surveyed_is_not_read_through_the_appliance_again(tmp_path: Path) -> None:
    content = fake_disk(windows_disk("known", {"SYSTEM": b"regf"}, size=8), tmp_path / "disk").read_bytes()
    counted = Faulty(FakeAppliance([MemoryStore(content)]))
    known = find_windows(counted, surveys=survey([Counting(content)]))
    assert "read_device" not in counted.calls
    assert known == find_windows(counted)
    assert "read_device" in counted.calls
