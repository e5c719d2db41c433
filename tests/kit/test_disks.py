"""The disk kit: tables that our reader and the specification agree on, and a cache that starts nothing."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

from p2vprep.disk.partitions import read_layout
from p2vprep.disk.survey import survey
from testdata.kit import disks
from testdata.kit.disks import DiskSpec, VolumeSpec, build_disks, copy_disk, make_blank, slots, windows_disk


def test_the_same_specification_has_the_same_name() -> None:
    one, same = windows_disk("a", {"SYSTEM": b"regf"}), windows_disk("a", {"SYSTEM": b"regf"})
    assert one.file_name == same.file_name


@pytest.mark.parametrize(
    "other",
    [
        windows_disk("a", {"SYSTEM": b"regg"}),
        windows_disk("a", {"SYSTEM": b"regf"}, table="gpt"),
        windows_disk("a", {"SYSTEM": b"regf"}, container="qcow2"),
        windows_disk("a", {"SYSTEM": b"regf"}, folder="WINNT"),
        windows_disk("a", {"SYSTEM": b"regf"}, size=65),
        windows_disk("a", {"SYSTEM": b"regf"}, junk=True),
    ],
)
def test_another_specification_has_another_name(other: DiskSpec) -> None:
    assert other.file_name != windows_disk("a", {"SYSTEM": b"regf"}).file_name


def test_files_without_a_slash_are_hives() -> None:
    spec = windows_disk("a", {"SYSTEM": b"1", "/x/y": b"2"}, folder="WINNT")
    assert spec.volumes[0].files == {"/WINNT/System32/config/SYSTEM": b"1", "/x/y": b"2"}


LOGICAL = DiskSpec(
    "logical",
    (
        VolumeSpec("none", size=1),
        VolumeSpec("none", size=2, logical=True),
        VolumeSpec("none", size=3, logical=True, role="recovery"),
    ),
)


@pytest.mark.parametrize(
    "spec", [LOGICAL, windows_disk("g", {}, table="gpt", junk=True)], ids=lambda it: it.name
)
def test_tables_say_what_was_asked_for(spec: DiskSpec, tmp_path: Path) -> None:
    raw = tmp_path / "disk"
    make_blank(spec, raw)
    content = raw.read_bytes()
    layout = read_layout(lambda offset, length: content[offset : offset + length], 0, "/dev/sda")
    assert layout.problem == ""
    assert layout.table == spec.table
    asked = [(slot.start * 512, slot.sectors * 512) for slot in slots(spec)]
    assert [(partition.start, partition.size) for partition in layout.partitions] == asked


@pytest.mark.skipif(shutil.which("sfdisk") is None, reason="sfdisk is not installed")
@pytest.mark.parametrize(
    "spec", [LOGICAL, windows_disk("g", {}, table="gpt", junk=True)], ids=lambda it: it.name
)
def test_sfdisk_agrees_on_the_tables(spec: DiskSpec, tmp_path: Path) -> None:
    raw = tmp_path / "disk"
    make_blank(spec, raw)
    assert subprocess.run(["sfdisk", "--verify", raw], check=False, capture_output=True).returncode == 0
    dump = subprocess.run(["sfdisk", "--dump", raw], check=True, capture_output=True, text=True).stdout
    starts = [int(line.split("start=")[1].split(",")[0]) for line in dump.splitlines() if "start=" in line]
    assert [slot.start for slot in slots(spec)] == [start for start in starts if start != LOGICAL_START]


LOGICAL_START = slots(LOGICAL)[1].start - 1


def test_what_is_cached_is_not_built_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    made: list[str] = []

    def build(specs: Sequence[DiskSpec], cache: Path) -> None:
        made.extend(spec.name for spec in specs)
        for spec in specs:
            (cache / spec.file_name).write_bytes(b"")

    monkeypatch.setattr(disks, "_build", build)
    one, two = windows_disk("one", {}), windows_disk("two", {})
    build_disks([one], tmp_path)
    found = build_disks([one, two], tmp_path)
    build_disks([one, two], tmp_path)
    assert made == ["one", "two"]
    assert set(found) == {"one", "two"}


def test_a_copy_keeps_the_content_and_brings_the_extent(tmp_path: Path) -> None:
    source, target = tmp_path / "from", tmp_path / "to"
    source.mkdir()
    target.mkdir()
    (source / "a.vmdk").write_bytes(b"descriptor")
    (source / "a-flat.vmdk").write_bytes(b"extent")
    assert copy_disk(source / "a.vmdk", target).read_bytes() == b"descriptor"
    assert (target / "a-flat.vmdk").read_bytes() == b"extent"


@pytest.mark.appliance
def test_builds_every_container(built: Callable[[Sequence[DiskSpec]], dict[str, Path]]) -> None:
    containers: dict[disks.Container, str] = {
        "raw": "raw", "qcow2": "qcow2", "vpc": "vpc", "vpc-fixed": "vpc", "vhdx": "vhdx",
        "vhdx-fixed": "vhdx", "vmdk": "vmdk", "vmdk-flat": "vmdk", "vmdk-stream": "vmdk",
    }  # fmt: skip
    specs = [
        windows_disk(f"kit-{container}", {"SYSTEM": b"regf"}, container=container, size=12)
        for container in containers
    ]
    made = built(specs)
    reference = made["kit-raw"]
    for container, driver in containers.items():
        command = [
            "qemu-img",
            "compare",
            "-f",
            driver,
            "-F",
            "raw",
            str(made[f"kit-{container}"]),
            str(reference),
        ]
        compared = subprocess.run(command, check=False, capture_output=True, text=True)
        assert compared.returncode == 0, (container, compared)
    with reference.open("rb") as file:
        (looked,) = survey([lambda offset, length: (file.seek(offset), file.read(length))[1]])
    assert [look.likely for look in looked.looks] == [("Windows",)]


def test_disks_that_differ_in_their_container_have_one_content() -> None:
    one, other = (windows_disk("a", {"SYSTEM": b"regf"}, container=it) for it in ("raw", "vhdx"))
    assert one.content == other.content
    assert one.file_name.split(".")[0] != other.file_name.split(".")[0]
