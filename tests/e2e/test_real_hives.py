"""Every real SYSTEM hive on a disk of its own: inspect, plan, apply, verify, rollback, by the real command.

What was written is read back without p2vprep, libguestfs or hivex: the virtual disk through
qemu-img, the file through ntfscat or mtools, the hive through libregf. After the rollback the
whole virtual disk has the SHA-256 that it had before.
"""

from __future__ import annotations

import hashlib
import json
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest

from p2vprep.core.values import Data
from testdata.kit.disks import Container, DiskSpec, Table, copy_disk, windows_disk
from tests.support.corpus import hive_bytes, hive_logs, system_hive_names
from tests.support.guest_disk import fingerprint, guest_file
from tests.support.readers import through_libregf

pytestmark = [pytest.mark.appliance, pytest.mark.corpus]

# Every container, both tables and both file systems are met by some hive.
SHAPES: list[tuple[Container, Table, str, str]] = [
    ("vpc", "mbr", "ntfs", "WINDOWS"),
    ("vhdx", "gpt", "ntfs", "Windows"),
    ("raw", "mbr", "fat32", "WINNT"),
    ("vmdk", "mbr", "ntfs", "Windows"),
    ("qcow2", "gpt", "ntfs", "Windows"),
    ("vpc-fixed", "mbr", "ntfs", "WINNT"),
    ("vmdk-flat", "gpt", "ntfs", "Windows"),
    ("vhdx-fixed", "mbr", "ntfs", "ReactOS"),
]


def cases() -> list[Any]:
    """All hives of the corpus, in disks of all shapes in turn."""
    return [
        pytest.param(name, *SHAPES[number % len(SHAPES)], id=name.split("_")[0])
        for number, name in enumerate(system_hive_names())
    ]


def p2vprep(*arguments: str | Path) -> tuple[int, dict[str, Any]]:
    """Runs the command with --json; exit status and document."""
    done = subprocess.run(
        [sys.executable, "-m", "p2vprep", *map(str, arguments), "--json"], capture_output=True, check=False
    )
    assert done.stdout, done.stderr.decode()
    return done.returncode, json.loads(done.stdout)


@pytest.mark.long
@pytest.mark.parametrize(("name", "container", "table", "fs", "folder"), cases())
def test_the_whole_story(
    name: str,
    container: Container,
    table: Table,
    fs: str,
    folder: str,
    built: Callable[[Sequence[DiskSpec]], dict[str, Path]],
    tmp_path: Path,
) -> None:
    files = {"SYSTEM": hive_bytes(name)} | {
        f"SYSTEM.{suffix}": log for suffix, log in hive_logs(name).items()
    }
    spec = windows_disk(
        name.split(".SYSTEM")[0].replace(".", "-"), files, container=container, table=table,
        fs="fat32" if fs == "fat32" else "ntfs", folder=folder, junk=table == "gpt",
    )  # fmt: skip
    disk = copy_disk(built([spec])[spec.name], tmp_path)
    before = fingerprint(disk)
    lifted: tuple[str, ...] = ()

    status, found = p2vprep("inspect", disk)
    assert status == 0, found
    assert found["guest"]["system_root"] == f"/{folder}"
    if any(finding["code"] == "dirty-hive-without-log" for finding in found["findings"]):
        status, refused = p2vprep("apply", disk, "--yes")
        assert (status, refused["code"]) == (5, "dirty-hive-without-log")
        assert fingerprint(disk) == before
        lifted = ("--allow", "dirty-hive-without-log")

    status, planned = p2vprep("plan", disk, *lifted, "-o", tmp_path / "plan.json")
    assert status == 0, planned
    assert fingerprint(disk) == before

    status, applied = p2vprep("apply", disk, "--yes", *lifted, "--plan", tmp_path / "plan.json")
    assert status == 0, applied
    assert applied["plan"]["changes"] == planned["changes"]
    if not planned["changes"]:
        assert not applied["committed"]
        assert fingerprint(disk) == before
        return
    assert applied["committed"]
    assert fingerprint(disk) != before
    check_by_an_independent_reader(disk, folder, hive_bytes(name), planned, tmp_path)

    status, verified = p2vprep("verify", disk)
    assert (status, verified["as_planned"]) == (0, True), verified
    status, again = p2vprep("plan", disk, *lifted)
    assert (status, again["changes"]) == (0, [])

    status, undone = p2vprep("rollback", disk)
    assert status == 0, undone
    assert fingerprint(disk) == before


def check_by_an_independent_reader(
    disk: Path, folder: str, before: bytes, planned: dict[str, Any], tmp_path: Path
) -> None:
    """The hive, taken off the disk by ntfscat or mtools and read by libregf, is the old one plus the plan."""
    expected = as_libregf_sees(before)
    for change in planned["changes"]:
        if change["kind"] == "file":
            content = guest_file(disk, change["path"].lstrip("/"), tmp_path)
            assert hashlib.sha256(content).hexdigest() == change["sha256"], change["path"]
            continue
        key = change["key"].upper()
        if change["kind"] == "key" and change["after"] is None:
            for path in [path for path in expected if path == key or path.startswith(key + "\\")]:
                del expected[path]
        elif change["kind"] == "key":
            expected[key] = {}
        elif change["after"] is None:
            del expected[key][change["name"].upper()]
        else:
            data = Data.from_json(change["after"])
            expected[key][change["name"].upper()] = (data.type, data.raw)
    assert as_libregf_sees(guest_file(disk, f"{folder}/System32/config/SYSTEM", tmp_path)) == expected


def as_libregf_sees(content: bytes) -> dict[str, dict[str, tuple[int, bytes]]]:
    """Values by key path and name, both in upper case."""
    return {
        "\\".join(names).upper(): {name.upper(): (kind, raw) for name, kind, raw in values}
        for names, values in through_libregf(content)
    }
