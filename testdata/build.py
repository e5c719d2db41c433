"""Turns the recipes of sample machines into disks: hives, transaction logs, file system, container."""

from __future__ import annotations

from pathlib import Path

from testdata.kit.disks import Container, DiskSpec, FileSystem, Table, VolumeSpec, build_disks, copy_disk
from testdata.kit.hivewriter import build_hive
from testdata.kit.logwriter import steps, write_new, write_old
from testdata.machines import Machine, load

FIRST_WITH_NEW_LOGS = (6, 3)
FIRST_WITH_TWO_LOGS = (6, 0)


def hive_files(machine: Machine) -> dict[str, bytes]:
    """SYSTEM and SOFTWARE with their logs, by file name.

    Where the recipe keeps something only in the logs, SYSTEM is dirty, as most
    real hives of Windows 8.1 and later are at rest.
    """
    windows = machine.recipe["windows"]
    before = build_hive(machine.system(with_logs=False), file_name="SYSTEM")
    files = {"SOFTWARE": build_hive(machine.software(), file_name="SOFTWARE")}
    if "only-in-logs" not in machine.recipe:
        return files | {"SYSTEM": before}
    after = build_hive(machine.system(with_logs=True), file_name="SYSTEM")
    version = tuple(int(part) for part in str(windows["version"]).split("."))
    if version >= FIRST_WITH_NEW_LOGS:
        dirty = write_new(steps(before, after, 4), cut=2)
    else:
        dirty = write_old(before, after, name="LOG1" if version >= FIRST_WITH_TWO_LOGS else "LOG")
    return files | {"SYSTEM": dirty.primary} | {f"SYSTEM.{name}": log for name, log in dirty.logs.items()}


def disk_spec(
    machine: Machine,
    *,
    container: Container | None = None,
    table: Table | None = None,
    fs: FileSystem | None = None,
) -> DiskSpec:
    """The machine's disk as the recipe describes it; container, table and file system can be replaced."""
    disk, folder = machine.recipe["disk"], machine.recipe["windows"]["folder"]
    config = f"/{folder}/System32/config/"
    files = {config + name: content for name, content in hive_files(machine).items()}
    files |= {"/" + path: content for path, content in machine.files().items()}
    table = table or disk["table"]
    windows = VolumeSpec(
        fs or disk["file-system"], files, (f"/{folder}/System32/drivers", "/Users/Public"), disk["megabytes"]
    )
    reserved = VolumeSpec("ntfs", {"/Boot/BCD": b"regf"}, size=16, label="System Reserved", active=True)
    volumes = (reserved, windows) if table == "mbr" else (windows,)
    return DiskSpec(machine.name, volumes, container or disk["container"], table)


def build_machine(name: str, target: Path, *, cache: Path) -> Path:
    """The disk of a sample machine, as a file of the caller's own. Built once, then copied from the cache."""
    spec = disk_spec(load(name))
    built = build_disks([spec], cache)[spec.name]
    return copy_disk(built, target.parent, target.name)
