"""Every blocker has its code, its exit status and its way out, and changes nothing."""

from __future__ import annotations

import fcntl
import json
import os
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from p2vprep.core.registry import MemoryHive
from p2vprep.core.values import Data
from p2vprep.disk import recovery
from testdata.kit.disks import DiskSpec, VolumeSpec
from tests.support.flow import (
    CONFIG,
    SYSTEM,
    Shelf,
    as_json,
    data_disk,
    done,
    failed,
    p2vprep,
    sample,
    with_files,
    with_system,
    without_logs,
)
from tests.support.guest_disk import fingerprint

pytestmark = pytest.mark.usefixtures("fake")


@contextmanager
def unchanged(disk: Path) -> Iterator[None]:
    """The block must not change the disk nor leave a run unfinished."""
    before = fingerprint(disk)
    yield
    assert fingerprint(disk) == before
    assert all(run["state"] == "discarded" for run in done("history", disk)["runs"])


def codes(found: dict[str, Any], key: str = "findings") -> dict[str, str]:
    return {hazard["code"]: hazard["severity"] for hazard in found[key]}


# --- no Windows that could be changed ------------------------------------------------------------


def windows_volume(spec: DiskSpec) -> VolumeSpec:
    return next(volume for volume in spec.volumes if SYSTEM in volume.files)


def first_bytes(disk: Path, sector: int, content: bytes) -> Path:
    with disk.open("r+b") as file:
        file.seek(sector * 512)
        file.write(content)
    return disk


BITLOCKER = b"\xeb\x58\x90-FVE-FS-" + bytes(499) + b"\x55\xaa"
REFS = b"\x00\x00\x00ReFS\x00\x00\x00\x00" + bytes(5) + b"FSRS" + bytes(490)


@pytest.mark.parametrize("command", ["inspect", "plan", "apply"])
def test_bitlocker(shelf: Shelf, tmp_path: Path, command: str) -> None:
    spec = replace(sample(), volumes=(windows_volume(sample()),))
    disk = first_bytes(shelf.disk(tmp_path, spec=spec), 2048, BITLOCKER)
    with unchanged(disk):
        found = failed(5, "bitlocker", command, disk, *(["--yes"] if command == "apply" else []))
    assert "manage-bde -off" in found["hint"]
    assert any("BitLocker" in line for line in found["details"])


def test_refs(shelf: Shelf, tmp_path: Path) -> None:
    disk = first_bytes(shelf.disk(tmp_path, spec=data_disk()), 2048, REFS)
    failed(5, "refs", "apply", disk, "--yes")


def test_no_windows(shelf: Shelf, tmp_path: Path) -> None:
    disk = shelf.disk(tmp_path, spec=data_disk())
    with unchanged(disk):
        found = failed(6, "no-windows", "apply", disk, "--yes")
    assert any("NTFS" in line for line in found["details"])


def test_a_windows_without_its_hive(shelf: Shelf, tmp_path: Path) -> None:
    disk = shelf.disk(tmp_path, spec=with_files(sample(), {SYSTEM: None}))
    with unchanged(disk):
        found = failed(6, "system-hive-missing", "apply", disk, "--yes")
    assert found["subject"] == CONFIG


def two_windows() -> DiskSpec:
    def other(hive: MemoryHive) -> None:
        path = r"ControlSet001\Control\ComputerName\ComputerName"
        hive.root.make(path).set("ComputerName", Data.sz("OTHER"))

    first, second = sample(), with_system(other)
    return replace(first, volumes=(windows_volume(first), windows_volume(second)))


def test_one_of_several_windows_has_to_be_chosen(shelf: Shelf, tmp_path: Path) -> None:
    disk = shelf.disk(tmp_path, spec=two_windows())
    with unchanged(disk):
        found = failed(5, "several-windows", "apply", disk, "--yes")
        failed(6, "no-such-root", "apply", disk, "--yes", "--root", "3")
    assert [line.partition(":")[0] for line in found["details"]] == ["--root 1", "--root 2"]
    for root, name in (("1", "SRV-ERP01"), ("2", "OTHER")):
        assert done("inspect", disk, "--root", root)["guest"]["computer_name"] == name
    applied = done("apply", disk, "--yes", "--root", "2")
    assert applied["plan"]["guest"]["computer_name"] == "OTHER"
    assert done("verify", disk)["as_planned"]
    assert done("plan", disk, "--root", "1")["changes"]


# --- a Windows that sleeps -----------------------------------------------------------------------


