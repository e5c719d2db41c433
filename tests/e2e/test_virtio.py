"""A virtio-win ISO on a disk with the SYSTEM hive of a real Windows 10, by the real command."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

from testdata.kit.disks import DiskSpec, copy_disk, windows_disk
from tests.e2e.test_real_hives import check_by_an_independent_reader, p2vprep
from tests.support import virtio
from tests.support.corpus import hive_bytes
from tests.support.guest_disk import fingerprint, guest_file
from tests.test_virtio_files import iso

NAME = "win10-21h2-x64_dissect.regf_1.SYSTEM"


@pytest.mark.appliance
@pytest.mark.corpus
@pytest.mark.long
def test_the_drivers_of_an_iso_come_onto_the_disk_and_go_again(
    built: Callable[[Sequence[DiskSpec]], dict[str, Path]], tmp_path: Path
) -> None:
    spec = windows_disk(
        "virtio-win10", {"SYSTEM": hive_bytes(NAME)}, container="vhdx", table="gpt", junk=True
    )
    disk = copy_disk(built([spec])[spec.name], tmp_path)
    before = fingerprint(disk)
    files = virtio.kit("w10", "2k12R2")
    kit = iso(tmp_path / "virtio-win.iso", files)
    options = ("--target", "kvm", "--virtio-win", kit)

    status, applied = p2vprep("apply", disk, *options, "--yes")
    assert status == 0, applied
    check_by_an_independent_reader(disk, "Windows", hive_bytes(NAME), applied["plan"], tmp_path)
    held = guest_file(disk, "Windows/System32/drivers/viostor.sys", tmp_path)
    assert held == files["viostor/w10/amd64/viostor.sys"]

    status, again = p2vprep("plan", disk, *options)
    assert (status, again["changes"]) == (0, [])
    status, undone = p2vprep("rollback", disk)
    assert status == 0, undone
    assert fingerprint(disk) == before
