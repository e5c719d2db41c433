"""Who else uses an image, and whether it can be written."""

from __future__ import annotations

import fcntl
import os
import struct
import subprocess
from pathlib import Path

import pytest

from p2vprep.disk import access, image, nbd, qemu
from p2vprep.errors import CannotOpenError, RefusedError

MIB = 1 << 20


@pytest.fixture
def disk(tmp_path: Path) -> image.Image:
    path = tmp_path / "disk.img"
    path.write_bytes(bytes(MIB))
    return image.probe(path)


def refusal(disk: image.Image, *, writing: bool = True) -> RefusedError:
    with pytest.raises(RefusedError) as caught:
        access.check_in_use(disk, writing=writing)
    assert caught.value.code == "image-in-use"
    assert not caught.value.liftable
    return caught.value


def test_an_image_at_rest_is_free(disk: image.Image) -> None:
    access.check_in_use(disk, writing=True)
    access.check_in_use(disk, writing=False)


def test_a_program_that_writes_is_named(disk: image.Image) -> None:
    with disk.path.open("ab") as file:
        process = subprocess.Popen(["/bin/sleep", "30"], stdout=file)
    with process:
        for writing in (True, False):
            assert f"process {process.pid} (sleep)" in refusal(disk, writing=writing).message
        process.kill()
    access.check_in_use(disk)


def test_a_program_that_reads_is_no_obstacle(disk: image.Image) -> None:
    with disk.path.open("rb") as file:
        process = subprocess.Popen(["/bin/sleep", "30"], stdin=file)
    with process:
        access.check_in_use(disk, writing=True)
        process.kill()


def test_a_qemu_that_writes_is_named(disk: image.Image) -> None:
    with nbd.connect(disk, read_only=False):
        assert "qemu-nbd" in refusal(disk).message
        assert "qemu-nbd" in refusal(disk, writing=False).message


def test_a_qemu_that_reads_is_an_obstacle_to_writing_only(disk: image.Image) -> None:
    with nbd.connect(disk, read_only=True):
        access.check_in_use(disk, writing=False)
        assert "locked" in refusal(disk, writing=True).message


def test_the_lock_of_a_writing_qemu_is_seen_where_processes_cannot_be(
    disk: image.Image, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(access, "_writers", lambda _file: iter(()))
    with nbd.connect(disk, read_only=False):
        assert "QEMU" in refusal(disk, writing=False).message


def test_the_lock_of_a_machine_that_came_later_stops_a_commit(disk: image.Image, tmp_path: Path) -> None:
    overlay = qemu.create_overlay(disk, tmp_path / "overlay.qcow2")
    with disk.path.open("rb") as machine:
        others_must_not_write = struct.pack("hhqqi4x", fcntl.F_RDLCK, os.SEEK_SET, 201, 1, 0)
        fcntl.fcntl(machine, fcntl.F_OFD_SETLK, others_must_not_write)
        with pytest.raises(RefusedError) as caught:
            qemu.commit(overlay)
    assert caught.value.code == "image-in-use"
    qemu.commit(overlay)


@pytest.mark.parametrize(
    ("read_only", "writing", "used"),
    [("0", True, True), ("0", False, True), ("1", True, True), ("1", False, False)],
)
def test_loop_devices_are_seen(tmp_path: Path, read_only: str, writing: bool, used: bool) -> None:
    device = tmp_path / "sys" / "loop7"
    (device / "loop").mkdir(parents=True)
    (device / "loop" / "backing_file").write_text("/images/disk.img\n")
    (device / "ro").write_text(f"{read_only}\n")
    (tmp_path / "sys" / "loop8" / "loop").mkdir(parents=True)
    (tmp_path / "sys" / "loop8" / "loop" / "backing_file").write_text("/images/disk.img\n")

    def users(name: str) -> list[str]:
        return list(access._loop_devices(Path(name), writing=writing, devices=tmp_path / "sys"))

    assert users("/images/disk.img") == (["it is attached as /dev/loop7"] if used else [])
    assert users("/images/other.img") == []


def test_a_writable_image_passes(disk: image.Image) -> None:
    content = disk.path.read_bytes()
    access.check_writable(disk)
    assert disk.path.read_bytes() == content


def test_a_format_that_cannot_be_written_points_to_the_way_out(tmp_path: Path) -> None:
    path = tmp_path / "disk.vmdk"
    command = ["qemu-img", "create", "-q", "-f", "vmdk", "-o", "subformat=streamOptimized", str(path), "1M"]
    subprocess.run(command, check=True)
    with pytest.raises(RefusedError) as caught:
        access.check_writable(image.probe(path))
    assert caught.value.code == "image-format-read-only"
    assert "--output" in str(caught.value.hint)


def test_a_file_that_cannot_be_written_is_named(disk: image.Image, monkeypatch: pytest.MonkeyPatch) -> None:
    real = os.open

    def read_only(path: str | Path, flags: int, mode: int = 0o777) -> int:
        if flags & os.O_ACCMODE != os.O_RDONLY:
            raise OSError(30, "Read-only file system")
        return real(path, flags, mode)

    monkeypatch.setattr(os, "open", read_only)
    with pytest.raises(RefusedError) as caught:
        access.check_writable(disk)
    assert caught.value.code == "image-read-only"
    assert "Read-only file system" in caught.value.message


def test_an_image_that_has_gone_is_named(disk: image.Image) -> None:
    disk.path.unlink()
    with pytest.raises(CannotOpenError) as caught:
        access.check_writable(disk)
    assert caught.value.code == "image-missing"


def test_a_file_system_without_locks_says_nothing(disk: image.Image, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_arguments: object) -> bytes:
        raise OSError(95, "Operation not supported")

    assert not access._has_writing_qemu(disk.path)
    monkeypatch.setattr(fcntl, "fcntl", refuse)
    assert not access._has_writing_qemu(disk.path)


def test_processes_that_end_while_we_look_are_passed_over(tmp_path: Path) -> None:
    target = tmp_path / "disk.img"
    for number, flags in (("10", None), ("11", "0100000"), ("12", "0100002"), ("13", "0100001")):
        process = tmp_path / "proc" / number
        (process / "fd").mkdir(parents=True)
        (process / "fd" / "4").symlink_to(target)
        (process / "fdinfo").mkdir()
        (process / "comm").write_text("vmware-vmx\n")
        if flags is not None:
            (process / "fdinfo" / "4").write_text(f"pos:\t0\nflags:\t{flags}\n")
    (tmp_path / "proc" / "14").mkdir()
    (tmp_path / "proc" / "12" / "comm").unlink()
    found = list(access._writers(target, processes=tmp_path / "proc"))
    assert found == ["process 13 (vmware-vmx) has opened it for writing"]