@pytest.mark.parametrize(
    ("files", "log"),
    [({"/hiberfil.sys": b"hibr" + bytes(4096)}, "clean"), ({}, "cached")],
    ids=["hibernated", "fast-startup"],
)
def test_a_saved_session(shelf: Shelf, tmp_path: Path, files: dict[str, bytes], log: str) -> None:
    disk = shelf.disk(tmp_path, spec=with_files(sample(), files), log=log)
    assert codes(done("inspect", disk))["hibernated"] == "refuse"
    assert codes(done("plan", disk), "hazards")["hibernated"] == "refuse"
    with unchanged(disk):
        found = failed(5, "hibernated", "apply", disk, "--yes")
        failed(5, "hibernated", "apply", disk, "--yes", "--allow", "hibernated")
    assert "powercfg /h off" in found["hint"]
    assert "--allow discard-hibernation" in found["hint"]
    applied = done("apply", disk, "--yes", "--allow", "discard-hibernation")
    assert codes(applied["plan"], "hazards")["hibernated"] == "warn"
    assert receipt(applied)["allowed"] == ["discard-hibernation"]
    assert done("verify", disk)["as_planned"]
    assert "hibernated" not in codes(done("inspect", disk))


def test_a_volume_that_was_not_unmounted_is_told_and_prepared(shelf: Shelf, tmp_path: Path) -> None:
    disk = shelf.disk(tmp_path, dirty=True, log="unclean")
    assert codes(done("inspect", disk)).items() >= {"ntfs-dirty": "warn", "ntfs-unclean": "warn"}.items()
    assert done("apply", disk, "--yes")["committed"]


def test_a_full_volume(shelf: Shelf, tmp_path: Path) -> None:
    spec = sample()
    size = windows_volume(spec).size << 20
    disk = shelf.disk(tmp_path, spec=with_files(spec, {"/pagefile.sys": bytes(size - (6 << 20))}))
    with unchanged(disk):
        failed(5, "guest-volume-full", "apply", disk, "--yes")


# --- hives ---------------------------------------------------------------------------------------


def test_a_dirty_hive_without_its_logs(shelf: Shelf, tmp_path: Path) -> None:
    disk = shelf.disk(tmp_path, spec=with_files(sample(), without_logs()))
    assert codes(done("inspect", disk))["dirty-hive-without-log"] == "refuse"
    with unchanged(disk):
        found = failed(5, "dirty-hive-without-log", "apply", disk, "--yes")
    assert "--allow dirty-hive-without-log" in found["hint"]
    planned = done("plan", disk, "--allow", "dirty-hive-without-log")
    assert codes(planned, "hazards")["dirty-hive-without-log"] == "warn"
    applied = done("apply", disk, "--yes", "--allow", "dirty-hive-without-log")
    assert receipt(applied)["allowed"] == ["dirty-hive-without-log"]
    assert receipt(applied)["hives"][0]["dirty"]
    assert done("verify", disk)["as_planned"]


def system() -> bytes:
    return windows_volume(sample()).files[SYSTEM]


DAMAGED = {
    "empty": b"",
    "no hive": b"MZ" + bytes(8190),
    "cut off": b"cut off",
    "a cell is damaged": b"cell",
}


@pytest.mark.parametrize("damage", DAMAGED)
def test_a_damaged_hive(shelf: Shelf, tmp_path: Path, damage: str) -> None:
    content = {"cut off": system()[:6000], "a cell is damaged": _overwritten(system())}
    files: dict[str, bytes | None] = {SYSTEM: content.get(damage, DAMAGED[damage])}
    disk = shelf.disk(tmp_path, spec=with_files(sample(), without_logs() | files))
    with unchanged(disk):
        ran = as_json("apply", disk, "--yes")
        assert ran.status == 6, ran
        assert ran.document["code"] in ("not-a-hive", "hive-damaged", "dirty-hive-without-log")
        assert SYSTEM in str(ran.document["subject"]) or "SYSTEM" in ran.document["message"]
        assert ran.document["changed"] == "Nothing was changed."
        assert as_json("inspect", disk).status == 6


def _overwritten(hive: bytes) -> bytes:
    """A hive whose second bin is noise."""
    return hive[:8192] + b"\xa5" * 4096 + hive[12288:]


def test_a_hive_without_the_control_set_that_boots_next(shelf: Shelf, tmp_path: Path) -> None:
    disk = shelf.disk(
        tmp_path, spec=with_system(lambda hive: hive.root.make("Select").set("Default", Data.dword(7)))
    )
    failed(6, "no-control-set", "apply", disk, "--yes")


def test_without_software_the_version_is_guessed(shelf: Shelf, tmp_path: Path) -> None:
    for content in (None, b"", b"MZ" + bytes(8190)):
        disk = shelf.disk(tmp_path, spec=with_files(sample(), {f"{CONFIG}/SOFTWARE": content}))
        assert codes(done("inspect", disk))["software-hive-unreadable"] == "warn"
        disk.unlink()


# --- images --------------------------------------------------------------------------------------


