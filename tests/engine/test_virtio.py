"""A virtio-win kit through the whole command, and the database of real Windows hives edited by hivex."""

from __future__ import annotations

from pathlib import Path

import pytest

from p2vprep.core import driver_database
from p2vprep.core.changes import resolve_edits
from p2vprep.core.driver_database import BootDevice, database_entries
from p2vprep.core.model import KeyChange, ValueChange
from p2vprep.core.regf.reader import HiveReader
from p2vprep.core.registry import find, names, value
from p2vprep.core.values import Data
from p2vprep.core.virtio import SCSI_ADAPTER
from p2vprep.disk import hive
from tests.support import virtio
from tests.support.corpus import hive_bytes, hive_logs
from tests.support.flow import Shelf, done, failed, inside, read_system, with_system

KIT = virtio.kit("2k12R2", names=("viostor", "netkvm"))
IDS = ("VEN_1AF4&DEV_1001&REV_00", "VEN_1AF4&DEV_1042&REV_01")


@pytest.fixture
def machine(shelf: Shelf, tmp_path: Path, fake: None) -> Path:
    """The sample machine with the database that every 2012 R2 has."""
    spec = with_system(lambda held: held.root.make(r"DriverDatabase\DeviceIds\PCI"))
    return shelf.disk(tmp_path, spec=spec, name="virtio")


def test_apply_puts_the_drivers_on_the_disk_and_verify_finds_them(machine: Path, tmp_path: Path) -> None:
    kit = virtio.write(tmp_path / "kit", KIT)
    options = ("--virtio-win", kit, "--source", "none", "--stage", "none")
    applied = done("apply", machine, *options, "--yes")
    assert applied
    system = read_system(machine)
    assert value(system, r"ControlSet001\Services\viostor", "Start") == Data.dword(0)
    with inside(machine) as guest:
        place = "/Windows/System32/drivers/viostor.sys"
        expected = KIT["viostor/2k12R2/amd64/viostor.sys"]
        assert guest.read(place, 0, 1 << 20) == expected
        assert guest.read("/p2vprep/drivers/netkvm/netkvm.inf", 0, 1 << 20)
        assert guest.stat("/p2vprep/drivers/netkvm/netkvm.pdb") is None
    assert done("verify", machine)
    assert done("plan", machine, *options)["changes"] == []


def test_a_kvm_target_counts_on_the_kit(machine: Path, tmp_path: Path) -> None:
    kit = virtio.write(tmp_path / "kit", KIT)
    options = ("--target", "kvm", "--virtio-win", kit)
    assert not [one for one in done("plan", machine, *options)["hazards"] if one["severity"] == "refuse"]
    done("apply", machine, *options, "--yes")
    assert done("plan", machine, *options)["changes"] == []


def test_a_plan_is_stale_where_the_kit_is_another_one(machine: Path, tmp_path: Path) -> None:
    kit = virtio.write(tmp_path / "kit", KIT)
    plan = tmp_path / "plan.json"
    done("plan", machine, "--virtio-win", kit, "-o", plan)
    (kit / "viostor/2k12R2/amd64/viostor.cat").write_bytes(b"another catalog")
    failed(4, "stale-plan", "apply", machine, "--plan", plan, "--yes")


def test_a_kit_without_this_windows_refuses_the_apply(machine: Path, tmp_path: Path) -> None:
    kit = virtio.write(tmp_path / "kit", virtio.kit("2k19"))
    before = machine.read_bytes()
    failed(5, "virtio-driver-missing", "apply", machine, "--virtio-win", kit, "--yes")
    assert machine.read_bytes() == before


def test_a_folder_that_is_no_kit_is_a_usage_error(machine: Path, tmp_path: Path) -> None:
    folder = virtio.write(tmp_path / "kit", {"readme.txt": b"words"})
    before = machine.read_bytes()
    failed(2, "no-virtio-drivers", "plan", machine, "--virtio-win", folder)
    failed(2, "no-virtio-drivers", "apply", machine, "--virtio-win", folder, "--yes")
    assert machine.read_bytes() == before


@pytest.mark.corpus
@pytest.mark.parametrize(
    "name",
    [
        "win10-21h2-x64_dissect.regf_1.SYSTEM",
        pytest.param("win81-x64_regipy_2.SYSTEM", marks=pytest.mark.long),
    ],
)
def test_the_database_of_a_real_hive_takes_the_entries_in_order(name: str) -> None:
    """Thousands of ids, in an index of several lists: hivex puts ours where Windows will look for them."""
    loaded = hive.load(
        "SYSTEM", name, hive_bytes(name), hive_logs(name), allow=frozenset({hive.DIRTY_WITHOUT_LOG})
    )
    device = BootDevice("viostor", SCSI_ADAPTER, IDS, ("VEN_1AF4&DEV_1001",))
    edits = database_entries(loaded.hive, "x64", device, "virtio", "a test")
    resolved = resolve_edits(edits, {"SYSTEM": loaded.hive}, {})
    changes = [change for change in resolved.changes if isinstance(change, ValueChange | KeyChange)]
    assert len(changes) == len(resolved.changes)
    edited = HiveReader(hive.edit(loaded, changes).data)
    ids = find(edited, r"DriverDatabase\DeviceIds\PCI")
    assert ids is not None
    held = names(ids.subkeys())
    assert list(held) == sorted(held, key=str.upper)
    for one in (*device.hardware_ids, *device.compatible_ids):
        assert value(edited, driver_database.id_key(one), "p2vprep_viostor.inf") is not None