@pytest.mark.parametrize("command", ["inspect", "plan", "apply", "verify"])
def test_an_image_that_is_not_there(tmp_path: Path, command: str) -> None:
    plan = tmp_path / "plan.json"
    given = ["--yes"] if command == "apply" else []
    if command == "verify":
        failed(2, "nothing-to-verify", command, tmp_path / "none.vhd", *given)
    else:
        failed(6, "image-missing", command, tmp_path / "none.vhd", *given)
    assert not plan.exists()
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("content", [b"", b"conectix" * 64, b"\x00" * 100])
def test_an_image_that_is_none(tmp_path: Path, content: bytes) -> None:
    disk = tmp_path / "disk.vhd"
    disk.write_bytes(content)
    ran = as_json("apply", disk, "--yes")
    assert ran.status in (5, 6), ran
    assert ran.document["changed"] == "Nothing was changed."
    assert disk.read_bytes() == content


def test_an_image_in_use(shelf: Shelf, tmp_path: Path) -> None:
    disk = shelf.disk(tmp_path)
    holder = subprocess.Popen(
        ["python3", "-c", f"f = open({str(disk)!r}, 'r+b'); print(flush=True); input()"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    )
    try:
        assert holder.stdout is not None
        holder.stdout.readline()
        found = failed(5, "image-in-use", "apply", disk, "--yes")
        assert f"process {holder.pid}" in found["message"]
    finally:
        holder.communicate(b"\n")
    assert done("apply", disk, "--yes")["committed"]


def test_a_machine_that_is_prepared_just_now(
    shelf: Shelf, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(recovery, "_LOCK_PATIENCE", 0.1)
    disk = shelf.disk(tmp_path)
    done("apply", disk, "--yes")
    with (tmp_path / "disk.raw.p2vprep" / "lock").open("r+b") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        for command in (["apply", "--yes"], ["rollback"], ["recover"], ["forget"]):
            failed(5, "busy", command[0], disk, *command[1:])
        assert done("history", disk)["runs"]
        assert done("verify", disk)["as_planned"]


def test_a_read_only_image(shelf: Shelf, tmp_path: Path) -> None:
    disk = shelf.disk(tmp_path)
    _read_only(disk)
    try:
        found = failed(5, "image-read-only", "apply", disk, "--yes")
        assert "--output" in found["hint"]
        assert done("plan", disk)["changes"]
        applied = done("apply", disk, "--yes", "--output", tmp_path / "new.vhd")
        assert applied["committed"]
    finally:
        _writable(disk)


def test_a_folder_that_takes_no_state(shelf: Shelf, tmp_path: Path) -> None:
    folder = tmp_path / "closed"
    folder.mkdir()
    disk = shelf.disk(folder)
    _read_only(folder)
    try:
        found = failed(5, "state-dir-unusable", "apply", disk, "--yes")
        assert "--state-dir" in found["hint"]
        assert done("inspect", disk)
        state = tmp_path / "state"
        state.mkdir()
        assert done("apply", disk, "--yes", "--state-dir", state)["committed"]
    finally:
        _writable(folder)


def test_an_unfinished_run(shelf: Shelf, tmp_path: Path) -> None:
    disk = shelf.disk(tmp_path)
    done("apply", disk, "--yes")
    journal = tmp_path / "disk.raw.p2vprep" / "journal.json"
    document = json.loads(journal.read_text())
    document["runs"][0]["state"] = "committed"
    journal.write_text(json.dumps(document))
    for command in (["apply", "--yes"], ["rollback"], ["forget"]):
        assert "recover" in failed(5, "unfinished-run", command[0], disk, *command[1:])["hint"]
    assert "committed" in p2vprep("history", disk).stdout
    assert done("recover", disk)["outcome"] == "committed"
    assert done("verify", disk)["as_planned"]


def test_a_journal_that_cannot_be_read(shelf: Shelf, tmp_path: Path) -> None:
    disk = shelf.disk(tmp_path)
    done("apply", disk, "--yes")
    (tmp_path / "disk.raw.p2vprep" / "journal.json").write_text("{")
    for command in (["apply", "--yes"], ["rollback"], ["recover"], ["history"]):
        failed(9, "journal-damaged", command[0], disk, *command[1:])


def receipt(applied: dict[str, Any]) -> dict[str, Any]:
    found = json.loads((Path(applied["state"]) / "receipt.json").read_text())
    assert isinstance(found, dict)
    return found


def _read_only(path: Path) -> None:
    """So that also root cannot write; skips where that cannot be had."""
    path.chmod(path.stat().st_mode & ~0o222)
    if os.access(path, os.W_OK):
        done = shutil.which("chattr") and subprocess.run(["chattr", "+i", str(path)], capture_output=True)
        if not done or done.returncode:
            pytest.skip("root may write everywhere here")


def _writable(path: Path) -> None:
    if os.geteuid() == 0 and shutil.which("chattr"):
        subprocess.run(["chattr", "-i", str(path)], capture_output=True, check=False)
    path.chmod(path.stat().st_mode | 0o200)
